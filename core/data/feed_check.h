/* feed_check.h - what a feed is asked for, judged before anything is made. */
#ifndef WISPI_DATA_FEED_CHECK_H
#define WISPI_DATA_FEED_CHECK_H

#include "data/feed.h"

typedef struct wispi_feed_shape {
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups;
    int32_t own_order; /* the data set says which sample stands where */
    int64_t n_samples, steps_per_epoch;
} wispi_feed_shape;

/* Asks sampler and data set, and refuses what a feed cannot give. `shape` is zeroed. */
wisp_status wispi_feed_check(const wispi_feed_options *options, wispi_feed_shape *shape,
                             wisp_error *err);

#endif
