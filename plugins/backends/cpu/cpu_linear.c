/* cpu_linear.c - linear layers and their gradients through oneDNN's products.
 *
 * Which primitive, by measurement on AVX-512 and AMX machines (M rows of activations):
 *   y  = x w'    matmul. f32 takes the weights as they lie: packing gains less than it costs. bf16
 *                needs a converted copy anyway; from 256 rows on, a packed one.
 *   dx = dy w    the same; f32 with very long rows of dy: inner product.
 *   dw = dy' x   f32, and bf16 with 1024 rows or more: inner product; else matmul. */
#include "cpu_bias_grad.h"
#include "cpu_empty.h"
#include "cpu_pack.h"
#include "kernel_table.h"

enum { ROWS_WORTH_PACKING = 256, LONG_ROW = 16384, MANY_ROWS = 1024 };

typedef struct linear_state {
    cpu_primitive product;
    cpu_packer packer;  /* forward, grad_input */
    cpu_bias_grad bias; /* grad_weight, where wanted */
    size_t after_product;
    int32_t is_inner_product;
} linear_state;

/* x (M,I), w (O,I), y (M,O). */
typedef struct linear_sizes {
    int64_t m, i, o;
    int32_t type;
} linear_sizes;

static linear_sizes sizes_of(const wisp_desc *x, const wisp_desc *y)
{
    linear_sizes s = {0};
    s.i = x->shape[x->rank - 1];
    s.o = y->shape[y->rank - 1];
    s.m = wisp_desc_count(x) / s.i;
    s.type = x->dtype;
    return s;
}

static cpu_layout matrix(int32_t dtype, int64_t rows, int64_t columns)
{
    int64_t dims[] = {rows, columns};
    return cpu_layout_plain(dtype, 2, dims);
}

static void destroy(cpu_device *device, void *state)
{
    (void)device;
    linear_state *s = state;
    cpu_packer_destroy(&s->packer);
    cpu_primitive_destroy(&s->product);
}

static wisp_status make(cpu_device *device, const wisp_kernel_request *request, cpu_run run,
                        wisp_status (*plan)(cpu_device *, const wisp_kernel_request *,
                                            wisp_kernel *, wisp_error *),
                        wisp_kernel **kernel, wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return cpu_empty_create(device, request, kernel, err);
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, "onednn", run, sizeof(linear_state), destroy, &made, err));
    wisp_status status = plan(device, request, made, err);
    if (status != WISP_OK) {
        made->release(made);
        return status;
    }
    linear_state *s = made->state;
    made->implementation = cpu_primitive_info(&s->product);
    *kernel = made;
    return WISP_OK;
}

/* --- What reads weights: linear, linear_grad_input --- */

/* The copy of the weights that the product reads; `seen` is the product's view of them. */
static wisp_status plan_weights(cpu_device *device, const wisp_kernel_request *request,
                                const linear_sizes *z, const cpu_layout *seen_f32, int packed,
                                wisp_kernel *kernel, wisp_error *err)
{
    linear_state *s = kernel->state;
    cpu_layout stored = matrix(request->in[1]->dtype, z->o, z->i);
    cpu_layout wanted = matrix(z->type, z->o, z->i);
    dnnl_status_t status =
        packed ? cpu_packer_create(device, seen_f32, cpu_primitive_md(&s->product, CPU_WEIGHTS),
                                   &s->packer)
               : cpu_packer_create_layout(device, &stored, &wanted, &s->packer);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "reorder of the weights", err);
    s->after_product = cpu_align64(s->product.scratch_bytes);
    kernel->scratch_bytes = s->after_product + s->packer.scratch_bytes;
    return WISP_OK;
}

static int worth_packing(const wisp_kernel_request *request, const linear_sizes *z)
{
    return request->in[1]->dtype == WISP_F32 && z->type == WISP_BF16 && z->m >= ROWS_WORTH_PACKING;
}

static wisp_status plan_forward(cpu_device *device, const wisp_kernel_request *request,
                                wisp_kernel *kernel, wisp_error *err)
{
    linear_state *s = kernel->state;
    linear_sizes z = sizes_of(request->in[0], request->out[0]);
    int packed = worth_packing(request, &z);
    int has_bias = request->n_in > 2 && request->in[2];
    cpu_layout x = matrix(z.type, z.m, z.i), y = matrix(z.type, z.m, z.o);
    cpu_layout bias = matrix(WISP_F32, 1, z.o);
    cpu_layout w_f32 = cpu_layout_transposed(matrix(WISP_F32, z.o, z.i));
    cpu_layout w = cpu_layout_transposed(matrix(z.type, z.o, z.i));
    if (packed)
        w = cpu_layout_any(w, z.type);
    dnnl_status_t status =
        cpu_make_matmul(device, &x, &w, has_bias ? &bias : NULL, &y, 1.0, &s->product);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "matrix product", err);
    return plan_weights(device, request, &z, &w_f32, packed, kernel, err);
}

static wisp_status plan_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel *kernel, wisp_error *err)
{
    linear_state *s = kernel->state;
    linear_sizes z = sizes_of(request->out[0], request->in[0]);
    int packed = worth_packing(request, &z);
    cpu_layout dx = matrix(z.type, z.m, z.i), dy = matrix(z.type, z.m, z.o);
    cpu_layout w_f32 = matrix(WISP_F32, z.o, z.i), w = matrix(z.type, z.o, z.i);
    if (packed)
        w = cpu_layout_any(w, z.type);
    dnnl_status_t status = dnnl_unimplemented;
    if (z.type == WISP_F32 && z.o >= LONG_ROW)
        status = cpu_make_inner_product(device, CPU_BACKWARD_DATA, &dx, &w, &dy, &s->product);
    s->is_inner_product = status == dnnl_success;
    if (!s->is_inner_product)
        status = cpu_make_matmul(device, &dy, &w, NULL, &dx, 1.0, &s->product);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "matrix product", err);
    return plan_weights(device, request, &z, &w_f32, packed, kernel, err);
}

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_device *device = cpu_kernel_device(kernel);
    linear_state *s = kernel->state;
    WISP_TRY(cpu_packer_bind(device, &s->packer, &in[1], &s->product,
                             (char *)scratch + s->after_product, err));
    cpu_primitive_bind(&s->product, CPU_SRC, in[0].data);
    cpu_primitive_bind(&s->product, CPU_DST, out[0].data);
    if (s->product.slot[CPU_BIAS] >= 0)
        cpu_primitive_bind(&s->product, CPU_BIAS, in[2].data);
    return cpu_primitive_run(device, &s->product, scratch, err);
}

static wisp_status run_grad_input(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_device *device = cpu_kernel_device(kernel);
    linear_state *s = kernel->state;
    WISP_TRY(cpu_packer_bind(device, &s->packer, &in[1], &s->product,
                             (char *)scratch + s->after_product, err));
    cpu_primitive_bind(&s->product, s->is_inner_product ? CPU_DST : CPU_SRC, in[0].data);
    cpu_primitive_bind(&s->product, s->is_inner_product ? CPU_SRC : CPU_DST, out[0].data);
    return cpu_primitive_run(device, &s->product, scratch, err);
}

/* --- linear_grad_weight --- */

static wisp_status plan_grad_weight(cpu_device *device, const wisp_kernel_request *request,
                                    wisp_kernel *kernel, wisp_error *err)
{
    const wisp_linear_attrs *a = request->attrs;
    linear_state *s = kernel->state;
    linear_sizes z = sizes_of(request->in[0], request->in[1]);
    cpu_layout x = matrix(z.type, z.m, z.i), dy = matrix(z.type, z.m, z.o);
    cpu_layout dy_t = cpu_layout_transposed(dy), dw = matrix(WISP_F32, z.o, z.i);
    dnnl_status_t status = dnnl_unimplemented;
    if (z.type == WISP_F32 || z.m >= MANY_ROWS)
        status = cpu_make_inner_product(device, CPU_BACKWARD_WEIGHTS, &x, &dw, &dy, &s->product);
    s->is_inner_product = status == dnnl_success;
    if (!s->is_inner_product)
        status = cpu_make_matmul(device, &dy_t, &x, NULL, &dw, 1.0, &s->product);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "gradient of a linear layer's weights", err);
    s->after_product = cpu_align64(s->product.scratch_bytes);
    if (a->want_bias && request->n_out > 1 && request->out[1] && request->out[1]->dtype)
        cpu_bias_grad_plan(device, request->in[1], &s->bias);
    kernel->scratch_bytes = s->after_product + s->bias.scratch_bytes;
    return WISP_OK;
}

static wisp_status run_grad_weight(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_device *device = cpu_kernel_device(kernel);
    linear_state *s = kernel->state;
    const wisp_kernel_arg *x = &in[0], *dy = &in[1], *dw = &out[0];
    cpu_primitive_bind(&s->product, CPU_SRC, s->is_inner_product ? x->data : dy->data);
    cpu_primitive_bind(&s->product, CPU_WEIGHTS, s->is_inner_product ? dw->data : x->data);
    cpu_primitive_bind(&s->product, CPU_DST, s->is_inner_product ? dy->data : dw->data);
    WISP_TRY(cpu_primitive_run(device, &s->product, scratch, err));
    if (s->bias.columns)
        cpu_bias_grad_run(device, &s->bias, dy->data, out[1].data,
                          (char *)scratch + s->after_product);
    return WISP_OK;
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, run_forward, plan_forward, kernel, err);
}

static wisp_status prepare_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, run_grad_input, plan_grad_input, kernel, err);
}

static wisp_status prepare_grad_weight(cpu_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, run_grad_weight, plan_grad_weight, kernel, err);
}

const cpu_kernel_entry cpu_linear_kernels[] = {
    {"linear", prepare_forward},
    {"linear_grad_input", prepare_grad_input},
    {"linear_grad_weight", prepare_grad_weight},
    {NULL, NULL},
};
