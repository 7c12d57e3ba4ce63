/* lanes_neon.h - vectors of 16-bit numbers, from and to bytes; for *_neon.c only. */
#ifndef WISPI_IMAGE_LANES_NEON_H
#define WISPI_IMAGE_LANES_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8 };
typedef uint16x8_t lanes;

static inline lanes load(const uint16_t *from)
{
    return vld1q_u16(from);
}

static inline void store(uint16_t *to, lanes v)
{
    vst1q_u16(to, v);
}

static inline lanes widen(const uint8_t *from, size_t n)
{
    uint8_t part[LANES] = {0};
    if (n < LANES)
        from = memcpy(part, from, n);
    return vmovl_u8(vld1_u8(from));
}

static inline void narrow(uint8_t *to, lanes v, size_t n)
{
    uint8_t part[LANES];
    vst1_u8(n < LANES ? part : to, vmovn_u16(v));
    if (n < LANES)
        memcpy(to, part, n);
}

static inline lanes add(lanes a, lanes b)
{
    return vaddq_u16(a, b);
}

static inline lanes sub(lanes a, lanes b)
{
    return vsubq_u16(a, b);
}

#endif
