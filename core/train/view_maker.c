/* view_maker.c - one call of make_views for each group, over tables that all groups share. */
#include "train/view_maker.h"

#include <string.h>

#include "base/memory.h"
#include "tensor/transfer.h"
#include "wisp/sampler.h"

/* The kernels for batches of one size; training has two, the whole one and what an epoch ends with.
 */
typedef struct sized_kernels {
    int64_t size; /* samples; 0: not yet prepared */
    const wisp_kernel *kernels[WISP_MAX_VIEW_GROUPS];
} sized_kernels;

struct wispi_view_maker {
    wispi_device *device;             /* that makes views: `beside`, or `steps` */
    wispi_device *steps;              /* borrowed */
    wispi_device *beside;             /* NULL: views are made in the order of the steps */
    void *made[WISP_MAX_VIEW_GROUPS]; /* beside: where views wait for their step */
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    wisp_make_views_attrs attrs[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups;
    int64_t n_views; /* of a sample */
    const wispi_op *op;
    wispi_variable pixels, views, ops;
    int64_t capacity; /* of pixels, in bytes */
    sized_kernels sized[2];
    int32_t next_sized;
};

/* --- kernels --- */

static wisp_status make_kernel(wispi_view_maker *m, int64_t size, int32_t g,
                               const wisp_kernel **kernel, wisp_error *err)
{
    const int64_t n = m->groups[g].count * size;
    const wisp_desc pixels = wisp_desc1(WISP_U8, m->capacity);
    const wisp_desc views = wisp_desc2(WISP_I64, n, WISP_VIEW_COLUMNS);
    const wisp_desc ops = wisp_desc3(WISP_F32, n, WISP_MAX_PIXEL_OPS, 2);
    const wisp_desc *const in[3] = {&pixels, &views, &ops};
    wisp_desc made;
    const wisp_desc *const out[1] = {&made};
    WISP_TRY(m->op->infer(&m->attrs[g], in, 3, &made, err));
    const wisp_kernel_request request = {
        .struct_size = sizeof request,
        .n_in = 3,
        .n_out = 1,
        .deterministic = wispi_device_deterministic(m->device),
        .op = m->op->name,
        .attrs = &m->attrs[g],
        .attrs_bytes = sizeof m->attrs[g],
        .in = in,
        .out = out,
    };
    WISP_TRY(wispi_device_kernel(m->device, m->op, &request, kernel, err));
    return wispi_device_scratch(m->device, (*kernel)->scratch_bytes, err);
}

static wisp_status find_kernels(wispi_view_maker *m, int64_t size, const sized_kernels **found,
                                wisp_error *err)
{
    for (size_t i = 0; i < WISP_COUNT(m->sized); i++)
        if (m->sized[i].size == size) {
            *found = &m->sized[i];
            return WISP_OK;
        }
    sized_kernels *sized = &m->sized[m->next_sized];
    sized->size = 0;
    for (int32_t g = 0; g < m->n_groups; g++)
        WISP_TRY(make_kernel(m, size, g, &sized->kernels[g], err));
    sized->size = size;
    m->next_sized = !m->next_sized;
    *found = sized;
    return WISP_OK;
}

/* Kernels are for one size of pixels: they are looked up again. */
static wisp_status make_room(wispi_view_maker *m, size_t bytes, wisp_error *err)
{
    const wisp_desc pixels = wisp_desc1(WISP_U8, (int64_t)(bytes + bytes / 4));
    if ((int64_t)bytes <= m->capacity)
        return WISP_OK;
    WISP_TRY(wispi_device_sync(m->device, err));
    wispi_variable_fini(m->device, &m->pixels);
    m->capacity = 0;
    memset(&m->pixels, 0, sizeof m->pixels);
    memset(m->sized, 0, sizeof m->sized);
    WISP_TRY(wispi_variable_init(m->device, &m->pixels, "pictures", &pixels, NULL, err));
    m->capacity = pixels.shape[0];
    return WISP_OK;
}

/* --- life --- */

static wisp_status open_beside(wispi_view_maker *m, wispi_device *steps, wisp_error *err)
{
    wisp_error cause = {0};
    const wisp_status status = wispi_device_beside(steps, &m->beside, &cause);
    m->steps = m->device = steps;
    if (status == WISP_OK)
        m->device = m->beside;
    if (status == WISP_OK || status == WISP_E_UNSUPPORTED)
        return WISP_OK;
    return wisp_fail(err, status, "%s", cause.message);
}

static size_t group_bytes(const wispi_view_maker *m, int32_t g, int64_t size)
{
    const wisp_make_views_attrs *t = &m->attrs[g];
    return (size_t)(m->groups[g].count * size) * (size_t)t->width * (size_t)t->height * 3 *
           (size_t)wisp_dtype_bytes(t->dtype);
}

static void set_groups(wispi_view_maker *m, const wispi_view_maker_options *o)
{
    m->n_groups = o->n_groups;
    for (int32_t g = 0; g < o->n_groups; g++) {
        wisp_make_views_attrs *attrs = &m->attrs[g];
        m->groups[g] = o->groups[g];
        m->n_views += o->groups[g].count;
        attrs->width = o->groups[g].width;
        attrs->height = o->groups[g].height;
        attrs->dtype = o->dtype;
        memcpy(attrs->mean, o->mean, sizeof attrs->mean);
        memcpy(attrs->std, o->std, sizeof attrs->std);
    }
}

static wisp_status prepare(wispi_view_maker *m, const wispi_view_maker_options *o, wisp_error *err)
{
    const int64_t n = m->n_views * o->batch;
    const wisp_desc views = wisp_desc2(WISP_I64, n, WISP_VIEW_COLUMNS);
    const wisp_desc ops = wisp_desc3(WISP_F32, n, WISP_MAX_PIXEL_OPS, 2);
    const sized_kernels *kernels;
    WISP_TRY(wispi_variable_init(m->device, &m->views, "views", &views, NULL, err));
    WISP_TRY(wispi_variable_init(m->device, &m->ops, "view operations", &ops, NULL, err));
    WISP_TRY(make_room(m, 1 << 16, err));
    for (int32_t g = 0; m->beside && g < m->n_groups; g++)
        WISP_TRY(wispi_device_alloc(m->device, group_bytes(m, g, o->batch), &m->made[g], err));
    return find_kernels(m, o->batch, &kernels, err);
}

wisp_status wispi_view_maker_create(const wispi_view_maker_options *options,
                                    wispi_view_maker **maker, wisp_error *err)
{
    wispi_view_maker *m = wispi_alloc(sizeof *m);
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to make views");
    m->op = wispi_op_find("make_views");
    set_groups(m, options);
    wisp_status status = open_beside(m, options->device, err);
    if (status == WISP_OK)
        status = prepare(m, options, err);
    if (status == WISP_OK)
        *maker = m;
    else
        wispi_view_maker_destroy(m);
    return status;
}

void wispi_view_maker_destroy(wispi_view_maker *m)
{
    if (!m)
        return;
    if (m->device) {
        wispi_device_sync(m->device, NULL);
        wispi_variable_fini(m->device, &m->pixels);
        wispi_variable_fini(m->device, &m->views);
        wispi_variable_fini(m->device, &m->ops);
    }
    for (int32_t g = 0; m->beside && g < m->n_groups; g++)
        wispi_device_free(m->beside, m->made[g]);
    wispi_device_close(m->beside);
    wispi_free(m);
}

wispi_device *wispi_view_maker_device(const wispi_view_maker *m)
{
    return m->device;
}

/* --- a batch --- */

/* A batch may fill its memory in part. */
static wisp_status send(wispi_view_maker *m, wispi_variable *variable, int64_t rows,
                        const void *values, wisp_error *err)
{
    const int64_t whole = variable->desc.shape[0];
    variable->desc.shape[0] = rows;
    const wisp_status status = wispi_variable_lend(m->device, variable, values, err);
    variable->desc.shape[0] = whole;
    return status;
}

static wisp_status send_batch(wispi_view_maker *m, const wispi_feed_batch *batch, wisp_error *err)
{
    const int64_t rows = m->n_views * batch->size;
    WISP_TRY(make_room(m, batch->pixel_bytes, err));
    WISP_TRY(send(m, &m->pixels, (int64_t)batch->pixel_bytes, batch->pixels, err));
    WISP_TRY(send(m, &m->views, rows, batch->views, err));
    WISP_TRY(send(m, &m->ops, rows, batch->ops, err));
    return wispi_uploads_send(m->device, err);
}

/* Rows of a group begin at row `first` of the tables. */
static wisp_status run_group(wispi_view_maker *m, const wisp_kernel *kernel, int64_t first,
                             wisp_kernel_arg made, wisp_error *err)
{
    int64_t *numbers = (int64_t *)m->views.data + first * WISP_VIEW_COLUMNS;
    float *ops = (float *)m->ops.data + first * WISP_MAX_PIXEL_OPS * 2;
    const wisp_kernel_arg in[3] = {
        {m->pixels.data, m->pixels.uid, 0}, {numbers, m->views.uid, 0}, {ops, m->ops.uid, 0}};
    return kernel->run(kernel, in, &made, wispi_device_scratch_memory(m->device), err);
}

/* The copies wait for the views and for the step before; the next views wait for the copies, but
 * not for the step that follows them. */
static wisp_status hand_over(wispi_view_maker *m, int64_t size, const wispi_variable *views,
                             wisp_error *err)
{
    WISP_TRY(wispi_device_follow(m->steps, m->beside, err));
    for (int32_t g = 0; g < m->n_groups; g++)
        WISP_TRY(
            wispi_device_copy(m->steps, views[g].data, m->made[g], group_bytes(m, g, size), err));
    return wispi_device_follow(m->beside, m->steps, err);
}

wisp_status wispi_view_maker_run(wispi_view_maker *m, const wispi_feed_batch *batch,
                                 wispi_variable *views, wisp_error *err)
{
    const sized_kernels *sized = NULL;
    int64_t first = 0;
    WISP_TRY(send_batch(m, batch, err));
    WISP_TRY(find_kernels(m, batch->size, &sized, err));
    for (int32_t g = 0; g < m->n_groups; g++) {
        void *to = m->beside ? m->made[g] : views[g].data;
        const wisp_kernel_arg made = {to, views[g].uid, 0};
        WISP_TRY(run_group(m, sized->kernels[g], first, made, err));
        ++*views[g].version;
        first += m->groups[g].count * batch->size;
    }
    return m->beside ? hand_over(m, batch->size, views, err) : WISP_OK;
}
