/* method_training.h - tests only: a method trained for some steps from weights and views by
 * formula, in a loop as small as possible, and compared with what PyTorch made of the same. */
#ifndef WISP_TESTS_METHOD_TRAINING_H
#define WISP_TESTS_METHOD_TRAINING_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "built_plugin.h"
#include "formula.h"
#include "golden_reader.h"
#include "nn/batch.h"
#include "nn/optimizer.h"
#include "tensor/program.h"
#include "tensor/step.h"
#include "wisp/method.h"

#define TRAINING_OK(expression)                                                                    \
    do {                                                                                           \
        wisp_error ok_err = {0}, *err = &ok_err;                                                   \
        wisp_status ok_status = (expression);                                                      \
        ck_assert_msg(ok_status == WISP_OK, "%s", err->message);                                   \
    } while (0)

/* The same views, epochs and learning rate's warm-up (one epoch) for every method. */
enum { TRAINING_BATCH = 8, TRAINING_EPOCHS = 4, TRAINING_STEPS_PER_EPOCH = 5 };
enum { TRAINING_STEPS = TRAINING_EPOCHS * TRAINING_STEPS_PER_EPOCH };

static const wisp_view_group training_groups[] = {{"global", 2, 16, 16, 0}, {"local", 4, 8, 8, 0}};

/* A ResNet18 with 1/16 of the channels; `toml` of a recipe goes below [method]. */
static const char training_common[] = "[backbone]\n"
                                      "use = \"resnet\"\n"
                                      "depth = 18\n"
                                      "width = 0.0625\n"
                                      "stem = \"cifar\"\n"
                                      "[cpu]\n"
                                      "use = \"cpu\"\n"
                                      "[method]\n";

typedef struct training_recipe {
    const char *name, *toml;
    int32_t optimizer;
    double clip;
    double lr_start, lr, lr_end, decay, decay_end;
} training_recipe;

typedef struct training {
    built_plugins plugins;
    wispi_device *device;
    wispi_model *model;
    wispi_optimizer *optimizer;
    const wisp_method_v0 *method;
    void *self;
    wispi_batch batch;
    wispi_metrics metrics;
    wispi_program *program;
    wisp_tensor *loss;
    int32_t n_classes; /* above 0: the batch has labels */
} training;

static inline void training_make_rates(wisp_build *b, const training_recipe *r)
{
    wisp_schedule lr = {.kind = WISP_SCHEDULE_COSINE, .value = r->lr, .end = r->lr_end};
    wisp_schedule decay = {.kind = WISP_SCHEDULE_COSINE, .value = r->decay, .end = r->decay_end};
    lr.warmup_start = r->lr_start;
    lr.warmup_epochs = 1;
    wisp_new_scalar(b, "lr", &lr);
    wisp_new_scalar(b, "weight_decay", &decay);
}

/* Weights by formula, under the names that PyTorch's modules have. */
static inline void training_set_weights(training *t)
{
    for (int32_t i = 0; i < wispi_model_tensor_count(t->model); i++) {
        const wispi_model_tensor *tensor = wispi_model_tensor_at(t->model, i);
        if (tensor->role != WISPI_ROLE_PARAMETER && tensor->role != WISPI_ROLE_BUFFER)
            continue;
        float *values = malloc((size_t)wisp_desc_bytes(tensor->desc));
        ck_assert_ptr_nonnull(values);
        formula_parameter(strchr(tensor->name, '.') + 1, tensor->desc, values);
        TRAINING_OK(wispi_variable_write(t->device, tensor->variable, values, err));
        free(values);
    }
}

static inline void training_build(training *t, const training_recipe *r)
{
    TRAINING_OK(wispi_model_create(t->device, 1, &t->model, err));
    wispi_model_set_backbone_maker(t->model, built_backbone, &t->plugins);
    wisp_build *b = wispi_model_builder(t->model);
    b->steps_per_epoch = TRAINING_STEPS_PER_EPOCH;
    b->epochs = TRAINING_EPOCHS;
    b->batch = TRAINING_BATCH;
    b->n_classes = t->n_classes;
    training_make_rates(b, r);
    TRAINING_OK(t->method->build(t->self, b, &t->batch.plugin, err));
    TRAINING_OK(wispi_model_build_status(t->model, err));
    TRAINING_OK(wispi_model_finish(t->model, err));
    training_set_weights(t);
    TRAINING_OK(wispi_model_copy_to_followers(t->model, err));
}

/* `backend`: NULL for the reference kernels, or "cpu". With classes the batch has labels, and SGD
 * Nesterov's momentum. */
static inline training *training_open_labelled(const training_recipe *r, const char *backend,
                                               int32_t n_classes)
{
    char toml[1024];
    const wispi_batch zero = {.parts = 0};
    training *t = calloc(1, sizeof *t);
    ck_assert_ptr_nonnull(t);
    snprintf(toml, sizeof toml, "%s%s", training_common, r->toml);
    t->plugins = built_plugins_open(toml);
    t->device = built_device(&t->plugins, backend);
    const wispi_instance *method = built_plugin(&t->plugins, "method", "method");
    t->method = method->plugin->descriptor->vtable;
    t->self = method->self;
    t->batch = zero;
    t->n_classes = n_classes;
    TRAINING_OK(wispi_batch_init(t->device, &t->batch, training_groups, 2, TRAINING_BATCH, WISP_F32,
                                 n_classes ? WISP_NEED_LABELS : 0, err));
    training_build(t, r);
    wispi_optimizer_config config = wispi_optimizer_defaults(r->optimizer);
    config.clip = r->clip;
    config.clip_per_tensor = 1;
    config.trust = 0.02;
    config.nesterov = n_classes > 0;
    TRAINING_OK(wispi_optimizer_create(t->model, &config, &t->optimizer, err));
    wispi_model_set_metrics(t->model, &t->metrics);
    return t;
}

static inline training *training_open(const training_recipe *r, const char *backend)
{
    return training_open_labelled(r, backend, 0);
}

static inline void training_close(training *t)
{
    wispi_program_destroy(t->program);
    wispi_optimizer_destroy(t->optimizer);
    wispi_model_destroy(t->model);
    wispi_batch_fini(t->device, &t->batch);
    wispi_device_close(t->device);
    built_plugins_close(&t->plugins);
    free(t);
}

static inline void training_calls(wisp_step *s, void *user)
{
    training *t = user;
    t->loss = t->method->step(t->self, s, &t->batch.plugin);
    wispi_step_keep(s, t->loss);
    wispi_step_backward(s, t->loss);
    if (t->method->after_backward)
        t->method->after_backward(t->self, s);
    wispi_optimizer_step(s, t->optimizer);
    if (t->method->after_step)
        t->method->after_step(t->self, s);
}

static inline void training_set_views(training *t, int64_t step)
{
    for (int g = 0; g < 2; g++) {
        wispi_variable *views = &t->batch.views[g];
        const int64_t count = wisp_desc_count(&views->desc);
        char name[160];
        float *values = malloc((size_t)count * sizeof *values);
        ck_assert_ptr_nonnull(values);
        snprintf(name, sizeof name, "views.%lld.%s", (long long)step, training_groups[g].name);
        formula_uniform(name, count, -2, 2, values);
        TRAINING_OK(wispi_variable_write(t->device, views, values, err));
        free(values);
    }
}

static inline void training_set_labels(training *t, int64_t step)
{
    int64_t labels[TRAINING_BATCH];
    for (int64_t i = 0; i < TRAINING_BATCH; i++)
        labels[i] = t->n_classes ? (step * TRAINING_BATCH + i) * 7 % t->n_classes : 0;
    if (t->n_classes)
        TRAINING_OK(wispi_variable_write(t->device, &t->batch.label, labels, err));
}

/* Recorded once an epoch, as the host does it. */
static inline void training_step(training *t, int64_t step)
{
    const wisp_clock clock = {step / TRAINING_STEPS_PER_EPOCH, TRAINING_EPOCHS, step,
                              TRAINING_STEPS, TRAINING_STEPS_PER_EPOCH};
    if (step % TRAINING_STEPS_PER_EPOCH == 0) {
        if (t->method->epoch_begin)
            TRAINING_OK(t->method->epoch_begin(t->self, &clock, err));
        wispi_program_destroy(t->program);
        t->metrics.n = 0;
        TRAINING_OK(wispi_program_record(t->device, wispi_ops_table(), t->model, 0, training_calls,
                                         t, &t->program, err));
        TRAINING_OK(wispi_model_refresh(t->model, err));
    }
    training_set_views(t, step);
    training_set_labels(t, step);
    TRAINING_OK(wispi_model_set_clock(t->model, &clock, err));
    TRAINING_OK(wispi_program_run(t->program, training_calls, t, NULL, err));
}

/* A step's loss and what the evaluated network first made in it, which a probe would learn from. */
typedef struct training_glance {
    training *t;
    wisp_tensor *pooled;
} training_glance;

static inline void training_glance_calls(wisp_step *s, void *user)
{
    training_glance *g = user;
    wisp_module *evaluated = g->t->method->evaluated_network(g->t->self);
    wispi_module_forget_pooled(evaluated);
    g->t->loss = g->t->method->step(g->t->self, s, &g->t->batch.plugin);
    g->pooled = wispi_module_first_pooled(evaluated);
    wispi_step_keep(s, g->pooled);
}

/* --- comparison --- */

/* The value of a metric of the step, or the loss; NaN when there is none of the name. */
static inline double training_metric(training *t, const char *name)
{
    double values[WISPI_MAX_METRICS];
    float loss;
    TRAINING_OK(wispi_program_read(t->program, t->loss, &loss, err));
    TRAINING_OK(wispi_metrics_read(&t->metrics, t->program, values, err));
    if (strcmp(name, "loss") == 0)
        return (double)loss;
    for (int32_t m = 0; m < t->metrics.n; m++)
        if (strcmp(t->metrics.entries[m].name, name) == 0)
            return values[m];
    return NAN;
}

/* want: n values a step, under these names. */
static inline void training_compare_scalars(training *t, const char *const *names, int n,
                                            const golden_tensor *want, int64_t step)
{
    ck_assert_int_eq(want->count, n * TRAINING_STEPS);
    for (int i = 0; i < n; i++) {
        const double got = training_metric(t, names[i]), wanted = want->v[n * step + i];
        ck_assert_msg(fabs(got - wanted) <= 1e-3 * fabs(wanted),
                      "step %lld: %s is %.6f, PyTorch's %.6f", (long long)step + 1, names[i], got,
                      wanted);
    }
}

/* The caller frees it. */
static inline float *training_values(training *t, const char *name, int64_t count)
{
    const wispi_model_tensor *tensor = wispi_model_tensor_named(t->model, name);
    ck_assert_msg(tensor != NULL, "no tensor %s", name);
    ck_assert_msg(wisp_desc_count(tensor->desc) == count, "%s has another shape", name);
    float *values = malloc((size_t)wisp_desc_bytes(tensor->desc));
    ck_assert_ptr_nonnull(values);
    TRAINING_OK(wispi_variable_read(t->device, tensor->variable, values, err));
    return values;
}

static inline double training_distance(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

/* Queues, centres, prototypes, followers and weights stay within 1e-3 of PyTorch's. Shifts of a
 * trained network alone may drift further: they are small, and AdamW moves those that a batch norm
 * takes out again by mere rounding, which the mean behind them shows. */
static inline double training_limit(const char *name)
{
    static const char *const trained[] = {"student.", "encoder_q.", "network."};
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++)
        if (strncmp(name, trained[i], strlen(trained[i])) == 0 &&
            (formula_ends(name, ".bias") || formula_ends(name, ".running_mean")))
            return 1e-2;
    return 1e-3;
}

/* What a tensor has moved since the start must agree, not only the tensor: |got - want| against
 * |want - start|, besides the rounding of single precision. `start` NULL: it began as zeros.
 * Activations that rounding carries over the bend of a ReLU let trainings drift apart: 0.7 % of the
 * way has been seen after twenty steps. Besides, within 1e-3 of the tensor itself; see below. */
static inline void training_compare(training *t, const char *name, const double *want,
                                    const float *start, int64_t count, int64_t step)
{
    float *got = training_values(t, name, count);
    double *ours = malloc((size_t)count * sizeof *ours);
    double *from = calloc((size_t)count, sizeof *from), *zero = calloc((size_t)count, sizeof *zero);
    ck_assert(ours && from && zero);
    for (int64_t i = 0; i < count; i++) {
        ours[i] = (double)got[i];
        from[i] = start ? (double)start[i] : 0;
    }
    const double off = training_distance(ours, want, count);
    const double moved = training_distance(want, from, count);
    const double size = training_distance(want, zero, count);
    ck_assert_msg(off <= (step == 0 ? 5e-3 : 3e-2) * moved + 1e-6 * size &&
                      off <= training_limit(name) * size,
                  "after step %lld %s is off by %.3g; it moved by %.3g and its length is %.3g",
                  (long long)step + 1, name, off, moved, size);
    free(got);
    free(ours);
    free(from);
    free(zero);
}

/* Every tensor "<step>.<network>.<name>" of the file; returns how many there were. */
static inline int training_compare_networks(training *t, const golden_file *g, int64_t step)
{
    char prefix[16];
    int compared = 0;
    const char *key;
    json_t *entry;
    const int n = snprintf(prefix, sizeof prefix, "%lld.", (long long)step + 1);
    json_object_foreach(g->header, key, entry)
    {
        if (strncmp(key, prefix, (size_t)n) != 0)
            continue;
        golden_tensor want = golden_get(g, key);
        float *start = malloc((size_t)want.count * sizeof *start);
        ck_assert_ptr_nonnull(start);
        formula_parameter(strchr(key + n, '.') + 1, &want.desc, start);
        training_compare(t, key + n, want.v, start, want.count, step);
        free(start);
        free(want.v);
        compared++;
    }
    return compared;
}

/* --- devices --- */

/* Instruction sets other than the machine's best are what many machines have; they take other paths
 * through the backend. Every test is a process of its own, so the limits stay in it. */
static const struct {
    const char *backend, *own_kernels, *onednn;
} training_devices[] = {
    {NULL, "", ""}, {"cpu", "", ""}, {"cpu", "avx2", "AVX2"}, {"cpu", "plain", "SSE41"}};
enum { TRAINING_DEVICES = sizeof training_devices / sizeof *training_devices };

static inline training *training_open_labelled_on(const training_recipe *r, int device,
                                                  int32_t n_classes)
{
    if (training_devices[device].onednn[0] != '\0') {
        setenv("WISP_CPU_ISA", training_devices[device].own_kernels, 1);
        setenv("ONEDNN_MAX_CPU_ISA", training_devices[device].onednn, 1);
    }
    return training_open_labelled(r, training_devices[device].backend, n_classes);
}

static inline training *training_open_on(const training_recipe *r, int device)
{
    return training_open_labelled_on(r, device, 0);
}

#endif
