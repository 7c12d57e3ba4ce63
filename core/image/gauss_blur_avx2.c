/* gauss_blur_avx2.c - the sampled Gaussian for AVX2. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include "image/lanes_avx2.h"

typedef struct sums {
    __m256i low, high;
} sums;

static inline sums start(int32_t half)
{
    return (sums){_mm256_set1_epi32(half), _mm256_set1_epi32(half)};
}

static inline sums add_pairs(sums s, lanes a, lanes b, int32_t weights)
{
    const __m256i w = _mm256_set1_epi32(weights);
    s.low = _mm256_add_epi32(s.low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w));
    s.high = _mm256_add_epi32(s.high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w));
    return s;
}

static inline lanes shifted(sums s, int bits)
{
    return _mm256_packs_epi32(_mm256_srai_epi32(s.low, bits), _mm256_srai_epi32(s.high, bits));
}

#include "image/gauss_blur_lanes.h"

void wispi_gauss_blur_avx2(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                           void *scratch)
{
    blur_picture(g, rgb, width, height, scratch);
}
#endif
