/* sample_maker.h - one sample from its index to finished views; one maker for each thread. */
#ifndef WISPI_DATA_SAMPLE_MAKER_H
#define WISPI_DATA_SAMPLE_MAKER_H

#include "data/feed.h"
#include "image/view_clock.h"

typedef struct wispi_sample_maker wispi_sample_maker;

/* `options` and `groups` must outlive the maker. */
wisp_status wispi_sample_maker_create(const wispi_feed_options *options,
                                      const wisp_view_group *groups, int32_t n_groups,
                                      wispi_sample_maker **maker, wisp_error *err);
void wispi_sample_maker_destroy(wispi_sample_maker *maker); /* accepts NULL */

/* NULL unless the options ask for times. The thread that calls wispi_sample_make starts it. */
wispi_view_clock *wispi_sample_maker_clock(wispi_sample_maker *maker);

/* Reads, decodes and draws sample `index` and writes its views as sample `slot` of the batch. The
 * error WISP_E_DATA means that this one sample is bad; others concern the run. [worker] */
wisp_status wispi_sample_make(wispi_sample_maker *maker, int64_t epoch, int64_t index,
                              wispi_feed_batch *batch, int64_t slot, wisp_error *err);

#endif
