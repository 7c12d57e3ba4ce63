/* sample_plan.h - the plan of a training sample, and everything a sampler may have got wrong. */
#ifndef WISPI_DATA_SAMPLE_PLAN_H
#define WISPI_DATA_SAMPLE_PLAN_H

#include "data/feed.h"

/* Draws the views of sample `index`, whose picture is width x height, from its seed, epoch and
 * index alone. All boxes lie inside the picture; views are those of `groups`. [worker] */
wisp_status wispi_sample_plan(const wispi_feed_options *options, const wisp_view_group *groups,
                              int32_t n_groups, int32_t width, int32_t height, int64_t epoch,
                              int64_t index, wisp_view_plan *plan, wisp_error *err);

#endif
