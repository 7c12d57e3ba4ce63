/* session.h - an experiment on a device: the model with its optimizer, ready to step or to embed.
 */
#ifndef WISPI_TRAIN_SESSION_H
#define WISPI_TRAIN_SESSION_H

#include "data/feed.h"
#include "nn/batch.h"
#include "nn/optimizer.h"
#include "tensor/program.h"
#include "train/experiment.h"
#include "train/start_weights.h"
#include "train/view_maker.h"

/* A probe that learns beside the method. */
typedef struct wispi_learning_probe {
    const wispi_instance *instance; /* NULL: the probe of this index does not learn */
    wisp_module *network;
} wispi_learning_probe;

/* The training step for batches of one size, as last recorded. */
typedef struct wispi_sized_step {
    wispi_batch batch;
    wispi_variable probe_labels;           /* i64(B); prepared when a probe learns */
    void *own_views[WISP_MAX_VIEW_GROUPS]; /* device memory; NULL where the feed's memory serves */
    wispi_program *program;
    const wisp_tensor *loss;
    const wisp_tensor *embedding; /* f32(rows, dim) of the first view; NULL: not measured */
    int64_t pixels;               /* that trained backbones are given, on this rank */
    wispi_metrics metrics;
} wispi_sized_step;

/* The numbers of one step, on their way to the host or there. */
typedef struct wispi_step_report {
    float *values; /* the loss, then metrics */
    float *embedding;
    uint64_t ticket;
    const wispi_metrics *metrics;
    int32_t n_metrics;      /* how many were asked for: all or none */
    int32_t embedding_rows; /* 0: not asked for */
    int64_t pixels;         /* of the run before this step, on all ranks; the trainer's */
    wisp_clock clock;
} wispi_step_report;

typedef struct wispi_session {
    wispi_experiment *experiment;
    wispi_instance backend;
    char device_name[160];
    int32_t n_threads;
    wispi_device *device;
    wispi_view_maker *view_maker; /* NULL: the feed's batches hold views */
    wispi_model *model;
    wispi_optimizer *optimizer;
    wispi_instance backbones[16]; /* one for each wisp_backbone() call */
    int32_t n_backbones;
    wisp_module *evaluated; /* a backbone */
    int64_t embedding_dim;
    wispi_learning_probe learning[WISPI_MAX_TASKS];
    int32_t any_learning;

    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups;
    wispi_sized_step whole;
    wispi_sized_step rest; /* of what is left at the end of an epoch, where it is trained on */
    int64_t local_batch;   /* images of `whole`: this rank's share of run.batch */
    int64_t rest_size;     /* images of it; 0: none, and `rest` is not prepared */
    wispi_sized_step *now; /* one of both: of the latest step */
    int64_t steps_per_epoch, total_steps;
    wisp_clock clock;
    wispi_step_report reports[2]; /* by turns */
    int32_t next_report;

    wispi_start_record *starts; /* what was loaded before the first step; or NULL */
    int32_t n_starts;
} wispi_session;

/* Opens the device, builds and initialises everything; shapes are checked by recording one step
 * without memory. `experiment` must outlive the session. */
wisp_status wispi_session_open(wispi_experiment *experiment, wispi_session **session,
                               wisp_error *err);
void wispi_session_close(wispi_session *session); /* accepts NULL */

/* Records the training step; at the start of every epoch. */
wisp_status wispi_session_record(wispi_session *session, uint32_t flags, wisp_error *err);
/* Pixels that trained backbones get in the latest step, on all ranks together. */
int64_t wispi_session_step_pixels(const wispi_session *session);
/* One step on a batch of the feed, which stays as it is until wispi_device_wait() on the uploads'
 * device for wispi_uploads_ticket() after the call. */
wisp_status wispi_session_step(wispi_session *session, const wispi_feed_batch *batch,
                               const wispi_run_options *options, wisp_error *err);
wispi_device *wispi_session_uploads_device(const wispi_session *session);
/* Begins to read the last step's loss, and its metrics if they are asked for. The report holds
 * until the second post after it. */
wisp_status wispi_session_post(wispi_session *session, int with_metrics, wispi_step_report **report,
                               wisp_error *err);
/* Until its values are there. */
wisp_status wispi_session_await(wispi_session *session, wispi_step_report *report, wisp_error *err);

enum { WISPI_FEED_IN_ORDER = 0, WISPI_FEED_SAMPLED = 1 };

/* A feed of a data set: drawn by the sampler, or each image once, in order, under the evaluation
 * view. */
wisp_status wispi_session_feed(const wispi_session *session, const wispi_instance *data, int how,
                               int64_t batch, wispi_feed **feed, wisp_error *err);
/* Each image once, in order, under a random crop and flip drawn for the feed's epoch. */
wisp_status wispi_session_crop_feed(const wispi_session *session, const wispi_instance *data,
                                    const double scale[2], wispi_feed **feed, wisp_error *err);

#endif
