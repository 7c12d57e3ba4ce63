#include "data/feed_check.h"

#include "image/view_engine.h"

enum { MAX_BATCH = 1 << 24, MAX_WORLD = 1 << 20 };

static wisp_status check_numbers(const wispi_feed_options *o, wisp_error *err)
{
    if (o->batch < 1 || o->batch > MAX_BATCH)
        return wisp_fail(err, WISP_E_CONFIG, "a batch of %lld samples; 1 to %d are possible",
                         (long long)o->batch, MAX_BATCH);
    if (o->world < 1 || o->world > MAX_WORLD || o->rank < 0 || o->rank >= o->world)
        return wisp_fail(err, WISP_E_INVALID, "rank %d of %d processes", o->rank, o->world);
    if (o->workers < 0)
        return wisp_fail(err, WISP_E_INVALID, "%d workers", o->workers);
    if (o->dtype != WISP_F32 && o->dtype != WISP_BF16)
        return wisp_fail(err, WISP_E_DTYPE, "views are made in f32 or bf16, not in type %d",
                         o->dtype);
    const double *scale = o->crop_scale;
    if (!o->sampler && scale[1] != 0.0 &&
        !(scale[0] > 0.0 && scale[0] <= scale[1] && scale[1] <= 1.0))
        return wisp_fail(err, WISP_E_INVALID,
                         "crops of %g to %g of the image; shares lie above 0 and up to 1", scale[0],
                         scale[1]);
    return WISP_OK;
}

/* Any picture shows whether the evaluation view is possible at all. */
static wisp_status check_evaluation(const wispi_feed_options *o, wisp_error *err)
{
    wispi_eval_view view;
    if (o->crop_scale[1] > 0 || o->eval_resize == 0)
        return WISP_OK;
    return wispi_view_evaluate_spec(o->eval_size, o->eval_size, o->eval_resize, o->eval_size, &view,
                                    err);
}

static wisp_status ask_groups(const wispi_feed_options *o, wispi_feed_shape *shape, wisp_error *err)
{
    if (o->sampler)
        return o->sampler->groups(o->sampler_self, shape->groups, &shape->n_groups, err);
    shape->groups[0] = (wisp_view_group){"evaluation", 1, o->eval_size, o->eval_size, 0};
    shape->n_groups = 1;
    return WISP_OK;
}

static wisp_status find_groups(const wispi_feed_options *o, wispi_feed_shape *shape,
                               wisp_error *err)
{
    int32_t n_views = 0;
    WISP_TRY(ask_groups(o, shape, err));
    if (shape->n_groups < 1 || shape->n_groups > WISP_MAX_VIEW_GROUPS)
        return wisp_fail(err, WISP_E_PLUGIN, "the sampler has %d view groups; 1 to %d are possible",
                         shape->n_groups, WISP_MAX_VIEW_GROUPS);
    for (int32_t g = 0; g < shape->n_groups; g++) {
        wisp_view_group *group = &shape->groups[g];
        group->name[sizeof group->name - 1] = 0;
        if (group->count < 1 || group->count > WISP_MAX_VIEWS || group->width < 1 ||
            group->height < 1 || group->width > WISPI_FEED_MAX_SIDE ||
            group->height > WISPI_FEED_MAX_SIDE)
            return wisp_fail(err, o->sampler ? WISP_E_PLUGIN : WISP_E_INVALID,
                             "view group \"%s\" has %d views of %d x %d px; 1 to %d views of sides "
                             "from 1 to %d are possible",
                             group->name, group->count, group->width, group->height, WISP_MAX_VIEWS,
                             WISPI_FEED_MAX_SIDE);
        n_views += group->count;
    }
    if (n_views > WISP_MAX_VIEWS)
        return wisp_fail(err, WISP_E_PLUGIN, "the sampler has %d views; 1 to %d are possible",
                         n_views, WISP_MAX_VIEWS);
    return WISP_OK;
}

static wisp_status find_steps(const wispi_feed_options *o, wispi_feed_shape *shape, wisp_error *err)
{
    int64_t n = o->dataset->count(o->dataset_self), global = o->batch * o->world;
    if (n < 1)
        return wisp_fail(err, WISP_E_DATA, "the data set is empty: nothing to read");
    shape->n_samples = o->subset > 0 && o->subset < n ? o->subset : n;
    shape->own_order = shape->n_samples == n && WISP_HAS(o->dataset, wisp_dataset_v0, order) &&
                       o->dataset->order != NULL;
    shape->steps_per_epoch =
        shape->n_samples / global + (!o->drop_last && shape->n_samples % global > 0);
    if (shape->steps_per_epoch < 1)
        return wisp_fail(
            err, WISP_E_CONFIG,
            "run.batch = %lld is larger than the data set, which has %lld images: take a smaller "
            "batch",
            (long long)global, (long long)shape->n_samples);
    return WISP_OK;
}

wisp_status wispi_feed_check(const wispi_feed_options *options, wispi_feed_shape *shape,
                             wisp_error *err)
{
    WISP_TRY(check_numbers(options, err));
    WISP_TRY(find_groups(options, shape, err));
    if (!options->sampler)
        WISP_TRY(check_evaluation(options, err));
    return find_steps(options, shape, err);
}
