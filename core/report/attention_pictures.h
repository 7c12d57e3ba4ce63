/* attention_pictures.h - where the class token of the last block looks, drawn over the image. */
#ifndef WISPI_REPORT_ATTENTION_PICTURES_H
#define WISPI_REPORT_ATTENTION_PICTURES_H

#include <jansson.h>

#include "train/embedder.h"

typedef struct wispi_attention_job {
    const void *views; /* (n, side, side, 3) as the network gets them */
    int64_t n, side;
    uint8_t *const *pictures; /* the same as bytes, (picture_side, picture_side, 3) each */
    int64_t picture_side;
} wispi_attention_job;

/* [{"image": uri, "heads": [uri ...]} ...]. WISP_E_UNSUPPORTED where the backbone has no attention,
 * or its tokens are no square grid. */
wisp_status wispi_attention_pictures(wispi_embedder *embedder, const wispi_attention_job *job,
                                     json_t **list, wisp_error *err);

/* One picture (side, side, 3) as bright as `weights` (grid, grid) say, bilinear between the middles
 * of the patches, the largest weight at full brightness. */
void wispi_attention_shade(const uint8_t *picture, int64_t side, const float *weights, int64_t grid,
                           uint8_t *out);

#endif
