/* cpu_level.h - which vector instructions this process may use.
 *
 * Families of vector kernels come in files <family>_avx2.c, <family>_avx512.c and <family>_neon.c,
 * which the build compiles for those instructions and for nothing else; <family>_plain.c runs
 * everywhere. All variants of a family give the same bits. */
#ifndef WISPI_BASE_CPU_LEVEL_H
#define WISPI_BASE_CPU_LEVEL_H

#include <stdint.h>

enum {
    WISPI_CPU_PLAIN = 0,
    WISPI_CPU_NEON = 1, /* any 64-bit ARM */
    WISPI_CPU_AVX2 = 2,
    WISPI_CPU_AVX512 = 3, /* F, BW, DQ, VL, VBMI and VNNI: Ice Lake, Zen 4 and later */
    WISPI_CPU_LEVELS = 4
};

/* Does the processor, as the operating system lets us use it, have this level? [any] */
int wispi_cpu_has(int32_t level);

/* The best level, or what WISP_CPU_LEVEL in the environment ("plain", "neon", "avx2", "avx512")
 * limits it to; read once. A name that is unknown or not to be had is logged and passed over.
 * [any] */
int32_t wispi_cpu_level(void);

const char *wispi_cpu_level_name(int32_t level);

#endif
