/* cpu_resize.c - maps on a grid of another size, by cubic convolution, and the gradient.
 *
 * Along each axis, what a destination pixel takes from source pixels is a short list of (source,
 * weight), made when the kernel is prepared. The gradient is the same walk over the transposed
 * lists, so every pixel is written once, by one thread. */
#include <math.h>

#include "cpu_vector.h"

enum { TILE = 256, TAPS = 4 };

/* For destination i: entries start[i] .. start[i+1]-1. */
typedef struct axis_lists {
    int64_t n;
    int64_t *start, *from;
    float *weight;
} axis_lists;

typedef struct resize_state {
    cpu_plan plan;
    axis_lists rows, columns;
    int64_t source_h, source_w, channels;
} resize_state;

/* Keys' kernel with A = -0.75 at distance d. */
static double cubic(double d)
{
    const double a = -0.75, x = fabs(d);
    if (x <= 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

/* Tap k of output pixel i: the input pixel, clamped to the border, and its weight. */
static int64_t tap_of(int64_t i, int k, int64_t in, double step, double *weight)
{
    const double source = ((double)i + 0.5) * step - 0.5;
    const double at = floor(source) - 1.0 + k;
    *weight = cubic(source - at);
    return (int64_t)fmin(fmax(at, 0.0), (double)(in - 1));
}

static int make_room(cpu_device *device, axis_lists *l, int64_t n, int64_t entries)
{
    l->n = n;
    l->start = cpu_alloc(device, (size_t)(n + 1) * sizeof *l->start);
    l->from = cpu_alloc(device, (size_t)entries * sizeof *l->from);
    l->weight = cpu_alloc(device, (size_t)entries * sizeof *l->weight);
    return l->start && l->from && l->weight;
}

/* Output pixels as destinations, or, transposed, input pixels. Entries of one list stand in the
 * order of the output pixels. */
static int make_lists(cpu_device *device, axis_lists *l, int64_t in, int64_t out, double scale,
                      int transposed)
{
    const double step = scale > 0 ? scale : (double)in / (double)out;
    double weight;
    if (!make_room(device, l, transposed ? in : out, out * TAPS))
        return 0;
    for (int64_t e = 0; e < out * TAPS; e++) {
        const int64_t i = e / TAPS;
        l->start[(transposed ? tap_of(i, (int)(e % TAPS), in, step, &weight) : i) + 1]++;
    }
    for (int64_t i = 0; i < l->n; i++)
        l->start[i + 1] += l->start[i];
    for (int64_t e = 0; e < out * TAPS; e++) {
        const int64_t i = e / TAPS, tap = tap_of(i, (int)(e % TAPS), in, step, &weight);
        const int64_t at = l->start[transposed ? tap : i]++;
        l->from[at] = transposed ? i : tap;
        l->weight[at] = (float)weight;
    }
    /* Filling moved every start to its end, which is the start of the next one. */
    for (int64_t i = l->n; i > 0; i--)
        l->start[i] = l->start[i - 1];
    l->start[0] = 0;
    return 1;
}

static void destroy(cpu_device *device, void *state)
{
    resize_state *s = state;
    axis_lists *const both[] = {&s->rows, &s->columns};
    for (int i = 0; i < 2; i++) {
        cpu_free(device, both[i]->start);
        cpu_free(device, both[i]->from);
        cpu_free(device, both[i]->weight);
    }
}

CPU_INLINE void sum_pixel(const resize_state *s, const void *x, int64_t i, int64_t j, int64_t n,
                          float *restrict sum, const int type)
{
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t r = s->rows.start[i]; r < s->rows.start[i + 1]; r++)
        for (int64_t c = s->columns.start[j]; c < s->columns.start[j + 1]; c++) {
            const float weight = s->rows.weight[r] * s->columns.weight[c];
            const void *from = cpu_at_const(
                x, (s->rows.from[r] * s->source_w + s->columns.from[c]) * s->channels, type);
            CPU_SIMD
            for (int64_t k = 0; k < n; k++)
                sum[k] += weight * cpu_load(from, k, type);
        }
}

CPU_INLINE void resize_rows(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const resize_state *s = call->state;
    float sum[TILE];
    for (int64_t u = first; u < last; u++) {
        const int64_t image = u / s->rows.n, i = u % s->rows.n;
        const void *x =
            cpu_at_const(call->in[0].data, image * s->source_h * s->source_w * s->channels, type);
        for (int64_t j = 0; j < s->columns.n; j++)
            for (int64_t c = 0; c < s->channels; c += TILE) {
                const int64_t n = cpu_min(TILE, s->channels - c);
                void *y = cpu_at(call->out[0].data, (u * s->columns.n + j) * s->channels + c, type);
                sum_pixel(s, cpu_at_const(x, c, type), i, j, n, sum, type);
                CPU_SIMD
                for (int64_t k = 0; k < n; k++)
                    cpu_store(y, k, sum[k], type);
            }
    }
}
CPU_TYPED(resize_rows)

/* `x` and `y` are those of the forward call. */
static wisp_status prepare_resize(cpu_device *device, const wisp_kernel_request *request,
                                  const wisp_desc *x, const wisp_desc *y, int transposed,
                                  wisp_kernel **kernel, wisp_error *err)
{
    const wisp_resize_attrs *attrs = request->attrs;
    const wisp_desc *source = request->in[0], *result = request->out[0];
    CPU_NEED(cpu_is_float(x) && y->dtype == x->dtype, "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(resize_state), destroy, kernel, err));
    resize_state *s = (*kernel)->state;
    s->source_h = source->shape[1];
    s->source_w = source->shape[2];
    s->channels = source->shape[3];
    if (!make_lists(device, &s->rows, x->shape[1], y->shape[1], attrs->scale_h, transposed) ||
        !make_lists(device, &s->columns, x->shape[2], y->shape[2], attrs->scale_w, transposed)) {
        (*kernel)->release(*kernel);
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for the weights", request->op);
    }
    cpu_plan_add(*kernel, CPU_PICK(resize_rows, x->dtype), result->shape[0] * result->shape[1],
                 32.0 * (double)wisp_desc_bytes(y));
    return WISP_OK;
}

CPU_PREPARE(resize_bicubic)
{
    return prepare_resize(device, request, request->in[0], request->out[0], 0, kernel, err);
}

CPU_PREPARE(resize_bicubic_grad)
{
    return prepare_resize(device, request, request->out[0], request->in[0], 1, kernel, err);
}
