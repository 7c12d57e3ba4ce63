#include "nn/collective.h"

#include "nn/model.h"
#include "nn/op_call.h"
#include "tensor/ranks.h"

int32_t wispi_collective_size(wisp_step *s)
{
    return wispi_ranks_size(wispi_step_ranks(s));
}

wisp_tensor *wispi_collective_gather(wisp_step *s, wisp_tensor *x, int with_gradient)
{
    if (!wispi_step_ranks(s))
        return with_gradient ? x : wispi_stop_gradient(s, x);
    wispi_step_of(s)->no_grad += !with_gradient;
    wisp_tensor *all = wispi_ranks_gather(s, x);
    wispi_step_of(s)->no_grad -= !with_gradient;
    return all;
}

wisp_tensor *wispi_collective_sum(wisp_step *s, wisp_tensor *x)
{
    return wispi_step_ranks(s) ? wispi_ranks_sum(s, x, 1) : x;
}

wisp_tensor *wispi_collective_mean(wisp_step *s, wisp_tensor *x)
{
    return wispi_step_ranks(s) ? wispi_ranks_sum(s, x, 1.0 / wispi_collective_size(s)) : x;
}

void wispi_collective_statistics(wisp_step *s, wisp_tensor **mean, wisp_tensor **var,
                                 int64_t *count)
{
    if (!wispi_step_ranks(s))
        return;
    wispi_ranks_merge(s, mean, var);
    *count *= wispi_collective_size(s);
}

void wispi_collective_gradient(wisp_step *s, wispi_store *store)
{
    if (!wispi_step_ranks(s) || !store->gradient.data)
        return;
    wisp_no_grad_begin(s);
    wispi_ranks_sum_into(s, wispi_step_variable(s, &store->gradient),
                         1.0 / wispi_collective_size(s));
    wisp_no_grad_end(s);
}

/* Row n of x is sample n % batch of view n / batch; the views of all ranks' samples come one after
 * another, as if one rank had them all. */
wisp_tensor *wispi_collective_own_rows(wisp_step *s, wisp_tensor *all, int64_t batch)
{
    const wispi_ranks *ranks = wispi_step_ranks(s);
    const int64_t rows = wispi_tensor_desc(all)->shape[0];
    const wisp_desc split = wisp_desc2(WISP_F32, rows / batch / ranks->size, batch * ranks->size);
    const wisp_desc own = wisp_desc1(WISP_F32, rows / ranks->size);
    wisp_tensor *by_view = wispi_reshape(s, all, &split);
    return wisp_reshape(s, wisp_slice(s, by_view, 1, ranks->rank * batch, batch), &own);
}
