/* lanes_avx2.h - vectors of 16-bit numbers, from and to bytes; for *_avx2.c only. */
#ifndef WISPI_IMAGE_LANES_AVX2_H
#define WISPI_IMAGE_LANES_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16 };
typedef __m256i lanes;

static inline lanes load(const uint16_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

static inline void store(uint16_t *to, lanes v)
{
    _mm256_storeu_si256((__m256i *)(void *)to, v);
}

static inline lanes widen(const uint8_t *from, size_t n)
{
    uint8_t part[LANES] = {0};
    if (n < LANES)
        from = memcpy(part, from, n);
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

static inline void narrow(uint8_t *to, lanes v, size_t n)
{
    uint8_t part[LANES];
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(v, v), 0x08);
    uint8_t *whole = n < LANES ? part : to;
    _mm_storeu_si128((__m128i *)(void *)whole, _mm256_castsi256_si128(packed));
    if (n < LANES)
        memcpy(to, part, n);
}

static inline lanes add(lanes a, lanes b)
{
    return _mm256_add_epi16(a, b);
}

static inline lanes sub(lanes a, lanes b)
{
    return _mm256_sub_epi16(a, b);
}

#endif
