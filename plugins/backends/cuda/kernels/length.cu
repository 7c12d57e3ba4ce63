/* length.cu - rows of length 1 (l2_normalize), or of a given one (weight_norm).
 *
 * The second reading of a row is from caches. Bytes an element of size s: 2 s forward (x, y), 3 s
 * backward (dy, y or v, dx). */
#include "length.h"
#include "rows.cuh"

namespace
{

/* What a row is multiplied by: 1 / max(norm, eps), or gain / norm. */
WISP_DEVICE float factor_of(const length_args &a, int64_t row, float norm)
{
    return a.gain ? a.gain[row] / norm : 1.0f / fmaxf(norm, a.eps);
}

template <class T, int N> WISP_DEVICE void length_rows(const length_args &a, float *room)
{
    const row_team t = row_team_of(a.cut, room);
    const int64_t length = a.cut.length;
    for (int64_t row = t.first; row < a.cut.n; row += t.step) {
        const T *x = static_cast<const T *>(a.x) + row * length;
        T *y = static_cast<T *>(a.y) + row * length;
        float sum = 0.0f;
        each_pack<N>(t, x, length, [&](int64_t, const pack<N> &p) {
            for (int k = 0; k < N; k++)
                sum = fmaf(p.v[k], p.v[k], sum);
        });
        const float norm = sqrtf(team_sum(t, sum)), factor = factor_of(a, row, norm);
        each_pack<N>(t, x, length, [&](int64_t i, pack<N> p) {
            for (int k = 0; k < N; k++)
                p.v[k] *= factor;
            store(y + i, p);
        });
        if (t.lane == 0)
            a.norm[row] = norm;
    }
}

template <class T> WISP_DEVICE void length_of(const length_args &a)
{
    __shared__ float room[32];
    if (a.cut.wide)
        length_rows<T, wide_of<T>::n>(a, room);
    else
        length_rows<T, 1>(a, room);
}

/* dx = by dy - off x: what a row's gradient is made of. */
struct length_slope {
    float by, off;
};

/* dot is dy . y, or dy . v. */
WISP_DEVICE length_slope length_slope_of(const length_args &a, int64_t row, float dot)
{
    const float norm = a.norm_in[row];
    length_slope s = {1.0f / norm, dot / norm};
    if (a.gain) {
        s.by = a.gain[row] / norm;
        s.off = s.by * (dot / (norm * norm));
    } else if (norm < a.eps) {
        s.by = 1.0f / a.eps;
        s.off = 0.0f;
    }
    return s;
}

template <class T, int N> WISP_DEVICE void length_grad_rows(const length_args &a, float *room)
{
    const row_team t = row_team_of(a.cut, room);
    const int64_t length = a.cut.length;
    for (int64_t row = t.first; row < a.cut.n; row += t.step) {
        const T *x = static_cast<const T *>(a.x) + row * length;
        const T *dy = static_cast<const T *>(a.dy) + row * length;
        T *dx = static_cast<T *>(a.y) + row * length;
        float mine = 0.0f;
        each_two<N>(t, dy, x, length, [&](int64_t, const pack<N> &d, const pack<N> &p) {
            for (int k = 0; k < N; k++)
                mine = fmaf(d.v[k], p.v[k], mine);
        });
        const float dot = team_sum(t, mine);
        const length_slope s = length_slope_of(a, row, dot);
        each_two<N>(t, dy, x, length, [&](int64_t i, pack<N> d, const pack<N> &p) {
            for (int k = 0; k < N; k++)
                d.v[k] = s.by * d.v[k] - s.off * p.v[k];
            store(dx + i, d);
        });
        if (a.dgain && t.lane == 0)
            a.dgain[row] = dot / a.norm_in[row];
    }
}

template <class T> WISP_DEVICE void length_grad(const length_args &a)
{
    __shared__ float room[32];
    if (a.cut.wide)
        length_grad_rows<T, wide_of<T>::n>(a, room);
    else
        length_grad_rows<T, 1>(a, room);
}

} // namespace

WISP_KERNEL(length_f32, length_args)
{
    length_of<float>(a);
}
WISP_KERNEL(length_bf16, length_args)
{
    length_of<bf16>(a);
}
WISP_KERNEL(length_grad_f32, length_args)
{
    length_grad<float>(a);
}
WISP_KERNEL(length_grad_bf16, length_args)
{
    length_grad<bf16>(a);
}
