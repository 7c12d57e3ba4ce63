/* sample_plan.c - asks the sampler and does not trust it. */
#include "data/sample_plan.h"

#include "wisp/pixel_math.h"

static wisp_status check_view(const wisp_view_plan *plan, int32_t v, int32_t g,
                              const wisp_view_group *group, wisp_error *err)
{
    const wisp_view_spec *view = &plan->views[v];
    if (v >= plan->n_views || view->group != g || view->out_w != group->width ||
        view->out_h != group->height)
        return wisp_fail(err, WISP_E_PLUGIN,
                         "the sampler's plan has %d views; view %d is not of group \"%s\" or not "
                         "of its size",
                         plan->n_views, v, group->name);
    return WISP_OK;
}

static wisp_status check_box(wisp_box b, int32_t v, int32_t width, int32_t height, wisp_error *err)
{
    if (!wisp_part_fits(b.x, b.w, width) || !wisp_part_fits(b.y, b.h, height))
        return wisp_fail(
            err, WISP_E_PLUGIN,
            "the sampler's view %d has the box (%d, %d, %d, %d) in a picture of %d x %d px", v, b.x,
            b.y, b.w, b.h, width, height);
    return WISP_OK;
}

/* A plan that the plugin got wrong must not write outside the batch. */
static wisp_status check_plan(const wisp_view_plan *plan, const wisp_view_group *groups,
                              int32_t n_groups, int32_t width, int32_t height, wisp_error *err)
{
    int32_t v = 0;
    for (int32_t g = 0; g < n_groups; g++) {
        for (int32_t k = 0; k < groups[g].count; k++, v++) {
            WISP_TRY(check_view(plan, v, g, &groups[g], err));
            WISP_TRY(check_box(plan->views[v].box, v, width, height, err));
        }
    }
    return v == plan->n_views
               ? WISP_OK
               : wisp_fail(err, WISP_E_PLUGIN, "the sampler's plan has %d views, not %d",
                           plan->n_views, v);
}

/* The plain augmentation of linear probes: a random resized crop and a flip. */
static void plan_crop(const wispi_feed_options *o, const wisp_view_source *source,
                      wisp_view_plan *plan)
{
    static const double ratio[2] = {3.0 / 4.0, 4.0 / 3.0};
    wisp_rng rng = wisp_rng_begin(source->key);
    wisp_view_spec *view = wisp_plan_add(plan);
    view->box = wisp_draw_resized_crop(&rng, source->width, source->height, o->crop_scale, ratio);
    view->out_w = view->out_h = o->eval_size;
    view->flip = wisp_rng_uniform(&rng) < 0.5;
}

static wisp_rng_key sample_key(const wispi_feed_options *o, int64_t epoch, int64_t index)
{
    return wisp_rng_derive(wisp_rng_stream(o->seed, WISP_STREAM_VIEW), (uint64_t)epoch,
                           (uint64_t)index);
}

wisp_status wispi_sample_plan(const wispi_feed_options *o, const wisp_view_group *groups,
                              int32_t n_groups, int32_t width, int32_t height, int64_t epoch,
                              int64_t index, wisp_view_plan *plan, wisp_error *err)
{
    const wisp_view_source source = {width, height, epoch, index, sample_key(o, epoch, index)};
    plan->n_views = plan->flags = 0;
    if (!o->sampler) {
        plan_crop(o, &source, plan);
        return WISP_OK;
    }
    WISP_TRY(o->sampler->plan(o->sampler_self, &source, plan, err));
    return check_plan(plan, groups, n_groups, width, height, err);
}
