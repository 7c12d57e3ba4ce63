/* held_samples.h - inflated samples that wait until somebody asks for them, within a limit. */
#ifndef HELD_SAMPLES_H
#define HELD_SAMPLES_H

#include <pthread.h>

#include <wisp/host.h>

/* A sample's bytes; begins with its place in the queue. */
typedef struct held_sample {
    struct held_sample *before, *after; /* in the order in which they came */
    int64_t sample, bytes;
    uint8_t data[];
} held_sample;

typedef struct held_samples {
    const wisp_host *host;
    int64_t most; /* bytes */
    int32_t is_ready;
    int32_t reserved;
    pthread_mutex_t lock; /* of everything below */
    int64_t bytes;        /* held */
    held_sample *first, *last;
    held_sample **of; /* by sample; NULL: not held */
} held_samples;

/* Fills a zeroed struct. [setup] */
wisp_status held_fill(held_samples *h, const wisp_host *host, int64_t n_samples, int64_t most,
                      wisp_error *err);
void held_free(held_samples *h);

/* Memory for a sample, to be filled and put, or freed with the host; NULL when there is none, or it
 * is held already. [any] */
held_sample *held_begin(held_samples *h, int64_t sample, int64_t bytes);
/* Those that came first make room. [any] */
void held_put(held_samples *h, held_sample *s);
/* Takes a sample out, to be freed with the host; NULL when it is not held. [any] */
held_sample *held_take(held_samples *h, int64_t sample);

#endif
