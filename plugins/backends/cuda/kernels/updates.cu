// updates.cu - SGD, LARS, AdamW, moving averages, norms and clipping over whole parameter stores:
// one launch that plans (one block), one that passes over all parameters, and where norms are
// needed one block a segment that adds up chunks in their order.
//
// Bytes moved for a parameter: norms 4, clip 8 (0 within the limit), sgd 20, lars 28, adamw 28,
// ema 12, adamw with ema 36.
#include "updates.h"
#include "segments.cuh"

namespace
{

/* --- plans: one block --- */

WISP_DEVICE void list_active(const segment_table &t)
{
    list_chunks(t, [&](int64_t s) { return segment_count(t, s); });
}

WISP_DEVICE void plan_adamw_numbers(const optimizer_args &a)
{
    const double lr = a.lr[0], wd = a.wd[0];
    const int64_t shared_step = a.own_steps ? 0 : a.step[0];
    __syncthreads(); /* all have read it */
    for (int64_t s = threadIdx.x; s < a.segments.n; s += blockDim.x) {
        const double t = static_cast<double>((a.own_steps ? a.step[s] : shared_step) + 1);
        const double rate = lr * static_cast<double>(a.rules[2 * s]);
        const double decay = rate * wd * static_cast<double>(a.rules[2 * s + 1]);
        float *number = a.numbers + SEGMENT_NUMBERS * s;
        number[SEGMENT_LR] = static_cast<float>(rate / (1.0 - pow(a.beta1, t)));
        number[SEGMENT_WD] = static_cast<float>(1.0 - decay);
        number[SEGMENT_RATIO] = static_cast<float>(1.0 / sqrt(1.0 - pow(a.beta2, t)));
        if (a.own_steps && segment_count(a.segments, s) > 0)
            a.step[s] += 1;
    }
    if (!a.own_steps && threadIdx.x == 0)
        a.step[0] = shared_step + 1;
}

/* The first pair whose source is the whole of segment s; -1: there is none. */
WISP_DEVICE int64_t follower_of(const optimizer_args &a, int64_t s)
{
    const int64_t offset = a.segments.rows[4 * s], count = segment_count(a.segments, s);
    for (int64_t i = 0; count > 0 && i < a.pairs.n; i++)
        if (a.pairs.rows[4 * i + 3] == offset && segment_count(a.pairs, i) == count)
            return i;
    return -1;
}

/* A pair whose source is a whole segment is averaged as that segment is updated; the others are
 * listed for a launch of their own. */
WISP_DEVICE void plan_pairs(const optimizer_args &a)
{
    for (int64_t i = threadIdx.x; i < a.pairs.n; i += blockDim.x)
        a.followed[i] = 0;
    __syncthreads();
    for (int64_t s = threadIdx.x; s < a.segments.n; s += blockDim.x) {
        const int64_t pair = follower_of(a, s);
        a.follows[s] = pair < 0 ? -1 : a.pairs.rows[4 * pair];
        if (pair >= 0)
            a.followed[pair] = 1;
    }
    __syncthreads();
    list_chunks(a.pairs, [&](int64_t i) { return a.followed[i] ? 0 : segment_count(a.pairs, i); });
}

/* --- the passes --- */

WISP_DEVICE float square(float x)
{
    return x * x;
}

/* Calls pass(chunk) for this block's share of the chunks. */
template <class F> WISP_DEVICE void each_chunk(const segment_table &t, F pass)
{
    const int64_t n = chunk_count(t);
    for (int64_t chunk = blockIdx.x; chunk < n; chunk += gridDim.x)
        pass(find_chunk(t, chunk), chunk);
}

WISP_DEVICE void measure_chunk(const optimizer_args &a, const segment_chunk &c, int64_t chunk)
{
    const float *x = a.grad + c.offset;
    float sum = 0;
    each_of_chunk(
        c.n, a.by_four && c.offset % 4 == 0,
        [&](int i) {
            const four g = load4(x + i);
            sum += square(g.v[0]) + square(g.v[1]) + (square(g.v[2]) + square(g.v[3]));
        },
        [&](int i) { sum += square(x[i]); });
    const double all = block_sum_f64(sum);
    if (threadIdx.x == 0)
        a.sum_a[chunk] = all;
}

/* |p|^2 and |grad + wd p|^2, where the segment's rate is adapted. */
WISP_DEVICE void measure_lars_chunk(const optimizer_args &a, const segment_chunk &c, int64_t chunk)
{
    if (!(a.segments.rows[4 * c.segment + 2] & SEGMENT_ADAPT))
        return;
    const float *p = a.p + c.offset, *grad = a.grad + c.offset;
    const float wd = a.numbers[SEGMENT_NUMBERS * c.segment + SEGMENT_WD];
    float weight = 0, direction = 0;
    each_of_chunk(
        c.n, a.by_four && c.offset % 4 == 0,
        [&](int i) {
            const four w = load4(p + i), g = load4(grad + i);
            for (int k = 0; k < 4; k++) {
                weight += square(w.v[k]);
                direction += square(g.v[k] + wd * w.v[k]);
            }
        },
        [&](int i) {
            weight += square(p[i]);
            direction += square(grad[i] + wd * p[i]);
        });
    const double all_weight = block_sum_f64(weight), all_direction = block_sum_f64(direction);
    if (threadIdx.x == 0) {
        a.sum_a[chunk] = all_weight;
        a.sum_b[chunk] = all_direction;
    }
}

/* The sum over segment s's chunks. */
WISP_DEVICE double sum_chunks(const segment_table &t, const double *sums, int64_t s)
{
    double sum = 0;
    for (int64_t i = t.first[s] + threadIdx.x; i < t.first[s + 1]; i += blockDim.x)
        sum += sums[i];
    return block_sum_f64(sum);
}

struct sgd_rule {
    float lr, wd, ratio, keep;
    bool nesterov;
};

WISP_DEVICE void sgd_step(const sgd_rule &r, float grad, float &p, float &momentum)
{
    const float d = r.ratio * (grad + r.wd * p);
    momentum = r.keep * momentum + d;
    p -= r.lr * (r.nesterov ? d + r.keep * momentum : momentum);
}

WISP_DEVICE void sgd_chunk(const optimizer_args &a, const segment_chunk &c)
{
    const float *number = a.numbers + SEGMENT_NUMBERS * c.segment, *grad = a.grad + c.offset;
    const sgd_rule rule = {number[SEGMENT_LR], number[SEGMENT_WD], number[SEGMENT_RATIO],
                           static_cast<float>(a.momentum), a.nesterov != 0};
    float *p = a.p + c.offset, *momentum = a.m + c.offset;
    each_of_chunk(
        c.n, a.by_four && c.offset % 4 == 0,
        [&](int i) {
            const four g = load4(grad + i);
            four w = load4(p + i), mu = load4(momentum + i);
            for (int k = 0; k < 4; k++)
                sgd_step(rule, g.v[k], w.v[k], mu.v[k]);
            store4(p + i, w);
            store4(momentum + i, mu);
        },
        [&](int i) { sgd_step(rule, grad[i], p[i], momentum[i]); });
}

struct adamw_rule {
    float lr, keep, root, take1, beta2, take2, eps;
};

WISP_DEVICE adamw_rule adamw_rule_of(const optimizer_args &a, int64_t segment)
{
    const float *number = a.numbers + SEGMENT_NUMBERS * segment;
    const adamw_rule r = {number[SEGMENT_LR],          number[SEGMENT_WD],
                          number[SEGMENT_RATIO],       static_cast<float>(1.0 - a.beta1),
                          static_cast<float>(a.beta2), static_cast<float>(1.0 - a.beta2),
                          static_cast<float>(a.eps)};
    return r;
}

WISP_DEVICE void adamw_step(const adamw_rule &r, float grad, float &p, float &m, float &v)
{
    m += r.take1 * (grad - m);
    v = r.beta2 * v + r.take2 * (grad * grad);
    p = p * r.keep - r.lr * m / (sqrtf(v) * r.root + r.eps);
}

WISP_DEVICE void adamw_chunk(const optimizer_args &a, const segment_chunk &c)
{
    const adamw_rule rule = adamw_rule_of(a, c.segment);
    const float *grad = a.grad + c.offset;
    float *p = a.p + c.offset, *m = a.m + c.offset, *v = a.v + c.offset;
    each_of_chunk(
        c.n, a.by_four && c.offset % 4 == 0,
        [&](int i) {
            const four g = load4(grad + i);
            four w = load4(p + i), mean = load4(m + i), root = load4(v + i);
            for (int k = 0; k < 4; k++)
                adamw_step(rule, g.v[k], w.v[k], mean.v[k], root.v[k]);
            store4(m + i, mean);
            store4(v + i, root);
            store4(p + i, w);
        },
        [&](int i) { adamw_step(rule, grad[i], p[i], m[i], v[i]); });
}

/* What is measured is the gradient; `to` is where the average stands. */
WISP_DEVICE float adamw_ema_chunk(const optimizer_args &a, const segment_chunk &c, int64_t to)
{
    const adamw_rule rule = adamw_rule_of(a, c.segment);
    const float *grad = a.grad + c.offset;
    float *p = a.p + c.offset, *m = a.m + c.offset, *v = a.v + c.offset, *target = a.target + to;
    const float stays = a.stays[0], rest = static_cast<float>(1.0 - static_cast<double>(stays));
    float sum = 0;
    each_of_chunk(
        c.n, a.by_four && c.offset % 4 == 0 && to % 4 == 0,
        [&](int i) {
            const four g = load4(grad + i);
            four w = load4(p + i), mean = load4(m + i), root = load4(v + i), y = load4(target + i);
            for (int k = 0; k < 4; k++) {
                adamw_step(rule, g.v[k], w.v[k], mean.v[k], root.v[k]);
                y.v[k] = stays * y.v[k] + rest * w.v[k];
                sum += square(g.v[k]);
            }
            store4(m + i, mean);
            store4(v + i, root);
            store4(p + i, w);
            store4(target + i, y);
        },
        [&](int i) {
            adamw_step(rule, grad[i], p[i], m[i], v[i]);
            target[i] = stays * target[i] + rest * p[i];
            sum += square(grad[i]);
        });
    return sum;
}

WISP_DEVICE void average_chunk(const optimizer_args &a, const segment_chunk &c)
{
    const float *source = a.source + c.source;
    float *target = a.target + c.offset;
    const float stays = a.stays[0], rest = static_cast<float>(1.0 - static_cast<double>(stays));
    each_of_chunk(
        c.n, a.by_four && c.offset % 4 == 0 && c.source % 4 == 0,
        [&](int i) {
            const four x = load4(source + i);
            four y = load4(target + i);
            for (int k = 0; k < 4; k++)
                y.v[k] = stays * y.v[k] + rest * x.v[k];
            store4(target + i, y);
        },
        [&](int i) { target[i] = stays * target[i] + rest * source[i]; });
}

WISP_DEVICE void scale_chunk(const optimizer_args &a, const segment_chunk &c)
{
    const float factor = a.numbers[SEGMENT_NUMBERS * c.segment + SEGMENT_RATIO];
    float *x = a.p + c.offset;
    if (!(factor < 1.0f))
        return;
    each_of_chunk(
        c.n, a.by_four && c.offset % 4 == 0,
        [&](int i) {
            four g = load4(x + i);
            for (int k = 0; k < 4; k++)
                g.v[k] *= factor;
            store4(x + i, g);
        },
        [&](int i) { x[i] *= factor; });
}

} // namespace

WISP_KERNEL(optimizer_plan, optimizer_args)
{
    list_active(a.segments);
}

WISP_KERNEL(optimizer_plan_sgd, optimizer_args)
{
    list_active(a.segments);
    for (int64_t s = threadIdx.x; s < a.segments.n; s += blockDim.x) {
        float *number = a.numbers + SEGMENT_NUMBERS * s;
        number[SEGMENT_LR] = a.lr[0] * a.rules[2 * s];
        number[SEGMENT_WD] = a.wd[0] * a.rules[2 * s + 1];
        number[SEGMENT_RATIO] = 1.0f;
    }
}

WISP_KERNEL(optimizer_plan_adamw, optimizer_args)
{
    list_active(a.segments);
    plan_adamw_numbers(a);
    if (a.pairs.rows)
        plan_pairs(a);
}

/* The norms are of the active segments; what others hold is not looked at. */
WISP_KERNEL(optimizer_plan_clip, optimizer_args)
{
    double own = 0;
    list_active(a.segments);
    for (int64_t s = threadIdx.x; s < a.segments.n; s += blockDim.x)
        if (segment_count(a.segments, s) > 0)
            own += static_cast<double>(a.norms[s]) * static_cast<double>(a.norms[s]);
    const double all = sqrt(block_sum_f64(own));
    for (int64_t s = threadIdx.x; s < a.segments.n; s += blockDim.x) {
        const double norm = a.per_segment ? static_cast<double>(a.norms[s]) : all;
        a.numbers[SEGMENT_NUMBERS * s + SEGMENT_RATIO] =
            static_cast<float>(a.limit / (norm + 1e-6));
    }
}

WISP_KERNEL(optimizer_measure, optimizer_args)
{
    each_chunk(a.segments,
               [&](const segment_chunk &c, int64_t chunk) { measure_chunk(a, c, chunk); });
}

WISP_KERNEL(optimizer_measure_lars, optimizer_args)
{
    each_chunk(a.segments,
               [&](const segment_chunk &c, int64_t chunk) { measure_lars_chunk(a, c, chunk); });
}

/* A block a segment. */
WISP_KERNEL(optimizer_finish_norms, optimizer_args)
{
    const int64_t s = blockIdx.x;
    const double sum = sum_chunks(a.segments, a.sum_a, s);
    if (threadIdx.x == 0)
        a.norms[s] = static_cast<float>(sqrt(sum));
}

WISP_KERNEL(optimizer_finish_lars, optimizer_args)
{
    const int64_t s = blockIdx.x;
    if (!(a.segments.rows[4 * s + 2] & SEGMENT_ADAPT))
        return;
    const double weight = sum_chunks(a.segments, a.sum_a, s);
    const double direction = sum_chunks(a.segments, a.sum_b, s);
    if (threadIdx.x == 0 && weight > 0 && direction > 0)
        a.numbers[SEGMENT_NUMBERS * s + SEGMENT_RATIO] =
            static_cast<float>(a.trust * sqrt(weight / direction));
}

WISP_KERNEL(optimizer_clip, optimizer_args)
{
    each_chunk(a.segments, [&](const segment_chunk &c, int64_t) { scale_chunk(a, c); });
}

WISP_KERNEL(optimizer_sgd, optimizer_args)
{
    each_chunk(a.segments, [&](const segment_chunk &c, int64_t) { sgd_chunk(a, c); });
}

WISP_KERNEL(optimizer_adamw, optimizer_args)
{
    each_chunk(a.segments, [&](const segment_chunk &c, int64_t) { adamw_chunk(a, c); });
}

WISP_KERNEL(optimizer_adamw_ema, optimizer_args)
{
    each_chunk(a.segments, [&](const segment_chunk &c, int64_t chunk) {
        const int64_t to = a.follows[c.segment];
        if (to >= 0) {
            const double sum = a.want_norms ? block_sum_f64(adamw_ema_chunk(a, c, to + c.at))
                                            : adamw_ema_chunk(a, c, to + c.at);
            if (a.want_norms && threadIdx.x == 0)
                a.sum_a[chunk] = sum;
            return;
        }
        if (a.want_norms)
            measure_chunk(a, c, chunk);
        adamw_chunk(a, c);
    });
}

WISP_KERNEL(optimizer_average, optimizer_args)
{
    each_chunk(a.segments, [&](const segment_chunk &c, int64_t) { average_chunk(a, c); });
}
