/* validate_practice.h - a short training around the method, backbone or probe under test.
 *
 * The host's own session, feed and step; generated images of a few pixels, six steps in two epochs.
 * What else is needed stands in (validate_stand_in.h), so that nothing but the data set and the
 * sampler of this build must be found; a method that needs tokens is given a small vit. */
#ifndef WISPI_TRAIN_VALIDATE_PRACTICE_H
#define WISPI_TRAIN_VALIDATE_PRACTICE_H

#include "train/session.h"
#include "train/validate_trial.h"

enum {
    WISPI_PRACTICE_EPOCH = 3, /* steps */
    WISPI_PRACTICE_STEPS = 2 * WISPI_PRACTICE_EPOCH
};

/* Workers: batches are made in the calling thread. Views: two global and two local ones where the
 * method takes them, as few as it takes, or one. */
enum { WISPI_PRACTICE_NO_WORKER = -1 };
enum { WISPI_PRACTICE_USUAL = 0, WISPI_PRACTICE_FEWEST = 1, WISPI_PRACTICE_ONE = 2 };

typedef struct wispi_practice_plan {
    const char *device; /* NULL: cpu, or the sealed one where there is no such backend */
    int32_t workers;    /* of the feed; 0: one; WISPI_PRACTICE_NO_WORKER: none */
    int32_t batch;      /* 0: a few images */
    int32_t views;      /* WISPI_PRACTICE_... */
    int32_t spoil;      /* 1: every pixel is NaN */
} wispi_practice_plan;

typedef struct wispi_practice {
    wispi_experiment *experiment;
    wispi_session *session;
    wispi_feed *feed;
    int64_t step;     /* the next one */
    int32_t spoil;    /* of the plan */
    int32_t is_ready; /* recorded since it was opened */
    float losses[WISPI_PRACTICE_STEPS];
} wispi_practice;

/* Builds everything and trains nothing. `plan` NULL: all zeros. What fails leaves nothing behind.
 */
wisp_status wispi_practice_open(wispi_trial *t, const wispi_subject *s,
                                const wispi_practice_plan *plan, wispi_practice *practice,
                                wisp_error *err);
void wispi_practice_close(wispi_practice *practice); /* accepts a zeroed one */

/* More parameters than the reference kernels can train in seconds. */
int wispi_practice_is_large(const wispi_practice *practice);
int64_t wispi_practice_parameters(const wispi_practice *practice);

/* What the host does at the start of an epoch: epoch_begin, and the step is recorded. */
wisp_status wispi_practice_begin_epoch(wispi_practice *practice, wisp_error *err);
/* On to step `end`, at most WISPI_PRACTICE_STEPS. */
wisp_status wispi_practice_train(wispi_practice *practice, int64_t end, wisp_error *err);
/* The batch that comes next; to be released to the practice's feed. */
wisp_status wispi_practice_batch(wispi_practice *practice, wispi_feed_batch **batch,
                                 wisp_error *err);

/* A copy of every tensor that a checkpoint holds, one after the other; NULL when there is no
 * memory. The caller frees it. */
uint8_t *wispi_practice_state(const wispi_practice *practice);
/* Puts such a copy back. */
wisp_status wispi_practice_restore(const wispi_practice *practice, const uint8_t *state,
                                   wisp_error *err);
/* The first tensor in which two such copies differ; NULL: none. */
const char *wispi_practice_difference(const wispi_practice *practice, const uint8_t *a,
                                      const uint8_t *b);

/* Opens for a test that can do nothing without it: fails the trial, or skips where this machine
 * lacks what is needed, or where the network is too large for the sealed device. 1: it is open, and
 * so is the subject. */
int wispi_trial_practise(wispi_trial *t, wispi_subject *s, const wispi_practice_plan *plan,
                         wispi_practice *practice);
/* Closes both. */
void wispi_trial_end_practice(wispi_subject *s, wispi_practice *practice);

#endif
