/* plan_extent.h - how much of a picture a plan shows, and how finely it has to be decoded. */
#ifndef WISPI_IMAGE_PLAN_EXTENT_H
#define WISPI_IMAGE_PLAN_EXTENT_H

#include "image/decode.h"

typedef struct wispi_extent {
    int32_t shrink; /* 1, 2, 4 or 8 */
    wisp_box box;   /* in pixels of the picture that is smaller by that */
} wispi_extent;

/* Where a box of the picture lies in one that is `shrink` times smaller, its edges rounded. [any]
 */
wisp_box wispi_box_shrunk(wisp_box box, int32_t shrink);

/* The smallest box around those of all views. With WISP_PLAN_SCALED_DECODE the picture shrinks as
 * far as no view is enlarged by that. The views' boxes lie inside the picture. [any] */
wispi_extent wispi_plan_extent(const wisp_view_plan *plan, const wispi_picture *picture);

#endif
