/* cpu_batch_norm_stats.c - mean and variance per channel, and the running averages of them.
 *
 * One pass over x. */
#include "cpu_channels.h"
#include "cpu_moments.h"

typedef struct stats_state {
    cpu_plan plan;
    cpu_channels c;
} stats_state;

/* The part of scratch that belongs to a chunk. */
static cpu_moments part_of(const cpu_call *call, const cpu_channels *c, int64_t chunk)
{
    return cpu_moments_at(call->scratch + chunk * cpu_moments_bytes(c->wide), c->wide);
}

CPU_INLINE void sum_chunks(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const stats_state *s = call->state;
    const cpu_channels *c = &s->c;
    for (int64_t chunk = first; chunk < last; chunk++) {
        const cpu_moments p = part_of(call, c, chunk);
        int64_t row = cpu_cut(c->wide_rows, c->chunks, chunk);
        const int64_t end = cpu_cut(c->wide_rows, c->chunks, chunk + 1);
        memset(p.sum, 0, (size_t)cpu_moments_bytes(c->wide));
        for (int64_t n, begin = row; row < end; row += n) {
            n = cpu_min(CPU_CHANNEL_BLOCK_ROWS, end - row);
            const void *x = cpu_at_const(call->in[0].data, row * c->wide, type);
            if (row == begin)
                cpu_moments_begin(&p, x, c->wide, n, type);
            cpu_moments_add(&p, x, c->wide, n, type);
        }
    }
}
CPU_TYPED(sum_chunks)

CPU_INLINE void finish(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const stats_state *s = call->state;
    const cpu_channels *c = &s->c;
    const cpu_moments p = part_of(call, c, 0);
    const int64_t stride = cpu_moments_bytes(c->wide) / (int64_t)sizeof(double);
    float *mean = call->out[0].data, *var = call->out[1].data;
    const double n = c->rows > 0 ? (double)c->rows : 1.0;
    for (int64_t i = first; i < last; i++) {
        double sum = cpu_channels_total(c, p.sum, stride, i);
        double square = cpu_channels_total(c, p.square, stride, i);
        for (int64_t k = c->wide_rows * c->wide + i; k < c->total; k += c->channels) {
            const double v = (double)cpu_load(call->in[0].data, k, type);
            sum += v;
            square += v * v;
        }
        const double m = sum / n, variance = square / n - m * m;
        mean[i] = (float)m;
        var[i] = variance > 0.0 || variance != variance ? (float)variance : 0.0f;
    }
}
CPU_TYPED(finish)

CPU_PREPARE(channel_stats)
{
    const wisp_desc *x = request->in[0];
    CPU_NEED(cpu_is_float(x), "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(stats_state), NULL, kernel, err));
    stats_state *s = (*kernel)->state;
    s->c = cpu_channels_of(cpu_rows(x), cpu_last(x));
    (*kernel)->scratch_bytes = (size_t)(cpu_moments_bytes(s->c.wide) * s->c.chunks);
    cpu_plan_add(*kernel, CPU_PICK(sum_chunks, x->dtype), s->c.chunks, (double)wisp_desc_bytes(x));
    cpu_plan_add(*kernel, CPU_PICK(finish, x->dtype), s->c.channels,
                 16.0 * (double)(s->c.chunks * s->c.wide));
    return WISP_OK;
}

typedef struct running_state {
    cpu_plan plan;
    int64_t channels;
    float keep, take, take_unbiased;
} running_state;

static void update_running(const cpu_call *call, int64_t first, int64_t last)
{
    const running_state *s = call->state;
    const float *mean = call->in[0].data, *var = call->in[1].data;
    const float *old_mean = call->in[2].data, *old_var = call->in[3].data;
    float *running_mean = call->out[0].data, *running_var = call->out[1].data;
    const float keep = s->keep, take = s->take, take_unbiased = s->take_unbiased;
    CPU_SIMD
    for (int64_t i = first; i < last; i++) {
        running_mean[i] = keep * old_mean[i] + take * mean[i];
        running_var[i] = keep * old_var[i] + take_unbiased * var[i];
    }
}

CPU_PREPARE(running_update)
{
    const wisp_running_attrs *attrs = request->attrs;
    WISP_TRY(cpu_plan_create(device, sizeof(running_state), NULL, kernel, err));
    running_state *s = (*kernel)->state;
    const double n = (double)attrs->count;
    s->channels = wisp_desc_count(request->in[0]);
    s->keep = (float)(1.0 - attrs->momentum);
    s->take = (float)attrs->momentum;
    s->take_unbiased = (float)(attrs->momentum * (n > 1.0 ? n / (n - 1.0) : 1.0));
    cpu_plan_add(*kernel, update_running, s->channels, 24.0 * (double)s->channels);
    return WISP_OK;
}
