/* cuda_linear.c - the fully connected layer and its gradients: products by cuBLASLt.
 *
 * In bf16 a weight kept in f32 is rounded into scratch first, and so is the bias, which cuBLASLt
 * wants in the type of the result. GELU of x is a pass of its own into scratch: it belongs to the
 * input, and cuBLASLt's epilogues know only the approximation by tanh of the output. */
#include "cuda_column_sum.h"
#include "cuda_empty.h"
#include "cuda_product.h"
#include "cuda_table.h"
#include "kernels/linear.h"

typedef struct linear_state {
    cuda_product product;
    CUfunction convert, gelu, slope; /* NULL: not needed */
    cuda_column_sum bias_sum;
    int32_t own_bias_sum, round_weight, dtype;
    int64_t n_x, n_weight, n_bias;
    size_t at_weight, at_bias, at_x, at_work;
} linear_state;

static void destroy(cuda_device *device, void *state)
{
    cuda_product_free(device, &((linear_state *)state)->product);
}

static int64_t last_of(const wisp_desc *d)
{
    return d->shape[d->rank - 1];
}

static int64_t rows_of(const wisp_desc *d)
{
    return wisp_desc_count(d) / last_of(d);
}

static uint32_t aligned_to(const wisp_desc *argument, int32_t in_scratch)
{
    return in_scratch ? 64 : cuda_alignment(argument);
}

/* --- parts of runs --- */

static wisp_status convert(const cuda_device *device, const linear_state *s, const void *w,
                           const void *bias, void *scratch, wisp_error *err)
{
    const linear_convert_args args = {
        .w = w,
        .bias = bias,
        .w_out = cuda_part(scratch, s->at_weight),
        .bias_out = cuda_part(scratch, s->at_bias),
        .n_w = w ? s->n_weight : 0,
        .n_bias = bias ? s->n_bias : 0,
    };
    const int64_t n = args.n_w > args.n_bias ? args.n_w : args.n_bias;
    return cuda_launch(device, s->convert, cuda_grid_over(device, n, 4), &args, err);
}

static wisp_status pass(const cuda_device *device, const linear_state *s, CUfunction function,
                        const void *x, void *y, wisp_error *err)
{
    const linear_gelu_args args = {.x = x, .y = y, .n = s->n_x};
    return cuda_launch(device, function, cuda_grid_over(device, args.n, 4), &args, err);
}

/* x as the product reads it. */
static wisp_status read_input(const cuda_device *device, const linear_state *s, void *scratch,
                              const void **x, wisp_error *err)
{
    if (!s->gelu)
        return WISP_OK;
    void *activated = cuda_part(scratch, s->at_x);
    WISP_TRY(pass(device, s, s->gelu, *x, activated, err));
    *x = activated;
    return WISP_OK;
}

/* --- linear --- */

static wisp_status linear_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const linear_state *s = kernel->state;
    const void *x = in[0].data, *w = in[1].data;
    void *bias = s->n_bias ? in[2].data : NULL;
    const int move = bias && (s->dtype == WISP_BF16 || !cuda_is_aligned(bias, 16));
    if (s->round_weight || move)
        WISP_TRY(convert(device, s, s->round_weight ? w : NULL, move ? bias : NULL, scratch, err));
    if (s->round_weight)
        w = cuda_part(scratch, s->at_weight);
    if (move)
        bias = cuda_part(scratch, s->at_bias);
    WISP_TRY(read_input(device, s, scratch, &x, err));
    return cuda_product_run(device, &s->product, x, w, out[0].data, bias,
                            cuda_part(scratch, s->at_work), err);
}

/* What forward and grad_input have in common: the weight, in[1], in the type of the product. */
static wisp_status book_weight(const cuda_device *device, const wisp_kernel_request *request,
                               linear_state *s, size_t *total, wisp_error *err)
{
    s->dtype = request->in[0]->dtype;
    s->n_weight = wisp_desc_count(request->in[1]);
    s->round_weight = request->in[1]->dtype != s->dtype;
    if (s->round_weight)
        s->at_weight = cuda_book(total, (size_t)s->n_weight * (size_t)wisp_dtype_bytes(s->dtype));
    return cuda_function_for(device, "linear_convert", s->dtype, &s->convert, err);
}

static wisp_status book_gelu(const cuda_device *device, const wisp_desc *x, int32_t activation,
                             linear_state *s, size_t *total, wisp_error *err)
{
    s->n_x = wisp_desc_count(x);
    if (!activation)
        return WISP_OK;
    s->at_x = cuda_book(total, (size_t)wisp_desc_bytes(x));
    return cuda_function_for(device, "linear_gelu", x->dtype, &s->gelu, err);
}

static wisp_status linear_fill(cuda_device *device, const wisp_kernel_request *request,
                               wisp_kernel *made, wisp_error *err)
{
    linear_state *s = made->state;
    const wisp_linear_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *w = request->in[1];
    size_t total = 0;
    WISP_TRY(book_weight(device, request, s, &total, err));
    WISP_TRY(book_gelu(device, x, attrs->activation, s, &total, err));
    if (request->n_in > 2 && request->in[2] && request->in[2]->dtype) {
        s->n_bias = w->shape[0];
        s->at_bias = cuda_book(&total, (size_t)s->n_bias * (size_t)wisp_dtype_bytes(s->dtype));
    }
    const cuda_product_spec spec = {
        .batch = 1,
        .m = rows_of(x),
        .n = w->shape[0],
        .k = w->shape[1],
        .transpose_b = 1,
        .in_dtype = s->dtype,
        .out_dtype = s->dtype,
        .vector = s->n_bias ? CUDA_PRODUCT_ADD_BIAS : 0,
        .tf32 = device->allow_tf32,
        .alpha = 1,
        .align_a = aligned_to(x, s->gelu != NULL),
        .align_b = aligned_to(w, s->round_weight),
        .align_d = cuda_alignment(request->out[0]),
    };
    WISP_TRY(cuda_product_make(device, &spec, &s->product, err));
    s->at_work = cuda_book(&total, s->product.workspace_bytes);
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

static wisp_status linear_prepare(cuda_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (wisp_request_is_empty(request))
        return cuda_empty_create(device, request, kernel, err);
    WISP_TRY(cuda_kernel_create(device, "cublaslt", linear_run, sizeof(linear_state), destroy,
                                &made, err));
    return cuda_kernel_finish(made, linear_fill(device, request, made, err), kernel);
}

/* --- linear_grad_input --- */

static wisp_status grad_input_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const linear_state *s = kernel->state;
    const void *w = in[1].data;
    if (s->round_weight) {
        WISP_TRY(convert(device, s, w, NULL, scratch, err));
        w = cuda_part(scratch, s->at_weight);
    }
    WISP_TRY(cuda_product_run(device, &s->product, in[0].data, w, out[0].data, NULL,
                              cuda_part(scratch, s->at_work), err));
    return s->slope ? pass(device, s, s->slope, in[2].data, out[0].data, err) : WISP_OK;
}

static wisp_status grad_input_fill(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel *made, wisp_error *err)
{
    linear_state *s = made->state;
    const wisp_linear_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[0], *w = request->in[1];
    size_t total = 0;
    WISP_TRY(book_weight(device, request, s, &total, err));
    s->n_x = wisp_desc_count(request->out[0]);
    if (attrs->activation)
        WISP_TRY(cuda_function_for(device, "linear_gelu_slope", s->dtype, &s->slope, err));
    const cuda_product_spec spec = {
        .batch = 1,
        .m = rows_of(dy),
        .n = w->shape[1],
        .k = w->shape[0],
        .in_dtype = s->dtype,
        .out_dtype = request->out[0]->dtype, /* f32 for callers in this plugin */
        .tf32 = device->allow_tf32,
        .alpha = 1,
        .align_a = cuda_alignment(dy),
        .align_b = aligned_to(w, s->round_weight),
        .align_d = cuda_alignment(request->out[0]),
    };
    WISP_TRY(cuda_product_make(device, &spec, &s->product, err));
    s->at_work = cuda_book(&total, s->product.workspace_bytes);
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

static wisp_status grad_input_prepare(cuda_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (wisp_request_is_empty(request))
        return cuda_empty_create(device, request, kernel, err);
    WISP_TRY(cuda_kernel_create(device, "cublaslt", grad_input_run, sizeof(linear_state), destroy,
                                &made, err));
    return cuda_kernel_finish(made, grad_input_fill(device, request, made, err), kernel);
}

/* --- linear_grad_weight --- */

static wisp_status grad_weight_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const linear_state *s = kernel->state;
    const void *x = in[0].data, *dy = in[1].data;
    void *work = cuda_part(scratch, s->at_work), *dbias = s->n_bias ? out[1].data : NULL;
    const int move = dbias && !cuda_is_aligned(dbias, 16);
    void *sums = move ? cuda_part(scratch, s->at_bias) : dbias;
    WISP_TRY(read_input(device, s, scratch, &x, err));
    WISP_TRY(cuda_product_run(device, &s->product, dy, x, out[0].data,
                              s->own_bias_sum ? NULL : sums, work, err));
    if (s->own_bias_sum)
        return cuda_column_sum_run(device, &s->bias_sum, dy, NULL, dbias, work, err);
    return move ? cuda_copy(device, dbias, sums, (size_t)s->n_bias * sizeof(float), err) : WISP_OK;
}

/* The sums of dy come with the product where cuBLASLt has that, else from a pass of their own. */
static wisp_status make_weight_product(cuda_device *device, cuda_product_spec *spec,
                                       const wisp_desc *dy, linear_state *s, wisp_error *err)
{
    if (s->n_bias) {
        wisp_error reason = {0};
        spec->vector = CUDA_PRODUCT_SUM_A;
        if (cuda_product_make(device, spec, &s->product, &reason) == WISP_OK)
            return WISP_OK;
        cuda_product_free(device, &s->product);
        s->own_bias_sum = 1;
        spec->vector = 0;
        WISP_TRY(
            cuda_column_sum_make(device, dy->dtype, rows_of(dy), last_of(dy), &s->bias_sum, err));
    }
    return cuda_product_make(device, spec, &s->product, err);
}

static wisp_status grad_weight_fill(cuda_device *device, const wisp_kernel_request *request,
                                    wisp_kernel *made, wisp_error *err)
{
    linear_state *s = made->state;
    const wisp_linear_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *dy = request->in[1];
    size_t total = 0;
    s->dtype = x->dtype;
    s->n_bias = attrs->want_bias ? last_of(dy) : 0;
    WISP_TRY(book_gelu(device, x, attrs->activation, s, &total, err));
    cuda_product_spec spec = {
        .batch = 1,
        .m = last_of(dy),
        .n = last_of(x),
        .k = rows_of(x),
        .transpose_a = 1,
        .in_dtype = s->dtype,
        .out_dtype = WISP_F32,
        .tf32 = device->allow_tf32,
        .alpha = 1,
        .align_a = cuda_alignment(dy),
        .align_b = aligned_to(x, s->gelu != NULL),
        .align_d = cuda_alignment(request->out[0]),
    };
    WISP_TRY(make_weight_product(device, &spec, dy, s, err));
    s->at_bias = cuda_book(&total, (size_t)s->n_bias * sizeof(float));
    const size_t work = s->product.workspace_bytes, sums = s->bias_sum.scratch_bytes;
    s->at_work = cuda_book(&total, work > sums ? work : sums);
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

static wisp_status grad_weight_prepare(cuda_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (wisp_request_is_empty(request))
        return cuda_empty_create(device, request, kernel, err);
    WISP_TRY(cuda_kernel_create(device, "cublaslt", grad_weight_run, sizeof(linear_state), destroy,
                                &made, err));
    return cuda_kernel_finish(made, grad_weight_fill(device, request, made, err), kernel);
}

const cuda_kernel_entry cuda_linear_kernels[] = {
    {"linear", linear_prepare},
    {"linear_grad_input", grad_input_prepare},
    {"linear_grad_weight", grad_weight_prepare},
    {NULL, NULL},
};
