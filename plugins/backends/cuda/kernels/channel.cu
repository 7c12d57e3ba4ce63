/* channel.cu - running statistics, and batch normalisation as one multiply-add a channel.
 *
 * Bytes a channel: running_update 24, norm_scale 24, norm_scale_grad 36; a launch costs more. */
#include "channel.h"
#include "kernel.cuh"

/* out: running_mean, running_var */
WISP_KERNEL(running_update, channel_args)
{
    for (int64_t c = thread_index(); c < a.n; c += thread_count()) {
        a.out[0][c] = a.rest * a.out[0][c] + a.momentum * a.mean[c];
        a.out[1][c] = a.rest * a.out[1][c] + a.momentum * (a.var[c] * a.unbiased);
    }
}

/* out: scale, shift */
WISP_KERNEL(norm_scale, channel_args)
{
    for (int64_t c = thread_index(); c < a.n; c += thread_count()) {
        const float scale = (a.gamma ? a.gamma[c] : 1.0f) / sqrtf(a.var[c] + a.eps);
        a.out[0][c] = scale;
        a.out[1][c] = (a.beta ? a.beta[c] : 0.0f) - a.mean[c] * scale;
    }
}

/* out: dmean, dvar, dgamma, dbeta */
WISP_KERNEL(norm_scale_grad, channel_args)
{
    for (int64_t c = thread_index(); c < a.n; c += thread_count()) {
        const float rstd = 1.0f / sqrtf(a.var[c] + a.eps), gamma = a.gamma ? a.gamma[c] : 1.0f;
        const float total = a.dscale[c] - a.mean[c] * a.dshift[c];
        a.out[0][c] = -a.dshift[c] * gamma * rstd;
        a.out[1][c] = -0.5f * total * gamma * rstd * rstd * rstd;
        a.out[2][c] = total * rstd;
        a.out[3][c] = a.dshift[c];
    }
}
