// words.cuh - what kernels share that move words and find out where each comes from.
#ifndef CUDA_WORDS_CUH
#define CUDA_WORDS_CUH

#include "division.h"
#include "kernel.cuh"

namespace
{

WISP_DEVICE int64_t quotient(const division &d, int64_t n)
{
    if (d.times == 0)
        return n / d.by;
    const uint32_t m = static_cast<uint32_t>(n);
    return (__umulhi(m, d.times) + m) >> d.shift;
}

/* n = quotient * d + what is returned. */
WISP_DEVICE int64_t split(const division &d, int64_t n, int64_t *rest)
{
    const int64_t q = quotient(d, n);
    *rest = n - q * d.by;
    return q;
}

/* y[i] = fetch(i) for all i below n, four reads of a thread in flight. */
template <class W, class F> WISP_DEVICE void write_words(void *to, int64_t n, F fetch)
{
    W *y = static_cast<W *>(to);
    const int64_t step = thread_count();
    for (int64_t i = thread_index(); i < n; i += 4 * step) {
        W word[4];
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (i + k * step < n)
                word[k] = fetch(i + k * step);
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (i + k * step < n)
                y[i + k * step] = word[k];
    }
}

} // namespace

#endif
