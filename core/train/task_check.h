/* task_check.h - what tasks and probes need, compared with what the experiment gives them. */
#ifndef WISPI_TRAIN_TASK_CHECK_H
#define WISPI_TRAIN_TASK_CHECK_H

#include "train/experiment.h"
#include "wisp/backbone.h"

/* WISP_TASK_NEEDS_... and WISP_TASK_LEARNS as configured. The host trains and judges a probe that
 * learns, so that one needs both data sets with labels, whatever it says. */
uint32_t wispi_task_needs(const wispi_instance *task, int as_probe);

/* Source and n_blocks of what the task asks embed() for. */
wisp_embed_request wispi_task_reads(const wispi_instance *task);

/* Can the evaluated backbone, or the method, give what the request asks for? */
wisp_status wispi_embedding_check(const wispi_experiment *experiment,
                                  const wisp_backbone_info *backbone,
                                  const wisp_embed_request *request, wisp_error *err);

/* Refuses tasks and probes whose data sets are missing, have no labels, or do not have the same
 * number of classes where the labels of one are judged by those of the other; and those that ask
 * for embeddings that `backbone`, the evaluated one, does not have. */
wisp_status wispi_tasks_check(const wispi_experiment *experiment,
                              const wisp_backbone_info *backbone, wisp_error *err);

#endif
