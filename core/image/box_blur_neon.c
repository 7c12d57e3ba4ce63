/* box_blur_neon.c - the box blur for NEON. */
#include "image/pixel_kernels.h"

#if defined(__aarch64__)
#include "image/lanes_neon.h"

typedef wisp_box_blur weights;

/* The upper 16 of 32 bits. */
static inline uint16x4_t weigh_half(const weights *w, uint16x4_t inner, uint16x4_t outer)
{
    uint32x4_t sum = vdupq_n_u32(1u << (WISP_BLUR_BITS - 1));
    sum = vmlaq_n_u32(sum, vmovl_u16(inner), w->inner);
    sum = vmlaq_n_u32(sum, vmovl_u16(outer), w->outer);
    return vshrn_n_u32(sum, 16);
}

static inline lanes weigh(const weights *w, lanes inner, lanes outer)
{
    const uint16x4_t low = weigh_half(w, vget_low_u16(inner), vget_low_u16(outer));
    const uint16x4_t high = weigh_half(w, vget_high_u16(inner), vget_high_u16(outer));
    return vshrq_n_u16(vcombine_u16(low, high), 8);
}

#include "image/box_blur_lanes.h"

void wispi_box_blur_neon(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height,
                         void *scratch)
{
    if (box.radius > LONGEST_RADIUS)
        wispi_box_blur_plain(box, rgb, width, height, scratch);
    else
        blur_picture(&box, box.radius, rgb, width, height, scratch);
}
#endif
