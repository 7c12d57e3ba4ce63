/* evaluation.h - runs tasks on the network as it is now and keeps what they report. */
#ifndef WISPI_TRAIN_EVALUATION_H
#define WISPI_TRAIN_EVALUATION_H

#include <jansson.h>

#include "train/embedder.h"
#include "train/metric_log.h"

enum { WISPI_MAX_RESULTS = 128, WISPI_METRIC_NAME = 96, WISPI_PROTOCOL_BYTES = 768 };

typedef struct wispi_result {
    char metric[WISPI_TASK_NAME + WISPI_METRIC_NAME]; /* "k-NN top-1"; "knn.2 k-NN top-1" */
    double value;
    char protocol[WISPI_PROTOCOL_BYTES];
} wispi_result;

typedef struct wispi_results {
    wispi_result list[WISPI_MAX_RESULTS];
    int32_t n;
} wispi_results;

enum {
    WISPI_EVALUATE_NETWORK = 0,
    WISPI_EVALUATE_RAW = 1 /* pixels of the evaluation view instead of embeddings */
};

typedef struct wispi_evaluation_request {
    const wispi_instance *tasks;
    int32_t n_tasks;
    int32_t as_probe;
    int32_t source; /* WISPI_EVALUATE_... */
    const volatile int *stop;
    json_t *confusions; /* NULL, or the array to which what was taken for what is appended */
} wispi_evaluation_request;

/* Evaluates each task in order; embeddings are made once for all. A probe that learns is judged on
 * the test split by its own predictions (not with WISPI_EVALUATE_RAW, which skips it). Where
 * several tables have one plugin, the results of all but the first begin with what
 * wispi_task_name() says.
 */
wisp_status wispi_evaluate(wispi_embedder *embedder, wispi_session *session,
                           const wispi_evaluation_request *request, wispi_results *results,
                           wisp_error *err);

/* One line for each result to the metric log; `kind` is "probe", "task", "untrained" ... `pixels`
 * NULL: the lines do not tell them. */
wisp_status wispi_results_log(const wispi_results *results, wispi_metric_log *log, const char *kind,
                              int64_t epoch, int64_t step, const int64_t *pixels, wisp_error *err);
/* The result of this name; NULL when there is none. */
const wispi_result *wispi_results_find(const wispi_results *results, const char *metric);

/* May a task report it? It stands in metrics.jsonl as it is, so it must be JSON to the last letter:
 * an object on one line. *n_members: how many it has. */
wisp_status wispi_protocol_check(const char *metric, const char *protocol, size_t *n_members,
                                 wisp_error *err);

#endif
