/* feed_settings.h - what an experiment says about its batches. */
#ifndef WISPI_TRAIN_FEED_SETTINGS_H
#define WISPI_TRAIN_FEED_SETTINGS_H

#include "data/feed.h"
#include "train/experiment.h"

/* A feed of evaluation views of `data`, with a worker for each of `processors` unless the
 * experiment says how many. */
wispi_feed_options wispi_feed_settings(const wispi_experiment *experiment,
                                       const wispi_instance *data, int64_t batch,
                                       int32_t processors);
/* Makes it one for training: drawn by the experiment's sampler. */
void wispi_feed_settings_sampled(wispi_feed_options *options, const wispi_experiment *experiment);

#endif
