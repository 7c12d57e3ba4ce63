/* almost_good_dataset.h - a data set of four grey pictures. A file that includes it first defines
 * what shall be different: LABEL, PIXEL, LOOK_AT_MEMORY, FINGERPRINT, PICTURE (where a picture that
 * was written to `lent` is said to be), and what almost_good.h knows. */
#ifndef WISP_TESTS_ALMOST_GOOD_DATASET_H
#define WISP_TESTS_ALMOST_GOOD_DATASET_H

#include <stdio.h>
#include <string.h>

#include "wisp/dataset.h"
#include "wisp/host.h"

#ifndef LABEL
#define LABEL(index) (int32_t)((index) % 2)
#endif
#ifndef PIXEL
#define PIXEL(index) (int)(40 * (index) + 20)
#endif
#ifndef LOOK_AT_MEMORY
#define LOOK_AT_MEMORY 1
#endif
#ifndef FINGERPRINT
#define FINGERPRINT 77
#endif

#ifndef PICTURE
#define PICTURE(lent) (lent)
#endif

enum { SIDE = 16 };

static int64_t set_count(const void *self)
{
    (void)self;
    return 4;
}

static int32_t set_classes(const void *self)
{
    (void)self;
    return 2;
}

static int32_t set_label(const void *self, int64_t index)
{
    (void)self;
    return LABEL(index);
}

static wisp_status set_read(const void *self, int64_t index, wisp_sample_sink *sink,
                            wisp_sample *sample, wisp_error *err)
{
    (void)self;
    (void)index;
    const size_t bytes = (size_t)3 * SIDE * SIDE;
    uint8_t *data = sink->reserve(sink, bytes);
    if (LOOK_AT_MEMORY && !data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a picture");
    memset(data, PIXEL(index), bytes);
    *sample = (wisp_sample){WISP_SAMPLE_RGB8, SIDE, SIDE, 0, PICTURE(data), bytes};
    return WISP_OK;
}

static void set_name(const void *self, int64_t index, char *text, size_t bytes)
{
    (void)self;
    snprintf(text, bytes, "%lld", (long long)index);
}

static uint64_t set_fingerprint(const void *self)
{
    (void)self;
    return FINGERPRINT;
}

static const wisp_dataset_v0 set_table = {
    .struct_size = sizeof set_table,
    .count = set_count,
    .n_classes = set_classes,
    .label = set_label,
    .read = set_read,
    .sample_name = set_name,
    .fingerprint = set_fingerprint,
};

#define KIND WISP_KIND_DATASET
#define VTABLE &set_table
#include "almost_good.h"

#endif
