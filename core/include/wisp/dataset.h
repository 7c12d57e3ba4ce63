/* dataset.h - a data set gives encoded bytes or raw pixels by index. */
#ifndef WISP_DATASET_H
#define WISP_DATASET_H

#include "wisp/abi.h"
#include "wisp/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WISP_SAMPLE_ENCODED = 0, /* a JPEG or PNG file, told apart by its first bytes */
    WISP_SAMPLE_RGB8 = 1     /* (height, width, 3) row-major bytes */
};

/* Memory for one sample, lent by the host and reused. `reserve` returns at least `bytes` bytes, or
 * NULL; a later call for the same sample may move them, keeping the content. */
typedef struct wisp_sample_sink {
    uint32_t struct_size;
    uint32_t reserved;
    /* In read() alone, by the thread that it runs on. [worker] */
    uint8_t *(*reserve)(struct wisp_sample_sink *sink, size_t bytes);
} wisp_sample_sink;

/* One sample as it was read. Frozen layout. */
typedef struct wisp_sample {
    int32_t form;          /* WISP_SAMPLE_... */
    int32_t width, height; /* RGB8 only, px */
    int32_t reserved;
    uint8_t *data; /* as returned by the sink */
    size_t bytes;
} wisp_sample;

typedef struct wisp_dataset_v0 {
    uint32_t struct_size;
    uint32_t reserved;

    /* Number of samples. [any] */
    int64_t (*count)(const void *self);
    /* Number of classes; 0 when there are no labels. [any] */
    int32_t (*n_classes)(const void *self);
    /* Name of class `label`, owned by the instance; NULL when it has none. Optional. [any] */
    const char *(*class_name)(const void *self, int32_t label);
    /* Label of a sample in [0, n_classes). Absent when n_classes is 0. [any] */
    int32_t (*label)(const void *self, int64_t index);
    /* Reads one sample; 0 <= index < count. [any] */
    wisp_status (*read)(const void *self, int64_t index, wisp_sample_sink *sink,
                        wisp_sample *sample, wisp_error *err);
    /* Name of a sample for messages ("n01440764/x.jpg"), written to `text`. [any] */
    void (*sample_name)(const void *self, int64_t index, char *text, size_t bytes);
    /* A number that changes when the data changes (names, sizes, order); stored with the run.
     * [setup] */
    uint64_t (*fingerprint)(const void *self);

    /* Index of the sample that stands at `position` of an epoch whose key is `key`: for each key a
     * permutation of [0, count), and a pure function of its arguments. For data that are read
     * fastest in the order in which they lie; order.h has the pieces. Without it the host permutes
     * all samples freely. Optional. [any] */
    int64_t (*order)(const void *self, wisp_rng_key key, int64_t position);

    /* Whether `path` looks like data of this plugin (a folder, a file, a pattern of files): 0 it
     * does not, up to 100 it cannot be anything else. Opens little and changes nothing; called
     * without an instance, whose option `path` would then be this one. Optional. [any] */
    int32_t (*recognises)(const char *path);
} wisp_dataset_v0;

#ifdef __cplusplus
}
#endif
#endif
