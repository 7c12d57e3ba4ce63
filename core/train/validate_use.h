/* validate_use.h - one ordinary use of a plugin, by kind: what it is made for, in small. */
#ifndef WISPI_TRAIN_VALIDATE_USE_H
#define WISPI_TRAIN_VALIDATE_USE_H

#include "train/validate_trial.h"

/* Frees what it makes. A failure is the plugin's answer, with its words; what cannot be tried here
 * (no device) is WISP_E_UNSUPPORTED or WISP_E_DEVICE. */
wisp_status wispi_trial_use(wispi_trial *t, wispi_subject *subject, wisp_error *err);

#endif
