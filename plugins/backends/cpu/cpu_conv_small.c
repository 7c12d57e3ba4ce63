/* cpu_conv_small.c - convolutions of small maps, as products over the batch.
 *
 * In a map of a few pixels most windows hang over the border, and kernels that walk along rows have
 * nothing to walk along. Here one pixel of all images is a matrix (N,C) whose rows lie one image
 * apart, and
 *
 *   y[p] = sum over taps of x[p moved by tap] * w[tap]
 *
 * is a product for each tap that falls inside the map: no work is spent on the border. The gradient
 * of x is the same with the parts exchanged; the gradient of w[tap] is the sum over pixels of
 * x[p moved by tap]^T * dy[p]. Weights lie tap by tap, (kh,kw,C,O) or (kh,kw,O,C). */
#include "cpu_bias_grad.h"
#include "cpu_empty.h"
#include "cpu_pack.h"
#include "kernel_table.h"

/* From here on the general kernels are as fast. */
enum { MAX_PIXELS = 16, MIN_BATCH = 64, MIN_CHANNELS = 64 };

/* One product: byte offsets of its matrices. Those of one sum are neighbours in the list. */
typedef struct term {
    int64_t a, b, y;
    int32_t starts, ends; /* the sum */
} term;

typedef struct small_conv {
    cpu_primitive first, more; /* y = a * b, y += a * b */
    cpu_primitive round;       /* bf16: of a finished sum */
    cpu_primitive unpack;      /* gradient of the weights: to (O,C,kh,kw) */
    cpu_packer packer;
    cpu_bias_grad bias;
    size_t sum_at, pack_at; /* offsets in scratch; the primitives' own is at 0 */
    int32_t pass, has_bias;
    int64_t n_terms;
    term terms[];
} small_conv;

typedef struct sizes {
    int64_t n, h, w, c, ho, wo, o, kh, kw;
    int32_t dtype;
} sizes;

/* --- Terms --- */

static sizes sizes_of(const wisp_kernel_request *request, int32_t pass)
{
    const wisp_desc *const *in = request->in, *const *out = request->out;
    const wisp_desc *x = pass == CPU_BACKWARD_DATA ? out[0] : in[0];
    const wisp_desc *w = pass == CPU_BACKWARD_WEIGHTS ? out[0] : in[1];
    const wisp_desc *y = pass == CPU_FORWARD ? out[0] : pass == CPU_BACKWARD_DATA ? in[0] : in[1];
    return (sizes){x->shape[0], x->shape[1], x->shape[2], x->shape[3], y->shape[1],
                   y->shape[2], y->shape[3], w->shape[2], w->shape[3], x->dtype};
}

/* Index of the pixel of x that a tap of a pixel of y falls on; -1: outside. */
static int64_t pixel_under(const sizes *z, const wisp_conv2d_attrs *a, int64_t p, int64_t tap)
{
    int64_t i = p / z->wo * a->stride_h - a->pad_h + tap / z->kw * a->dilation_h;
    int64_t j = p % z->wo * a->stride_w - a->pad_w + tap % z->kw * a->dilation_w;
    return i < 0 || i >= z->h || j < 0 || j >= z->w ? -1 : i * z->w + j;
}

/* What a pass sums into, and over what. */
typedef struct loops {
    int64_t targets, inner;
} loops;

static loops loops_of(const sizes *z, int32_t pass)
{
    const int64_t taps = z->kh * z->kw;
    if (pass == CPU_FORWARD)
        return (loops){z->ho * z->wo, taps};
    if (pass == CPU_BACKWARD_DATA)
        return (loops){z->h * z->w, z->ho * z->wo * taps};
    return (loops){taps, z->ho * z->wo};
}

/* Product number `k` of a target; 0: there is none. */
static int make_term(const sizes *z, const wisp_conv2d_attrs *attrs, int32_t pass, int64_t target,
                     int64_t k, term *t)
{
    const int64_t taps = z->kh * z->kw, bytes = z->dtype == WISP_BF16 ? 2 : 4;
    const int64_t p = pass == CPU_FORWARD ? target : pass == CPU_BACKWARD_DATA ? k / taps : k;
    const int64_t tap = pass == CPU_FORWARD ? k : pass == CPU_BACKWARD_DATA ? k % taps : target;
    const int64_t q = pixel_under(z, attrs, p, tap);
    if (q < 0 || (pass == CPU_BACKWARD_DATA && q != target))
        return 0;
    const int64_t x = q * z->c * bytes, y = p * z->o * bytes, w = tap * z->c * z->o;
    *t = pass == CPU_FORWARD         ? (term){x, w * bytes, y, 0, 0}
         : pass == CPU_BACKWARD_DATA ? (term){y, w * bytes, x, 0, 0}
                                     : (term){x, y, w * (int64_t)sizeof(float), 0, 0};
    return 1;
}

/* Writes the list where `terms` is given, and counts it. -1: some target has no term. */
static int64_t list_terms(const sizes *z, const wisp_conv2d_attrs *attrs, int32_t pass, term *terms)
{
    const loops l = loops_of(z, pass);
    int64_t n = 0;
    for (int64_t target = 0; target < l.targets; target++) {
        const int64_t begin = n;
        for (int64_t k = 0; k < l.inner; k++) {
            term t;
            if (!make_term(z, attrs, pass, target, k, &t))
                continue;
            t.starts = n == begin;
            if (terms)
                terms[n] = t;
            n++;
        }
        if (n == begin)
            return -1;
        if (terms)
            terms[n - 1].ends = 1;
    }
    return n;
}

/* --- Run --- */

static wisp_status run_terms(cpu_device *device, small_conv *s, char *a, char *b, char *y,
                             char *scratch, wisp_error *err)
{
    const int rounds = s->round.primitive != NULL;
    for (int64_t i = 0; i < s->n_terms; i++) {
        const term *t = &s->terms[i];
        cpu_primitive *product = t->starts ? &s->first : &s->more;
        cpu_primitive_bind(product, CPU_SRC, a + t->a);
        cpu_primitive_bind(product, CPU_WEIGHTS, b + t->b);
        cpu_primitive_bind(product, CPU_DST, rounds ? scratch + s->sum_at : y + t->y);
        WISP_TRY(cpu_primitive_run(device, product, scratch, err));
        if (!rounds || !t->ends)
            continue;
        cpu_primitive_bind(&s->round, CPU_SRC, scratch + s->sum_at);
        cpu_primitive_bind(&s->round, CPU_DST, y + t->y);
        WISP_TRY(cpu_primitive_run(device, &s->round, scratch, err));
    }
    return WISP_OK;
}

static wisp_status run_with_weights(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                    const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_device *device = cpu_kernel_device(kernel);
    small_conv *s = kernel->state;
    void *weights;
    WISP_TRY(
        cpu_packer_data(device, &s->packer, &in[1], (char *)scratch + s->pack_at, &weights, err));
    return run_terms(device, s, in[0].data, weights, out[0].data, scratch, err);
}

static wisp_status run_grad_weight(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_device *device = cpu_kernel_device(kernel);
    small_conv *s = kernel->state;
    char *sums = (char *)scratch + s->sum_at;
    WISP_TRY(run_terms(device, s, in[0].data, in[1].data, sums, scratch, err));
    cpu_primitive_bind(&s->unpack, CPU_SRC, sums);
    cpu_primitive_bind(&s->unpack, CPU_DST, out[0].data);
    WISP_TRY(cpu_primitive_run(device, &s->unpack, scratch, err));
    if (s->has_bias)
        cpu_bias_grad_run(device, &s->bias, in[1].data, out[1].data, scratch);
    return WISP_OK;
}

/* --- Prepare --- */

static void destroy(cpu_device *device, void *state)
{
    (void)device;
    small_conv *s = state;
    cpu_packer_destroy(&s->packer);
    cpu_primitive_destroy(&s->unpack);
    cpu_primitive_destroy(&s->round);
    cpu_primitive_destroy(&s->more);
    cpu_primitive_destroy(&s->first);
}

/* One pixel of all images. */
static cpu_layout pixel_matrix(int32_t dtype, int64_t n, int64_t pixels, int64_t channels)
{
    const int64_t dims[] = {n, channels};
    cpu_layout l = cpu_layout_plain(dtype, 2, dims);
    l.strides[0] = pixels * channels;
    return l;
}

static cpu_layout plain_matrix(int32_t dtype, int64_t rows, int64_t columns)
{
    const int64_t dims[] = {rows, columns};
    return cpu_layout_plain(dtype, 2, dims);
}

/* (O,C,kh,kw) as it lies tap by tap: (kh,kw,C,O), or (kh,kw,O,C) when `o_first`. */
static cpu_layout by_tap(const sizes *z, int32_t dtype, int o_first)
{
    const int64_t dims[] = {z->o, z->c, z->kh, z->kw};
    cpu_layout l = cpu_layout_plain(dtype, 4, dims);
    l.strides[0] = o_first ? z->c : 1;
    l.strides[1] = o_first ? 1 : z->o;
    l.strides[2] = z->kw * z->c * z->o;
    l.strides[3] = z->c * z->o;
    return l;
}

static dnnl_status_t make_products(cpu_device *device, const cpu_layout *a, const cpu_layout *b,
                                   const cpu_layout *y, small_conv *s)
{
    dnnl_status_t status = cpu_make_matmul(device, a, b, NULL, y, 1.0, &s->first);
    if (status == dnnl_success)
        status = cpu_make_matmul_add(device, a, b, y, &s->more);
    return status;
}

static dnnl_status_t plan_with_weights(cpu_device *device, const sizes *z, small_conv *s)
{
    const int forward = s->pass == CPU_FORWARD;
    const cpu_layout x = pixel_matrix(z->dtype, z->n, z->h * z->w, z->c);
    const cpu_layout y = pixel_matrix(z->dtype, z->n, z->ho * z->wo, z->o);
    const cpu_layout *from = forward ? &x : &y, *to = forward ? &y : &x;
    const cpu_layout sum = plain_matrix(WISP_F32, to->dims[0], to->dims[1]);
    const cpu_layout w = plain_matrix(z->dtype, from->dims[1], to->dims[1]);
    const int64_t dims[] = {z->o, z->c, z->kh, z->kw};
    const cpu_layout stored = cpu_layout_plain(WISP_F32, 4, dims);
    const cpu_layout packed = by_tap(z, z->dtype, !forward);
    const int rounds = z->dtype != WISP_F32;
    dnnl_status_t status = make_products(device, from, &w, rounds ? &sum : to, s);
    if (status == dnnl_success && rounds)
        status = cpu_make_reorder(device, &sum, NULL, to, NULL, &s->round);
    if (status == dnnl_success)
        status = cpu_packer_create_layout(device, &stored, &packed, &s->packer);
    s->pack_at = (size_t)(rounds ? to->dims[0] * to->dims[1] : 0) * sizeof(float);
    return status;
}

static dnnl_status_t plan_grad_weight(cpu_device *device, const sizes *z, int adds, small_conv *s)
{
    const cpu_layout x = pixel_matrix(z->dtype, z->n, z->h * z->w, z->c);
    const cpu_layout x_t = cpu_layout_transposed(x);
    const cpu_layout dy = pixel_matrix(z->dtype, z->n, z->ho * z->wo, z->o);
    const cpu_layout dw = plain_matrix(WISP_F32, z->c, z->o);
    const cpu_layout made = by_tap(z, WISP_F32, 0);
    const int64_t dims[] = {z->o, z->c, z->kh, z->kw};
    const cpu_layout wanted = cpu_layout_plain(WISP_F32, 4, dims);
    dnnl_status_t status = make_products(device, &x_t, &dy, &dw, s);
    if (status == dnnl_success)
        status = adds ? cpu_make_reorder_add(device, &made, NULL, &wanted, &s->unpack)
                      : cpu_make_reorder(device, &made, NULL, &wanted, NULL, &s->unpack);
    s->pack_at = (size_t)(z->kh * z->kw * z->c * z->o) * sizeof(float);
    return status;
}

/* The primitives' scratch, then sums, then packed weights. */
static size_t plan_scratch(small_conv *s)
{
    const size_t own[] = {s->first.scratch_bytes, s->more.scratch_bytes, s->round.scratch_bytes,
                          s->unpack.scratch_bytes, s->bias.scratch_bytes};
    for (size_t i = 0; i < WISP_COUNT(own); i++)
        s->sum_at = own[i] > s->sum_at ? own[i] : s->sum_at;
    s->sum_at = cpu_align64(s->sum_at);
    s->pack_at = cpu_align64(s->sum_at + s->pack_at);
    return s->pack_at + s->packer.scratch_bytes;
}

static wisp_status judge(const wisp_kernel_request *request, const sizes *z, int32_t pass,
                         wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    if (z->ho * z->wo > MAX_PIXELS || z->n < MIN_BATCH)
        return wisp_refuse(request, err, "not a small map of a large batch");
    if (a->groups != 1 || z->kh * z->kw == 1 || z->c < MIN_CHANNELS || z->o < MIN_CHANNELS)
        return wisp_refuse(request, err, "too little work for a product a pixel");
    if (pass == CPU_FORWARD && request->n_in > 2 && request->in[2])
        return wisp_refuse(request, err, "products of pixels take no bias");
    if (wisp_request_is_empty(request))
        return wisp_refuse(request, err, "there is nothing in it");
    return WISP_OK;
}

static wisp_status prepare(cpu_device *device, const wisp_kernel_request *request, int32_t pass,
                           cpu_run run, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    const sizes z = sizes_of(request, pass);
    WISP_TRY(judge(request, &z, pass, err));
    const int64_t n_terms = list_terms(&z, a, pass, NULL);
    if (n_terms < 0)
        return wisp_refuse(request, err, "some values take part in no product");
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, "products of pixels", run,
                               sizeof(small_conv) + (size_t)n_terms * sizeof(term), destroy, &made,
                               err));
    small_conv *s = made->state;
    s->pass = pass;
    s->n_terms = list_terms(&z, a, pass, s->terms);
    const int adds = request->n_in > 2 && request->in[2];
    dnnl_status_t status = pass == CPU_BACKWARD_WEIGHTS ? plan_grad_weight(device, &z, adds, s)
                                                        : plan_with_weights(device, &z, s);
    if (status != dnnl_success) {
        made->release(made);
        return cpu_onednn_fail(request, status, "product of pixels", err);
    }
    s->has_bias = pass == CPU_BACKWARD_WEIGHTS && a->want_bias && request->n_out > 1 &&
                  request->out[1] && request->out[1]->dtype;
    if (s->has_bias)
        cpu_bias_grad_plan(device, request->in[1], &s->bias);
    made->scratch_bytes = plan_scratch(s);
    *kernel = made;
    return WISP_OK;
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, CPU_FORWARD, run_with_weights, kernel, err);
}

static wisp_status prepare_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, CPU_BACKWARD_DATA, run_with_weights, kernel, err);
}

static wisp_status prepare_grad_weight(cpu_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, CPU_BACKWARD_WEIGHTS, run_grad_weight, kernel, err);
}

const cpu_kernel_entry cpu_conv_small_kernels[] = {
    {"conv2d", prepare_forward},
    {"conv2d_grad_input", prepare_grad_input},
    {"conv2d_grad_weight", prepare_grad_weight},
    {NULL, NULL},
};
