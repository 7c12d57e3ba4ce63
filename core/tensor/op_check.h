/* op_check.h - every operation against something foreign to it: a device's kernels against the
 * reference kernels, gradient rules against finite differences. `wisp ops` prints what comes out.
 *
 * A check is named op/case/dtype. The filter that is such a name runs exactly that check again;
 * parts may be left out from the right, and `*` stands for any one part. All functions are [main].
 */
#ifndef WISPI_TENSOR_OP_CHECK_H
#define WISPI_TENSOR_OP_CHECK_H

#include "base/text.h"
#include "tensor/device.h"
#include "tensor/op.h"

enum {
    WISPI_CHECK_PASS = 0,
    WISPI_CHECK_FAIL = 1,
    WISPI_CHECK_SKIP = 2,   /* cannot be asked here: the reason is in the message */
    WISPI_CHECK_MISSING = 3 /* the device has no kernel: its refusal is in the message */
};

typedef struct wispi_op_result {
    char name[160]; /* op/case/dtype */
    int32_t outcome;
    int32_t n_kinks; /* grad: elements left out because the function bends there */
    uint64_t seed;
    double error;      /* test: normalised RMS of the worst output; grad: largest relative error */
    double worst;      /* test: largest single error over the largest expected value */
    double tolerance;  /* for `error` */
    int64_t n_checked; /* elements compared, and those of them that should not be zero */
    int64_t n_nonzero;
    char implementation[64];
    char message[1400];
} wispi_op_result;

typedef struct wispi_op_summary {
    int32_t n_pass, n_fail, n_skip, n_missing;
} wispi_op_summary;

typedef struct wispi_op_options {
    const char *filter; /* NULL: everything */
    uint64_t seed;
} wispi_op_options;

typedef void (*wispi_op_sink)(void *user, const wispi_op_result *result);

/* Does the check op/case/dtype pass the filter? `sample` and `dtype` NULL: could any of its? */
int wispi_op_filter(const char *filter, const char *op, const char *sample, const char *dtype);

/* --- whole runs: each result goes to `sink`, `*summary` counts them --- */

/* Kernels of the device against the reference, in f32 and bf16. An op without a case fails, and so
 * does one whose cases give nothing but zeros. Returns a failure only when the run itself broke
 * down or the filter matches nothing. */
wisp_status wispi_op_test_all(wispi_device *device, const wispi_op_options *options,
                              wispi_op_sink sink, void *user, wispi_op_summary *summary,
                              wisp_error *err);
/* Gradient rules against finite differences. An op with a rule and no case that finds a gradient
 * other than zero fails, and so does an op without a case. */
wisp_status wispi_op_grad_all(const wispi_op_options *options, wispi_op_sink sink, void *user,
                              wispi_op_summary *summary, wisp_error *err);

/* --- one check; a status other than WISP_OK means that it could not be carried out --- */

wisp_status wispi_op_test(wispi_device *device, const wispi_op *op, const wispi_op_case *sample,
                          int32_t dtype, uint64_t seed, wispi_op_result *result, wisp_error *err);
wisp_status wispi_op_grad(const wispi_op *op, const wispi_op_case *sample, uint64_t seed,
                          wispi_op_result *result, wisp_error *err);

/* --- what a device has --- */

typedef struct wispi_op_support_row {
    const char *op;
    int32_t dtype;
    int32_t n_cases, n_served;
    char implementations[160]; /* distinct ones, comma-separated */
    char refusal[1400];        /* of the first case that was refused */
} wispi_op_support_row;

typedef void (*wispi_op_support_sink)(void *user, const wispi_op_support_row *row);

wisp_status wispi_op_support(wispi_device *device, const char *filter, wispi_op_support_sink sink,
                             void *user, wisp_error *err);

/* --- how fast it is, at sizes that networks have --- */

typedef struct wispi_op_perf_row {
    char name[160]; /* op/size/dtype */
    int32_t outcome;
    int32_t n_runs;
    double milliseconds; /* median */
    double fastest;      /* run, in milliseconds: what other work on the machine hides */
    double gflops;       /* 0: the op counts none */
    double gbytes;       /* per second: arguments and results, each once */
    char implementation[64];
    char message[1400];
} wispi_op_perf_row;

typedef void (*wispi_op_perf_sink)(void *user, const wispi_op_perf_row *row);

wisp_status wispi_op_perf(wispi_device *device, const char *filter, wispi_op_perf_sink sink,
                          void *user, wisp_error *err);

/* --- lines: for people, ending in a newline; and JSON objects without one (op_report.c) --- */

const char *wispi_op_outcome_name(int32_t outcome);
void wispi_op_result_text(wispi_text *text, const wispi_op_result *result);
void wispi_op_result_json(wispi_text *text, const wispi_op_result *result);
void wispi_op_support_text(wispi_text *text, const wispi_op_support_row *row);
void wispi_op_support_json(wispi_text *text, const wispi_op_support_row *row);
void wispi_op_perf_text(wispi_text *text, const wispi_op_perf_row *row);
void wispi_op_perf_json(wispi_text *text, const wispi_op_perf_row *row);

#endif
