/* cpu_batch_norm.c - batch normalisation with the residual sum and the activation in the same
 * pass. */
#include <math.h>

#include "cpu_channels.h"

typedef struct norm_state {
    cpu_plan plan;
    cpu_channels c;
    double eps;
} norm_state;

enum { IN_X, IN_MEAN, IN_VAR, IN_GAMMA, IN_BETA, IN_RESIDUAL };

/* Scratch holds mean, factor and offset, each repeated to the wide row. */
static void expand(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const norm_state *s = call->state;
    const float *mean = call->in[IN_MEAN].data, *var = call->in[IN_VAR].data;
    const float *gamma = call->in[IN_GAMMA].data, *beta = call->in[IN_BETA].data;
    float *shift = (float *)call->scratch, *factor = shift + s->c.wide,
          *offset = factor + s->c.wide;
    for (int64_t i = 0; i < s->c.channels; i++) {
        const double scale = 1.0 / sqrt((double)var[i] + s->eps);
        shift[i] = mean[i];
        factor[i] = (float)(gamma ? scale * (double)gamma[i] : scale);
        offset[i] = beta ? beta[i] : 0.0f;
    }
    cpu_channels_repeat(&s->c, shift);
    cpu_channels_repeat(&s->c, factor);
    cpu_channels_repeat(&s->c, offset);
}

CPU_INLINE float activate(float v, const int activation)
{
    if (activation == WISP_ACT_NONE)
        return v;
    v = v < 0.0f ? 0.0f : v;
    return activation == WISP_ACT_RELU6 && v > 6.0f ? 6.0f : v;
}

CPU_INLINE void normalize(const cpu_call *call, int64_t first, int64_t last, const int type,
                          const int activation, const int has_residual)
{
    const norm_state *s = call->state;
    const int64_t wide = s->c.wide, group = cpu_channels_group(&s->c);
    const float *restrict shift = (const float *)call->scratch, *restrict factor = shift + wide,
                          *restrict offset = factor + wide;
    const int64_t end = cpu_min(last * group * wide, s->c.total);
    for (int64_t at = first * group * wide; at < end; at += wide) {
        const void *x = cpu_at_const(call->in[IN_X].data, at, type);
        const void *residual =
            has_residual ? cpu_at_const(call->in[IN_RESIDUAL].data, at, type) : NULL;
        void *y = cpu_at(call->out[0].data, at, type);
        const int64_t n = cpu_min(wide, end - at);
        CPU_SIMD
        for (int64_t i = 0; i < n; i++) {
            float v = (cpu_load(x, i, type) - shift[i]) * factor[i] + offset[i];
            if (has_residual)
                v += cpu_load(residual, i, type);
            cpu_store(y, i, activate(v, activation), type);
        }
    }
}

#define DEFINE_NORM(name, activation, has_residual)                                                \
    CPU_INLINE void name(const cpu_call *call, int64_t first, int64_t last, const int type)        \
    {                                                                                              \
        normalize(call, first, last, type, activation, has_residual);                              \
    }                                                                                              \
    CPU_TYPED(name)
DEFINE_NORM(norm_plain, WISP_ACT_NONE, 0)
DEFINE_NORM(norm_relu, WISP_ACT_RELU, 0)
DEFINE_NORM(norm_relu6, WISP_ACT_RELU6, 0)
DEFINE_NORM(norm_sum, WISP_ACT_NONE, 1)
DEFINE_NORM(norm_sum_relu, WISP_ACT_RELU, 1)
DEFINE_NORM(norm_sum_relu6, WISP_ACT_RELU6, 1)

static cpu_body choose(int32_t activation, int has_residual, int32_t type)
{
    switch (activation) {
    case WISP_ACT_NONE:
        return has_residual ? CPU_PICK(norm_sum, type) : CPU_PICK(norm_plain, type);
    case WISP_ACT_RELU:
        return has_residual ? CPU_PICK(norm_sum_relu, type) : CPU_PICK(norm_relu, type);
    case WISP_ACT_RELU6:
        return has_residual ? CPU_PICK(norm_sum_relu6, type) : CPU_PICK(norm_relu6, type);
    default:
        return NULL;
    }
}

CPU_PREPARE(batch_norm)
{
    const wisp_batch_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[IN_X], *residual = cpu_in(request, IN_RESIDUAL);
    CPU_NEED(cpu_is_float(x) && request->out[0]->dtype == x->dtype &&
                 (!residual || residual->dtype == x->dtype),
             "x, residual and y need one type, f32 or bf16");
    cpu_body body = choose(attrs->activation, residual != NULL, x->dtype);
    CPU_NEED(body, "activation %d is not known", attrs->activation);
    WISP_TRY(cpu_plan_create(device, sizeof(norm_state), NULL, kernel, err));
    norm_state *s = (*kernel)->state;
    s->c = cpu_channels_of(cpu_rows(x), cpu_last(x));
    s->eps = attrs->eps;
    (*kernel)->scratch_bytes = (size_t)s->c.wide * 3 * sizeof(float);
    cpu_plan_add(*kernel, expand, 1, 0.0);
    cpu_plan_add(*kernel, body, cpu_channels_units(&s->c),
                 (residual ? 3.0 : 2.0) * (double)wisp_desc_bytes(x));
    return WISP_OK;
}
