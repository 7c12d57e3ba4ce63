/* The cpu backend's own kernels give the same bits with one thread, two and seven: sums are cut by
 * shape, never by thread. Sizes are odd and large enough that threads are used. */
#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "wisp/backend.h"
#include "wisp/host.h"
#include "wisp/rng.h"

static void *host_alloc(const wisp_host *host, size_t bytes)
{
    (void)host;
    const size_t size = bytes ? (bytes + 63) / 64 * 64 : 64;
    void *memory = aligned_alloc(64, size);
    return memory ? memset(memory, 0, size) : NULL;
}

static void host_free(const wisp_host *host, void *memory)
{
    (void)host;
    free(memory);
}

static void host_log(const wisp_host *host, int32_t level, const char *line)
{
    (void)host, (void)level, (void)line;
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

static const wisp_descriptor *find_descriptor(void)
{
    void *library = dlopen(WISP_BUILD_DIR "/plugins/wisp-backend-cpu.so", RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    wisp_plugin_entry_fn entry;
    void *symbol = dlsym(library, WISP_ENTRY_SYMBOL);
    ck_assert_ptr_nonnull(symbol);
    memcpy(&entry, &symbol, sizeof entry);
    return entry()->descriptors[0];
}

/* --- one call --- */

enum { MAX_ARGS = 9 };

typedef struct sample_call {
    const char *op;
    const void *attrs;
    uint64_t attrs_bytes;
    int32_t n_in, n_out;
    wisp_desc in[MAX_ARGS], out[MAX_ARGS];
    int32_t from[MAX_ARGS]; /* output i is input from[i] - 1 updated in place; 0: a new one */
    double low, high;
    const int64_t *table; /* values of the i64 input */
    const char *own;      /* where another implementation serves, nothing is compared */
} sample_call;

static void *make_values(const wisp_desc *d, const sample_call *call)
{
    void *data = host_alloc(&host, (size_t)wisp_desc_bytes(d));
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(7, WISP_STREAM_DATA));
    ck_assert_ptr_nonnull(data);
    if (d->dtype == WISP_I64) {
        memcpy(data, call->table, (size_t)wisp_desc_bytes(d));
        return data;
    }
    for (int64_t i = 0; i < wisp_desc_count(d); i++)
        ((float *)data)[i] = (float)wisp_rng_range(&rng, call->low, call->high);
    return data;
}

/* The bytes of all outputs, one after another, in memory that the caller frees. */
static uint8_t *run_call(const sample_call *call, int32_t n_threads, size_t *n_bytes)
{
    const wisp_descriptor *descriptor = find_descriptor();
    const wisp_backend_v0 *backend = descriptor->vtable;
    const wisp_desc *in_desc[MAX_ARGS], *out_desc[MAX_ARGS];
    wisp_kernel_arg in[MAX_ARGS] = {{0}}, out[MAX_ARGS] = {{0}};
    wisp_error err = {0};
    void *self = NULL, *device = NULL;
    wisp_kernel *kernel = NULL;
    ck_assert_int_eq(descriptor->create(&host, NULL, &self, &err), WISP_OK);
    ck_assert_msg(backend->open(self, 0, n_threads, &device, &err) == WISP_OK, "%s", err.message);
    *n_bytes = 0;
    for (int32_t i = 0; i < call->n_in; i++) {
        in_desc[i] = &call->in[i];
        in[i].data = make_values(in_desc[i], call);
    }
    for (int32_t i = 0; i < call->n_out; i++) {
        out_desc[i] = &call->out[i];
        *n_bytes += (size_t)wisp_desc_bytes(out_desc[i]);
        out[i].data = call->from[i] ? in[call->from[i] - 1].data
                                    : host_alloc(&host, (size_t)wisp_desc_bytes(out_desc[i]));
    }
    const wisp_kernel_request request = {
        .struct_size = sizeof request,
        .n_in = call->n_in,
        .n_out = call->n_out,
        .deterministic = 1,
        .op = call->op,
        .attrs = call->attrs,
        .attrs_bytes = call->attrs_bytes,
        .in = in_desc,
        .out = out_desc,
    };
    ck_assert_msg(backend->prepare(device, &request, &kernel, &err) == WISP_OK, "%s", err.message);
    void *scratch = host_alloc(&host, kernel->scratch_bytes);
    ck_assert_int_eq(kernel->run(kernel, in, out, scratch, &err), WISP_OK);
    const int is_own = !call->own || strcmp(call->own, kernel->implementation) == 0;
    uint8_t *bytes = malloc(*n_bytes), *at = bytes;
    ck_assert_ptr_nonnull(bytes);
    for (int32_t i = 0; i < call->n_out; at += wisp_desc_bytes(out_desc[i]), i++)
        memcpy(at, out[i].data, (size_t)wisp_desc_bytes(out_desc[i]));
    for (int32_t i = 0; i < call->n_out; i++)
        if (!call->from[i])
            free(out[i].data);
    for (int32_t i = 0; i < call->n_in; i++)
        free(in[i].data);
    free(scratch);
    kernel->release(kernel);
    backend->close(self, device);
    descriptor->destroy(self);
    *n_bytes = is_own ? *n_bytes : 0;
    return bytes;
}

static void expect_same_bits(const sample_call *call)
{
    static const int32_t counts[] = {2, 7};
    size_t n, n_again;
    uint8_t *one = run_call(call, 1, &n);
    for (int k = 0; k < 2; k++) {
        uint8_t *again = run_call(call, counts[k], &n_again);
        ck_assert_uint_eq(n, n_again);
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(one[i] == again[i], "%s: byte %zu is %u with 1 thread, %u with %d",
                          call->op, i, one[i], again[i], counts[k]);
        free(again);
    }
    free(one);
}

/* --- the calls --- */

#define MAP                                                                                        \
    {                                                                                              \
        WISP_F32, 4,                                                                               \
        {                                                                                          \
            5, 29, 31, 48                                                                          \
        }                                                                                          \
    }
#define PER_CHANNEL                                                                                \
    {                                                                                              \
        WISP_F32, 1,                                                                               \
        {                                                                                          \
            48                                                                                     \
        }                                                                                          \
    }
#define TOKENS                                                                                     \
    {                                                                                              \
        WISP_F32, 3,                                                                               \
        {                                                                                          \
            7, 197, 192                                                                            \
        }                                                                                          \
    }
#define PER_WIDTH                                                                                  \
    {                                                                                              \
        WISP_F32, 1,                                                                               \
        {                                                                                          \
            192                                                                                    \
        }                                                                                          \
    }
#define PER_TOKEN                                                                                  \
    {                                                                                              \
        WISP_F32, 2,                                                                               \
        {                                                                                          \
            7, 197                                                                                 \
        }                                                                                          \
    }
#define SCALAR                                                                                     \
    {                                                                                              \
        WISP_F32, 0,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ATTRS(type, ...) .attrs = &(const type){__VA_ARGS__}, .attrs_bytes = sizeof(type)

START_TEST(channel_sums)
{
    const sample_call stats = {.op = "channel_stats",
                               .n_in = 1,
                               .n_out = 2,
                               .in = {MAP},
                               .out = {PER_CHANNEL, PER_CHANNEL},
                               .low = -1,
                               .high = 3};
    const sample_call grad = {.op = "batch_norm_grad_stats",
                              ATTRS(wisp_batch_norm_attrs, 1e-5, 4495, WISP_ACT_RELU, 0),
                              .n_in = 5,
                              .n_out = 2,
                              .in = {MAP, MAP, MAP, PER_CHANNEL, PER_CHANNEL},
                              .out = {PER_CHANNEL, PER_CHANNEL},
                              .low = 0.1,
                              .high = 1};
    expect_same_bits(&stats);
    expect_same_bits(&grad);
}
END_TEST

#define WINDOW(pad, g)                                                                             \
    .conv = {.stride_h = 1,                                                                        \
             .stride_w = 1,                                                                        \
             .pad_h = pad,                                                                         \
             .pad_w = pad,                                                                         \
             .dilation_h = 1,                                                                      \
             .dilation_w = 1,                                                                      \
             .groups = g}
#define POINT_WEIGHTS                                                                              \
    {                                                                                              \
        WISP_F32, 4,                                                                               \
        {                                                                                          \
            48, 48, 1, 1                                                                           \
        }                                                                                          \
    }
#define DEPTH_WEIGHTS                                                                              \
    {                                                                                              \
        WISP_F32, 4,                                                                               \
        {                                                                                          \
            48, 1, 3, 3                                                                            \
        }                                                                                          \
    }
#define LINK(weights, ...)                                                                         \
    {                                                                                              \
        .op = "conv_norm",                                                                         \
        ATTRS(wisp_conv_norm_attrs, __VA_ARGS__, .activation = WISP_ACT_RELU6, .want_stats = 1),   \
        .n_in = 4, .n_out = 3, .in = {MAP, PER_CHANNEL, PER_CHANNEL, weights},                     \
        .out = {MAP, PER_CHANNEL, PER_CHANNEL}, .low = -1, .high = 3                               \
    }
#define LINK_GRAD(weights, ...)                                                                    \
    {                                                                                              \
        .op = "conv_norm_grad",                                                                    \
        ATTRS(wisp_conv_norm_attrs, __VA_ARGS__, .activation = WISP_ACT_RELU6, .want_grads = 3),   \
        .n_in = 9, .n_out = 4, .in = {MAP, MAP,         PER_CHANNEL, PER_CHANNEL, PER_CHANNEL,     \
                                      MAP, PER_CHANNEL, PER_CHANNEL, weights},                     \
        .out = {MAP, PER_CHANNEL, PER_CHANNEL, weights}, .low = -1, .high = 3                      \
    }

START_TEST(links_of_a_chain)
{
    const sample_call point = LINK(POINT_WEIGHTS, WINDOW(0, 1));
    const sample_call point_grad = LINK_GRAD(POINT_WEIGHTS, WINDOW(0, 1));
    const sample_call depth = LINK(DEPTH_WEIGHTS, WINDOW(1, 48));
    const sample_call depth_grad = LINK_GRAD(DEPTH_WEIGHTS, WINDOW(1, 48));
    expect_same_bits(&point);
    expect_same_bits(&point_grad);
    expect_same_bits(&depth);
    expect_same_bits(&depth_grad);
}
END_TEST

#define CONVOLUTION(...)                                                                           \
    ATTRS(wisp_conv2d_attrs, .stride_h = 2, .stride_w = 1, .pad_h = 1, .pad_w = 1,                 \
          .dilation_h = 1, .dilation_w = 1, .groups = 1, __VA_ARGS__),                             \
        .n_in = 2, .n_out = 1, .low = -1, .high = 1, .own = "tiles:3xbf16"
#define WEIGHTS                                                                                    \
    {                                                                                              \
        WISP_F32, 4,                                                                               \
        {                                                                                          \
            80, 48, 3, 3                                                                           \
        }                                                                                          \
    }
#define RESULT                                                                                     \
    {                                                                                              \
        WISP_F32, 4,                                                                               \
        {                                                                                          \
            5, 15, 31, 80                                                                          \
        }                                                                                          \
    }

START_TEST(convolutions)
{
    const sample_call forward = {
        .op = "conv2d", CONVOLUTION(.in_h = 0), .in = {MAP, WEIGHTS}, .out = {RESULT}};
    const sample_call input = {.op = "conv2d_grad_input",
                               CONVOLUTION(.in_h = 29, .in_w = 31),
                               .in = {RESULT, WEIGHTS},
                               .out = {MAP}};
    const sample_call weights = {.op = "conv2d_grad_weight",
                                 CONVOLUTION(.kernel_h = 3, .kernel_w = 3),
                                 .in = {MAP, RESULT},
                                 .out = {WEIGHTS}};
    expect_same_bits(&forward);
    expect_same_bits(&input);
    expect_same_bits(&weights);
}
END_TEST

START_TEST(layer_norm_parameters)
{
    const sample_call call = {.op = "layer_norm_grad",
                              ATTRS(wisp_layer_norm_attrs, 1e-6, 1, 0),
                              .n_in = 5,
                              .n_out = 3,
                              .in = {TOKENS, TOKENS, PER_WIDTH, PER_TOKEN, PER_TOKEN},
                              .out = {TOKENS, PER_WIDTH, PER_WIDTH},
                              .low = 0.1,
                              .high = 1};
    expect_same_bits(&call);
}
END_TEST

START_TEST(reductions)
{
    const sample_call all = {.op = "reduce",
                             ATTRS(wisp_reduce_attrs, WISP_REDUCE_SUM, 15, 0, 0),
                             .n_in = 1,
                             .n_out = 1,
                             .in = {MAP},
                             .out = {SCALAR},
                             .low = -1,
                             .high = 1};
    const sample_call rows = {.op = "reduce",
                              ATTRS(wisp_reduce_attrs, WISP_REDUCE_MEAN, 7, 0, 0),
                              .n_in = 1,
                              .n_out = 1,
                              .in = {MAP},
                              .out = {PER_CHANNEL},
                              .low = -1,
                              .high = 1};
    expect_same_bits(&all);
    expect_same_bits(&rows);
}
END_TEST

START_TEST(pairs)
{
    const sample_call call = {
        .op = "pair_cross_entropy",
        ATTRS(wisp_pair_cross_entropy_attrs, 10, 3, 2),
        .n_in = 3,
        .n_out = 3,
        .in = {{WISP_F32, 2, {33, 5003}}, {WISP_F32, 2, {22, 5003}}, {WISP_F32, 2, {2, 3}}},
        .out = {SCALAR, {WISP_F32, 2, {2, 3}}, {WISP_F32, 1, {33}}},
        .low = 0.1,
        .high = 1};
    expect_same_bits(&call);
}
END_TEST

#define STORE                                                                                      \
    {                                                                                              \
        WISP_F32, 1,                                                                               \
        {                                                                                          \
            200003                                                                                 \
        }                                                                                          \
    }

START_TEST(stores)
{
    static const int64_t table[] = {0,
                                    70001,
                                    WISP_SEGMENT_ACTIVE | WISP_SEGMENT_ADAPT,
                                    0,
                                    70016,
                                    3,
                                    WISP_SEGMENT_ACTIVE,
                                    0,
                                    100000,
                                    99999,
                                    WISP_SEGMENT_ACTIVE | WISP_SEGMENT_ADAPT,
                                    0};
    const sample_call norms = {.op = "segment_norms",
                               .n_in = 2,
                               .n_out = 1,
                               .in = {STORE, {WISP_I64, 2, {3, 4}}},
                               .out = {{WISP_F32, 1, {3}}},
                               .low = -1,
                               .high = 1,
                               .table = table};
    const sample_call lars = {
        .op = "lars_update",
        ATTRS(wisp_sgd_attrs, 0.9, 0.001, 0, 0),
        .n_in = 7,
        .n_out = 2,
        .in = {STORE, STORE, STORE, {WISP_I64, 2, {3, 4}}, {WISP_F32, 2, {3, 2}}, SCALAR, SCALAR},
        .out = {STORE, STORE},
        .from = {1, 3},
        .low = 0.1,
        .high = 1,
        .table = table};
    expect_same_bits(&norms);
    expect_same_bits(&lars);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu_threads");
    TCase *c = tcase_create("bits");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, channel_sums);
    tcase_add_test(c, links_of_a_chain);
    tcase_add_test(c, convolutions);
    tcase_add_test(c, layer_norm_parameters);
    tcase_add_test(c, reductions);
    tcase_add_test(c, pairs);
    tcase_add_test(c, stores);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
