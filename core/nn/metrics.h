/* metrics.h - the named numbers of one recorded step. */
#ifndef WISPI_NN_METRICS_H
#define WISPI_NN_METRICS_H

#include "tensor/program.h"

enum { WISPI_MAX_METRICS = 64 };

typedef struct wispi_metric {
    char name[64];
    const wisp_tensor *tensor; /* f32(), kept until the next run */
} wispi_metric;

/* Filled while a step is recorded; an entry stays valid as long as its program. */
typedef struct wispi_metrics {
    wispi_metric entries[WISPI_MAX_METRICS];
    int32_t n;
} wispi_metrics;

/* Keeps `value` under `name`, or puts it in the place of the metric of this name. */
void wispi_metrics_add(wispi_metrics *metrics, wisp_step *s, const char *name, wisp_tensor *value);
/* Reads all values after a run; values[i] belongs to entries[i]. */
wisp_status wispi_metrics_read(const wispi_metrics *metrics, wispi_program *program, double *values,
                               wisp_error *err);

#endif
