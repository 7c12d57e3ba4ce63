/* validate_options.h - values for every option of the plugin under test: wrong ones, and those at
 * the ends of its range. */
#ifndef WISPI_TRAIN_VALIDATE_OPTIONS_H
#define WISPI_TRAIN_VALIDATE_OPTIONS_H

#include "train/validate_trial.h"

/* A required option that the trial's key=value do not give; NULL: none. */
const char *wispi_validate_missing_option(const wispi_trial *t);

/* Each unknown key, wrong type and value out of range must be refused, with a message. Numbers
 * without bounds go to `judge` with the largest there are, as "key=value". */
void wispi_validate_each_bad_value(wispi_trial *t,
                                   void (*judge)(wispi_trial *t, const char *assignment));

/* Calls `judge` with "key=value" for each end of each range and each choice. Both end early once
 * the trial is decided. */
void wispi_validate_each_limit(wispi_trial *t,
                               void (*judge)(wispi_trial *t, const char *assignment));

#endif
