/* pixels_avx2.h - 8 packed pixels in the lanes of a register, and luma; for *_avx2.c only. */
#ifndef WISPI_IMAGE_PIXELS_AVX2_H
#define WISPI_IMAGE_PIXELS_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* 24 bytes; the upper half of the register begins with byte 8. */
static inline __m256i wispi_load_packed256(const uint8_t *rgb)
{
    const __m128i low = _mm_loadu_si128((const __m128i *)(const void *)rgb);
    const __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(rgb + 8));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* Red, green, blue and 0 in each lane. */
static inline __m256i wispi_load_rgb256(const uint8_t *rgb)
{
    const __m256i at = _mm256_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1, 4, 5,
                                        6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15, -1);
    return _mm256_shuffle_epi8(wispi_load_packed256(rgb), at);
}

/* The first three bytes of each lane, to 24 bytes. */
static inline void wispi_store_rgb256(uint8_t *rgb, __m256i lanes)
{
    const __m256i at = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0,
                                        1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const __m256i joined = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(lanes, at),
                                                       _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
    _mm_storeu_si128((__m128i *)(void *)rgb, _mm256_castsi256_si128(joined));
    _mm_storel_epi64((__m128i *)(void *)(rgb + 16), _mm256_extracti128_si256(joined, 1));
}

/* Luma in 32 bits. Green's weight has 16 bits, so half of it goes with red and half with blue. */
static inline __m256i wispi_luma256_of(const uint8_t *rgb)
{
    const __m256i red_green =
        _mm256_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1, 4, -1, 5, -1, 7,
                         -1, 8, -1, 10, -1, 11, -1, 13, -1, 14, -1);
    const __m256i blue_green =
        _mm256_setr_epi8(2, -1, 1, -1, 5, -1, 4, -1, 8, -1, 7, -1, 11, -1, 10, -1, 6, -1, 5, -1, 9,
                         -1, 8, -1, 12, -1, 11, -1, 15, -1, 14, -1);
    const __m256i p = wispi_load_packed256(rgb);
    const __m256i with_red = _mm256_madd_epi16(_mm256_shuffle_epi8(p, red_green),
                                               _mm256_set1_epi32(19595 | 19235 << 16));
    const __m256i with_blue = _mm256_madd_epi16(_mm256_shuffle_epi8(p, blue_green),
                                                _mm256_set1_epi32(7471 | 19235 << 16));
    const __m256i sum =
        _mm256_add_epi32(_mm256_add_epi32(with_red, with_blue), _mm256_set1_epi32(0x8000));
    return _mm256_srli_epi32(sum, 16);
}

#endif
