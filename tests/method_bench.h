/* method_bench.h - tests only: a method on the reference kernels, built as an experiment builds it,
 * and its tensors by name. */
#ifndef WISP_TESTS_METHOD_BENCH_H
#define WISP_TESTS_METHOD_BENCH_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "built_plugin.h"
#include "formula.h"
#include "nn/batch.h"
#include "nn/optimizer.h"
#include "tensor/program.h"
#include "tensor/step.h"
#include "wisp/sdk.h"

#define OK(expression)                                                                             \
    do {                                                                                           \
        wisp_error err = {0};                                                                      \
        wisp_status ok_status = (expression);                                                      \
        ck_assert_msg(ok_status == WISP_OK, "%s", err.message);                                    \
    } while (0)

typedef struct bench {
    built_plugins plugins;
    wispi_device *device;
    wispi_model *model;
    const wisp_method_v0 *method;
    void *self;
    wispi_batch batch;
} bench;

static const wisp_view_group bench_views[] = {{"global", 2, 16, 16, 0}, {"local", 4, 8, 8, 0}};

typedef struct bench_batch {
    const wisp_view_group *groups;
    int32_t n_groups;
    int32_t dtype;
    int64_t images;
} bench_batch;

/* The method's build is left to the caller. `toml` has the tables [backbone] and [method]. */
static inline bench *open_bench_on(const char *toml, const bench_batch *batch)
{
    const wispi_batch zero = {.parts = 0};
    bench *b = calloc(1, sizeof *b);
    ck_assert_ptr_nonnull(b);
    b->plugins = built_plugins_open(toml);
    b->device = built_device(&b->plugins, NULL);
    const wispi_instance *method = built_plugin(&b->plugins, "method", "method");
    b->method = method->plugin->descriptor->vtable;
    b->self = method->self;
    b->batch = zero;
    OK(wispi_batch_init(b->device, &b->batch, batch->groups, batch->n_groups, batch->images,
                        batch->dtype, 0, &err));
    OK(wispi_model_create(b->device, 1, &b->model, &err));
    wispi_model_set_backbone_maker(b->model, built_backbone, &b->plugins);
    return b;
}

/* Two images in f32. */
static inline bench *open_bench(const char *toml, const wisp_view_group *groups, int32_t n_groups)
{
    const bench_batch two = {groups, n_groups, WISP_F32, 2};
    return open_bench_on(toml, &two);
}

static inline wisp_status build_bench(bench *b, wisp_error *err)
{
    wisp_status status =
        b->method->build(b->self, wispi_model_builder(b->model), &b->batch.plugin, err);
    return status == WISP_OK ? wispi_model_build_status(b->model, err) : status;
}

static inline void close_bench(bench *b)
{
    wispi_model_destroy(b->model);
    wispi_batch_fini(b->device, &b->batch);
    wispi_device_close(b->device);
    built_plugins_close(&b->plugins);
    free(b);
}

/* The status with which the table [method] is refused, or WISP_OK. */
static inline wisp_status judge_options(const char *toml)
{
    built_plugins p = built_plugins_open(toml);
    wispi_instance instance;
    wisp_error err = {0};
    wisp_status status = wispi_instance_create(
        p.registry, "method", wispi_node_find(wispi_config_root(p.config), "method"), "method",
        wispi_config_arena(p.config), &instance, &err);
    if (status == WISP_OK)
        wispi_instance_destroy(&instance);
    built_plugins_close(&p);
    return status;
}

/* --- tensors --- */

/* The caller frees it. */
static inline float *read_tensor(bench *b, const char *name, int64_t *count)
{
    const wispi_model_tensor *t = wispi_model_tensor_named(b->model, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    *count = wisp_desc_count(t->desc);
    float *values = malloc((size_t)*count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    OK(wispi_variable_read(b->device, t->variable, values, &err));
    return values;
}

typedef struct spread {
    double mean, deviation, largest;
} spread;

static inline spread spread_of(bench *b, const char *name)
{
    int64_t n;
    float *values = read_tensor(b, name, &n);
    spread s = {0, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        s.mean += (double)values[i] / (double)n;
        s.largest = fmax(s.largest, fabs((double)values[i]));
    }
    for (int64_t i = 0; i < n; i++)
        s.deviation += pow((double)values[i] - s.mean, 2) / (double)n;
    s.deviation = sqrt(s.deviation);
    free(values);
    return s;
}

#endif
