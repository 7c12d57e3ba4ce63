/* The cuda backend's own kernels on the software device against the reference kernels in double, at
 * sizes that the operations' own cases do not have: rows that divide into accesses of 16 bytes, and
 * rows and columns for several blocks. */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/sample.h"
#include "tensor/case_values.h"
#include "tensor/op_check.h"
#include "wisp/host.h"

/* --- the device --- */

static const void *no_extension(const wisp_host *host, const char *id)
{
    (void)host;
    (void)id;
    return NULL;
}

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

static void host_log(const wisp_host *host, int32_t level, const char *line)
{
    (void)host;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

static const wisp_host host = {
    .struct_size = sizeof(wisp_host),
    .abi_major = WISP_ABI_MAJOR,
    .abi_minor = WISP_ABI_MINOR,
    .version = "test",
    .get_extension = no_extension,
    .alloc = host_alloc,
    .free = host_free,
    .log = host_log,
};

static const wisp_descriptor *find_descriptor(void)
{
    const char *path = WISP_BUILD_DIR "/softgpu/plugins/wisp-backend-cuda.so";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    wisp_plugin_entry_fn entry;
    void *symbol = dlsym(library, WISP_ENTRY_SYMBOL);
    ck_assert_msg(symbol != NULL, "%s has no %s", path, WISP_ENTRY_SYMBOL);
    memcpy(&entry, &symbol, sizeof entry);
    return entry()->descriptors[0];
}

typedef struct cuda {
    const wisp_descriptor *descriptor;
    void *self;
    wispi_device *device;
} cuda;

static cuda open_cuda(void)
{
    const wispi_device_options options = {1, 1, 0};
    cuda c = {find_descriptor(), NULL, NULL};
    wisp_error err = {0};
    wisp_status status = c.descriptor->create(&host, NULL, &c.self, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    status = wispi_device_open(c.descriptor->vtable, c.self, 0, &options, &c.device, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    return c;
}

static void close_cuda(cuda *c)
{
    wispi_device_close(c->device);
    c->descriptor->destroy(c->self);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}

/* --- the cases --- */

typedef struct sized_case {
    const char *op;
    wispi_op_case sample;
} sized_case;

#define ATTRS(type, ...)                                                                           \
    &(const type)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define X WISPI_F32_OF

static const double pair_weights[] = {0, 0.1, 0.2, 0,   0.05, 0.1, 0.1, 0.1, 0.1, 0.3,
                                      1, 0,   0.2, 0.1, 0.1,  0,   0.3, 0,   0.2, 0.1};
static const double three_weights[] = {0.2, 0,   0.1, 0.3, 0,   0.1, 0.2, 0.1,
                                       0,   0.2, 0.3, 0.1, 0.1, 0,   0.2};
static double many_weights[66]; /* more views than a block has room for */

#define ELEMENTWISE(text, attributes, ...)                                                         \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .attrs = attributes, .n_in = 2, .n_out = 1, .in = {__VA_ARGS__}, .low = {-1, 0.5},     \
            .high = {                                                                              \
                1,                                                                                 \
                2                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define ONE(text, attributes, ...)                                                                 \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .attrs = attributes, .n_in = 1, .n_out = 1, .in = {__VA_ARGS__}, .low = {-1},          \
            .high = {                                                                              \
                3                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define KIND(kind) ATTRS(wisp_binary_attrs, WISP_BINARY_##kind, 0)
#define UNARY(kind) ATTRS(wisp_unary_attrs, 0.5, -0.25, WISP_UNARY_##kind, 0)
#define OVER(kind, axes) ATTRS(wisp_reduce_attrs, WISP_REDUCE_##kind, axes, 0, 0)
#define TO(scale, rank, ...) ATTRS(wisp_broadcast_attrs, scale, {__VA_ARGS__}, rank, 0)
#define CAST(type) ATTRS(wisp_cast_attrs, WISP_##type, 0)

static const sized_case elementwise_cases[] = {
    ELEMENTWISE("binary", KIND(ADD), X(3, 5, 64), X(64)),
    ELEMENTWISE("binary", KIND(MUL), X(3, 5, 64), X(3, 1, 64)),
    ELEMENTWISE("binary", KIND(DIV), X(6, 64), X(6, 1)),
    ELEMENTWISE("binary", KIND(SUB), X(1, 5, 8), X(9, 1, 8)),
    ELEMENTWISE("binary", KIND(MAX), X(12, 1024), X(12, 1024)),
    ELEMENTWISE("binary", KIND(MIN), X(7, 1, 3, 16), X(5, 1, 16)),
    {"binary",
     {.attrs = KIND(MUL),
      .n_in = 2,
      .n_out = 1,
      .in = {X(33, 64), WISPI_SCALAR},
      .low = {-1, 0.5},
      .high = {1, 2},
      .no_bf16 = 2}},
    ONE("broadcast", TO(0.5, 3, 4, 6, 64), X(4, 1, 64)),
    ONE("broadcast", TO(3, 2, 9, 24), X(9, 1)),
    ONE("broadcast", TO(-1, 2, 9, 24), X(24)),
    ONE("unary", UNARY(GELU), X(3, 1009)),
    ONE("unary", UNARY(AFFINE), X(5, 4096)),
    {"unary_grad",
     {.attrs = UNARY(GELU),
      .n_in = 3,
      .n_out = 1,
      .in = {X(5, 517), X(5, 517), X(5, 517)},
      WISPI_UNIT_VALUES}},
    {"unary_grad",
     {.attrs = UNARY(TANH),
      .n_in = 3,
      .n_out = 1,
      .in = {X(8, 64), X(8, 64), X(8, 64)},
      WISPI_UNIT_VALUES}},
    ONE("cast", CAST(BF16), X(3, 1009)),
    ONE("cast", CAST(F32), X(16, 64)),
    {"drop_path",
     {.attrs = ATTRS(wisp_drop_path_attrs, 0.3, 7),
      .n_in = 2,
      .n_out = 2,
      .in = {X(19, 24, 32), WISPI_OF(WISP_I32, 2)},
      .low = {-1, -2147483648.0},
      .high = {1, 2147483647.0}}},
    {"drop_path_grad",
     {.n_in = 2, .n_out = 1, .in = {X(3, 8192), X(3)}, .low = {-1, 0}, .high = {1, 2}}},
    ONE("reduce", OVER(SUM, 3), X(300, 1024)),
    ONE("reduce", OVER(MAX, 3), X(300, 1023)),
    ONE("reduce", OVER(MEAN, 2), X(7, 4096)),
    ONE("reduce", OVER(SUM, 1), X(5000, 64)),
    ONE("reduce", OVER(SUM, 1), X(301, 530)),
    ONE("reduce", OVER(MEAN, 2), X(7, 49, 512)),
    ONE("reduce", OVER(MAX, 2), X(5, 300, 24)),
    ONE("reduce", OVER(SUM, 2), X(10000, 3, 2)),
    ONE("reduce", OVER(MEAN, 5), X(4, 3, 8, 5)),
    {"reduce_max_grad",
     {.attrs = OVER(MAX, 2),
      .n_in = 2,
      .n_out = 1,
      .in = {X(5, 8), X(5, 64, 8)},
      WISPI_UNIT_VALUES}},
};

#define ROWS_CASE(text, attributes, ...)                                                           \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .attrs = attributes, .n_in = 3, .n_out = 3, .in = {__VA_ARGS__}, .low = {-1, 0.5, -1}, \
            .high = {                                                                              \
                3,                                                                                 \
                2,                                                                                 \
                1                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define LAYER_GRAD(affine, rows, columns)                                                          \
    {                                                                                              \
        "layer_norm_grad",                                                                         \
        {                                                                                          \
            .attrs = ATTRS(wisp_layer_norm_attrs, 1e-6, affine, 0), .n_in = 5, .n_out = 3,         \
            .in = {X(rows, columns), X(rows, columns), X(columns), X(rows), X(rows)},              \
            .low = {-1, -1, 0.5, -1, 0.5}, .high = {                                               \
                1,                                                                                 \
                1,                                                                                 \
                2,                                                                                 \
                1,                                                                                 \
                2                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define NORM(...) ATTRS(wisp_batch_norm_attrs, .eps = 1e-5, __VA_ARGS__)
#define MAP_CASE(attributes, residual, rows, columns)                                              \
    {                                                                                              \
        "batch_norm",                                                                              \
        {                                                                                          \
            .attrs = attributes, .n_in = 5 + residual, .n_out = 1,                                 \
            .in = {X(rows, columns), X(columns), X(columns),                                       \
                   X(columns),       X(columns), X(rows, columns)},                                \
            .low = {-2, -1, 0.2, 1, -1, -2}, .high = {                                             \
                2,                                                                                 \
                1,                                                                                 \
                1,                                                                                 \
                3,                                                                                 \
                3,                                                                                 \
                4                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define MAP_GRAD_CASE(text, attributes, n, rows, columns)                                          \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .attrs = attributes, .n_in = n, .n_out = 2,                                            \
            .in = {X(rows, columns), X(rows, columns), X(rows, columns), X(columns),               \
                   X(columns),       X(columns),       X(columns),       X(columns)},              \
            .low = {-1, -2, -2, -1, 0.2, 1, -9, -9}, .high = {                                     \
                1,                                                                                 \
                2,                                                                                 \
                8,                                                                                 \
                1,                                                                                 \
                1,                                                                                 \
                3,                                                                                 \
                9,                                                                                 \
                9                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define STATS_CASE(low_x, high_x, rows, columns)                                                   \
    {                                                                                              \
        "channel_stats",                                                                           \
        {                                                                                          \
            .n_in = 1, .n_out = 2, .in = {X(rows, columns)}, .low = {low_x}, .high = { high_x }    \
        }                                                                                          \
    }

static const sized_case norm_cases[] = {
    STATS_CASE(-1, 3, 5000, 64),
    STATS_CASE(-1, 3, 37, 24),
    STATS_CASE(30, 32, 3000, 8),
    STATS_CASE(-1, 3, 64, 520),
    STATS_CASE(-1, 3, 300, 37),
    STATS_CASE(-1, 3, 9000, 1),
    MAP_CASE(NORM(.activation = WISP_ACT_RELU), 1, 500, 64),
    MAP_CASE(NORM(.activation = WISP_ACT_RELU6), 0, 33, 520),
    MAP_CASE(NORM(.activation = WISP_ACT_NONE), 0, 700, 24),
    MAP_GRAD_CASE("batch_norm_grad_stats", NORM(.activation = WISP_ACT_RELU), 5, 5000, 64),
    MAP_GRAD_CASE("batch_norm_grad_stats", NORM(.activation = WISP_ACT_RELU6), 5, 33, 520),
    MAP_GRAD_CASE("batch_norm_grad_stats", NORM(.activation = WISP_ACT_NONE), 5, 300, 37),
    MAP_GRAD_CASE("batch_norm_grad_input",
                  NORM(.activation = WISP_ACT_RELU, .count = 500, .want_residual = 1), 8, 500, 64),
    MAP_GRAD_CASE("batch_norm_grad_input", NORM(.activation = WISP_ACT_NONE, .count = 700), 8, 700,
                  24),
    MAP_GRAD_CASE("batch_norm_grad_input", NORM(.activation = WISP_ACT_RELU6), 8, 33, 520),
    ROWS_CASE("layer_norm", ATTRS(wisp_layer_norm_attrs, 1e-6, 0, 0), X(40, 192), X(192), X(192)),
    ROWS_CASE("layer_norm", ATTRS(wisp_layer_norm_attrs, 1e-6, 0, 0), X(5, 4096), X(4096), X(4096)),
    ROWS_CASE("layer_norm", ATTRS(wisp_layer_norm_attrs, 1e-6, 0, 0), X(3, 2057), X(2057), X(2057)),
    LAYER_GRAD(1, 900, 192),
    LAYER_GRAD(1, 70, 384),
    LAYER_GRAD(1, 70, 512),
    LAYER_GRAD(1, 50, 768),
    LAYER_GRAD(1, 6, 4096),
    LAYER_GRAD(1, 70, 2057),
    LAYER_GRAD(0, 9, 64),
};

#define SOFTMAX(scale, log, f32) ATTRS(wisp_softmax_attrs, scale, log, f32)
#define PAIRS(v, g, b, k, w)                                                                       \
    {                                                                                              \
        "pair_cross_entropy",                                                                      \
        {                                                                                          \
            .attrs = ATTRS(wisp_pair_cross_entropy_attrs, 10, v, g), .n_in = 3, .n_out = 3,        \
            .in = {X(v * b, k), X(g * b, k), X(g, v)}, .low = {-1, 0}, .high = {1, 2.0 / k},       \
            .values = {                                                                            \
                NULL,                                                                              \
                NULL,                                                                              \
                w                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define PAIRS_GRAD(v, g, b, k, w)                                                                  \
    {                                                                                              \
        "pair_cross_entropy_grad",                                                                 \
        {                                                                                          \
            .attrs = ATTRS(wisp_pair_cross_entropy_attrs, 10, v, g), .n_in = 5, .n_out = 1,        \
            .in = {WISPI_SCALAR, X(v * b, k), X(g * b, k), X(g, v), X(v * b)},                     \
            .low = {0.5, -1, 0, 0, 3}, .high = {2, 1, 2.0 / k, 0, 8}, .values = {                  \
                NULL,                                                                              \
                NULL,                                                                              \
                NULL,                                                                              \
                w                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

static const sized_case row_cases[] = {
    ONE("softmax", SOFTMAX(2, 0, 0), X(9, 64)),
    ONE("softmax", SOFTMAX(1, 1, 0), X(3, 4096)),
    ONE("softmax", SOFTMAX(1, 0, 0), X(2, 65536)),
    {"softmax",
     {.attrs = SOFTMAX(1, 0, 1),
      .n_in = 3,
      .n_out = 1,
      .in = {X(5, 8192), X(8192), WISPI_SCALAR},
      .low = {-1, -0.5, 10},
      .high = {1, 0.5, 25}}},
    {"softmax_grad",
     {.attrs = SOFTMAX(10, 0, 0),
      .n_in = 2,
      .n_out = 1,
      .in = {X(3, 8192), X(3, 8192)},
      .low = {-1, 0},
      .high = {1, 0.0002}}},
    {"softmax_grad",
     {.attrs = SOFTMAX(1, 1, 0),
      .n_in = 2,
      .n_out = 1,
      .in = {X(30, 40), X(30, 40)},
      .low = {-1, -8},
      .high = {1, -2}}},
    {"cross_entropy",
     {.attrs = ATTRS(wisp_cross_entropy_attrs, 5),
      .n_in = 2,
      .n_out = 2,
      .in = {X(600, 1000), WISPI_OF(WISP_I64, 600)},
      .low = {-1, 0},
      .high = {1, 1000}}},
    {"cross_entropy",
     {.attrs = ATTRS(wisp_cross_entropy_attrs, 1),
      .n_in = 2,
      .n_out = 2,
      .in = {X(3, 65536), WISPI_OF(WISP_I64, 3)},
      .low = {-9, 0},
      .high = {9, 65536}}},
    {"cross_entropy_grad",
     {.attrs = ATTRS(wisp_cross_entropy_attrs, 5),
      .n_in = 4,
      .n_out = 1,
      .in = {WISPI_SCALAR, X(7, 4096), WISPI_OF(WISP_I64, 7), X(7)},
      .low = {0.5, -1, 0, 6},
      .high = {2, 1, 4096, 9}}},
    PAIRS(10, 2, 3, 4096, pair_weights),
    PAIRS(5, 3, 2, 264, three_weights),
    PAIRS(66, 1, 1, 16, many_weights),
    PAIRS_GRAD(10, 2, 3, 4096, pair_weights),
    PAIRS_GRAD(5, 3, 2, 264, three_weights),
    PAIRS_GRAD(5, 3, 2, 37, three_weights),
    PAIRS_GRAD(66, 1, 1, 16, many_weights),
    {"l2_normalize",
     {.attrs = ATTRS(wisp_l2_normalize_attrs, 1e-12),
      .n_in = 1,
      .n_out = 2,
      .in = {X(20, 256)},
      WISPI_UNIT_VALUES}},
    {"l2_normalize_grad",
     {.attrs = ATTRS(wisp_l2_normalize_attrs, 1e-12),
      .n_in = 3,
      .n_out = 1,
      .in = {X(3, 65536), X(3, 65536), X(3)},
      .low = {-1, -0.01, 100},
      .high = {1, 0.01, 200}}},
    {"weight_norm",
     {.n_in = 2, .n_out = 2, .in = {X(10, 2048), X(10, 1)}, .low = {-1, 0.5}, .high = {1, 2}}},
    {"weight_norm_grad",
     {.attrs = ATTRS(wisp_weight_norm_attrs, 1, 0),
      .n_in = 4,
      .n_out = 2,
      .in = {X(10, 2048), X(10, 2048), X(10, 1), X(10)},
      .low = {-1, -1, 0.5, 20},
      .high = {1, 1, 2, 30}}},
};

/* --- the tests --- */

static void check_case(wispi_device *device, const sized_case *sized)
{
    const int32_t types[] = {WISP_F32, WISP_BF16};
    const wispi_op *op = wispi_op_find(sized->op);
    char shape[128];
    wispi_op_case sample = sized->sample;
    ck_assert_ptr_nonnull(op);
    sample.name = wispi_shape_text(&sample.in[sample.in[0].rank == 0], shape, sizeof shape);
    for (int32_t t = 0; t < WISPI_COUNT_OF(types); t++) {
        wispi_op_result result;
        wisp_error err = {0};
        if (!wispi_case_runs_as(op, &sample, types[t]))
            continue;
        const wisp_status status = wispi_op_test(device, op, &sample, types[t], 1, &result, &err);
        ck_assert_msg(status == WISP_OK, "%s", err.message);
        ck_assert_msg(result.outcome == WISPI_CHECK_PASS, "%s: %s", result.name, result.message);
        ck_assert_int_gt(result.n_nonzero, 0);
    }
}

static void check_cases(const sized_case *cases, int32_t n)
{
    cuda c = open_cuda();
    for (int32_t i = 0; i < n; i++)
        check_case(c.device, &cases[i]);
    close_cuda(&c);
}

START_TEST(elementwise_and_sums)
{
    check_cases(elementwise_cases, WISPI_COUNT_OF(elementwise_cases));
}
END_TEST

START_TEST(normalisation)
{
    check_cases(norm_cases, WISPI_COUNT_OF(norm_cases));
}
END_TEST

START_TEST(long_rows)
{
    for (int i = 0; i < 66; i++)
        many_weights[i] = i % 7 * 0.01;
    check_cases(row_cases, WISPI_COUNT_OF(row_cases));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_sizes");
    TCase *c = tcase_create("sizes");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, elementwise_and_sums);
    tcase_add_test(c, normalisation);
    tcase_add_test(c, long_rows);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
