/* box_blur_avx2.c - the box blur for AVX2. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include "image/lanes_avx2.h"

typedef struct weights {
    __m256i low, inner_high, outer_high;
} weights;

/* The products with the lower halves of the weights need 32 bits, of the others the lower 16. */
static inline lanes weigh(const weights *w, lanes inner, lanes outer)
{
    const __m256i half = _mm256_set1_epi32(1 << (WISP_BLUR_BITS - 1));
    const __m256i first = _mm256_madd_epi16(_mm256_unpacklo_epi16(inner, outer), w->low);
    const __m256i second = _mm256_madd_epi16(_mm256_unpackhi_epi16(inner, outer), w->low);
    const __m256i a = _mm256_add_epi32(first, half), b = _mm256_add_epi32(second, half);
    const __m256i low = _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16));
    const __m256i high = _mm256_add_epi16(_mm256_mullo_epi16(inner, w->inner_high),
                                          _mm256_mullo_epi16(outer, w->outer_high));
    return _mm256_srli_epi16(_mm256_add_epi16(low, high), 8);
}

#include "image/box_blur_lanes.h"

void wispi_box_blur_avx2(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height,
                         void *scratch)
{
    const split_weights s = split(box);
    const weights w = {_mm256_set1_epi32(s.low_pair), _mm256_set1_epi16(s.inner_high),
                       _mm256_set1_epi16(s.outer_high)};
    if (box.radius > LONGEST_RADIUS)
        wispi_box_blur_plain(box, rgb, width, height, scratch);
    else
        blur_picture(&w, box.radius, rgb, width, height, scratch);
}
#endif
