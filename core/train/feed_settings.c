#include "train/feed_settings.h"

wispi_feed_options wispi_feed_settings(const wispi_experiment *x, const wispi_instance *data,
                                       int64_t batch, int32_t processors)
{
    const int64_t workers = x->run.workers;
    wispi_feed_options o = {
        .dataset = data->plugin->descriptor->vtable,
        .dataset_self = data->self,
        .seed = (uint64_t)x->run.seed,
        .batch = batch,
        .rank = 0,
        .world = 1,
        .dtype = wispi_run_dtype(&x->run),
        .eval_resize = (int32_t)x->input.eval_resize,
        .eval_size = (int32_t)x->input.eval_size,
        .upright = x->input.orientation == WISPI_ORIENTATION_EXIF,
        .workers = (int32_t)(workers >= 0 ? workers : processors),
        .bad_share = x->run.bad_samples,
    };
    for (int i = 0; i < 3; i++) {
        o.mean[i] = (float)((const double *)x->input.mean.items)[i];
        o.std[i] = (float)((const double *)x->input.std.items)[i];
    }
    return o;
}

void wispi_feed_settings_sampled(wispi_feed_options *o, const wispi_experiment *x)
{
    o->sampler = x->sampler.plugin->descriptor->vtable;
    o->sampler_self = x->sampler.self;
    o->drop_last = x->run.drop_last;
}
