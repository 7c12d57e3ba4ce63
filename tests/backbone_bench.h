/* backbone_bench.h - tests only: a backbone plugin with a classifier of 10 classes on top, fed with
 * weights and images by formula and compared with what PyTorch made of the same. */
#ifndef WISP_TESTS_BACKBONE_BENCH_H
#define WISP_TESTS_BACKBONE_BENCH_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "built_plugin.h"
#include "formula.h"
#include "golden_reader.h"
#include "nn/batch.h"
#include "tensor/program.h"

typedef struct backbone_bench {
    built_plugins plugins;
    wispi_device *device;
    wispi_model *model;
    wisp_module *net, *backbone, *fc; /* "net", "net.backbone", "net.fc" */
    wispi_batch batch;
    int backward; /* run: derive the gradients of the mean square of the logits too */
    wisp_tensor *pooled, *logits;
    int32_t n_stages;
    wisp_tensor *stages[WISP_MAX_STAGES]; /* channel means */
} backbone_bench;

#define BENCH_OK(expression)                                                                       \
    do {                                                                                           \
        wisp_error err = {0};                                                                      \
        wisp_status ok_status = (expression);                                                      \
        ck_assert_msg(ok_status == WISP_OK, "%s", err.message);                                    \
    } while (0)

static inline void bench_set_batch(backbone_bench *b, int32_t size, int64_t images)
{
    const wispi_batch zero = {.parts = 0};
    const wisp_view_group group = {"global", 1, size, size, 0};
    wispi_batch_fini(b->device, &b->batch);
    b->batch = zero;
    BENCH_OK(wispi_batch_init(b->device, &b->batch, &group, 1, images, WISP_F32, 0, &err));
}

/* `options` are the lines of [backbone]; `backend` "cpu", or NULL for the reference kernels. */
static inline backbone_bench *bench_open(const char *options, const char *backend, int32_t size,
                                         int64_t images)
{
    char toml[256];
    snprintf(toml, sizeof toml, "[backbone]\n%s\n[cpu]\nuse = \"cpu\"\n", options);
    backbone_bench *b = calloc(1, sizeof *b);
    ck_assert_ptr_nonnull(b);
    b->plugins = built_plugins_open(toml);
    b->device = built_device(&b->plugins, backend);
    bench_set_batch(b, size, images);
    BENCH_OK(wispi_model_create(b->device, 1, &b->model, &err));
    wispi_model_set_backbone_maker(b->model, built_backbone, &b->plugins);
    wisp_build *build = wispi_model_builder(b->model);
    b->net = wisp_network(build, "net");
    b->backbone = wisp_backbone(build, b->net, "backbone");
    const wisp_linear_desc fc = {.in = wisp_output_dim(build, b->backbone), .out = 10, .bias = 1};
    b->fc = wisp_linear_layer(build, b->net, "fc", &fc);
    BENCH_OK(wispi_model_build_status(b->model, &err));
    BENCH_OK(wispi_model_finish(b->model, &err));
    return b;
}

static inline void bench_close(backbone_bench *b)
{
    wispi_model_destroy(b->model);
    wispi_batch_fini(b->device, &b->batch);
    wispi_device_close(b->device);
    built_plugins_close(&b->plugins);
    free(b);
}

/* These lines of [backbone] are an error that holds `text`. */
static inline void bench_refuses(const char *options, const char *text)
{
    char toml[256];
    wispi_instance instance;
    wisp_error err = {0};
    snprintf(toml, sizeof toml, "[backbone]\n%s\n", options);
    built_plugins p = built_plugins_open(toml);
    ck_assert_int_eq(wispi_instance_create(p.registry, "backbone",
                                           wispi_node_find(wispi_config_root(p.config), "backbone"),
                                           "backbone", wispi_config_arena(p.config), &instance,
                                           &err),
                     WISP_E_CONFIG);
    ck_assert_msg(strstr(err.message, text) != NULL, "%s", err.message);
    built_plugins_close(&p);
}

/* --- sizes --- */

/* Tensors of the backbone of a role whose name ends like this, and their elements. */
static inline int bench_count(const backbone_bench *b, int32_t role, const char *end,
                              int64_t *elements)
{
    int n = 0;
    *elements = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(b->model, i);
        if (t->role != role || strncmp(t->name, "net.backbone.", 13) != 0 ||
            !formula_ends(t->name, end))
            continue;
        n++;
        *elements += wisp_desc_count(t->desc);
    }
    return n;
}

static inline int bench_convolutions(const backbone_bench *b)
{
    int n = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(b->model, i);
        n += t->role == WISPI_ROLE_PARAMETER && t->desc->rank == 4;
    }
    return n;
}

static inline void bench_embed_only(wisp_step *s, void *user)
{
    backbone_bench *b = user;
    wisp_forward(s, b->backbone, wisp_view(s, &b->batch.plugin, 0));
}

/* Multiply-adds of the embedding of one image. */
static inline double bench_macs(backbone_bench *b, int32_t size)
{
    wispi_program *program = NULL;
    wispi_program_facts facts;
    bench_set_batch(b, size, 1);
    BENCH_OK(wispi_program_record(b->device, wispi_ops_table(), b->model, WISPI_RECORD_SHAPES_ONLY,
                                  bench_embed_only, b, &program, &err));
    wispi_program_facts_of(program, &facts);
    wispi_program_destroy(program);
    return facts.forward_macs;
}

/* --- values --- */

/* The tensor net.backbone.NAME, or its gradient; the caller frees the values. */
static inline float *bench_values(backbone_bench *b, const char *name, int gradient, int64_t *count)
{
    char path[160];
    snprintf(path, sizeof path, "net.backbone.%s", name);
    const wispi_model_tensor *t = wispi_model_tensor_named(b->model, path);
    ck_assert_msg(t != NULL, "no tensor %s", path);
    const wispi_variable *v = gradient ? t->variable->grad : t->variable;
    ck_assert_msg(v != NULL, "%s has no gradient", path);
    *count = wisp_desc_count(t->desc);
    float *values = malloc((size_t)*count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    BENCH_OK(wispi_variable_read(b->device, v, values, &err));
    return values;
}

/* Weights by the names that torchvision or timm give them, the classifier's by "fc.", and images
 * by "images". */
static inline void bench_set_values(backbone_bench *b)
{
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(b->model, i);
        const int inside = strncmp(t->name, "net.backbone.", 13) == 0;
        float *values = malloc((size_t)wisp_desc_bytes(t->desc));
        ck_assert_ptr_nonnull(values);
        formula_parameter(t->name + (inside ? 13 : 4), t->desc, values);
        BENCH_OK(wispi_variable_write(b->device, t->variable, values, &err));
        free(values);
    }
    wispi_variable *views = &b->batch.views[0];
    const int64_t count = wisp_desc_count(&views->desc);
    float *values = malloc((size_t)count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    formula_uniform("images", count, -2, 2, values);
    BENCH_OK(wispi_variable_write(b->device, views, values, &err));
    free(values);
}

static inline void bench_step(wisp_step *s, void *user)
{
    backbone_bench *b = user;
    wisp_features f;
    memset(&f, 0, sizeof f);
    f.struct_size = sizeof f;
    f.taps = WISP_TAP_STAGES;
    if (!b->backward)
        wisp_no_grad_begin(s);
    b->pooled = wisp_forward_features(s, b->backbone, wisp_view(s, &b->batch.plugin, 0), &f);
    b->logits = wisp_forward(s, b->fc, b->pooled);
    b->n_stages = f.n_stages;
    for (int32_t i = 0; i < f.n_stages; i++)
        b->stages[i] = wisp_mean(s, f.stages[i], 1u << 1 | 1u << 2, 0);
    wispi_step_keep(s, b->pooled);
    wispi_step_keep(s, b->logits);
    for (int32_t i = 0; i < f.n_stages; i++)
        wispi_step_keep(s, b->stages[i]);
    if (b->backward)
        wispi_step_backward(s, wisp_mean(s, wisp_unary(s, b->logits, WISP_UNARY_SQUARE), 0, 0));
    else
        wisp_no_grad_end(s);
}

/* One step; the caller destroys the program. */
static inline wispi_program *bench_run(backbone_bench *b, int eval, int backward)
{
    wispi_program *program = NULL;
    b->backward = backward;
    wispi_model_set_eval(b->model, eval);
    BENCH_OK(wispi_program_record(b->device, wispi_ops_table(), b->model, 0, bench_step, b,
                                  &program, &err));
    BENCH_OK(wispi_model_refresh(b->model, &err));
    BENCH_OK(wispi_program_run(program, bench_step, b, NULL, &err));
    return program;
}

/* No value is further off than `tolerance` times the largest. */
static inline void bench_compare(const golden_file *g, const char *name, const float *got,
                                 int64_t count, double tolerance)
{
    golden_tensor want = golden_get(g, name);
    double largest = 0, worst = 0;
    ck_assert_msg(want.v != NULL, "%s: no %s", g->path, name);
    ck_assert_msg(want.count == count, "%s: %s has %lld values, not %lld", g->path, name,
                  (long long)want.count, (long long)count);
    for (int64_t i = 0; i < count; i++) {
        ck_assert_msg(isfinite(got[i]), "%s: %s[%lld] is not finite", g->path, name, (long long)i);
        largest = fmax(largest, fabs(want.v[i]));
        worst = fmax(worst, fabs(want.v[i] - (double)got[i]));
    }
    ck_assert_msg(worst <= tolerance * largest, "%s: %s is off by %.3g of %.3g", g->path, name,
                  worst, largest);
    free(want.v);
}

static inline void bench_compare_output(const golden_file *g, wispi_program *program,
                                        const char *name, const wisp_tensor *x, double tolerance)
{
    const int64_t count = wisp_desc_count(wispi_tensor_desc(x));
    float *values = malloc((size_t)count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    BENCH_OK(wispi_program_read(program, x, values, &err));
    bench_compare(g, name, values, count, tolerance);
    free(values);
}

/* Embedding, logits and stages of a step in mode "eval" or "train"; running statistics move. */
static inline void bench_compare_outputs(backbone_bench *b, const golden_file *g, const char *mode,
                                         double tolerance)
{
    char name[32];
    wispi_program *program = bench_run(b, strcmp(mode, "eval") == 0, 0);
    snprintf(name, sizeof name, "%s.pooled", mode);
    bench_compare_output(g, program, name, b->pooled, tolerance);
    snprintf(name, sizeof name, "%s.logits", mode);
    bench_compare_output(g, program, name, b->logits, tolerance);
    for (int32_t i = 0; i < b->n_stages; i++) {
        snprintf(name, sizeof name, "%s.stage%d", mode, (int)i + 1);
        bench_compare_output(g, program, name, b->stages[i], tolerance);
    }
    wispi_program_destroy(program);
}

/* net.backbone.NAME (or its gradient) with the tensor PREFIX.NAME. */
static inline void bench_compare_values(backbone_bench *b, const golden_file *g, const char *prefix,
                                        const char *name, int gradient, double tolerance)
{
    char theirs[160];
    int64_t count;
    snprintf(theirs, sizeof theirs, "%s.%s", prefix, name);
    float *values = bench_values(b, name, gradient, &count);
    bench_compare(g, theirs, values, count, tolerance);
    free(values);
}

#endif
