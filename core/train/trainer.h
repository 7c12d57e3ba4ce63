/* trainer.h - one run from its folder to its results. */
#ifndef WISPI_TRAIN_TRAINER_H
#define WISPI_TRAIN_TRAINER_H

#include "train/experiment.h"
#include "train/run_folder.h"
#include "train/start_weights.h"

typedef struct wispi_train_options {
    int32_t check_finite, profile, quiet, json;
    const char *locked; /* the experiment's file: hold it to its plugins (plugin_lock.h); or NULL */
    const volatile int *stop;            /* becomes 1 when the run shall end on a checkpoint */
    struct wispi_train_outcome *outcome; /* NULL, or filled by the first rank of a run that ended */
} wispi_train_options;

typedef struct wispi_train_outcome {
    char folder[WISPI_FOLDER_BYTES];
    int32_t was_done; /* nothing was left to do */
} wispi_train_outcome;

/* Trains, probes, evaluates; resumes when the folder holds a checkpoint. WISP_E_STOPPED when it
 * ended on request, on a checkpoint. */
wisp_status wispi_train(wispi_experiment *experiment, const wispi_train_options *options,
                        wisp_error *err);

/* What wispi_train_begin() did. */
typedef struct wispi_begun {
    char folder[WISPI_FOLDER_BYTES];
    wispi_start_record start; /* of the last [[init]] */
} wispi_begun;

/* Makes the folder of a new run with a checkpoint of its first weights, and ends there. A folder
 * that holds a run already is refused. */
wisp_status wispi_train_begin(wispi_experiment *experiment, wispi_begun *begun, wisp_error *err);

#endif
