/* metric_log.h - the numbers of a run: metrics.jsonl, TensorBoard events, and timing.jsonl.
 *
 * metrics.jsonl holds what depends on the configuration alone, so a resumed run ends with the same
 * bytes as a straight one; what depends on the machine (speed, time) goes to timing.jsonl.
 * Positions are kept in the checkpoint, and what was written after it is cut off when the run
 * resumes. */
#ifndef WISPI_TRAIN_METRIC_LOG_H
#define WISPI_TRAIN_METRIC_LOG_H

#include "wisp/status.h"

typedef struct wispi_metric_log wispi_metric_log;

typedef struct wispi_metric_log_position {
    int64_t metrics_bytes, events_bytes, timing_bytes;
    char events_name[96];
} wispi_metric_log_position;

/* `resume_from` NULL: starts anew. */
wisp_status wispi_metric_log_open(const char *folder, const wispi_metric_log_position *resume_from,
                                  wispi_metric_log **metrics, wisp_error *err);
void wispi_metric_log_close(wispi_metric_log *metrics); /* accepts NULL */

typedef struct wispi_metric_value {
    const char *name;
    double value;
} wispi_metric_value;

/* A name as it stands there: "k-NN top-1" -> "k_nn_top_1". */
void wispi_metric_key(const char *metric, char *key, size_t bytes);

/* One line and one event: {"kind": "train", "epoch": ..., "step": ..., "loss": ...}. `protocol` is
 * a JSON object text or NULL. Values that are not finite become null. */
wisp_status wispi_metric_log_add(wispi_metric_log *metrics, const char *kind, int64_t epoch,
                                 int64_t step, const wispi_metric_value *values, int32_t n,
                                 const char *protocol, wisp_error *err);
/* One line with a sentence, as "words", behind the values; no event. */
wisp_status wispi_metric_log_add_words(wispi_metric_log *metrics, const char *kind, int64_t epoch,
                                       int64_t step, const wispi_metric_value *values, int32_t n,
                                       const char *words, wisp_error *err);
/* One line of timing.jsonl. */
wisp_status wispi_metric_log_add_timing(wispi_metric_log *metrics, int64_t epoch, int64_t step,
                                        const wispi_metric_value *values, int32_t n,
                                        wisp_error *err);
/* Brings everything to the disk and tells where the files stand. */
wisp_status wispi_metric_log_sync(wispi_metric_log *metrics, wispi_metric_log_position *position,
                                  wisp_error *err);

#endif
