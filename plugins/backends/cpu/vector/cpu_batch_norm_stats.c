/* cpu_batch_norm_stats.c - mean and variance per channel, and the running averages of them.
 *
 * One pass over x. Each block of rows sums d = x - s and d * d in f32, where s is the mean of the
 * block before it. Since sum_b (mean_b - mean_(b-1))^2 is at most four times the total variation,
 * what f32 loses is bounded by the variance itself however large the mean is. Blocks meet in
 * double. */
#include "cpu_channels.h"

typedef struct stats_state {
    cpu_plan plan;
    cpu_channels c;
} stats_state;

/* The part of scratch that belongs to a chunk. */
typedef struct stats_part {
    double *sum, *square;
    float *shift, *d, *dd;
} stats_part;

static int64_t part_bytes(const cpu_channels *c)
{
    return (int64_t)cpu_align64((size_t)c->wide * (2 * sizeof(double) + 3 * sizeof(float)));
}

static stats_part part_of(const cpu_call *call, const cpu_channels *c, int64_t chunk)
{
    stats_part p;
    p.sum = (double *)(call->scratch + chunk * part_bytes(c));
    p.square = p.sum + c->wide;
    p.shift = (float *)(p.square + c->wide);
    p.d = p.shift + c->wide;
    p.dd = p.d + c->wide;
    return p;
}

/* The first block has none before it: its shift is the mean of every eighth of its rows. */
CPU_INLINE void first_shift(const void *x, int64_t wide, int64_t rows, float *restrict shift,
                            const int type)
{
    memset(shift, 0, (size_t)wide * sizeof *shift);
    int64_t n = 0;
    for (int64_t r = 0; r < rows; r += 8, n++) {
        const void *row = cpu_at_const(x, r * wide, type);
        CPU_SIMD
        for (int64_t i = 0; i < wide; i++)
            shift[i] += cpu_load(row, i, type);
    }
    const float scale = 1.0f / (float)n;
    CPU_SIMD
    for (int64_t i = 0; i < wide; i++)
        shift[i] *= scale;
}

CPU_INLINE void sum_rows(const void *x, int64_t wide, int64_t rows, const float *restrict shift,
                         float *restrict d, float *restrict dd, const int type)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const void *row = cpu_at_const(x, r * wide, type);
        CPU_SIMD
        for (int64_t i = 0; i < wide; i++) {
            const float s = shift[i];
            const float d0 = cpu_load(row, i, type) - s, d1 = cpu_load(row, i + wide, type) - s,
                        d2 = cpu_load(row, i + 2 * wide, type) - s,
                        d3 = cpu_load(row, i + 3 * wide, type) - s;
            d[i] += (d0 + d1) + (d2 + d3);
            dd[i] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; r < rows; r++) {
        const void *row = cpu_at_const(x, r * wide, type);
        CPU_SIMD
        for (int64_t i = 0; i < wide; i++) {
            const float d0 = cpu_load(row, i, type) - shift[i];
            d[i] += d0;
            dd[i] += d0 * d0;
        }
    }
}

/* Adds a block's sums to the chunk's, and leaves the block's mean as the next shift. */
CPU_INLINE void close_block(const stats_part *p, int64_t wide, int64_t rows)
{
    double *restrict sum = p->sum, *restrict square = p->square;
    float *restrict shift = p->shift, *restrict d = p->d, *restrict dd = p->dd;
    const double n = (double)rows;
    const float inverse = 1.0f / (float)rows;
    CPU_SIMD
    for (int64_t i = 0; i < wide; i++) {
        const double s = (double)shift[i], e = (double)d[i];
        sum[i] += n * s + e;
        square[i] += (double)dd[i] + s * (2.0 * e + n * s);
        shift[i] += d[i] * inverse;
        d[i] = 0.0f;
        dd[i] = 0.0f;
    }
}

CPU_INLINE void sum_chunks(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const stats_state *s = call->state;
    const cpu_channels *c = &s->c;
    for (int64_t chunk = first; chunk < last; chunk++) {
        const stats_part p = part_of(call, c, chunk);
        int64_t row = cpu_cut(c->wide_rows, c->chunks, chunk);
        const int64_t end = cpu_cut(c->wide_rows, c->chunks, chunk + 1);
        memset(p.sum, 0, (size_t)part_bytes(c));
        for (int64_t n, begin = row; row < end; row += n) {
            n = cpu_min(CPU_CHANNEL_BLOCK_ROWS, end - row);
            const void *x = cpu_at_const(call->in[0].data, row * c->wide, type);
            if (row == begin)
                first_shift(x, c->wide, n, p.shift, type);
            sum_rows(x, c->wide, n, p.shift, p.d, p.dd, type);
            close_block(&p, c->wide, n);
        }
    }
}
CPU_TYPED(sum_chunks)

CPU_INLINE void finish(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const stats_state *s = call->state;
    const cpu_channels *c = &s->c;
    const stats_part p = part_of(call, c, 0);
    const int64_t stride = part_bytes(c) / (int64_t)sizeof(double);
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
    (*kernel)->scratch_bytes = (size_t)(part_bytes(&s->c) * s->c.chunks);
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
