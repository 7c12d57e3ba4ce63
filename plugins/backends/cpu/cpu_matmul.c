/* cpu_matmul.c - batched matrix products through oneDNN. */
#include "cpu_empty.h"
#include "kernel_table.h"
#include "onednn_shim.h"

static void destroy(cpu_device *device, void *state)
{
    (void)device;
    cpu_primitive_destroy(state);
}

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_primitive *product = kernel->state;
    cpu_primitive_bind(product, CPU_SRC, in[0].data);
    cpu_primitive_bind(product, CPU_WEIGHTS, in[1].data);
    cpu_primitive_bind(product, CPU_DST, out[0].data);
    return cpu_primitive_run(cpu_kernel_device(kernel), product, scratch, err);
}

/* The last two dimensions as stored, and all others as one. */
static cpu_layout stack(const wisp_desc *d, int transposed)
{
    int64_t rows = d->shape[d->rank - 2], columns = d->shape[d->rank - 1];
    int64_t dims[] = {wisp_desc_count(d) / (rows * columns), rows, columns};
    cpu_layout l = cpu_layout_plain(d->dtype, 3, dims);
    return transposed ? cpu_layout_transposed(l) : l;
}

/* A stack of one, or of matrices that lie below each other, as a single matrix. */
static cpu_layout flat(cpu_layout l)
{
    cpu_layout f = l;
    f.rank = 2;
    f.dims[0] = l.dims[0] * l.dims[1];
    f.dims[1] = l.dims[2];
    f.strides[0] = l.strides[1];
    f.strides[1] = l.strides[2];
    f.dims[2] = f.strides[2] = 0;
    return f;
}

static wisp_status plan(cpu_device *device, const wisp_kernel_request *request, wisp_kernel *kernel,
                        wisp_error *err)
{
    const wisp_matmul_attrs *attrs = request->attrs;
    cpu_primitive *product = kernel->state;
    cpu_layout a = stack(request->in[0], attrs->transpose_a);
    cpu_layout b = stack(request->in[1], attrs->transpose_b);
    cpu_layout y = stack(request->out[0], 0);
    /* One b for all rows of all a is a single product. */
    if (b.dims[0] == 1 && (a.dims[0] == 1 || !attrs->transpose_a)) {
        a = flat(a);
        b = flat(b);
        y = flat(y);
    }
    dnnl_status_t status = cpu_make_matmul(device, &a, &b, NULL, &y, attrs->alpha, product);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "matrix product", err);
    kernel->scratch_bytes = product->scratch_bytes;
    kernel->implementation = cpu_primitive_info(product);
    return WISP_OK;
}

static wisp_status prepare(cpu_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return cpu_empty_create(device, request, kernel, err);
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, "onednn", run, sizeof(cpu_primitive), destroy, &made, err));
    wisp_status status = plan(device, request, made, err);
    if (status != WISP_OK)
        made->release(made);
    else
        *kernel = made;
    return status;
}

const cpu_kernel_entry cpu_matmul_kernels[] = {
    {"matmul", prepare},
    {NULL, NULL},
};
