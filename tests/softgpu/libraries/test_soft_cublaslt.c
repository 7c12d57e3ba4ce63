/* test_soft_cublaslt.c - the software device's cuBLASLt: what it computes, and what it refuses. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "golden_reader.h"
#include "lt_fixture.h"

static void start(void)
{
    soft_start();
    LT_OK(cublasLtCreate(&lt_handle));
}

static void stop(void)
{
    LT_OK(cublasLtDestroy(lt_handle));
    soft_stop();
}

/* A column-major operand of these numbers. */
static lt_operand column(const float *values, int64_t rows, int64_t cols, int bf16)
{
    return (lt_operand){.rows = rows,
                        .cols = cols,
                        .ld = rows,
                        .type = bf16 ? CUDA_R_16BF : CUDA_R_32F,
                        .memory = soft_numbers(values, rows * cols, bf16)};
}

static lt_operand empty(int64_t rows, int64_t cols, int bf16)
{
    float *zeros = calloc((size_t)(rows * cols), sizeof *zeros);
    lt_operand operand = column(zeros, rows, cols, bf16);
    free(zeros);
    return operand;
}

/* 0, 1, 2, 3, 4, 0, ... as products and sums stay whole numbers that every type holds. */
static void small_numbers(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i * 7 % 5) - 2;
}

static float *golden_floats(const golden_file *file, const char *name, golden_tensor *tensor)
{
    *tensor = golden_get(file, name);
    float *values = calloc((size_t)tensor->count, sizeof *values);
    for (int64_t i = 0; i < tensor->count; i++)
        values[i] = (float)tensor->v[i];
    return values;
}

/* y = x W^T + b row by row is D = W^T' X + b column by column. */
START_TEST(a_linear_layer_is_pytorchs)
{
    golden_file file = golden_open(WISP_SOURCE_DIR "/tests/golden/ops/linear__odd.safetensors");
    golden_tensor tx, tw, tb, ty;
    float *x = golden_floats(&file, "in0", &tx), *w = golden_floats(&file, "in1", &tw);
    float *b = golden_floats(&file, "in2", &tb), *y = golden_floats(&file, "out0", &ty);
    int64_t rows = tx.desc.shape[0], in = tx.desc.shape[1], out = tw.desc.shape[0];
    lt_case t = lt_plain();
    t.a = column(w, in, out, 0);
    t.b = column(x, in, rows, 0);
    t.d = empty(out, rows, 0);
    t.transa = CUBLAS_OP_T;
    t.epilogue = CUBLASLT_EPILOGUE_BIAS;
    t.bias = soft_numbers(b, out, 0);
    LT_OK(lt_multiply(&t));
    float *got = calloc((size_t)ty.count, sizeof *got);
    soft_values(t.d.memory, ty.count, 0, got);
    for (int64_t i = 0; i < ty.count; i++)
        ck_assert_double_eq_tol(got[i], ty.v[i], 1e-5);
    golden_close(&file);
    free(x), free(w), free(b), free(y), free(got);
    free(tx.v), free(tw.v), free(tb.v), free(ty.v);
}
END_TEST

/* Every combination of orders, transpositions and types against the sum that it stands for. */
START_TEST(orders_transpositions_and_batches)
{
    enum { M = 5, N = 7, K = 3, BATCH = 2 };
    float a[BATCH * 64], b[BATCH * 64], c[BATCH * 64], got[BATCH * 64];
    int ta = _i & 1, tb = _i >> 1 & 1, ra = _i >> 2 & 1, rb = _i >> 3 & 1, rd = _i >> 4 & 1;
    int bf16 = _i >> 5 & 1;
    small_numbers(a, BATCH * 64);
    small_numbers(b, BATCH * 64);
    small_numbers(c, BATCH * 64);
    lt_case t = lt_plain();
    t.batch = BATCH;
    t.a = column(a, ta ? K : M, ta ? M : K, bf16);
    t.b = column(b, tb ? N : K, tb ? K : N, bf16);
    t.a.memory = soft_numbers(a, BATCH * 64, bf16);
    t.b.memory = soft_numbers(b, BATCH * 64, bf16);
    t.d = (lt_operand){.rows = M, .cols = N, .type = t.a.type};
    t.d.memory = soft_numbers(c, BATCH * 64, bf16);
    t.a.order = ra, t.b.order = rb, t.d.order = rd;
    t.a.ld = t.b.ld = t.d.ld = 8;
    t.a.batch_stride = t.b.batch_stride = t.d.batch_stride = 64;
    t.transa = ta ? CUBLAS_OP_T : CUBLAS_OP_N;
    t.transb = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    t.alpha = 2;
    t.beta = -1;
    LT_OK(lt_multiply(&t));
    soft_values(t.d.memory, BATCH * 64, bf16, got);
    for (int z = 0; z < BATCH; z++)
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                int at = 64 * z + (rd ? i * 8 + j : j * 8 + i);
                float sum = 0;
                for (int k = 0; k < K; k++)
                    sum += a[64 * z + (ta != ra ? i * 8 + k : k * 8 + i)] *
                           b[64 * z + (tb != rb ? k * 8 + j : j * 8 + k)];
                ck_assert_float_eq(got[at], 2 * sum - c[at]);
            }
}
END_TEST

/* PyTorch's gelu(approximate="tanh") and its gradient at seven places. */
static const float gelu_x[8] = {-3, -1, -0.1F, 0, 0.5F, 1, 2, 0};
static const float gelu_y[8] = {-0.00363739F, -0.15880801F, -0.04601725F, 0,
                                0.34571401F,  0.84119199F,  1.95459769F,  0};
static const float gelu_dx[8] = {-0.01158417F, -0.08296408F, 0.42047821F, 0.5F,
                                 0.86736990F,  1.08296408F,  1.08609926F, 0.5F};
static const float one[1] = {1};

START_TEST(gelu_is_the_approximation_by_tanh)
{
    float y[8], aux[8], bias[8] = {0};
    lt_case t = lt_plain();
    t.a = column(gelu_x, 8, 1, 0);
    t.b = column(one, 1, 1, 0);
    t.d = empty(8, 1, 0);
    t.epilogue = CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    t.bias = soft_numbers(bias, 8, 0);
    t.aux = soft_room(sizeof aux);
    t.aux_ld = 8;
    LT_OK(lt_multiply(&t));
    soft_values(t.d.memory, 8, 0, y);
    soft_values(t.aux, 8, 0, aux);
    for (int i = 0; i < 8; i++) {
        ck_assert_float_eq_tol(y[i], gelu_y[i], 1e-6F);
        ck_assert_float_eq(aux[i], gelu_x[i]);
    }
}
END_TEST

START_TEST(gradient_of_gelu_and_of_the_bias)
{
    float dx[16], bias[8], twice[2] = {1, 2}, x[16];
    memcpy(x, gelu_x, sizeof gelu_x);
    memcpy(x + 8, gelu_x, sizeof gelu_x);
    float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    lt_case t = lt_plain();
    t.a = column(ones, 8, 1, 0);
    t.b = column(twice, 1, 2, 0);
    t.d = empty(8, 2, 0);
    t.epilogue = CUBLASLT_EPILOGUE_DGELU_BGRAD;
    t.bias = soft_room(sizeof bias);
    t.aux = soft_numbers(x, 16, 0);
    t.aux_ld = 8;
    LT_OK(lt_multiply(&t));
    soft_values(t.d.memory, 16, 0, dx);
    soft_values(t.bias, 8, 0, bias);
    for (int i = 0; i < 8; i++) {
        ck_assert_float_eq_tol(dx[i], gelu_dx[i], 1e-6F);
        ck_assert_float_eq_tol(dx[8 + i], 2 * gelu_dx[i], 1e-6F);
        ck_assert_float_eq_tol(bias[i], 3 * gelu_dx[i], 1e-6F);
    }
}
END_TEST

START_TEST(gradients_of_inputs_are_sums_over_k)
{
    enum { M = 2, N = 3, K = 4 };
    float a[M * K], b[K * N], sums[N], of_a[M];
    small_numbers(a, M * K);
    small_numbers(b, K * N);
    lt_case t = lt_plain();
    t.a = column(a, M, K, 1);
    t.b = column(b, K, N, 1);
    t.d = empty(M, N, 1);
    t.epilogue = CUBLASLT_EPILOGUE_BGRADB;
    t.bias = soft_room(64);
    LT_OK(lt_multiply(&t));
    soft_values(t.bias, N, 1, sums);
    for (int j = 0; j < N; j++)
        ck_assert_float_eq(sums[j], b[4 * j] + b[4 * j + 1] + b[4 * j + 2] + b[4 * j + 3]);
    t.epilogue = CUBLASLT_EPILOGUE_BGRADA;
    LT_OK(lt_multiply(&t));
    soft_values(t.bias, M, 1, of_a);
    for (int i = 0; i < M; i++)
        ck_assert_float_eq(of_a[i], a[i] + a[2 + i] + a[4 + i] + a[6 + i]);
}
END_TEST

START_TEST(tf32_is_seen)
{
    float x[1] = {1.0001F}, y[1];
    lt_case t = lt_plain();
    t.a = column(x, 1, 1, 0);
    t.b = column(one, 1, 1, 0);
    t.d = empty(1, 1, 0);
    LT_OK(lt_multiply(&t));
    soft_values(t.d.memory, 1, 0, y);
    ck_assert_float_eq(y[0], x[0]);
    t.compute = CUBLAS_COMPUTE_32F_FAST_TF32;
    LT_OK(lt_multiply(&t));
    soft_values(t.d.memory, 1, 0, y);
    ck_assert_float_eq(y[0], 1);
}
END_TEST

static lt_case good_case(void)
{
    static float zeros[64];
    lt_case t = lt_plain();
    t.a = column(zeros, 8, 4, 1);
    t.b = column(zeros, 4, 2, 1);
    t.d = empty(8, 2, 1);
    t.bias = soft_numbers(zeros, 8, 1);
    t.aux = soft_numbers(zeros, 64, 1);
    t.aux_ld = 8;
    return t;
}

#define REFUSED(status)                                                                            \
    do {                                                                                           \
        ck_assert_int_eq(lt_multiply(&t), status);                                                 \
        t = good_case();                                                                           \
    } while (0)

START_TEST(contradictions_are_refused)
{
    lt_case t = good_case();
    LT_OK(lt_multiply(&t));
    t.a.cols = 3;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
    t.a.ld = 7;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
    t.d.rows = 7;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
    t.epilogue = 3;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
    t.epilogue = CUBLASLT_EPILOGUE_GELU_AUX_BIAS, t.aux_ld = 12;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
    t.epilogue = CUBLASLT_EPILOGUE_BIAS, t.bias = NULL;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
    t.given = 0;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
    t.a.memory = (char *)t.a.memory + 16;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
    t.workspace = t.given = 0;
    REFUSED(CUBLAS_STATUS_SUCCESS);
}
END_TEST

START_TEST(what_has_no_kernel_is_refused)
{
    lt_case t = good_case();
    t.a.type = CUDA_R_32F;
    REFUSED(CUBLAS_STATUS_NOT_SUPPORTED);
    t.d.type = CUDA_R_16F;
    REFUSED(CUBLAS_STATUS_NOT_SUPPORTED);
    t.compute = CUBLAS_COMPUTE_32F_FAST_TF32;
    REFUSED(CUBLAS_STATUS_NOT_SUPPORTED);
    t.epilogue = CUBLASLT_EPILOGUE_BIAS, t.bias_type = CUDA_R_32F;
    REFUSED(CUBLAS_STATUS_NOT_SUPPORTED);
    t.epilogue = CUBLASLT_EPILOGUE_BIAS, t.d.order = CUBLASLT_ORDER_ROW;
    REFUSED(CUBLAS_STATUS_NOT_SUPPORTED);
    setenv("SOFTGPU_LT_REFUSE", "0x300", 1);
    t.epilogue = CUBLASLT_EPILOGUE_BGRADB;
    REFUSED(CUBLAS_STATUS_NOT_SUPPORTED);
    unsetenv("SOFTGPU_LT_REFUSE");
}
END_TEST

START_TEST(the_hosts_memory_is_refused)
{
    _Alignas(256) static uint16_t host[64];
    lt_case t = good_case();
    t.b.memory = host;
    REFUSED(CUBLAS_STATUS_INVALID_VALUE);
}
END_TEST

START_TEST(attributes_have_one_size)
{
    cublasLtMatmulDesc_t desc;
    int64_t wide = CUBLAS_OP_T;
    LT_OK(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    ck_assert_int_eq(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &wide, 8),
                     CUBLAS_STATUS_INVALID_VALUE);
    LT_OK(cublasLtMatmulDescDestroy(desc));
}
END_TEST

/* In capture nothing is computed; each launch of the graph computes again. */
START_TEST(products_are_captured)
{
    float two[1] = {2}, y[1];
    lt_case t = lt_plain();
    t.a = column(two, 1, 1, 0);
    t.b = column(one, 1, 1, 0);
    t.d = empty(1, 1, 0);
    t.beta = 1;
    CUgraph graph;
    CUgraphExec executable;
    CU_OK(cuStreamBeginCapture(soft_stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    LT_OK(lt_multiply(&t));
    CU_OK(cuStreamEndCapture(soft_stream, &graph));
    soft_values(t.d.memory, 1, 0, y);
    ck_assert_float_eq(y[0], 0);
    CU_OK(cuGraphInstantiate(&executable, graph, 0));
    CU_OK(cuGraphLaunch(executable, soft_stream));
    CU_OK(cuGraphLaunch(executable, soft_stream));
    soft_values(t.d.memory, 1, 0, y);
    ck_assert_float_eq(y[0], 4);
    CU_OK(cuGraphExecDestroy(executable));
    CU_OK(cuGraphDestroy(graph));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("soft_cublaslt");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, a_linear_layer_is_pytorchs);
    tcase_add_loop_test(tests, orders_transpositions_and_batches, 0, 64);
    tcase_add_test(tests, gelu_is_the_approximation_by_tanh);
    tcase_add_test(tests, gradient_of_gelu_and_of_the_bias);
    tcase_add_test(tests, gradients_of_inputs_are_sums_over_k);
    tcase_add_test(tests, tf32_is_seen);
    tcase_add_test(tests, contradictions_are_refused);
    tcase_add_test(tests, what_has_no_kernel_is_refused);
    tcase_add_test(tests, the_hosts_memory_is_refused);
    tcase_add_test(tests, attributes_have_one_size);
    tcase_add_test(tests, products_are_captured);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
