/* feed_depth.h - how many batches a feed should work ahead, from what was measured.
 *
 * More batches ahead help when the consumer has to wait now and then although the workers have
 * time: they ran out of slots between two batches, and later a slow sample was waited for. Where
 * workers are too slow altogether they are never out of slots, and no depth would help. So a step
 * deeper is due when both happen within a few batches. */
#ifndef WISPI_DATA_FEED_DEPTH_H
#define WISPI_DATA_FEED_DEPTH_H

#include <stddef.h>
#include <stdint.h>

/* Batches ahead at first, and at most. */
enum { WISPI_DEPTH_FIRST = 2, WISPI_DEPTH_MOST = 64 };

typedef struct wispi_feed_depth {
    double last;                 /* moment of the last batch; 0: none yet */
    double passed, waited;       /* seconds, of the batches that count */
    int32_t taken, late, idling; /* batches; those that were waited for; those before which a worker
                                    was out of slots */
    int32_t out_of_slots;        /* since the last batch */
} wispi_feed_depth;

/* Begins anew: the batches before the next one say nothing about those after it. */
void wispi_feed_depth_begin(wispi_feed_depth *depth);
/* A worker found no slot to fill. */
void wispi_feed_depth_idle(wispi_feed_depth *depth);
/* A batch was handed out at `now` after `waited` seconds. 1: one slot more would have helped. */
int wispi_feed_depth_take(wispi_feed_depth *depth, double now, double waited);

/* Memory that batches of one feed may take when more are made ahead, by what the machine has. */
size_t wispi_feed_depth_memory(void);

#endif
