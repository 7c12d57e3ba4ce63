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

enum { TILE = 2048, CHUNK = 256 };

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

/* Writes the tile z of a row and returns its largest value. */
CPU_INLINE float scale_tile(const void *x, int64_t n, float scale, float *restrict z,
                            const int type)
{
    const int64_t half = n / 2;
    float max = -INFINITY, other = -INFINITY;
    CPU_SIMD_MAX(max, other)
    for (int64_t i = 0; i < half; i++) {
        const float a = cpu_load(x, i, type) * scale, b = cpu_load(x, i + half, type) * scale;
        z[i] = a;
        z[i + half] = b;
        max = a > max ? a : max;
        other = b > other ? b : other;
    }
    if (n % 2) {
        z[n - 1] = cpu_load(x, n - 1, type) * scale;
        max = z[n - 1] > max ? z[n - 1] : max;
    }
    return other > max ? other : max;
}

/* Asks for the part of the next tile that will be read after as much work as this part is. Tiles
 * are too short for the processor to see by itself what comes next. */
CPU_INLINE void fetch_ahead(const void *next, int64_t i, const int type)
{
    const char *line = cpu_at_const(next, i, type);
    for (int64_t k = 0; k < CHUNK * (type == WISP_BF16 ? 2 : 4); k += 64)
        __builtin_prefetch(line + k, 0, 2);
}

/* Adds a tile z of a row to its running sum of exponentials relative to its running maximum. */
CPU_INLINE void add_exponentials(const float *restrict z, int64_t n, float tile_max,
                                 double *row_max, double *row_sum, const void *next, const int type)
{
    if ((double)tile_max > *row_max) {
        *row_sum *= exp(*row_max - (double)tile_max);
        *row_max = (double)tile_max;
    }
    const float max = (float)*row_max;
    if (max == -INFINITY)
        return;
    for (int64_t at = 0; at < n; at += CHUNK) {
        const int64_t end = cpu_min(at + CHUNK, n);
        float sum = 0;
        if (next)
            fetch_ahead(next, at, type);
        CPU_SIMD_SUM(sum)
        for (int64_t i = at; i < end; i++)
            sum += cpu_exp_low(z[i] - max);
        *row_sum += (double)sum;
    }
}

/* The view after v that is in a pair; s->views when there is none. */
static int64_t next_view(const float *weights, const pair_state *s, int64_t v)
{
    do
        v++;
    while (v < s->views && !is_in_a_pair(weights, s, v));
    return v;
}

/* Where a view's tile begins. */
CPU_INLINE const void *tile_of(const pair_state *s, const void *logits, int64_t v, int64_t b,
                               int64_t k, const int type)
{
    return cpu_at_const(logits, (v * s->samples + b) * s->classes + k, type);
}

/* The tile that is read after view v's: the next view's, or the next one of the first view. */
CPU_INLINE const void *tile_after(const pair_state *s, const float *weights, const void *logits,
                                  int64_t v, int64_t b, int64_t k, const int type)
{
    const int64_t next = next_view(weights, s, v);
    if (next < s->views)
        return tile_of(s, logits, next, b, k, type);
    return k + TILE < s->classes ? tile_of(s, logits, next_view(weights, s, -1), b, k + TILE, type)
                                 : NULL;
}

CPU_INLINE void measure_tile(const cpu_call *call, int64_t b, int64_t k, int64_t n,
                             const sample_part *p, const int type, const int target_type)
{
    const pair_state *s = call->state;
    const float *weights = call->in[2].data;
    const void *logits = call->in[0].data, *targets = call->in[1].data;
    float z[TILE];
    for (int64_t g = 0; g < s->targets; g++) {
        const void *t = tile_of(s, targets, g, b, k, target_type);
        p->mass[g] += cpu_row_sum(t, n, target_type);
    }
    for (int64_t v = next_view(weights, s, -1); v < s->views; v = next_view(weights, s, v)) {
        const float max =
            scale_tile(tile_of(s, logits, v, b, k, type), n, (float)s->scale, z, type);
        add_exponentials(z, n, max, &p->max[v], &p->sum[v],
                         tile_after(s, weights, logits, v, b, k, type), type);
        for (int64_t g = 0; g < s->targets; g++)
            if (weights[g * s->views + v] != 0.0f)
                p->dot[g * s->views + v] += cpu_row_dot(
                    z, tile_of(s, targets, g, b, k, target_type), n, WISP_F32, target_type);
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

/* The targets that a view is paired with, and their factors; the first two by themselves. */
typedef struct partners {
    int64_t n;
    const void *target[2];
    float weight[2];
} partners;

CPU_INLINE partners partners_of(const cpu_call *call, int64_t b, int64_t v, int64_t k,
                                double factor, const int target_type)
{
    const pair_state *s = call->state;
    const float *weights = call->in[IN_WEIGHTS].data;
    partners p = {0, {NULL, NULL}, {0.0f, 0.0f}};
    for (int64_t g = 0; g < s->targets; g++) {
        const double w = (double)weights[g * s->views + v];
        if (w == 0.0)
            continue;
        if (p.n < 2) {
            p.target[p.n] = cpu_at_const(call->in[IN_TARGETS].data,
                                         (g * s->samples + b) * s->classes + k, target_type);
            p.weight[p.n] = (float)(factor * w);
        }
        p.n++;
    }
    return p;
}

typedef struct exponentials {
    const void *x, *next; /* this tile of the logits, and the one to come */
    float scale, lse, mass;
} exponentials;

/* dx = mass * exp(z - lse) - weight . targets, with one or two targets */
CPU_INLINE void store_tile(const exponentials *e, const partners *p, void *dx, int64_t n,
                           const int type, const int target_type, const int two)
{
    const void *x = e->x, *t = p->target[0], *u = p->target[1];
    const float scale = e->scale, lse = e->lse, mass = e->mass;
    const float a = p->weight[0], b = p->weight[1];
    for (int64_t at = 0; at < n; at += CHUNK) {
        const int64_t end = cpu_min(at + CHUNK, n);
        if (e->next)
            fetch_ahead(e->next, at, type);
        CPU_SIMD
        for (int64_t i = at; i < end; i++) {
            float d = mass * cpu_exp_low(cpu_load(x, i, type) * scale - lse);
            d -= a * cpu_load(t, i, target_type);
            if (two)
                d -= b * cpu_load(u, i, target_type);
            cpu_store(dx, i, d, type);
        }
    }
}

/* The same for any number of targets, in a tile of f32 that is rounded once. */
CPU_INLINE void store_many(const cpu_call *call, const exponentials *e, int64_t b, int64_t v,
                           int64_t k, double factor, void *dx, int64_t n, const int type,
                           const int target_type)
{
    const pair_state *s = call->state;
    const float *weights = call->in[IN_WEIGHTS].data;
    float d[TILE];
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        d[i] = e->mass * cpu_exp_low(cpu_load(e->x, i, type) * e->scale - e->lse);
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

CPU_INLINE void differentiate_tile(const cpu_call *call, int64_t b, int64_t v, int64_t k, int64_t n,
                                   float mass, double factor, const int type, const int target_type)
{
    const pair_state *s = call->state;
    const float *weights = call->in[IN_WEIGHTS].data;
    const void *logits = call->in[IN_LOGITS].data;
    const int64_t row = (v * s->samples + b) * s->classes + k;
    const partners p = partners_of(call, b, v, k, factor, target_type);
    const exponentials e = {tile_of(s, logits, v, b, k, type),
                            tile_after(s, weights, logits, v, b, k, type), (float)s->scale,
                            ((const float *)call->in[IN_LSE].data)[v * s->samples + b], mass};
    void *dx = cpu_at(call->out[0].data, row, type);
    if (p.n == 1)
        store_tile(&e, &p, dx, n, type, target_type, 0);
    else if (p.n == 2)
        store_tile(&e, &p, dx, n, type, target_type, 1);
    else
        store_many(call, &e, b, v, k, factor, dx, n, type, target_type);
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
