/* pixels_avx512.h - 16 packed pixels in the lanes of a register, and luma; for *_avx512.c only. */
#ifndef WISPI_IMAGE_PIXELS_AVX512_H
#define WISPI_IMAGE_PIXELS_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* Of their bytes. */
static inline __mmask64 wispi_pixels_mask(size_t n)
{
    return ((__mmask64)1 << 3 * (n < 16 ? n : 16)) - 1;
}

/* Byte orders for _mm512_permutexvar_epi8, of the 48 bytes of 16 pixels. */

/* Thrice the first byte of each lane. */
static inline __m512i wispi_thrice512(void)
{
    static const uint8_t at[64] = {0,  0,  0,  4,  4,  4,  8,  8,  8,  12, 12, 12, 16, 16, 16, 20,
                                   20, 20, 24, 24, 24, 28, 28, 28, 32, 32, 32, 36, 36, 36, 40, 40,
                                   40, 44, 44, 44, 48, 48, 48, 52, 52, 52, 56, 56, 56, 60, 60, 60,
                                   0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0};
    return _mm512_loadu_si512(at);
}

/* The first three bytes of each lane. */
static inline __m512i wispi_gather_lanes512(void)
{
    static const uint8_t at[64] = {0,  1,  2,  4,  5,  6,  8,  9,  10, 12, 13, 14, 16, 17, 18, 20,
                                   21, 22, 24, 25, 26, 28, 29, 30, 32, 33, 34, 36, 37, 38, 40, 41,
                                   42, 44, 45, 46, 48, 49, 50, 52, 53, 54, 56, 57, 58, 60, 61, 62,
                                   0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0};
    return _mm512_loadu_si512(at);
}

/* From 16 bytes each that hold 4 of red, 4 of green and 4 of blue. */
static inline __m512i wispi_gather_packed512(void)
{
    static const uint8_t at[64] = {0,  4,  8,  1,  5,  9,  2,  6,  10, 3,  7,  11, 16, 20, 24, 17,
                                   21, 25, 18, 22, 26, 19, 23, 27, 32, 36, 40, 33, 37, 41, 34, 38,
                                   42, 35, 39, 43, 48, 52, 56, 49, 53, 57, 50, 54, 58, 51, 55, 59,
                                   0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0};
    return _mm512_loadu_si512(at);
}

/* Red, green, blue and green again in each lane. */
static inline __m512i wispi_rgbg512(__m512i packed)
{
    const __m512i at =
        _mm512_set_epi32(0x2e2f2e2d, 0x2b2c2b2a, 0x28292827, 0x25262524, 0x22232221, 0x1f201f1e,
                         0x1c1d1c1b, 0x191a1918, 0x16171615, 0x13141312, 0x1011100f, 0x0d0e0d0c,
                         0x0a0b0a09, 0x07080706, 0x04050403, 0x01020100);
    return _mm512_permutexvar_epi8(at, packed);
}

/* The bytes of the next pixels: 16, or the n that are left. A loop that changes pixels in place
 * loads them before it stores those before: the processor takes masked accesses for whole ones and
 * would wait for a store whose end they seem to read. */
static inline __m512i wispi_load512(const uint8_t *rgb, size_t n)
{
    return _mm512_maskz_loadu_epi8(wispi_pixels_mask(n), rgb);
}

static inline __m512i wispi_load_behind512(const uint8_t *rgb, size_t n)
{
    return wispi_load512(rgb + 48, n < 16 ? 0 : n - 16);
}

/* The weights of luma in 16 bits, as 256 times a signed byte plus another; green's is halved, since
 * green stands in a lane twice. */
typedef struct wispi_luma512 {
    __m512i high, low, half;
} wispi_luma512;

static inline wispi_luma512 wispi_luma512_constants(void)
{
    wispi_luma512 k;
    k.high = _mm512_set1_epi32(77 | 75 << 8 | 29 << 16 | 75 << 24);
    k.low = _mm512_set1_epi32((19595 - 77 * 256 + 256) | (19235 - 75 * 256) << 8 |
                              (7471 - 29 * 256) << 16 | (19235 - 75 * 256) << 24);
    k.half = _mm512_set1_epi32(0x8000);
    return k;
}

/* Luma of 16 pixels as from wispi_rgbg512, in 32 bits. */
static inline __m512i wispi_luma512_of(const wispi_luma512 *k, __m512i rgbg)
{
    const __m512i high = _mm512_dpbusd_epi32(_mm512_setzero_si512(), rgbg, k->high);
    const __m512i low = _mm512_dpbusd_epi32(k->half, rgbg, k->low);
    return _mm512_srli_epi32(_mm512_add_epi32(_mm512_slli_epi32(high, 8), low), 16);
}

#endif
