#include "nn/collective.h"

#include <math.h>

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
    return wispi_step_ranks(s) ? wispi_ranks_sum(s, x) : x;
}

wisp_tensor *wispi_collective_mean(wisp_step *s, wisp_tensor *x)
{
    return wispi_step_ranks(s) ? wispi_ranks_mean(s, x) : x;
}

int wispi_collective_has_statistics(wisp_step *s)
{
    return wispi_step_ranks(s) && !wispi_step_of(s)->n_own_parts;
}

/* A share of `momentum` taken once a part, in order, leaves part i of n this weight. */
static double weight_of(double momentum, int64_t i, int64_t n)
{
    return momentum * pow(1 - momentum, (double)(n - 1 - i));
}

/* The weight of one part of each rank together. */
static double weight_of_all(double momentum, int64_t part, int64_t n_parts, int32_t n_ranks)
{
    double sum = 0;
    for (int32_t r = 0; r < n_ranks; r++)
        sum += weight_of(momentum, r * n_parts + part, n_parts * n_ranks);
    return sum;
}

/* Ranks go through their first parts together, then through their second ones ..., but parts count
 * rank by rank. Weights do not depend on the order in which they are added: what comes later in the
 * loop must be left room for, that is all. */
void wispi_collective_parts(wisp_step *s, wisp_tensor **mean, wisp_tensor **var, double *momentum)
{
    const wispi_ranks *ranks = wispi_step_ranks(s);
    const int64_t part = wispi_step_of(s)->own_part, n = wispi_step_of(s)->n_own_parts;
    if (!ranks || !n)
        return;
    const double own = weight_of(*momentum, ranks->rank * n + part, n * ranks->size);
    const double all = weight_of_all(*momentum, part, n, ranks->size);
    double room = 1;
    for (int64_t later = part + 1; later < n; later++)
        room -= weight_of_all(*momentum, later, n, ranks->size);
    const double share = all > 0 ? own / all : 1.0 / ranks->size;
    wisp_tensor *pair[2] = {wisp_scale(s, *mean, share), wisp_scale(s, *var, share)};
    wispi_ranks_sum_pair(s, pair);
    *mean = pair[0];
    *var = pair[1];
    *momentum = all > 0 ? fmin(1, all / room) : 0;
}

void wispi_collective_statistics(wisp_step *s, wisp_tensor **mean, wisp_tensor **var,
                                 int64_t *count)
{
    if (!wispi_collective_has_statistics(s))
        return;
    wispi_ranks_merge(s, mean, var);
    *count *= wispi_collective_size(s);
}

void wispi_collective_gradient(wisp_step *s, wispi_store *store)
{
    if (!wispi_step_ranks(s) || !store->gradient.data)
        return;
    wisp_no_grad_begin(s);
    wispi_ranks_average_gradient(s, wispi_step_variable(s, &store->gradient));
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
