/* cuda_normed_linear.c - the fully connected layer of a weight given as direction and length.
 *
 * The weight is written into scratch in the type of the product, row by row with its norm; it lives
 * no longer than the call. */
#include "cuda_column_sum.h"
#include "cuda_empty.h"
#include "cuda_product.h"
#include "cuda_table.h"
#include "kernels/linear.h"

typedef struct normed_state {
    cuda_product product; /* none where there are no rows */
    CUfunction rows;
    cuda_column_sum along;
    int64_t n_o, n_i;
    int32_t is_empty;
    size_t at_weight, at_along, at_work;
} normed_state;

static void destroy(cuda_device *device, void *state)
{
    cuda_product_free(device, &((normed_state *)state)->product);
}

static int64_t rows_of(const wisp_desc *d)
{
    return wisp_desc_count(d) / d->shape[d->rank - 1];
}

static wisp_status launch_rows(const cuda_device *device, const normed_state *s,
                               linear_normed_args *args, wisp_error *err)
{
    args->rows = s->n_o;
    args->columns = s->n_i;
    return cuda_launch(device, s->rows, cuda_grid_over(device, s->n_o * 32, 1), args, err);
}

/* --- runs --- */

static wisp_status forward_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const normed_state *s = kernel->state;
    void *w = s->is_empty ? NULL : cuda_part(scratch, s->at_weight);
    linear_normed_args args = {.v = in[1].data, .g = in[2].data, .norm_out = out[1].data, .w = w};
    WISP_TRY(launch_rows(device, s, &args, err));
    if (s->is_empty)
        return WISP_OK;
    return cuda_product_run(device, &s->product, in[0].data, w, out[0].data, NULL,
                            cuda_part(scratch, s->at_work), err);
}

static wisp_status grad_input_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const normed_state *s = kernel->state;
    void *w = cuda_part(scratch, s->at_weight);
    linear_normed_args args = {.v = in[1].data, .g = in[2].data, .norm = in[3].data, .w = w};
    WISP_TRY(launch_rows(device, s, &args, err));
    return cuda_product_run(device, &s->product, in[0].data, w, out[0].data, NULL,
                            cuda_part(scratch, s->at_work), err);
}

static wisp_status grad_weight_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const normed_state *s = kernel->state;
    void *along = cuda_part(scratch, s->at_along), *work = cuda_part(scratch, s->at_work);
    WISP_TRY(cuda_column_sum_run(device, &s->along, in[1].data, in[2].data, along, work, err));
    WISP_TRY(cuda_product_run(device, &s->product, in[1].data, in[0].data, out[0].data, NULL, work,
                              err));
    linear_normed_args args = {
        .v = in[3].data, .g = in[4].data, .norm = in[5].data, .along = along, .dv = out[0].data};
    return launch_rows(device, s, &args, err);
}

/* --- preparation --- */

static wisp_status make_product(cuda_device *device, const cuda_product_spec *spec, normed_state *s,
                                size_t *total, size_t other_work, wisp_error *err)
{
    WISP_TRY(cuda_product_make(device, spec, &s->product, err));
    const size_t work = s->product.workspace_bytes;
    s->at_work = cuda_book(total, work > other_work ? work : other_work);
    return WISP_OK;
}

static cuda_product_spec product_of(const cuda_device *device, const wisp_kernel_request *request)
{
    const wisp_desc *first = request->in[0], *result = request->out[0];
    return (cuda_product_spec){
        .batch = 1,
        .in_dtype = first->dtype,
        .out_dtype = result->dtype,
        .tf32 = device->allow_tf32,
        .alpha = 1,
        .align_a = cuda_alignment(first),
        .align_b = 64,
        .align_d = cuda_alignment(result),
    };
}

static wisp_status forward_fill(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel *made, wisp_error *err)
{
    normed_state *s = made->state;
    const wisp_desc *x = request->in[0], *v = request->in[1];
    size_t total = 0;
    s->n_o = v->shape[0];
    s->n_i = v->shape[1];
    s->is_empty = wisp_desc_count(x) == 0;
    WISP_TRY(cuda_function_for(device, "linear_scale_rows", x->dtype, &s->rows, err));
    if (s->is_empty)
        return WISP_OK;
    cuda_product_spec spec = product_of(device, request);
    spec.m = rows_of(x);
    spec.n = s->n_o;
    spec.k = s->n_i;
    spec.transpose_b = 1;
    s->at_weight = cuda_book(&total, (size_t)(s->n_o * s->n_i * wisp_dtype_bytes(x->dtype)));
    WISP_TRY(make_product(device, &spec, s, &total, 0, err));
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

static wisp_status grad_input_fill(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel *made, wisp_error *err)
{
    normed_state *s = made->state;
    const wisp_desc *dy = request->in[0], *v = request->in[1];
    size_t total = 0;
    s->n_o = v->shape[0];
    s->n_i = v->shape[1];
    WISP_TRY(cuda_function_for(device, "linear_scale_rows", dy->dtype, &s->rows, err));
    cuda_product_spec spec = product_of(device, request);
    spec.m = rows_of(dy);
    spec.n = s->n_i;
    spec.k = s->n_o;
    s->at_weight = cuda_book(&total, (size_t)(s->n_o * s->n_i * wisp_dtype_bytes(dy->dtype)));
    WISP_TRY(make_product(device, &spec, s, &total, 0, err));
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

static wisp_status grad_weight_fill(cuda_device *device, const wisp_kernel_request *request,
                                    wisp_kernel *made, wisp_error *err)
{
    normed_state *s = made->state;
    const wisp_desc *x = request->in[0], *dy = request->in[1], *v = request->in[3];
    size_t total = 0;
    s->n_o = v->shape[0];
    s->n_i = v->shape[1];
    WISP_TRY(cuda_function(device, "linear_finish_rows", &s->rows, err));
    WISP_TRY(cuda_column_sum_make(device, dy->dtype, rows_of(dy), s->n_o, &s->along, err));
    cuda_product_spec spec = product_of(device, request);
    spec.m = s->n_o;
    spec.n = s->n_i;
    spec.k = rows_of(dy);
    spec.transpose_a = 1;
    spec.align_a = cuda_alignment(dy);
    spec.align_b = cuda_alignment(x);
    s->at_along = cuda_book(&total, (size_t)s->n_o * sizeof(float));
    WISP_TRY(make_product(device, &spec, s, &total, s->along.scratch_bytes, err));
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, cuda_run run,
                        wisp_status (*fill)(cuda_device *, const wisp_kernel_request *,
                                            wisp_kernel *, wisp_error *),
                        wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    WISP_TRY(
        cuda_kernel_create(device, "cublaslt", run, sizeof(normed_state), destroy, &made, err));
    return cuda_kernel_finish(made, fill(device, request, made, err), kernel);
}

static wisp_status forward_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, forward_run, forward_fill, kernel, err);
}

static wisp_status grad_input_prepare(cuda_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return cuda_empty_create(device, request, kernel, err);
    return make(device, request, grad_input_run, grad_input_fill, kernel, err);
}

static wisp_status grad_weight_prepare(cuda_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return cuda_empty_create(device, request, kernel, err);
    return make(device, request, grad_weight_run, grad_weight_fill, kernel, err);
}

const cuda_kernel_entry cuda_normed_linear_kernels[] = {
    {"normed_linear", forward_prepare},
    {"normed_linear_grad_input", grad_input_prepare},
    {"normed_linear_grad_weight", grad_weight_prepare},
    {NULL, NULL},
};
