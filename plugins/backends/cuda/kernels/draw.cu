/* draw.cu - random numbers in [0, 1), and branches dropped for whole samples.
 *
 * Every draw is a function of key, stream and index alone, in whole numbers, so that all backends
 * draw the same bits. Bytes: uniform 4 an element; drop_path and its gradient 2 s an element of
 * size s, and 4 a sample. */
#include "draw.h"
#include "packs.cuh"

namespace
{

/* The first word of Philox4x32-10's block (wisp/rng.h). */
WISP_DEVICE uint32_t first_word(const int32_t *key, uint64_t index, uint64_t stream)
{
    uint32_t c0 = static_cast<uint32_t>(index), c1 = static_cast<uint32_t>(index >> 32);
    uint32_t c2 = static_cast<uint32_t>(stream), c3 = static_cast<uint32_t>(stream >> 32);
    uint32_t k0 = static_cast<uint32_t>(key[0]), k1 = static_cast<uint32_t>(key[1]);
    for (int round = 0; round < 10; round++) {
        const uint32_t n0 = __umulhi(0xCD9E8D57u, c2) ^ c1 ^ k0;
        const uint32_t n2 = __umulhi(0xD2511F53u, c0) ^ c3 ^ k1;
        c1 = 0xCD9E8D57u * c2;
        c3 = 0xD2511F53u * c0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c0;
}

template <class T, int N>
WISP_DEVICE void scale_row(const T *x, T *y, float by, int64_t from, int64_t step, int64_t n)
{
    for (int64_t i = from * N; i < n; i += step * N) {
        pack<N> p = load<N>(x + i);
        for (int k = 0; k < N; k++)
            p.v[k] *= by;
        store(y + i, p);
    }
}

/* `slices` blocks share a sample, so that a block draws once for many elements. */
template <class T> WISP_DEVICE void drop_path(const drop_path_args &a)
{
    for (int64_t u = blockIdx.x; u < a.samples * a.slices; u += gridDim.x) {
        const int64_t n = u / a.slices, slice = u - n * a.slices;
        float keep;
        if (a.key)
            keep = first_word(a.key, static_cast<uint64_t>(n), a.stream) >> 8 < a.limit ? 0.0f
                                                                                        : a.kept;
        else
            keep = a.keep_in[n];
        if (a.key && slice == 0 && threadIdx.x == 0)
            a.keep[n] = keep;
        const T *x = static_cast<const T *>(a.x) + n * a.row;
        T *y = static_cast<T *>(a.y) + n * a.row;
        const int64_t from = slice * blockDim.x + threadIdx.x, step = a.slices * blockDim.x;
        if (a.wide)
            scale_row<T, wide_of<T>::n>(x, y, keep, from, step, a.row);
        else
            scale_row<T, 1>(x, y, keep, from, step, a.row);
    }
}

} // namespace

WISP_KERNEL(uniform_draw, uniform_args)
{
    for (int64_t i = thread_index(); i < a.n; i += thread_count())
        a.y[i] = static_cast<float>(first_word(a.key, static_cast<uint64_t>(i), a.stream) >> 8) *
                 (1.0f / 16777216.0f);
}

WISP_KERNEL(drop_path_f32, drop_path_args)
{
    drop_path<float>(a);
}
WISP_KERNEL(drop_path_bf16, drop_path_args)
{
    drop_path<bf16>(a);
}
