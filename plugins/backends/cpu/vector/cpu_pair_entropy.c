/* cpu_pair_entropy.c - cross-entropies between soft targets and the predictions of several views.
 *
 * A unit is one sample: its rows in all views and all targets. Rows are walked in tiles, so a tile
 * of the targets is read from memory once and met by every view while it is in the cache; each
 * logit is read once. The largest value of a row is found on the way (the sum of exponentials is
 * rescaled when a tile brings a larger one). */
#include "cpu_logits.h"

typedef struct pair_state {
    cpu_plan plan;
    int64_t samples, classes, views, targets;
    double scale;
} pair_state;

enum { TILE = 2048 };

/* What a sample keeps in scratch. */
typedef struct sample_part {
    double *max, *sum; /* (V) */
    double *mass;      /* (G): sum of the targets */
    double *dot;       /* (G,V): target . z, at the end the sample's cross-entropy */
} sample_part;

static int64_t part_doubles(const pair_state *s)
{
    return 2 * s->views + s->targets + s->targets * s->views;
}

static sample_part part_of(const cpu_call *call, int64_t b)
{
    const pair_state *s = call->state;
    sample_part p;
    p.max = (double *)call->scratch + b * part_doubles(s);
    p.sum = p.max + s->views;
    p.mass = p.sum + s->views;
    p.dot = p.mass + s->targets;
    return p;
}

static int is_in_a_pair(const float *weights, const pair_state *s, int64_t v)
{
    for (int64_t g = 0; g < s->targets; g++)
        if (weights[g * s->views + v] != 0.0f)
            return 1;
    return 0;
}

/* Adds a tile z of a row to its running sum of exponentials relative to its running maximum. */
static void add_exponentials(const float *restrict z, int64_t n, double *row_max, double *row_sum)
{
    float max = -INFINITY, sum = 0;
    CPU_SIMD_MAX(max)
    for (int64_t i = 0; i < n; i++)
        max = z[i] > max ? z[i] : max;
    if ((double)max > *row_max) {
        *row_sum *= exp(*row_max - (double)max);
        *row_max = (double)max;
    }
    max = (float)*row_max;
    if (max == -INFINITY)
        return;
    CPU_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += cpu_exp_low(z[i] - max);
    *row_sum += (double)sum;
}

/* z . targets, where the targets begin at element `at` */
CPU_INLINE double tile_dot(const float *restrict z, const void *targets, int64_t at, int64_t n,
                           const int target_type)
{
    float sum = 0;
    CPU_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += z[i] * cpu_load(targets, at + i, target_type);
    return (double)sum;
}

CPU_INLINE double tile_sum(const void *targets, int64_t at, int64_t n, const int target_type)
{
    float sum = 0;
    CPU_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += cpu_load(targets, at + i, target_type);
    return (double)sum;
}

CPU_INLINE void measure_tile(const cpu_call *call, int64_t b, int64_t k, int64_t n,
                             const sample_part *p, const int type, const int target_type)
{
    const pair_state *s = call->state;
    const float *weights = call->in[2].data;
    const void *targets = call->in[1].data;
    const float scale = (float)s->scale;
    float z[TILE];
    for (int64_t g = 0; g < s->targets; g++)
        p->mass[g] += tile_sum(targets, (g * s->samples + b) * s->classes + k, n, target_type);
    for (int64_t v = 0; v < s->views; v++) {
        if (!is_in_a_pair(weights, s, v))
            continue;
        const void *x = cpu_at_const(call->in[0].data, (v * s->samples + b) * s->classes + k, type);
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            z[i] = cpu_load(x, i, type) * scale;
        add_exponentials(z, n, &p->max[v], &p->sum[v]);
        for (int64_t g = 0; g < s->targets; g++)
            if (weights[g * s->views + v] != 0.0f)
                p->dot[g * s->views + v] +=
                    tile_dot(z, targets, (g * s->samples + b) * s->classes + k, n, target_type);
    }
}

static void close_sample(const cpu_call *call, int64_t b, const sample_part *p)
{
    const pair_state *s = call->state;
    const float *weights = call->in[2].data;
    float *lses = call->out[2].data;
    for (int64_t v = 0; v < s->views; v++) {
        const double lse = is_in_a_pair(weights, s, v) ? p->max[v] + log(p->sum[v]) : 0.0;
        lses[v * s->samples + b] = (float)lse;
        for (int64_t g = 0; g < s->targets; g++)
            if (weights[g * s->views + v] != 0.0f)
                p->dot[g * s->views + v] = p->mass[g] * lse - p->dot[g * s->views + v];
    }
}

CPU_INLINE void measure_samples(const cpu_call *call, int64_t first, int64_t last, const int type,
                                const int target_type)
{
    const pair_state *s = call->state;
    for (int64_t b = first; b < last; b++) {
        const sample_part p = part_of(call, b);
        memset(p.max, 0, (size_t)part_doubles(s) * sizeof *p.max);
        for (int64_t v = 0; v < s->views; v++)
            p.max[v] = (double)-INFINITY;
        for (int64_t k = 0; k < s->classes; k += TILE)
            measure_tile(call, b, k, cpu_min(TILE, s->classes - k), &p, type, target_type);
        close_sample(call, b, &p);
    }
}
CPU_TYPED2(measure_samples)

static void finish(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const pair_state *s = call->state;
    const float *weights = call->in[2].data;
    float *loss = call->out[0].data, *pairs = call->out[1].data;
    double total = 0;
    for (int64_t i = 0; i < s->targets * s->views; i++) {
        double sum = 0;
        for (int64_t b = 0; b < s->samples && weights[i] != 0.0f; b++)
            sum += part_of(call, b).dot[i];
        sum /= (double)s->samples;
        pairs[i] = (float)sum;
        total += (double)weights[i] * sum;
    }
    *loss = (float)total;
}

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request,
                         const wisp_desc *logits, const wisp_desc *targets, wisp_kernel **kernel,
                         wisp_error *err)
{
    const wisp_pair_cross_entropy_attrs *attrs = request->attrs;
    CPU_NEED(cpu_is_float(logits) && cpu_is_float(targets), "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(pair_state), NULL, kernel, err));
    pair_state *s = (*kernel)->state;
    s->views = attrs->views;
    s->targets = attrs->targets;
    s->samples = logits->shape[0] / s->views;
    s->classes = logits->shape[1];
    s->scale = attrs->scale;
    (*kernel)->scratch_bytes = (size_t)(s->samples * part_doubles(s)) * sizeof(double);
    return WISP_OK;
}

CPU_PREPARE(pair_cross_entropy)
{
    const wisp_desc *logits = request->in[0], *targets = request->in[1];
    WISP_TRY(begin(device, request, logits, targets, kernel, err));
    const pair_state *s = (*kernel)->state;
    cpu_plan_add(*kernel, CPU_PICK2(measure_samples, logits->dtype, targets->dtype), s->samples,
                 8.0 * (double)wisp_desc_count(logits));
    cpu_plan_add(*kernel, finish, 1, 0.0);
    return WISP_OK;
}

/* --- Gradient --- */

enum { IN_DLOSS, IN_LOGITS, IN_TARGETS, IN_WEIGHTS, IN_LSE };

/* dx = mass * exp(z - lse) - sum_g weights[g] * targets[g], in a tile of f32 that is then rounded
 * once. */
CPU_INLINE void differentiate_tile(const cpu_call *call, int64_t b, int64_t v, int64_t k, int64_t n,
                                   float mass, double factor, const int type, const int target_type)
{
    const pair_state *s = call->state;
    const float *weights = call->in[IN_WEIGHTS].data;
    const float lse = ((const float *)call->in[IN_LSE].data)[v * s->samples + b];
    const float scale = (float)s->scale;
    const int64_t row = (v * s->samples + b) * s->classes + k;
    const void *x = cpu_at_const(call->in[IN_LOGITS].data, row, type);
    void *dx = cpu_at(call->out[0].data, row, type);
    float d[TILE];
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        d[i] = mass * cpu_exp_low(cpu_load(x, i, type) * scale - lse);
    for (int64_t g = 0; g < s->targets; g++) {
        const float w = (float)(factor * (double)weights[g * s->views + v]);
        const void *t = cpu_at_const(call->in[IN_TARGETS].data,
                                     (g * s->samples + b) * s->classes + k, target_type);
        if (weights[g * s->views + v] == 0.0f)
            continue;
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            d[i] -= w * cpu_load(t, i, target_type);
    }
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        cpu_store(dx, i, d[i], type);
}

/* factor * sum_g weights[g,v] * (sum of target g) for every view, into scratch. */
CPU_INLINE void weigh_targets(const cpu_call *call, int64_t b, double factor, const sample_part *p,
                              const int target_type)
{
    const pair_state *s = call->state;
    const float *weights = call->in[IN_WEIGHTS].data;
    memset(p->sum, 0, (size_t)s->views * sizeof *p->sum);
    for (int64_t g = 0; g < s->targets; g++) {
        const void *t =
            cpu_at_const(call->in[IN_TARGETS].data, (g * s->samples + b) * s->classes, target_type);
        const double mass = cpu_row_sum(t, s->classes, target_type);
        for (int64_t v = 0; v < s->views; v++)
            if (weights[g * s->views + v] != 0.0f)
                p->sum[v] += factor * (double)weights[g * s->views + v] * mass;
    }
}

CPU_INLINE void clear_row(const cpu_call *call, int64_t b, int64_t v, const int type)
{
    const pair_state *s = call->state;
    void *dx = cpu_at(call->out[0].data, (v * s->samples + b) * s->classes, type);
    memset(dx, 0, (size_t)s->classes * (type == WISP_BF16 ? 2 : 4));
}

CPU_INLINE void differentiate(const cpu_call *call, int64_t first, int64_t last, const int type,
                              const int target_type)
{
    const pair_state *s = call->state;
    const float *weights = call->in[IN_WEIGHTS].data;
    const double dloss = (double)*(const float *)call->in[IN_DLOSS].data;
    const double factor = dloss * s->scale / (double)s->samples;
    for (int64_t b = first; b < last; b++) {
        const sample_part p = part_of(call, b);
        weigh_targets(call, b, factor, &p, target_type);
        for (int64_t v = 0; v < s->views; v++)
            if (!is_in_a_pair(weights, s, v))
                clear_row(call, b, v, type);
        for (int64_t k = 0; k < s->classes; k += TILE)
            for (int64_t v = 0; v < s->views; v++)
                if (is_in_a_pair(weights, s, v))
                    differentiate_tile(call, b, v, k, cpu_min(TILE, s->classes - k),
                                       (float)p.sum[v], factor, type, target_type);
    }
}
CPU_TYPED2(differentiate)

CPU_PREPARE(pair_cross_entropy_grad)
{
    const wisp_desc *logits = request->in[IN_LOGITS], *targets = request->in[IN_TARGETS];
    WISP_TRY(begin(device, request, logits, targets, kernel, err));
    const pair_state *s = (*kernel)->state;
    cpu_plan_add(*kernel, CPU_PICK2(differentiate, logits->dtype, targets->dtype), s->samples,
                 8.0 * (double)wisp_desc_count(logits));
    return WISP_OK;
}
