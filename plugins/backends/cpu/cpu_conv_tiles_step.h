/* cpu_conv_tiles_step.h - what the passes of a gathered convolution do with tiles: taking f32
 * apart, and a step of 32 in the product. */
#ifndef CPU_CONV_TILES_STEP_H
#define CPU_CONV_TILES_STEP_H

#include "cpu_amx_parts.h"

#ifdef CPU_CAN_AMX

/* 32 values in three parts. */
CPU_PARTS_INLINE void cpu_tiles_split(__m512 low, __m512 high, __m512i *part)
{
    part[0] = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    for (int i = 1; i < CPU_PARTS_F32; i++) {
        low = _mm512_sub_ps(low, cpu_parts_widen(_mm512_castsi512_si256(part[i - 1])));
        high = _mm512_sub_ps(high, cpu_parts_widen(_mm512_extracti64x4_epi64(part[i - 1], 1)));
        part[i] = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    }
}

/* The first and the second 16 of 32 values, taken in turn. */
CPU_PARTS_INLINE __m512i cpu_tiles_weave(__m512i values)
{
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, values);
}

#define CPU_TILES_LEFT(part)                                                                       \
    do {                                                                                           \
        _tile_loadd(4, a0 + (part)*a_part, 64);                                                    \
        _tile_loadd(5, a1 + (part)*a_part, 64);                                                    \
    } while (0)
#define CPU_TILES_RIGHT(part)                                                                      \
    do {                                                                                           \
        _tile_loadd(6, b0 + (part)*b_part, b_pitch);                                               \
        _tile_loadd(7, b1 + (part)*b_part, b_pitch);                                               \
    } while (0)

/* Sums 0 to 3 += two tiles a, rows of 32, by two tiles b, pairs of rows b_pitch bytes apart. a_part
 * and b_part are values from part to part. */
CPU_PARTS_INLINE void cpu_tiles_step(const uint16_t *a0, const uint16_t *a1, int64_t a_part,
                                     const uint16_t *b0, const uint16_t *b1, int64_t b_part,
                                     int64_t b_pitch)
{
    CPU_TILES_LEFT(1);
    CPU_TILES_RIGHT(1);
    CPU_PARTS_MULTIPLY;
    CPU_TILES_RIGHT(0);
    CPU_PARTS_MULTIPLY;
    CPU_TILES_LEFT(2);
    CPU_PARTS_MULTIPLY;
    CPU_TILES_LEFT(0);
    CPU_PARTS_MULTIPLY;
    CPU_TILES_RIGHT(1);
    CPU_PARTS_MULTIPLY;
    CPU_TILES_RIGHT(2);
    CPU_PARTS_MULTIPLY;
}

#endif
#endif
