/* task_context.h - tests only: a host for tasks, over embeddings that the test made.
 *
 * It counts calls, keeps results and the loss of each epoch, and fails or stops where it is told
 * to. */
#ifndef WISP_TESTS_TASK_CONTEXT_H
#define WISP_TESTS_TASK_CONTEXT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "loader/host_table.h"
#include "wisp/task.h"

enum { FAKE_RESULTS = 8, FAKE_EPOCHS = 128 };

typedef struct fake_result {
    char metric[64];
    double value;
    char protocol[512];
} fake_result;

typedef struct fake_context {
    wisp_task_context plugin; /* first: the handle converts */
    wisp_host host;
    wisp_embeddings splits[2];
    wisp_embeddings *crops; /* of each epoch, or NULL: the training split */
    /* what is to happen */
    const char *fails;        /* name of the call that fails */
    int32_t stop_after;       /* -1: never; n: the call of stopping() behind the nth says yes */
    float poison;             /* added to every product */
    int32_t source, n_blocks; /* what must be asked for */
    /* what has happened */
    int32_t stops, embeds, crop_calls, products;
    int64_t largest_product; /* values */
    int64_t crop_epochs[FAKE_EPOCHS];
    double crop_scale[2];
    fake_result results[FAKE_RESULTS];
    int32_t n_results, n_predictions;
    double losses[FAKE_EPOCHS], top1[FAKE_EPOCHS];
    int32_t n_epochs, warnings;
} fake_context;

static inline fake_context *fake_of(wisp_task_context *plugin)
{
    return (fake_context *)(void *)plugin;
}

static inline wisp_status fake_fail(const fake_context *f, const char *call, wisp_error *err)
{
    if (f->fails && !strcmp(f->fails, call))
        return wisp_fail(err, WISP_E_IO, "%s failed", call);
    return WISP_OK;
}

static inline wisp_status fake_crops(fake_context *f, const wisp_embed_request *request,
                                     wisp_embeddings *out, wisp_error *err)
{
    ck_assert_int_lt(f->crop_calls, FAKE_EPOCHS);
    f->crop_epochs[f->crop_calls++] = request->epoch;
    f->crop_scale[0] = request->scale[0];
    f->crop_scale[1] = request->scale[1];
    ck_assert_int_eq(request->split, WISP_SPLIT_TRAIN);
    WISP_TRY(fake_fail(f, request->epoch == 0 ? "first_crops" : "later_crops", err));
    *out = f->crops ? f->crops[request->epoch] : f->splits[WISP_SPLIT_TRAIN];
    return WISP_OK;
}

static inline wisp_status fake_embed(wisp_task_context *plugin, const wisp_embed_request *request,
                                     wisp_embeddings *out, wisp_error *err)
{
    fake_context *f = fake_of(plugin);
    ck_assert_uint_eq(request->struct_size, sizeof *request);
    ck_assert_int_eq(request->source, f->source);
    ck_assert_int_eq(request->source == WISP_EMBED_CLASS_TOKENS ? request->n_blocks : 0,
                     f->n_blocks);
    if (request->crops)
        return fake_crops(f, request, out, err);
    f->embeds++;
    WISP_TRY(fake_fail(f, request->split == WISP_SPLIT_TRAIN ? "embed_train" : "embed_test", err));
    *out = f->splits[request->split];
    return WISP_OK;
}

static inline wisp_status fake_report(wisp_task_context *plugin, const char *metric, double value,
                                      const char *protocol, wisp_error *err)
{
    fake_context *f = fake_of(plugin);
    char call[80];
    snprintf(call, sizeof call, "report %s", metric);
    WISP_TRY(fake_fail(f, call, err));
    ck_assert_int_lt(f->n_results, FAKE_RESULTS);
    fake_result *r = &f->results[f->n_results++];
    ck_assert_uint_lt(strlen(metric), sizeof r->metric);
    ck_assert_uint_lt(strlen(protocol), sizeof r->protocol);
    snprintf(r->metric, sizeof r->metric, "%s", metric);
    snprintf(r->protocol, sizeof r->protocol, "%s", protocol);
    r->value = value;
    return WISP_OK;
}

/* Right ones among what is said to be predicted: the metric that it stands beside. */
static inline wisp_status fake_predictions(wisp_task_context *plugin, const char *metric,
                                           const int32_t *labels, const int32_t *predicted,
                                           int64_t count, int32_t n_classes, wisp_error *err)
{
    fake_context *f = fake_of(plugin);
    int64_t right = 0;
    WISP_TRY(fake_fail(f, "predictions", err));
    ck_assert_int_eq(count, f->splits[WISP_SPLIT_TEST].count);
    for (int64_t i = 0; i < count; i++) {
        ck_assert_int_eq(labels[i], f->splits[WISP_SPLIT_TEST].labels[i]);
        ck_assert(predicted[i] >= 0 && predicted[i] < n_classes);
        right += predicted[i] == labels[i];
    }
    ck_assert_str_eq(f->results[f->n_results - 1].metric, metric);
    ck_assert_double_eq_tol(f->results[f->n_results - 1].value,
                            100.0 * (double)right / (double)count, 1e-9);
    f->n_predictions++;
    return WISP_OK;
}

static inline wisp_status fake_product(wisp_task_context *plugin, const float *a, int64_t m,
                                       const float *b, int64_t n, int64_t k, float *y,
                                       wisp_error *err)
{
    fake_context *f = fake_of(plugin);
    WISP_TRY(fake_fail(f, f->products++ == 0 ? "first_product" : "later_product", err));
    f->largest_product = m * n > f->largest_product ? m * n : f->largest_product;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = f->poison;
            for (int64_t l = 0; l < k; l++)
                sum += a[i * k + l] * b[j * k + l];
            y[i * n + j] = sum;
        }
    return WISP_OK;
}

static inline int32_t fake_stopping(wisp_task_context *plugin)
{
    fake_context *f = fake_of(plugin);
    return f->stop_after >= 0 && f->stops++ >= f->stop_after;
}

/* The linear probe says loss and accuracy of each epoch in its log. */
static inline void fake_log(const wisp_host *host, int32_t level, const char *line)
{
    fake_context *f =
        (fake_context *)(uintptr_t)((const char *)host - offsetof(fake_context, host));
    long long epoch = 0, epochs = 0;
    if (level == WISP_LOG_WARNING) {
        f->warnings++;
        return;
    }
    ck_assert_int_eq(level, WISP_LOG_DEBUG);
    ck_assert_int_lt(f->n_epochs, FAKE_EPOCHS);
    ck_assert_int_eq(sscanf(line, "linear probe: epoch %lld of %lld: loss %lf, top-1 %lf %%",
                            &epoch, &epochs, &f->losses[f->n_epochs], &f->top1[f->n_epochs]),
                     4);
    ck_assert_int_eq(epoch, ++f->n_epochs);
}

static inline void fake_open(fake_context *f, const wisp_embeddings *train,
                             const wisp_embeddings *test)
{
    memset(f, 0, sizeof *f);
    f->host = *wispi_host_table();
    f->host.log = fake_log;
    f->plugin = (wisp_task_context){
        .struct_size = sizeof f->plugin,
        .seed = 11,
        .host = &f->host,
        .embed = fake_embed,
        .report = fake_report,
        .product = fake_product,
        .stopping = fake_stopping,
        .report_predictions = fake_predictions,
    };
    f->splits[WISP_SPLIT_TRAIN] = *train;
    f->splits[WISP_SPLIT_TEST] = *test;
    f->stop_after = -1;
}

/* The value reported as `metric`; fails the test when there is none. */
static inline const fake_result *fake_result_of(const fake_context *f, const char *metric)
{
    for (int32_t i = 0; i < f->n_results; i++)
        if (!strcmp(f->results[i].metric, metric))
            return &f->results[i];
    ck_abort_msg("%s was not reported", metric);
    return NULL;
}

static inline double fake_value(const fake_context *f, const char *metric)
{
    return fake_result_of(f, metric)->value;
}

#endif
