/* sample_maker.c - read the file, draw the plan, decode what the plan shows, execute it. */
#include "data/sample_maker.h"

#include <string.h>

#include "base/memory.h"
#include "data/picture_store.h"
#include "data/sample_memory.h"
#include "data/sample_plan.h"
#include "image/plan_extent.h"
#include "image/view_engine.h"
#include "image/view_table.h"

struct wispi_sample_maker {
    wispi_sample_memory memory;
    const wispi_feed_options *options;
    const wisp_view_group *groups;
    int32_t n_groups;
    wispi_decoder *decoder;
    wispi_view_worker *worker;
    wispi_view_form form;
    wisp_view_plan plan;
    wispi_picture picture;     /* of this sample, all of it */
    int32_t shrink;            /* it was decoded this much smaller, */
    wispi_part part;           /* and of that only a part */
    wispi_picture_place place; /* as plans: where the part, or this view, went */
    int64_t views_offset;      /* as bytes: where the views went */
    uint8_t *views;
    wispi_view_clock clock;
    wispi_view_clock *timed; /* the clock, or NULL */
};

wisp_status wispi_sample_maker_create(const wispi_feed_options *options,
                                      const wisp_view_group *groups, int32_t n_groups,
                                      wispi_sample_maker **out, wisp_error *err)
{
    wispi_sample_maker *maker = wispi_alloc(sizeof *maker);
    if (!maker)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a worker's buffers");
    wispi_sample_memory_open(&maker->memory);
    maker->options = options;
    maker->groups = groups;
    maker->n_groups = n_groups;
    maker->form.form = options->as_bytes             ? WISPI_VIEW_U8
                       : options->dtype == WISP_BF16 ? WISPI_VIEW_BF16
                                                     : WISPI_VIEW_F32;
    memcpy(maker->form.mean, options->mean, sizeof maker->form.mean);
    memcpy(maker->form.std, options->std, sizeof maker->form.std);
    wisp_status status = wispi_decoder_create(&maker->decoder, err);
    if (status == WISP_OK)
        status = wispi_view_worker_create(&maker->worker, err);
    if (status != WISP_OK) {
        wispi_sample_maker_destroy(maker);
        return status;
    }
    maker->timed = options->timed ? &maker->clock : NULL;
    wispi_view_worker_time(maker->worker, maker->timed);
    *out = maker;
    return status;
}

void wispi_sample_maker_destroy(wispi_sample_maker *maker)
{
    if (!maker)
        return;
    wispi_decoder_destroy(maker->decoder);
    wispi_view_worker_destroy(maker->worker);
    wispi_sample_memory_free(&maker->memory);
    wispi_free(maker);
}

wispi_view_clock *wispi_sample_maker_clock(wispi_sample_maker *maker)
{
    return maker->timed;
}

/* Reads as much as tells the size of the picture. */
static wisp_status open_picture(wispi_sample_maker *maker, const wisp_sample *sample,
                                wisp_error *err)
{
    if (sample->form != WISP_SAMPLE_ENCODED) {
        maker->picture = (wispi_picture){sample->width, sample->height, 0};
        return WISP_OK;
    }
    WISP_TRY(wispi_decode_open(maker->decoder, sample->data, sample->bytes, maker->options->upright,
                               &maker->picture, err));
    wispi_view_clock_lap(maker->timed, WISPI_PHASE_DECODE);
    return WISP_OK;
}

/* Makes the pixels of `extent` be there. */
static wisp_status load_part(wispi_sample_maker *maker, const wisp_sample *sample,
                             const wispi_extent *extent, wisp_error *err)
{
    maker->shrink = extent->shrink;
    if (sample->form != WISP_SAMPLE_ENCODED) {
        maker->part = (wispi_part){{sample->data, sample->width, sample->height}, 0, 0};
        return WISP_OK;
    }
    WISP_TRY(wispi_decode_part(maker->decoder, &extent->box, extent->shrink, &maker->part, err));
    wispi_view_clock_lap(maker->timed, WISPI_PHASE_DECODE);
    return WISP_OK;
}

/* Keeps the part for the device. */
static wisp_status place_part(wispi_sample_maker *maker, wispi_feed_batch *batch, int64_t slot,
                              wisp_error *err)
{
    const wispi_image *image = &maker->part.image;
    const size_t bytes = wispi_view_bytes(image->width, image->height, WISPI_VIEW_U8);
    uint8_t *pixels;
    maker->place = (wispi_picture_place){0, image->width, image->height};
    WISP_TRY(
        wispi_picture_store_take(batch->store, slot, bytes, &maker->place.offset, &pixels, err));
    memcpy(pixels, image->pixels, bytes);
    return WISP_OK;
}

/* Room for all views of the sample, as bytes. */
static wisp_status place_views(wispi_sample_maker *maker, wispi_feed_batch *batch, int64_t slot,
                               wisp_error *err)
{
    size_t bytes = 0;
    for (int32_t g = 0; g < maker->n_groups; g++)
        bytes += (size_t)maker->groups[g].count *
                 wispi_view_bytes(maker->groups[g].width, maker->groups[g].height, WISPI_VIEW_U8);
    return wispi_picture_store_take(batch->store, slot, bytes, &maker->views_offset, &maker->views,
                                    err);
}

static wisp_status load_extent(wispi_sample_maker *maker, const wisp_sample *sample,
                               const wispi_extent *extent, wispi_feed_batch *batch, int64_t slot,
                               wisp_error *err)
{
    WISP_TRY(load_part(maker, sample, extent, err));
    if (maker->options->as_bytes)
        WISP_TRY(place_views(maker, batch, slot, err));
    else if (maker->options->as_plans)
        WISP_TRY(place_part(maker, batch, slot, err));
    wispi_view_clock_lap(maker->timed, WISPI_PHASE_OTHER);
    return WISP_OK;
}

static wispi_view_row row_of(const wispi_feed_batch *batch, int32_t view, int64_t slot)
{
    const int64_t row = view * batch->size + slot;
    return (wispi_view_row){batch->views + row * WISP_VIEW_COLUMNS,
                            batch->ops + row * WISP_MAX_PIXEL_OPS * 2};
}

/* Where a view made here goes. As bytes its row says that it is to be taken as it is. */
static void *view_memory(wispi_sample_maker *maker, const wispi_feed_batch *batch, int32_t v,
                         int32_t group, int32_t k, int64_t slot)
{
    const wisp_view_group *g = &maker->groups[group];
    const size_t bytes = wispi_view_bytes(g->width, g->height, maker->form.form);
    if (!maker->options->as_bytes)
        return (uint8_t *)batch->groups[group] + (size_t)(k * batch->size + slot) * bytes;
    const wispi_eval_view as_it_is = {
        g->width, g->height, WISP_FILTER_BICUBIC, 0, {0, 0, g->width, g->height}};
    maker->place = (wispi_picture_place){maker->views_offset, g->width, g->height};
    wispi_view_row_evaluate(row_of(batch, v, slot), &maker->place, &as_it_is);
    maker->views += bytes;
    maker->views_offset += (int64_t)bytes;
    return maker->views - bytes;
}

/* Views are made by a device of pictures and rows. */
static int by_device(const wispi_sample_maker *maker)
{
    return maker->options->as_plans && !maker->options->as_bytes;
}

/* --- views of training --- */

/* View v of the plan, which is view k of group g; its box is turned into one of the part. */
static wisp_status show_view(wispi_sample_maker *maker, wispi_feed_batch *batch, int32_t v,
                             int32_t g, int32_t k, int64_t slot, wisp_error *err)
{
    wisp_view_spec view = maker->plan.views[v];
    view.box = wispi_box_shrunk(view.box, maker->shrink);
    view.box.x -= maker->part.x;
    view.box.y -= maker->part.y;
    if (by_device(maker))
        return wispi_view_row_write(row_of(batch, v, slot), &maker->place, &view, err);
    return wispi_view_run(maker->worker, &maker->part.image, &view, &maker->form,
                          view_memory(maker, batch, v, g, k, slot), err);
}

static wisp_status make_views(wispi_sample_maker *maker, wispi_feed_batch *batch, int64_t slot,
                              wisp_error *err)
{
    int32_t v = 0;
    for (int32_t g = 0; g < maker->n_groups; g++) {
        for (int32_t k = 0; k < maker->groups[g].count; k++, v++) {
            const wisp_view_spec *view = &maker->plan.views[v];
            WISP_TRY(show_view(maker, batch, v, g, k, slot, err));
            float *box = batch->boxes + (v * batch->size + slot) * 4;
            box[0] = (float)view->box.x;
            box[1] = (float)view->box.y;
            box[2] = (float)view->box.w;
            box[3] = (float)view->box.h;
            batch->flip[v * batch->size + slot] = (float)view->flip;
        }
    }
    return WISP_OK;
}

static wisp_status make_planned(wispi_sample_maker *maker, const wisp_sample *sample, int64_t epoch,
                                int64_t index, wispi_feed_batch *batch, int64_t slot,
                                wisp_error *err)
{
    WISP_TRY(wispi_sample_plan(maker->options, maker->groups, maker->n_groups, maker->picture.width,
                               maker->picture.height, epoch, index, &maker->plan, err));
    wispi_view_clock_lap(maker->timed, WISPI_PHASE_PLAN);
    const wispi_extent extent = wispi_plan_extent(&maker->plan, &maker->picture);
    WISP_TRY(load_extent(maker, sample, &extent, batch, slot, err));
    return make_views(maker, batch, slot, err);
}

/* --- evaluation --- */

/* The usual evaluation view, or the whole picture squashed. */
static wisp_status evaluation_spec(const wispi_feed_options *o, const wispi_picture *picture,
                                   wispi_eval_view *view, wisp_error *err)
{
    if (o->eval_resize > 0)
        return wispi_view_evaluate_spec(picture->width, picture->height, o->eval_resize,
                                        o->eval_size, view, err);
    *view = (wispi_eval_view){.resized_w = o->eval_size,
                              .resized_h = o->eval_size,
                              .filter = WISP_FILTER_BICUBIC,
                              .crop = {0, 0, o->eval_size, o->eval_size}};
    return WISP_OK;
}

static wisp_status make_evaluation_view(wispi_sample_maker *maker, const wisp_sample *sample,
                                        wispi_feed_batch *batch, int64_t slot, wisp_error *err)
{
    const wispi_picture *picture = &maker->picture;
    const wispi_extent whole = {1, {0, 0, picture->width, picture->height}};
    wispi_eval_view view;
    WISP_TRY(evaluation_spec(maker->options, picture, &view, err));
    WISP_TRY(load_extent(maker, sample, &whole, batch, slot, err));
    if (by_device(maker))
        wispi_view_row_evaluate(row_of(batch, 0, slot), &maker->place, &view);
    else
        WISP_TRY(wispi_view_evaluate(maker->worker, &maker->part.image, &view, &maker->form,
                                     view_memory(maker, batch, 0, 0, 0, slot), err));
    float wide = (float)picture->width / (float)view.resized_w;
    float high = (float)picture->height / (float)view.resized_h;
    float *box = batch->boxes + slot * 4;
    box[0] = (float)view.crop.x * wide;
    box[1] = (float)view.crop.y * high;
    box[2] = (float)view.crop.w * wide;
    box[3] = (float)view.crop.h * high;
    batch->flip[slot] = 0;
    return WISP_OK;
}

/* --- a sample --- */

static wisp_status set_label(const wispi_feed_options *o, wispi_feed_batch *batch, int64_t slot,
                             int64_t index, wisp_error *err)
{
    if (!batch->label)
        return WISP_OK;
    int32_t label = o->dataset->label(o->dataset_self, index);
    int32_t n = o->dataset->n_classes(o->dataset_self);
    if (label < 0 || label >= n)
        return wisp_fail(err, WISP_E_PLUGIN, "the data set gave sample %lld label %d of %d classes",
                         (long long)index, label, n);
    batch->label[slot] = label;
    return WISP_OK;
}

static wisp_status check_index(const wispi_feed_options *o, int64_t index, wisp_error *err)
{
    const int64_t n = o->dataset->count(o->dataset_self);
    if (index < 0 || index >= n)
        return wisp_fail(err, WISP_E_PLUGIN,
                         "the data set's own order names sample %lld of %lld samples",
                         (long long)index, (long long)n);
    return WISP_OK;
}

wisp_status wispi_sample_make(wispi_sample_maker *maker, int64_t epoch, int64_t index,
                              wispi_feed_batch *batch, int64_t slot, wisp_error *err)
{
    const wispi_feed_options *o = maker->options;
    wisp_sample sample;
    WISP_TRY(check_index(o, index, err));
    wispi_view_clock_lap(maker->timed, WISPI_PHASE_OTHER);
    WISP_TRY(wispi_sample_read(&maker->memory, maker->options->dataset,
                               maker->options->dataset_self, index, &sample, err));
    wispi_view_clock_lap(maker->timed, WISPI_PHASE_READ);
    WISP_TRY(open_picture(maker, &sample, err));
    if (o->sampler || o->crop_scale[1] > 0)
        WISP_TRY(make_planned(maker, &sample, epoch, index, batch, slot, err));
    else
        WISP_TRY(make_evaluation_view(maker, &sample, batch, slot, err));
    batch->index[slot] = index;
    batch->source[2 * slot] = (float)maker->picture.width;
    batch->source[2 * slot + 1] = (float)maker->picture.height;
    return set_label(o, batch, slot, index, err);
}
