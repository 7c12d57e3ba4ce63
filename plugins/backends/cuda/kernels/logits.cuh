/* logits.cuh - the sum of exponentials of a row in one pass: the largest value so far is kept out
 * of the exponents, and the sum is corrected when a larger one comes. */
#ifndef CUDA_KERNELS_LOGITS_CUH
#define CUDA_KERNELS_LOGITS_CUH

#include "rows.cuh"

namespace
{

struct exp_sum {
    float max, sum; /* sum of exp(z - max) */
};

WISP_DEVICE exp_sum no_exp_sum()
{
    const exp_sum none = {-INFINITY, 0.0f};
    return none;
}

template <int N> WISP_DEVICE void add_exps(exp_sum &e, const pack<N> &z)
{
    float max = z.v[0];
    for (int k = 1; k < N; k++)
        max = fmaxf(max, z.v[k]);
    if (max > e.max) {
        e.sum *= expf(e.max - max);
        e.max = max;
    }
    /* Where all so far is -inf, their exponentials are 0 whatever is kept out. */
    const float out = e.max == -INFINITY ? 0.0f : e.max;
    for (int k = 0; k < N; k++)
        e.sum += expf(z.v[k] - out);
}

/* What a part's sum is worth beside the largest value of all. */
WISP_DEVICE float worth(const exp_sum &part, float max)
{
    return part.max == max ? part.sum : part.sum * expf(part.max - max);
}

WISP_DEVICE exp_sum team_exp_sum(const row_team &t, const exp_sum &mine)
{
    exp_sum all;
    all.max = team_max(t, mine.max);
    all.sum = team_sum(t, worth(mine, all.max));
    return all;
}

} // namespace

#endif
