/* drawn_views.c - looks up images, then draws plans for them, arm by arm. */
#include "report/drawn_views.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/sample_memory.h"
#include "data/sample_plan.h"
#include "image/decode.h"
#include "loader/containment.h"
#include "train/feed_settings.h"

/* Of larger data sets so many images are looked at: their sizes are what counts. */
enum { MOST_PICTURES = 2000, USUAL_PLANS = 10000 };

static wisp_status check_stop(const volatile int *stop, wisp_error *err)
{
    return stop && *stop ? wisp_fail(err, WISP_E_STOPPED, "stopped on request") : WISP_OK;
}

/* --- pictures --- */

typedef struct look {
    const wispi_feed_options *options;
    wispi_sample_memory memory;
    wispi_decoder *decoder;
} look;

static wisp_status size_of(look *l, int64_t index, wispi_view_picture *picture, wisp_error *err)
{
    const wispi_feed_options *o = l->options;
    wisp_sample sample;
    wispi_picture header;
    WISP_TRY(wispi_sample_read(&l->memory, o->dataset, o->dataset_self, index, &sample, err));
    *picture = (wispi_view_picture){index, sample.width, sample.height};
    if (sample.form != WISP_SAMPLE_ENCODED)
        return WISP_OK;
    WISP_TRY(wispi_decode_open(l->decoder, sample.data, sample.bytes, o->upright, &header, err));
    picture->width = header.width;
    picture->height = header.height;
    return WISP_OK;
}

/* Sample at a position of the first epoch, as the feed has it. */
static wisp_status index_at(const wispi_view_arm *arm, int64_t position, int64_t *index,
                            wisp_error *err)
{
    const wispi_feed_options *o = &arm->options;
    const int64_t n = arm->shape.n_samples;
    *index = arm->shape.own_order
                 ? o->dataset->order(o->dataset_self, wispi_order_key(o->seed, 0), position)
                 : wispi_order_at(o->seed, 0, n, position);
    if (*index < 0 || *index >= n)
        return wisp_fail(err, WISP_E_PLUGIN,
                         "the data set's own order names sample %lld of %lld samples",
                         (long long)*index, (long long)n);
    return WISP_OK;
}

static wisp_status look_at_next(look *l, wispi_views *v, int64_t position, wisp_error *err)
{
    wisp_error why = {0};
    int64_t index = 0;
    WISP_TRY(index_at(&v->arms[0], position, &index, err));
    const wisp_status status = size_of(l, index, &v->pictures[v->n_pictures], &why);
    if (status == WISP_E_NOMEM)
        return wisp_fail(err, status, "%s", why.message);
    if (status == WISP_OK) {
        v->n_pictures++;
        return WISP_OK;
    }
    v->n_unreadable++;
    wispi_log(WISP_LOG_WARNING, "sample %lld is passed over: %s", (long long)index, why.message);
    return WISP_OK;
}

static wisp_status look_at_pictures(look *l, wispi_views *v, const volatile int *stop,
                                    wisp_error *err)
{
    const int64_t count = v->arms[0].shape.n_samples;
    const int64_t n = count < MOST_PICTURES ? count : MOST_PICTURES;
    v->pictures = wispi_alloc((size_t)n * sizeof *v->pictures);
    if (!v->pictures)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the sizes of %lld images", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        WISP_TRY(check_stop(stop, err));
        WISP_TRY(look_at_next(l, v, i, err));
    }
    return v->n_pictures > 0
               ? WISP_OK
               : wisp_fail(err, WISP_E_DATA,
                           "none of %lld images can be read: no view can be drawn", (long long)n);
}

static wisp_status find_pictures(wispi_views *v, const volatile int *stop, wisp_error *err)
{
    look l = {.options = &v->arms[0].options};
    wispi_sample_memory_open(&l.memory);
    wisp_status status = wispi_decoder_create(&l.decoder, err);
    if (status == WISP_OK)
        status = look_at_pictures(&l, v, stop, err);
    wispi_decoder_destroy(l.decoder);
    wispi_sample_memory_free(&l.memory);
    return status;
}

/* --- arms --- */

/* Every arm draws for the first one's images. Views are kept as bytes: 0 and 1 undo what would
 * normalise them. */
static void take_images(wispi_feed_options *o, const wispi_feed_options *first)
{
    o->dataset = first->dataset;
    o->dataset_self = first->dataset_self;
    o->seed = first->seed;
    o->upright = first->upright;
    o->batch = 1;
    o->dtype = WISP_F32;
    for (int i = 0; i < 3; i++) {
        o->mean[i] = 0;
        o->std[i] = 1;
    }
}

static wisp_status open_arm(const wispi_experiment *x, const char *name, wispi_view_arm *arm,
                            const wispi_view_arm *first, wisp_error *err)
{
    wisp_status status;
    arm->name = name;
    arm->sampler = x->sampler.plugin->descriptor->name;
    arm->options = wispi_feed_settings(x, &x->data, 1, 1);
    wispi_feed_settings_sampled(&arm->options, x);
    take_images(&arm->options, &first->options);
    wispi_experiment_describe_sampler(x, arm->says, sizeof arm->says);
    WISPI_CALL(status, x->sampler.plugin, "groups", err,
               wispi_feed_check(&arm->options, &arm->shape, err));
    return status;
}

static wisp_status draw_plans(const wispi_views *v, wispi_view_arm *arm, const wispi_experiment *x,
                              const wispi_views_request *request, wisp_error *err)
{
    const int64_t plans = request->plans > 0 ? request->plans : USUAL_PLANS;
    wisp_view_plan *plan = wispi_alloc(sizeof *plan);
    wisp_status status = plan ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for a plan");
    wispi_view_numbers_begin(&arm->numbers, arm->shape.groups, arm->shape.n_groups);
    for (int64_t i = 0; i < plans && status == WISP_OK; i++) {
        const wispi_view_picture *p = &v->pictures[i % v->n_pictures];
        status = check_stop(request->stop, err);
        if (status != WISP_OK)
            break;
        WISPI_CALL(status, x->sampler.plugin, "plan", err,
                   wispi_sample_plan(&arm->options, arm->shape.groups, arm->shape.n_groups,
                                     p->width, p->height, i / v->n_pictures, p->index, plan, err));
        if (status == WISP_OK)
            wispi_view_numbers_add(&arm->numbers, plan, p->width, p->height);
    }
    wispi_free(plan);
    return status;
}

static wisp_status make_views(const wispi_views_request *r, wispi_views *v, wisp_error *err)
{
    if (r->n < 1 || r->n > WISPI_MOST_ARMS)
        return wisp_fail(err, WISP_E_INVALID, "%d samplers; 1 to %d can be shown side by side",
                         r->n, WISPI_MOST_ARMS);
    v->arms = wispi_alloc((size_t)r->n * sizeof *v->arms);
    if (!v->arms)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %d samplers", r->n);
    v->n_arms = r->n;
    for (int32_t a = 0; a < r->n; a++)
        WISP_TRY(open_arm(r->experiments[a], r->names[a], &v->arms[a], &v->arms[0], err));
    WISP_TRY(find_pictures(v, r->stop, err));
    for (int32_t a = 0; a < r->n; a++)
        WISP_TRY(draw_plans(v, &v->arms[a], r->experiments[a], r, err));
    return WISP_OK;
}

wisp_status wispi_views_make(const wispi_views_request *request, wispi_views *views,
                             wisp_error *err)
{
    wispi_views made = {0};
    const wisp_status status = make_views(request, &made, err);
    if (status == WISP_OK)
        *views = made;
    else
        wispi_views_free(&made);
    return status;
}

void wispi_views_free(wispi_views *v)
{
    wispi_free(v->arms);
    wispi_free(v->pictures);
    memset(v, 0, sizeof *v);
}
