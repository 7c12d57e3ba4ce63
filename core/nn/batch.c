#include "nn/batch.h"

#include <stdio.h>
#include <string.h>

#include "tensor/step.h"

static wisp_status init_views(wispi_device *device, wispi_batch *batch, int32_t dtype,
                              wisp_error *err)
{
    for (int32_t g = 0; g < batch->plugin.n_groups; g++) {
        const wisp_view_group *group = &batch->plugin.groups[g];
        const wisp_desc desc =
            wisp_desc4(dtype, group->count * batch->plugin.size, group->height, group->width, 3);
        char name[64];
        snprintf(name, sizeof name, "batch.%s", group->name);
        WISP_TRY(wispi_variable_init(device, &batch->views[g], name, &desc, NULL, err));
    }
    return WISP_OK;
}

static wisp_status init_parts(wispi_device *device, wispi_batch *batch, wisp_error *err)
{
    const int64_t B = batch->plugin.size, V = batch->plugin.n_views;
    const wisp_desc rows = wisp_desc1(WISP_I64, B);
    const wisp_desc boxes = wisp_desc3(WISP_F32, V, B, 4), flip = wisp_desc2(WISP_F32, V, B);
    if (batch->parts & WISP_NEED_INDEX)
        WISP_TRY(wispi_variable_init(device, &batch->index, "batch.index", &rows, NULL, err));
    if (batch->parts & WISP_NEED_LABELS)
        WISP_TRY(wispi_variable_init(device, &batch->label, "batch.label", &rows, NULL, err));
    if (!(batch->parts & WISP_NEED_BOXES))
        return WISP_OK;
    WISP_TRY(wispi_variable_init(device, &batch->boxes, "batch.boxes", &boxes, NULL, err));
    return wispi_variable_init(device, &batch->flip, "batch.flip", &flip, NULL, err);
}

static wisp_status check_groups(const wisp_view_group *groups, int32_t n_groups, int64_t size,
                                wisp_error *err)
{
    int32_t n_views = 0;
    if (n_groups < 1 || n_groups > WISP_MAX_VIEW_GROUPS || size < 1)
        return wisp_fail(err, WISP_E_INVALID,
                         "a batch has 1 to %d groups of views, not %d, and "
                         "1 image or more, not %lld",
                         WISP_MAX_VIEW_GROUPS, n_groups, (long long)size);
    for (int32_t g = 0; g < n_groups; g++) {
        if (groups[g].count < 1 || groups[g].width < 1 || groups[g].height < 1 ||
            groups[g].count > WISP_MAX_VIEWS - n_views)
            return wisp_fail(err, WISP_E_INVALID,
                             "view group %s: %d views of %d x %d cannot be (at most %d in all)",
                             groups[g].name, groups[g].count, groups[g].width, groups[g].height,
                             WISP_MAX_VIEWS);
        n_views += groups[g].count;
    }
    return WISP_OK;
}

wisp_status wispi_batch_init(wispi_device *device, wispi_batch *batch,
                             const wisp_view_group *groups, int32_t n_groups, int64_t size,
                             int32_t dtype, uint32_t parts, wisp_error *err)
{
    WISP_TRY(check_groups(groups, n_groups, size, err));
    memset(batch, 0, sizeof *batch);
    batch->plugin.struct_size = sizeof batch->plugin;
    batch->plugin.n_groups = n_groups;
    batch->plugin.size = size;
    batch->parts = parts;
    for (int32_t g = 0; g < n_groups; g++) {
        batch->plugin.groups[g] = groups[g];
        batch->plugin.n_views += groups[g].count;
    }
    wisp_status status = init_views(device, batch, dtype, err);
    if (status == WISP_OK)
        status = init_parts(device, batch, err);
    if (status != WISP_OK)
        wispi_batch_fini(device, batch);
    return status;
}

void wispi_batch_fini(wispi_device *device, wispi_batch *batch)
{
    for (int32_t g = 0; g < WISP_MAX_VIEW_GROUPS; g++)
        wispi_variable_fini(device, &batch->views[g]);
    wispi_variable_fini(device, &batch->index);
    wispi_variable_fini(device, &batch->boxes);
    wispi_variable_fini(device, &batch->flip);
    wispi_variable_fini(device, &batch->label);
}

static void swap_data(wispi_variable *a, wispi_variable *b)
{
    void *data = a->data;
    a->data = b->data;
    b->data = data;
    ++*a->version;
    ++*b->version;
}

void wispi_batch_swap(wispi_batch *a, wispi_batch *b)
{
    for (int32_t g = 0; g < a->plugin.n_groups; g++)
        swap_data(&a->views[g], &b->views[g]);
    if (a->parts & WISP_NEED_INDEX)
        swap_data(&a->index, &b->index);
    if (a->parts & WISP_NEED_LABELS)
        swap_data(&a->label, &b->label);
    if (a->parts & WISP_NEED_BOXES) {
        swap_data(&a->boxes, &b->boxes);
        swap_data(&a->flip, &b->flip);
    }
}

/* The handle that plugins hold points to the first member of a wispi_batch of the host, which is
 * not const. */
static wispi_batch *inside(const wisp_batch *batch)
{
    union {
        const wisp_batch *seen;
        wispi_batch *whole;
    } handle = {batch};
    return handle.whole;
}

wisp_tensor *wispi_batch_views(wisp_step *s, const wisp_batch *batch, int32_t first, int32_t count)
{
    int32_t begin = 0;
    for (int32_t g = 0; g < batch->n_groups; begin += batch->groups[g++].count) {
        const int32_t n = batch->groups[g].count;
        if (first < begin || first >= begin + n)
            continue;
        if (count < 1 || count > begin + n - first)
            break;
        wisp_tensor *all = wispi_step_variable(s, &inside(batch)->views[g]);
        return count == n ? all
                          : wispi_leading_slice(s, all, (first - begin) * batch->size,
                                                count * batch->size);
    }
    wispi_step_fail(s, WISP_E_INVALID,
                    "views %d to %d are not in one group of equal size; the batch has %d views in "
                    "%d groups",
                    first, first + count - 1, batch->n_views, batch->n_groups);
    return NULL;
}

wisp_tensor *wispi_batch_part(wisp_step *s, const wisp_batch *batch, const char *name)
{
    wispi_batch *b = inside(batch);
    struct {
        const char *name;
        uint32_t need;
        const char *requirement;
        wispi_variable *variable;
    } parts[] = {{"index", WISP_NEED_INDEX, "WISP_NEED_INDEX", &b->index},
                 {"boxes", WISP_NEED_BOXES, "WISP_NEED_BOXES", &b->boxes},
                 {"flip", WISP_NEED_BOXES, "WISP_NEED_BOXES", &b->flip},
                 {"label", WISP_NEED_LABELS, "WISP_NEED_LABELS", &b->label}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(parts[i].name, name) != 0)
            continue;
        if (b->parts & parts[i].need)
            return wispi_step_variable(s, parts[i].variable);
        wispi_step_fail(s, WISP_E_STATE, "batch part \"%s\": ask for it with %s in requirements",
                        name, parts[i].requirement);
        return NULL;
    }
    wispi_step_fail(s, WISP_E_NOT_FOUND,
                    "batch part \"%s\" does not exist; there are index, boxes, flip, label", name);
    return NULL;
}
