/* feed.h - batches of views, made ahead of time on worker threads.
 *
 * Order, augmentation and batches depend only on (seed, epoch, sample, view): any number of workers
 * gives the same bits, and a feed may start in the middle of an epoch. A sample that cannot be read
 * or decoded is replaced by another one that is chosen from the seed, counted and named in the log;
 * when more of the data set turn out bad than its options allow, the feed fails. */
#ifndef WISPI_DATA_FEED_H
#define WISPI_DATA_FEED_H

#include "image/view_clock.h"
#include "wisp/dataset.h"
#include "wisp/sampler.h"
#include "wisp/tensor.h"

/* Longest side of a view, px. */
enum { WISPI_FEED_MAX_SIDE = 4096 };

typedef struct wispi_feed wispi_feed;

/* Where batches stand, for devices that copy out of memory of their own kind. Called in the thread
 * that makes and destroys the feed. */
typedef struct wispi_feed_memory {
    void *user;
    wisp_status (*alloc)(void *user, size_t bytes, void **memory, wisp_error *err);
    void (*free)(void *user, void *memory);
} wispi_feed_memory;

typedef struct wispi_feed_options {
    const wisp_dataset_v0 *dataset;
    const void *dataset_self;
    const wisp_sampler_v0 *sampler; /* NULL: one evaluation view of each sample, in order */
    const void *sampler_self;
    uint64_t seed;
    int64_t batch;       /* samples of a step on this rank */
    int32_t rank, world; /* the data stream for a global batch is the same for every world */
    int32_t drop_last;   /* 1: training; 0: the last batch may be short */
    int32_t dtype;       /* WISP_F32 or WISP_BF16 */
    float mean[3], std[3];
    int32_t eval_resize,
        eval_size;       /* px, without a sampler; resize 0: the picture is squashed to size */
    int32_t workers;     /* 0: in the calling thread */
    int32_t prefetch;    /* batches made ahead; 0: as many as are seen to help */
    size_t memory_limit; /* for batches made ahead beyond the first two; 0: chosen by the machine */
    /* 1: views are made only while `next` waits for them. For a backend whose threads need the same
     * processors: they wait for each other at each operation, so a worker that takes one of their
     * processors stops all of them. */
    int32_t take_turns;
    /* Without a sampler: a random resized crop and flip instead of the evaluation view, in order
     * too (linear probes). Lowest and highest share of the image; both 0: none. */
    double crop_scale[2];
    int64_t subset;           /* > 0: only the first `subset` samples */
    double bad_share;         /* of the samples that may be replaced; 0: none */
    wispi_feed_memory memory; /* alloc NULL: plain memory */
    int32_t upright;          /* 1: pictures are turned as their EXIF orientation says */
    /* 1: batches hold decoded pictures and plans, of which a device makes the views. */
    int32_t as_plans;
    int32_t as_bytes; /* with as_plans: the pictures are the views, which only want normalising */
    int32_t timed;    /* 1: times by phase are kept */
} wispi_feed_options;

struct wispi_picture_store;

/* One finished batch, lent until release. Its size is 0 where the last step has no samples left for
 * this rank. */
typedef struct wispi_feed_batch {
    int64_t epoch, step;                /* step within the epoch */
    int64_t size;                       /* samples */
    void *groups[WISP_MAX_VIEW_GROUPS]; /* (count*size,H,W,3), view-major; NULL as plans */
    /* As plans: what make_views (wisp/kernels.h) takes; the rows of a group follow those of the
     * group before, view-major. */
    const uint8_t *pixels;
    size_t pixel_bytes;
    int64_t *views;                    /* (V*size,WISP_VIEW_COLUMNS) */
    float *ops;                        /* (V*size,WISP_MAX_PIXEL_OPS,2) */
    int64_t *index;                    /* (size) */
    int64_t *label;                    /* (size); NULL without labels */
    float *boxes;                      /* (V,size,4): x, y, w, h in source pixels */
    float *flip;                       /* (V,size) */
    float *source;                     /* (size,2): width, height in px */
    double wait_seconds;               /* how long `next` waited for it */
    struct wispi_picture_store *store; /* of the pixels; the feed's own */
} wispi_feed_batch;

wisp_status wispi_feed_create(const wispi_feed_options *options, wispi_feed **feed,
                              wisp_error *err);
void wispi_feed_destroy(wispi_feed *feed); /* accepts NULL; waits for its workers */

int64_t wispi_feed_steps_per_epoch(const wispi_feed *feed);
/* View groups as the batches have them. */
int32_t wispi_feed_groups(const wispi_feed *feed, wisp_view_group *groups);

/* The next batch is (epoch, step); step may be the number of steps, which is the next epoch. Drops
 * what was made ahead; batches that are held stay valid. */
wisp_status wispi_feed_seek(wispi_feed *feed, int64_t epoch, int64_t step, wisp_error *err);
/* Next batch in order, over the ends of epochs too. Waits for it. */
wisp_status wispi_feed_next(wispi_feed *feed, wispi_feed_batch **batch, wisp_error *err);
/* Gives a batch's memory back, in any order. At most two batches may be held at once. Ignores NULL
 * and what is not held. */
void wispi_feed_release(wispi_feed *feed, wispi_feed_batch *batch);

/* Samples replaced so far, each counted once. */
int64_t wispi_feed_bad_samples(wispi_feed *feed);

/* Batches that it makes ahead of the one that is taken next. */
int32_t wispi_feed_ahead(wispi_feed *feed);
/* Whether workers can do nothing more until a batch is taken or given back; true of a feed that
 * failed. */
int wispi_feed_is_full(wispi_feed *feed);
/* Time of all workers by phase since the feed was made; zeros unless the options ask for it. */
void wispi_feed_times(wispi_feed *feed, wispi_view_clock *times);

/* Sample index at a position of an epoch, from the seeded permutation of [0, n) that holds unless
 * the data set has an order of its own. Exposed for tests and for paired comparisons. */
wisp_rng_key wispi_order_key(uint64_t seed, int64_t epoch);
int64_t wispi_order_at(uint64_t seed, int64_t epoch, int64_t n, int64_t position);

#endif
