/* pixel_avx2.c - the pixel kernels for AVX2. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include "image/pixels_avx2.h"

/* A table of 256 bytes as 16 rows of 16, each but the first of either half xor the one before: a
 * shuffle reads all rows up to the right one, whose sum by xor is that row, and gives 0 once the
 * index minus 16 for each row has become negative. */
typedef struct rows {
    __m256i row[16];
} rows;

static rows rows_of(const uint8_t table[256])
{
    rows r;
    __m256i before = _mm256_setzero_si256();
    for (int i = 0; i < 16; i++) {
        const __m256i row = _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)(table + 16 * i)));
        r.row[i] = i == 8 ? row : _mm256_xor_si256(row, before);
        before = row;
    }
    return r;
}

static inline __m256i half_looked_up(const __m256i row[8], __m256i v)
{
    __m256i sum = _mm256_shuffle_epi8(row[0], v);
    for (int i = 1; i < 8; i++) {
        v = _mm256_subs_epi8(v, _mm256_set1_epi8(16));
        sum = _mm256_xor_si256(sum, _mm256_shuffle_epi8(row[i], v));
    }
    return sum;
}

static void map(uint8_t *values, size_t n, const uint8_t table[256])
{
    const rows r = rows_of(table);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i *at = (__m256i *)(void *)(values + i);
        const __m256i v = _mm256_loadu_si256(at);
        const __m256i other = _mm256_xor_si256(v, _mm256_set1_epi8((char)0x80));
        _mm256_storeu_si256(
            at, _mm256_or_si256(half_looked_up(r.row, v), half_looked_up(r.row + 8, other)));
    }
    for (; i < n; i++)
        values[i] = table[values[i]];
}

static uint64_t luma_sum(const uint8_t *rgb, size_t n)
{
    uint64_t total = 0;
    while (n >= 8) {
        /* So many pixels that no lane overflows. */
        size_t part = (n < 1u << 20 ? n : 1u << 20) / 8;
        __m256i sum = _mm256_setzero_si256();
        for (n -= 8 * part; part > 0; part--, rgb += 24)
            sum = _mm256_add_epi32(sum, wispi_luma256_of(rgb));
        uint32_t lanes[8];
        _mm256_storeu_si256((__m256i *)(void *)lanes, sum);
        for (int i = 0; i < 8; i++)
            total += lanes[i];
    }
    return total + wispi_pixels_plain.luma_sum(rgb, n);
}

static void make_gray(uint8_t *rgb, size_t n)
{
    const __m256i thrice = _mm256_set1_epi32(0x010101);
    for (; n >= 8; n -= 8, rgb += 24)
        wispi_store_rgb256(rgb, _mm256_mullo_epi32(wispi_luma256_of(rgb), thrice));
    wispi_pixels_plain.make_gray(rgb, n);
}

/* One channel: luma + factor * (v - luma), cut to a whole number of 8 bits. */
static inline __m256i blended(__m256i v, __m256i luma, __m256 from, __m256 factor)
{
    const __m256 step = _mm256_cvtepi32_ps(_mm256_sub_epi32(v, luma));
    const __m256i sum = _mm256_cvttps_epi32(_mm256_add_ps(from, _mm256_mul_ps(factor, step)));
    return _mm256_min_epi32(_mm256_max_epi32(sum, _mm256_setzero_si256()), _mm256_set1_epi32(255));
}

static void saturate(uint8_t *rgb, size_t n, float factor)
{
    const __m256i byte = _mm256_set1_epi32(255);
    const __m256 by = _mm256_set1_ps(factor);
    for (; n >= 8; n -= 8, rgb += 24) {
        const __m256i p = wispi_load_rgb256(rgb), luma = wispi_luma256_of(rgb);
        const __m256 from = _mm256_cvtepi32_ps(luma);
        const __m256i r = blended(_mm256_and_si256(p, byte), luma, from, by);
        const __m256i g = blended(_mm256_and_si256(_mm256_srli_epi32(p, 8), byte), luma, from, by);
        const __m256i b = blended(_mm256_srli_epi32(p, 16), luma, from, by);
        wispi_store_rgb256(rgb, _mm256_or_si256(_mm256_or_si256(r, _mm256_slli_epi32(g, 8)),
                                                _mm256_slli_epi32(b, 16)));
    }
    wispi_pixels_plain.saturate(rgb, n, factor);
}

const wispi_pixel_kernels wispi_pixels_avx2 = {
    .map = map,
    .luma_sum = luma_sum,
    .make_gray = make_gray,
    .saturate = saturate,
    .turn_hue = wispi_turn_hue_avx2,
    .to_f32 = wispi_to_f32_avx2,
    .to_bf16 = wispi_to_bf16_avx2,
    .box_blur = wispi_box_blur_avx2,
    .gauss_blur = wispi_gauss_blur_avx2,
};
#endif
