#include "tensor/ranks.h"

#include <string.h>

#include "base/bf16.h"
#include "base/memory.h"

typedef struct ranks_attrs {
    const wispi_ranks *ranks;
    double factor;
} ranks_attrs;

/* A call with its communicator; what the kernel's state is. */
typedef struct rank_kernel {
    wisp_kernel kernel;
    ranks_attrs attrs;
    int64_t count; /* elements of the first input */
    int32_t dtype; /* its type */
    int32_t n_in;
} rank_kernel;

typedef wisp_status (*rank_run)(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                const wisp_kernel_arg *out, void *scratch, wisp_error *err);

static void release(wisp_kernel *kernel)
{
    wispi_free(kernel->state);
}

static wisp_status make_kernel(const wisp_kernel_request *request, rank_run run,
                               size_t scratch_bytes, wisp_kernel **kernel, wisp_error *err)
{
    rank_kernel *made = wispi_alloc(sizeof *made);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for a kernel", request->op);
    memcpy(&made->attrs, request->attrs, sizeof made->attrs);
    made->count = wisp_desc_count(request->in[0]);
    made->dtype = request->in[0]->dtype;
    made->n_in = request->n_in;
    made->kernel = (wisp_kernel){.struct_size = sizeof made->kernel,
                                 .scratch_bytes = scratch_bytes,
                                 .implementation = "ranks",
                                 .state = made,
                                 .run = run,
                                 .release = release};
    *kernel = &made->kernel;
    return WISP_OK;
}

static wisp_status sum_over_ranks(const rank_kernel *k, float *values, int64_t count,
                                  wisp_error *err)
{
    const wispi_ranks *r = k->attrs.ranks;
    WISP_TRY(
        r->comm->all_reduce(r->self, values, count, WISP_F32, WISP_REDUCE_OVER_RANKS_SUM, err));
    const float factor = (float)k->attrs.factor;
    for (int64_t i = 0; i < count && k->attrs.factor != 1; i++)
        values[i] *= factor;
    return WISP_OK;
}

static int is_float(const wisp_desc *d)
{
    return d->dtype == WISP_F32 || d->dtype == WISP_BF16;
}

/* --- bf16 is added in f32 --- */

static void widen(float *to, const void *from, int32_t dtype, int64_t count)
{
    const uint16_t *half = from;
    if (dtype == WISP_F32) {
        if (to != from)
            memcpy(to, from, (size_t)count * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        to[i] = wispi_f32_from_bf16(half[i]);
}

static void narrow(void *to, const float *from, int32_t dtype, int64_t count)
{
    uint16_t *half = to;
    if (dtype == WISP_F32) {
        if (to != from)
            memcpy(to, from, (size_t)count * sizeof *from);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        half[i] = wispi_bf16_from_f32(from[i]);
}

/* --- all_gather --- */

static const char *const one_in[] = {"x"};
static const char *const one_out[] = {"y"};

static wisp_status gather_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    const ranks_attrs *a = attrs;
    (void)n_in;
    if (!in[0] || in[0]->rank < 1)
        return wisp_fail(err, WISP_E_SHAPE, "all_gather: x must have rows to gather");
    out[0] = *in[0];
    out[0].shape[0] *= a->ranks->size;
    return WISP_OK;
}

static wisp_status gather_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const rank_kernel *k = kernel->state;
    const wispi_ranks *r = k->attrs.ranks;
    (void)scratch;
    return r->comm->all_gather(r->self, in[0].data, out[0].data,
                               (size_t)(k->count * wisp_dtype_bytes(k->dtype)), err);
}

static wisp_status gather_kernel(const wisp_kernel_request *request, wisp_kernel **kernel,
                                 wisp_error *err)
{
    return make_kernel(request, gather_run, 0, kernel, err);
}

/* The gradient: every rank has used the rows of this one, so theirs are summed. */
static wisp_status own_rows_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                  wisp_desc *out, wisp_error *err)
{
    const ranks_attrs *a = attrs;
    (void)n_in;
    if (!in[0] || !is_float(in[0]) || in[0]->rank < 1 || in[0]->shape[0] % a->ranks->size)
        return wisp_fail(err, WISP_E_SHAPE, "all_gather_grad: dy must have rows of all ranks");
    out[0] = *in[0];
    out[0].shape[0] /= a->ranks->size;
    return WISP_OK;
}

static wisp_status own_rows_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const rank_kernel *k = kernel->state;
    const int64_t own = k->count / k->attrs.ranks->size;
    float *all = scratch;
    widen(all, in[0].data, k->dtype, k->count);
    WISP_TRY(sum_over_ranks(k, all, k->count, err));
    narrow(out[0].data, all + own * k->attrs.ranks->rank, k->dtype, own);
    return WISP_OK;
}

static wisp_status own_rows_kernel(const wisp_kernel_request *request, wisp_kernel **kernel,
                                   wisp_error *err)
{
    const size_t bytes = (size_t)wisp_desc_count(request->in[0]) * sizeof(float);
    return make_kernel(request, own_rows_run, bytes, kernel, err);
}

static const wispi_op own_rows_op = {
    .name = "all_gather_grad",
    .attrs_bytes = sizeof(ranks_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = one_in,
    .out_names = one_out,
    .infer = own_rows_infer,
    .host_kernel = own_rows_kernel,
};

static wisp_status gather_gradient(wispi_grad *grad)
{
    wisp_tensor *dy = grad->dout[0];
    if (dy && wispi_grad_wants(grad, 0))
        wispi_grad_give(grad, 0, wispi_apply1(grad->step, &own_rows_op, grad->attrs, &dy, 1));
    return WISP_OK;
}

static const wispi_op gather_op = {
    .name = "all_gather",
    .attrs_bytes = sizeof(ranks_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = one_in,
    .out_names = one_out,
    .infer = gather_infer,
    .gradient = gather_gradient,
    .host_kernel = gather_kernel,
};

/* --- all_reduce --- */

static const char *const pair_in[] = {"a", "b"};
static const char *const pair_out[] = {"a", "b"};

static wisp_status reduce_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    (void)attrs;
    if (!in[0] || !is_float(in[0]))
        return wisp_fail(err, WISP_E_DTYPE, "all_reduce: a must be floating point");
    out[0] = *in[0];
    out[1] = (wisp_desc){0, 0, {0}};
    if (n_in < 2)
        return WISP_OK;
    if (!in[1] || memcmp(in[0], in[1], sizeof *in[0]) != 0)
        return wisp_fail(err, WISP_E_SHAPE, "all_reduce: a and b must be alike");
    out[1] = *in[1];
    return WISP_OK;
}

static wisp_status reduce_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const rank_kernel *k = kernel->state;
    float *sums = k->n_in == 1 && k->dtype == WISP_F32 ? out[0].data : scratch;
    for (int32_t i = 0; i < k->n_in; i++)
        widen(sums + i * k->count, in[i].data, k->dtype, k->count);
    WISP_TRY(sum_over_ranks(k, sums, k->n_in * k->count, err));
    for (int32_t i = 0; i < k->n_in; i++)
        narrow(out[i].data, sums + i * k->count, k->dtype, k->count);
    return WISP_OK;
}

static wisp_status reduce_kernel(const wisp_kernel_request *request, wisp_kernel **kernel,
                                 wisp_error *err)
{
    const int in_place = request->n_in == 1 && request->in[0]->dtype == WISP_F32;
    const size_t values = (size_t)request->n_in * (size_t)wisp_desc_count(request->in[0]);
    return make_kernel(request, reduce_run, in_place ? 0 : values * sizeof(float), kernel, err);
}

static const wispi_op reduce_op;

/* Every rank has used the sum, so what they say of it is summed, with the same factor. */
static wisp_status reduce_gradient(wispi_grad *grad)
{
    wisp_tensor *dy = grad->dout[0], *out[WISPI_MAX_OUT] = {NULL};
    if (!dy || !wispi_grad_wants(grad, 0))
        return WISP_OK;
    wispi_apply(grad->step, &reduce_op, grad->attrs, &dy, 1, out);
    wispi_grad_give(grad, 0, out[0]);
    return WISP_OK;
}

static const wispi_op reduce_op = {
    .name = "all_reduce",
    .attrs_bytes = sizeof(ranks_attrs),
    .min_in = 1,
    .max_in = 2,
    .n_out = 2,
    .in_names = pair_in,
    .out_names = pair_out,
    .infer = reduce_infer,
    .gradient = reduce_gradient,
    .host_kernel = reduce_kernel,
};

/* --- merge_stats --- */

static const char *const stats_names[] = {"mean", "var"};

static wisp_status merge_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                               wisp_desc *out, wisp_error *err)
{
    (void)attrs;
    (void)n_in;
    if (!in[0] || !in[1] || in[0]->dtype != WISP_F32 || memcmp(in[0], in[1], sizeof *in[0]) != 0)
        return wisp_fail(err, WISP_E_SHAPE, "merge_stats: mean and var must be f32 and alike");
    out[0] = *in[0];
    out[1] = *in[1];
    return WISP_OK;
}

/* all (size,2,C): the variance of all is the mean of the variances and of the means' distances from
 * their mean; nothing large is subtracted from something large. In double, since few values of many
 * ranks are added. */
static void merge(const float *all, int32_t size, int64_t channels, float *mean, float *var)
{
    for (int64_t c = 0; c < channels; c++) {
        double m = 0, v = 0;
        for (int32_t r = 0; r < size; r++)
            m += all[2 * r * channels + c];
        m /= size;
        for (int32_t r = 0; r < size; r++) {
            const double distance = all[2 * r * channels + c] - m;
            v += all[(2 * r + 1) * channels + c] + distance * distance;
        }
        mean[c] = (float)m;
        var[c] = (float)(v / size);
    }
}

static wisp_status merge_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const rank_kernel *k = kernel->state;
    const wispi_ranks *r = k->attrs.ranks;
    float *own = scratch, *all = own + 2 * k->count;
    for (int32_t i = 0; i < 2; i++)
        memcpy(own + i * k->count, in[i].data, (size_t)k->count * sizeof *own);
    WISP_TRY(r->comm->all_gather(r->self, own, all, (size_t)(2 * k->count) * sizeof *own, err));
    merge(all, r->size, k->count, out[0].data, out[1].data);
    return WISP_OK;
}

static wisp_status merge_kernel(const wisp_kernel_request *request, wisp_kernel **kernel,
                                wisp_error *err)
{
    const ranks_attrs *a = request->attrs;
    const size_t values =
        2 * (size_t)wisp_desc_count(request->in[0]) * (size_t)(a->ranks->size + 1);
    return make_kernel(request, merge_run, values * sizeof(float), kernel, err);
}

static const wispi_op merge_op = {
    .name = "merge_stats",
    .attrs_bytes = sizeof(ranks_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .parameter_in = 3,
    .in_names = stats_names,
    .out_names = stats_names,
    .infer = merge_infer,
    .host_kernel = merge_kernel,
};

/* --- calls --- */

void wispi_step_join(wisp_step *s, const wispi_ranks *ranks)
{
    wispi_step_of(s)->ranks = ranks && ranks->size > 1 ? ranks : NULL;
}

const wispi_ranks *wispi_step_ranks(wisp_step *s)
{
    return wispi_step_of(s)->ranks;
}

static ranks_attrs attrs_of(wisp_step *s, double factor)
{
    ranks_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.ranks = wispi_step_ranks(s);
    attrs.factor = factor;
    return attrs;
}

wisp_tensor *wispi_ranks_gather(wisp_step *s, wisp_tensor *x)
{
    const ranks_attrs attrs = attrs_of(s, 1);
    return wispi_apply1(s, &gather_op, &attrs, &x, 1);
}

wisp_tensor *wispi_ranks_sum(wisp_step *s, wisp_tensor *x, double factor)
{
    const ranks_attrs attrs = attrs_of(s, factor);
    return wispi_apply1(s, &reduce_op, &attrs, &x, 1);
}

void wispi_ranks_sum_into(wisp_step *s, wisp_tensor *x, double factor)
{
    const ranks_attrs attrs = attrs_of(s, factor);
    wisp_tensor *out[WISPI_MAX_OUT] = {x};
    wispi_apply(s, &reduce_op, &attrs, &x, 1, out);
}

void wispi_ranks_sum_pair(wisp_step *s, wisp_tensor *pair[2])
{
    const ranks_attrs attrs = attrs_of(s, 1);
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    wispi_apply(s, &reduce_op, &attrs, pair, 2, out);
    pair[0] = out[0];
    pair[1] = out[1];
}

void wispi_ranks_merge(wisp_step *s, wisp_tensor **mean, wisp_tensor **var)
{
    const ranks_attrs attrs = attrs_of(s, 1);
    wisp_tensor *in[2] = {*mean, *var}, *out[WISPI_MAX_OUT] = {NULL};
    wispi_apply(s, &merge_op, &attrs, in, 2, out);
    *mean = out[0];
    *var = out[1];
}
