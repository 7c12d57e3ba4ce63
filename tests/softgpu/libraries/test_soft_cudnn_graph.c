/* test_soft_cudnn_graph.c - descriptors and graphs of the software device's cuDNN: what is a
 * mistake, what has no engine, and what operations behind a convolution compute. */
#include <check.h>
#include <math.h>

#include "cudnn_fixture.h"

static const dn_window plain = {{1, 1}, {1, 1}, {1, 1}};

/* x [2, 8, 5, 5] with w [16, 8, 3, 3]. */
static void small_tensors(dn_tensor t[3], int type, int nhwc)
{
    t[0] = dn_image(1, type, 2, 8, 5, 5, nhwc);
    t[1] = dn_image(2, type, 16, 8, 3, 3, nhwc);
    t[2] = dn_image(3, type, 2, 16, 5, 5, nhwc);
}

START_TEST(attributes_are_checked)
{
    cudnnBackendDescriptor_t tensor = dn_make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t dims[16] = {0}, uid = 1;
    ck_assert_int_eq(
        cudnnBackendSetAttribute(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT32, 1, &uid),
        CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
    ck_assert_int_ne(
        cudnnBackendSetAttribute(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 16, dims),
        CUDNN_STATUS_SUCCESS);
    ck_assert_int_ne(
        cudnnBackendSetAttribute(tensor, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_INT64, 1, &uid),
        CUDNN_STATUS_SUCCESS);
    ck_assert_int_ne(cudnnBackendFinalize(tensor), CUDNN_STATUS_SUCCESS);
    char why[128];
    cudnnGetLastErrorString(why, sizeof why);
    ck_assert_uint_gt(strlen(why), 0);
}
END_TEST

START_TEST(finalized_is_closed)
{
    dn_tensor t = dn_image(1, CUDNN_DATA_FLOAT, 1, 1, 1, 1, 1);
    cudnnBackendDescriptor_t tensor = dn_make_tensor(&t);
    ck_assert_int_ne(
        cudnnBackendSetAttribute(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &t.uid),
        CUDNN_STATUS_SUCCESS);
    cudnnBackendDescriptor_t open = dn_make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    cudnnBackendDescriptor_t operation =
        dn_make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    ck_assert_int_eq(cudnnBackendSetAttribute(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &open),
                     CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
}
END_TEST

/* A stride that is not the window's, channels that groups do not divide, another batch. */
START_TEST(shapes_are_checked)
{
    dn_tensor t[3];
    for (int mistake = 0; mistake < 4; mistake++) {
        small_tensors(t, CUDNN_DATA_FLOAT, 1);
        if (mistake == 1)
            t[2] = dn_image(3, CUDNN_DATA_FLOAT, 2, 16, 4, 5, 1);
        if (mistake == 2)
            t[1] = dn_image(2, CUDNN_DATA_FLOAT, 16, 3, 3, 3, 1);
        if (mistake == 3)
            t[2] = dn_image(3, CUDNN_DATA_FLOAT, 1, 16, 5, 5, 1);
        cudnnBackendDescriptor_t operation = dn_make_conv_operation(0, &plain, t, 0);
        ck_assert_int_eq(cudnnBackendFinalize(operation),
                         mistake ? CUDNN_STATUS_BAD_PARAM : CUDNN_STATUS_SUCCESS);
    }
}
END_TEST

static cudnnBackendDescriptor_t plan_of_one(int direction, const dn_tensor t[3])
{
    cudnnBackendDescriptor_t operation = dn_make_conv_operation(direction, &plain, t, 0);
    DN_OK(cudnnBackendFinalize(operation));
    cudnnBackendDescriptor_t graph = dn_make_graph(&operation, 1);
    DN_OK(cudnnBackendFinalize(graph));
    return dn_find_plan(graph, t[0].type == CUDNN_DATA_FLOAT ? DN_EXACT : DN_STABLE);
}

START_TEST(layouts_and_types_without_engines)
{
    dn_tensor t[3];
    small_tensors(t, CUDNN_DATA_BFLOAT16, 1);
    ck_assert_ptr_nonnull(plan_of_one(0, t));
    t[1] = dn_image(2, CUDNN_DATA_BFLOAT16, 16, 8, 3, 3, 0);
    ck_assert_ptr_null(plan_of_one(0, t));
    small_tensors(t, CUDNN_DATA_BFLOAT16, 1);
    t[1].type = CUDNN_DATA_FLOAT;
    ck_assert_ptr_null(plan_of_one(0, t));
    ck_assert_ptr_null(plan_of_one(2, t));
    small_tensors(t, CUDNN_DATA_FLOAT, 1);
    t[0].strides[0] *= 2;
    ck_assert_ptr_null(plan_of_one(0, t));
}
END_TEST

/* A gradient wider than its inputs wants an operation behind the convolution that stores it. */
START_TEST(wide_gradients_are_fused)
{
    dn_tensor t[3], dw;
    small_tensors(t, CUDNN_DATA_BFLOAT16, 1);
    t[1].type = CUDNN_DATA_FLOAT;
    dw = t[1];
    t[1].is_virtual = 1, t[1].uid = 10;
    cudnnBackendDescriptor_t operations[2] = {
        dn_make_conv_operation(2, &plain, t, 0),
        dn_make_pointwise(CUDNN_POINTWISE_IDENTITY, &t[1], NULL, &dw)};
    DN_OK(cudnnBackendFinalize(operations[0]));
    cudnnBackendDescriptor_t graph = dn_make_graph(operations, 2);
    DN_OK(cudnnBackendFinalize(graph));
    ck_assert_ptr_nonnull(dn_find_plan(graph, DN_STABLE));
}
END_TEST

/* Engines that keep floats as they are come with the fallbacks only. */
START_TEST(fallbacks_are_another_list)
{
    dn_tensor t[3];
    small_tensors(t, CUDNN_DATA_FLOAT, 1);
    cudnnBackendDescriptor_t operation = dn_make_conv_operation(0, &plain, t, 0);
    DN_OK(cudnnBackendFinalize(operation));
    cudnnBackendDescriptor_t graph = dn_make_graph(&operation, 1);
    DN_OK(cudnnBackendFinalize(graph));
    ck_assert_ptr_null(dn_find_in_mode(graph, CUDNN_HEUR_MODE_A, DN_EXACT));
    ck_assert_ptr_nonnull(dn_find_in_mode(graph, CUDNN_HEUR_MODE_A, DN_STABLE));
    ck_assert_ptr_nonnull(dn_find_in_mode(graph, CUDNN_HEUR_MODE_FALLBACK, DN_EXACT));
}
END_TEST

START_TEST(engines_can_be_switched_off)
{
    dn_tensor t[3];
    small_tensors(t, CUDNN_DATA_FLOAT, 1);
    setenv("SOFTGPU_CUDNN_REFUSE", "attention,convolution", 1);
    ck_assert_ptr_null(plan_of_one(0, t));
    setenv("SOFTGPU_CUDNN_REFUSE", "attention", 1);
    ck_assert_ptr_nonnull(plan_of_one(0, t));
    unsetenv("SOFTGPU_CUDNN_REFUSE");
}
END_TEST

START_TEST(packs_are_checked)
{
    dn_tensor t[3];
    small_tensors(t, CUDNN_DATA_FLOAT, 1);
    int64_t uids[4] = {1, 2, 3, 4};
    void *pointers[4];
    for (int i = 0; i < 4; i++)
        pointers[i] = soft_room(2 * 16 * 8 * 25 * 4);
    cudnnBackendDescriptor_t plan = plan_of_one(0, t);
    DN_OK(dn_execute(plan, 3, uids, pointers));
    ck_assert_int_ne(dn_execute(plan, 2, uids, pointers), CUDNN_STATUS_SUCCESS);
    ck_assert_int_ne(dn_execute(plan, 4, uids, pointers), CUDNN_STATUS_SUCCESS);
    pointers[1] = (char *)pointers[1] + 4;
    ck_assert_int_ne(dn_execute(plan, 3, uids, pointers), CUDNN_STATUS_SUCCESS);
    _Alignas(16) static float host[16 * 8 * 9];
    pointers[1] = host;
    ck_assert_int_ne(dn_execute(plan, 3, uids, pointers), CUDNN_STATUS_SUCCESS);
}
END_TEST

START_TEST(a_plan_wants_its_workspace)
{
    dn_tensor t[3];
    small_tensors(t, CUDNN_DATA_FLOAT, 1);
    cudnnBackendDescriptor_t plan = plan_of_one(0, t),
                             pack = dn_make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    int64_t uids[3] = {1, 2, 3}, bytes = 0, n = 0;
    void *pointers[3];
    for (int i = 0; i < 3; i++)
        pointers[i] = soft_room(2 * 16 * 8 * 25 * 4);
    DN_OK(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                   1, &n, &bytes));
    ck_assert_int_gt(bytes, 0);
    dn_set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, uids);
    dn_set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers);
    DN_OK(cudnnBackendFinalize(pack));
    ck_assert_int_ne(cudnnBackendExecute(cudnn_handle, plan, pack), CUDNN_STATUS_SUCCESS);
}
END_TEST

static cudnnStatus_t finalized_graph(cudnnBackendDescriptor_t *operations, int n)
{
    return cudnnBackendFinalize(dn_make_graph(operations, n));
}

START_TEST(graphs_are_checked)
{
    dn_tensor a = dn_image(1, CUDNN_DATA_FLOAT, 1, 8, 2, 2, 1), b = a, c = a, other = a;
    b.uid = 2, c.uid = 3, b.is_virtual = 1;
    other.dims[1] = 4;
    cudnnBackendDescriptor_t good[2] = {dn_make_pointwise(CUDNN_POINTWISE_RELU_FWD, &b, NULL, &c),
                                        dn_make_pointwise(CUDNN_POINTWISE_EXP, &a, NULL, &b)};
    DN_OK(finalized_graph(good, 2));
    ck_assert_int_ne(finalized_graph(good, 1), CUDNN_STATUS_SUCCESS); /* b has no writer */
    cudnnBackendDescriptor_t cycle[2] = {dn_make_pointwise(CUDNN_POINTWISE_EXP, &a, NULL, &c),
                                         dn_make_pointwise(CUDNN_POINTWISE_EXP, &c, NULL, &a)};
    ck_assert_int_ne(finalized_graph(cycle, 2), CUDNN_STATUS_SUCCESS);
    cudnnBackendDescriptor_t writers[2] = {dn_make_pointwise(CUDNN_POINTWISE_EXP, &a, NULL, &c),
                                           dn_make_pointwise(CUDNN_POINTWISE_NEG, &a, NULL, &c)};
    ck_assert_int_ne(finalized_graph(writers, 2), CUDNN_STATUS_SUCCESS);
    dn_tensor four = other;
    four.uid = 4;
    cudnnBackendDescriptor_t same_uid[2] = {
        dn_make_pointwise(CUDNN_POINTWISE_EXP, &a, NULL, &c),
        dn_make_pointwise(CUDNN_POINTWISE_EXP, &other, NULL, &four)};
    ck_assert_int_eq(finalized_graph(same_uid, 2), CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
}
END_TEST

START_TEST(what_was_destroyed_cannot_run)
{
    dn_tensor t[3];
    small_tensors(t, CUDNN_DATA_FLOAT, 1);
    int64_t uids[3] = {1, 2, 3};
    void *pointers[3];
    for (int i = 0; i < 3; i++)
        pointers[i] = soft_room(2 * 16 * 8 * 25 * 4);
    int first = cudnn_n_made;
    cudnnBackendDescriptor_t plan = plan_of_one(0, t);
    DN_OK(cudnnBackendDestroyDescriptor(cudnn_made[first])); /* the operation */
    memmove(cudnn_made + first, cudnn_made + first + 1,
            (size_t)(--cudnn_n_made - first) * sizeof *cudnn_made);
    ck_assert_int_ne(dn_execute(plan, 3, uids, pointers), CUDNN_STATUS_SUCCESS);
}
END_TEST

/* Convolution, bias, another tensor, ReLU; all in whole numbers, so that bf16 holds them. */
START_TEST(operations_behind_a_convolution)
{
    enum { N = 2, C = 8, K = 16, HW = 4 };
    float x[N * C * HW], w[K * C], bias[K], more[N * K * HW], y[N * K * HW];
    for (int i = 0; i < N * C * HW; i++)
        x[i] = (float)(i % 3 - 1);
    for (int i = 0; i < K * C; i++)
        w[i] = (float)(i % 5 - 2);
    for (int i = 0; i < K; i++)
        bias[i] = (float)(i - 8);
    for (int i = 0; i < N * K * HW; i++)
        more[i] = (float)(i % 7 - 3);
    dn_window window = {{0, 0}, {1, 1}, {1, 1}};
    dn_tensor t[3] = {dn_image(1, CUDNN_DATA_BFLOAT16, N, C, 2, 2, 1),
                      dn_image(2, CUDNN_DATA_BFLOAT16, K, C, 1, 1, 1),
                      dn_image(10, CUDNN_DATA_FLOAT, N, K, 2, 2, 1)};
    dn_tensor b = dn_image(3, CUDNN_DATA_FLOAT, 1, K, 1, 1, 1), sum = t[2], all = t[2];
    dn_tensor add = dn_image(4, CUDNN_DATA_BFLOAT16, N, K, 2, 2, 1), out = add;
    t[2].is_virtual = sum.is_virtual = all.is_virtual = 1;
    sum.uid = 11, all.uid = 12, out.uid = 5;
    cudnnBackendDescriptor_t operations[4] = {
        dn_make_pointwise(CUDNN_POINTWISE_RELU_FWD, &all, NULL, &out),
        dn_make_pointwise(CUDNN_POINTWISE_ADD, &sum, &add, &all),
        dn_make_pointwise(CUDNN_POINTWISE_ADD, &t[2], &b, &sum),
        dn_make_conv_operation(0, &window, t, 0)};
    DN_OK(cudnnBackendFinalize(operations[3]));
    cudnnBackendDescriptor_t graph = dn_make_graph(operations, 4);
    DN_OK(cudnnBackendFinalize(graph));
    cudnnBackendDescriptor_t plan = dn_find_plan(graph, DN_STABLE);
    ck_assert_ptr_nonnull(plan);
    int64_t uids[5] = {1, 2, 3, 4, 5};
    void *pointers[5] = {soft_numbers(x, N * C * HW, 1), soft_numbers(w, K * C, 1),
                         soft_numbers(bias, K, 0), soft_numbers(more, N * K * HW, 1),
                         soft_room(sizeof y)};
    DN_OK(dn_execute(plan, 5, uids, pointers));
    soft_values(pointers[4], N * K * HW, 1, y);
    for (int i = 0; i < N * K * HW; i++) {
        float expected = bias[i % K] + more[i];
        for (int c = 0; c < C; c++)
            expected += x[i / K * C + c] * w[i % K * C + c];
        ck_assert_float_eq(y[i], expected > 0 ? expected : 0);
    }
}
END_TEST

static cudnnBackendDescriptor_t make_statistics(const dn_tensor *x, const dn_tensor *sum,
                                                const dn_tensor *squares)
{
    cudnnBackendDescriptor_t operation = dn_make(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
    dn_set_int(operation, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE,
               CUDNN_GENSTATS_SUM_SQSUM);
    dn_set_int(operation, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE,
               CUDNN_DATA_FLOAT);
    dn_set_child(operation, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, dn_make_tensor(x));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, dn_make_tensor(sum));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, dn_make_tensor(squares));
    DN_OK(cudnnBackendFinalize(operation));
    return operation;
}

/* Channel k of the result is k - 4 times the one input that is not zero. */
START_TEST(statistics_of_a_convolution)
{
    enum { C = 8, PLACES = 4 };
    float x[C * PLACES] = {0}, w[C * C] = {0}, sum[C], squares[C];
    for (int p = 0; p < PLACES; p++)
        x[p * C] = (float)(p + 1);
    for (int k = 0; k < C; k++)
        w[k * C] = (float)(k - 4);
    dn_window window = {{0, 0}, {1, 1}, {1, 1}};
    dn_tensor t[3] = {dn_image(1, CUDNN_DATA_BFLOAT16, 1, C, 2, 2, 1),
                      dn_image(2, CUDNN_DATA_BFLOAT16, C, C, 1, 1, 1),
                      dn_image(3, CUDNN_DATA_BFLOAT16, 1, C, 2, 2, 1)};
    dn_tensor sums[2] = {dn_image(4, CUDNN_DATA_FLOAT, 1, C, 1, 1, 1),
                         dn_image(5, CUDNN_DATA_FLOAT, 1, C, 1, 1, 1)};
    cudnnBackendDescriptor_t operations[2] = {dn_make_conv_operation(0, &window, t, 0),
                                              make_statistics(&t[2], &sums[0], &sums[1])};
    DN_OK(cudnnBackendFinalize(operations[0]));
    cudnnBackendDescriptor_t graph = dn_make_graph(operations, 2);
    DN_OK(cudnnBackendFinalize(graph));
    cudnnBackendDescriptor_t plan = dn_find_plan(graph, DN_STABLE);
    ck_assert_ptr_nonnull(plan);
    int64_t uids[5] = {1, 2, 3, 4, 5};
    void *pointers[5] = {soft_numbers(x, C * PLACES, 1), soft_numbers(w, C * C, 1),
                         soft_room(C * PLACES * 2), soft_room(sizeof sum), soft_room(sizeof sum)};
    DN_OK(dn_execute(plan, 5, uids, pointers));
    soft_values(pointers[3], C, 0, sum);
    soft_values(pointers[4], C, 0, squares);
    for (int k = 0; k < C; k++) {
        ck_assert_float_eq(sum[k], (float)(10 * (k - 4)));
        ck_assert_float_eq(squares[k], (float)(30 * (k - 4) * (k - 4)));
    }
}
END_TEST

/* The first input of a pointwise operation is never the one that broadcasts. */
START_TEST(the_first_input_is_whole)
{
    dn_tensor t[3] = {dn_image(1, CUDNN_DATA_BFLOAT16, 2, 8, 2, 2, 1),
                      dn_image(2, CUDNN_DATA_BFLOAT16, 16, 8, 1, 1, 1),
                      dn_image(3, CUDNN_DATA_FLOAT, 2, 16, 2, 2, 1)};
    dn_tensor b = dn_image(4, CUDNN_DATA_FLOAT, 1, 16, 1, 1, 1), y = t[2];
    dn_window window = {{0, 0}, {1, 1}, {1, 1}};
    t[2].is_virtual = 1, y.uid = 5;
    for (int turned = 0; turned < 2; turned++) {
        cudnnBackendDescriptor_t operations[2] = {
            dn_make_conv_operation(0, &window, t, 0),
            dn_make_pointwise(CUDNN_POINTWISE_ADD, turned ? &b : &t[2], turned ? &t[2] : &b, &y)};
        DN_OK(cudnnBackendFinalize(operations[0]));
        cudnnBackendDescriptor_t graph = dn_make_graph(operations, 2);
        DN_OK(cudnnBackendFinalize(graph));
        ck_assert_int_eq(dn_find_plan(graph, DN_STABLE) == NULL, turned);
    }
}
END_TEST

static float pointwise_of(int mode, float x, const float *b)
{
    dn_tensor t[3];
    int64_t uids[3] = {1, 2, 3};
    void *pointers[3] = {soft_numbers(&x, 1, 0), soft_room(4), b ? soft_numbers(b, 1, 0) : NULL};
    for (int i = 0; i < 3; i++)
        t[i] = dn_image(uids[i], CUDNN_DATA_FLOAT, 1, 1, 1, 1, 1);
    cudnnBackendDescriptor_t operation = dn_make_pointwise(mode, &t[0], b ? &t[2] : NULL, &t[1]);
    cudnnBackendDescriptor_t graph = dn_make_graph(&operation, 1);
    DN_OK(cudnnBackendFinalize(graph));
    cudnnBackendDescriptor_t plan = dn_find_plan(graph, DN_STABLE);
    ck_assert_ptr_nonnull(plan);
    DN_OK(dn_execute(plan, b ? 3 : 2, uids, pointers));
    soft_values(pointers[1], 1, 0, &x);
    return x;
}

/* Each activation's gradient against differences of the activation itself. */
START_TEST(gradients_of_activations)
{
    static const float places[] = {-2.5F, -0.4F, 0.3F, 1.7F};
    int mode = CUDNN_POINTWISE_RELU_FWD + _i;
    for (int i = 0; i < 4; i++) {
        float x = places[i], h = 1e-2F, dy = 2;
        float difference =
            (pointwise_of(mode, x + h, NULL) - pointwise_of(mode, x - h, NULL)) / (2 * h);
        float slope = pointwise_of(mode + 100, x, &dy);
        ck_assert_float_eq_tol(slope, dy * difference, 2e-3F);
    }
}
END_TEST

START_TEST(known_values)
{
    float two = 2;
    ck_assert_float_eq_tol(pointwise_of(CUDNN_POINTWISE_GELU_FWD, 1, NULL), 0.84134475F, 1e-6F);
    ck_assert_float_eq_tol(pointwise_of(CUDNN_POINTWISE_SIGMOID_FWD, 1, NULL), 0.73105858F, 1e-6F);
    ck_assert_float_eq_tol(pointwise_of(CUDNN_POINTWISE_SOFTPLUS_FWD, 1, NULL), 1.3132617F, 1e-6F);
    ck_assert_float_eq_tol(pointwise_of(CUDNN_POINTWISE_ELU_FWD, -1, NULL), -0.63212056F, 1e-6F);
    ck_assert_float_eq(pointwise_of(CUDNN_POINTWISE_ADD_SQUARE, 1, &two), 5);
    ck_assert_float_eq(pointwise_of(CUDNN_POINTWISE_POW, 3, &two), 9);
    ck_assert_float_eq(pointwise_of(CUDNN_POINTWISE_CMP_LT, 1, &two), 1);
    ck_assert_float_eq(pointwise_of(CUDNN_POINTWISE_SUB, 1, &two), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("soft_cudnn_graph");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, cudnn_start, cudnn_stop);
    tcase_add_test(tests, attributes_are_checked);
    tcase_add_test(tests, finalized_is_closed);
    tcase_add_test(tests, shapes_are_checked);
    tcase_add_test(tests, layouts_and_types_without_engines);
    tcase_add_test(tests, wide_gradients_are_fused);
    tcase_add_test(tests, fallbacks_are_another_list);
    tcase_add_test(tests, engines_can_be_switched_off);
    tcase_add_test(tests, packs_are_checked);
    tcase_add_test(tests, a_plan_wants_its_workspace);
    tcase_add_test(tests, graphs_are_checked);
    tcase_add_test(tests, what_was_destroyed_cannot_run);
    tcase_add_test(tests, operations_behind_a_convolution);
    tcase_add_test(tests, statistics_of_a_convolution);
    tcase_add_test(tests, the_first_input_is_whole);
    tcase_add_loop_test(tests, gradients_of_activations, 0, 8);
    tcase_add_test(tests, known_values);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
