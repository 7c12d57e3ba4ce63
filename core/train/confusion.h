/* confusion.h - which classes were taken for which, as the report shows it: confusion.json of a run
 * folder. */
#ifndef WISPI_TRAIN_CONFUSION_H
#define WISPI_TRAIN_CONFUSION_H

#include <jansson.h>

#include "train/experiment.h"
#include "train/run_folder.h"

#define WISPI_CONFUSION_FILE "confusion.json"

/* {"task", "metric", "n_classes", "images", "counts": [[class, taken for, images] ...]}, the counts
 * that are not 0 in the order of both classes: as many as there are images at most. E_INVALID for
 * classes outside of [0, n_classes). */
wisp_status wispi_confusion_count(const char *task, const char *metric, const int32_t *labels,
                                  const int32_t *predicted, int64_t count, int32_t n_classes,
                                  json_t **out, wisp_error *err);

/* Writes {"kind", "epoch", "step", "classes", "tasks"}; nothing where there are no tasks. `kind` is
 * that of metrics.jsonl. */
wisp_status wispi_confusion_write(const wispi_run_folder *folder, const char *kind,
                                  const wisp_clock *clock, const wispi_instance *data,
                                  json_t *tasks, wisp_error *err);

#endif
