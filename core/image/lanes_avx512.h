/* lanes_avx512.h - vectors of 16-bit numbers, from and to bytes; for *_avx512.c only. */
#ifndef WISPI_IMAGE_LANES_AVX512_H
#define WISPI_IMAGE_LANES_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 32 };
typedef __m512i lanes;

static inline lanes load(const uint16_t *from)
{
    return _mm512_loadu_si512(from);
}

static inline void store(uint16_t *to, lanes v)
{
    _mm512_storeu_si512(to, v);
}

static inline lanes widen(const uint8_t *from, size_t n)
{
    if (n == LANES)
        return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
    return _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8((1u << n) - 1, from));
}

static inline void narrow(uint8_t *to, lanes v, size_t n)
{
    if (n == LANES)
        _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi16_epi8(v));
    else
        _mm256_mask_storeu_epi8(to, (1u << n) - 1, _mm512_cvtepi16_epi8(v));
}

static inline lanes add(lanes a, lanes b)
{
    return _mm512_add_epi16(a, b);
}

static inline lanes sub(lanes a, lanes b)
{
    return _mm512_sub_epi16(a, b);
}

#endif
