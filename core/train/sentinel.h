/* sentinel.h - says when a run has collapsed: metrics that stay where outputs or embeddings no
 * longer tell images apart.
 *
 * A metric that is at a sign's value in every measurement of WISPI_SIGN_STEPS steps and
 * WISPI_SIGN_MEASUREMENTS measurements has collapsed, once the learning rate's warm-up is over.
 * docs/health.md has the reasons. What is remembered between measurements is in the checkpoint, so
 * that a resumed run says the same at the same step. */
#ifndef WISPI_TRAIN_SENTINEL_H
#define WISPI_TRAIN_SENTINEL_H

#include "nn/model.h"
#include "train/health_state.h"
#include "train/metric_log.h"

enum { WISPI_SIGN_STEPS = 200, WISPI_SIGN_MEASUREMENTS = 10 };

typedef struct wispi_sentinel {
    /* The method's, which know the cause, then the host's. */
    wispi_sign signs[WISPI_HEALTH_SIGNS];
    int32_t n_signs;
    int64_t first_verdict; /* step before which none is given */
    wispi_health_state *state;
} wispi_sentinel;

/* The signs of the host and of the model's method. `state` is read and written as long as the
 * sentinel lives; what it holds from another list of signs is forgotten. */
void wispi_sentinel_begin(wispi_sentinel *sentinel, const wispi_model *model,
                          int64_t steps_per_epoch, wispi_health_state *state);
/* Takes in the measurements of one step; the sign that has collapsed for longest, or NULL:
 * none has. */
const wispi_sign *wispi_sentinel_judge(wispi_sentinel *sentinel, int64_t step,
                                       const wispi_metric_value *values, int32_t n);
/* The first step of the sign's present stay. */
int64_t wispi_sentinel_since(const wispi_sentinel *sentinel, const wispi_sign *sign);
/* No metric is at a sign's value. */
int wispi_sentinel_is_calm(const wispi_sentinel *sentinel);

#endif
