/* view_bench.h - how fast batches of views are made, and where their time goes. */
#ifndef WISPI_TRAIN_VIEW_BENCH_H
#define WISPI_TRAIN_VIEW_BENCH_H

#include "image/view_clock.h"
#include "train/experiment.h"

typedef struct wispi_view_bench_request {
    int32_t workers;   /* below 0: as the experiment says */
    int32_t in_memory; /* samples are read before, not while views are made */
    double seconds;    /* of measuring */
    const volatile int *stop;
} wispi_view_bench_request;

typedef struct wispi_view_bench {
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups, dtype;
    int32_t workers, processors; /* 0 workers: the calling thread */
    int64_t batch, images;       /* of the data set, or as many of it as memory was granted for */
    size_t loaded;               /* bytes in memory */
    int32_t as_plans;            /* pictures and plans for a device: no views are made here, */
    int32_t as_bytes;            /* or all but their normalisation */
    int32_t ahead;               /* batches that the feed works ahead at the end */
    double seconds;              /* measured */
    wispi_view_clock times;      /* of all workers within them */
    double peak_mib;             /* of the process, up to now */
} wispi_view_bench;

/* Makes batches as a training on this host would, from data and sampler of the experiment, and does
 * nothing with them. */
wisp_status wispi_view_bench_run(const wispi_experiment *experiment,
                                 const wispi_view_bench_request *request, wispi_view_bench *bench,
                                 wisp_error *err);

/* The report; `source` names what was read. */
wisp_status wispi_view_bench_text(const wispi_view_bench *bench, const char *source, char **text,
                                  wisp_error *err);
wisp_status wispi_view_bench_json(const wispi_view_bench *bench, const char *source, char **text,
                                  wisp_error *err);

#endif
