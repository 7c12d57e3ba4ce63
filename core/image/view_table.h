/* view_table.h - views as rows of the tables from which a device makes them (make_views,
 * wisp/kernels.h). */
#ifndef WISPI_IMAGE_VIEW_TABLE_H
#define WISPI_IMAGE_VIEW_TABLE_H

#include "image/view_engine.h"
#include "wisp/kernels.h"

/* Where a batch's pixels hold a picture. */
typedef struct wispi_picture_place {
    int64_t offset; /* bytes */
    int32_t width, height;
} wispi_picture_place;

/* One view: `numbers` has WISP_VIEW_COLUMNS, `ops` WISP_MAX_PIXEL_OPS pairs. */
typedef struct wispi_view_row {
    int64_t *numbers;
    float *ops;
} wispi_view_row;

/* Refuses what wispi_view_run would refuse; the row is then untouched. [any] */
wisp_status wispi_view_row_write(wispi_view_row row, const wispi_picture_place *place,
                                 const wisp_view_spec *spec, wisp_error *err);

/* The same for an evaluation view. [any] */
void wispi_view_row_evaluate(wispi_view_row row, const wispi_picture_place *place,
                             const wispi_eval_view *view);

#endif
