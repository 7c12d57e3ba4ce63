/* box_blur_avx2.c - the box blur for AVX2. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "wisp/pixel_math.h"

enum { LANES = 16 };
typedef __m256i lanes;

typedef struct weights {
    __m256i low, inner_high, outer_high;
} weights;

static inline lanes load(const uint16_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

static inline void store(uint16_t *to, lanes v)
{
    _mm256_storeu_si256((__m256i *)(void *)to, v);
}

static inline lanes widen(const uint8_t *from, size_t n)
{
    uint8_t part[LANES] = {0};
    if (n < LANES)
        from = memcpy(part, from, n);
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

static inline void narrow(uint8_t *to, lanes v, size_t n)
{
    uint8_t part[LANES];
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(v, v), 0x08);
    uint8_t *whole = n < LANES ? part : to;
    _mm_storeu_si128((__m128i *)(void *)whole, _mm256_castsi256_si128(packed));
    if (n < LANES)
        memcpy(to, part, n);
}

static inline lanes add(lanes a, lanes b)
{
    return _mm256_add_epi16(a, b);
}

static inline lanes sub(lanes a, lanes b)
{
    return _mm256_sub_epi16(a, b);
}

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
