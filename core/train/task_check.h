/* task_check.h - what tasks and probes need, compared with what the experiment gives them. */
#ifndef WISPI_TRAIN_TASK_CHECK_H
#define WISPI_TRAIN_TASK_CHECK_H

#include "train/experiment.h"

/* WISP_TASK_NEEDS_... and WISP_TASK_LEARNS as configured. The host trains and judges a probe that
 * learns, so that one needs both data sets with labels, whatever it says. */
uint32_t wispi_task_needs(const wispi_instance *task, int as_probe);

/* Refuses tasks and probes whose data sets are missing, have no labels, or do not have the same
 * number of classes where the labels of one are judged by those of the other. */
wisp_status wispi_tasks_check(const wispi_experiment *experiment, wisp_error *err);

#endif
