/* gauss_blur_neon.c - the sampled Gaussian for NEON. */
#include "image/pixel_kernels.h"

#if defined(__aarch64__)
#include "image/lanes_neon.h"

typedef struct sums {
    int32x4_t low, high;
} sums;

static inline sums start(int32_t half)
{
    return (sums){vdupq_n_s32(half), vdupq_n_s32(half)};
}

static inline sums add_product(sums s, lanes v, int16_t weight)
{
    const int16x8_t x = vreinterpretq_s16_u16(v);
    s.low = vmlal_n_s16(s.low, vget_low_s16(x), weight);
    s.high = vmlal_n_s16(s.high, vget_high_s16(x), weight);
    return s;
}

static inline sums add_pairs(sums s, lanes a, lanes b, int32_t weights)
{
    return add_product(add_product(s, a, (int16_t)weights), b, (int16_t)(weights >> 16));
}

static inline lanes shifted(sums s, int bits)
{
    const int32x4_t by = vdupq_n_s32(-bits);
    return vcombine_u16(vqmovun_s32(vshlq_s32(s.low, by)), vqmovun_s32(vshlq_s32(s.high, by)));
}

#include "image/gauss_blur_lanes.h"

void wispi_gauss_blur_neon(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                           void *scratch)
{
    blur_picture(g, rgb, width, height, scratch);
}
#endif
