/* test_soft_cudnn_conv.c - convolutions of the software device's cuDNN against PyTorch's. */
#include <check.h>
#include <math.h>

#include "golden_reader.h"
#include "cudnn_fixture.h"

static const char *const cases[] = {"depthwise", "depthwise_doubled", "dilated", "grouped",
                                    "odd",       "pointwise",         "stem",    "unequal_sides"};
static const char *const ops[3] = {"conv2d", "conv2d_grad_input", "conv2d_grad_weight"};

static int64_t attr_of(const json_t *attrs, const char *name)
{
    return json_integer_value(json_object_get(attrs, name));
}

static dn_window window_of(const json_t *attrs)
{
    return (dn_window){{attr_of(attrs, "pad_h"), attr_of(attrs, "pad_w")},
                       {attr_of(attrs, "stride_h"), attr_of(attrs, "stride_w")},
                       {attr_of(attrs, "dilation_h"), attr_of(attrs, "dilation_w")}};
}

/* Numbers of four dimensions in another order of dimensions. */
static float *reordered(const golden_tensor *t, const int order[4])
{
    const int64_t *s = t->desc.shape;
    int64_t strides[4] = {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1}, i[4], at = 0;
    float *out = calloc((size_t)t->count, sizeof *out);
    for (i[0] = 0; i[0] < s[order[0]]; i[0]++)
        for (i[1] = 0; i[1] < s[order[1]]; i[1]++)
            for (i[2] = 0; i[2] < s[order[2]]; i[2]++)
                for (i[3] = 0; i[3] < s[order[3]]; i[3]++)
                    out[at++] = (float)t->v[i[0] * strides[order[0]] + i[1] * strides[order[1]] +
                                            i[2] * strides[order[2]] + i[3] * strides[order[3]]];
    return out;
}

/* Maps are NHWC and filters OIHW in the files; on the device both are as the test wants them. */
static float *as_laid_out(const golden_tensor *t, int is_filter, int nhwc)
{
    static const int same[4] = {0, 1, 2, 3}, first[4] = {0, 3, 1, 2}, last[4] = {0, 2, 3, 1};
    if (is_filter)
        return reordered(t, nhwc ? last : same);
    return reordered(t, nhwc ? same : first);
}

static dn_tensor described(const golden_tensor *t, int64_t uid, int is_filter, int nhwc, int bf16)
{
    const int64_t *s = t->desc.shape;
    int type = bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    return is_filter ? dn_image(uid, type, s[0], s[1], s[2], s[3], nhwc)
                     : dn_image(uid, type, s[0], s[3], s[1], s[2], nhwc);
}

/* One direction of one case: in0, in1 -> out0, which part each is depends on the direction. */
static void check_case(const char *name, int direction, int nhwc, int bf16)
{
    static const int parts[3][3] = {{0, 1, 2}, {2, 1, 0}, {0, 2, 1}};
    static const char *const names[3] = {"in0", "in1", "out0"};
    char path[256];
    dn_tensor tensors[3];
    golden_tensor values[3];
    void *pointers[3];
    float *result = NULL;
    int64_t uids[3];
    snprintf(path, sizeof path, WISP_SOURCE_DIR "/tests/golden/ops/%s__%s.safetensors",
             ops[direction], name);
    golden_file file = golden_open(path);
    json_t *attrs = golden_json(&file, "attrs");
    for (int i = 0; i < 3; i++) {
        int part = parts[direction][i];
        values[i] = golden_get(&file, names[i]);
        tensors[part] = described(&values[i], part + 10, part == 1, nhwc, bf16);
        float *numbers = as_laid_out(&values[i], part == 1, nhwc);
        uids[i] = part + 10;
        pointers[i] = soft_numbers(numbers, values[i].count, bf16);
        result = i == 2 ? numbers : (free(numbers), NULL);
    }
    float *zeros = calloc((size_t)values[2].count, sizeof *zeros);
    pointers[2] = soft_numbers(zeros, values[2].count, bf16);
    dn_window window = window_of(attrs);
    cudnnBackendDescriptor_t operation = dn_make_conv_operation(direction, &window, tensors, 0);
    DN_OK(cudnnBackendFinalize(operation));
    cudnnBackendDescriptor_t graph = dn_make_graph(&operation, 1);
    DN_OK(cudnnBackendFinalize(graph));
    cudnnBackendDescriptor_t plan = dn_find_plan(graph, bf16 ? DN_STABLE : DN_EXACT);
    ck_assert_ptr_nonnull(plan);
    DN_OK(dn_execute(plan, 3, uids, pointers));
    soft_values(pointers[2], values[2].count, bf16, zeros);
    /* The files' forward results have the bias, which stands in in2. */
    golden_tensor bias = golden_get(&file, "in2");
    int64_t channels = direction == 0 ? tensors[2].dims[1] : 1, plane = 1;
    if (!nhwc && direction == 0)
        plane = tensors[2].dims[2] * tensors[2].dims[3];
    for (int64_t i = 0; i < values[2].count; i++) {
        double expected = result[i] - (direction == 0 && bias.v ? bias.v[i / plane % channels] : 0);
        ck_assert_double_eq_tol(zeros[i], expected, bf16 ? 0.05 + 0.02 * fabs(expected) : 2e-5);
    }
    json_decref(attrs);
    golden_close(&file);
    free(zeros), free(result), free(bias.v);
    for (int i = 0; i < 3; i++)
        free(values[i].v);
}

START_TEST(golden_results)
{
    int direction = _i % 3, nhwc = _i / 3 % 2, bf16 = _i / 6 % 2;
    check_case(cases[_i / 12], direction, nhwc, bf16);
}
END_TEST

/* A 1x1 convolution of whole numbers, in float and with the engine that has the note. */
static float one_product(float x, float w, float before, float beta, int wanted)
{
    dn_window window = {{0, 0}, {1, 1}, {1, 1}};
    dn_tensor tensors[3];
    int64_t uids[3] = {1, 2, 3};
    void *pointers[3] = {soft_numbers(&x, 1, 0), soft_numbers(&w, 1, 0),
                         soft_numbers(&before, 1, 0)};
    for (int i = 0; i < 3; i++)
        tensors[i] = dn_image(uids[i], CUDNN_DATA_FLOAT, 1, 1, 1, 1, 1);
    cudnnBackendDescriptor_t operation = dn_make_conv_operation(0, &window, tensors, beta);
    DN_OK(cudnnBackendFinalize(operation));
    cudnnBackendDescriptor_t graph = dn_make_graph(&operation, 1);
    DN_OK(cudnnBackendFinalize(graph));
    cudnnBackendDescriptor_t plan = dn_find_plan(graph, wanted);
    ck_assert_ptr_nonnull(plan);
    DN_OK(dn_execute(plan, 3, uids, pointers));
    float y;
    soft_values(pointers[2], 1, 0, &y);
    return y;
}

START_TEST(beta_adds_what_was_there)
{
    ck_assert_float_eq(one_product(2, 3, 5, 0, DN_EXACT), 6);
    ck_assert_float_eq(one_product(2, 3, 5, 1, DN_EXACT), 11);
}
END_TEST

START_TEST(tensor_cores_cut_floats)
{
    ck_assert_float_eq(one_product(1.0001F, 1, 0, 0, DN_EXACT), 1.0001F);
    ck_assert_float_eq(one_product(1.0001F, 1, 0, 0, CUDNN_NUMERICAL_NOTE_TENSOR_CORE), 1);
}
END_TEST

/* The sum over images, big and small numbers: in this order it depends on where it begins. */
START_TEST(the_unordered_engine_never_does_the_same_twice)
{
    float x[3] = {1, 1e8F, -1e8F}, dy[3] = {1, 1, 1}, dw[2];
    dn_window window = {{0, 0}, {1, 1}, {1, 1}};
    dn_tensor tensors[3] = {dn_image(1, CUDNN_DATA_FLOAT, 3, 1, 1, 1, 1),
                            dn_image(2, CUDNN_DATA_FLOAT, 1, 1, 1, 1, 1),
                            dn_image(3, CUDNN_DATA_FLOAT, 3, 1, 1, 1, 1)};
    int64_t uids[3] = {1, 2, 3};
    void *pointers[3] = {soft_numbers(x, 3, 0), soft_room(4), soft_numbers(dy, 3, 0)};
    cudnnBackendDescriptor_t operation = dn_make_conv_operation(2, &window, tensors, 0);
    DN_OK(cudnnBackendFinalize(operation));
    cudnnBackendDescriptor_t graph = dn_make_graph(&operation, 1);
    DN_OK(cudnnBackendFinalize(graph));
    for (int stable = 0; stable < 2; stable++) {
        cudnnBackendDescriptor_t plan =
            dn_find_plan(graph, stable ? DN_STABLE : CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
        ck_assert_ptr_nonnull(plan);
        for (int i = 0; i < 2; i++) {
            DN_OK(dn_execute(plan, 3, uids, pointers));
            soft_values(pointers[1], 1, 0, &dw[i]);
        }
        ck_assert_int_eq(dw[0] == dw[1], stable);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("soft_cudnn_conv");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, cudnn_start, cudnn_stop);
    tcase_add_loop_test(tests, golden_results, 0, 12 * (int)(sizeof cases / sizeof *cases));
    tcase_add_test(tests, beta_adds_what_was_there);
    tcase_add_test(tests, tensor_cores_cut_floats);
    tcase_add_test(tests, the_unordered_engine_never_does_the_same_twice);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
