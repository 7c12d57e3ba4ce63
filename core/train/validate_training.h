/* validate_training.h - methods and backbones in a short training of their own. */
#ifndef WISPI_TRAIN_VALIDATE_TRAINING_H
#define WISPI_TRAIN_VALIDATE_TRAINING_H

#include "train/validate_trial.h"

/* See validate_use.h. */
wisp_status wispi_use_training(wispi_trial *t, wispi_subject *s, wisp_error *err);

/* --- validate_training.c --- */
void wispi_validate_method_shapes(wispi_trial *t);
void wispi_validate_backbone_shapes(wispi_trial *t);
void wispi_validate_capture(wispi_trial *t);
void wispi_validate_finite_output(wispi_trial *t);
void wispi_validate_training_seed(wispi_trial *t);
void wispi_validate_training_workers(wispi_trial *t);
void wispi_validate_batch_1(wispi_trial *t);
void wispi_validate_one_view(wispi_trial *t);
void wispi_validate_nan_input(wispi_trial *t);

/* --- validate_checkpoint.c --- */
void wispi_validate_state_round_trip(wispi_trial *t);
void wispi_validate_state_from_garbage(wispi_trial *t);
void wispi_validate_resume(wispi_trial *t);

/* --- validate_gradient.c --- */
void wispi_validate_gradient_check(wispi_trial *t);
void wispi_validate_every_backend(wispi_trial *t);

#endif
