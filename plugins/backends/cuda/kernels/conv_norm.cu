// conv_norm.cu - the passes around a convolution that normalises its input and measures its result.
//
// Bytes an element of size s: read 2 s, reach 3 s, back 3 s (x, what arrives, dx).
#include "conv_norm.h"
#include "columns.cuh"
#include "wisp/kernels.h"

namespace
{

WISP_DEVICE float before_activation(float x, float scale, float shift)
{
    return fmaf(x, scale, shift);
}

WISP_DEVICE float activated(int32_t activation, float v)
{
    if (activation != WISP_ACT_NONE && v < 0.0f)
        return 0.0f;
    if (activation == WISP_ACT_RELU6 && v > 6.0f)
        return 6.0f;
    return v;
}

WISP_DEVICE bool passes(int32_t activation, float v)
{
    return activation == WISP_ACT_NONE || (v > 0.0f && (activation != WISP_ACT_RELU6 || v < 6.0f));
}

/* out = act(x * scale + shift) */
template <class T, int N> WISP_DEVICE void read_rows(const conv_norm_args &a)
{
    const column_cut &c = a.cut;
    const column_seat s = column_seat_of<N>(c);
    const T *x = static_cast<const T *>(a.x);
    T *out = static_cast<T *>(a.out);
    if (!s.taken)
        return;
    const pack<N> scale = load<N>(a.scale + s.column), shift = load<N>(a.shift + s.column);
#pragma unroll 2
    for (int64_t r = s.begin + s.lane; r < s.last; r += c.lanes) {
        pack<N> p = load<N>(x + r * c.columns + s.column);
        for (int k = 0; k < N; k++)
            p.v[k] = activated(a.activation, before_activation(p.v[k], scale.v[k], shift.v[k]));
        store(out + r * c.columns + s.column, p);
    }
}

/* dy has the precision of bf16 already, and what is added to it may be less than half of its last
 * place everywhere. Rounding to nearest would lose that, and with it what keeps the sum of the
 * result at zero. So it is rounded up or down in proportion, by a sequence that fills the range of
 * what is cut off evenly from row to row. */
WISP_DEVICE void store_dithered(float *p, float v, int64_t, int64_t)
{
    *p = v;
}

WISP_DEVICE void store_dithered(bf16 *p, float v, int64_t row, int64_t column)
{
    const uint32_t c = static_cast<uint32_t>(column), u = __float_as_uint(v);
    const uint32_t reversed = (c & 1u) << 15 | (c & 2u) << 13 | (c & 4u) << 11 | (c & 8u) << 9;
    const uint32_t dither = (reversed + static_cast<uint32_t>(row) * 40503u) & 0xffffu;
    if ((u & 0x7f800000u) == 0x7f800000u)
        *p = from_f32<bf16>(v);
    else
        p->bits = static_cast<uint16_t>((u + dither) >> 16);
}

/* out = dy + (dmean + 2 dvar (y - mean)) / rows: what reaches y */
template <class T, int N> WISP_DEVICE void reach_rows(const conv_norm_args &a)
{
    const column_cut &c = a.cut;
    const column_seat s = column_seat_of<N>(c);
    const T *dy = static_cast<const T *>(a.dy), *y = static_cast<const T *>(a.y);
    T *out = static_cast<T *>(a.out);
    if (!s.taken)
        return;
    const pack<N> mean = load<N>(a.mean + s.column);
    pack<N> dmean = load<N>(a.dmean + s.column), dvar = load<N>(a.dvar + s.column);
    for (int k = 0; k < N; k++) {
        dmean.v[k] *= a.per_row;
        dvar.v[k] *= 2.0f * a.per_row;
    }
#pragma unroll 2
    for (int64_t r = s.begin + s.lane; r < s.last; r += c.lanes) {
        pack<N> p = load<N>(dy + r * c.columns + s.column);
        const pack<N> q = load<N>(y + r * c.columns + s.column);
        raw<T, N> reached;
        for (int k = 0; k < N; k++)
            store_dithered(&reached.v[k], p.v[k] + fmaf(dvar.v[k], q.v[k] - mean.v[k], dmean.v[k]),
                           r, s.column + k);
        *reinterpret_cast<raw<T, N> *>(out + r * c.columns + s.column) = reached;
    }
}

/* Through the activation: out = d * scale, with sums of d * x and of d; d is dy where the
 * activation lets it pass. dy may be out. */
template <class T, class D, int N> WISP_DEVICE void back_rows(const conv_norm_args &a, float *room)
{
    const column_cut &c = a.cut;
    const column_seat s = column_seat_of<N>(c);
    const T *x = static_cast<const T *>(a.x);
    const D *dy = static_cast<const D *>(a.dy);
    T *out = static_cast<T *>(a.out);
    pack<N> products = filled_pack<N>(0.0f), sums = products, scale = products, shift = products;
    if (s.taken) {
        scale = load<N>(a.scale + s.column);
        shift = load<N>(a.shift + s.column);
    }
#pragma unroll 2
    for (int64_t r = s.begin + s.lane; s.taken && r < s.last; r += c.lanes) {
        const pack<N> p = load<N>(x + r * c.columns + s.column);
        pack<N> d = load<N>(dy + r * c.columns + s.column);
        for (int k = 0; k < N; k++) {
            if (!passes(a.activation, before_activation(p.v[k], scale.v[k], shift.v[k])))
                d.v[k] = 0.0f;
            products.v[k] = fmaf(d.v[k], p.v[k], products.v[k]);
            sums.v[k] += d.v[k];
            d.v[k] *= scale.v[k];
        }
        store(out + r * c.columns + s.column, d);
    }
    float *more = room + COLUMN_THREADS * N;
    join_lanes<adding, N>(c, s, products, room);
    join_lanes<adding, N>(c, s, sums, more);
    for (int64_t e = threadIdx.x; e < c.tile * N && s.tile_column + e < c.columns;
         e += COLUMN_THREADS) {
        a.partial[0][s.chunk * c.columns + s.tile_column + e] = room[e];
        a.partial[1][s.chunk * c.columns + s.tile_column + e] = more[e];
    }
}

template <class T> WISP_DEVICE void read_all(const conv_norm_args &a)
{
    if (a.cut.wide)
        read_rows<T, wide_of<T>::n>(a);
    else
        read_rows<T, 1>(a);
}

template <class T> WISP_DEVICE void reach_all(const conv_norm_args &a)
{
    if (a.cut.wide)
        reach_rows<T, wide_of<T>::n>(a);
    else
        reach_rows<T, 1>(a);
}

template <class T, class D> WISP_DEVICE void back_all(const conv_norm_args &a)
{
    __shared__ float room[2 * COLUMN_THREADS * wide_of<T>::n];
    if (a.cut.wide)
        back_rows<T, D, wide_of<T>::n>(a, room);
    else
        back_rows<T, D, 1>(a, room);
}

} // namespace

WISP_KERNEL(conv_norm_read_f32, conv_norm_args)
{
    read_all<float>(a);
}
WISP_KERNEL(conv_norm_read_bf16, conv_norm_args)
{
    read_all<bf16>(a);
}

WISP_KERNEL(conv_norm_reach_f32, conv_norm_args)
{
    reach_all<float>(a);
}
WISP_KERNEL(conv_norm_reach_bf16, conv_norm_args)
{
    reach_all<bf16>(a);
}

WISP_KERNEL(conv_norm_back_f32, conv_norm_args)
{
    back_all<float, float>(a);
}
WISP_KERNEL(conv_norm_back_bf16, conv_norm_args)
{
    back_all<bf16, bf16>(a);
}
/* dy in f32 */
WISP_KERNEL(conv_norm_back_wide_f32, conv_norm_args)
{
    back_all<float, float>(a);
}
WISP_KERNEL(conv_norm_back_wide_bf16, conv_norm_args)
{
    back_all<bf16, float>(a);
}

WISP_KERNEL(conv_norm_back_finish, conv_norm_args)
{
    __shared__ float room[FINISH_COLUMNS * FINISH_LANES];
    const finish_seat s = finish_seat_of();
    const float products = finish<adding>(s, a.partial[0], a.cut, room);
    const float sums = finish<adding>(s, a.partial[1], a.cut, room);
    if (s.lane != 0 || s.result >= a.cut.columns)
        return;
    a.first[s.result] = products;
    a.second[s.result] = sums;
}

/* Sums over rows, in first and second, become mean and variance. Only for maps in bf16: rounding
 * them lost more than the difference of squares in f32 does. */
WISP_KERNEL(conv_norm_moments, conv_norm_args)
{
    for (int64_t c = thread_index(); c < a.cut.columns; c += thread_count()) {
        const float mean = a.partial[0][c] * a.per_row;
        const float var = fmaf(-mean, mean, a.partial[1][c] * a.per_row);
        a.first[c] = mean;
        a.second[c] = var > 0.0f ? var : 0.0f;
    }
}
