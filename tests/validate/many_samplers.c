/* many_samplers.c - a file of 18 samplers, the last of which cannot be created: wisp validate looks
 * at every one. */
#include "wisp/host.h"
#include "wisp/sampler.h"

static wisp_status groups(const void *self, wisp_view_group *group, int32_t *n, wisp_error *err)
{
    (void)self, (void)err;
    *group = (wisp_view_group){"global", 1, 8, 8, 0};
    *n = 1;
    return WISP_OK;
}

static wisp_status plan(const void *self, const wisp_view_source *source, wisp_view_plan *views,
                        wisp_error *err)
{
    wisp_view_spec *view = wisp_plan_add(views);
    (void)self;
    if (!view)
        return wisp_fail(err, WISP_E_INVALID, "the plan is full");
    view->out_w = view->out_h = 8;
    view->box = (wisp_box){0, 0, source->width, source->height};
    return WISP_OK;
}

static wisp_status refuse(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)host, (void)config, (void)self;
    return wisp_fail(err, WISP_E_INVALID, "the last one does not want to");
}

static void destroy(void *self)
{
    (void)self;
}

static const wisp_sampler_v0 table = {.struct_size = sizeof table, .groups = groups, .plan = plan};

/* clang-format off */
#define SAMPLER(made, how)                                                                         \
    &(const wisp_descriptor)                                                                       \
    {                                                                                              \
        .struct_size = sizeof(wisp_descriptor), .option_size = sizeof(wisp_option),                \
        .kind = WISP_KIND_SAMPLER, .name = (made), .version = "1.2.3",                             \
        .summary = "one of many", .doc = "Exists to be counted.", .license = "Apache-2.0",         \
        .create = (how), .destroy = destroy, .vtable = &table,                                     \
    }
/* clang-format on */

static const wisp_descriptor *const list[] = {
    SAMPLER("many_01", NULL), SAMPLER("many_02", NULL), SAMPLER("many_03", NULL),
    SAMPLER("many_04", NULL), SAMPLER("many_05", NULL), SAMPLER("many_06", NULL),
    SAMPLER("many_07", NULL), SAMPLER("many_08", NULL), SAMPLER("many_09", NULL),
    SAMPLER("many_10", NULL), SAMPLER("many_11", NULL), SAMPLER("many_12", NULL),
    SAMPLER("many_13", NULL), SAMPLER("many_14", NULL), SAMPLER("many_15", NULL),
    SAMPLER("many_16", NULL), SAMPLER("many_17", NULL), SAMPLER("many_18", refuse),
};

WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void);
WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void)
{
    static const wisp_bundle bundle = {{'w', 'i', 's', 'p', '\r', '\n', 0x1a, '\n'},
                                       sizeof(wisp_bundle),
                                       WISP_ABI_MAJOR,
                                       WISP_ABI_MINOR,
                                       list,
                                       WISP_COUNT(list),
                                       NULL,
                                       NULL};
    return &bundle;
}
