/* hue_neon.c - the hue shift for NEON, 4 pixels in a register; hue_lanes.h says why it is exact. */
#include "image/pixel_kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include "image/hue_lanes.h"

/* Words of a table of 8. */
static inline uint32x4_t table_at(const void *table, uint32x4_t at)
{
    const uint8x16x2_t words = vld1q_u8_x2(table);
    const uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100), at, 0x04040404);
    return vreinterpretq_u32_u8(vqtbl2q_u8(words, vreinterpretq_u8_u32(bytes)));
}

typedef struct colours {
    int32x4_t r, g, b;
    int32x4_t high;
    float32x4_t range;
} colours;

static inline colours colours_of(int32x4_t r, int32x4_t g, int32x4_t b)
{
    colours c = {.r = r, .g = g, .b = b, .high = vmaxq_s32(vmaxq_s32(r, g), b)};
    c.range = vcvtq_f32_s32(vsubq_s32(c.high, vminq_s32(vminq_s32(r, g), b)));
    return c;
}

static inline float32x4_t base(float x)
{
    return vdupq_n_f32(x + WISPI_HUE_MARGIN);
}

/* Not yet cut to a byte. Of gray, whose saturation is 0, anything. */
static inline int32x4_t hue_of(const colours *c)
{
    const uint32x4_t red = vceqq_s32(c->r, c->high), green = vceqq_s32(c->g, c->high);
    const float32x4_t from_red = vbslq_f32(vcgtq_s32(c->b, c->g), base(255.0f), base(0.0f));
    const float32x4_t from_other = vbslq_f32(green, base(85.0f), base(170.0f));
    const int32x4_t of_other = vbslq_s32(green, vsubq_s32(c->b, c->r), vsubq_s32(c->r, c->g));
    const int32x4_t difference = vbslq_s32(red, vsubq_s32(c->g, c->b), of_other);
    const float32x4_t part = vdivq_f32(vcvtq_f32_s32(difference), c->range);
    const float32x4_t hue =
        vaddq_f32(vmulq_n_f32(part, 42.5f), vbslq_f32(red, from_red, from_other));
    const int32x4_t near = vcvtq_s32_f32(hue);
    const uint32x4_t words =
        table_at(wispi_hue_falls_short, vshrq_n_u32(vreinterpretq_u32_s32(near), 5));
    const uint32x4_t bits = vshlq_u32(words, vandq_s32(near, vdupq_n_s32(31)));
    const uint32x4_t falls = vtstq_u32(bits, vdupq_n_u32(0x80000000));
    const float32x4_t less = vbslq_f32(falls, vdupq_n_f32(2 * WISPI_HUE_MARGIN), vdupq_n_f32(0));
    return vcvtq_s32_f32(vsubq_f32(hue, less));
}

/* v minus a share of it, rounded; `top` is v and one half. */
static inline uint32x4_t lowered(float32x4_t top, float32x4_t product, float divisor)
{
    return vreinterpretq_u32_s32(
        vcvtq_s32_f32(vsubq_f32(top, vmulq_n_f32(product, 1.0f / divisor))));
}

/* Red, green, blue and 0 of each pixel. */
static inline uint32x4_t turned(const colours *c, int32_t step)
{
    const uint32x4_t sum = vreinterpretq_u32_s32(vaddq_s32(hue_of(c), vdupq_n_s32(step)));
    const uint32x4_t hue = vandq_u32(sum, vdupq_n_u32(255));
    const uint32x4_t sector = vshrq_n_u32(vmulq_n_u32(hue, WISPI_HUE_SECTORS), 16);
    const uint32x4_t full = table_at(wispi_hue_full, sector);
    const float32x4_t part = vcvtq_f32_u32(vabdq_u32(vaddq_u32(hue, hue), full));
    const float32x4_t v = vcvtq_f32_s32(c->high), top = vaddq_f32(v, vdupq_n_f32(0.5f));
    const float32x4_t share = vmulq_n_f32(vdivq_f32(c->range, v), 255.0f);
    const float32x4_t s = vrndq_f32(vaddq_f32(share, base(0.0f)));
    const float32x4_t vs = vmulq_f32(v, s);
    const uint32x4_t lowest = lowered(top, vs, 255.0f);
    const uint32x4_t between = lowered(top, vmulq_f32(vs, part), 21675.0f);
    const uint32x4_t lane = {0, 0x04040404, 0x08080808, 0x0c0c0c0c};
    const uint32x4_t order = vorrq_u32(table_at(wispi_hue_channels, sector), lane);
    /* Of black, which has no saturation, the others are 0. */
    const uint32x4_t joined =
        vorrq_u32(vreinterpretq_u32_s32(c->high),
                  vorrq_u32(vshlq_n_u32(between, 8), vshlq_n_u32(lowest, 16)));
    return vreinterpretq_u32_u8(
        vqtbl1q_u8(vreinterpretq_u8_u32(joined), vreinterpretq_u8_u32(order)));
}

static inline int32x4_t low_half(uint8x8_t v)
{
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(v))));
}

static inline int32x4_t high_half(uint8x8_t v)
{
    return vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(vmovl_u8(v))));
}

static inline uint8x8_t channel(uint32x4_t low, uint32x4_t high)
{
    return vmovn_u16(vcombine_u16(vmovn_u32(low), vmovn_u32(high)));
}

static inline void turn_8(uint8_t *rgb, int32_t step)
{
    uint8x8x3_t p = vld3_u8(rgb);
    const colours low = colours_of(low_half(p.val[0]), low_half(p.val[1]), low_half(p.val[2]));
    const colours high = colours_of(high_half(p.val[0]), high_half(p.val[1]), high_half(p.val[2]));
    const uint32x4_t a = turned(&low, step), b = turned(&high, step);
    p.val[0] = channel(a, b);
    p.val[1] = channel(vshrq_n_u32(a, 8), vshrq_n_u32(b, 8));
    p.val[2] = channel(vshrq_n_u32(a, 16), vshrq_n_u32(b, 16));
    vst3_u8(rgb, p);
}

void wispi_turn_hue_neon(uint8_t *rgb, size_t n, int32_t step)
{
    for (; n >= 8; n -= 8, rgb += 24)
        turn_8(rgb, step);
    if (n > 0) {
        uint8_t rest[24] = {0};
        memcpy(rest, rgb, 3 * n);
        turn_8(rest, step);
        memcpy(rgb, rest, 3 * n);
    }
}
#endif
