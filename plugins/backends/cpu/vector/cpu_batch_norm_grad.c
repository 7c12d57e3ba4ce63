/* cpu_batch_norm_grad.c - the two gradient passes of batch normalisation: sums over the rows, then
 * the gradient of x. Both mask dy by the activation's result as they read it. */
#include <math.h>

#include "cpu_channels.h"

typedef struct norm_grad_state {
    cpu_plan plan;
    cpu_channels c;
    double eps;
    int64_t count;
} norm_grad_state;

enum { IN_DY, IN_X, IN_Y, IN_MEAN, IN_VAR, IN_GAMMA, IN_DBETA, IN_DGAMMA };

CPU_INLINE float masked(const void *dy, const void *y, int64_t i, const int type,
                        const int activation)
{
    const float g = cpu_load(dy, i, type);
    if (activation == WISP_ACT_NONE)
        return g;
    const float v = cpu_load(y, i, type);
    if (activation == WISP_ACT_RELU)
        return v > 0.0f ? g : 0.0f;
    return v > 0.0f ? (v < 6.0f ? g : 0.0f) : 0.0f;
}

/* --- Sums --- */

/* The part of scratch that belongs to a chunk; the means of the wide row come before the first. */
typedef struct grad_part {
    double *sum, *product;
    float *g, *gx;
} grad_part;

static int64_t part_bytes(const cpu_channels *c)
{
    return (int64_t)cpu_align64((size_t)c->wide * (2 * sizeof(double) + 2 * sizeof(float)));
}

static int64_t mean_bytes(const cpu_channels *c)
{
    return (int64_t)cpu_align64((size_t)c->wide * sizeof(float));
}

static grad_part part_of(const cpu_call *call, const cpu_channels *c, int64_t chunk)
{
    grad_part p;
    p.sum = (double *)(call->scratch + mean_bytes(c) + chunk * part_bytes(c));
    p.product = p.sum + c->wide;
    p.g = (float *)(p.product + c->wide);
    p.gx = p.g + c->wide;
    return p;
}

static void repeat_mean(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const norm_grad_state *s = call->state;
    float *mean = (float *)call->scratch;
    memcpy(mean, call->in[IN_MEAN].data, (size_t)s->c.channels * sizeof *mean);
    cpu_channels_repeat(&s->c, mean);
}

CPU_INLINE void sum_rows(const cpu_call *call, int64_t at, int64_t wide, int64_t rows,
                         const grad_part *p, const int type, const int activation)
{
    const float *restrict mean = (const float *)call->scratch;
    const void *dy = cpu_at_const(call->in[IN_DY].data, at, type);
    const void *x = cpu_at_const(call->in[IN_X].data, at, type);
    const void *y =
        activation == WISP_ACT_NONE ? NULL : cpu_at_const(call->in[IN_Y].data, at, type);
    float *restrict g = p->g, *restrict gx = p->gx;
    int64_t r = 0;
    for (; r + 2 <= rows; r += 2) {
        const int64_t a = r * wide, b = a + wide;
        CPU_SIMD
        for (int64_t i = 0; i < wide; i++) {
            const float g0 = masked(dy, y, a + i, type, activation);
            const float g1 = masked(dy, y, b + i, type, activation);
            g[i] += g0 + g1;
            gx[i] += g0 * (cpu_load(x, a + i, type) - mean[i]) +
                     g1 * (cpu_load(x, b + i, type) - mean[i]);
        }
    }
    for (; r < rows; r++) {
        const int64_t a = r * wide;
        CPU_SIMD
        for (int64_t i = 0; i < wide; i++) {
            const float g0 = masked(dy, y, a + i, type, activation);
            g[i] += g0;
            gx[i] += g0 * (cpu_load(x, a + i, type) - mean[i]);
        }
    }
}

CPU_INLINE void close_block(const grad_part *p, int64_t wide)
{
    double *restrict sum = p->sum, *restrict product = p->product;
    float *restrict g = p->g, *restrict gx = p->gx;
    CPU_SIMD
    for (int64_t i = 0; i < wide; i++) {
        sum[i] += (double)g[i];
        product[i] += (double)gx[i];
        g[i] = 0.0f;
        gx[i] = 0.0f;
    }
}

CPU_INLINE void sum_chunks(const cpu_call *call, int64_t first, int64_t last, const int type,
                           const int activation)
{
    const norm_grad_state *s = call->state;
    const cpu_channels *c = &s->c;
    for (int64_t chunk = first; chunk < last; chunk++) {
        const grad_part p = part_of(call, c, chunk);
        const int64_t end = cpu_cut(c->wide_rows, c->chunks, chunk + 1);
        memset(p.sum, 0, (size_t)part_bytes(c));
        for (int64_t n, row = cpu_cut(c->wide_rows, c->chunks, chunk); row < end; row += n) {
            n = cpu_min(CPU_CHANNEL_BLOCK_ROWS, end - row);
            sum_rows(call, row * c->wide, c->wide, n, &p, type, activation);
            close_block(&p, c->wide);
        }
    }
}

CPU_INLINE void finish(const cpu_call *call, int64_t first, int64_t last, const int type,
                       const int activation)
{
    const norm_grad_state *s = call->state;
    const cpu_channels *c = &s->c;
    const grad_part p = part_of(call, c, 0);
    const int64_t stride = part_bytes(c) / (int64_t)sizeof(double);
    const float *mean = call->in[IN_MEAN].data, *var = call->in[IN_VAR].data;
    float *dbeta = call->out[0].data, *dgamma = call->out[1].data;
    for (int64_t i = first; i < last; i++) {
        double sum = cpu_channels_total(c, p.sum, stride, i);
        double product = cpu_channels_total(c, p.product, stride, i);
        for (int64_t k = c->wide_rows * c->wide + i; k < c->total; k += c->channels) {
            const double g =
                (double)masked(call->in[IN_DY].data, call->in[IN_Y].data, k, type, activation);
            sum += g;
            product += g * ((double)cpu_load(call->in[IN_X].data, k, type) - (double)mean[i]);
        }
        dbeta[i] = (float)sum;
        dgamma[i] = (float)(product / sqrt((double)var[i] + s->eps));
    }
}

#define DEFINE_STATS(name, activation)                                                             \
    CPU_INLINE void sum_##name(const cpu_call *call, int64_t first, int64_t last, const int type)  \
    {                                                                                              \
        sum_chunks(call, first, last, type, activation);                                           \
    }                                                                                              \
    CPU_TYPED(sum_##name)                                                                          \
    CPU_INLINE void finish_##name(const cpu_call *call, int64_t first, int64_t last,               \
                                  const int type)                                                  \
    {                                                                                              \
        finish(call, first, last, type, activation);                                               \
    }                                                                                              \
    CPU_TYPED(finish_##name)
DEFINE_STATS(plain, WISP_ACT_NONE)
DEFINE_STATS(relu, WISP_ACT_RELU)
DEFINE_STATS(relu6, WISP_ACT_RELU6)

#define PICK_ACTIVATION(prefix, activation, type)                                                  \
    ((activation) == WISP_ACT_NONE   ? CPU_PICK(prefix##_plain, type)                              \
     : (activation) == WISP_ACT_RELU ? CPU_PICK(prefix##_relu, type)                               \
                                     : CPU_PICK(prefix##_relu6, type))

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request,
                         wisp_kernel **kernel, wisp_error *err)
{
    const wisp_batch_norm_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[IN_DY], *x = request->in[IN_X], *y = cpu_in(request, IN_Y);
    CPU_NEED(cpu_is_float(dy) && x->dtype == dy->dtype && (!y || y->dtype == dy->dtype),
             "dy, x and y need one type, f32 or bf16");
    CPU_NEED(attrs->activation >= WISP_ACT_NONE && attrs->activation <= WISP_ACT_RELU6,
             "activation %d is not known", attrs->activation);
    CPU_NEED(y || attrs->activation == WISP_ACT_NONE, "y is needed with an activation");
    WISP_TRY(cpu_plan_create(device, sizeof(norm_grad_state), NULL, kernel, err));
    norm_grad_state *s = (*kernel)->state;
    s->c = cpu_channels_of(cpu_rows(x), cpu_last(x));
    s->eps = attrs->eps;
    s->count = attrs->count;
    return WISP_OK;
}

CPU_PREPARE(batch_norm_grad_stats)
{
    const wisp_batch_norm_attrs *attrs = request->attrs;
    WISP_TRY(begin(device, request, kernel, err));
    const norm_grad_state *s = (*kernel)->state;
    const int32_t type = request->in[IN_X]->dtype, activation = attrs->activation;
    (*kernel)->scratch_bytes = (size_t)(mean_bytes(&s->c) + part_bytes(&s->c) * s->c.chunks);
    cpu_plan_add(*kernel, repeat_mean, 1, 0.0);
    cpu_plan_add(*kernel, PICK_ACTIVATION(sum, activation, type), s->c.chunks,
                 3.0 * (double)wisp_desc_bytes(request->in[IN_X]));
    cpu_plan_add(*kernel, PICK_ACTIVATION(finish, activation, type), s->c.channels,
                 16.0 * (double)(s->c.chunks * s->c.wide));
    return WISP_OK;
}

/* --- Gradient of x: a * g + b * (x - mean) + d with per-channel a, b, d --- */

static void expand(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const norm_grad_state *s = call->state;
    const float *means = call->in[IN_MEAN].data, *var = call->in[IN_VAR].data;
    const float *gamma = call->in[IN_GAMMA].data;
    const float *dbeta = call->in[IN_DBETA].data, *dgamma = call->in[IN_DGAMMA].data;
    const int64_t wide = s->c.wide;
    float *mean = (float *)call->scratch, *a = mean + wide, *b = a + wide, *d = b + wide;
    for (int64_t i = 0; i < s->c.channels; i++) {
        const double scale = 1.0 / sqrt((double)var[i] + s->eps);
        const double factor = gamma ? scale * (double)gamma[i] : scale;
        mean[i] = means[i];
        a[i] = (float)factor;
        b[i] = d[i] = 0.0f;
        if (s->count > 0) {
            b[i] = (float)(-factor * scale * (double)dgamma[i] / (double)s->count);
            d[i] = (float)(-factor * (double)dbeta[i] / (double)s->count);
        }
    }
    cpu_channels_repeat(&s->c, mean);
    cpu_channels_repeat(&s->c, a);
    cpu_channels_repeat(&s->c, b);
    cpu_channels_repeat(&s->c, d);
}

CPU_INLINE void differentiate(const cpu_call *call, int64_t first, int64_t last, const int type,
                              const int activation, const int is_constant, const int has_residual)
{
    const norm_grad_state *s = call->state;
    const int64_t wide = s->c.wide, group = cpu_channels_group(&s->c);
    const float *restrict mean = (const float *)call->scratch, *restrict a = mean + wide,
                          *restrict b = a + wide, *restrict d = b + wide;
    const int64_t end = cpu_min(last * group * wide, s->c.total);
    for (int64_t at = first * group * wide; at < end; at += wide) {
        const void *dy = cpu_at_const(call->in[IN_DY].data, at, type);
        const void *x = cpu_at_const(call->in[IN_X].data, at, type);
        const void *y =
            activation == WISP_ACT_NONE ? NULL : cpu_at_const(call->in[IN_Y].data, at, type);
        void *dx = cpu_at(call->out[0].data, at, type);
        void *dresidual = has_residual ? cpu_at(call->out[1].data, at, type) : NULL;
        const int64_t n = cpu_min(wide, end - at);
        CPU_SIMD
        for (int64_t i = 0; i < n; i++) {
            const float g = masked(dy, y, i, type, activation);
            if (has_residual)
                cpu_store(dresidual, i, g, type);
            float v = a[i] * g;
            if (!is_constant)
                v += b[i] * (cpu_load(x, i, type) - mean[i]) + d[i];
            cpu_store(dx, i, v, type);
        }
    }
}

#define DEFINE_GRAD(prefix, is_constant, has_residual, name, activation)                           \
    CPU_INLINE void prefix##_##name(const cpu_call *call, int64_t first, int64_t last,             \
                                    const int type)                                                \
    {                                                                                              \
        differentiate(call, first, last, type, activation, is_constant, has_residual);             \
    }                                                                                              \
    CPU_TYPED(prefix##_##name)
#define DEFINE_GRADS(prefix, is_constant, has_residual)                                            \
    DEFINE_GRAD(prefix, is_constant, has_residual, plain, WISP_ACT_NONE)                           \
    DEFINE_GRAD(prefix, is_constant, has_residual, relu, WISP_ACT_RELU)                            \
    DEFINE_GRAD(prefix, is_constant, has_residual, relu6, WISP_ACT_RELU6)
DEFINE_GRADS(train, 0, 0)
DEFINE_GRADS(train_sum, 0, 1)
DEFINE_GRADS(eval, 1, 0)
DEFINE_GRADS(eval_sum, 1, 1)

CPU_PREPARE(batch_norm_grad_input)
{
    const wisp_batch_norm_attrs *attrs = request->attrs;
    WISP_TRY(begin(device, request, kernel, err));
    const norm_grad_state *s = (*kernel)->state;
    const int32_t type = request->in[IN_X]->dtype, act = attrs->activation;
    const int has_residual = attrs->want_residual && cpu_out(request, 1);
    cpu_body body;
    if (s->count > 0)
        body = has_residual ? PICK_ACTIVATION(train_sum, act, type)
                            : PICK_ACTIVATION(train, act, type);
    else
        body =
            has_residual ? PICK_ACTIVATION(eval_sum, act, type) : PICK_ACTIVATION(eval, act, type);
    (*kernel)->scratch_bytes = (size_t)s->c.wide * 4 * sizeof(float);
    cpu_plan_add(*kernel, expand, 1, 0.0);
    cpu_plan_add(*kernel, body, cpu_channels_units(&s->c),
                 4.0 * (double)wisp_desc_bytes(request->in[IN_X]));
    return WISP_OK;
}
