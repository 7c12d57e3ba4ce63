/* pair_entropy.cu - cross-entropies between soft targets and predictions of several views.
 *
 * pairs[g,v] = mean over b of (S lse - scale D), S the sum of target row (g,b), D its product with
 * logits row (v,b). A block takes a sample and four views: it reads each of their logits rows once,
 * for the largest value, the sum of exponentials and all D together, and beside them the target
 * rows, which the blocks of the sample's other views find in caches. The gradient needs S first;
 * then every element is its own. Bytes, s for logits and t for targets, G targets, V views:
 *   forward   V s + G t an element of a row
 *   gradient  2 V s + G t, and G t more, mostly from caches, for S */
#include "logits.cuh"
#include "pair_entropy.h"

namespace
{

/* What a block's threads gather of the rows of a sample. */
template <class T, class Y, int N> struct gatherer {
    const T *logits[PAIR_VIEWS];
    const Y *targets[PAIR_TARGETS];
    bool used[PAIR_VIEWS];
    exp_sum exps[PAIR_VIEWS];
    float mass[PAIR_TARGETS];
    float product[PAIR_TARGETS][PAIR_VIEWS];

    /* The first rows stand for those that are not there or not asked for; what comes of them is
     * not looked at. */
    WISP_DEVICE void begin(const pair_entropy_args &a, int64_t sample, int32_t view, int32_t target)
    {
        for (int v = 0; v < PAIR_VIEWS; v++) {
            const int32_t at = view + v < a.n_views ? view + v : view;
            exps[v] = no_exp_sum();
            used[v] = false;
            for (int32_t g = 0; g < a.n_targets && view + v < a.n_views; g++)
                used[v] = used[v] || a.weights[g * a.n_views + at] != 0.0f;
            logits[v] = static_cast<const T *>(a.logits) +
                        ((used[v] ? at : view) * a.samples + sample) * a.classes;
        }
        for (int g = 0; g < PAIR_TARGETS; g++) {
            const int32_t at = target + g < a.n_targets ? target + g : target;
            targets[g] = static_cast<const Y *>(a.targets) + (at * a.samples + sample) * a.classes;
            mass[g] = 0.0f;
            for (int v = 0; v < PAIR_VIEWS; v++)
                product[g][v] = 0.0f;
        }
    }

    WISP_DEVICE void add_view(int v, float scale, const pack<N> (&t)[PAIR_TARGETS], pack<N> z)
    {
        for (int g = 0; g < PAIR_TARGETS; g++)
            for (int k = 0; k < N; k++)
                product[g][v] = fmaf(t[g].v[k], z.v[k], product[g][v]);
        for (int k = 0; k < N; k++)
            z.v[k] *= scale;
        add_exps(exps[v], z);
    }

    WISP_DEVICE void add(float scale, int64_t i)
    {
        pack<N> t[PAIR_TARGETS];
        raw<T, N> x[PAIR_VIEWS];
        for (int g = 0; g < PAIR_TARGETS; g++)
            t[g] = load<N>(targets[g] + i);
        for (int v = 0; v < PAIR_VIEWS; v++)
            x[v] = load_raw<N>(logits[v] + i);
        for (int g = 0; g < PAIR_TARGETS; g++)
            for (int k = 0; k < N; k++)
                mass[g] += t[g].v[k];
        for (int v = 0; v < PAIR_VIEWS; v++)
            if (used[v])
                add_view(v, scale, t, spread(x[v]));
    }
};

/* Sums of M values over the block at once; every thread gets them. room: M * PAIR_THREADS / 32. */
template <int M> WISP_DEVICE void block_sums(float (&x)[M], float *room)
{
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int n_warps = PAIR_THREADS / 32;
    __syncthreads();
    for (int m = 0; m < M; m++) {
        const float sum = warp_sum(x[m]);
        if (lane == 0)
            room[m * n_warps + warp] = sum;
    }
    __syncthreads();
    for (int m = 0; m < M; m++) {
        x[m] = 0.0f;
        for (int w = 0; w < n_warps; w++)
            x[m] += room[m * n_warps + w];
    }
}

/* The largest values first, then all sums together. */
template <class G> WISP_DEVICE void join_block(G &g, float *room)
{
    float sums[PAIR_VIEWS + PAIR_TARGETS + PAIR_TARGETS * PAIR_VIEWS];
    for (int v = 0; v < PAIR_VIEWS; v++) {
        const float max = block_max(g.exps[v].max, room);
        sums[v] = worth(g.exps[v], max);
        g.exps[v].max = max;
    }
    for (int t = 0; t < PAIR_TARGETS; t++) {
        sums[PAIR_VIEWS + t] = g.mass[t];
        for (int v = 0; v < PAIR_VIEWS; v++)
            sums[PAIR_VIEWS + PAIR_TARGETS + t * PAIR_VIEWS + v] = g.product[t][v];
    }
    block_sums(sums, room);
    for (int v = 0; v < PAIR_VIEWS; v++)
        g.exps[v].sum = sums[v];
    for (int t = 0; t < PAIR_TARGETS; t++) {
        g.mass[t] = sums[PAIR_VIEWS + t];
        for (int v = 0; v < PAIR_VIEWS; v++)
            g.product[t][v] = sums[PAIR_VIEWS + PAIR_TARGETS + t * PAIR_VIEWS + v];
    }
}

template <class G>
WISP_DEVICE void put_rows(const pair_entropy_args &a, const G &g, int64_t sample, int32_t view,
                          int32_t target)
{
    for (int v = 0; v < PAIR_VIEWS; v++) {
        if (view + v >= a.n_views)
            break;
        const float lse = g.used[v] ? g.exps[v].max + logf(g.exps[v].sum) : 0.0f;
        if (target == 0)
            a.lse[(view + v) * a.samples + sample] = lse;
        for (int t = 0; t < PAIR_TARGETS; t++) {
            if (target + t >= a.n_targets)
                break;
            const int64_t pair = static_cast<int64_t>(target + t) * a.n_views + view + v;
            a.rows[pair * a.samples + sample] = g.mass[t] * lse - a.scale * g.product[t][v];
        }
    }
}

template <class T, class Y, int N>
WISP_DEVICE void pair_rows(const pair_entropy_args &a, float *room)
{
    const int32_t groups = (a.n_views + PAIR_VIEWS - 1) / PAIR_VIEWS;
    const int64_t sample = blockIdx.x / groups;
    const int32_t view = static_cast<int32_t>(blockIdx.x % groups) * PAIR_VIEWS;
    for (int32_t target = 0; target < a.n_targets; target += PAIR_TARGETS) {
        gatherer<T, Y, N> g;
        g.begin(a, sample, view, target);
        for (int64_t i = threadIdx.x * N; i < a.classes; i += PAIR_THREADS * N)
            g.add(a.scale, i);
        join_block(g, room);
        if (threadIdx.x == 0)
            put_rows(a, g, sample, view, target);
    }
}

template <class T, class Y> WISP_DEVICE void pair_entropy(const pair_entropy_args &a)
{
    __shared__ float
        room[(PAIR_VIEWS + PAIR_TARGETS + PAIR_TARGETS * PAIR_VIEWS) * PAIR_THREADS / 32];
    if (a.wide)
        pair_rows<T, Y, wide_of<T>::n>(a, room);
    else
        pair_rows<T, Y, 1>(a, room);
}

/* One block: a warp a pair. */
WISP_DEVICE void join_pairs(const pair_entropy_args &a)
{
    __shared__ float losses[PAIR_THREADS / 32];
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    float loss = 0.0f;
    for (int32_t pair = warp; pair < a.n_targets * a.n_views; pair += PAIR_THREADS / 32) {
        const float weight = a.weights[pair];
        float sum = 0.0f;
        for (int64_t b = lane; b < a.samples && weight != 0.0f; b += 32)
            sum += a.rows[pair * a.samples + b];
        sum = warp_sum(sum) / static_cast<float>(a.samples);
        if (lane == 0)
            a.pairs[pair] = sum;
        loss += weight * sum;
    }
    if (lane == 0)
        losses[warp] = loss;
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    for (int w = 1; w < PAIR_THREADS / 32; w++)
        loss += losses[w];
    *a.loss = loss;
}

/* --- gradient --- */

/* A block a target row. */
template <class Y, int N> WISP_DEVICE float mass_of_row(const Y *row, int64_t classes)
{
    float sum = 0.0f;
    for (int64_t i = threadIdx.x * N; i < classes; i += PAIR_THREADS * N) {
        const pack<N> t = load<N>(row + i);
        for (int k = 0; k < N; k++)
            sum += t.v[k];
    }
    return sum;
}

template <class Y> WISP_DEVICE void pair_mass(const pair_entropy_args &a)
{
    __shared__ float room[32];
    const Y *row = static_cast<const Y *>(a.targets) + blockIdx.x * a.classes;
    const float mine =
        a.wide ? mass_of_row<Y, wide_of<Y>::n>(row, a.classes) : mass_of_row<Y, 1>(row, a.classes);
    const float sum = block_sum(mine, room);
    if (threadIdx.x == 0)
        a.mass[blockIdx.x] = sum;
}

/* Of a view: dx = amount exp(z - lse) - sum of weight t, factors multiplied in. */
struct view_factors {
    float amount, lse, weight[PAIR_TARGETS];
    int used; /* in any pair */
};

WISP_DEVICE view_factors view_factors_of(const pair_entropy_args &a, int64_t sample, int32_t view)
{
    const float factor = *a.dloss * a.scale / static_cast<float>(a.samples);
    view_factors f = {0.0f, a.lse_in[view * a.samples + sample], {0.0f, 0.0f}, 0};
    for (int32_t g = 0; g < a.n_targets; g++) {
        const float weight = a.weights[g * a.n_views + view];
        f.used |= weight != 0.0f;
        if (weight != 0.0f)
            f.amount += weight * factor * a.mass[g * a.samples + sample];
        if (g < PAIR_TARGETS)
            f.weight[g] = weight * factor;
    }
    return f;
}

/* The targets beyond those that are kept in registers. */
template <class Y, int N>
WISP_DEVICE void take_further(const pair_entropy_args &a, int64_t sample, int32_t view, int64_t i,
                              pack<N> &dx)
{
    const float factor = *a.dloss * a.scale / static_cast<float>(a.samples);
    for (int32_t g = PAIR_TARGETS; g < a.n_targets; g++) {
        const float weight = a.weights[g * a.n_views + view] * factor;
        const pack<N> t =
            load<N>(static_cast<const Y *>(a.targets) + (g * a.samples + sample) * a.classes + i);
        for (int k = 0; k < N && a.weights[g * a.n_views + view] != 0.0f; k++)
            dx.v[k] -= weight * t.v[k];
    }
}

template <class T, class Y, int N>
WISP_DEVICE void pair_grad_pack(const pair_entropy_args &a, const view_factors *factors,
                                int64_t sample, int32_t first, int32_t last, int64_t i)
{
    const Y *targets = static_cast<const Y *>(a.targets) + sample * a.classes + i;
    const int64_t views_apart = a.samples * a.classes, own = sample * a.classes + i;
    pack<N> t[PAIR_TARGETS];
    for (int g = 0; g < PAIR_TARGETS; g++)
        t[g] = load<N>(targets + (g < a.n_targets ? g : 0) * views_apart);
    raw<T, N> next = load_raw<N>(static_cast<const T *>(a.logits) + first * views_apart + own);
    for (int32_t v = first; v < last; v++) {
        const pack<N> x = spread(next);
        if (v + 1 < last)
            next = load_raw<N>(static_cast<const T *>(a.logits) + (v + 1) * views_apart + own);
        const view_factors f = factors[v - first];
        pack<N> dx = filled_pack<N>(0.0f);
        for (int k = 0; k < N && f.used; k++)
            dx.v[k] = f.amount * expf(x.v[k] * a.scale - f.lse);
        for (int g = 0; g < PAIR_TARGETS; g++)
            for (int k = 0; k < N && f.weight[g] != 0.0f; k++)
                dx.v[k] -= f.weight[g] * t[g].v[k];
        take_further<Y, N>(a, sample, v, i, dx);
        store(static_cast<T *>(a.dlogits) + v * views_apart + own, dx);
    }
}

/* Blocks: (samples * slices) along x, views in lots of PAIR_FACTORS along y. */
template <class T, class Y> WISP_DEVICE void pair_grad(const pair_entropy_args &a)
{
    __shared__ view_factors factors[PAIR_FACTORS];
    const int64_t sample = blockIdx.x / a.slices, slice = blockIdx.x % a.slices;
    const int32_t first = static_cast<int32_t>(blockIdx.y) * PAIR_FACTORS;
    const int32_t last = first + PAIR_FACTORS < a.n_views ? first + PAIR_FACTORS : a.n_views;
    for (int32_t v = first + static_cast<int32_t>(threadIdx.x); v < last; v += PAIR_THREADS)
        factors[v - first] = view_factors_of(a, sample, v);
    __syncthreads();
    const int64_t from = slice * PAIR_THREADS + threadIdx.x, step = a.slices * PAIR_THREADS;
    if (a.wide) {
        const int n = wide_of<T>::n;
        for (int64_t i = from * n; i < a.classes; i += step * n)
            pair_grad_pack<T, Y, n>(a, factors, sample, first, last, i);
        return;
    }
    for (int64_t i = from; i < a.classes; i += step)
        pair_grad_pack<T, Y, 1>(a, factors, sample, first, last, i);
}

} // namespace

#define PAIR_KERNELS(x, X, y, Y)                                                                   \
    WISP_KERNEL(pair_entropy_##x##_##y, pair_entropy_args)                                         \
    {                                                                                              \
        pair_entropy<X, Y>(a);                                                                     \
    }                                                                                              \
    WISP_KERNEL(pair_entropy_grad_##x##_##y, pair_entropy_args)                                    \
    {                                                                                              \
        pair_grad<X, Y>(a);                                                                        \
    }
PAIR_KERNELS(f32, float, f32, float)
PAIR_KERNELS(bf16, bf16, f32, float)
PAIR_KERNELS(bf16, bf16, bf16, bf16)

WISP_KERNEL(pair_entropy_finish, pair_entropy_args)
{
    join_pairs(a);
}
WISP_KERNEL(pair_entropy_mass_f32, pair_entropy_args)
{
    pair_mass<float>(a);
}
WISP_KERNEL(pair_entropy_mass_bf16, pair_entropy_args)
{
    pair_mass<bf16>(a);
}
