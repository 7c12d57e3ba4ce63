/* jpeg_cut.c - margins around a box.
 *
 * Smooth upsampling of chroma looks one sample to each side, and the library treats the edge of a
 * cut as the edge of the picture. So a cut begins and ends on the grid of MCUs, one of them beyond
 * the box. Files of several scans have been read to their end by now, and smoothing of unfinished
 * ones looks further than that: they are cut below the box only. */
#include "image/jpeg_cut.h"

static int32_t at_most(int64_t value, JDIMENSION limit)
{
    return value < (int64_t)limit ? (int32_t)value : (int32_t)limit;
}

/* First and last multiple of `grid` with one to spare around [at, at + size). */
static void widen(int32_t *at, int32_t *size, int32_t grid, JDIMENSION whole)
{
    const int32_t first = *at / grid > 1 ? (*at / grid - 1) * grid : 0;
    const int64_t last = ((int64_t)*at + *size + grid - 1) / grid * grid + grid;
    *at = first;
    *size = at_most(last, whole) - first;
}

wisp_box wispi_jpeg_cut(struct jpeg_decompress_struct *info, const wisp_box *box)
{
    wisp_box cut = *box;
    /* Release 2.1.5 of the library is wrong about cuts of scaled pictures with coarser chroma than
     * half. */
    const int coarse = info->max_h_samp_factor > 2 || info->max_v_samp_factor > 2;
    if (jpeg_has_multiple_scans(info) || coarse)
        return (wisp_box){0, 0, (int32_t)info->output_width, box->y + box->h};
    widen(&cut.x, &cut.w, info->min_DCT_scaled_size * info->max_h_samp_factor, info->output_width);
    widen(&cut.y, &cut.h, info->min_DCT_scaled_size * info->max_v_samp_factor, info->output_height);
    cut.h = box->y + box->h - cut.y; /* below, the library looks further by itself */
    return cut;
}

void wispi_jpeg_begin_cut(struct jpeg_decompress_struct *info, const wisp_box *cut)
{
    JDIMENSION x = (JDIMENSION)cut->x, width = (JDIMENSION)cut->w;
    if (width < info->output_width)
        jpeg_crop_scanline(info, &x, &width);
    if (cut->y > 0)
        jpeg_skip_scanlines(info, (JDIMENSION)cut->y);
}
