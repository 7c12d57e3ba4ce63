/* cifar_records.h - what CIFAR-10 and CIFAR-100 share in their binary versions: files of records, a
 * record one or two label bytes, then 32 x 32 pixels in three planes. */
#ifndef CIFAR_RECORDS_H
#define CIFAR_RECORDS_H

#include <wisp/subset.h>

enum { CIFAR_TRAIN = 1, CIFAR_TEST = 2, CIFAR_MOST_LABELS = 2, CIFAR_MOST_CLASSES = 100 };

/* One of the two. */
typedef struct cifar_kind {
    const char *title;        /* "CIFAR-10" */
    const char *const *train; /* NULL-terminated names of files */
    const char *const *test;  /* likewise */
    const char *sizes;        /* of the published files, in words; others may have others */
    int32_t n_labels;         /* bytes before the pixels */
    int32_t classes[CIFAR_MOST_LABELS];   /* of each label */
    const char *names[CIFAR_MOST_LABELS]; /* files that name the classes */
} cifar_kind;

/* The config struct of both plugins. */
typedef struct cifar_config {
    const char *path;
    int32_t split;
    int32_t label; /* which of the labels counts */
    wisp_subset_options subset;
} cifar_config;

/* Reads a split into memory. `vtable` is the plugin's, made of the functions below. */
wisp_status cifar_create(const wisp_host *host, const cifar_kind *kind,
                         const wisp_dataset_v0 *vtable, const cifar_config *config, void **self,
                         wisp_error *err);
void cifar_destroy(void *self);

/* How sure it is that a folder holds `kind`. */
int32_t cifar_recognises(const cifar_kind *kind, const char *folder);

int64_t cifar_count(const void *self);
int32_t cifar_n_classes(const void *self);
const char *cifar_class_name(const void *self, int32_t label);
int32_t cifar_label(const void *self, int64_t index);
wisp_status cifar_read(const void *self, int64_t index, wisp_sample_sink *sink, wisp_sample *sample,
                       wisp_error *err);
void cifar_sample_name(const void *self, int64_t index, char *text, size_t bytes);
uint64_t cifar_fingerprint(const void *self);

#endif
