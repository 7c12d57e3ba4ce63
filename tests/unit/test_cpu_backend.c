/* The cpu backend's own promises, beyond what its kernels compute: packed weights follow their
 * version, refusals name the request, empty batches give zeros, thread counts do not change bits,
 * nothing is left behind, and an allocation that fails is an error. */
#include <check.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "wisp/abi.h"
#include "wisp/backend.h"
#include "wisp/host.h"

static void *host_alloc(const wisp_host *host, size_t bytes)
{
    (void)host;
    return wispi_alloc(bytes);
}

static void host_free(const wisp_host *host, void *memory)
{
    (void)host;
    wispi_free(memory);
}

static char logged[4096];

static void host_log(const wisp_host *host, int32_t level, const char *line)
{
    (void)host;
    (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static const wisp_host host = {
    .struct_size = sizeof(wisp_host),
    .abi_major = WISP_ABI_MAJOR,
    .abi_minor = WISP_ABI_MINOR,
    .version = "test",
    .alloc = host_alloc,
    .free = host_free,
    .log = host_log,
};

static const wisp_descriptor *descriptor;
static const wisp_backend_v0 *backend;
static void *self;
static wisp_error err;

static void set_up(void)
{
    void *library = dlopen(WISP_BUILD_DIR "/plugins/wisp-backend-cpu.so", RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    wisp_plugin_entry_fn entry;
    void *symbol = dlsym(library, WISP_ENTRY_SYMBOL);
    ck_assert_ptr_nonnull(symbol);
    memcpy(&entry, &symbol, sizeof entry);
    descriptor = entry()->descriptors[0];
    backend = descriptor->vtable;
    ck_assert_int_eq(descriptor->create(&host, NULL, &self, &err), WISP_OK);
}

static void *open_device(int32_t n_threads)
{
    void *device = NULL;
    ck_assert_msg(backend->open(self, 0, n_threads, &device, &err) == WISP_OK, "%s", err.message);
    return device;
}

/* A call with up to 3 inputs and 2 outputs. */
typedef struct call {
    wisp_kernel_request request;
    wisp_desc desc[5];
    const wisp_desc *in[3], *out[2];
    wisp_kernel_arg in_arg[3], out_arg[2];
    wisp_kernel *kernel;
    void *scratch;
} call;

static void begin(call *c, const char *op, const void *attrs, size_t attrs_bytes, int32_t n_in,
                  int32_t n_out, const wisp_desc *descs)
{
    memset(c, 0, sizeof *c);
    for (int i = 0; i < n_in + n_out; i++)
        c->desc[i] = descs[i];
    for (int i = 0; i < n_in; i++)
        c->in[i] = &c->desc[i];
    for (int i = 0; i < n_out; i++)
        c->out[i] = &c->desc[n_in + i];
    c->request = (wisp_kernel_request){.struct_size = sizeof(wisp_kernel_request),
                                       .n_in = n_in,
                                       .n_out = n_out,
                                       .op = op,
                                       .attrs = attrs,
                                       .attrs_bytes = attrs_bytes,
                                       .in = c->in,
                                       .out = c->out};
}

static wisp_status prepare(void *device, call *c)
{
    wisp_status status = backend->prepare(device, &c->request, &c->kernel, &err);
    if (status == WISP_OK)
        c->scratch = wispi_alloc(c->kernel->scratch_bytes + 64);
    return status;
}

static wisp_status run(call *c)
{
    return c->kernel->run(c->kernel, c->in_arg, c->out_arg, c->scratch, &err);
}

static void end(call *c)
{
    c->kernel->release(c->kernel);
    wispi_free(c->scratch);
}

static uint16_t bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)(bits >> 16); /* exact for the values used here */
}

static float from_bf16(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static int has_bf16(void)
{
    wisp_device_info info;
    ck_assert_int_eq(backend->device_info(self, 0, &info, &err), WISP_OK);
    return info.has_bf16;
}

/* --- linear in bf16, the weights of which are always packed: x (2,4) of ones, w (3,4) all `v` ---
 */

enum { M = 2, I = 4, O = 3 };

typedef struct packed_linear {
    call c;
    uint16_t x[M * I], y[M * O];
    float *w;
} packed_linear;

static void make_linear(void *device, packed_linear *p, float *w)
{
    static const wisp_linear_attrs attrs;
    const wisp_desc descs[] = {wisp_desc2(WISP_BF16, M, I), wisp_desc2(WISP_F32, O, I),
                               wisp_desc2(WISP_BF16, M, O)};
    begin(&p->c, "linear", &attrs, sizeof attrs, 2, 1, descs);
    ck_assert_msg(prepare(device, &p->c) == WISP_OK, "%s", err.message);
    for (int i = 0; i < M * I; i++)
        p->x[i] = bf16(1.0f);
    p->c.in_arg[0].data = p->x;
    p->c.out_arg[0].data = p->y;
    p->w = w;
}

static float linear_with(packed_linear *p, float value, uint64_t version)
{
    for (int i = 0; i < O * I; i++)
        p->w[i] = value;
    p->c.in_arg[1] = (wisp_kernel_arg){p->w, 7, version};
    ck_assert_int_eq(run(&p->c), WISP_OK);
    return from_bf16(p->y[M * O - 1]) / (float)I;
}

START_TEST(packed_weights_follow_their_version)
{
    if (!has_bf16()) {
        printf("SKIPPED: this processor has no bf16, and f32 weights are not packed here\n");
        return;
    }
    static float w[O * I], other[O * I];
    packed_linear p, q;
    void *device = open_device(2);
    make_linear(device, &p, w);
    make_linear(device, &q, w);
    ck_assert_float_eq(linear_with(&p, 1, 1), 1);
    /* Against the rules (a change without a new version), so that reuse can be seen at all. */
    ck_assert_float_eq(linear_with(&p, 2, 1), 1);
    ck_assert_float_eq(linear_with(&q, 3, 1), 1); /* shared between kernels */
    ck_assert_float_eq(linear_with(&p, 4, 2), 4);
    ck_assert_float_eq(linear_with(&q, 5, 2), 4);
    ck_assert_float_eq(linear_with(&p, 6, 0), 6); /* without a version: always fresh */
    ck_assert_float_eq(linear_with(&p, 7, 0), 7);
    ck_assert_float_eq(linear_with(&p, 8, 2), 4); /* and the kept copy is untouched */
    p.w = other;                                  /* another tensor in the same storage */
    ck_assert_float_eq(linear_with(&p, 9, 2), 9);
    end(&p.c);
    end(&q.c);
    backend->close(self, device);
}
END_TEST

START_TEST(steady_state_allocates_nothing)
{
    static float w[O * I];
    packed_linear p;
    void *device = open_device(2);
    if (has_bf16()) {
        make_linear(device, &p, w);
        linear_with(&p, 1, 1);
        int64_t before = wispi_allocation_count();
        for (uint64_t version = 2; version < 20; version++)
            linear_with(&p, 2, version);
        ck_assert_int_eq(wispi_allocation_count(), before);
        end(&p.c);
    }
    backend->close(self, device);
}
END_TEST

START_TEST(refusals_name_op_type_shape_and_reason)
{
    static const wisp_linear_attrs attrs;
    const wisp_desc descs[] = {wisp_desc2(WISP_F32, 5, 6), wisp_desc2(WISP_F32, 5, 6)};
    void *device = open_device(1);
    call c;
    begin(&c, "no_such_op", &attrs, sizeof attrs, 1, 1, descs);
    wisp_kernel *const untouched = c.kernel;
    ck_assert_int_eq(prepare(device, &c), WISP_E_UNSUPPORTED);
    ck_assert_ptr_eq(c.kernel, untouched);
    ck_assert_ptr_nonnull(strstr(err.message, "no_such_op(f32(5,6)) -> f32(5,6): "));
    backend->close(self, device);
}
END_TEST

START_TEST(verbose_says_what_each_candidate_answered)
{
    static const wisp_conv2d_attrs attrs = {1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0};
    const wisp_desc descs[] = {wisp_desc4(WISP_F32, 1, 2, 2, 3), wisp_desc4(WISP_F32, 1, 2, 2, 4),
                               wisp_desc4(WISP_F32, 4, 3, 1, 1)};
    setenv("WISP_VERBOSE", "dispatch", 1);
    void *device = open_device(1);
    unsetenv("WISP_VERBOSE");
    call c;
    begin(&c, "conv2d_grad_weight", &attrs, sizeof attrs, 2, 1, descs);
    logged[0] = 0;
    ck_assert_int_eq(prepare(device, &c), WISP_OK);
    /* The own kernel for matrix tiles declines f32, oneDNN takes it. */
    ck_assert_ptr_nonnull(strstr(logged, "the own kernel needs"));
    ck_assert_ptr_nonnull(strstr(logged, c.kernel->implementation));
    end(&c);
    backend->close(self, device);
}
END_TEST

START_TEST(empty_batch_has_zero_gradient)
{
    static const wisp_conv2d_attrs attrs = {1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1};
    const wisp_desc descs[] = {wisp_desc4(WISP_F32, 0, 2, 2, 3), wisp_desc4(WISP_F32, 0, 2, 2, 4),
                               wisp_desc4(WISP_F32, 4, 3, 1, 1), wisp_desc1(WISP_F32, 4)};
    float dw[12], dbias[4];
    memset(dw, 0xff, sizeof dw);
    memset(dbias, 0xff, sizeof dbias);
    void *device = open_device(1);
    call c;
    begin(&c, "conv2d_grad_weight", &attrs, sizeof attrs, 2, 2, descs);
    ck_assert_msg(prepare(device, &c) == WISP_OK, "%s", err.message);
    c.out_arg[0].data = dw;
    c.out_arg[1].data = dbias;
    ck_assert_int_eq(run(&c), WISP_OK);
    for (int i = 0; i < 12; i++)
        ck_assert_float_eq(dw[i], 0);
    for (int i = 0; i < 4; i++)
        ck_assert_float_eq(dbias[i], 0);
    end(&c);
    backend->close(self, device);
}
END_TEST

/* --- dw of a convolution with everything uneven, against plain loops in double --- */

enum { N = 3, H = 9, W = 7, C = 19, K = 3, S = 2, P = 1, F = 35, HO = 5, WO = 4 };

static float value(int64_t i)
{
    return (float)(i * 7919 % 65 - 32) / 32.0f; /* exact in bf16 */
}

static double expected_dw(const uint16_t *x, const uint16_t *dy, int f, int c, int ky, int kx)
{
    double sum = 0;
    for (int n = 0; n < N; n++)
        for (int i = 0; i < HO; i++)
            for (int j = 0; j < WO; j++) {
                int y = i * S - P + ky, z = j * S - P + kx;
                if (y < 0 || y >= H || z < 0 || z >= W)
                    continue;
                sum += (double)from_bf16(x[((n * H + y) * W + z) * C + c]) *
                       (double)from_bf16(dy[((n * HO + i) * WO + j) * F + f]);
            }
    return sum;
}

START_TEST(weight_gradient_is_right_and_the_same_for_every_thread_count)
{
    if (!has_bf16()) {
        printf("SKIPPED: this processor has no bf16\n");
        return;
    }
    static const wisp_conv2d_attrs attrs = {S, S, P, P, 1, 1, 1, 0, 0, K, K, 0};
    const wisp_desc descs[] = {wisp_desc4(WISP_BF16, N, H, W, C),
                               wisp_desc4(WISP_BF16, N, HO, WO, F),
                               wisp_desc4(WISP_F32, F, C, K, K)};
    static uint16_t x[N * H * W * C], dy[N * HO * WO * F];
    static float dw[4][F * C * K * K];
    for (int i = 0; i < N * H * W * C; i++)
        x[i] = bf16(value(i));
    for (int i = 0; i < N * HO * WO * F; i++)
        dy[i] = bf16(value(3 * i + 1));
    for (int t = 0; t < 4; t++) {
        void *device = open_device(t + 1);
        call c;
        begin(&c, "conv2d_grad_weight", &attrs, sizeof attrs, 2, 1, descs);
        ck_assert_msg(prepare(device, &c) == WISP_OK, "%s", err.message);
        c.in_arg[0].data = x;
        c.in_arg[1].data = dy;
        c.out_arg[0].data = dw[t];
        memset(c.scratch, 0xff, c.kernel->scratch_bytes); /* NaN everywhere */
        ck_assert_int_eq(run(&c), WISP_OK);
        end(&c);
        backend->close(self, device);
        ck_assert_mem_eq(dw[t], dw[0], sizeof dw[0]);
    }
    for (int f = 0; f < F; f++)
        for (int c = 0; c < C; c++)
            for (int k = 0; k < K * K; k++)
                ck_assert_double_eq_tol((double)dw[0][(f * C + c) * K * K + k],
                                        expected_dw(x, dy, f, c, k / K, k % K), 1e-5);
}
END_TEST

START_TEST(nothing_is_left_behind)
{
    int64_t before = wispi_live_bytes();
    static float w[O * I];
    packed_linear p;
    void *device = open_device(2);
    if (has_bf16()) {
        make_linear(device, &p, w);
        linear_with(&p, 1, 1);
        end(&p.c);
    }
    backend->close(self, device);
    ck_assert_int_eq(wispi_live_bytes(), before);
}
END_TEST

/* The first, second, third ... allocation fails, until all succeed. */
START_TEST(failed_allocations_are_errors)
{
    int64_t before = wispi_live_bytes();
    for (int64_t nth = 1;; nth++) {
        ck_assert_int_lt(nth, 100);
        void *device = NULL;
        static const wisp_attention_attrs attrs = {0.5, 2, 0};
        const wisp_desc descs[] = {wisp_desc3(WISP_F32, 2, 5, 24), wisp_desc3(WISP_F32, 2, 5, 8),
                                   wisp_desc3(WISP_F32, 2, 2, 5)};
        call c;
        begin(&c, "self_attention", &attrs, sizeof attrs, 1, 2, descs);
        wispi_fail_allocation(nth);
        wisp_status status = backend->open(self, 0, 2, &device, &err);
        if (status == WISP_OK)
            status = backend->prepare(device, &c.request, &c.kernel, &err);
        wispi_fail_allocation(-1);
        if (c.kernel)
            c.kernel->release(c.kernel);
        if (device)
            backend->close(self, device);
        ck_assert_int_eq(wispi_live_bytes(), before);
        if (status == WISP_OK) {
            ck_assert_int_gt(nth, 1);
            return;
        }
        ck_assert_int_eq(status, WISP_E_NOMEM);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu_backend");
    TCase *c = tcase_create("promises");
    tcase_add_checked_fixture(c, set_up, NULL);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, packed_weights_follow_their_version);
    tcase_add_test(c, steady_state_allocates_nothing);
    tcase_add_test(c, refusals_name_op_type_shape_and_reason);
    tcase_add_test(c, verbose_says_what_each_candidate_answered);
    tcase_add_test(c, empty_batch_has_zero_gradient);
    tcase_add_test(c, weight_gradient_is_right_and_the_same_for_every_thread_count);
    tcase_add_test(c, nothing_is_left_behind);
    tcase_add_test(c, failed_allocations_are_errors);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
