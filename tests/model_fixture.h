/* model_fixture.h - tests only: a model on the reference device, a step on it, and tensors by name.
 */
#ifndef WISP_TESTS_MODEL_FIXTURE_H
#define WISP_TESTS_MODEL_FIXTURE_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "golden_reader.h"
#include "nn/batch.h"
#include "nn/model.h"
#include "nn/optimizer.h"

typedef struct fixture {
    wispi_device *device;
    wispi_model *model;
    wisp_build *b;
    wisp_error err;
} fixture;

#define FIXTURE_OK(f, call)                                                                        \
    do {                                                                                           \
        wisp_status fixture_status = (call);                                                       \
        ck_assert_msg(fixture_status == WISP_OK, "%s: %s", wisp_status_name(fixture_status),       \
                      (f)->err.message);                                                           \
    } while (0)

static inline void fixture_open(fixture *f, uint64_t seed)
{
    const wispi_device_options options = {1, 1, 0};
    memset(f, 0, sizeof *f);
    FIXTURE_OK(f, wispi_device_open(NULL, NULL, 0, &options, &f->device, &f->err));
    FIXTURE_OK(f, wispi_model_create(f->device, seed, &f->model, &f->err));
    f->b = wispi_model_builder(f->model);
}

static inline void fixture_close(fixture *f)
{
    wispi_model_destroy(f->model);
    wispi_device_close(f->device);
}

static inline wispi_program *fixture_record(fixture *f, wispi_step_fn fn, void *user)
{
    wispi_program *program = NULL;
    FIXTURE_OK(f, wispi_program_record(f->device, wispi_ops_table(), f->model, 0, fn, user,
                                       &program, &f->err));
    FIXTURE_OK(f, wispi_model_refresh(f->model, &f->err));
    return program;
}

/* Step `step` of a run of `epochs` epochs. */
static inline void fixture_run(fixture *f, wispi_program *program, wispi_step_fn fn, void *user,
                               int64_t step, int64_t per_epoch, int64_t epochs)
{
    const wisp_clock clock = {step / per_epoch, epochs, step, epochs * per_epoch, per_epoch};
    FIXTURE_OK(f, wispi_model_set_clock(f->model, &clock, &f->err));
    FIXTURE_OK(f, wispi_program_run(program, fn, user, NULL, &f->err));
}

/* The message with which recording fails; the test fails when it does not. */
static inline const char *fixture_refused(fixture *f, wispi_step_fn fn, void *user)
{
    wispi_program *program = NULL;
    memset(&f->err, 0, sizeof f->err);
    ck_assert_int_ne(wispi_program_record(f->device, wispi_ops_table(), f->model, 0, fn, user,
                                          &program, &f->err),
                     WISP_OK);
    ck_assert_ptr_null(program);
    return f->err.message;
}

static inline wispi_variable *fixture_variable(fixture *f, const char *name)
{
    const wispi_model_tensor *t = wispi_model_tensor_named(f->model, name);
    ck_assert_msg(t != NULL, "there is no tensor %s", name);
    return t->variable;
}

/* Values of a tensor of the model, as doubles; the caller frees them. */
static inline double *fixture_read(fixture *f, const char *name, int64_t *count)
{
    const wispi_variable *v = fixture_variable(f, name);
    const int64_t n = wisp_desc_count(&v->desc);
    void *raw = malloc((size_t)wisp_desc_bytes(&v->desc) + 1);
    double *values = malloc((size_t)(n + 1) * sizeof *values);
    ck_assert(raw && values);
    FIXTURE_OK(f, wispi_variable_read(f->device, v, raw, &f->err));
    wispi_widen(values, raw, v->desc.dtype, n);
    free(raw);
    if (count)
        *count = n;
    return values;
}

/* The first value. */
static inline double fixture_first(fixture *f, const char *name)
{
    double *values = fixture_read(f, name, NULL), first = values[0];
    free(values);
    return first;
}

/* Puts n doubles into a variable, in its own type. */
static inline void fixture_write(fixture *f, wispi_variable *v, const double *values, int64_t n)
{
    ck_assert_int_eq(wisp_desc_count(&v->desc), n);
    void *raw = malloc((size_t)wisp_desc_bytes(&v->desc) + 1);
    ck_assert_ptr_nonnull(raw);
    wispi_narrow(raw, values, v->desc.dtype, n);
    FIXTURE_OK(f, wispi_variable_write(f->device, v, raw, &f->err));
    free(raw);
}

/* Loads every tensor of the model whose name, behind `prefix`, is in the file. */
static inline int32_t fixture_load(fixture *f, const golden_file *g, const char *prefix)
{
    int32_t loaded = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(f->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(f->model, i);
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, t->name);
        golden_tensor value = golden_get(g, name);
        if (value.desc.dtype) {
            fixture_write(f, t->variable, value.v, value.count);
            loaded++;
        }
        free(value.v);
    }
    FIXTURE_OK(f, wispi_model_copy_to_followers(f->model, &f->err));
    return loaded;
}

/* |got - want| <= tolerance * largest |want|, or * 0.01 where all that is wanted is smaller: zeros
 * but for rounding. */
static inline void fixture_near(const char *what, const double *got, const double *want, int64_t n,
                                double tolerance)
{
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        ck_assert_msg(isfinite(got[i]), "%s: value %lld is %g", what, (long long)i, got[i]);
        largest = fmax(largest, fabs(want[i]));
        worst = fmax(worst, fabs(got[i] - want[i]));
    }
    ck_assert_msg(worst <= tolerance * fmax(largest, 0.01), "%s: off by %.3g of %.3g", what, worst,
                  largest);
}

/* Compares every parameter and buffer whose name, behind `prefix`, is in the file; returns how many
 * there were. */
static inline int32_t fixture_compare(fixture *f, const golden_file *g, const char *prefix,
                                      double tolerance)
{
    int32_t compared = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(f->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(f->model, i);
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, t->name);
        golden_tensor want = golden_get(g, name);
        if (want.desc.dtype) {
            int64_t n = 0;
            double *got = fixture_read(f, t->name, &n);
            ck_assert_int_eq(n, want.count);
            fixture_near(name, got, want.v, n, tolerance);
            free(got);
            compared++;
        }
        free(want.v);
    }
    return compared;
}

#endif
