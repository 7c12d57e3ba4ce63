/* resample_across_avx512.c - the pass across in AVX-512, four rows at a time.
 *
 * Where 16 bytes of the result draw on few pixels, one vector holds their sums: a permutation of 64
 * or 128 bytes, the same for every four weights of a block, brings each sum its four bytes. Where
 * they draw on many, a vector holds 16 pixels of the source by channel, and each pixel of the
 * result is summed up by itself. */
#include "image/resample_kernels.h"

#if defined(__x86_64__)
#include "image/resample_avx512.h"

#include <string.h>

enum {
    ROWS = 4,
    LANES = 16, /* sums in a vector */
    TAPS = 16,  /* pixels in a vector by channel */
    WIDTH = 64  /* bytes in a vector */
};

/* Rows that are handled together; where there are fewer than four, some come twice. */
typedef struct row_group {
    const uint8_t *from[ROWS];
    size_t length; /* bytes that may be read of each; where rows follow, theirs count too */
    uint8_t *out[ROWS];
} row_group;

/* Vectors that hold the pixels for four weights of 16 bytes of the result; 0 for more than 2.
 *
 * The 16 bytes belong to 6 pixels at most, whose windows begin up to 5 steps apart, rounded up, and
 * one more where steps are inexact. With the 4 pixels for the last of them that must fit in 64 or
 * 128 bytes: 21 or 42 pixels. */
static int vectors_for(const wispi_resample_line *line)
{
    const int64_t steps = 5 * (int64_t)line->in, out = line->out;
    return steps <= 16 * out ? 1 : steps <= 37 * out ? 2 : 0;
}

/* --- 16 bytes of the result in a vector --- */

/* What a block of 16 bytes needs; for every four weights a vector of each digit follows it. */
typedef struct block_head {
    __m512i places;   /* of bytes, from the first of its pixels on */
    size_t first;     /* byte of the row */
    __mmask64 second; /* which places are in the second vector */
    size_t padding[6];
} block_head;

static size_t block_bytes(size_t n_weights)
{
    return sizeof(block_head) + n_weights / 4 * DIGITS * sizeof(__m512i);
}

static size_t dense_bytes(const wispi_resample_table *table)
{
    const size_t blocks = ((size_t)table->line.count * 3 + LANES - 1) / LANES;
    return blocks * block_bytes((size_t)table->n_weights);
}

/* The block that begins with byte `byte` of the result: its first pixel, and that of each lane,
 * counted from there. */
typedef struct block_pixels {
    int32_t first, last; /* of the result, up to its last */
    __m512i of_lane, channel;
} block_pixels;

static block_pixels pixels_of(const wispi_resample_table *table, size_t byte)
{
    static const int32_t third[LANES + 2] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5};
    const int32_t *of_lane = third + byte % 3;
    const int32_t end = table->line.count - 1, first = (int32_t)(byte / 3);
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    block_pixels p = {first, first + 5 < end ? first + 5 : end, _mm512_loadu_si512(of_lane), lane};
    p.channel = _mm512_sub_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32((int32_t)(byte % 3))),
                                 _mm512_mullo_epi32(p.of_lane, _mm512_set1_epi32(3)));
    return p;
}

static void place_block(const wispi_resample_table *table, const block_pixels *p, block_head *head)
{
    const int32_t left = table->start[p->first], right = table->start[p->last];
    const int32_t first = left < right ? left : right, n = p->last - p->first + 1;
    const __m512i start = _mm512_permutexvar_epi32(
        p->of_lane,
        _mm512_maskz_loadu_epi32((__mmask16)first_bytes((size_t)n), table->start + p->first));
    const __m512i pixel = _mm512_sub_epi32(start, _mm512_set1_epi32(first));
    const __m512i byte =
        _mm512_add_epi32(_mm512_mullo_epi32(pixel, _mm512_set1_epi32(3)), p->channel);
    head->places = _mm512_add_epi32(_mm512_mullo_epi32(byte, _mm512_set1_epi32(0x01010101)),
                                    _mm512_set1_epi32(0x09060300));
    head->second = _mm512_test_epi8_mask(head->places, _mm512_set1_epi8(WIDTH));
    head->first = (size_t)first * 3;
}

/* Digits of four weights of pixel `x` and the three after it, up to `last`. */
static inline __m512i digits_of_pixels(const int32_t *weights, int32_t n_weights, int32_t x,
                                       int32_t last)
{
    __m128i digits[4];
    for (int32_t i = 0; i < 4; i++, x++)
        digits[i] = digits_of(weights + (size_t)n_weights * (size_t)(x < last ? x : last));
    return _mm512_loadu_si512(digits);
}

static void order_block(const wispi_resample_table *table, const block_pixels *p, __m512i *digits)
{
    const __m512i place = _mm512_slli_epi32(p->of_lane, 2);
    for (int32_t t = 0; t < table->n_weights; t += 4) {
        const __m512i left =
            digits_of_pixels(table->weights + t, table->n_weights, p->first, p->last);
        const __m512i right =
            digits_of_pixels(table->weights + t, table->n_weights, p->first + 4, p->last);
        for (int32_t d = 0; d < DIGITS; d++)
            *digits++ = _mm512_permutex2var_epi32(
                left, _mm512_add_epi32(place, _mm512_set1_epi32(d)), right);
    }
}

static void order_dense(const wispi_resample_table *table, char *ordered)
{
    const size_t n = (size_t)table->line.count * 3;
    for (size_t byte = 0; byte < n; byte += LANES) {
        block_head *head = (block_head *)(void *)ordered;
        const block_pixels p = pixels_of(table, byte);
        place_block(table, &p, head);
        order_block(table, &p, (__m512i *)(void *)(head + 1));
        ordered += block_bytes((size_t)table->n_weights);
    }
}

/* How a block is made; constants where they are used, so that the compiler lays out each kind. */
typedef struct block_kind {
    size_t n_weights;
    int vectors; /* 1 or 2 for the pixels of four weights */
    int inside;  /* all that vectors reach may be read */
} block_kind;

/* The `length` bytes from `at` on and zeros, or more bytes. */
WISPI_FLATTEN __m512i bytes_at(const uint8_t *at, size_t length, block_kind kind)
{
    return kind.inside ? _mm512_loadu_si512(at) : _mm512_maskz_loadu_epi8(first_bytes(length), at);
}

WISPI_FLATTEN __m512i pixels_at(const block_head *head, const uint8_t *at, size_t length,
                                block_kind kind)
{
    const __m512i pixels = _mm512_permutexvar_epi8(head->places, bytes_at(at, length, kind));
    if (kind.vectors == 1 || (!kind.inside && length <= WIDTH))
        return pixels;
    return _mm512_mask_permutexvar_epi8(pixels, head->second, head->places,
                                        bytes_at(at + WIDTH, length - WIDTH, kind));
}

/* 4 rows of 16 bytes, a quarter of the result for each. */
WISPI_FLATTEN __m512i dense_block(const block_head *head, const row_group *rows, block_kind kind)
{
    const __m512i by_row = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i *digits = (const __m512i *)(const void *)(head + 1);
    digit_sums sums[ROWS] = {one_half(), one_half(), one_half(), one_half()};
    size_t at = head->first;
    for (size_t t = 0; t < kind.n_weights; t += 4, digits += DIGITS, at += 12) {
        for (int r = 0; r < ROWS; r++) {
            const __m512i pixels = pixels_at(head, rows->from[r] + at, rows->length - at, kind);
            for (int d = 0; d < DIGITS; d++)
                sums[r].of[d] = _mm512_dpbusd_epi32(sums[r].of[d], pixels, digits[d]);
        }
    }
    return _mm512_permutexvar_epi32(by_row, bytes_of(sums));
}

static inline void store_rows(const row_group *rows, size_t at, __m512i bytes)
{
    _mm_storeu_si128((__m128i *)(void *)(rows->out[0] + at), _mm512_castsi512_si128(bytes));
    _mm_storeu_si128((__m128i *)(void *)(rows->out[1] + at), _mm512_extracti32x4_epi32(bytes, 1));
    _mm_storeu_si128((__m128i *)(void *)(rows->out[2] + at), _mm512_extracti32x4_epi32(bytes, 2));
    _mm_storeu_si128((__m128i *)(void *)(rows->out[3] + at), _mm512_extracti32x4_epi32(bytes, 3));
}

static void store_row_ends(const row_group *rows, size_t at, size_t n, __m512i bytes)
{
    uint8_t ends[ROWS][LANES];
    _mm512_storeu_si512(ends, bytes);
    for (int r = 0; r < ROWS; r++)
        memcpy(rows->out[r] + at, ends[r], n);
}

WISPI_FLATTEN void dense_blocks(const wispi_resample_table *table, const row_group *rows,
                                size_t n_weights, int vectors)
{
    const size_t n = (size_t)table->line.count * 3;
    const size_t reach = (n_weights / 4 - 1) * 12 + (size_t)vectors * WIDTH;
    const char *ordered = table->ordered;
    for (size_t i = 0; i < n; i += LANES, ordered += block_bytes(n_weights)) {
        const block_head *head = (const block_head *)(const void *)ordered;
        const block_kind inside = {n_weights, vectors, 1}, at_end = {n_weights, vectors, 0};
        const __m512i bytes = head->first + reach <= rows->length ? dense_block(head, rows, inside)
                                                                  : dense_block(head, rows, at_end);
        if (i + LANES <= n)
            store_rows(rows, i, bytes);
        else
            store_row_ends(rows, i, n - i, bytes);
    }
}

static void across_dense(const wispi_resample_table *table, const row_group *rows)
{
    if (vectors_for(&table->line) == 2)
        dense_blocks(table, rows, (size_t)table->n_weights, 2);
    else if (table->n_weights == 4)
        dense_blocks(table, rows, 4, 1);
    else if (table->n_weights == 8)
        dense_blocks(table, rows, 8, 1);
    else if (table->n_weights == 12)
        dense_blocks(table, rows, 12, 1);
    else
        dense_blocks(table, rows, (size_t)table->n_weights, 1);
}

/* --- 16 pixels of the source in a vector --- */

static size_t vectors_of(const wispi_resample_table *table)
{
    return ((size_t)table->n_weights + TAPS - 1) / TAPS;
}

static size_t sparse_bytes(const wispi_resample_table *table)
{
    return (size_t)table->line.count * vectors_of(table) * DIGITS * TAPS;
}

/* For each pixel and each 16 weights the low digits, the middle ones, the high ones. */
static void order_sparse(const wispi_resample_table *table, int8_t *ordered)
{
    memset(ordered, 0, sparse_bytes(table));
    for (size_t x = 0; x < (size_t)table->line.count; x++) {
        const int32_t *weights = table->weights + x * (size_t)table->n_weights;
        int8_t *digits = ordered + x * vectors_of(table) * DIGITS * TAPS;
        for (size_t t = 0; t < (size_t)table->n_weights; t += 4) {
            int8_t four[4 * sizeof(int32_t)];
            _mm_storeu_si128((__m128i *)(void *)four, digits_of(weights + t));
            for (size_t d = 0; d < DIGITS; d++)
                memcpy(digits + (t / TAPS * DIGITS + d) * TAPS + t % TAPS, four + 4 * d, 4);
        }
    }
}

/* Digits must be put together before sums of sums are made, so no bits may be dropped here. */
static inline __m512i whole_sums(digit_sums sums)
{
    const __m512i high =
        _mm512_add_epi32(_mm512_slli_epi32(sums.of[2], 16), _mm512_slli_epi32(sums.of[1], 8));
    return _mm512_add_epi32(sums.of[0], high);
}

/* Sums within quarters of four vectors: number r of quarter c is the sum of quarter c of row r. */
static inline __m512i sums_of_quarters(const digit_sums sums[ROWS])
{
    const __m512i a = whole_sums(sums[0]), b = whole_sums(sums[1]), c = whole_sums(sums[2]),
                  d = whole_sums(sums[3]);
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* A pixel of each row: byte 4 * r + c. */
static inline __m128i pixel_bytes(const digit_sums sums[ROWS])
{
    const __m512i by_row = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i rounded =
        _mm512_add_epi32(sums_of_quarters(sums), _mm512_set1_epi32(WISP_WEIGHT_HALF));
    const __m512i values =
        _mm512_max_epi32(_mm512_srai_epi32(rounded, WISP_WEIGHT_BITS), _mm512_setzero_si512());
    return _mm512_cvtusepi32_epi8(_mm512_permutexvar_epi32(by_row, values));
}

/* From the bytes of 16 pixels, a quarter for each channel. */
static inline __m512i channels_apart(__m512i bytes)
{
    static const int8_t place[64] = {
        0,  3,  6,  9,  12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45, 1,  4,  7,  10, 13, 16,
        19, 22, 25, 28, 31, 34, 37, 40, 43, 46, 2,  5,  8,  11, 14, 17, 20, 23, 26, 29, 32, 35,
        38, 41, 44, 47, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48};
    return _mm512_permutexvar_epi8(_mm512_loadu_si512(place), bytes);
}

static inline void add_sixteen(digit_sums *sums, __m512i pixels, const int8_t *digits)
{
    for (int d = 0; d < DIGITS; d++) {
        const __m128i weights = _mm_loadu_si128((const __m128i *)(const void *)(digits + d * TAPS));
        sums->of[d] = _mm512_dpbusd_epi32(sums->of[d], pixels, _mm512_broadcast_i32x4(weights));
    }
}

static inline __m128i sparse_pixel(const int8_t *digits, size_t n_vectors, const row_group *rows,
                                   size_t at)
{
    digit_sums sums[ROWS] = {0};
    for (size_t v = 0; v < n_vectors; v++, at += 3 * TAPS, digits += DIGITS * TAPS) {
        const size_t left = rows->length - at;
        const __mmask64 inside = first_bytes(left < 3 * TAPS ? left : 3 * TAPS);
        for (int r = 0; r < ROWS; r++)
            add_sixteen(&sums[r],
                        channels_apart(_mm512_maskz_loadu_epi8(inside, rows->from[r] + at)),
                        digits);
    }
    return pixel_bytes(sums);
}

static void across_sparse(const wispi_resample_table *table, const row_group *rows)
{
    const size_t n_vectors = vectors_of(table);
    const int8_t *digits = table->ordered;
    for (size_t x = 0; x < (size_t)table->line.count; x++) {
        uint8_t pixels[4 * ROWS];
        _mm_storeu_si128((__m128i *)(void *)pixels,
                         sparse_pixel(digits, n_vectors, rows, (size_t)table->start[x] * 3));
        for (size_t r = 0; r < ROWS; r++)
            memcpy(rows->out[r] + 3 * x, pixels + 4 * r, 3);
        digits += n_vectors * DIGITS * TAPS;
    }
}

/* --- both --- */

size_t wispi_across_avx512_bytes(const wispi_resample_table *table)
{
    return vectors_for(&table->line) ? dense_bytes(table) : sparse_bytes(table);
}

void wispi_across_avx512_order(const wispi_resample_table *table, void *ordered)
{
    if (vectors_for(&table->line))
        order_dense(table, ordered);
    else
        order_sparse(table, ordered);
}

void wispi_across_avx512(const wispi_resample_table *table, wispi_rows from, uint8_t *out)
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
        if (vectors_for(&table->line))
            across_dense(table, &rows);
        else
            across_sparse(table, &rows);
    }
}
#endif
