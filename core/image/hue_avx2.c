/* hue_avx2.c - the hue shift for AVX2, 8 pixels at a time; hue_lanes.h says why it is exact. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include "image/hue_lanes.h"
#include "image/pixels_avx2.h"

typedef struct colours {
    __m256i r, g, b;
    __m256i high;
    __m256 range;
} colours;

static inline __m256i table_at(const void *table, __m256i at)
{
    const __m256i words = _mm256_loadu_si256((const __m256i *)table);
    return _mm256_permutevar8x32_epi32(words, at);
}

static inline __m256i chosen(__m256i otherwise, __m256i where, __m256i value)
{
    return _mm256_blendv_epi8(otherwise, value, where);
}

static inline __m256i number(float x)
{
    return _mm256_castps_si256(_mm256_set1_ps(x));
}

static inline colours colours_of(__m256i p)
{
    const __m256i low_byte = _mm256_set1_epi32(255);
    colours c;
    c.r = _mm256_and_si256(p, low_byte);
    c.g = _mm256_and_si256(_mm256_srli_epi32(p, 8), low_byte);
    c.b = _mm256_srli_epi32(p, 16);
    c.high = _mm256_max_epu32(_mm256_max_epu32(c.r, c.g), c.b);
    const __m256i low = _mm256_min_epu32(_mm256_min_epu32(c.r, c.g), c.b);
    c.range = _mm256_cvtepi32_ps(_mm256_sub_epi32(c.high, low));
    return c;
}

/* Not yet cut to a byte. Of gray, whose saturation is 0, anything. */
static inline __m256i hue_of(const colours *c)
{
    const __m256i red = _mm256_cmpeq_epi32(c->r, c->high);
    const __m256i green = _mm256_cmpeq_epi32(c->g, c->high);
    const __m256i wraps = _mm256_cmpgt_epi32(c->b, c->g);
    const __m256i from_red =
        chosen(number(WISPI_HUE_MARGIN), wraps, number(255.0f + WISPI_HUE_MARGIN));
    __m256i difference = _mm256_sub_epi32(c->r, c->g);
    __m256i base = number(170.0f + WISPI_HUE_MARGIN);
    difference = chosen(difference, green, _mm256_sub_epi32(c->b, c->r));
    base = chosen(base, green, number(85.0f + WISPI_HUE_MARGIN));
    difference = chosen(difference, red, _mm256_sub_epi32(c->g, c->b));
    base = chosen(base, red, from_red);
    const __m256 part = _mm256_div_ps(_mm256_cvtepi32_ps(difference), c->range);
    const __m256 hue =
        _mm256_add_ps(_mm256_mul_ps(part, _mm256_set1_ps(42.5f)), _mm256_castsi256_ps(base));
    const __m256i near = _mm256_cvttps_epi32(hue);
    const __m256i bits =
        _mm256_sllv_epi32(table_at(wispi_hue_falls_short, _mm256_srli_epi32(near, 5)),
                          _mm256_and_si256(near, _mm256_set1_epi32(31)));
    const __m256 less = _mm256_and_ps(_mm256_castsi256_ps(_mm256_srai_epi32(bits, 31)),
                                      _mm256_set1_ps(2 * WISPI_HUE_MARGIN));
    return _mm256_cvttps_epi32(_mm256_sub_ps(hue, less));
}

/* v minus a share of it, rounded; `top` is v and one half. */
static inline __m256i lowered(__m256 top, __m256 product, float divisor)
{
    return _mm256_cvttps_epi32(
        _mm256_sub_ps(top, _mm256_mul_ps(product, _mm256_set1_ps(1.0f / divisor))));
}

static inline __m256i turned(__m256i p, __m256i step)
{
    const __m256i low_byte = _mm256_set1_epi32(255);
    const colours c = colours_of(p);
    const __m256i hue = _mm256_and_si256(_mm256_add_epi32(hue_of(&c), step), low_byte);
    const __m256i sector = _mm256_mulhi_epu16(hue, _mm256_set1_epi32(WISPI_HUE_SECTORS));
    const __m256i part = _mm256_abs_epi32(
        _mm256_sub_epi32(_mm256_add_epi32(hue, hue), table_at(wispi_hue_full, sector)));
    const __m256 v = _mm256_cvtepi32_ps(c.high), top = _mm256_add_ps(v, _mm256_set1_ps(0.5f));
    const __m256 share = _mm256_mul_ps(_mm256_div_ps(c.range, v), _mm256_set1_ps(255.0f));
    const __m256 s = _mm256_round_ps(_mm256_add_ps(share, _mm256_set1_ps(WISPI_HUE_MARGIN)),
                                     _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m256 vs = _mm256_mul_ps(v, s);
    const __m256i lowest = lowered(top, vs, 255.0f);
    const __m256i between = lowered(top, _mm256_mul_ps(vs, _mm256_cvtepi32_ps(part)), 21675.0f);
    const __m256i lane =
        _mm256_broadcastsi128_si256(_mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0));
    const __m256i order = _mm256_or_si256(table_at(wispi_hue_channels, sector), lane);
    /* Of black, which has no saturation, the shifts leave nothing. */
    const __m256i joined = _mm256_or_si256(
        c.high, _mm256_or_si256(_mm256_slli_epi32(between, 8), _mm256_slli_epi32(lowest, 16)));
    return _mm256_shuffle_epi8(joined, order);
}

void wispi_turn_hue_avx2(uint8_t *rgb, size_t n, int32_t step)
{
    const __m256i steps = _mm256_set1_epi32(step);
    for (; n >= 8; n -= 8, rgb += 24)
        wispi_store_rgb256(rgb, turned(wispi_load_rgb256(rgb), steps));
    if (n > 0) {
        uint8_t rest[24] = {0};
        memcpy(rest, rgb, 3 * n);
        wispi_store_rgb256(rest, turned(wispi_load_rgb256(rest), steps));
        memcpy(rgb, rest, 3 * n);
    }
}
#endif
