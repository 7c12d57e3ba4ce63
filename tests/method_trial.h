/* method_trial.h - tests only: single steps of a method on the reference kernels, without an
 * optimizer, on images that differ in colour. */
#ifndef WISP_TESTS_METHOD_TRIAL_H
#define WISP_TESTS_METHOD_TRIAL_H

#include "method_bench.h"

typedef struct trial {
    bench *b;
    wisp_tensor *loss;
    wispi_metrics metrics;
} trial;

static inline void trial_calls(wisp_step *s, void *user)
{
    trial *t = user;
    t->loss = t->b->method->step(t->b->self, s, &t->b->batch.plugin);
    if (t->loss)
        wispi_step_keep(s, t->loss);
    wispi_step_backward(s, t->loss);
    if (t->b->method->after_backward)
        t->b->method->after_backward(t->b->self, s);
    t->b->method->after_step(t->b->self, s);
}

enum { TRIAL_IMAGES = 4 };

/* An image is of one colour in all its views, besides noise. */
static inline void set_views(bench *b)
{
    float colours[3 * TRIAL_IMAGES];
    formula_uniform("colours", 3 * TRIAL_IMAGES, -1.5, 1.5, colours);
    for (int32_t g = 0; g < 2; g++) {
        wispi_variable *views = &b->batch.views[g];
        const int64_t n = wisp_desc_count(&views->desc);
        const int64_t image = n / views->desc.shape[0];
        float *values = malloc((size_t)n * sizeof *values);
        double *wide = malloc((size_t)n * sizeof *wide);
        void *narrow = malloc((size_t)wisp_desc_bytes(&views->desc));
        ck_assert(values && wide && narrow);
        formula_uniform(bench_views[g].name, n, -0.5, 0.5, values);
        for (int64_t i = 0; i < n; i++)
            values[i] += colours[i / image % TRIAL_IMAGES * 3 + i % 3];
        wispi_widen(wide, values, WISP_F32, n);
        wispi_narrow(narrow, wide, views->desc.dtype, n);
        OK(wispi_variable_write(b->device, views, narrow, &err));
        free(values);
        free(wide);
        free(narrow);
    }
}

/* The loss of one step in epoch `epoch`, without an optimizer's; and a metric where one is named.
 */
static inline double loss_of(bench *b, int64_t epoch, const char *metric, double *value)
{
    const wisp_clock clock = {epoch, 20, epoch * 10, 200, 10};
    trial t = {.b = b};
    double metrics[WISPI_MAX_METRICS];
    float loss;
    wispi_program *program = NULL;
    set_views(b);
    if (b->method->epoch_begin)
        OK(b->method->epoch_begin(b->self, &clock, &err));
    wispi_model_set_metrics(b->model, &t.metrics);
    OK(wispi_program_record(b->device, wispi_ops_table(), b->model, 0, trial_calls, &t, &program,
                            &err));
    OK(wispi_model_refresh(b->model, &err));
    OK(wispi_model_set_clock(b->model, &clock, &err));
    OK(wispi_program_run(program, trial_calls, &t, NULL, &err));
    OK(wispi_program_read(program, t.loss, &loss, &err));
    OK(wispi_metrics_read(&t.metrics, program, metrics, &err));
    for (int32_t i = 0; i < t.metrics.n && metric; i++)
        if (strcmp(t.metrics.entries[i].name, metric) == 0)
            *value = metrics[i];
    wispi_program_destroy(program);
    return (double)loss;
}

static inline bench *open_trial(const char *toml, int32_t dtype)
{
    const bench_batch batch = {bench_views, 2, dtype, TRIAL_IMAGES};
    bench *b = open_bench_on(toml, &batch);
    wispi_model_builder(b->model)->batch = TRIAL_IMAGES;
    OK(build_bench(b, &err));
    OK(wispi_model_finish(b->model, &err));
    return b;
}

#endif
