/* task.h - downstream judgement of a network: k-NN, linear probes ...
 *
 * The same plugin may serve as a [[task]], run when training ends, and as a [[probe]], watched
 * while training. A probe that learns beside the method makes its modules in `build` and adds its
 * loss in `step`; the embedding it is given is detached, so its gradient never reaches the
 * backbone. */
#ifndef WISP_TASK_H
#define WISP_TASK_H

#include "wisp/method.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WISP_SPLIT_TRAIN = 0, WISP_SPLIT_TEST = 1 };

/* What is to be embedded, and what of it is wanted. */
enum {
    WISP_EMBED_POOLED = 0,       /* the pooled embedding */
    WISP_EMBED_CLASS_TOKENS = 1, /* class tokens of the last n_blocks blocks, each through the final
                                    norm, side by side, the last block's last */
    WISP_EMBED_SCORES = 2        /* class scores by the method's own classifier, wisp_method's
                                    predict() */
};

typedef struct wisp_embed_request {
    uint32_t struct_size;
    int32_t split;    /* WISP_SPLIT_... */
    int32_t source;   /* WISP_EMBED_... */
    int32_t n_blocks; /* class tokens only */
    int32_t crops;    /* 0: the evaluation view (resize, centre crop); 1: random resized crops and
                         flips drawn for `epoch` */
    int32_t reserved;
    int64_t epoch;
    double scale[2]; /* of the random crops: lowest and highest share of the image's area */
} wisp_embed_request;

/* Embeddings of a whole split, host memory, owned by the host until the task returns; of random
 * crops until the task asks for others. Frozen layout. */
typedef struct wisp_embeddings {
    int64_t count, dim;
    const float *values;   /* (count, dim) row-major, not normalised */
    const int32_t *labels; /* (count); NULL: the split has none */
    int32_t n_classes;
    int32_t reserved;
} wisp_embeddings;

/* What a task gets while it judges. */
typedef struct wisp_task_context {
    uint32_t struct_size;
    int32_t as_probe; /* 1: called during training */
    wisp_clock clock;
    uint64_t seed;
    const struct wisp_host *host;

    /* Embeddings of a split by the evaluated network in eval mode. Those of the evaluation view
     * are computed once for all tasks of one evaluation. [main] */
    wisp_status (*embed)(struct wisp_task_context *context, const wisp_embed_request *request,
                         wisp_embeddings *out, wisp_error *err);
    /* One line of the result; `protocol` is the text of a JSON object that says how it was measured
     * (k, temperature, crop, weights ...) and is stored beside the number; what is none is refused.
     * The host adds the evaluation view and the network. `value` in per cent for accuracies.
     * [main] */
    wisp_status (*report)(struct wisp_task_context *context, const char *metric, double value,
                          const char *protocol, wisp_error *err);
    /* y (m,n) = a (m,k) . b (n,k)^T in f32 on the device; host memory. [main] */
    wisp_status (*product)(struct wisp_task_context *context, const float *a, int64_t m,
                           const float *b, int64_t n, int64_t k, float *y, wisp_error *err);
    /* 1 when the run was asked to stop: then evaluate() returns soon. [main] */
    int32_t (*stopping)(struct wisp_task_context *context);
    void *owner; /* the host's */
    /* Beside a metric: what each of `count` images of the test split was taken for. Both lists hold
     * classes in [0, n_classes); of equally likely ones the lower number. The host keeps how often
     * each class was taken for each, for the report. [main] */
    wisp_status (*report_predictions)(struct wisp_task_context *context, const char *metric,
                                      const int32_t *labels, const int32_t *predicted,
                                      int64_t count, int32_t n_classes, wisp_error *err);
} wisp_task_context;

/* The same, where the host has it; else nothing. */
static inline wisp_status wisp_report_predictions(wisp_task_context *context, const char *metric,
                                                  const int32_t *labels, const int32_t *predicted,
                                                  int64_t count, int32_t n_classes, wisp_error *err)
{
    if (!WISP_HAS(context, wisp_task_context, report_predictions) || !context->report_predictions)
        return WISP_OK;
    return context->report_predictions(context, metric, labels, predicted, count, n_classes, err);
}

enum {
    WISP_TASK_NEEDS_LABELS = 1, /* of the training split */
    WISP_TASK_NEEDS_TEST = 2,   /* a [test] data set with labels */
    WISP_TASK_LEARNS = 4        /* as a probe it has build and step */
};

typedef struct wisp_task_v0 {
    uint32_t struct_size;
    uint32_t reserved;
    /* WISP_TASK_... as configured. [setup] */
    uint32_t (*needs)(void *self);
    /* Probe that learns: makes modules under `parent`; the embedding has `dim` values. [setup] */
    wisp_status (*build)(void *self, wisp_build *b, wisp_module *parent, int64_t dim,
                         wisp_error *err);
    /* Probe that learns: loss f32() from the detached embedding T(B,dim) and labels i64(B). [main]
     */
    wisp_tensor *(*step)(void *self, wisp_step *s, wisp_tensor *embedding, wisp_tensor *labels);
    /* Probe that learns: class scores T(B,n_classes) for embeddings T(B,dim). [main] */
    wisp_tensor *(*predict)(void *self, wisp_step *s, wisp_tensor *embedding);
    /* Judges and reports. Absent for a probe that only learns: then the host measures top-1 of
     * predict over the test split. [main] */
    wisp_status (*evaluate)(void *self, wisp_task_context *context, wisp_error *err);
    /* Fills source and n_blocks of a zeroed request with what it will ask embed() for, so that what
     * backbone or method cannot give is refused at start. Optional: the pooled embedding. [setup]
     */
    void (*reads)(void *self, wisp_embed_request *request);
} wisp_task_v0;

#ifdef __cplusplus
}
#endif
#endif
