/* hue_avx512.c - the hue shift for AVX-512, 16 pixels at a time; hue_lanes.h says why it is exact.
 */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include "image/hue_lanes.h"
#include "image/pixels_avx512.h"

typedef struct constants {
    __m512i low_byte, step, falls_short, channels, full, sectors, lane, gather;
    __m512 margin, margins, half;
} constants;

static __m512i twice(const void *table)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(table));
}

static constants constants_of(int32_t step)
{
    constants k;
    k.low_byte = _mm512_set1_epi32(255);
    k.step = _mm512_set1_epi32(step);
    k.falls_short = twice(wispi_hue_falls_short);
    k.channels = twice(wispi_hue_channels);
    k.full = twice(wispi_hue_full);
    k.sectors = _mm512_set1_epi32(WISPI_HUE_SECTORS);
    k.lane = _mm512_broadcast_i32x4(_mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0));
    k.gather = wispi_gather_lanes512();
    k.margin = _mm512_set1_ps(WISPI_HUE_MARGIN);
    k.margins = _mm512_set1_ps(2 * WISPI_HUE_MARGIN);
    k.half = _mm512_set1_ps(0.5f);
    return k;
}

typedef struct colours {
    __m512i r, g, b;
    __m512i high;
    __m512 range;
} colours;

static inline colours colours_of(const constants *k, __m512i p)
{
    colours c;
    c.r = _mm512_and_si512(p, k->low_byte);
    c.g = _mm512_srli_epi32(p, 24); /* green comes again behind blue */
    c.b = _mm512_and_si512(_mm512_srli_epi32(p, 16), k->low_byte);
    c.high = _mm512_max_epu32(_mm512_max_epu32(c.r, c.g), c.b);
    const __m512i low = _mm512_min_epu32(_mm512_min_epu32(c.r, c.g), c.b);
    c.range = _mm512_cvtepi32_ps(_mm512_sub_epi32(c.high, low));
    return c;
}

/* Not yet cut to a byte. Of gray, whose saturation is 0, anything. */
static inline __m512i hue_of(const constants *k, const colours *c)
{
    const __mmask16 red = _mm512_cmpeq_epi32_mask(c->r, c->high);
    const __mmask16 green = _mm512_mask_cmpeq_epi32_mask((__mmask16)~red, c->g, c->high);
    __m512i difference = _mm512_sub_epi32(c->r, c->g);
    __m512 base = _mm512_set1_ps(170.0f + WISPI_HUE_MARGIN);
    difference = _mm512_mask_sub_epi32(difference, green, c->b, c->r);
    base = _mm512_mask_mov_ps(base, green, _mm512_set1_ps(85.0f + WISPI_HUE_MARGIN));
    difference = _mm512_mask_sub_epi32(difference, red, c->g, c->b);
    base = _mm512_mask_mov_ps(base, red, k->margin);
    const __mmask16 wraps = _mm512_mask_cmplt_epi32_mask(red, c->g, c->b);
    base = _mm512_mask_mov_ps(base, wraps, _mm512_set1_ps(255.0f + WISPI_HUE_MARGIN));
    const __m512 part = _mm512_div_ps(_mm512_cvtepi32_ps(difference), c->range);
    const __m512 hue = _mm512_fmadd_ps(part, _mm512_set1_ps(42.5f), base);
    const __m512i near = _mm512_cvttps_epi32(hue);
    const __m512i bits = _mm512_permutexvar_epi32(_mm512_srli_epi32(near, 5), k->falls_short);
    const __mmask16 falls = _mm512_movepi32_mask(_mm512_rolv_epi32(bits, near));
    return _mm512_cvttps_epi32(_mm512_mask_sub_ps(hue, falls, hue, k->margins));
}

/* The sum of a, b << 8 and c << 16. */
static inline __m512i joined(__m512i a, __m512i b, __m512i c)
{
    enum { ANY_OF_THREE = 0xfe };
    return _mm512_ternarylogic_epi32(a, _mm512_slli_epi32(b, 8), _mm512_slli_epi32(c, 16),
                                     ANY_OF_THREE);
}

static inline __m512i turned(const constants *k, __m512i p)
{
    const colours c = colours_of(k, p);
    const __m512i hue = _mm512_and_si512(_mm512_add_epi32(hue_of(k, &c), k->step), k->low_byte);
    const __m512i sector = _mm512_mulhi_epu16(hue, k->sectors);
    const __m512i full = _mm512_permutexvar_epi32(sector, k->full);
    const __m512i part = _mm512_abs_epi32(_mm512_sub_epi32(_mm512_add_epi32(hue, hue), full));
    const __m512 v = _mm512_cvtepi32_ps(c.high), top = _mm512_add_ps(v, k->half);
    const __m512 share = _mm512_div_ps(c.range, v);
    const __m512 s = _mm512_roundscale_ps(_mm512_fmadd_ps(share, _mm512_set1_ps(255.0f), k->margin),
                                          _MM_FROUND_TO_ZERO);
    const __m512 vs = _mm512_mul_ps(v, s);
    const __m512 vsm = _mm512_mul_ps(vs, _mm512_cvtepi32_ps(part));
    const __m512i lowest =
        _mm512_cvttps_epi32(_mm512_fnmadd_ps(vs, _mm512_set1_ps(1.0f / 255.0f), top));
    const __m512i between =
        _mm512_cvttps_epi32(_mm512_fnmadd_ps(vsm, _mm512_set1_ps(1.0f / 21675.0f), top));
    const __m512i order = _mm512_or_si512(_mm512_permutexvar_epi32(sector, k->channels), k->lane);
    /* Of black, which has no saturation, the shifts leave nothing. */
    return _mm512_shuffle_epi8(joined(c.high, between, lowest), order);
}

void wispi_turn_hue_avx512(uint8_t *rgb, size_t n, int32_t step)
{
    const constants k = constants_of(step);
    __m512i next = wispi_load512(rgb, n);
    for (; n > 0; n -= n < 16 ? n : 16, rgb += 48) {
        const __mmask64 here = wispi_pixels_mask(n);
        const __m512i p = wispi_rgbg512(next);
        next = wispi_load_behind512(rgb, n);
        _mm512_mask_storeu_epi8(rgb, here, _mm512_permutexvar_epi8(k.gather, turned(&k, p)));
    }
}
#endif
