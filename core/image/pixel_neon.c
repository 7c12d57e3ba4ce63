/* pixel_neon.c - the pixel kernels for NEON, which takes packed pixels apart as it loads them. */
#include "image/pixel_kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

static void map(uint8_t *values, size_t n, const uint8_t table[256])
{
    const uint8x16x4_t a = vld1q_u8_x4(table), b = vld1q_u8_x4(table + 64);
    const uint8x16x4_t c = vld1q_u8_x4(table + 128), d = vld1q_u8_x4(table + 192);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint8x16_t v = vld1q_u8(values + i), found = vqtbl4q_u8(a, v);
        found = vqtbx4q_u8(found, b, v = vsubq_u8(v, vdupq_n_u8(64)));
        found = vqtbx4q_u8(found, c, v = vsubq_u8(v, vdupq_n_u8(64)));
        found = vqtbx4q_u8(found, d, vsubq_u8(v, vdupq_n_u8(64)));
        vst1q_u8(values + i, found);
    }
    for (; i < n; i++)
        values[i] = table[values[i]];
}

static inline uint16x4_t luma4(uint16x4_t r, uint16x4_t g, uint16x4_t b)
{
    uint32x4_t sum = vmull_n_u16(r, 19595);
    sum = vmlal_n_u16(sum, g, 38470);
    return vrshrn_n_u32(vmlal_n_u16(sum, b, 7471), 16);
}

static inline uint16x8_t luma8(uint8x8x3_t p)
{
    const uint16x8_t r = vmovl_u8(p.val[0]), g = vmovl_u8(p.val[1]), b = vmovl_u8(p.val[2]);
    return vcombine_u16(luma4(vget_low_u16(r), vget_low_u16(g), vget_low_u16(b)),
                        luma4(vget_high_u16(r), vget_high_u16(g), vget_high_u16(b)));
}

static uint64_t luma_sum(const uint8_t *rgb, size_t n)
{
    uint64x2_t sum = vdupq_n_u64(0);
    for (; n >= 8; n -= 8, rgb += 24)
        sum = vpadalq_u32(sum, vpaddlq_u16(luma8(vld3_u8(rgb))));
    return vaddvq_u64(sum) + wispi_pixels_plain.luma_sum(rgb, n);
}

static void make_gray(uint8_t *rgb, size_t n)
{
    for (; n >= 8; n -= 8, rgb += 24) {
        uint8x8x3_t p = vld3_u8(rgb);
        p.val[0] = p.val[1] = p.val[2] = vmovn_u16(luma8(p));
        vst3_u8(rgb, p);
    }
    wispi_pixels_plain.make_gray(rgb, n);
}

/* luma + factor * (v - luma), cut to a whole number from 0 on. */
static inline uint16x4_t blended4(uint16x4_t v, uint16x4_t luma, float factor)
{
    const int32x4_t step = vreinterpretq_s32_u32(vsubl_u16(v, luma));
    const float32x4_t from = vcvtq_f32_u32(vmovl_u16(luma));
    const float32x4_t product = vmulq_n_f32(vcvtq_f32_s32(step), factor);
    return vqmovun_s32(vcvtq_s32_f32(vaddq_f32(from, product)));
}

static inline uint8x8_t blended8(uint8x8_t v, uint16x8_t luma, float factor)
{
    const uint16x8_t wide = vmovl_u8(v);
    return vqmovn_u16(vcombine_u16(blended4(vget_low_u16(wide), vget_low_u16(luma), factor),
                                   blended4(vget_high_u16(wide), vget_high_u16(luma), factor)));
}

static void saturate(uint8_t *rgb, size_t n, float factor)
{
    for (; n >= 8; n -= 8, rgb += 24) {
        uint8x8x3_t p = vld3_u8(rgb);
        const uint16x8_t luma = luma8(p);
        for (int c = 0; c < 3; c++)
            p.val[c] = blended8(p.val[c], luma, factor);
        vst3_u8(rgb, p);
    }
    wispi_pixels_plain.saturate(rgb, n, factor);
}

const wispi_pixel_kernels wispi_pixels_neon = {
    .map = map,
    .luma_sum = luma_sum,
    .make_gray = make_gray,
    .saturate = saturate,
    .turn_hue = wispi_turn_hue_neon,
    .to_f32 = wispi_to_f32_plain,
    .to_bf16 = wispi_to_bf16_plain,
    .box_blur = wispi_box_blur_neon,
    .gauss_blur = wispi_gauss_blur_neon,
};
#endif
