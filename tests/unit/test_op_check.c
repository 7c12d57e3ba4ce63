/* Do the checks of operations notice anything? A backend that makes one kind of mistake at a time,
 * and gradient rules that are wrong in one way each. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/case_values.h"
#include "tensor/op_check.h"

/* --- a backend with a fault --- */

enum fault {
    NO_FAULT,
    WRONG_ELEMENT,
    SLIGHTLY_WRONG,
    WRITES_AFTER,
    WRITES_BEFORE,
    WRITES_AFTER_SCRATCH,
    CHANGES_INPUT,
    LEAVES_ELEMENT,
    ADDS_TO_OUTPUT,
    NOT_DETERMINISTIC,
    KEEPS_OLD_WEIGHTS,
    NEEDS_ALIGNMENT,
    FAILS,
    REFUSES,
};

static enum fault fault;
static int32_t device_has_bf16;

typedef struct faulty {
    wisp_kernel kernel;
    wisp_kernel *inner;
    wisp_desc weights, output;
    float *kept; /* KEEPS_OLD_WEIGHTS */
    int calls;
} faulty;

static void misbehave(faulty *f, const wisp_kernel_arg *in, const wisp_kernel_arg *out,
                      const float *before, char *scratch)
{
    float *y = out[0].data;
    const int64_t n = wisp_desc_count(&f->output);
    if (fault == WRONG_ELEMENT)
        y[n / 2] += 0.1f;
    else if (fault == SLIGHTLY_WRONG)
        for (int64_t i = 0; i < n; i++)
            y[i] *= 1.0001f;
    else if (fault == WRITES_AFTER)
        ((char *)(y + n))[0] = 0;
    else if (fault == WRITES_BEFORE)
        ((char *)y)[-1] = 0;
    else if (fault == WRITES_AFTER_SCRATCH)
        scratch[64] = 0;
    else if (fault == CHANGES_INPUT)
        ((float *)in[0].data)[0] += 1;
    else if (fault == LEAVES_ELEMENT)
        y[n - 1] = before[n - 1];
    else if (fault == NOT_DETERMINISTIC)
        ((char *)(y + n / 2))[0] ^= (char)(f->calls & 1);
    else if (fault == NEEDS_ALIGNMENT && (uintptr_t)in[0].data % 64 != 0)
        y[0] = 0;
    for (int64_t i = 0; fault == ADDS_TO_OUTPUT && i < n; i++)
        y[i] += before[i];
}

static wisp_status faulty_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    faulty *f = kernel->state;
    const size_t bytes = (size_t)wisp_desc_bytes(&f->output);
    wisp_kernel_arg args[WISPI_MAX_IN] = {in[0], in[1], in[2]};
    float *before = malloc(bytes + 1);
    ck_assert_ptr_nonnull(before);
    if (fault == FAILS) {
        free(before);
        return wisp_fail(err, WISP_E_INTERNAL, "the stream broke");
    }
    memcpy(before, out[0].data, bytes);
    if (fault == KEEPS_OLD_WEIGHTS) {
        const size_t n = (size_t)wisp_desc_bytes(&f->weights);
        if (!f->kept) {
            f->kept = malloc(n);
            ck_assert_ptr_nonnull(f->kept);
            memcpy(f->kept, in[1].data, n);
        }
        args[1].data = f->kept;
    }
    f->calls++;
    wisp_status status = f->inner->run(f->inner, args, out, NULL, err);
    misbehave(f, in, out, before, scratch);
    free(before);
    return status;
}

static void faulty_release(wisp_kernel *kernel)
{
    faulty *f = kernel->state;
    f->inner->release(f->inner);
    free(f->kept);
    free(f);
}

static wisp_status prepare(void *handle, const wisp_kernel_request *request, wisp_kernel **kernel,
                           wisp_error *err)
{
    (void)handle;
    if (fault == REFUSES)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "%s: not today", request->op);
    faulty *f = calloc(1, sizeof *f);
    ck_assert_ptr_nonnull(f);
    wisp_status status =
        wispi_reference_kernel(wispi_op_find(request->op), request, &f->inner, err);
    if (status != WISP_OK) {
        free(f);
        return status;
    }
    f->output = *request->out[0];
    f->weights = *request->in[1];
    f->kernel.struct_size = sizeof f->kernel;
    f->kernel.scratch_bytes = 64;
    f->kernel.implementation = "faulty";
    f->kernel.state = f;
    f->kernel.run = faulty_run;
    f->kernel.release = faulty_release;
    *kernel = &f->kernel;
    return WISP_OK;
}

static wisp_status device_info(void *self, int32_t index, wisp_device_info *info, wisp_error *err)
{
    (void)self;
    (void)index;
    (void)err;
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "faulty device");
    info->has_bf16 = device_has_bf16;
    return WISP_OK;
}

static wisp_status open_it(void *self, int32_t index, int32_t n_threads, void **handle,
                           wisp_error *err)
{
    (void)index;
    (void)n_threads;
    (void)err;
    *handle = self;
    return WISP_OK;
}

static void close_it(void *self, void *handle)
{
    (void)self;
    (void)handle;
}

static wisp_status take(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    (void)handle;
    *memory = wispi_alloc(bytes);
    return *memory ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "none");
}

static void give(void *handle, void *memory)
{
    (void)handle;
    wispi_free(memory);
}

static wisp_status copy(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err)
{
    (void)handle;
    (void)err;
    memcpy(dst, src, bytes);
    return WISP_OK;
}

static wisp_status sync_it(void *handle, wisp_error *err)
{
    (void)handle;
    (void)err;
    return WISP_OK;
}

static const wisp_backend_v0 backend = {
    .struct_size = sizeof(wisp_backend_v0),
    .device_info = device_info,
    .open = open_it,
    .close = close_it,
    .alloc = take,
    .free = give,
    .to_device = copy,
    .to_host = copy,
    .sync = sync_it,
    .prepare = prepare,
    .host_visible = 1,
};

static wispi_device *open_faulty(enum fault which, int32_t has_bf16)
{
    static int self;
    const wispi_device_options options = {1, 1, 0};
    wispi_device *device = NULL;
    wisp_error err = {0};
    fault = which;
    device_has_bf16 = has_bf16;
    ck_assert_int_eq(wispi_device_open(&backend, &self, 0, &options, &device, &err), WISP_OK);
    return device;
}

/* linear with a bias: parameters, several shapes, no by-products. */
static const wispi_op_case *linear_case(void)
{
    const wispi_op *op = wispi_op_find("linear");
    ck_assert_ptr_nonnull(op);
    for (int32_t i = 0; i < op->n_cases; i++)
        if (op->cases[i].n_in == 3 && op->cases[i].in[2].dtype && op->cases[i].in[0].shape[0] > 1 &&
            op->cases[i].in[0].shape[1] % 16 != 0)
            return &op->cases[i];
    ck_abort_msg("linear has no case with a bias and odd rows");
    return NULL;
}

static wispi_op_result test_with(enum fault which, int32_t dtype, int32_t has_bf16)
{
    wispi_device *device = open_faulty(which, has_bf16);
    wispi_op_result result;
    wisp_error err = {0};
    wisp_status status =
        wispi_op_test(device, wispi_op_find("linear"), linear_case(), dtype, 0, &result, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    wispi_device_close(device);
    ck_assert_int_eq(wispi_live_blocks(), 0);
    return result;
}

START_TEST(an_honest_kernel_passes)
{
    wispi_op_result result = test_with(NO_FAULT, WISP_F32, 1);
    ck_assert_msg(result.outcome == WISPI_CHECK_PASS, "%s", result.message);
    ck_assert_str_eq(result.implementation, "faulty");
    ck_assert_int_gt(result.n_nonzero, 0);
    result = test_with(NO_FAULT, WISP_BF16, 1);
    ck_assert_msg(result.outcome == WISPI_CHECK_PASS, "%s", result.message);
    ck_assert_double_gt(result.error, 0);
}
END_TEST

static const struct {
    enum fault fault;
    const char *piece; /* of the message */
} noticed[] = {
    {WRONG_ELEMENT, "y is off by"},
    {SLIGHTLY_WRONG, "y is off by"},
    {WRITES_AFTER, "writes outside of y"},
    {WRITES_BEFORE, "writes outside of y: at byte -1"},
    {WRITES_AFTER_SCRATCH, "writes outside of its scratch: at byte 64"},
    {CHANGES_INPUT, "changes its input x"},
    {LEAVES_ELEMENT, "nan"},
    {ADDS_TO_OUTPUT, "nan"},
    {NOT_DETERMINISTIC, "different bits in y"},
    {KEEPS_OLD_WEIGHTS, "y is off by"},
    {NEEDS_ALIGNMENT, "y"},
    {FAILS, "the stream broke"},
};

START_TEST(each_fault_is_noticed)
{
    const wispi_op_result result = test_with(noticed[_i].fault, WISP_F32, 1);
    ck_assert_msg(result.outcome == WISPI_CHECK_FAIL, "fault %d passes", (int)noticed[_i].fault);
    ck_assert_msg(strstr(result.message, noticed[_i].piece) != NULL, "\"%s\" is not in \"%s\"",
                  noticed[_i].piece, result.message);
}
END_TEST

START_TEST(a_refusal_is_not_a_failure)
{
    const wispi_op_result result = test_with(REFUSES, WISP_F32, 1);
    ck_assert_int_eq(result.outcome, WISPI_CHECK_MISSING);
    ck_assert_str_eq(result.message, "linear: not today");
}
END_TEST

START_TEST(bf16_is_skipped_with_the_reason)
{
    const wispi_op_result result = test_with(NO_FAULT, WISP_BF16, 0);
    ck_assert_int_eq(result.outcome, WISPI_CHECK_SKIP);
    ck_assert_str_eq(result.message, "faulty device has no bf16 arithmetic");
}
END_TEST

/* --- rules with a fault --- */

static int32_t rule_fault;

enum { RULE_DOUBLES = 1, RULE_FORGETS_BIAS, RULE_FAILS };

static wisp_status faulty_rule(wispi_grad *grad)
{
    const wispi_op *linear = wispi_op_find("linear");
    if (rule_fault == RULE_FAILS)
        return WISP_E_INTERNAL;
    if (rule_fault == RULE_FORGETS_BIAS) {
        grad->n_in = 2;
        return linear->gradient(grad);
    }
    WISP_TRY(linear->gradient(grad));
    if (rule_fault == RULE_DOUBLES)
        wispi_grad_give(grad, 0, grad->in[0]);
    return WISP_OK;
}

static wispi_op_result grad_with(int32_t which, uint32_t constant_in)
{
    wispi_op op = *wispi_op_find("linear");
    wispi_op_result result;
    wisp_error err = {0};
    rule_fault = which;
    op.gradient = faulty_rule;
    op.constant_in = constant_in;
    wisp_status status = wispi_op_grad(&op, linear_case(), 0, &result, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    ck_assert_int_eq(wispi_live_blocks(), 0);
    return result;
}

static void expect_failure(const wispi_op_result *result, const char *piece)
{
    ck_assert_int_eq(result->outcome, WISPI_CHECK_FAIL);
    ck_assert_msg(strstr(result->message, piece) != NULL, "\"%s\" is not in \"%s\"", piece,
                  result->message);
}

START_TEST(faulty_rules_are_noticed)
{
    wispi_op_result result = grad_with(0, 0);
    ck_assert_msg(result.outcome == WISPI_CHECK_PASS, "%s", result.message);
    ck_assert_double_lt(result.error, 1e-8);
    ck_assert_int_eq(result.n_kinks, 0);
    result = grad_with(RULE_DOUBLES, 0);
    expect_failure(&result, "d/d x[0]: the rule says");
    result = grad_with(RULE_FORGETS_BIAS, 0);
    expect_failure(&result, "gives no gradient to bias");
    result = grad_with(RULE_FAILS, 0);
    expect_failure(&result, "gradient of linear failed");
    result = grad_with(0, 1u << 1);
    expect_failure(&result, "neither gives nor refuses a gradient for w");
}
END_TEST

/* --- names --- */

START_TEST(filters_are_names)
{
    ck_assert(wispi_op_filter(NULL, "conv2d", "odd", "f32"));
    ck_assert(wispi_op_filter("", "conv2d", "odd", "f32"));
    ck_assert(wispi_op_filter("conv2d", "conv2d", "odd", "f32"));
    ck_assert(wispi_op_filter("conv2d/odd", "conv2d", "odd", "f32"));
    ck_assert(wispi_op_filter("conv2d/odd/f32", "conv2d", "odd", "f32"));
    ck_assert(wispi_op_filter("*/*/bf16", "conv2d", "odd", "bf16"));
    ck_assert(wispi_op_filter("conv2d/odd", "conv2d", NULL, NULL));
    ck_assert(!wispi_op_filter("conv2d", "conv2d_grad_input", "odd", "f32"));
    ck_assert(!wispi_op_filter("conv2d_grad_input", "conv2d", "odd", "f32"));
    ck_assert(!wispi_op_filter("conv2d/od", "conv2d", "odd", "f32"));
    ck_assert(!wispi_op_filter("conv2d/odd/bf16", "conv2d", "odd", "f32"));
    ck_assert(!wispi_op_filter("conv2d/odd/f32/more", "conv2d", "odd", "f32"));
}
END_TEST

static void count(void *user, const wispi_op_result *result)
{
    snprintf((char *)user, 160, "%s", result->name);
}

START_TEST(a_printed_name_runs_that_case_again)
{
    wispi_device *device = open_faulty(NO_FAULT, 1);
    char name[160], seen[160] = "";
    wispi_case_name(wispi_op_find("linear"), linear_case(), WISP_F32, name, sizeof name);
    const wispi_op_options options = {name, 7}, unknown = {"linear/nothing", 0};
    wispi_op_summary summary = {0, 0, 0, 0};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_op_test_all(device, &options, count, seen, &summary, &err), WISP_OK);
    ck_assert_str_eq(seen, name);
    ck_assert_int_eq(summary.n_pass, 1);
    ck_assert_int_eq(summary.n_fail + summary.n_skip + summary.n_missing, 0);
    ck_assert_int_eq(wispi_op_test_all(device, &unknown, count, seen, &summary, &err),
                     WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "linear/nothing"));
    ck_assert_int_eq(summary.n_pass, 1);
    wispi_device_close(device);
}
END_TEST

/* --- draws --- */

START_TEST(draws_repeat_and_fit_their_types)
{
    const wispi_op *op = wispi_op_find("linear");
    wispi_arena *arena = wispi_arena_create(1 << 16);
    wispi_case_values a, b;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_case_begin(&a, op, linear_case(), WISP_BF16, arena, &err), WISP_OK);
    ck_assert_int_eq(wispi_case_begin(&b, op, linear_case(), WISP_BF16, arena, &err), WISP_OK);
    wispi_case_draw(&a, 3, 1);
    wispi_case_draw(&b, 3, 1);
    const size_t bytes = (size_t)a.in[0].count * sizeof(double);
    ck_assert_int_eq(memcmp(a.in[0].v, b.in[0].v, bytes), 0);
    for (int64_t i = 0; i < a.in[0].count; i++) {
        uint16_t narrow;
        double wide;
        wispi_narrow(&narrow, &a.in[0].v[i], WISP_BF16, 1);
        wispi_widen(&wide, &narrow, WISP_BF16, 1);
        ck_assert_double_eq(wide, a.in[0].v[i]);
    }
    wispi_case_draw(&b, 4, 1);
    ck_assert_int_ne(memcmp(a.in[0].v, b.in[0].v, bytes), 0);
    wispi_arena_destroy(arena);
}
END_TEST

/* --- lack of memory --- */

START_TEST(lack_of_memory_is_reported)
{
    int64_t n_failed = 0;
    for (int64_t nth = 1;; nth++) {
        wispi_device *device = open_faulty(NO_FAULT, 1);
        const int64_t before = wispi_allocation_count();
        wispi_op_result result;
        wisp_error err = {0};
        wispi_fail_allocation(nth);
        wisp_status status = wispi_op_test(device, wispi_op_find("linear"), linear_case(), WISP_F32,
                                           0, &result, &err);
        if (status == WISP_OK)
            status = wispi_op_grad(wispi_op_find("linear"), linear_case(), 0, &result, &err);
        wispi_fail_allocation(-1);
        const int64_t asked = wispi_allocation_count() - before;
        wispi_device_close(device);
        ck_assert_int_eq(wispi_live_blocks(), 0);
        if (status == WISP_OK)
            ck_assert_int_eq(result.outcome, WISPI_CHECK_PASS);
        else
            ck_assert_int_eq(status, WISP_E_NOMEM);
        n_failed += status != WISP_OK;
        if (nth > asked)
            break;
    }
    ck_assert_int_gt(n_failed, 10);
}
END_TEST

/* --- reports --- */

START_TEST(reports_are_json)
{
    wispi_op_result result = test_with(LEAVES_ELEMENT, WISP_F32, 1);
    snprintf(result.message, sizeof result.message, "a \"quoted\"\nline \\");
    wispi_text text = {0};
    wispi_op_result_json(&text, &result);
    json_error_t problem;
    json_t *read = json_loads(text.data, JSON_REJECT_DUPLICATES, &problem);
    ck_assert_msg(read != NULL, "%s: %s", problem.text, text.data);
    ck_assert_str_eq(json_string_value(json_object_get(read, "message")), result.message);
    ck_assert_str_eq(json_string_value(json_object_get(read, "name")), result.name);
    ck_assert_str_eq(json_string_value(json_object_get(read, "outcome")), "fail");
    json_decref(read);
    wispi_text_free(&text);
    wispi_op_result_text(&text, &result);
    ck_assert_ptr_nonnull(strstr(text.data, result.name));
    ck_assert_ptr_nonnull(strstr(text.data, "[seed 0]"));
    wispi_text_free(&text);
}
END_TEST

static void keep_row(void *user, const wispi_op_support_row *row)
{
    if (row->dtype == WISP_F32)
        *(wispi_op_support_row *)user = *row;
}

START_TEST(support_names_implementations_and_refusals)
{
    wispi_op_support_row row;
    wisp_error err = {0};
    wispi_text text = {0};
    wispi_device *device = open_faulty(NO_FAULT, 1);
    ck_assert_int_eq(wispi_op_support(device, "linear", keep_row, &row, &err), WISP_OK);
    ck_assert_str_eq(row.implementations, "faulty");
    ck_assert_int_eq(row.n_served, row.n_cases);
    ck_assert_int_gt(row.n_cases, 1);
    ck_assert_str_eq(row.refusal, "");
    wispi_device_close(device);
    device = open_faulty(REFUSES, 1);
    ck_assert_int_eq(wispi_op_support(device, "linear", keep_row, &row, &err), WISP_OK);
    ck_assert_int_eq(row.n_served, 0);
    ck_assert_str_eq(row.refusal, "linear: not today");
    wispi_op_support_json(&text, &row);
    json_t *read = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(read);
    json_decref(read);
    wispi_text_free(&text);
    wispi_device_close(device);
}
END_TEST

static void keep_perf(void *user, const wispi_op_perf_row *row)
{
    *(wispi_op_perf_row *)user = *row;
}

START_TEST(perf_measures)
{
    wispi_op_perf_row row;
    wisp_error err = {0};
    wispi_text text = {0};
    const wispi_device_options options = {1, 1, 0};
    wispi_device *device = NULL;
    ck_assert_int_eq(wispi_device_open(NULL, NULL, 0, &options, &device, &err), WISP_OK);
    wisp_status status = wispi_op_perf(device, "l2_normalize/embedding/f32", keep_perf, &row, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    ck_assert_msg(row.outcome == WISPI_CHECK_PASS, "%s", row.message);
    ck_assert_double_gt(row.milliseconds, 0);
    /* x and y of 4 MiB each and a norm for each row */
    const double bytes = 2 * 4096 * 256 * 4.0 + 4096 * 4.0;
    ck_assert_double_eq_tol(row.gbytes, bytes / row.milliseconds / 1e6, 1e-6 * row.gbytes);
    ck_assert_int_ge(row.n_runs, 3);
    wispi_op_perf_json(&text, &row);
    json_t *read = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(read);
    json_decref(read);
    wispi_text_free(&text);
    ck_assert_int_eq(wispi_op_perf(device, "nothing", keep_perf, &row, &err), WISP_E_NOT_FOUND);
    wispi_device_close(device);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("op_check");
    TCase *c = tcase_create("op_check");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, an_honest_kernel_passes);
    tcase_add_loop_test(c, each_fault_is_noticed, 0, sizeof noticed / sizeof noticed[0]);
    tcase_add_test(c, a_refusal_is_not_a_failure);
    tcase_add_test(c, bf16_is_skipped_with_the_reason);
    tcase_add_test(c, faulty_rules_are_noticed);
    tcase_add_test(c, filters_are_names);
    tcase_add_test(c, a_printed_name_runs_that_case_again);
    tcase_add_test(c, draws_repeat_and_fit_their_types);
    tcase_add_test(c, lack_of_memory_is_reported);
    tcase_add_test(c, reports_are_json);
    tcase_add_test(c, support_names_implementations_and_refusals);
    tcase_add_test(c, perf_measures);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
