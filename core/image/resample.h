/* resample.h - crop, resize in Pillow's two 8-bit passes, mirror.
 *
 * The crop comes first: no tap sees a pixel outside the box. One way is resized and rounded to 8
 * bits, then the other, so the result equals `image.crop(box).resize(size, filter)`, the order of
 * the passes included. */
#ifndef WISPI_IMAGE_RESAMPLE_H
#define WISPI_IMAGE_RESAMPLE_H

#include "image/pixels.h"
#include "image/resample_table.h"
#include "wisp/sampler.h"

typedef struct wispi_resampler {
    const wispi_resample_kernels *kernels; /* NULL: those of wispi_cpu_level, from the first job */
    wispi_table_cache tables;
    wispi_scratch between; /* the picture between the passes */
} wispi_resampler;

typedef struct wispi_resample_job {
    wisp_box box;         /* part of the source that is resized */
    int32_t out_w, out_h; /* to this size */
    wisp_box window;      /* part of the result that is wanted, in its pixels */
    int32_t filter;       /* WISP_FILTER_... */
    int32_t mirrored;     /* left to right, within the window */
} wispi_resample_job;

/* Writes (window.h, window.w, 3) bytes to `out`. Boxes must lie inside what they cut from. On
 * failure `out` is untouched. [worker] */
wisp_status wispi_resample(wispi_resampler *resampler, const wispi_image *source,
                           const wispi_resample_job *job, uint8_t *out, wisp_error *err);

void wispi_resampler_free(wispi_resampler *resampler);

#endif
