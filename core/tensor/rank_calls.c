#include "tensor/rank_calls.h"

#include <string.h>

#include "base/memory.h"

/* A call with its communicator; what the kernel's state is. */
typedef struct rank_kernel {
    wisp_kernel kernel;
    wispi_rank_attrs attrs;
    int64_t count; /* elements of the first input */
    size_t bytes;  /* and their size */
} rank_kernel;

typedef wisp_status (*rank_run)(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                const wisp_kernel_arg *out, void *scratch, wisp_error *err);

static const char *const names_x[] = {"x"};
static const char *const names_y[] = {"y"};

static void release(wisp_kernel *kernel)
{
    wispi_free(kernel->state);
}

static wisp_status make_kernel(const wisp_kernel_request *request, rank_run run,
                               wisp_kernel **kernel, wisp_error *err)
{
    rank_kernel *made = wispi_alloc(sizeof *made);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for a kernel", request->op);
    memcpy(&made->attrs, request->attrs, sizeof made->attrs);
    made->count = wisp_desc_count(request->in[0]);
    made->bytes = (size_t)wisp_desc_bytes(request->in[0]);
    made->kernel = (wisp_kernel){.struct_size = sizeof made->kernel,
                                 .implementation = "ranks",
                                 .state = made,
                                 .run = run,
                                 .release = release};
    *kernel = &made->kernel;
    return WISP_OK;
}

/* --- all_gather --- */

static wisp_status gather_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    const wispi_rank_attrs *a = attrs;
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
    return r->comm->all_gather(r->self, in[0].data, out[0].data, k->bytes, err);
}

static wisp_status gather_kernel(const wisp_kernel_request *request, wisp_kernel **kernel,
                                 wisp_error *err)
{
    return make_kernel(request, gather_run, kernel, err);
}

/* Every rank has used the rows of this one, so what they say of them is summed. */
static wisp_status gather_gradient(wispi_grad *grad)
{
    const wispi_rank_attrs *a = grad->attrs;
    wisp_tensor *dy = grad->dout[0];
    if (!dy || !wispi_grad_wants(grad, 0))
        return WISP_OK;
    const int64_t own = wispi_tensor_desc(dy)->shape[0] / a->ranks->size;
    wisp_tensor *all = wispi_ranks_sum(grad->step, dy);
    if (all)
        wispi_grad_give(grad, 0, wispi_leading_slice(grad->step, all, own * a->ranks->rank, own));
    return WISP_OK;
}

const wispi_op wispi_rank_gather = {
    .name = "all_gather",
    .attrs_bytes = sizeof(wispi_rank_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = names_x,
    .out_names = names_y,
    .infer = gather_infer,
    .gradient = gather_gradient,
    .host_kernel = gather_kernel,
};

/* --- all_reduce --- */

static wisp_status reduce_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    (void)attrs;
    (void)n_in;
    if (!in[0] || in[0]->dtype != WISP_F32)
        return wisp_fail(err, WISP_E_DTYPE, "all_reduce: x must be f32");
    out[0] = *in[0];
    return WISP_OK;
}

/* A device's memory is moved by the communicator alone; nothing else is under way meanwhile that
 * has this number. */
static wisp_status reduce_apart(const rank_kernel *k, const void *in, void *out, wisp_error *err)
{
    const wispi_ranks *r = k->attrs.ranks;
    const int32_t number = WISP_REDUCTIONS_UNDER_WAY - 1;
    WISP_TRY(r->comm->start_all_reduce(r->self, number, in, out, k->count, WISP_F32,
                                       k->attrs.reduction, err));
    return r->comm->wait(r->self, number, err);
}

static wisp_status reduce_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const rank_kernel *k = kernel->state;
    const wispi_ranks *r = k->attrs.ranks;
    (void)scratch;
    if (in[0].data != out[0].data && strcmp(r->comm->memory_kind, "host") != 0)
        return reduce_apart(k, in[0].data, out[0].data, err);
    if (in[0].data != out[0].data)
        memcpy(out[0].data, in[0].data, k->bytes);
    return r->comm->all_reduce(r->self, out[0].data, k->count, WISP_F32, k->attrs.reduction, err);
}

static wisp_status reduce_kernel(const wisp_kernel_request *request, wisp_kernel **kernel,
                                 wisp_error *err)
{
    return make_kernel(request, reduce_run, kernel, err);
}

/* Every rank has used the sum, or the mean, and so it is with what they say of it. */
static wisp_status reduce_gradient(wispi_grad *grad)
{
    wisp_tensor *dy = grad->dout[0];
    if (dy && wispi_grad_wants(grad, 0))
        wispi_grad_give(grad, 0, wispi_apply1(grad->step, &wispi_rank_reduce, grad->attrs, &dy, 1));
    return WISP_OK;
}

const wispi_op wispi_rank_reduce = {
    .name = "all_reduce",
    .attrs_bytes = sizeof(wispi_rank_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = names_x,
    .out_names = names_y,
    .infer = reduce_infer,
    .gradient = reduce_gradient,
    .host_kernel = reduce_kernel,
};

const wispi_op wispi_rank_average = {
    .name = "average_gradient",
    .attrs_bytes = sizeof(wispi_rank_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = names_x,
    .out_names = names_y,
    .infer = reduce_infer,
    .host_kernel = reduce_kernel,
};

/* --- a reduction that is under way --- */

static wisp_status start_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const rank_kernel *k = kernel->state;
    const wispi_rank_attrs *a = &k->attrs;
    float *values = (float *)in[0].data + a->first;
    (void)out;
    (void)scratch;
    return a->ranks->comm->start_all_reduce(a->ranks->self, a->number, values, values, a->count,
                                            WISP_F32, a->reduction, err);
}

static wisp_status start_kernel(const wisp_kernel_request *request, wisp_kernel **kernel,
                                wisp_error *err)
{
    return make_kernel(request, start_run, kernel, err);
}

const wispi_op wispi_rank_start = {
    .name = "start_average",
    .attrs_bytes = sizeof(wispi_rank_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = names_x,
    .out_names = names_y,
    .infer = reduce_infer,
    .host_kernel = start_kernel,
};

static wisp_status wait_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const rank_kernel *k = kernel->state;
    const wispi_ranks *r = k->attrs.ranks;
    (void)in;
    (void)out;
    (void)scratch;
    return r->comm->wait(r->self, k->attrs.number, err);
}

static wisp_status wait_kernel(const wisp_kernel_request *request, wisp_kernel **kernel,
                               wisp_error *err)
{
    return make_kernel(request, wait_run, kernel, err);
}

const wispi_op wispi_rank_wait = {
    .name = "wait_average",
    .attrs_bytes = sizeof(wispi_rank_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = names_x,
    .out_names = names_y,
    .infer = reduce_infer,
    .host_kernel = wait_kernel,
};
