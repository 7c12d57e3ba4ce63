/* softmax.cu - softmax and the cross-entropy against labels, over up to any number of classes.
 *
 * One pass over a row finds its largest value and the sum; a second one, which finds the row in
 * caches, writes. Bytes an element of size s (y f32: 4):
 *   softmax             s + size of y     (x, y)
 *   softmax_grad        3 s               (dy, y, dx)
 *   cross_entropy       s                 (logits)
 *   cross_entropy_grad  2 s               (logits, dlogits) */
#include "logits.cuh"
#include "softmax.h"

namespace
{

template <int N> WISP_DEVICE pack<N> scaled(pack<N> x, const float *shift, int64_t at, float factor)
{
    const pack<N> centre = load_or<N>(shift, at, 0.0f);
    for (int k = 0; k < N; k++)
        x.v[k] = (x.v[k] - centre.v[k]) * factor;
    return x;
}

template <class T, class Y, int N> WISP_DEVICE void softmax_rows(const softmax_args &a, float *room)
{
    const row_team t = row_team_of(a.cut, room);
    const int64_t length = a.cut.length;
    const float factor = a.factor * (a.scale ? *a.scale : 1.0f);
    for (int64_t row = t.first; row < a.cut.n; row += t.step) {
        const T *x = static_cast<const T *>(a.x) + row * length;
        Y *y = static_cast<Y *>(a.y) + row * length;
        exp_sum mine = no_exp_sum();
        each_pack<N>(t, x, length, [&](int64_t i, const pack<N> &p) {
            add_exps(mine, scaled(p, a.shift, i, factor));
        });
        const exp_sum all = team_exp_sum(t, mine);
        const float log_sum = logf(all.sum), part = 1.0f / all.sum;
        each_pack<N>(t, x, length, [&](int64_t i, const pack<N> &p) {
            pack<N> z = scaled(p, a.shift, i, factor);
            for (int k = 0; k < N; k++)
                z.v[k] = a.log ? z.v[k] - all.max - log_sum : expf(z.v[k] - all.max) * part;
            store(y + i, z);
        });
    }
}

template <class T, class Y> WISP_DEVICE void softmax(const softmax_args &a)
{
    __shared__ float room[32];
    if (a.cut.wide)
        softmax_rows<T, Y, wide_of<T>::n>(a, room);
    else
        softmax_rows<T, Y, 1>(a, room);
}

/* y = softmax(z): dz = y (dy - sum of dy y);  y = log softmax(z): dz = dy - exp(y) sum of dy */
template <class T, int N> WISP_DEVICE void softmax_grad_rows(const softmax_args &a, float *room)
{
    const row_team t = row_team_of(a.cut, room);
    const int64_t length = a.cut.length;
    const float factor = a.factor * (a.scale ? *a.scale : 1.0f);
    for (int64_t row = t.first; row < a.cut.n; row += t.step) {
        const T *dy = static_cast<const T *>(a.dy) + row * length;
        const T *y = static_cast<const T *>(a.y_in) + row * length;
        T *dx = static_cast<T *>(a.y) + row * length;
        float mine = 0.0f;
        each_two<N>(t, dy, y, length, [&](int64_t, const pack<N> &d, const pack<N> &p) {
            for (int k = 0; k < N; k++)
                mine += a.log ? d.v[k] : d.v[k] * p.v[k];
        });
        const float sum = team_sum(t, mine);
        each_two<N>(t, dy, y, length, [&](int64_t i, pack<N> d, const pack<N> &p) {
            for (int k = 0; k < N; k++)
                d.v[k] = factor * (a.log ? d.v[k] - expf(p.v[k]) * sum : p.v[k] * (d.v[k] - sum));
            store(dx + i, d);
        });
    }
}

template <class T> WISP_DEVICE void softmax_grad(const softmax_args &a)
{
    __shared__ float room[32];
    if (a.cut.wide)
        softmax_grad_rows<T, wide_of<T>::n>(a, room);
    else
        softmax_grad_rows<T, 1>(a, room);
}

/* --- cross-entropy against labels --- */

WISP_DEVICE bool is_class(int64_t label, int64_t classes)
{
    return label >= 0 && label < classes;
}

template <class T, int N>
WISP_DEVICE void cross_entropy_rows(const cross_entropy_args &a, float *room)
{
    const row_team t = row_team_of(a.cut, room);
    const int64_t length = a.cut.length;
    for (int64_t row = t.first; row < a.cut.n; row += t.step) {
        const T *x = static_cast<const T *>(a.logits) + row * length;
        exp_sum mine = no_exp_sum();
        each_pack<N>(t, x, length, [&](int64_t, const pack<N> &p) {
            add_exps(mine, scaled(p, nullptr, 0, a.scale));
        });
        const exp_sum all = team_exp_sum(t, mine);
        if (t.lane != 0)
            continue;
        const float lse = all.max + logf(all.sum);
        const int64_t label = a.labels[row];
        a.lse[row] = lse;
        a.rows[row] = is_class(label, length) ? lse - to_f32(x[label]) * a.scale : NAN;
    }
}

template <class T> WISP_DEVICE void cross_entropy(const cross_entropy_args &a)
{
    __shared__ float room[32];
    if (a.cut.wide)
        cross_entropy_rows<T, wide_of<T>::n>(a, room);
    else
        cross_entropy_rows<T, 1>(a, room);
}

template <class T, int N>
WISP_DEVICE void cross_entropy_grad_rows(const cross_entropy_args &a, float *room)
{
    const row_team t = row_team_of(a.cut, room);
    const int64_t length = a.cut.length;
    const float factor = *a.dloss * a.scale / static_cast<float>(a.cut.n);
    for (int64_t row = t.first; row < a.cut.n; row += t.step) {
        const T *x = static_cast<const T *>(a.logits) + row * length;
        T *dx = static_cast<T *>(a.dlogits) + row * length;
        const int64_t label = a.labels[row];
        const float lse = a.lse_in[row], by = is_class(label, length) ? factor : NAN;
        each_pack<N>(t, x, length, [&](int64_t i, pack<N> p) {
            for (int k = 0; k < N; k++) {
                p.v[k] = by * expf(p.v[k] * a.scale - lse);
                p.v[k] -= i + k == label ? by : 0.0f;
            }
            store(dx + i, p);
        });
    }
}

template <class T> WISP_DEVICE void cross_entropy_grad(const cross_entropy_args &a)
{
    __shared__ float room[32];
    if (a.cut.wide)
        cross_entropy_grad_rows<T, wide_of<T>::n>(a, room);
    else
        cross_entropy_grad_rows<T, 1>(a, room);
}

} // namespace

WISP_KERNEL(softmax_f32_f32, softmax_args)
{
    softmax<float, float>(a);
}
WISP_KERNEL(softmax_bf16_f32, softmax_args)
{
    softmax<bf16, float>(a);
}
WISP_KERNEL(softmax_bf16_bf16, softmax_args)
{
    softmax<bf16, bf16>(a);
}
WISP_KERNEL(softmax_grad_f32, softmax_args)
{
    softmax_grad<float>(a);
}
WISP_KERNEL(softmax_grad_bf16, softmax_args)
{
    softmax_grad<bf16>(a);
}
WISP_KERNEL(cross_entropy_f32, cross_entropy_args)
{
    cross_entropy<float>(a);
}
WISP_KERNEL(cross_entropy_bf16, cross_entropy_args)
{
    cross_entropy<bf16>(a);
}
/* One block. */
WISP_KERNEL(cross_entropy_finish, cross_entropy_args)
{
    __shared__ float room[32];
    float sum = 0.0f;
    for (int64_t row = threadIdx.x; row < a.cut.n; row += blockDim.x)
        sum += a.rows[row];
    sum = block_sum(sum, room);
    if (threadIdx.x == 0)
        *a.loss = sum / static_cast<float>(a.cut.n);
}
WISP_KERNEL(cross_entropy_grad_f32, cross_entropy_args)
{
    cross_entropy_grad<float>(a);
}
WISP_KERNEL(cross_entropy_grad_bf16, cross_entropy_args)
{
    cross_entropy_grad<bf16>(a);
}
