/* cpu_length.c - rows scaled to length 1, and weights given as direction and length. */
#include <math.h>

#include "cpu_row_sums.h"

typedef struct length_state {
    cpu_plan plan;
    int64_t channels;
    double eps;
    int32_t want_gain, reserved;
} length_state;

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request,
                         wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *x = request->in[0];
    CPU_NEED(cpu_is_float(x) && request->out[0]->dtype == x->dtype, "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(length_state), NULL, kernel, err));
    length_state *s = (*kernel)->state;
    s->channels = cpu_last(x);
    return WISP_OK;
}

CPU_INLINE void scale_row(const void *x, void *y, int64_t n, float factor, const int type)
{
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        cpu_store(y, i, cpu_load(x, i, type) * factor, type);
}

CPU_INLINE void normalize(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const length_state *s = call->state;
    const int64_t n = s->channels;
    float *norms = call->out[1].data;
    for (int64_t r = first; r < last; r++) {
        const void *x = cpu_at_const(call->in[0].data, r * n, type);
        const double norm = sqrt(cpu_row_dot(x, x, n, type, type));
        const float factor = (float)(1.0 / (norm < s->eps ? s->eps : norm));
        norms[r] = (float)norm;
        scale_row(x, cpu_at(call->out[0].data, r * n, type), n, factor, type);
    }
}
CPU_TYPED(normalize)

CPU_PREPARE(l2_normalize)
{
    const wisp_l2_normalize_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0];
    WISP_TRY(begin(device, request, kernel, err));
    ((length_state *)(*kernel)->state)->eps = attrs->eps;
    cpu_plan_add(*kernel, CPU_PICK(normalize, x->dtype), cpu_rows(x),
                 2.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}

/* y = a * u + b * v */
CPU_INLINE void mix_row(const void *u, const void *v, void *y, int64_t n, float a, float b,
                        const int type)
{
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        cpu_store(y, i, a * cpu_load(u, i, type) + b * cpu_load(v, i, type), type);
}

/* A row shorter than eps was divided by the constant eps. */
CPU_INLINE void normalize_grad(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const length_state *s = call->state;
    const int64_t n = s->channels;
    const float *norms = call->in[2].data;
    for (int64_t r = first; r < last; r++) {
        const void *dy = cpu_at_const(call->in[0].data, r * n, type);
        const void *y = cpu_at_const(call->in[1].data, r * n, type);
        void *dx = cpu_at(call->out[0].data, r * n, type);
        const double norm = (double)norms[r];
        if (norm >= s->eps) {
            const double dot = cpu_row_dot(dy, y, n, type, type);
            mix_row(dy, y, dx, n, (float)(1.0 / norm), (float)(-dot / norm), type);
        } else {
            scale_row(dy, dx, n, (float)(1.0 / s->eps), type);
        }
    }
}
CPU_TYPED(normalize_grad)

CPU_PREPARE(l2_normalize_grad)
{
    const wisp_l2_normalize_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[0];
    WISP_TRY(begin(device, request, kernel, err));
    ((length_state *)(*kernel)->state)->eps = attrs->eps;
    cpu_plan_add(*kernel, CPU_PICK(normalize_grad, dy->dtype), cpu_rows(dy),
                 3.0 * (double)wisp_desc_bytes(dy));
    return WISP_OK;
}

/* --- Weight normalisation: w = g * v / |v| --- */

static void weigh(const cpu_call *call, int64_t first, int64_t last)
{
    const length_state *s = call->state;
    const int64_t n = s->channels;
    const float *v = call->in[0].data, *g = call->in[1].data;
    float *w = call->out[0].data, *norms = call->out[1].data;
    for (int64_t r = first; r < last; r++) {
        const double norm = sqrt(cpu_row_dot(v + r * n, v + r * n, n, WISP_F32, WISP_F32));
        norms[r] = (float)norm;
        scale_row(v + r * n, w + r * n, n, (float)((double)g[r] / norm), WISP_F32);
    }
}

CPU_PREPARE(weight_norm)
{
    const wisp_desc *v = request->in[0];
    CPU_NEED(v->dtype == WISP_F32, "needs f32");
    WISP_TRY(begin(device, request, kernel, err));
    cpu_plan_add(*kernel, weigh, cpu_rows(v), 2.0 * (double)wisp_desc_bytes(v));
    return WISP_OK;
}

static void weigh_grad(const cpu_call *call, int64_t first, int64_t last)
{
    const length_state *s = call->state;
    const int64_t n = s->channels;
    const float *dw = call->in[0].data, *v = call->in[1].data, *g = call->in[2].data,
                *norms = call->in[3].data;
    float *dv = call->out[0].data, *dg = s->want_gain ? call->out[1].data : NULL;
    for (int64_t r = first; r < last; r++) {
        const double norm = (double)norms[r];
        const double dot = cpu_row_dot(dw + r * n, v + r * n, n, WISP_F32, WISP_F32) / norm;
        const double factor = (double)g[r] / norm;
        mix_row(dw + r * n, v + r * n, dv + r * n, n, (float)factor, (float)(-factor * dot / norm),
                WISP_F32);
        if (dg)
            dg[r] = (float)dot;
    }
}

CPU_PREPARE(weight_norm_grad)
{
    const wisp_desc *dw = request->in[0];
    CPU_NEED(dw->dtype == WISP_F32, "needs f32");
    WISP_TRY(begin(device, request, kernel, err));
    ((length_state *)(*kernel)->state)->want_gain = cpu_out(request, 1) != NULL;
    cpu_plan_add(*kernel, weigh_grad, cpu_rows(dw), 3.0 * (double)wisp_desc_bytes(dw));
    return WISP_OK;
}
