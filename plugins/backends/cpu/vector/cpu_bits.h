/* cpu_bits.h - floating-point numbers as bits, and bf16. */
#ifndef CPU_BITS_H
#define CPU_BITS_H

#include <stdint.h>
#include <string.h>

#define CPU_INLINE static inline __attribute__((always_inline))

CPU_INLINE float cpu_float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

CPU_INLINE uint32_t cpu_bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

CPU_INLINE float cpu_from_bf16(uint16_t h)
{
    return cpu_float_of_bits((uint32_t)h << 16);
}

/* Rounds to nearest, ties to even. No choice between cases, which compilers would spread over half
 * a loop: a NaN is only kept from overflowing into the sign. (A signalling NaN, which no arithmetic
 * makes, may become an infinity.) */
CPU_INLINE uint16_t cpu_to_bf16(float f)
{
    const uint32_t bits = cpu_bits_of_float(f);
    const uint32_t rounded = (bits & 0x7fffffffu) + (0x7fffu + ((bits >> 16) & 1u));
    const uint32_t limited = rounded < 0x7fffffffu ? rounded : 0x7fffffffu;
    return (uint16_t)((limited | (bits & 0x80000000u)) >> 16);
}

#endif
