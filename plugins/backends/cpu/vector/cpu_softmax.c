/* cpu_softmax.c - probabilities and log-probabilities of rows, and their gradient. */
#include "cpu_logits.h"

typedef struct softmax_state {
    cpu_plan plan;
    int64_t n;
    float scale;
    int32_t has_scale;
} softmax_state;

static float scale_of(const cpu_call *call)
{
    const softmax_state *s = call->state;
    return s->has_scale ? s->scale * *(const float *)call->in[2].data : s->scale;
}

/* Exponentials go to y (f32) on the way to their sum, and are divided by it afterwards. */
CPU_INLINE void divide_stored(const cpu_logits *row, float *restrict y, float max, const int type,
                              const int has_shift)
{
    const cpu_logits r = *row;
    double total = 0;
    for (int64_t at = 0; at < r.n; at += CPU_SUM_BLOCK) {
        const int64_t end = cpu_min(at + CPU_SUM_BLOCK, r.n);
        float sum = 0;
        CPU_SIMD_SUM(sum)
        for (int64_t i = at; i < end; i++) {
            const float e = cpu_exp_low(cpu_logit(&r, i, type, has_shift) - max);
            y[i] = e;
            sum += e;
        }
        total += (double)sum;
    }
    const float factor = (float)(1.0 / total);
    CPU_SIMD
    for (int64_t i = 0; i < r.n; i++)
        y[i] *= factor;
}

/* A bf16 y cannot hold the exponentials in between, so they are computed twice. */
CPU_INLINE void divide_again(const cpu_logits *row, void *y, float max, const int type,
                             const int has_shift)
{
    const cpu_logits r = *row;
    const float factor = (float)(1.0 / cpu_logits_sum(row, max, type, has_shift));
    CPU_SIMD
    for (int64_t i = 0; i < r.n; i++)
        cpu_store(y, i, cpu_exp_low(cpu_logit(&r, i, type, has_shift) - max) * factor, WISP_BF16);
}

CPU_INLINE void take_log(const cpu_logits *row, void *y, float max, const int type,
                         const int has_shift, const int out_type)
{
    const cpu_logits r = *row;
    const float log_sum = (float)log(cpu_logits_sum(row, max, type, has_shift));
    CPU_SIMD
    for (int64_t i = 0; i < r.n; i++)
        cpu_store(y, i, (cpu_logit(&r, i, type, has_shift) - max) - log_sum, out_type);
}

CPU_INLINE void softmax_rows(const cpu_call *call, int64_t first, int64_t last, const int type,
                             const int out_type, const int has_shift, const int is_log)
{
    const softmax_state *s = call->state;
    cpu_logits row = {NULL, has_shift ? call->in[1].data : NULL, s->n, scale_of(call)};
    for (int64_t r = first; r < last; r++) {
        row.x = cpu_at_const(call->in[0].data, r * s->n, type);
        void *y = cpu_at(call->out[0].data, r * s->n, out_type);
        const float max = cpu_logits_max(&row, type, has_shift);
        if (is_log)
            take_log(&row, y, max, type, has_shift, out_type);
        else if (out_type == WISP_F32)
            divide_stored(&row, y, max, type, has_shift);
        else
            divide_again(&row, y, max, type, has_shift);
    }
}

#define DEFINE_SOFTMAX(name, has_shift, is_log)                                                    \
    CPU_INLINE void name(const cpu_call *call, int64_t first, int64_t last, const int type,        \
                         const int out_type)                                                       \
    {                                                                                              \
        softmax_rows(call, first, last, type, out_type, has_shift, is_log);                        \
    }                                                                                              \
    CPU_TYPED2(name)
DEFINE_SOFTMAX(softmax_plain, 0, 0)
DEFINE_SOFTMAX(softmax_shifted, 1, 0)
DEFINE_SOFTMAX(log_plain, 0, 1)
DEFINE_SOFTMAX(log_shifted, 1, 1)

CPU_PREPARE(softmax)
{
    const wisp_softmax_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *y = request->out[0];
    CPU_NEED(cpu_is_float(x) && cpu_is_float(y), "needs f32 or bf16");
    const int shifted = cpu_in(request, 1) != NULL;
    cpu_body body;
    if (attrs->log)
        body = shifted ? CPU_PICK2(log_shifted, x->dtype, y->dtype)
                       : CPU_PICK2(log_plain, x->dtype, y->dtype);
    else
        body = shifted ? CPU_PICK2(softmax_shifted, x->dtype, y->dtype)
                       : CPU_PICK2(softmax_plain, x->dtype, y->dtype);
    WISP_TRY(cpu_plan_create(device, sizeof(softmax_state), NULL, kernel, err));
    softmax_state *s = (*kernel)->state;
    s->n = cpu_last(x);
    s->scale = (float)attrs->scale;
    s->has_scale = cpu_in(request, 2) != NULL;
    cpu_plan_add(*kernel, body, cpu_rows(x), 8.0 * (double)wisp_desc_count(x));
    return WISP_OK;
}

CPU_INLINE void differentiate(const cpu_call *call, int64_t first, int64_t last, const int type,
                              const int is_log)
{
    const softmax_state *s = call->state;
    const int64_t n = s->n;
    const float scale = scale_of(call);
    for (int64_t r = first; r < last; r++) {
        const void *dy = cpu_at_const(call->in[0].data, r * n, type);
        const void *y = cpu_at_const(call->in[1].data, r * n, type);
        void *dx = cpu_at(call->out[0].data, r * n, type);
        const float sum =
            (float)(is_log ? cpu_row_sum(dy, n, type) : cpu_row_dot(dy, y, n, type, type));
        CPU_SIMD
        for (int64_t i = 0; i < n; i++) {
            const float d = cpu_load(dy, i, type), v = cpu_load(y, i, type);
            cpu_store(dx, i, scale * (is_log ? d - cpu_exp_low(v) * sum : v * (d - sum)), type);
        }
    }
}

CPU_INLINE void grad_plain(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    differentiate(call, first, last, type, 0);
}
CPU_TYPED(grad_plain)

CPU_INLINE void grad_log(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    differentiate(call, first, last, type, 1);
}
CPU_TYPED(grad_log)

CPU_PREPARE(softmax_grad)
{
    const wisp_softmax_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[0];
    CPU_NEED(cpu_is_float(dy) && request->in[1]->dtype == dy->dtype &&
                 request->out[0]->dtype == dy->dtype,
             "dy, y and dx need one type, f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(softmax_state), NULL, kernel, err));
    softmax_state *s = (*kernel)->state;
    s->n = cpu_last(dy);
    s->scale = (float)attrs->scale;
    s->has_scale = cpu_in(request, 2) != NULL;
    cpu_plan_add(*kernel,
                 attrs->log ? CPU_PICK(grad_log, dy->dtype) : CPU_PICK(grad_plain, dy->dtype),
                 cpu_rows(dy), 3.0 * (double)wisp_desc_bytes(dy));
    return WISP_OK;
}
