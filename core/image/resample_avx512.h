/* resample_avx512.h - how the AVX-512 passes multiply.
 *
 * A product must keep all 22 bits behind the point, so a weight is written with three signed digits
 * to base 256, and pixels are multiplied with each digit by the instruction that sums the products
 * of four bytes in 32 bits.
 *
 * At the end the sums over digits are put together from the low one up, the eight bits behind its
 * point dropped before each is added to the next. Dropping bits in steps is dropping them at once,
 * so the whole is exact, and before the last six are dropped it fits in 16 bits. */
#ifndef WISPI_IMAGE_RESAMPLE_AVX512_H
#define WISPI_IMAGE_RESAMPLE_AVX512_H

#include <immintrin.h>

#include "image/resample_table.h"

enum { DIGITS = 3, DIGIT_BITS = 8, LAST_BITS = WISP_WEIGHT_BITS - (DIGITS - 1) * DIGIT_BITS };

typedef struct digit_sums {
    __m512i of[DIGITS];
} digit_sums;

/* Four weights, from low digits to high: 4 bytes of each, then 4 to be passed over. */
static inline __m128i digits_of(const int32_t *weights)
{
    const __m128i middle = _mm_set1_epi32(0x8080);
    const __m128i by_digit = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m128i four = _mm_loadu_si128((const __m128i *)(const void *)weights);
    return _mm_shuffle_epi8(_mm_xor_si128(_mm_add_epi32(four, middle), middle), by_digit);
}

static inline digit_sums one_half(void)
{
    const __m512i zero = _mm512_setzero_si512();
    return (digit_sums){{_mm512_set1_epi32(WISP_WEIGHT_HALF), zero, zero}};
}

static inline __m512i put_together(digit_sums sums)
{
    const __m512i low = _mm512_srai_epi32(sums.of[0], DIGIT_BITS);
    const __m512i middle = _mm512_srai_epi32(_mm512_add_epi32(low, sums.of[1]), DIGIT_BITS);
    return _mm512_add_epi32(middle, sums.of[2]);
}

/* The bytes of 64 sums; within each quarter of a register 4 of each. */
static inline __m512i bytes_of(const digit_sums sums[4])
{
    const __m512i ab = _mm512_packs_epi32(put_together(sums[0]), put_together(sums[1]));
    const __m512i cd = _mm512_packs_epi32(put_together(sums[2]), put_together(sums[3]));
    return _mm512_packus_epi16(_mm512_srai_epi16(ab, LAST_BITS), _mm512_srai_epi16(cd, LAST_BITS));
}

static inline __mmask64 first_bytes(size_t n)
{
    return n < 64 ? ((__mmask64)1 << n) - 1 : ~(__mmask64)0;
}

/* The pass across: resample_across_avx512.c. */
size_t wispi_across_avx512_bytes(const wispi_resample_table *table);
void wispi_across_avx512_order(const wispi_resample_table *table, void *ordered);
void wispi_across_avx512(const wispi_resample_table *table, wispi_rows from, uint8_t *out);

#endif
