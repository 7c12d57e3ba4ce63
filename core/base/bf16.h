/* bf16.h - single precision to the upper half of its bits, and back. */
#ifndef WISPI_BASE_BF16_H
#define WISPI_BASE_BF16_H

#include <stdint.h>
#include <string.h>

/* To the nearest, ties to even; a NaN stays one. */
static inline uint16_t wispi_bf16_from_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline float wispi_f32_from_bf16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

#endif
