/* cuda_matmul.c - products of matrices by cuBLASLt. */
#include "cuda_empty.h"
#include "cuda_product.h"
#include "cuda_table.h"

typedef struct matmul_state {
    cuda_product product;
} matmul_state;

static void destroy(cuda_device *device, void *state)
{
    cuda_product_free(device, &((matmul_state *)state)->product);
}

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const matmul_state *s = kernel->state;
    return cuda_product_run(cuda_kernel_device(kernel), &s->product, in[0].data, in[1].data,
                            out[0].data, NULL, cuda_part(scratch, 0), err);
}

static cuda_product_spec describe(const cuda_device *device, const wisp_kernel_request *request)
{
    const wisp_matmul_attrs *attrs = request->attrs;
    const wisp_desc *a = request->in[0], *b = request->in[1], *y = request->out[0];
    const int64_t *sa = a->shape + a->rank - 2, *sy = y->shape + y->rank - 2;
    cuda_product_spec spec = {
        .batch = wisp_desc_count(y) / (sy[0] * sy[1]),
        .m = sy[0],
        .n = sy[1],
        .k = sa[attrs->transpose_a ? 0 : 1],
        .transpose_a = attrs->transpose_a,
        .transpose_b = attrs->transpose_b,
        .in_dtype = a->dtype,
        .out_dtype = y->dtype,
        .tf32 = device->allow_tf32,
        .alpha = (float)attrs->alpha,
        .align_a = cuda_alignment(a),
        .align_b = cuda_alignment(b),
        .align_d = cuda_alignment(y),
    };
    if (b->rank < a->rank) { /* one b: the matrices of a are rows of one */
        spec.m *= spec.batch;
        spec.batch = 1;
    }
    return spec;
}

static wisp_status prepare(cuda_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (wisp_request_is_empty(request) || wisp_desc_count(request->out[0]) == 0)
        return cuda_empty_create(device, request, kernel, err);
    const cuda_product_spec spec = describe(device, request);
    WISP_TRY(
        cuda_kernel_create(device, "cublaslt", run, sizeof(matmul_state), destroy, &made, err));
    matmul_state *state = made->state;
    const wisp_status status = cuda_product_make(device, &spec, &state->product, err);
    if (status != WISP_OK) {
        made->release(made);
        return status;
    }
    made->scratch_bytes = cuda_booked(state->product.workspace_bytes);
    *kernel = made;
    return WISP_OK;
}

const cuda_kernel_entry cuda_matmul_kernels[] = {
    {"matmul", prepare},
    {NULL, NULL},
};
