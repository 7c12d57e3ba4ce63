/* onednn_shim.c - primitives of oneDNN 2.x and 3.x behind one face. */
#include "onednn_shim.h"

#include <omp.h>
#include <string.h>

#define DNNL_TRY(expression)                                                                       \
    do {                                                                                           \
        dnnl_status_t dnnl_try_status = (expression);                                              \
        if (dnnl_try_status != dnnl_success)                                                       \
            return dnnl_try_status;                                                                \
    } while (0)

/* --- Layouts --- */

cpu_layout cpu_layout_plain(int32_t dtype, int32_t rank, const int64_t *dims)
{
    cpu_layout l;
    memset(&l, 0, sizeof l);
    l.dtype = dtype;
    l.rank = rank;
    int64_t stride = 1;
    for (int32_t i = rank - 1; i >= 0; i--) {
        l.dims[i] = dims[i];
        l.strides[i] = stride;
        stride *= dims[i];
    }
    return l;
}

cpu_layout cpu_layout_map(const wisp_desc *map)
{
    const int64_t *s = map->shape;
    int64_t dims[4] = {s[0], s[3], s[1], s[2]};
    cpu_layout l = cpu_layout_plain(map->dtype, 4, dims);
    l.strides[0] = s[1] * s[2] * s[3];
    l.strides[1] = 1;
    l.strides[2] = s[2] * s[3];
    l.strides[3] = s[3];
    return l;
}

cpu_layout cpu_layout_transposed(cpu_layout l)
{
    int32_t a = l.rank - 2, b = l.rank - 1;
    int64_t dim = l.dims[a], stride = l.strides[a];
    l.dims[a] = l.dims[b];
    l.strides[a] = l.strides[b];
    l.dims[b] = dim;
    l.strides[b] = stride;
    return l;
}

cpu_layout cpu_layout_any(cpu_layout l, int32_t dtype)
{
    memset(l.strides, 0, sizeof l.strides);
    l.dtype = dtype;
    return l;
}

/* --- Memory descriptors: a value in 2.x, a handle in 3.x --- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t held_md;
#define MD(held) (held)
#else
typedef struct held_md {
    dnnl_memory_desc_t value;
    int is_given;
} held_md;
#define MD(held) ((held).is_given ? &(held).value : NULL)
#endif

static dnnl_data_type_t data_type(int32_t dtype)
{
    return dtype == WISP_BF16 ? dnnl_bf16 : dtype == WISP_F32 ? dnnl_f32 : dnnl_data_type_undef;
}

static dnnl_status_t make_md(const cpu_layout *l, held_md *md)
{
    dnnl_data_type_t type = data_type(l->dtype);
    int any = l->strides[0] == 0;
    dnnl_dims_t dims = {0}, strides = {0};
    for (int32_t i = 0; i < l->rank; i++) {
        dims[i] = l->dims[i];
        strides[i] = l->strides[i];
    }
#if DNNL_VERSION_MAJOR >= 3
    if (any)
        return dnnl_memory_desc_create_with_tag(md, l->rank, dims, type, dnnl_format_tag_any);
    return dnnl_memory_desc_create_with_strides(md, l->rank, dims, type, strides);
#else
    md->is_given = 1;
    if (any)
        return dnnl_memory_desc_init_by_tag(&md->value, l->rank, dims, type, dnnl_format_tag_any);
    return dnnl_memory_desc_init_by_strides(&md->value, l->rank, dims, type, strides);
#endif
}

static void free_md(held_md *md)
{
#if DNNL_VERSION_MAJOR >= 3
    if (*md)
        dnnl_memory_desc_destroy(*md);
#else
    (void)md;
#endif
}

/* The descriptors of one call, by role. */
typedef struct md_set {
    held_md md[CPU_N_ROLES];
    held_md hint_weights; /* of the forward primitive that a gradient primitive asks for */
} md_set;

static void free_mds(md_set *set)
{
    for (int i = 0; i < CPU_N_ROLES; i++)
        free_md(&set->md[i]);
    free_md(&set->hint_weights);
}

static dnnl_status_t make_mds(md_set *set, const cpu_layout *src, const cpu_layout *weights,
                              const cpu_layout *bias, const cpu_layout *dst)
{
    const cpu_layout *layouts[] = {src, weights, bias, dst};
    memset(set, 0, sizeof *set);
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < 4 && status == dnnl_success; i++)
        if (layouts[i])
            status = make_md(layouts[i], &set->md[i]);
    if (status == dnnl_success && weights) {
        cpu_layout hint = *weights;
        hint.dtype = src->dtype;
        status = make_md(&hint, &set->hint_weights);
    }
    if (status != dnnl_success)
        free_mds(set);
    return status;
}

/* --- Primitives --- */

static int exec_arg(int32_t pass, int32_t role)
{
    static const int forward[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST,
                                  DNNL_ARG_SCRATCHPAD};
    if (role == CPU_DST && pass != CPU_FORWARD)
        return DNNL_ARG_DIFF_DST;
    if (role == CPU_SRC && pass == CPU_BACKWARD_DATA)
        return DNNL_ARG_DIFF_SRC;
    if (role == CPU_WEIGHTS && pass == CPU_BACKWARD_WEIGHTS)
        return DNNL_ARG_DIFF_WEIGHTS;
    if (role == CPU_BIAS && pass == CPU_BACKWARD_WEIGHTS)
        return DNNL_ARG_DIFF_BIAS;
    return forward[role];
}

static cpu_md md_of_arg(const_dnnl_primitive_desc_t desc, int arg)
{
    return dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, arg);
}

static dnnl_status_t add_arg(cpu_device *device, cpu_primitive *p, int32_t role, int arg)
{
    cpu_md md = md_of_arg(p->desc, arg);
    p->slot[role] = -1;
    if (!md || dnnl_memory_desc_get_size(md) == 0)
        return dnnl_success;
    DNNL_TRY(dnnl_memory_create(&p->memory[role], md, device->onednn->engine, NULL));
    p->slot[role] = p->n_args;
    p->args[p->n_args].arg = arg;
    p->args[p->n_args++].memory = p->memory[role];
    if (role == CPU_SCRATCH)
        p->scratch_bytes = dnnl_memory_desc_get_size(md);
    return dnnl_success;
}

/* Makes the code and the memory objects; takes the descriptor over. */
static dnnl_status_t finish(cpu_device *device, int32_t pass, dnnl_primitive_desc_t desc,
                            cpu_primitive *made)
{
    memset(made, 0, sizeof *made);
    made->desc = desc;
    dnnl_status_t status = dnnl_primitive_create(&made->primitive, desc);
    for (int32_t role = 0; role < CPU_N_ROLES && status == dnnl_success; role++)
        status = add_arg(device, made, role, exec_arg(pass, role));
    if (status != dnnl_success)
        cpu_primitive_destroy(made);
    return status;
}

void cpu_primitive_destroy(cpu_primitive *p)
{
    for (int i = 0; i < CPU_N_ROLES; i++)
        if (p->memory[i])
            dnnl_memory_destroy(p->memory[i]);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->desc)
        dnnl_primitive_desc_destroy(p->desc);
    memset(p, 0, sizeof *p);
}

dnnl_status_t cpu_primitive_share(cpu_device *device, const cpu_primitive *from, cpu_primitive *to)
{
    memset(to, 0, sizeof *to);
    const_dnnl_primitive_desc_t desc = from->desc;
    to->n_args = from->n_args;
    to->scratch_bytes = from->scratch_bytes;
    memcpy(to->slot, from->slot, sizeof to->slot);
    for (int role = 0; role < CPU_N_ROLES; role++) {
        int slot = from->slot[role];
        if (slot < 0)
            continue;
        to->args[slot].arg = from->args[slot].arg;
        dnnl_status_t status = dnnl_memory_create(
            &to->memory[role], md_of_arg(desc, from->args[slot].arg), device->onednn->engine, NULL);
        if (status != dnnl_success) {
            cpu_primitive_destroy(to);
            return status;
        }
        to->args[slot].memory = to->memory[role];
    }
    dnnl_status_t status = dnnl_primitive_create(&to->primitive, desc); /* from oneDNN's cache */
    if (status != dnnl_success)
        cpu_primitive_destroy(to);
    return status;
}

/* What happens to a product on its way out: times alpha, plus what is there. */
typedef struct ending {
    double alpha;
    int adds;
} ending;

static const ending as_it_is = {1.0, 0};

static dnnl_status_t append_ending(dnnl_post_ops_t ops, ending e)
{
#if DNNL_VERSION_MAJOR >= 3
    if (e.adds)
        DNNL_TRY(dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef));
    if (e.alpha != 1.0)
        DNNL_TRY(dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_linear, (float)e.alpha, 0.0f));
#else
    if (e.adds)
        DNNL_TRY(dnnl_post_ops_append_sum(ops, 1.0f));
    if (e.alpha != 1.0)
        DNNL_TRY(
            dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_linear, (float)e.alpha, 0.0f));
#endif
    return dnnl_success;
}

/* Scratch memory comes from the host. The caller destroys *attr, also after a failure. */
static dnnl_status_t make_attr(ending e, dnnl_primitive_attr_t *attr)
{
    dnnl_post_ops_t ops = NULL;
    DNNL_TRY(dnnl_primitive_attr_create(attr));
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user));
    DNNL_TRY(dnnl_post_ops_create(&ops));
    dnnl_status_t status = append_ending(ops, e);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

typedef struct conv_window {
    dnnl_dims_t stride, pad, dilation;
} conv_window;

#if DNNL_VERSION_MAJOR >= 3

static dnnl_status_t convolution_desc(dnnl_engine_t engine, int32_t pass, const md_set *m,
                                      const conv_window *w, dnnl_primitive_attr_t attr,
                                      dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *desc)
{
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    if (pass == CPU_BACKWARD_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(
            desc, engine, alg, m->md[CPU_SRC], m->md[CPU_WEIGHTS], m->md[CPU_DST], w->stride,
            w->dilation, w->pad, w->pad, hint, attr);
    if (pass == CPU_BACKWARD_WEIGHTS)
        return dnnl_convolution_backward_weights_primitive_desc_create(
            desc, engine, alg, m->md[CPU_SRC], m->md[CPU_WEIGHTS], m->md[CPU_BIAS], m->md[CPU_DST],
            w->stride, w->dilation, w->pad, w->pad, hint, attr);
    return dnnl_convolution_forward_primitive_desc_create(
        desc, engine, dnnl_forward_training, alg, m->md[CPU_SRC], m->md[CPU_WEIGHTS],
        m->md[CPU_BIAS], m->md[CPU_DST], w->stride, w->dilation, w->pad, w->pad, attr);
}

static dnnl_status_t inner_product_desc(dnnl_engine_t engine, int32_t pass, const md_set *m,
                                        dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                                        dnnl_primitive_desc_t *desc)
{
    if (pass == CPU_BACKWARD_DATA)
        return dnnl_inner_product_backward_data_primitive_desc_create(
            desc, engine, m->md[CPU_SRC], m->md[CPU_WEIGHTS], m->md[CPU_DST], hint, attr);
    if (pass == CPU_BACKWARD_WEIGHTS)
        return dnnl_inner_product_backward_weights_primitive_desc_create(
            desc, engine, m->md[CPU_SRC], m->md[CPU_WEIGHTS], m->md[CPU_BIAS], m->md[CPU_DST], hint,
            attr);
    return dnnl_inner_product_forward_primitive_desc_create(desc, engine, dnnl_forward_training,
                                                            m->md[CPU_SRC], m->md[CPU_WEIGHTS],
                                                            m->md[CPU_BIAS], m->md[CPU_DST], attr);
}

static dnnl_status_t matmul_desc(dnnl_engine_t engine, const md_set *m, dnnl_primitive_attr_t attr,
                                 dnnl_primitive_desc_t *desc)
{
    return dnnl_matmul_primitive_desc_create(desc, engine, m->md[CPU_SRC], m->md[CPU_WEIGHTS],
                                             m->md[CPU_BIAS], m->md[CPU_DST], attr);
}

#else

static dnnl_status_t convolution_desc(dnnl_engine_t engine, int32_t pass, const md_set *m,
                                      const conv_window *w, dnnl_primitive_attr_t attr,
                                      dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *desc)
{
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    dnnl_convolution_desc_t op;
    dnnl_status_t status;
    if (pass == CPU_BACKWARD_DATA)
        status = dnnl_dilated_convolution_backward_data_desc_init(
            &op, alg, MD(m->md[CPU_SRC]), MD(m->md[CPU_WEIGHTS]), MD(m->md[CPU_DST]), w->stride,
            w->dilation, w->pad, w->pad);
    else if (pass == CPU_BACKWARD_WEIGHTS)
        status = dnnl_dilated_convolution_backward_weights_desc_init(
            &op, alg, MD(m->md[CPU_SRC]), MD(m->md[CPU_WEIGHTS]), MD(m->md[CPU_BIAS]),
            MD(m->md[CPU_DST]), w->stride, w->dilation, w->pad, w->pad);
    else
        status = dnnl_dilated_convolution_forward_desc_init(
            &op, dnnl_forward_training, alg, MD(m->md[CPU_SRC]), MD(m->md[CPU_WEIGHTS]),
            MD(m->md[CPU_BIAS]), MD(m->md[CPU_DST]), w->stride, w->dilation, w->pad, w->pad);
    DNNL_TRY(status);
    return dnnl_primitive_desc_create(desc, &op, attr, engine, hint);
}

static dnnl_status_t inner_product_desc(dnnl_engine_t engine, int32_t pass, const md_set *m,
                                        dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                                        dnnl_primitive_desc_t *desc)
{
    dnnl_inner_product_desc_t op;
    dnnl_status_t status;
    if (pass == CPU_BACKWARD_DATA)
        status = dnnl_inner_product_backward_data_desc_init(
            &op, MD(m->md[CPU_SRC]), MD(m->md[CPU_WEIGHTS]), MD(m->md[CPU_DST]));
    else if (pass == CPU_BACKWARD_WEIGHTS)
        status = dnnl_inner_product_backward_weights_desc_init(
            &op, MD(m->md[CPU_SRC]), MD(m->md[CPU_WEIGHTS]), MD(m->md[CPU_BIAS]),
            MD(m->md[CPU_DST]));
    else
        status = dnnl_inner_product_forward_desc_init(&op, dnnl_forward_training,
                                                      MD(m->md[CPU_SRC]), MD(m->md[CPU_WEIGHTS]),
                                                      MD(m->md[CPU_BIAS]), MD(m->md[CPU_DST]));
    DNNL_TRY(status);
    return dnnl_primitive_desc_create(desc, &op, attr, engine, hint);
}

static dnnl_status_t matmul_desc(dnnl_engine_t engine, const md_set *m, dnnl_primitive_attr_t attr,
                                 dnnl_primitive_desc_t *desc)
{
    dnnl_matmul_desc_t op;
    DNNL_TRY(dnnl_matmul_desc_init(&op, MD(m->md[CPU_SRC]), MD(m->md[CPU_WEIGHTS]),
                                   MD(m->md[CPU_BIAS]), MD(m->md[CPU_DST])));
    return dnnl_primitive_desc_create(desc, &op, attr, engine, NULL);
}

#endif

/* The forward descriptor that a gradient primitive wants as a hint: the same shapes, weights of
 * the activations' type, no bias. */
static md_set hint_set(const md_set *m)
{
    md_set hint = *m;
    memset(&hint.md[CPU_BIAS], 0, sizeof hint.md[CPU_BIAS]);
    hint.md[CPU_WEIGHTS] = m->hint_weights;
    return hint;
}

dnnl_status_t cpu_make_convolution(cpu_device *device, int32_t pass, const cpu_layout *src,
                                   const cpu_layout *weights, const cpu_layout *bias,
                                   const cpu_layout *dst, const cpu_window *window,
                                   cpu_primitive *made)
{
    dnnl_engine_t engine = device->onednn->engine;
    dnnl_primitive_desc_t desc = NULL, hint = NULL;
    dnnl_primitive_attr_t attr = NULL;
    conv_window w;
    md_set m;
    memset(&w, 0, sizeof w);
    for (int i = 0; i < 2; i++) {
        w.stride[i] = window->stride[i];
        w.pad[i] = window->pad[i];
        w.dilation[i] = window->dilation[i] - 1;
    }
    DNNL_TRY(make_mds(&m, src, weights, bias, dst));
    md_set h = hint_set(&m);
    dnnl_status_t status = make_attr(as_it_is, &attr);
    if (status == dnnl_success && pass != CPU_FORWARD)
        status = convolution_desc(engine, CPU_FORWARD, &h, &w, NULL, NULL, &hint);
    if (status == dnnl_success)
        status = convolution_desc(engine, pass, &m, &w, attr, hint, &desc);
    if (status == dnnl_success)
        status = finish(device, pass, desc, made);
    dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_attr_destroy(attr);
    free_mds(&m);
    return status;
}

dnnl_status_t cpu_make_inner_product(cpu_device *device, int32_t pass, const cpu_layout *src,
                                     const cpu_layout *weights, const cpu_layout *dst,
                                     cpu_primitive *made)
{
    dnnl_engine_t engine = device->onednn->engine;
    dnnl_primitive_desc_t desc = NULL, hint = NULL;
    dnnl_primitive_attr_t attr = NULL;
    md_set m;
    DNNL_TRY(make_mds(&m, src, weights, NULL, dst));
    md_set h = hint_set(&m);
    dnnl_status_t status = make_attr(as_it_is, &attr);
    if (status == dnnl_success && pass != CPU_FORWARD)
        status = inner_product_desc(engine, CPU_FORWARD, &h, NULL, NULL, &hint);
    if (status == dnnl_success)
        status = inner_product_desc(engine, pass, &m, attr, hint, &desc);
    if (status == dnnl_success)
        status = finish(device, pass, desc, made);
    dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_attr_destroy(attr);
    free_mds(&m);
    return status;
}

static dnnl_status_t make_matmul(cpu_device *device, const cpu_layout *src,
                                 const cpu_layout *weights, const cpu_layout *bias,
                                 const cpu_layout *dst, ending e, cpu_primitive *made)
{
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_attr_t attr = NULL;
    md_set m;
    DNNL_TRY(make_mds(&m, src, weights, bias, dst));
    dnnl_status_t status = make_attr(e, &attr);
    if (status == dnnl_success)
        status = matmul_desc(device->onednn->engine, &m, attr, &desc);
    if (status == dnnl_success)
        status = finish(device, CPU_FORWARD, desc, made);
    dnnl_primitive_attr_destroy(attr);
    free_mds(&m);
    return status;
}

dnnl_status_t cpu_make_matmul(cpu_device *device, const cpu_layout *src, const cpu_layout *weights,
                              const cpu_layout *bias, const cpu_layout *dst, double alpha,
                              cpu_primitive *made)
{
    const ending scaled = {alpha, 0};
    return make_matmul(device, src, weights, bias, dst, scaled, made);
}

dnnl_status_t cpu_make_matmul_add(cpu_device *device, const cpu_layout *src,
                                  const cpu_layout *weights, const cpu_layout *dst,
                                  cpu_primitive *made)
{
    const ending added = {1.0, 1};
    return make_matmul(device, src, weights, NULL, dst, added, made);
}

static dnnl_status_t make_reorder(cpu_device *device, const cpu_layout *from, cpu_md from_md,
                                  const cpu_layout *to, cpu_md to_md, ending e, cpu_primitive *made)
{
    dnnl_engine_t engine = device->onednn->engine;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_attr_t attr = NULL;
    md_set m;
    DNNL_TRY(make_mds(&m, from, NULL, NULL, to));
    if (from)
        from_md = MD(m.md[CPU_SRC]);
    if (to)
        to_md = MD(m.md[CPU_DST]);
    dnnl_status_t status = make_attr(e, &attr);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&desc, from_md, engine, to_md, engine, attr);
    if (status == dnnl_success)
        status = finish(device, CPU_FORWARD, desc, made);
    dnnl_primitive_attr_destroy(attr);
    free_mds(&m);
    return status;
}

dnnl_status_t cpu_make_reorder(cpu_device *device, const cpu_layout *from, cpu_md from_md,
                               const cpu_layout *to, cpu_md to_md, cpu_primitive *made)
{
    return make_reorder(device, from, from_md, to, to_md, as_it_is, made);
}

dnnl_status_t cpu_make_reorder_add(cpu_device *device, const cpu_layout *from, cpu_md from_md,
                                   const cpu_layout *to, cpu_primitive *made)
{
    const ending added = {1.0, 1};
    return make_reorder(device, from, from_md, to, NULL, added, made);
}

/* --- Use --- */

cpu_md cpu_primitive_md(const cpu_primitive *p, int32_t role)
{
    return p->slot[role] < 0 ? NULL : md_of_arg(p->desc, p->args[p->slot[role]].arg);
}

const char *cpu_primitive_info(const cpu_primitive *p)
{
    const char *text = NULL;
    dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &text);
    return text ? text : "onednn";
}

int cpu_md_is(cpu_md md, const cpu_layout *layout)
{
    held_md own;
    memset(&own, 0, sizeof own);
    int same = make_md(layout, &own) == dnnl_success && dnnl_memory_desc_equal(md, MD(own));
    free_md(&own);
    return same;
}

void cpu_primitive_bind(cpu_primitive *p, int32_t role, void *data)
{
    if (p->slot[role] < 0)
        return;
    dnnl_memory_set_data_handle(p->memory[role], data);
    p->args[p->slot[role]].memory = p->memory[role];
}

void cpu_primitive_bind_memory(cpu_primitive *p, int32_t role, dnnl_memory_t memory)
{
    if (p->slot[role] >= 0)
        p->args[p->slot[role]].memory = memory;
}

wisp_status cpu_primitive_run(cpu_device *device, cpu_primitive *p, void *scratch, wisp_error *err)
{
    omp_set_num_threads(device->n_threads);
    return cpu_primitive_run_single(device, p, scratch, err);
}

void cpu_begin_single(cpu_device *device)
{
    (void)device;
    omp_set_num_threads(1); /* oneDNN builds the number of threads into its code */
}

void cpu_end_single(cpu_device *device)
{
    omp_set_num_threads(device->n_threads);
}

wisp_status cpu_primitive_run_single(cpu_device *device, cpu_primitive *p, void *scratch,
                                     wisp_error *err)
{
    cpu_primitive_bind(p, CPU_SCRATCH, scratch);
    dnnl_status_t status =
        dnnl_primitive_execute(p->primitive, device->onednn->stream, p->n_args, p->args);
    if (status != dnnl_success)
        return wisp_fail(err, WISP_E_INTERNAL, "backend cpu: oneDNN's %s failed with status %d",
                         cpu_primitive_info(p), (int)status);
    return WISP_OK;
}

wisp_status cpu_onednn_fail(const wisp_kernel_request *request, dnnl_status_t status,
                            const char *what, wisp_error *err)
{
    if (status == dnnl_out_of_memory)
        return wisp_fail(err, WISP_E_NOMEM, "%s: oneDNN had no memory for its %s", request->op,
                         what);
    return wisp_refuse(request, err, "oneDNN %d.%d has no %s for these shapes and types (%s)",
                       DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, what,
                       status == dnnl_unimplemented ? "unimplemented" : "invalid arguments");
}
