/* gauss_blur_avx512.c - the sampled Gaussian for AVX-512. */
#include "image/pixel_kernels.h"

#if defined(__x86_64__)
#include "image/lanes_avx512.h"

typedef struct sums {
    __m512i low, high;
} sums;

static inline sums start(int32_t half)
{
    return (sums){_mm512_set1_epi32(half), _mm512_set1_epi32(half)};
}

static inline sums add_pairs(sums s, lanes a, lanes b, int32_t weights)
{
    const __m512i w = _mm512_set1_epi32(weights);
    s.low = _mm512_dpwssd_epi32(s.low, _mm512_unpacklo_epi16(a, b), w);
    s.high = _mm512_dpwssd_epi32(s.high, _mm512_unpackhi_epi16(a, b), w);
    return s;
}

static inline lanes shifted(sums s, int bits)
{
    return _mm512_packs_epi32(_mm512_srai_epi32(s.low, bits), _mm512_srai_epi32(s.high, bits));
}

#include "image/gauss_blur_lanes.h"

void wispi_gauss_blur_avx512(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                             void *scratch)
{
    blur_picture(g, rgb, width, height, scratch);
}
#endif
