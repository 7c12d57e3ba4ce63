/* batch.h - a batch inside the host: what methods see, and the device memory behind it. */
#ifndef WISPI_NN_BATCH_H
#define WISPI_NN_BATCH_H

#include "tensor/device.h"
#include "wisp/method.h"

/* Which parts a batch has besides its views; WISP_NEED_INDEX, _BOXES, _LABELS of wisp/method.h.
 * Boxes come with flips. */
typedef struct wispi_batch {
    wisp_batch plugin; /* first, so that the handles convert */
    uint32_t parts;
    /* One for each group: T(count*B,H,W,3), view-major. `data` may be exchanged between steps. */
    wispi_variable views[WISP_MAX_VIEW_GROUPS];
    wispi_variable index; /* i64(B) */
    wispi_variable boxes; /* f32(V,B,4) */
    wispi_variable flip;  /* f32(V,B) */
    wispi_variable label; /* i64(B) */
} wispi_batch;

/* Device memory for a batch of `size` images; `batch` is zeroed first. `dtype` is the run's
 * activation type. */
wisp_status wispi_batch_init(wispi_device *device, wispi_batch *batch,
                             const wisp_view_group *groups, int32_t n_groups, int64_t size,
                             int32_t dtype, uint32_t parts, wisp_error *err);
void wispi_batch_fini(wispi_device *device, wispi_batch *batch);
/* Exchanges the memory of two batches of the same shape: programs know `a`, and read ahead fills
 * `b`. */
void wispi_batch_swap(wispi_batch *a, wispi_batch *b);

/* What wisp_view(), wisp_views() and wisp_batch_part() do. */
wisp_tensor *wispi_batch_views(wisp_step *s, const wisp_batch *batch, int32_t first, int32_t count);
wisp_tensor *wispi_batch_part(wisp_step *s, const wisp_batch *batch, const char *name);

#endif
