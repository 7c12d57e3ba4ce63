/* test_soft_cudnn_attention.c - attention of the software device's cuDNN against PyTorch's. */
#include <check.h>
#include <math.h>

#include "golden_reader.h"
#include "attention_graphs.h"

static const attention_shape shape = {.heads = 3, .rows = 9, .features = 8};
enum { ROW = 72, PLAIN = 24, ROWS = 9, HEADS = 3 };
static float scale = 0.3535533905932738F, one = 1;

/* A tensor of a file on the device; the caller frees nothing that the test's end does not. */
static void *loaded(const golden_file *file, const char *name, int bf16)
{
    golden_tensor t = golden_get(file, name);
    float *values = calloc((size_t)t.count, sizeof *values);
    for (int64_t i = 0; i < t.count; i++)
        values[i] = (float)t.v[i];
    void *at = soft_numbers(values, t.count, bf16);
    free(values), free(t.v);
    return at;
}

static void compare(const golden_file *file, const char *name, const void *at, int bf16,
                    double tolerance)
{
    golden_tensor t = golden_get(file, name);
    float *values = calloc((size_t)t.count, sizeof *values);
    soft_values(at, t.count, bf16, values);
    for (int64_t i = 0; i < t.count; i++)
        ck_assert_double_eq_tol(values[i], t.v[i], tolerance * (1 + fabs(t.v[i])));
    free(values), free(t.v);
}

static void *part(void *packed, int i)
{
    return (char *)packed + (size_t)i * PLAIN * 2;
}

static golden_file open_case(const char *op)
{
    static char path[256];
    snprintf(path, sizeof path, WISP_SOURCE_DIR "/tests/golden/ops/%s__three_heads.safetensors",
             op);
    return golden_open(path);
}

static void check_forward(cudnnBackendDescriptor_t graph)
{
    golden_file file = open_case("self_attention");
    void *qkv = loaded(&file, "in0", 1), *o = soft_room(ROWS * PLAIN * 2);
    void *stats = soft_room(HEADS * ROWS * 4);
    DN_OK(cudnnBackendFinalize(graph));
    cudnnBackendDescriptor_t plan = dn_find_plan(graph, DN_STABLE);
    ck_assert_ptr_nonnull(plan);
    int64_t uids[6] = {AT_Q, AT_K, AT_V, AT_O, AT_STATS, AT_SCALE};
    void *pointers[6] = {qkv, part(qkv, 1), part(qkv, 2), o, stats, &scale};
    DN_OK(dn_execute(plan, 6, uids, pointers));
    compare(&file, "out0", o, 1, 0.01);
    compare(&file, "out1", stats, 0, 0.01);
    golden_close(&file);
}

START_TEST(composed_forward)
{
    check_forward(at_forward(&shape, ROW));
}
END_TEST

START_TEST(forward_as_one_operation)
{
    check_forward(at_whole(&shape, ROW));
}
END_TEST

/* Twice; what the sums of dQ hold then comes back in sums[2][]. */
static void check_backward(int own_sums, float sums[2][ROWS * PLAIN])
{
    static float zeros[ROWS * PLAIN];
    golden_file file = open_case("self_attention_grad");
    void *d_o = loaded(&file, "in0", 1), *qkv = loaded(&file, "in1", 1);
    void *o = loaded(&file, "in2", 1), *stats = loaded(&file, "in3", 0);
    void *dqkv = soft_room(ROWS * ROW * 2), *rows = soft_room(HEADS * ROWS * 4);
    cudnnBackendDescriptor_t graph = at_backward(&shape, ROW, own_sums);
    DN_OK(cudnnBackendFinalize(graph));
    cudnnBackendDescriptor_t plan = dn_find_plan(graph, DN_STABLE);
    ck_assert_ptr_nonnull(plan);
    for (int turn = 0; turn < 2; turn++) {
        void *at = soft_numbers(zeros, ROWS * PLAIN, 0);
        int64_t uids[13] = {AT_Q,  AT_K,  AT_V,     AT_O,   AT_DO,   AT_STATS, AT_DQ,
                            AT_DK, AT_DV, AT_SCALE, AT_ONE, AT_ROWS, AT_SUMS};
        void *pointers[13] = {qkv,           part(qkv, 1),  part(qkv, 2), o,    d_o,  stats, dqkv,
                              part(dqkv, 1), part(dqkv, 2), &scale,       &one, rows, at};
        DN_OK(dn_execute(plan, 12 + own_sums, uids, pointers));
        compare(&file, "out0", dqkv, 1, 0.02);
        soft_values(at, ROWS * PLAIN, 0, sums[turn]);
    }
    golden_close(&file);
}

START_TEST(composed_backward)
{
    static float sums[2][ROWS * PLAIN];
    check_backward(0, sums);
}
END_TEST

/* No engine says so, but sums of their own come in any order: only the other way is stable. */
START_TEST(backward_with_sums_of_its_own)
{
    static float sums[2][ROWS * PLAIN];
    check_backward(1, sums);
    ck_assert_int_ne(memcmp(sums[0], sums[1], sizeof sums[0]), 0);
}
END_TEST

START_TEST(what_no_version_can_is_refused)
{
    attention_shape narrow = {.heads = 1, .rows = 4, .features = 12};
    cudnnBackendDescriptor_t graph = at_forward(&narrow, 36);
    DN_OK(cudnnBackendFinalize(graph));
    ck_assert_ptr_null(dn_find_plan(graph, DN_STABLE));
    attention_shape single = {.heads = 2, .rows = 1, .features = 8};
    graph = at_backward(&single, 48, 0);
    DN_OK(cudnnBackendFinalize(graph));
    ck_assert_ptr_null(dn_find_plan(graph, DN_STABLE));
}
END_TEST

START_TEST(older_versions_can_less)
{
    setenv("SOFTGPU_CUDNN_VERSION", "91200", 1);
    cudnnBackendDescriptor_t graph = at_backward(&shape, ROW, 0);
    DN_OK(cudnnBackendFinalize(graph));
    ck_assert_ptr_null(dn_find_plan(graph, DN_STABLE));
    graph = at_whole(&shape, ROW);
    DN_OK(cudnnBackendFinalize(graph));
    ck_assert_ptr_null(dn_find_plan(graph, DN_STABLE));
    graph = at_forward(&shape, ROW);
    DN_OK(cudnnBackendFinalize(graph));
    ck_assert_ptr_nonnull(dn_find_plan(graph, DN_STABLE));
    unsetenv("SOFTGPU_CUDNN_VERSION");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("soft_cudnn_attention");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, cudnn_start, cudnn_stop);
    tcase_add_test(tests, composed_forward);
    tcase_add_test(tests, forward_as_one_operation);
    tcase_add_test(tests, composed_backward);
    tcase_add_test(tests, backward_with_sums_of_its_own);
    tcase_add_test(tests, what_no_version_can_is_refused);
    tcase_add_test(tests, older_versions_can_less);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
