/* cpu_optimizer.c - SGD, LARS, AdamW and moving averages over flat parameter stores: one pass over
 * memory each, LARS two. */
#include <math.h>

#include "cpu_row_sums.h"
#include "cpu_segments.h"

typedef struct update_state {
    cpu_plan plan;
    cpu_segments segments, pairs; /* pairs: adamw_ema_update alone */
    size_t pairs_at;              /* their list in scratch */
    wisp_sgd_attrs sgd;
    wisp_adamw_attrs adamw;
    int32_t own_steps, want_norms;
} update_state;

/* What the first phase leaves for every segment. */
enum { LR, WD, RATIO, ROOT };

enum { SGD_P, SGD_GRAD, SGD_MOMENTUM, SGD_SEGMENTS, SGD_RULES, SGD_LR, SGD_WD };

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request,
                         const wisp_desc *table, int64_t source_store, wisp_kernel **kernel,
                         wisp_error *err)
{
    const wisp_desc *p = request->in[0];
    CPU_NEED(p->dtype == WISP_F32, "needs f32");
    WISP_TRY(cpu_plan_create(device, sizeof(update_state), NULL, kernel, err));
    update_state *s = (*kernel)->state;
    s->segments = cpu_segments_of(wisp_desc_count(p), source_store, table);
    (*kernel)->scratch_bytes = cpu_segments_bytes(&s->segments);
    return WISP_OK;
}

static void add_shares(wisp_kernel *kernel, cpu_body body, int32_t streams)
{
    const update_state *s = kernel->state;
    cpu_plan_add(kernel, body, CPU_SEGMENT_SHARES, 4.0 * streams * (double)s->segments.store);
}

/* --- SGD --- */

static void list_sgd(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const update_state *s = call->state;
    const float *rules = call->in[SGD_RULES].data;
    const float lr = *(const float *)call->in[SGD_LR].data;
    const float wd = *(const float *)call->in[SGD_WD].data;
    float *number = cpu_segments_numbers(call, &s->segments);
    cpu_segments_list(call, &s->segments, call->in[SGD_SEGMENTS].data);
    for (int64_t i = 0; i < s->segments.n; i++, number += 4) {
        number[LR] = lr * rules[2 * i];
        number[WD] = wd * rules[2 * i + 1];
        number[RATIO] = 1.0f;
    }
}

CPU_INLINE void update_block(const update_state *s, float *restrict p, const float *restrict grad,
                             float *restrict momentum, int64_t n, const float *number,
                             const int nesterov)
{
    const float keep = (float)s->sgd.momentum;
    const float lr = number[LR], wd = number[WD], ratio = number[RATIO];
    CPU_SIMD
    for (int64_t i = 0; i < n; i++) {
        const float d = ratio * (grad[i] + wd * p[i]);
        const float mu = keep * momentum[i] + d;
        momentum[i] = mu;
        p[i] -= lr * (nesterov ? d + keep * mu : mu);
    }
}

static void update_sgd(const cpu_call *call, int64_t first, int64_t last)
{
    const update_state *s = call->state;
    int64_t n;
    const cpu_block *block = cpu_segments_share(call, first, last, &n);
    const float *numbers = cpu_segments_numbers(call, &s->segments);
    const float *grad = call->in[SGD_GRAD].data;
    float *p = call->out[0].data, *momentum = call->out[1].data;
    for (int64_t i = 0; i < n; i++, block++) {
        const int64_t at = block->offset;
        const float *number = numbers + 4 * block->segment;
        if (s->sgd.nesterov)
            update_block(s, p + at, grad + at, momentum + at, block->count, number, 1);
        else
            update_block(s, p + at, grad + at, momentum + at, block->count, number, 0);
    }
}

CPU_PREPARE(sgd_update)
{
    WISP_TRY(begin(device, request, request->in[SGD_SEGMENTS], -1, kernel, err));
    update_state *s = (*kernel)->state;
    memcpy(&s->sgd, request->attrs, sizeof s->sgd);
    cpu_plan_add(*kernel, list_sgd, 1, 0.0);
    add_shares(*kernel, update_sgd, 5);
    return WISP_OK;
}

/* --- LARS --- */

/* |p|^2 and |grad + wd p|^2 */
static void measure_lars(const cpu_call *call, int64_t first, int64_t last)
{
    const update_state *s = call->state;
    int64_t n;
    cpu_block *block = cpu_segments_share(call, first, last, &n);
    const float *numbers = cpu_segments_numbers(call, &s->segments);
    const int64_t *table = call->in[SGD_SEGMENTS].data;
    for (int64_t i = 0; i < n; i++, block++) {
        if (!(table[4 * block->segment + 2] & WISP_SEGMENT_ADAPT))
            continue;
        const float *restrict p = (const float *)call->in[SGD_P].data + block->offset;
        const float *restrict grad = (const float *)call->in[SGD_GRAD].data + block->offset;
        const float wd = numbers[4 * block->segment + WD];
        for (int64_t at = 0; at < block->count; at += CPU_SUM_BLOCK) {
            const int64_t end = cpu_min(at + CPU_SUM_BLOCK, block->count);
            float weight = 0, direction = 0;
            CPU_SIMD_SUM(weight, direction)
            for (int64_t k = at; k < end; k++) {
                const float d = grad[k] + wd * p[k];
                weight += p[k] * p[k];
                direction += d * d;
            }
            block->a += (double)weight;
            block->b += (double)direction;
        }
    }
}

static void adapt_lars(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const update_state *s = call->state;
    int64_t *n_blocks;
    const cpu_block *block = cpu_segments_blocks(call, &n_blocks), *end = block + *n_blocks;
    float *numbers = cpu_segments_numbers(call, &s->segments);
    while (block < end) {
        const int64_t segment = block->segment;
        double weight = 0, direction = 0;
        for (; block < end && block->segment == segment; block++) {
            weight += block->a;
            direction += block->b;
        }
        if (weight > 0 && direction > 0)
            numbers[4 * segment + RATIO] = (float)(s->sgd.trust * sqrt(weight / direction));
    }
}

CPU_PREPARE(lars_update)
{
    WISP_TRY(begin(device, request, request->in[SGD_SEGMENTS], -1, kernel, err));
    update_state *s = (*kernel)->state;
    memcpy(&s->sgd, request->attrs, sizeof s->sgd);
    s->sgd.nesterov = 0;
    cpu_plan_add(*kernel, list_sgd, 1, 0.0);
    add_shares(*kernel, measure_lars, 2);
    cpu_plan_add(*kernel, adapt_lars, 1, 0.0);
    add_shares(*kernel, update_sgd, 5);
    return WISP_OK;
}

/* --- AdamW --- */

enum { ADAM_P, ADAM_GRAD, ADAM_M, ADAM_V, ADAM_SEGMENTS, ADAM_RULES, ADAM_LR, ADAM_WD, ADAM_STEP };

/* Leaves, per segment: the step along m / root, what decay keeps of p, and the factor of root. */
static void list_adamw(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const update_state *s = call->state;
    const float *rules = call->in[ADAM_RULES].data;
    const int64_t *table = call->in[ADAM_SEGMENTS].data;
    const double lr = (double)*(const float *)call->in[ADAM_LR].data;
    const double wd = (double)*(const float *)call->in[ADAM_WD].data;
    int64_t *step = call->out[3].data;
    float *number = cpu_segments_numbers(call, &s->segments);
    cpu_segments_list(call, &s->segments, table);
    for (int64_t i = 0; i < s->segments.n; i++, number += 4) {
        const int64_t t = (s->own_steps ? step[i] : step[0]) + 1;
        const double rate = lr * (double)rules[2 * i];
        number[LR] = (float)(rate / (1.0 - pow(s->adamw.beta1, (double)t)));
        number[WD] = (float)(1.0 - rate * wd * (double)rules[2 * i + 1]);
        number[ROOT] = (float)(1.0 / sqrt(1.0 - pow(s->adamw.beta2, (double)t)));
        if (s->own_steps && cpu_segment_count(&s->segments, table + 4 * i) > 0)
            step[i] = t;
    }
    if (!s->own_steps)
        step[0] += 1;
}

/* `target`, where given, is what follows p: it keeps the share `stays` of itself. */
CPU_INLINE void adamw_block(const cpu_call *call, const cpu_block *block, const float *number,
                            float *restrict target, const float stays, const int follows)
{
    const update_state *s = call->state;
    const float take1 = (float)(1.0 - s->adamw.beta1), beta2 = (float)s->adamw.beta2;
    const float take2 = (float)(1.0 - s->adamw.beta2), eps = (float)s->adamw.eps;
    const float lr = number[LR], keep = number[WD], root = number[ROOT];
    const float rest = (float)(1.0 - (double)stays);
    const float *restrict grad = (const float *)call->in[ADAM_GRAD].data + block->offset;
    float *restrict p = (float *)call->out[0].data + block->offset;
    float *restrict m = (float *)call->out[1].data + block->offset;
    float *restrict v = (float *)call->out[2].data + block->offset;
    CPU_SIMD
    for (int64_t i = 0; i < block->count; i++) {
        const float g = grad[i];
        const float mean = m[i] + take1 * (g - m[i]);
        const float square = beta2 * v[i] + take2 * (g * g);
        const float now = p[i] * keep - lr * mean / (sqrtf(square) * root + eps);
        m[i] = mean;
        v[i] = square;
        p[i] = now;
        if (follows)
            target[i] = stays * target[i] + rest * now;
    }
}

static void update_adamw(const cpu_call *call, int64_t first, int64_t last)
{
    const update_state *s = call->state;
    int64_t n;
    const cpu_block *block = cpu_segments_share(call, first, last, &n);
    const float *numbers = cpu_segments_numbers(call, &s->segments);
    for (int64_t b = 0; b < n; b++, block++)
        adamw_block(call, block, numbers + 4 * block->segment, NULL, 0, 0);
}

CPU_PREPARE(adamw_update)
{
    WISP_TRY(begin(device, request, request->in[ADAM_SEGMENTS], -1, kernel, err));
    update_state *s = (*kernel)->state;
    memcpy(&s->adamw, request->attrs, sizeof s->adamw);
    s->own_steps = request->in[ADAM_STEP]->rank == 1;
    cpu_plan_add(*kernel, list_adamw, 1, 0.0);
    add_shares(*kernel, update_adamw, 7);
    return WISP_OK;
}

/* --- Moving average of a network --- */

static void list_ema(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const update_state *s = call->state;
    cpu_segments_list(call, &s->segments, call->in[2].data);
}

CPU_INLINE void average_block(const cpu_block *block, float *targets, const float *sources, float m)
{
    const float rest = (float)(1.0 - (double)m);
    float *restrict target = targets + block->offset;
    const float *restrict source = sources + block->source;
    CPU_SIMD
    for (int64_t i = 0; i < block->count; i++)
        target[i] = m * target[i] + rest * source[i];
}

static void update_ema(const cpu_call *call, int64_t first, int64_t last)
{
    int64_t n;
    const cpu_block *block = cpu_segments_share(call, first, last, &n);
    for (int64_t b = 0; b < n; b++, block++)
        average_block(block, call->out[0].data, call->in[1].data, *(const float *)call->in[3].data);
}

CPU_PREPARE(ema_update)
{
    WISP_TRY(begin(device, request, request->in[2], wisp_desc_count(request->in[1]), kernel, err));
    cpu_plan_add(*kernel, list_ema, 1, 0.0);
    add_shares(*kernel, update_ema, 3);
    return WISP_OK;
}

/* --- AdamW, and the moving average of what it made ---
 *
 * A pair whose source is a whole trained segment is averaged as that segment is updated: a block's
 * `source` is then its place in the target, else -1. Other pairs follow when all are updated. */

enum { BOTH_TARGET = 9, BOTH_PAIRS, BOTH_MOMENTUM };

static cpu_call pairs_call(const cpu_call *call)
{
    const update_state *s = call->state;
    cpu_call other = *call;
    other.scratch += s->pairs_at;
    return other;
}

/* The first pair whose source is this segment; -1: there is none. */
static int64_t follower_of(const cpu_call *call, int64_t offset, int64_t count)
{
    const update_state *s = call->state;
    const int64_t *row = call->in[BOTH_PAIRS].data;
    for (int64_t i = 0; i < s->pairs.n; i++, row += 4)
        if (row[3] == offset && count > 0 && cpu_segment_count(&s->pairs, row) == count)
            return i;
    return -1;
}

/* `done[4 * i]` becomes 1 where pair i is averaged along with its segment. */
static void mark_followed(const cpu_call *call, float *done)
{
    const update_state *s = call->state;
    const int64_t *table = call->in[ADAM_SEGMENTS].data, *pairs = call->in[BOTH_PAIRS].data;
    int64_t *n, segment = -1, shift = 0, follower = -1;
    cpu_block *block = cpu_segments_blocks(call, &n), *end = block + *n;
    for (; block < end; block++) {
        if (block->segment != segment) {
            segment = block->segment;
            const int64_t offset = table[4 * segment];
            follower =
                follower_of(call, offset, cpu_segment_count(&s->segments, table + 4 * segment));
            shift = follower < 0 ? 0 : pairs[4 * follower] - offset;
            if (follower >= 0)
                done[4 * follower] = 1.0f;
        }
        block->source = follower < 0 ? -1 : block->offset + shift;
    }
}

static void list_both(const cpu_call *call, int64_t first, int64_t last)
{
    const update_state *s = call->state;
    const cpu_call other = pairs_call(call);
    const int64_t *row = call->in[BOTH_PAIRS].data;
    int64_t *n_blocks, n = 0;
    float *done = cpu_segments_numbers(&other, &s->pairs);
    memset(done, 0, (size_t)s->pairs.n * 4 * sizeof *done);
    list_adamw(call, first, last);
    mark_followed(call, done);
    cpu_block *blocks = cpu_segments_blocks(&other, &n_blocks);
    for (int64_t i = 0; i < s->pairs.n; i++, row += 4) {
        const int64_t count = done[4 * i] > 0 ? 0 : cpu_segment_count(&s->pairs, row);
        for (int64_t at = 0; at < count && n < s->pairs.room; at += CPU_SEGMENT_BLOCK) {
            const cpu_block block = {
                row[0] + at, cpu_min(CPU_SEGMENT_BLOCK, count - at), row[3] + at, i, 0.0, 0.0};
            blocks[n++] = block;
        }
    }
    *n_blocks = n;
}

static void update_both(const cpu_call *call, int64_t first, int64_t last)
{
    const update_state *s = call->state;
    int64_t n;
    cpu_block *block = cpu_segments_share(call, first, last, &n);
    const float *numbers = cpu_segments_numbers(call, &s->segments);
    const float stays = *(const float *)call->in[BOTH_MOMENTUM].data;
    float *target = call->out[4].data;
    for (int64_t b = 0; b < n; b++, block++) {
        const float *number = numbers + 4 * block->segment;
        const float *grad = (const float *)call->in[ADAM_GRAD].data + block->offset;
        if (s->want_norms)
            block->a = cpu_row_dot(grad, grad, block->count, WISP_F32, WISP_F32);
        if (block->source >= 0)
            adamw_block(call, block, number, target + block->source, stays, 1);
        else
            adamw_block(call, block, number, NULL, 0, 0);
    }
}

static void update_others(const cpu_call *call, int64_t first, int64_t last)
{
    const cpu_call other = pairs_call(call);
    int64_t n;
    const cpu_block *block = cpu_segments_share(&other, first, last, &n);
    for (int64_t b = 0; b < n; b++, block++)
        average_block(block, call->out[4].data, call->out[0].data,
                      *(const float *)call->in[BOTH_MOMENTUM].data);
}

static void finish_norms(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const update_state *s = call->state;
    int64_t *n_blocks;
    const cpu_block *block = cpu_segments_blocks(call, &n_blocks), *end = block + *n_blocks;
    float *norms = call->out[5].data;
    for (int64_t i = 0; i < s->segments.n; i++) {
        double sum = 0;
        for (; block < end && block->segment == i; block++)
            sum += block->a;
        norms[i] = (float)sqrt(sum);
    }
}

CPU_PREPARE(adamw_ema_update)
{
    const wisp_adamw_ema_attrs *attrs = request->attrs;
    const wisp_desc *target = request->in[BOTH_TARGET], *pairs = request->in[BOTH_PAIRS];
    WISP_TRY(begin(device, request, request->in[ADAM_SEGMENTS], -1, kernel, err));
    update_state *s = (*kernel)->state;
    s->adamw = attrs->adamw;
    s->want_norms = attrs->want_norms;
    s->own_steps = request->in[ADAM_STEP]->rank == 1;
    s->pairs = cpu_segments_of(wisp_desc_count(target), s->segments.store, pairs);
    s->pairs_at = cpu_align64((*kernel)->scratch_bytes);
    (*kernel)->scratch_bytes = s->pairs_at + cpu_segments_bytes(&s->pairs);
    cpu_plan_add(*kernel, list_both, 1, 0.0);
    add_shares(*kernel, update_both, 9);
    add_shares(*kernel, update_others, 3);
    if (s->want_norms)
        cpu_plan_add(*kernel, finish_norms, 1, 0.0);
    return WISP_OK;
}
