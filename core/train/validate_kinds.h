/* validate_kinds.h - what the tests know of each kind of plugin: one ordinary use, and tests. */
#ifndef WISPI_TRAIN_VALIDATE_KINDS_H
#define WISPI_TRAIN_VALIDATE_KINDS_H

#include "train/validate_trial.h"

/* See validate_use.h. */
wisp_status wispi_use_sampler(wispi_trial *t, wispi_subject *s, wisp_error *err);
wisp_status wispi_use_dataset(wispi_trial *t, wispi_subject *s, wisp_error *err);
wisp_status wispi_use_backend(wispi_trial *t, wispi_subject *s, wisp_error *err);
wisp_status wispi_use_task(wispi_trial *t, wispi_subject *s, wisp_error *err);

void wispi_validate_sampler_shapes(wispi_trial *t);
void wispi_validate_sampler_repeats(wispi_trial *t);
void wispi_validate_sampler_seed(wispi_trial *t);
void wispi_validate_sampler_workers(wispi_trial *t);

void wispi_validate_dataset_shapes(wispi_trial *t);
void wispi_validate_dataset_repeats(wispi_trial *t);
void wispi_validate_dataset_seed(wispi_trial *t);
void wispi_validate_dataset_workers(wispi_trial *t);
void wispi_validate_dataset_sink(wispi_trial *t);

void wispi_validate_task_shapes(wispi_trial *t);
void wispi_validate_task_seed(wispi_trial *t);
void wispi_validate_task_labels(wispi_trial *t);
void wispi_validate_task_few(wispi_trial *t);
void wispi_validate_task_nan(wispi_trial *t);

void wispi_validate_backend_memory(wispi_trial *t);
void wispi_validate_backend_unknown(wispi_trial *t);
void wispi_validate_backend_ops(wispi_trial *t);

void wispi_validate_comm_alone(wispi_trial *t);

#endif
