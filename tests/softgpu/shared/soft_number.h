/* Numbers of the device's formats on the host. Conversions round to nearest, ties to even, as the
 * device's own instructions do. */
#ifndef WISP_SOFT_NUMBER_H
#define WISP_SOFT_NUMBER_H

#include <stdint.h>
#include <string.h>

static inline float soft_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t soft_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float soft_of_bf16(uint16_t value)
{
    return soft_of_bits((uint32_t)value << 16);
}

/* Keeps the upper bits of a float from bit `low` on. */
static inline uint32_t soft_rounded(float value, unsigned low)
{
    uint32_t bits = soft_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return bits | 0x400000u;
    uint32_t odd = (bits >> low) & 1u;
    return (bits + ((1u << (low - 1)) - 1u) + odd) >> low << low;
}

static inline uint16_t soft_to_bf16(float value)
{
    return (uint16_t)(soft_rounded(value, 16) >> 16);
}

/* TF32 keeps 10 bits of the mantissa. */
static inline float soft_tf32(float value)
{
    return soft_of_bits(soft_rounded(value, 13));
}

#endif
