/* trainer.h - one run from its folder to its results. */
#ifndef WISPI_TRAIN_TRAINER_H
#define WISPI_TRAIN_TRAINER_H

#include "train/experiment.h"

typedef struct wispi_train_options {
    int32_t check_finite, profile, quiet, json;
    const volatile int *stop; /* becomes 1 when the run shall end on a checkpoint */
} wispi_train_options;

/* Trains, probes, evaluates; resumes when the folder holds a checkpoint. WISP_E_STOPPED when it
 * ended on request, on a checkpoint. */
wisp_status wispi_train(wispi_experiment *experiment, const wispi_train_options *options,
                        wisp_error *err);

#endif
