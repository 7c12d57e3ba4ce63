/* Two plugins of different kinds in one file, and a bundle from before init and fini. */
#include <stdlib.h>

#include "small_method.h"
#include "wisp/sampler.h"

static wisp_status groups(const void *self, wisp_view_group *group, int32_t *n, wisp_error *err)
{
    (void)self;
    (void)err;
    *group = (wisp_view_group){"global", 1, 8, 8, 0};
    *n = 1;
    return WISP_OK;
}

static wisp_status plan(const void *self, const wisp_view_source *source, wisp_view_plan *views,
                        wisp_error *err)
{
    (void)self;
    wisp_view_spec *view = wisp_plan_add(views);
    if (!view)
        return wisp_fail(err, WISP_E_INVALID, "the plan is full");
    view->out_w = view->out_h = 8;
    view->box = (wisp_box){0, 0, source->width, source->height};
    return WISP_OK;
}

static const wisp_method_v0 method_table = {.struct_size = sizeof method_table,
                                            .requirements = small_requirements,
                                            .build = small_build,
                                            .step = small_step,
                                            .evaluated_network = small_network};

static const wisp_sampler_v0 sampler_table = {
    .struct_size = sizeof sampler_table, .groups = groups, .plan = plan};

/* Beyond the size that the bundle tells, so it is not there. */
static void not_there(void)
{
    abort();
}

#define BOTH                                                                                       \
    .struct_size = sizeof(wisp_descriptor), .option_size = sizeof(wisp_option), .version = "1",    \
    .summary = "one of two", .doc = "Exists to be loaded.", .license = "Apache-2.0"

static const wisp_descriptor first = {BOTH, .kind = WISP_KIND_METHOD, .name = "good_pair",
                                      .vtable = &method_table};
static const wisp_descriptor second = {BOTH, .kind = WISP_KIND_SAMPLER, .name = "good_second",
                                       .vtable = &sampler_table};

WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void);
WISP_EXPORT const wisp_bundle *wisp_plugin_entry(void)
{
    static const wisp_descriptor *const list[] = {&first, &second};
    static const wisp_bundle bundle = {{'w', 'i', 's', 'p', '\r', '\n', 0x1a, '\n'},
                                       offsetof(wisp_bundle, init),
                                       WISP_ABI_MAJOR,
                                       WISP_ABI_MINOR,
                                       list,
                                       2,
                                       NULL,
                                       not_there};
    return &bundle;
}
