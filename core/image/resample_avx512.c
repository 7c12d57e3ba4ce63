/* resample_avx512.c - the pass down in AVX-512: four rows are woven together, so that the four
 * bytes of a column lie side by side. */
#include "image/resample_weigh.h"

#if defined(__x86_64__)
#include "image/resample_avx512.h"

enum { WIDTH = 64 };

static size_t order_bytes(const wispi_resample_table *table)
{
    return (size_t)table->line.count * (size_t)table->n_weights * sizeof(int32_t);
}

static void order_weights(const wispi_resample_table *table, void *ordered)
{
    const size_t n = (size_t)table->line.count * (size_t)table->n_weights;
    for (size_t i = 0; i < n; i += 4)
        _mm_store_si128((__m128i *)ordered + i / 4, digits_of(table->weights + i));
}

/* Rows to be mixed, from the first byte wanted on. */
typedef struct block_source {
    const uint8_t *bytes;
    size_t stride;
    size_t wanted; /* bytes of each row; WIDTH as a constant saves the masks */
} block_source;

WISPI_FLATTEN __m512i row_at(const block_source *from, size_t row)
{
    const uint8_t *bytes = from->bytes + row * from->stride;
    return from->wanted == WIDTH ? _mm512_loadu_si512(bytes)
                                 : _mm512_maskz_loadu_epi8(first_bytes(from->wanted), bytes);
}

/* Adds four rows from the t-th on. */
WISPI_FLATTEN void add_rows(digit_sums sums[4], const block_source *from, size_t t,
                            const int32_t *digits)
{
    const __m512i a = row_at(from, t), b = row_at(from, t + 1);
    const __m512i c = row_at(from, t + 2), d = row_at(from, t + 3);
    const __m512i low_ab = _mm512_unpacklo_epi8(a, b), low_cd = _mm512_unpacklo_epi8(c, d);
    const __m512i high_ab = _mm512_unpackhi_epi8(a, b), high_cd = _mm512_unpackhi_epi8(c, d);
    const __m512i woven[4] = {
        _mm512_unpacklo_epi16(low_ab, low_cd), _mm512_unpackhi_epi16(low_ab, low_cd),
        _mm512_unpacklo_epi16(high_ab, high_cd), _mm512_unpackhi_epi16(high_ab, high_cd)};
    for (int k = 0; k < DIGITS; k++) {
        const __m512i weights = _mm512_set1_epi32(digits[k]);
        for (int i = 0; i < 4; i++)
            sums[i].of[k] = _mm512_dpbusd_epi32(sums[i].of[k], woven[i], weights);
    }
}

WISPI_FLATTEN __m512i mixed(const block_source *from, size_t n_weights, const int32_t *digits)
{
    digit_sums sums[4] = {one_half(), one_half(), one_half(), one_half()};
    for (size_t t = 0; t < n_weights; t += 4)
        add_rows(sums, from, t, digits + t);
    return bytes_of(sums);
}

/* A row of the result. The last block overlaps the one before. */
WISPI_FLATTEN void mix_row(const uint8_t *rows, size_t stride, size_t n_weights,
                           const int32_t *digits, uint8_t *out, size_t length)
{
    if (length < WIDTH) {
        const block_source few = {rows, stride, length};
        _mm512_mask_storeu_epi8(out, first_bytes(length), mixed(&few, n_weights, digits));
        return;
    }
    for (size_t i = 0; i < length; i += WIDTH) {
        const size_t at = i + WIDTH <= length ? i : length - WIDTH;
        const block_source block = {rows + at, stride, WIDTH};
        _mm512_storeu_si512(out + at, mixed(&block, n_weights, digits));
    }
}

/* A constant number of weights lets the compiler lay out all that becomes of a block. */
WISPI_FLATTEN void mix_rows(const wispi_resample_table *table, wispi_rows from, size_t n_weights,
                            uint8_t *out)
{
    const int32_t *digits = table->ordered;
    for (int32_t y = 0; y < table->line.count; y++, digits += n_weights, out += from.length)
        mix_row(from.bytes + (size_t)table->start[y] * from.stride, from.stride, n_weights, digits,
                out, from.length);
}

static void down(const wispi_resample_table *table, wispi_rows from, uint8_t *out)
{
    if (table->n_weights == 4)
        mix_rows(table, from, 4, out);
    else if (table->n_weights == 8)
        mix_rows(table, from, 8, out);
    else if (table->n_weights == 12)
        mix_rows(table, from, 12, out);
    else
        mix_rows(table, from, (size_t)table->n_weights, out);
}

const wispi_resample_kernels wispi_resample_avx512 = {
    .weigh = wispi_weigh_lanes,
    .across_order = {wispi_across_avx512_bytes, wispi_across_avx512_order},
    .down_order = {order_bytes, order_weights},
    .across = wispi_across_avx512,
    .down = down};
#endif
