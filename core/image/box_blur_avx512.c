/* box_blur_avx512.c - the box blur for AVX-512. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "wisp/pixel_math.h"

enum { LANES = 32 };
typedef __m512i lanes;

typedef struct weights {
    __m512i low, inner_high, outer_high;
} weights;

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

/* The products with the lower halves of the weights need 32 bits, of the others the lower 16. */
static inline lanes weigh(const weights *w, lanes inner, lanes outer)
{
    const __m512i half = _mm512_set1_epi32(1 << (WISP_BLUR_BITS - 1));
    const __m512i a = _mm512_dpwssd_epi32(half, _mm512_unpacklo_epi16(inner, outer), w->low);
    const __m512i b = _mm512_dpwssd_epi32(half, _mm512_unpackhi_epi16(inner, outer), w->low);
    const __m512i low = _mm512_packus_epi32(_mm512_srli_epi32(a, 16), _mm512_srli_epi32(b, 16));
    const __m512i high = _mm512_add_epi16(_mm512_mullo_epi16(inner, w->inner_high),
                                          _mm512_mullo_epi16(outer, w->outer_high));
    return _mm512_srli_epi16(_mm512_add_epi16(low, high), 8);
}

#include "image/box_blur_lanes.h"

void wispi_box_blur_avx512(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height,
                           void *scratch)
{
    const split_weights s = split(box);
    const weights w = {_mm512_set1_epi32(s.low_pair), _mm512_set1_epi16(s.inner_high),
                       _mm512_set1_epi16(s.outer_high)};
    if (box.radius > LONGEST_RADIUS)
        wispi_box_blur_plain(box, rgb, width, height, scratch);
    else
        blur_picture(&w, box.radius, rgb, width, height, scratch);
}
#endif
