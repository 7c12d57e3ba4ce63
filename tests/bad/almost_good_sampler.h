/* almost_good_sampler.h - a sampler of one view, with everything that is asked of one. A file that
 * includes it first defines what shall be different: GROUP_WIDTH, DRAW (what plan() does to
 * `view`), and what almost_good.h knows. */
#ifndef WISP_TESTS_ALMOST_GOOD_SAMPLER_H
#define WISP_TESTS_ALMOST_GOOD_SAMPLER_H

#include "wisp/host.h"
#include "wisp/sampler.h"

#ifndef GROUP_WIDTH
#define GROUP_WIDTH 16
#endif
#ifndef DRAW
#define DRAW(self, source, view) (void)0
#endif

static wisp_status sampler_groups(const void *self, wisp_view_group *groups, int32_t *n_groups,
                                  wisp_error *err)
{
    (void)self;
    (void)err;
    groups[0] = (wisp_view_group){"global", 1, GROUP_WIDTH, 16, 0};
    *n_groups = 1;
    return WISP_OK;
}

static wisp_status sampler_plan(const void *self, const wisp_view_source *source,
                                wisp_view_plan *plan, wisp_error *err)
{
    wisp_rng rng = wisp_rng_begin(source->key);
    wisp_view_spec *view = wisp_plan_add(plan);
    (void)self;
    if (!view)
        return wisp_fail(err, WISP_E_INVALID, "the plan is full");
    *view = (wisp_view_spec){.out_w = 16,
                             .out_h = 16,
                             .flip = wisp_rng_uniform(&rng) < 0.5,
                             .box = {0, 0, source->width, source->height}};
    DRAW(self, source, view);
    return WISP_OK;
}

static const wisp_sampler_v0 sampler_table = {
    .struct_size = sizeof sampler_table, .groups = sampler_groups, .plan = sampler_plan};

#define KIND WISP_KIND_SAMPLER
#define VTABLE &sampler_table
#include "almost_good.h"

#endif
