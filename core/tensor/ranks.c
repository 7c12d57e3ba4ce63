#include "tensor/ranks.h"

#include <string.h>

#include "tensor/rank_calls.h"

void wispi_step_join(wisp_step *s, const wispi_ranks *ranks)
{
    wispi_step_of(s)->ranks = ranks && ranks->size > 1 ? ranks : NULL;
}

const wispi_ranks *wispi_step_ranks(wisp_step *s)
{
    return wispi_step_of(s)->ranks;
}

static wispi_rank_attrs attrs_of(wisp_step *s, int32_t reduction)
{
    wispi_rank_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.ranks = wispi_step_ranks(s);
    attrs.reduction = reduction;
    return attrs;
}

wisp_tensor *wispi_ranks_gather(wisp_step *s, wisp_tensor *x)
{
    const wispi_rank_attrs attrs = attrs_of(s, 0);
    return wispi_apply1(s, &wispi_rank_gather, &attrs, &x, 1);
}

/* bf16 is added in f32. */
static wisp_tensor *reduce(wisp_step *s, wisp_tensor *x, int32_t reduction)
{
    const wispi_rank_attrs attrs = attrs_of(s, reduction);
    const int32_t dtype = x ? wispi_tensor_desc(x)->dtype : WISP_F32;
    wisp_tensor *wide = dtype == WISP_BF16 ? wisp_cast(s, x, WISP_F32) : x;
    wisp_tensor *y = wispi_apply1(s, &wispi_rank_reduce, &attrs, &wide, 1);
    return y && dtype == WISP_BF16 ? wisp_cast(s, y, dtype) : y;
}

wisp_tensor *wispi_ranks_sum(wisp_step *s, wisp_tensor *x)
{
    return reduce(s, x, WISP_REDUCE_OVER_RANKS_SUM);
}

wisp_tensor *wispi_ranks_mean(wisp_step *s, wisp_tensor *x)
{
    return reduce(s, x, WISP_REDUCE_OVER_RANKS_MEAN);
}

void wispi_ranks_average_gradient(wisp_step *s, wisp_tensor *x)
{
    const wispi_rank_attrs attrs = attrs_of(s, WISP_REDUCE_OVER_RANKS_MEAN);
    wisp_tensor *out[WISPI_MAX_OUT] = {x};
    wispi_apply(s, &wispi_rank_average, &attrs, &x, 1, out);
}

void wispi_ranks_sum_pair(wisp_step *s, wisp_tensor *pair[2])
{
    const int64_t n = pair[0] ? wisp_desc_count(wispi_tensor_desc(pair[0])) : 0;
    wisp_tensor *both = wispi_ranks_sum(s, wisp_concat(s, pair, 2, 0));
    for (int32_t i = 0; i < 2; i++)
        pair[i] = both ? wispi_leading_slice(s, both, i * n, n) : NULL;
}

/* The variance of all is the mean of the variances and of the means' distances from their mean;
 * nothing large is subtracted from something large. */
void wispi_ranks_merge(wisp_step *s, wisp_tensor **mean, wisp_tensor **var)
{
    const int32_t size = wispi_step_ranks(s)->size;
    const int64_t channels = *mean ? wisp_desc_count(wispi_tensor_desc(*mean)) : 0;
    const wisp_desc by_rank = wisp_desc2(WISP_F32, size, 2 * channels);
    wisp_tensor *own[2] = {*mean, *var};
    wisp_tensor *all = wispi_ranks_gather(s, wisp_concat(s, own, 2, 0));
    if (!all)
        return;
    all = wispi_reshape(s, all, &by_rank);
    wisp_tensor *means = wisp_mean(s, all, 1, 0); /* of the means, then of the variances */
    *mean = wispi_leading_slice(s, means, 0, channels);
    wisp_tensor *distance = wisp_sub(s, wisp_slice(s, all, 1, 0, channels), *mean);
    *var = wisp_add(s, wispi_leading_slice(s, means, channels, channels),
                    wisp_mean(s, wisp_mul(s, distance, distance), 1, 0));
}
