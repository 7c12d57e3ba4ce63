/* op_check.c - which checks there are: all cases of all ops, by filter, and the demand that every
 * op is covered. */
#include "tensor/op_check.h"

#include <string.h>

#include "tensor/case_values.h"

/* --- filter --- */

/* Compares one part of the filter and moves past it; an exhausted filter accepts all. */
static int part_matches(const char **filter, const char *part)
{
    const char *at = *filter;
    if (!at || !*at)
        return 1;
    const size_t length = strcspn(at, "/");
    *filter = at[length] == '/' ? at + length + 1 : at + length;
    return !part || (length == 1 && *at == '*') ||
           (strlen(part) == length && strncmp(at, part, length) == 0);
}

int wispi_op_filter(const char *filter, const char *op, const char *sample, const char *dtype)
{
    return part_matches(&filter, op) && part_matches(&filter, sample) &&
           part_matches(&filter, dtype) && (!filter || !*filter);
}

static wisp_status nothing_matches(const char *filter, wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOT_FOUND,
                     "no check is called %s; names are op/case/dtype, for example "
                     "conv2d/grouped/f32, conv2d or */*/bf16",
                     filter ? filter : "");
}

/* --- runs --- */

typedef struct check_run {
    const wispi_op_options *options;
    wispi_op_sink sink;
    void *user;
    wispi_op_summary summary;
    int64_t n_results;
} check_run;

static void deliver(check_run *run, const wispi_op_result *result)
{
    int32_t *counters[] = {&run->summary.n_pass, &run->summary.n_fail, &run->summary.n_skip,
                           &run->summary.n_missing};
    ++*counters[result->outcome];
    run->n_results++;
    if (run->sink)
        run->sink(run->user, result);
}

static void deliver_failure(check_run *run, const char *op, const char *message)
{
    wispi_op_result result;
    memset(&result, 0, sizeof result);
    snprintf(result.name, sizeof result.name, "%s", op);
    snprintf(result.message, sizeof result.message, "%s", message);
    result.outcome = WISPI_CHECK_FAIL;
    result.seed = run->options->seed;
    deliver(run, &result);
}

static wisp_status test_op(check_run *run, wispi_device *device, const wispi_op *op,
                           wisp_error *err)
{
    static const int32_t dtypes[] = {WISP_F32, WISP_BF16};
    const char *filter = run->options->filter;
    int32_t n_left_out = 0;
    int64_t n_nonzero = 0;
    if (op->n_cases == 0 && wispi_op_filter(filter, op->name, NULL, NULL))
        deliver_failure(run, op->name, "the op has no case, so nothing is known about it");
    for (int32_t c = 0; c < op->n_cases; c++) {
        const wispi_op_case *sample = &op->cases[c];
        for (int32_t d = 0; d < 2; d++) {
            if (!wispi_case_runs_as(op, sample, dtypes[d]))
                continue;
            if (!wispi_op_filter(filter, op->name, sample->name, wisp_dtype_name(dtypes[d]))) {
                n_left_out++;
                continue;
            }
            wispi_op_result result;
            WISP_TRY(
                wispi_op_test(device, op, sample, dtypes[d], run->options->seed, &result, err));
            n_nonzero += result.outcome == WISPI_CHECK_PASS ? result.n_nonzero : 1;
            deliver(run, &result);
        }
    }
    if (op->n_cases > 0 && n_left_out == 0 && n_nonzero == 0)
        deliver_failure(run, op->name, "its cases give nothing but zeros, which proves nothing");
    return WISP_OK;
}

wisp_status wispi_op_test_all(wispi_device *device, const wispi_op_options *options,
                              wispi_op_sink sink, void *user, wispi_op_summary *summary,
                              wisp_error *err)
{
    check_run run = {options, sink, user, {0, 0, 0, 0}, 0};
    for (const wispi_op_family *const *family = wispi_op_families; *family; family++)
        for (int32_t i = 0; i < (*family)->n_ops; i++)
            WISP_TRY(test_op(&run, device, (*family)->ops[i], err));
    if (run.n_results == 0)
        return nothing_matches(options->filter, err);
    *summary = run.summary;
    return WISP_OK;
}

static wisp_status grad_op(check_run *run, const wispi_op *op, wisp_error *err)
{
    const char *filter = run->options->filter;
    int32_t n_left_out = 0;
    int64_t n_nonzero = 0;
    if (op->n_cases == 0 && wispi_op_filter(filter, op->name, NULL, NULL)) {
        deliver_failure(run, op->name, "the op has no case, so nothing is known about it");
        return WISP_OK;
    }
    for (int32_t c = 0; op->gradient && c < op->n_cases; c++) {
        const wispi_op_case *sample = &op->cases[c];
        if (!wispi_op_filter(filter, op->name, sample->name, "f32")) {
            n_left_out++;
            continue;
        }
        wispi_op_result result;
        WISP_TRY(wispi_op_grad(op, sample, run->options->seed, &result, err));
        n_nonzero += result.outcome == WISPI_CHECK_FAIL ? 1 : result.n_nonzero;
        deliver(run, &result);
    }
    if (op->gradient && n_nonzero == 0 && n_left_out == 0)
        deliver_failure(run, op->name, "no case of the op finds a gradient to check its rule");
    return WISP_OK;
}

wisp_status wispi_op_grad_all(const wispi_op_options *options, wispi_op_sink sink, void *user,
                              wispi_op_summary *summary, wisp_error *err)
{
    check_run run = {options, sink, user, {0, 0, 0, 0}, 0};
    for (const wispi_op_family *const *family = wispi_op_families; *family; family++)
        for (int32_t i = 0; i < (*family)->n_ops; i++)
            WISP_TRY(grad_op(&run, (*family)->ops[i], err));
    if (run.n_results == 0)
        return nothing_matches(options->filter, err);
    *summary = run.summary;
    return WISP_OK;
}
