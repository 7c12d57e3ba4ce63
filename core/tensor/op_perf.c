/* op_perf.c - the time of single kernels at the sizes that small vision networks give them:
 * ResNet-18 at 224 and 96 pixels, MobileNetV2, ViT-Tiny, DINO's head, whole parameter stores. */
#include "tensor/op_check.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tensor/case_values.h"

typedef struct perf_size {
    const char *op;
    wispi_op_case sample;
} perf_size;

/* clang-format off */
#define F32_1(a) {WISP_F32, 1, {a}}
#define F32_2(a, b) {WISP_F32, 2, {a, b}}
#define F32_3(a, b, c) {WISP_F32, 3, {a, b, c}}
#define F32_4(a, b, c, d) {WISP_F32, 4, {a, b, c, d}}
#define F32_0 {WISP_F32, 0, {0}}
#define I64_1(a) {WISP_I64, 1, {a}}
#define I64_2(a, b) {WISP_I64, 2, {a, b}}
#define ABSENT {0, 0, {0}}
#define UNIT .low = {-1, -1, -1, -1, -1, -1, -1, -1}, .high = {1, 1, 1, 1, 1, 1, 1, 1}

/* A convolution of (N,S,S,C) to O channels with kernel K, and its two gradients. */
#define CONV_ATTRS(s, p, g, in, k)                                                                 \
    &(const wisp_conv2d_attrs)                                                                     \
    {                                                                                              \
        .stride_h = s, .stride_w = s, .pad_h = p, .pad_w = p, .dilation_h = 1, .dilation_w = 1,    \
        .groups = g, .in_h = in, .in_w = in, .kernel_h = k, .kernel_w = k                          \
    }
#define CONV(label, n, size, c, o, k, s, p, g)                                                     \
    {"conv2d", {.name = label, .attrs = CONV_ATTRS(s, p, g, 0, 0), .n_in = 2, .n_out = 1,          \
                .in = {F32_4(n, size, size, c), F32_4(o, (c) / (g), k, k)}, UNIT}},                \
    {"conv2d_grad_input",                                                                          \
     {.name = label, .attrs = CONV_ATTRS(s, p, g, size, 0), .n_in = 2, .n_out = 1,                 \
      .in = {F32_4(n, (size) / (s), (size) / (s), o), F32_4(o, (c) / (g), k, k)}, UNIT}},          \
    {"conv2d_grad_weight",                                                                         \
     {.name = label, .attrs = CONV_ATTRS(s, p, g, 0, k), .n_in = 2, .n_out = 2,                    \
      .in = {F32_4(n, size, size, c), F32_4(n, (size) / (s), (size) / (s), o)}, UNIT}}

/* The same with what conv_norm does around it. */
#define CONV_NORM_ATTRS(s, p, g)                                                                   \
    &(const wisp_conv_norm_attrs)                                                                  \
    {                                                                                              \
        .conv = {.stride_h = s, .stride_w = s, .pad_h = p, .pad_w = p, .dilation_h = 1,            \
                 .dilation_w = 1, .groups = g},                                                    \
        .activation = WISP_ACT_RELU6, .want_stats = 1, .want_grads = 3                             \
    }
#define CONV_NORM(label, n, size, c, o, k, s, p, g)                                                \
    {"conv_norm", {.name = label, .attrs = CONV_NORM_ATTRS(s, p, g), .n_in = 4, .n_out = 3,        \
                   .in = {F32_4(n, size, size, c), F32_1(c), F32_1(c),                             \
                   F32_4(o, (c) / (g), k, k)}, UNIT}},                                             \
    {"conv_norm_grad",                                                                             \
     {.name = label, .attrs = CONV_NORM_ATTRS(s, p, g), .n_in = 9, .n_out = 4,                     \
      .in = {F32_4(n, (size) / (s), (size) / (s), o), F32_4(n, (size) / (s), (size) / (s), o),     \
      F32_1(o), F32_1(o), F32_1(o), F32_4(n, size, size, c), F32_1(c), F32_1(c),                   \
      F32_4(o, (c) / (g), k, k)}, UNIT}}

#define LINEAR(label, rows, i, o)                                                                  \
    {"linear", {.name = label, .n_in = 3, .n_out = 1,                                              \
                .in = {F32_2(rows, i), F32_2(o, i), F32_1(o)}, UNIT}},                             \
    {"linear_grad_input", {.name = label, .n_in = 2, .n_out = 1,                                   \
                           .in = {F32_2(rows, o), F32_2(o, i)}, UNIT}},                            \
    {"linear_grad_weight", {.name = label, .attrs = &(const wisp_linear_attrs){1, 0}, .n_in = 2,   \
                            .n_out = 2, .in = {F32_2(rows, i), F32_2(rows, o)}, UNIT}}

#define BATCH_NORM_ATTRS(n) &(const wisp_batch_norm_attrs){1e-5, n, WISP_ACT_RELU, 0}
#define BATCH_NORM(label, n, size, c)                                                              \
    {"channel_stats", {.name = label, .n_in = 1, .n_out = 2, .in = {F32_4(n, size, size, c)},      \
                       UNIT}},                                                                     \
    {"batch_norm", {.name = label, .attrs = BATCH_NORM_ATTRS((n) * (size) * (size)), .n_in = 5,    \
                    .n_out = 1, .in = {F32_4(n, size, size, c), F32_1(c), F32_1(c), F32_1(c),      \
                    F32_1(c)}, .low = {-1, -1, 0.5, 0.5, -1}, .high = {1, 1, 1, 1, 1}}},           \
    {"batch_norm_grad_stats",                                                                      \
     {.name = label, .attrs = BATCH_NORM_ATTRS((n) * (size) * (size)), .n_in = 5, .n_out = 2,      \
      .in = {F32_4(n, size, size, c), F32_4(n, size, size, c), F32_4(n, size, size, c), F32_1(c),  \
      F32_1(c)}, .low = {-1, -1, -1, -1, 0.5}, .high = {1, 1, 1, 1, 1}}},                          \
    {"batch_norm_grad_input",                                                                      \
     {.name = label, .attrs = BATCH_NORM_ATTRS((n) * (size) * (size)), .n_in = 8, .n_out = 2,      \
      .in = {F32_4(n, size, size, c), F32_4(n, size, size, c), F32_4(n, size, size, c), F32_1(c),  \
      F32_1(c), F32_1(c), F32_1(c), F32_1(c)}, .low = {-1, -1, -1, -1, 0.5, 0.5, -1, -1},          \
      .high = {1, 1, 1, 1, 1, 1, 1, 1}}}

#define UNARY(label, kind_, rows, c)                                                               \
    {"unary", {.name = label, .attrs = &(const wisp_unary_attrs){1, 0, kind_, 0}, .n_in = 1,       \
               .n_out = 1, .in = {F32_2(rows, c)}, UNIT}},                                         \
    {"unary_grad", {.name = label, .attrs = &(const wisp_unary_attrs){1, 0, kind_, 0}, .n_in = 3,  \
                    .n_out = 1, .in = {F32_2(rows, c), F32_2(rows, c), F32_2(rows, c)}, UNIT}}

#define PARAMETERS 11689512 /* ResNet-18 */
#define STORE F32_1(PARAMETERS)
#define ONE_SEGMENT ((const double[]){0, PARAMETERS, WISP_SEGMENT_ACTIVE | WISP_SEGMENT_ADAPT, 0})
#define ONE_RULE ((const double[]){1, 1})

static const perf_size sizes[] = {
    CONV("stem_224", 16, 224, 3, 64, 7, 2, 3, 1),
    CONV("layer1_224", 16, 56, 64, 64, 3, 1, 1, 1),
    CONV("layer2_224", 16, 28, 128, 128, 3, 1, 1, 1),
    CONV("layer3_224", 16, 14, 256, 256, 3, 1, 1, 1),
    CONV("layer4_224", 16, 7, 512, 512, 3, 1, 1, 1),
    CONV("layer1_96", 64, 24, 64, 64, 3, 1, 1, 1),
    CONV("layer4_96", 64, 3, 512, 512, 3, 1, 1, 1),
    CONV("pointwise", 16, 28, 192, 32, 1, 1, 0, 1),
    CONV("depthwise", 16, 56, 144, 144, 3, 1, 1, 144),
    CONV_NORM("expand_112", 16, 112, 16, 96, 1, 1, 0, 1),
    CONV_NORM("project_56", 16, 56, 144, 24, 1, 1, 0, 1),
    CONV_NORM("expand_14", 16, 14, 64, 384, 1, 1, 0, 1),
    CONV_NORM("project_14", 16, 14, 576, 96, 1, 1, 0, 1),
    CONV_NORM("depthwise_112_stride", 16, 112, 96, 96, 3, 2, 1, 96),
    CONV_NORM("depthwise_56", 16, 56, 144, 144, 3, 1, 1, 144),
    CONV_NORM("depthwise_14", 16, 14, 384, 384, 3, 1, 1, 384),
    LINEAR("head_2048", 128, 2048, 2048),
    LINEAR("prototypes_65536", 128, 256, 65536),
    LINEAR("vit_tiny_mlp", 32 * 197, 192, 768),
    {"matmul", {.name = "similarity", .attrs = &(const wisp_matmul_attrs){0, 1, 1}, .n_in = 2,
                .n_out = 1, .in = {F32_2(512, 128), F32_2(65536, 128)}, UNIT}},
    BATCH_NORM("layer1_224", 16, 56, 64),
    BATCH_NORM("layer4_224", 16, 7, 512),
    {"layer_norm", {.name = "vit_tiny", .attrs = &(const wisp_layer_norm_attrs){1e-6, 0, 0},
                    .n_in = 3, .n_out = 3, .in = {F32_3(32, 197, 192), F32_1(192), F32_1(192)},
                    UNIT}},
    {"layer_norm_grad", {.name = "vit_tiny", .attrs = &(const wisp_layer_norm_attrs){1e-6, 1, 0},
                         .n_in = 5, .n_out = 3, .in = {F32_3(32, 197, 192), F32_3(32, 197, 192),
                         F32_1(192), F32_2(32, 197), F32_2(32, 197)}, UNIT}},
    UNARY("relu", WISP_UNARY_RELU, 16 * 56 * 56, 64),
    UNARY("gelu", WISP_UNARY_GELU, 32 * 197, 768),
    {"binary", {.name = "residual_add", .attrs = &(const wisp_binary_attrs){WISP_BINARY_ADD, 0},
                .n_in = 2, .n_out = 1, .in = {F32_4(16, 56, 56, 64), F32_4(16, 56, 56, 64)},
                UNIT}},
    {"reduce", {.name = "average_pool",
                .attrs = &(const wisp_reduce_attrs){WISP_REDUCE_MEAN, 6, 0, 0}, .n_in = 1,
                .n_out = 1, .in = {F32_4(64, 14, 14, 512)}, UNIT}},
    {"accumulate", {.name = "activation", .n_in = 2, .n_out = 1,
                    .in = {F32_4(16, 56, 56, 64), F32_4(16, 56, 56, 64)}, UNIT, .inout = 1,
                    .inout_from = {1}}},
    {"max_pool", {.name = "stem_224", .attrs = &(const wisp_pool_attrs){.kernel_h = 3,
                  .kernel_w = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1}, .n_in = 1,
                  .n_out = 2, .in = {F32_4(16, 112, 112, 64)}, UNIT}},
    {"softmax", {.name = "prototypes_65536", .attrs = &(const wisp_softmax_attrs){25, 0, 1},
                 .n_in = 2, .n_out = 1, .in = {F32_2(32, 65536), F32_1(65536)}, UNIT}},
    {"cross_entropy", {.name = "moco_65537", .attrs = &(const wisp_cross_entropy_attrs){5},
                       .n_in = 2, .n_out = 2, .in = {F32_2(128, 65537), I64_1(128)},
                       .low = {-1, 0}, .high = {1, 65537}}},
    {"pair_cross_entropy",
     {.name = "dino_65536", .attrs = &(const wisp_pair_cross_entropy_attrs){10, 8, 2}, .n_in = 3,
      .n_out = 3, .in = {F32_2(128, 65536), F32_2(32, 65536), F32_2(2, 8)}, .low = {-1, 0, 0.1},
      .high = {1, 3e-5, 1}}},
    {"pair_cross_entropy_grad",
     {.name = "dino_65536", .attrs = &(const wisp_pair_cross_entropy_attrs){10, 8, 2}, .n_in = 5,
      .n_out = 1, .in = {F32_0, F32_2(128, 65536), F32_2(32, 65536), F32_2(2, 8), F32_1(128)},
      .low = {1, -1, 0, 0.1, 15}, .high = {1, 1, 3e-5, 1, 16}}},
    {"l2_normalize", {.name = "embedding", .attrs = &(const wisp_l2_normalize_attrs){1e-12},
                      .n_in = 1, .n_out = 2, .in = {F32_2(4096, 256)}, UNIT}},
    {"weight_norm", {.name = "prototypes_65536", .n_in = 2, .n_out = 2,
                     .in = {F32_2(65536, 256), F32_2(65536, 1)}, UNIT}},
    {"self_attention", {.name = "vit_tiny",
                        .attrs = &(const wisp_attention_attrs){0.125, 3, 0}, .n_in = 1, .n_out = 2,
                        .in = {F32_3(16, 197, 576)}, UNIT}},
    {"self_attention_grad", {.name = "vit_tiny",
                             .attrs = &(const wisp_attention_attrs){0.125, 3, 0}, .n_in = 4,
                             .n_out = 1, .in = {F32_3(16, 197, 192), F32_3(16, 197, 576),
                             F32_3(16, 197, 192), F32_3(16, 3, 197)}, .low = {-1, -1, -1, 5},
                             .high = {1, 1, 1, 6}}},
    {"top_k", {.name = "knn_20", .attrs = &(const wisp_top_k_attrs){20}, .n_in = 1, .n_out = 2,
               .in = {F32_2(128, 50000)}, UNIT}},
    {"lars_update", {.name = "resnet18", .attrs = &(const wisp_sgd_attrs){0.9, 0.001, 0, 0},
                     .n_in = 7, .n_out = 2, .in = {STORE, STORE, STORE, I64_2(1, 4), F32_2(1, 2),
                     F32_0, F32_0}, .low = {-1, -1, -1, 0, 0, 0.1, 1e-6},
                     .high = {1, 1, 1, 0, 0, 0.1, 1e-6}, .inout = 3, .inout_from = {0, 2},
                     .values = {NULL, NULL, NULL, ONE_SEGMENT, ONE_RULE}}},
    {"adamw_update", {.name = "resnet18", .attrs = &(const wisp_adamw_attrs){0.9, 0.999, 1e-8},
                      .n_in = 9, .n_out = 4, .in = {STORE, STORE, STORE, STORE, I64_2(1, 4),
                      F32_2(1, 2), F32_0, F32_0, {WISP_I64, 0, {0}}},
                      .low = {-1, -1, -1, 0.1, 0, 0, 1e-3, 0.1, 5},
                      .high = {1, 1, 1, 1, 0, 0, 1e-3, 0.1, 6}, .inout = 15,
                      .inout_from = {0, 2, 3, 8},
                      .values = {NULL, NULL, NULL, NULL, ONE_SEGMENT, ONE_RULE}}},
    {"ema_update", {.name = "resnet18", .n_in = 4, .n_out = 1,
                    .in = {STORE, STORE, I64_2(1, 4), F32_0}, .low = {-1, -1, 0, 0.99},
                    .high = {1, 1, 0, 0.99}, .inout = 1, .inout_from = {0},
                    .values = {NULL, NULL, ONE_SEGMENT}}},
};
/* clang-format on */

enum { N_SIZES = sizeof sizes / sizeof sizes[0], MOST_RUNS = 200 };

static const double wanted_seconds = 0.4; /* of running, for one row */

typedef struct perf_run {
    wispi_device *device;
    wispi_case_values values;
    const wisp_kernel *kernel;
    wisp_kernel_arg in[WISPI_MAX_IN], out[WISPI_MAX_OUT];
    void *memory[WISPI_MAX_IN + WISPI_MAX_OUT + 1];
    int32_t n_memory;
    void *scratch;
} perf_run;

static wisp_status new_memory(perf_run *run, size_t bytes, void **memory, wisp_error *err)
{
    WISP_TRY(wispi_device_alloc(run->device, bytes ? bytes : 64, memory, err));
    run->memory[run->n_memory++] = *memory;
    return WISP_OK;
}

static wisp_status load_input(perf_run *run, int32_t i, wisp_error *err)
{
    const wispi_ref *ref = &run->values.in[i];
    const size_t bytes = (size_t)wisp_desc_bytes(ref->desc);
    wispi_arena *arena = wispi_arena_create(bytes + 64);
    void *narrow = arena ? wispi_arena_alloc(arena, bytes + 1) : NULL;
    wisp_status status = WISP_E_NOMEM;
    if (narrow) {
        wispi_narrow(narrow, ref->v, ref->desc->dtype, ref->count);
        status = new_memory(run, bytes, &run->in[i].data, err);
        if (status == WISP_OK)
            status = wispi_device_write(run->device, run->in[i].data, narrow, bytes, err);
    } else {
        wisp_fail(err, status, "no memory for an input");
    }
    wispi_arena_destroy(arena);
    run->in[i].uid = (UINT64_C(1) << 61) + (uint64_t)i;
    return status;
}

static wisp_status load_arguments(perf_run *run, wisp_error *err)
{
    const wispi_case_values *v = &run->values;
    for (int32_t i = 0; i < v->n_in; i++)
        if (v->in_ptr[i])
            WISP_TRY(load_input(run, i, err));
    for (int32_t i = 0; i < v->op->n_out; i++) {
        if (!v->out_ptr[i])
            continue;
        if (v->sample->inout >> i & 1)
            run->out[i] = run->in[v->sample->inout_from[i]];
        else
            WISP_TRY(
                new_memory(run, (size_t)wisp_desc_bytes(v->out_ptr[i]), &run->out[i].data, err));
    }
    return new_memory(run, run->kernel->scratch_bytes, &run->scratch, err);
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Parameters change before every run, as they do in training: packing them is part of the time. */
static wisp_status run_once(perf_run *run, double *seconds, wisp_error *err)
{
    for (int32_t i = 0; i < run->values.n_in; i++)
        if (run->values.op->parameter_in >> i & 1)
            run->in[i].version++;
    const double start = wispi_seconds();
    WISP_TRY(run->kernel->run(run->kernel, run->in, run->out, run->scratch, err));
    WISP_TRY(wispi_device_sync(run->device, err));
    *seconds = wispi_seconds() - start;
    return WISP_OK;
}

static double moved_bytes(const wispi_case_values *v)
{
    double bytes = 0;
    for (int32_t i = 0; i < v->n_in; i++)
        if (v->in_ptr[i])
            bytes += (double)wisp_desc_bytes(v->in_ptr[i]);
    for (int32_t i = 0; i < v->op->n_out; i++)
        if (v->out_ptr[i])
            bytes += (double)wisp_desc_bytes(v->out_ptr[i]);
    return bytes;
}

static wisp_status measure(perf_run *run, wispi_op_perf_row *row, wisp_error *err)
{
    double seconds[MOST_RUNS], total = 0;
    const wispi_case_values *v = &run->values;
    WISP_TRY(load_arguments(run, err));
    WISP_TRY(run_once(run, &seconds[0], err)); /* warms up; not counted */
    while (row->n_runs < MOST_RUNS && (row->n_runs < 3 || total < wanted_seconds)) {
        WISP_TRY(run_once(run, &seconds[row->n_runs], err));
        total += seconds[row->n_runs++];
    }
    qsort(seconds, (size_t)row->n_runs, sizeof seconds[0], rising);
    const double median = seconds[row->n_runs / 2];
    row->milliseconds = median * 1e3;
    row->fastest = seconds[0] * 1e3;
    if (v->op->macs && median > 0)
        row->gflops = 2e-9 * v->op->macs(v->attrs, v->in_ptr, v->out_desc) / median;
    row->gbytes = median > 0 ? 1e-9 * moved_bytes(v) / median : 0;
    return WISP_OK;
}

static wisp_status measure_case(perf_run *run, const wispi_op *op, const perf_size *size,
                                int32_t dtype, wispi_op_perf_row *row, wispi_arena *arena,
                                wisp_error *err)
{
    WISP_TRY(wispi_case_begin(&run->values, op, &size->sample, dtype, arena, err));
    if (wispi_case_uses_bf16(&run->values) && !wispi_device_info(run->device)->has_bf16) {
        row->outcome = WISPI_CHECK_SKIP;
        snprintf(row->message, sizeof row->message, "%s has no bf16 arithmetic",
                 wispi_device_info(run->device)->name);
        return WISP_OK;
    }
    const wisp_kernel_request request = wispi_case_request(&run->values);
    WISP_TRY(wispi_device_kernel(run->device, op, &request, &run->kernel, err));
    snprintf(row->implementation, sizeof row->implementation, "%s",
             run->kernel->implementation ? run->kernel->implementation : "?");
    wispi_case_draw(&run->values, 0, 0);
    return measure(run, row, err);
}

static wisp_status perf_row(wispi_device *device, const wispi_op *op, const perf_size *size,
                            int32_t dtype, wispi_op_perf_row *row, wisp_error *err)
{
    perf_run run = {.device = device};
    wisp_error problem = {0};
    memset(row, 0, sizeof *row);
    wispi_case_name(op, &size->sample, dtype, row->name, sizeof row->name);
    wispi_arena *arena = wispi_arena_create((size_t)1 << 16);
    if (!arena)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory", row->name);
    const wisp_status status = measure_case(&run, op, size, dtype, row, arena, &problem);
    for (int32_t i = 0; i < run.n_memory; i++)
        wispi_device_free(device, run.memory[i]);
    wispi_arena_destroy(arena);
    if (status == WISP_E_NOMEM)
        return wisp_fail(err, status, "%s: %s", row->name, problem.message);
    if (status != WISP_OK) {
        row->outcome = status == WISP_E_UNSUPPORTED ? WISPI_CHECK_MISSING : WISPI_CHECK_FAIL;
        snprintf(row->message, sizeof row->message, "%s", problem.message);
    }
    return WISP_OK;
}

wisp_status wispi_op_perf(wispi_device *device, const char *filter, wispi_op_perf_sink sink,
                          void *user, wisp_error *err)
{
    static const int32_t dtypes[] = {WISP_F32, WISP_BF16};
    int n_rows = 0;
    for (int32_t i = 0; i < N_SIZES; i++) {
        const wispi_op *op = wispi_op_find(sizes[i].op);
        for (int32_t d = 0; op && d < 2; d++) {
            wispi_op_perf_row row;
            if (!wispi_case_runs_as(op, &sizes[i].sample, dtypes[d]) ||
                !wispi_op_filter(filter, op->name, sizes[i].sample.name,
                                 wisp_dtype_name(dtypes[d])))
                continue;
            WISP_TRY(perf_row(device, op, &sizes[i], dtypes[d], &row, err));
            sink(user, &row);
            n_rows++;
        }
    }
    if (n_rows == 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "no measurement is called %s",
                         filter ? filter : "");
    return WISP_OK;
}
