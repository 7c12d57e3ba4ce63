/* cpu_normed_linear.c - linear layers whose weight is given as direction and length, for sizes and
 * processors that cpu_linear_few.c does not serve: w[o] = g[o] v[o] / norm[o]. */
#include <math.h>

#include "cpu_row_sums.h"

typedef struct normed_state {
    cpu_plan plan;
    int64_t rows, k, o;
} normed_state;

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request, const wisp_desc *x,
                         const wisp_desc *v, wisp_kernel **kernel, wisp_error *err)
{
    CPU_NEED(cpu_is_float(x) && v->dtype == WISP_F32, "needs f32 or bf16, and weights in f32");
    WISP_TRY(cpu_plan_create(device, sizeof(normed_state), NULL, kernel, err));
    normed_state *s = (*kernel)->state;
    s->rows = cpu_rows(x);
    s->o = v->shape[0];
    s->k = v->shape[1];
    return WISP_OK;
}

/* sum += a * x */
CPU_INLINE void add_row(const void *x, float a, float *sum, int64_t n, const int type)
{
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        sum[i] += a * cpu_load(x, i, type);
}

/* Rows first .. last-1 of v. */
CPU_INLINE void forward(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const normed_state *s = call->state;
    const float *g = call->in[2].data;
    float *norms = call->out[1].data;
    for (int64_t o = first; o < last; o++) {
        const float *v = (const float *)call->in[1].data + o * s->k;
        const double norm = sqrt(cpu_row_dot(v, v, s->k, WISP_F32, WISP_F32));
        norms[o] = (float)norm;
        for (int64_t m = 0; m < s->rows; m++) {
            const void *x = cpu_at_const(call->in[0].data, m * s->k, type);
            const double sum = cpu_row_dot(x, v, s->k, type, WISP_F32);
            cpu_store(call->out[0].data, m * s->o + o, (float)((double)g[o] / norm * sum), type);
        }
    }
}
CPU_TYPED(forward)

CPU_PREPARE(normed_linear)
{
    const wisp_desc *x = request->in[0], *v = request->in[1];
    WISP_TRY(begin(device, request, x, v, kernel, err));
    cpu_plan_add(*kernel, CPU_PICK(forward, x->dtype), v->shape[0], (double)wisp_desc_bytes(v));
    return WISP_OK;
}

/* Rows first .. last-1 of dx, each in its own sum. */
CPU_INLINE void grad_input(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const normed_state *s = call->state;
    const float *v = call->in[1].data, *g = call->in[2].data, *norm = call->in[3].data;
    for (int64_t m = first; m < last; m++) {
        float *sum = (float *)(void *)call->scratch + m * s->k;
        memset(sum, 0, (size_t)s->k * sizeof *sum);
        for (int64_t o = 0; o < s->o; o++)
            add_row(v + o * s->k, cpu_load(call->in[0].data, m * s->o + o, type) * g[o] / norm[o],
                    sum, s->k, WISP_F32);
        for (int64_t i = 0; i < s->k; i++)
            cpu_store(call->out[0].data, m * s->k + i, sum[i], type);
    }
}
CPU_TYPED(grad_input)

CPU_PREPARE(normed_linear_grad_input)
{
    const wisp_desc *dy = request->in[0], *v = request->in[1];
    WISP_TRY(begin(device, request, dy, v, kernel, err));
    const int64_t rows = cpu_rows(dy);
    (*kernel)->scratch_bytes = (size_t)(rows * v->shape[1]) * sizeof(float);
    cpu_plan_add(*kernel, CPU_PICK(grad_input, dy->dtype), rows, (double)wisp_desc_bytes(v));
    return WISP_OK;
}

/* Rows first .. last-1 of dv. */
CPU_INLINE void grad_weight(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const normed_state *s = call->state;
    const float *g = call->in[4].data, *norms = call->in[5].data;
    for (int64_t o = first; o < last; o++) {
        const float *v = (const float *)call->in[3].data + o * s->k;
        float *dv = (float *)call->out[0].data + o * s->k;
        const float factor = g[o] / norms[o];
        float along = 0;
        memset(dv, 0, (size_t)s->k * sizeof *dv);
        for (int64_t m = 0; m < s->rows; m++) {
            const float dy = cpu_load(call->in[1].data, m * s->o + o, type);
            along += dy * cpu_load(call->in[2].data, m * s->o + o, type);
            add_row(cpu_at_const(call->in[0].data, m * s->k, type), factor * dy, dv, s->k, type);
        }
        add_row(v, -along / (norms[o] * norms[o]), dv, s->k, WISP_F32);
    }
}
CPU_TYPED(grad_weight)

CPU_PREPARE(normed_linear_grad_weight)
{
    const wisp_desc *x = request->in[0], *v = request->in[3];
    WISP_TRY(begin(device, request, x, v, kernel, err));
    cpu_plan_add(*kernel, CPU_PICK(grad_weight, x->dtype), v->shape[0],
                 3.0 * (double)wisp_desc_bytes(v));
    return WISP_OK;
}
