/* resample_avx2.c - the two passes in AVX2.
 *
 * A product must keep all 22 bits behind the point, so a weight is split into two signed halves of
 * 16 bits, and pairs of pixels are multiplied with each by the instruction that sums two products
 * in 32 bits. The halves are put together at the end, modulo 2^32, which is exact because the sum
 * that they stand for fits. */
#include "image/resample_table.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "image/resample_weigh.h"

enum { ROWS = 4, WIDTH = 32 };

typedef struct half_sums {
    __m256i low, high;
} half_sums;

static size_t order_bytes(const wispi_resample_table *table)
{
    return (size_t)table->line.count * (size_t)table->n_weights * sizeof(int32_t);
}

/* Every four weights: their low halves, then their high ones. */
static void order_weights(const wispi_resample_table *table, void *ordered)
{
    const __m128i by_half = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    const size_t n = (size_t)table->line.count * (size_t)table->n_weights;
    for (size_t i = 0; i < n; i += 4) {
        const __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(table->weights + i));
        const __m128i carry = _mm_and_si128(four, _mm_set1_epi32(0x8000));
        const __m128i halves = _mm_add_epi32(four, _mm_add_epi32(carry, carry));
        _mm_storeu_si128((__m128i *)ordered + i / 4, _mm_shuffle_epi8(halves, by_half));
    }
}

static inline half_sums one_half(void)
{
    return (half_sums){_mm256_set1_epi32(WISP_WEIGHT_HALF), _mm256_setzero_si256()};
}

/* Two weights, low and high halves. */
typedef struct weight_pair {
    __m256i low, high;
} weight_pair;

/* Pair 0 or 1 of four weights. */
static inline weight_pair pair_of(const int32_t *halves, int pair)
{
    return (weight_pair){_mm256_set1_epi32(halves[pair]), _mm256_set1_epi32(halves[2 + pair])};
}

static inline void add_pairs(half_sums *sums, __m256i pixels, weight_pair weights)
{
    sums->low = _mm256_add_epi32(sums->low, _mm256_madd_epi16(pixels, weights.low));
    sums->high = _mm256_add_epi32(sums->high, _mm256_madd_epi16(pixels, weights.high));
}

static inline __m256i without_fraction(half_sums sums)
{
    return _mm256_srai_epi32(_mm256_add_epi32(sums.low, _mm256_slli_epi32(sums.high, 16)),
                             WISP_WEIGHT_BITS);
}

/* --- across: the pixel of two rows in a vector, a half for each --- */

/* Rows that are handled together; where there are fewer than four, some come twice. */
typedef struct row_group {
    const uint8_t *from[ROWS];
    size_t length; /* bytes that may be read of each; where rows follow, theirs count too */
    uint8_t *out[ROWS];
} row_group;

/* Four pixels, 12 bytes; no byte more unless 16 may be read. */
WISPI_FLATTEN __m128i four_pixels(const uint8_t *at, int inside)
{
    return inside
               ? _mm_loadu_si128((const __m128i *)(const void *)at)
               : _mm_maskload_epi32((const int *)(const void *)at, _mm_setr_epi32(-1, -1, -1, 0));
}

static inline void add_four_pixels(half_sums *sums, __m256i pixels, const weight_pair weights[2])
{
    const __m256i first = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i second = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    add_pairs(sums, _mm256_shuffle_epi8(pixels, first), weights[0]);
    add_pairs(sums, _mm256_shuffle_epi8(pixels, second), weights[1]);
}

/* A pixel of each row; 4 bytes for each, in the order 0, 2, 1, 3. */
WISPI_FLATTEN __m256i pixel_across(const row_group *rows, size_t at, const int32_t *halves,
                                   int32_t n_weights, int inside)
{
    half_sums sums[2] = {one_half(), one_half()};
    for (int32_t t = 0; t < n_weights; t += 4, at += 12) {
        const weight_pair weights[2] = {pair_of(halves + t, 0), pair_of(halves + t, 1)};
        for (int i = 0; i < 2; i++) {
            const __m128i left = four_pixels(rows->from[2 * i] + at, inside);
            const __m128i right = four_pixels(rows->from[2 * i + 1] + at, inside);
            add_four_pixels(&sums[i], _mm256_set_m128i(right, left), weights);
        }
    }
    const __m256i words = _mm256_packs_epi32(without_fraction(sums[0]), without_fraction(sums[1]));
    return _mm256_packus_epi16(words, words);
}

/* `n` bytes of a pixel for each row; the fourth belongs to the next pixel, which is yet to come. */
WISPI_FLATTEN void store_pixels(const row_group *rows, size_t at, __m256i pixels, size_t n)
{
    const int32_t pixel[ROWS] = {_mm256_extract_epi32(pixels, 0), _mm256_extract_epi32(pixels, 4),
                                 _mm256_extract_epi32(pixels, 1), _mm256_extract_epi32(pixels, 5)};
    for (size_t r = 0; r < ROWS; r++)
        memcpy(rows->out[r] + at, &pixel[r], n);
}

/* A constant number of weights lets the compiler lay out all that becomes of a pixel. */
WISPI_FLATTEN void four_rows_across(const wispi_resample_table *table, const row_group *rows,
                                    int32_t n_weights)
{
    const size_t reach = (size_t)n_weights * 3 + 4, last = (size_t)table->line.count - 1;
    const int32_t *halves = table->ordered;
    for (size_t x = 0; x <= last; x++, halves += n_weights) {
        const size_t at = (size_t)table->start[x] * 3;
        const __m256i pixels = at + reach <= rows->length
                                   ? pixel_across(rows, at, halves, n_weights, 1)
                                   : pixel_across(rows, at, halves, n_weights, 0);
        if (x < last)
            store_pixels(rows, 3 * x, pixels, 4);
        else
            store_pixels(rows, 3 * x, pixels, 3);
    }
}

static void across(const wispi_resample_table *table, wispi_rows from, uint8_t *out)
{
    const size_t row_bytes = (size_t)table->line.count * 3;
    for (int32_t y = 0; y < from.count; y += ROWS) {
        const int32_t below = y + ROWS < from.count ? from.count - y - ROWS : 0;
        row_group rows = {.length = (size_t)below * from.stride + from.length};
        for (int32_t r = 0; r < ROWS; r++) {
            const size_t at = (size_t)(y + r < from.count ? y + r : from.count - 1);
            rows.from[r] = from.bytes + at * from.stride;
            rows.out[r] = out + at * row_bytes;
        }
        if (table->n_weights == 4)
            four_rows_across(table, &rows, 4);
        else if (table->n_weights == 8)
            four_rows_across(table, &rows, 8);
        else
            four_rows_across(table, &rows, table->n_weights);
    }
}

/* --- down: two rows are woven together, so that a pixel's two bytes lie side by side --- */

static inline __m256i bytes_at(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

static inline void add_two_rows(half_sums sums[4], const uint8_t *rows, size_t stride,
                                weight_pair weights)
{
    const __m256i zero = _mm256_setzero_si256(), a = bytes_at(rows), b = bytes_at(rows + stride);
    const __m256i left = _mm256_unpacklo_epi8(a, b), right = _mm256_unpackhi_epi8(a, b);
    add_pairs(&sums[0], _mm256_unpacklo_epi8(left, zero), weights);
    add_pairs(&sums[1], _mm256_unpackhi_epi8(left, zero), weights);
    add_pairs(&sums[2], _mm256_unpacklo_epi8(right, zero), weights);
    add_pairs(&sums[3], _mm256_unpackhi_epi8(right, zero), weights);
}

static inline void mix_block(const uint8_t *rows, size_t stride, const int32_t *halves,
                             int32_t n_weights, uint8_t *out)
{
    half_sums sums[4] = {one_half(), one_half(), one_half(), one_half()};
    for (int32_t t = 0; t < n_weights; t += 4, rows += 4 * stride) {
        add_two_rows(sums, rows, stride, pair_of(halves + t, 0));
        add_two_rows(sums, rows + 2 * stride, stride, pair_of(halves + t, 1));
    }
    const __m256i left = _mm256_packs_epi32(without_fraction(sums[0]), without_fraction(sums[1]));
    const __m256i right = _mm256_packs_epi32(without_fraction(sums[2]), without_fraction(sums[3]));
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_packus_epi16(left, right));
}

/* The last block of a row overlaps the one before. */
static void down(const wispi_resample_table *table, wispi_rows from, uint8_t *out)
{
    const int32_t *halves = table->ordered;
    if (from.length < WIDTH) {
        wispi_resample_plain.down(table, from, out);
        return;
    }
    for (int32_t y = 0; y < table->line.count; y++, out += from.length) {
        const uint8_t *rows = from.bytes + (size_t)table->start[y] * from.stride;
        for (size_t i = 0; i < from.length; i += WIDTH) {
            const size_t at = i + WIDTH <= from.length ? i : from.length - WIDTH;
            mix_block(rows + at, from.stride, halves, table->n_weights, out + at);
        }
        halves += table->n_weights;
    }
}

const wispi_resample_kernels wispi_resample_avx2 = {.weigh = wispi_weigh_lanes,
                                                    .across_order = {order_bytes, order_weights},
                                                    .down_order = {order_bytes, order_weights},
                                                    .across = across,
                                                    .down = down};
#endif
