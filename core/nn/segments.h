/* segments.h - tables of parameter tensors for operations that work on whole stores.
 *
 * Which tensors have a gradient is known when a step is recorded, but nothing may be copied to the
 * device then. So a table is filled on the host while recording and goes to the device with
 * wispi_model_refresh(), before the step runs. */
#ifndef WISPI_NN_SEGMENTS_H
#define WISPI_NN_SEGMENTS_H

#include "nn/store.h"

typedef struct wispi_segment {
    int64_t offset, count, flags, source; /* a row as wisp/kernels.h has it */
} wispi_segment;

typedef struct wispi_segments {
    wispi_variable variable; /* i64(S,4) */
    wispi_segment *rows;     /* what the device holds after the next refresh */
    int32_t n;
    int32_t stale;     /* the device holds something else */
    const void *owner; /* whatever tells tables apart */
    struct wispi_segments *next;
} wispi_segments;

wisp_status wispi_segments_create(wispi_device *device, const char *name, int32_t n,
                                  const void *owner, wispi_segments **segments, wisp_error *err);
void wispi_segments_destroy(wispi_device *device, wispi_segments *segments); /* accepts NULL */
void wispi_segments_set(wispi_segments *segments, int32_t row, const wispi_segment *value);
wisp_status wispi_segments_refresh(wispi_device *device, wispi_segments *segments, wisp_error *err);
/* The table as a tensor of a step. Fails a running step whose table was not refreshed. */
wisp_tensor *wispi_segments_tensor(wisp_step *s, wispi_segments *segments);

#endif
