/* cpu_conv_few.c - convolutions of few pixels with many weights, as products with few rows.
 *
 * Weights as they lie, (O,C,kh,kw), are rows of a linear layer over the values of a window in the
 * order (C,kh,kw). So the windows of all output pixels are written side by side in that order, and
 * no weight is packed, nor its gradient unpacked: for few pixels that costs more than the product.
 * The gradient of x adds up the gradients of the windows. */
#include <omp.h>

#include "cpu_bias_grad.h"
#include "cpu_empty.h"
#include "cpu_few.h"
#include "kernel_table.h"
#include "vector/cpu_bits.h"

#ifdef CPU_CAN_FEW

/* Above so many pixels packed weights are worth their making; below so many weights nothing is won.
 */
enum {
    MAX_PIXELS_F32 = 144,
    MAX_PIXELS_PARTS_INPUT = 400,
    MAX_PIXELS_PARTS_FORWARD = 224,
    MAX_PIXELS_BF16 = 224,
    MIN_WEIGHTS = 100000
};

typedef struct few_conv {
    cpu_few few;
    cpu_bias_grad bias;
    int64_t n, h, w, c, ho, wo, taps;
    wisp_conv2d_attrs a;
    int64_t kh, kw;
    size_t windows_at; /* in scratch, behind the product's own */
    int32_t has_bias, adds;
} few_conv;

/* --- Windows --- */

/* Index of the pixel of x under a tap of output pixel `m`; -1: outside. */
static int64_t pixel_under(const few_conv *s, int64_t m, int64_t tap)
{
    const int64_t image = m / (s->ho * s->wo), p = m % (s->ho * s->wo);
    const int64_t i = p / s->wo * s->a.stride_h - s->a.pad_h + tap / s->kw * s->a.dilation_h;
    const int64_t j = p % s->wo * s->a.stride_w - s->a.pad_w + tap % s->kw * s->a.dilation_w;
    return i < 0 || i >= s->h || j < 0 || j >= s->w ? -1 : (image * s->h + i) * s->w + j;
}

/* One value of every `step`. */
#define SPREAD(type, name)                                                                         \
    static void name(const type *from, int64_t n, type *to, int64_t step)                          \
    {                                                                                              \
        if (!from)                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i * step] = 0;                                                                  \
        else if (step == 9)                                                                        \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i * 9] = from[i];                                                               \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i * step] = from[i];                                                            \
    }
SPREAD(float, spread_f32)
SPREAD(uint16_t, spread_bf16)

static void lay_windows(const few_conv *s, const void *x, void *windows, int64_t part,
                        int64_t parts)
{
    const int64_t rows = s->few.rows;
    for (int64_t m = cpu_cut(rows, parts, part); m < cpu_cut(rows, parts, part + 1); m++)
        for (int64_t tap = 0; tap < s->taps; tap++) {
            const int64_t q = pixel_under(s, m, tap);
            if (s->few.dtype == WISP_F32)
                spread_f32(q < 0 ? NULL : (const float *)x + q * s->c, s->c,
                           (float *)windows + m * s->few.k + tap, s->taps);
            else
                spread_bf16(q < 0 ? NULL : (const uint16_t *)x + q * s->c, s->c,
                            (uint16_t *)windows + m * s->few.k + tap, s->taps);
        }
}

/* --- The gradient of x --- */

static void gather(const float *from, int64_t n, int64_t step, float *sum)
{
    if (step == 9)
        for (int64_t i = 0; i < n; i++)
            sum[i] += from[i * 9];
    else
        for (int64_t i = 0; i < n; i++)
            sum[i] += from[i * step];
}

/* Output pixel whose tap falls on row i (or column) of x; -1: none. */
static int64_t output_over(int64_t i, int64_t pad, int64_t reach, int64_t stride, int64_t n)
{
    const int64_t at = i + pad - reach;
    return at < 0 || at % stride != 0 || at / stride >= n ? -1 : at / stride;
}

/* The sum of what all windows hold of one pixel. */
static void sum_pixel(const few_conv *s, int64_t pixel, const float *windows, float *sum)
{
    const int64_t image = pixel / (s->h * s->w), i = pixel / s->w % s->h, j = pixel % s->w;
    memset(sum, 0, (size_t)s->c * sizeof *sum);
    for (int64_t tap = 0; tap < s->taps; tap++) {
        const int64_t p =
            output_over(i, s->a.pad_h, tap / s->kw * s->a.dilation_h, s->a.stride_h, s->ho);
        const int64_t q =
            output_over(j, s->a.pad_w, tap % s->kw * s->a.dilation_w, s->a.stride_w, s->wo);
        if (p >= 0 && q >= 0)
            gather(windows + ((image * s->ho + p) * s->wo + q) * s->few.k + tap, s->c, s->taps,
                   sum);
    }
}

static void sum_windows(const few_conv *s, const float *windows, float *sum, void *dx, int64_t part,
                        int64_t parts)
{
    const int64_t n = s->n * s->h * s->w;
    for (int64_t i = cpu_cut(n, parts, part); i < cpu_cut(n, parts, part + 1); i++) {
        if (s->few.dtype == WISP_F32) {
            sum_pixel(s, i, windows, (float *)dx + i * s->c);
            continue;
        }
        sum_pixel(s, i, windows, sum);
        for (int64_t c = 0; c < s->c; c++)
            ((uint16_t *)dx)[i * s->c + c] = cpu_to_bf16(sum[c]);
    }
}

/* --- Run --- */

static wisp_status run_windows(const wisp_kernel *kernel, cpu_few_call call, const void *x)
{
    const cpu_device *device = cpu_kernel_device(kernel);
    const few_conv *s = kernel->state;
    char *windows = call.scratch + s->windows_at;
    call.x = windows;
#pragma omp parallel num_threads(device->n_threads)
    {
        const int64_t parts = omp_get_num_threads(), part = omp_get_thread_num();
        lay_windows(s, x, windows, part, parts);
#pragma omp barrier
        cpu_few_lay(&s->few, &call, part, parts);
#pragma omp barrier
        cpu_few_multiply(&s->few, &call, part, parts);
    }
    return WISP_OK;
}

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const few_conv *s = kernel->state;
    const cpu_few_call call = {.w = in[1].data,
                               .bias = s->has_bias ? in[2].data : NULL,
                               .y = out[0].data,
                               .scratch = scratch};
    return run_windows(kernel, call, in[0].data);
}

static wisp_status run_grad_weight(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const few_conv *s = kernel->state;
    const cpu_few_call call = {
        .dy = in[1].data, .dw = out[0].data, .adds = s->adds, .scratch = scratch};
    WISP_TRY(run_windows(kernel, call, in[0].data));
    (void)err;
    if (s->has_bias)
        cpu_bias_grad_run(cpu_kernel_device(kernel), &s->bias, in[1].data, out[1].data, scratch);
    return WISP_OK;
}

static wisp_status run_grad_input(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const cpu_device *device = cpu_kernel_device(kernel);
    const few_conv *s = kernel->state;
    float *windows = (float *)((char *)scratch + s->windows_at);
    float *sums = windows + cpu_few_room(&s->few) * s->few.k;
    const cpu_few_call call = {
        .dy = in[0].data, .w = in[1].data, .dx = windows, .scratch = scratch};
#pragma omp parallel num_threads(device->n_threads)
    {
        const int64_t parts = omp_get_num_threads(), part = omp_get_thread_num();
        cpu_few_lay(&s->few, &call, part, parts);
#pragma omp barrier
        cpu_few_multiply(&s->few, &call, part, parts);
#pragma omp barrier
        sum_windows(s, windows, sums + part * s->c, out[0].data, part, parts);
    }
    return WISP_OK;
}

/* --- Prepare --- */

static int64_t most_pixels(const cpu_device *device, int32_t pass, int32_t dtype)
{
    if (dtype == WISP_BF16)
        return MAX_PIXELS_BF16;
    if (!device->has_amx || pass == CPU_FEW_WEIGHTS)
        return MAX_PIXELS_F32;
    return pass == CPU_FEW_INPUT ? MAX_PIXELS_PARTS_INPUT : MAX_PIXELS_PARTS_FORWARD;
}

/* `x`, `w` and `y` are those of the forward call. */
static wisp_status judge(const cpu_device *device, const wisp_kernel_request *request, int32_t pass,
                         const wisp_desc *x, const wisp_desc *w, const wisp_desc *y,
                         wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    const int64_t pixels = wisp_desc_count(y) / y->shape[3];
    const int64_t k = w->shape[1] * w->shape[2] * w->shape[3];
    const char *refusal = cpu_few_refusal(device, k, w->shape[0], x->dtype);
    if (refusal)
        return wisp_refuse(request, err, "%s", refusal);
    if (a->groups != 1)
        return wisp_refuse(request, err, "products with few rows know no groups");
    if (pixels > most_pixels(device, pass, x->dtype) || k * w->shape[0] < MIN_WEIGHTS)
        return wisp_refuse(request, err, "not few pixels with many weights");
    return WISP_OK;
}

static void fill_sizes(few_conv *s, const wisp_kernel_request *request, const wisp_desc *x,
                       const wisp_desc *w, const wisp_desc *y)
{
    memcpy(&s->a, request->attrs, sizeof s->a);
    s->n = x->shape[0], s->h = x->shape[1], s->w = x->shape[2], s->c = x->shape[3];
    s->ho = y->shape[1], s->wo = y->shape[2];
    s->kh = w->shape[2], s->kw = w->shape[3];
    s->taps = s->kh * s->kw;
}

static wisp_status make(cpu_device *device, const wisp_kernel_request *request, int32_t pass,
                        const wisp_desc *x, const wisp_desc *w, const wisp_desc *y, cpu_run run,
                        wisp_kernel **kernel, wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return wisp_refuse(request, err, "there is nothing in it");
    WISP_TRY(judge(device, request, pass, x, w, y, err));
    WISP_TRY(cpu_kernel_create(device, "few rows", run, sizeof(few_conv), NULL, kernel, err));
    few_conv *s = (*kernel)->state;
    fill_sizes(s, request, x, w, y);
    s->few =
        cpu_few_plan(device, pass, s->n * s->ho * s->wo, s->taps * s->c, y->shape[3], x->dtype, 0);
    s->windows_at = cpu_align64(s->few.scratch_bytes);
    const int64_t bytes = pass == CPU_FEW_INPUT ? 4 : wisp_dtype_bytes(x->dtype);
    (*kernel)->scratch_bytes = s->windows_at + (size_t)(cpu_few_room(&s->few) * s->few.k * bytes) +
                               (size_t)(device->n_threads * s->c) * sizeof(float);
    return WISP_OK;
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(make(device, request, CPU_FEW_FORWARD, request->in[0], request->in[1], request->out[0],
                  run_forward, kernel, err));
    ((few_conv *)(*kernel)->state)->has_bias = request->n_in > 2 && request->in[2];
    return WISP_OK;
}

static wisp_status prepare_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, CPU_FEW_INPUT, request->out[0], request->in[1], request->in[0],
                run_grad_input, kernel, err);
}

static wisp_status prepare_grad_weight(cpu_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    WISP_TRY(make(device, request, CPU_FEW_WEIGHTS, request->in[0], request->out[0], request->in[1],
                  run_grad_weight, kernel, err));
    few_conv *s = (*kernel)->state;
    s->adds = request->n_in > 2 && request->in[2];
    s->has_bias = a->want_bias && request->n_out > 1 && request->out[1] && request->out[1]->dtype;
    if (s->has_bias)
        cpu_bias_grad_plan(device, request->in[1], &s->bias);
    if (s->bias.scratch_bytes > (*kernel)->scratch_bytes)
        (*kernel)->scratch_bytes = s->bias.scratch_bytes;
    return WISP_OK;
}

const cpu_kernel_entry cpu_conv_few_kernels[] = {
    {"conv2d", prepare_forward},
    {"conv2d_grad_input", prepare_grad_input},
    {"conv2d_grad_weight", prepare_grad_weight},
    {NULL, NULL},
};

#else

const cpu_kernel_entry cpu_conv_few_kernels[] = {{NULL, NULL}};

#endif
