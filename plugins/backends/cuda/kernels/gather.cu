// gather.cu - rows by index, and the sum of what comes back to each row.
//
// gather reads an index and moves each byte of y twice. The gradient first finds out, in integers,
// who picks each row first and how many do (index 16 bytes and 8 of scratch a row), then writes dx
// once and reads every row of dy once: rows that several picks share are summed in their order.
#include "gather.h"
#include "words.cuh"

namespace
{

WISP_DEVICE void spread(uint32_t pattern, uint4 *word)
{
    *word = make_uint4(pattern, pattern, pattern, pattern);
}
WISP_DEVICE void spread(uint32_t pattern, uint2 *word)
{
    *word = make_uint2(pattern, pattern);
}
template <class W> WISP_DEVICE void spread(uint32_t pattern, W *word)
{
    *word = static_cast<W>(pattern);
}

template <class W> WISP_DEVICE W gathered(const gather_args &a, int64_t i)
{
    const W *x = static_cast<const W *>(a.x);
    int64_t at, pick;
    const int64_t row = split(a.row, i, &at);
    const int64_t b = split(a.picked, row, &pick), t = a.index[row];
    W word;
    if (t >= 0 && t < a.tokens)
        word = x[(b * a.tokens + t) * a.row.by + at];
    else
        spread(a.missing, &word);
    return word;
}

template <class W> WISP_DEVICE void gather(const gather_args &a)
{
    write_words<W>(a.y, a.n, [&](int64_t i) { return gathered<W>(a, i); });
}

/* --- gradient --- */

/* Adds up to V elements of row `pick` of dy. */
template <int V, class T>
WISP_DEVICE void add_pick(const gather_args &a, int64_t pick, int64_t at, float *sum)
{
    const T *dy = static_cast<const T *>(a.x) + (pick * a.row.by + at) * V;
    if (V == 4) {
        const four g = load4(dy);
        for (int k = 0; k < V; k++)
            sum[k] += g.v[k];
    } else {
        sum[0] += to_f32(dy[0]);
    }
}

template <int V, class T> WISP_DEVICE void sum_picks(const gather_args &a, int64_t i)
{
    int64_t at, t;
    const int64_t row = split(a.row, i, &at), b = split(a.picked, row, &t);
    const int64_t *index = a.index + b * a.picks;
    float sum[V] = {};
    int left = a.count[row];
    for (int64_t m = a.first[row]; left > 0; m++)
        if (index[m] == t) {
            add_pick<V, T>(a, b * a.picks + m, at, sum);
            left--;
        }
    T *dx = static_cast<T *>(a.y) + i * V;
    if (V == 4) {
        four r = {};
        for (int k = 0; k < V; k++)
            r.v[k] = sum[k];
        store4(dx, r);
    } else {
        dx[0] = from_f32<T>(sum[0]);
    }
}

template <int V, class T> WISP_DEVICE void gather_grad(const gather_args &a)
{
    for (int64_t i = thread_index(); i < a.n; i += thread_count())
        sum_picks<V, T>(a, i);
}

} // namespace

WISP_KERNEL(gather_16, gather_args)
{
    gather<uint4>(a);
}
WISP_KERNEL(gather_8, gather_args)
{
    gather<uint2>(a);
}
WISP_KERNEL(gather_4, gather_args)
{
    gather<uint32_t>(a);
}
WISP_KERNEL(gather_2, gather_args)
{
    gather<uint16_t>(a);
}
WISP_KERNEL(gather_1, gather_args)
{
    gather<uint8_t>(a);
}

WISP_KERNEL(gather_nobody, gather_args)
{
    for (int64_t i = thread_index(); i < a.n_rows; i += thread_count()) {
        a.first[i] = INT32_MAX;
        a.count[i] = 0;
    }
}

/* The least of integers and their number are the same in any order. */
WISP_KERNEL(gather_picks, gather_args)
{
    for (int64_t i = thread_index(); i < a.n_picks; i += thread_count()) {
        const int64_t b = i / a.picks, t = a.index[i];
        if (t < 0 || t >= a.tokens)
            continue;
        atomicMin(&a.first[b * a.tokens + t], static_cast<int32_t>(i - b * a.picks));
        atomicAdd(&a.count[b * a.tokens + t], 1);
    }
}

WISP_KERNEL(gather_grad_f32, gather_args)
{
    gather_grad<4, float>(a);
}
WISP_KERNEL(gather_grad_bf16, gather_args)
{
    gather_grad<4, bf16>(a);
}
WISP_KERNEL(gather_grad_one_f32, gather_args)
{
    gather_grad<1, float>(a);
}
WISP_KERNEL(gather_grad_one_bf16, gather_args)
{
    gather_grad<1, bf16>(a);
}
