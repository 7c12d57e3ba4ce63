/* view_pixels.c - the feed's own maker of samples, with a batch of one. */
#include "report/view_pixels.h"

#include <math.h>

#include "base/memory.h"
#include "data/batch_slot.h"
#include "data/sample_maker.h"
#include "data/sample_memory.h"
#include "image/decode.h"
#include "image/view_engine.h"

struct wispi_view_pixels {
    const wispi_view_arm *arm;
    wispi_sample_maker *maker;
    wispi_batch_slot slot;
    wispi_sample_memory memory;
    wispi_decoder *decoder;
    wispi_view_worker *worker;
    uint8_t *bytes;   /* of the view that was got last */
    uint8_t *resized; /* grows */
    size_t n_resized;
};

static size_t largest_view(const wispi_feed_shape *shape)
{
    size_t most = 0;
    for (int32_t g = 0; g < shape->n_groups; g++) {
        const size_t bytes =
            wispi_view_bytes(shape->groups[g].width, shape->groups[g].height, WISPI_VIEW_U8);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static wisp_status prepare(wispi_view_pixels *p, wisp_error *err)
{
    const wispi_view_arm *arm = p->arm;
    wispi_sample_memory_open(&p->memory);
    WISP_TRY(wispi_decoder_create(&p->decoder, err));
    WISP_TRY(wispi_view_worker_create(&p->worker, err));
    WISP_TRY(wispi_sample_maker_create(&arm->options, arm->shape.groups, arm->shape.n_groups,
                                       &p->maker, err));
    WISP_TRY(wispi_batch_slot_fill(&p->slot, &arm->options, arm->shape.groups, arm->shape.n_groups,
                                   err));
    p->slot.batch.size = 1;
    p->bytes = wispi_alloc(largest_view(&arm->shape));
    return p->bytes ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for a view");
}

wisp_status wispi_view_pixels_create(const wispi_view_arm *arm, wispi_view_pixels **pixels,
                                     wisp_error *err)
{
    wispi_view_pixels *p = wispi_alloc(sizeof *p);
    if (!p)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to make views");
    p->arm = arm;
    const wisp_status status = prepare(p, err);
    if (status == WISP_OK)
        *pixels = p;
    else
        wispi_view_pixels_destroy(p);
    return status;
}

void wispi_view_pixels_destroy(wispi_view_pixels *p)
{
    if (!p)
        return;
    wispi_sample_maker_destroy(p->maker);
    if (p->slot.options)
        wispi_batch_slot_free(&p->slot);
    wispi_decoder_destroy(p->decoder);
    wispi_view_worker_destroy(p->worker);
    wispi_sample_memory_free(&p->memory);
    wispi_free(p->bytes);
    wispi_free(p->resized);
    wispi_free(p);
}

wisp_status wispi_view_pixels_make(wispi_view_pixels *p, const wispi_view_picture *picture,
                                   wisp_error *err)
{
    return wispi_sample_make(p->maker, 0, picture->index, &p->slot.batch, 0, err);
}

/* The batch has v / 255: a mean of 0 and a deviation of 1 do not normalise. */
void wispi_view_pixels_get(wispi_view_pixels *p, int32_t g, int32_t k, wispi_pixel_view *view)
{
    const wisp_view_group *group = &p->arm->shape.groups[g];
    const size_t n = wispi_view_bytes(group->width, group->height, WISPI_VIEW_U8);
    const float *values = (const float *)p->slot.batch.groups[g] + (size_t)k * n;
    int32_t v = k;
    for (int32_t before = 0; before < g; before++)
        v += p->arm->shape.groups[before].count;
    const float *box = p->slot.batch.boxes + 4 * v;
    for (size_t i = 0; i < n; i++)
        p->bytes[i] = (uint8_t)lrintf(255 * values[i]);
    view->image = (wispi_image){p->bytes, group->width, group->height};
    view->box = (wisp_box){(int32_t)box[0], (int32_t)box[1], (int32_t)box[2], (int32_t)box[3]};
    view->flip = p->slot.batch.flip[v] > 0;
}

/* --- resizing --- */

static wisp_status make_room(wispi_view_pixels *p, int32_t width, int32_t height, wisp_error *err)
{
    const size_t bytes = wispi_view_bytes(width, height, WISPI_VIEW_U8);
    if (bytes <= p->n_resized)
        return WISP_OK;
    wispi_free(p->resized);
    p->n_resized = 0;
    p->resized = wispi_alloc(bytes);
    if (!p->resized)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a picture of %d x %d px", width, height);
    p->n_resized = bytes;
    return WISP_OK;
}

static void repeat_pixels(const wispi_image *from, int32_t times, uint8_t *to)
{
    const int32_t width = from->width * times;
    for (int32_t y = 0; y < from->height * times; y++)
        for (int32_t x = 0; x < width; x++) {
            const size_t at = (size_t)(y / times) * (size_t)from->width + (size_t)(x / times);
            for (size_t i = 0; i < 3; i++)
                to[3 * ((size_t)y * (size_t)width + (size_t)x) + i] = from->pixels[3 * at + i];
        }
}

wisp_status wispi_view_pixels_resize(wispi_view_pixels *p, const wispi_image *from, int32_t width,
                                     int32_t height, wispi_image *image, wisp_error *err)
{
    const wisp_view_spec whole = {.out_w = width,
                                  .out_h = height,
                                  .filter = WISP_FILTER_LANCZOS,
                                  .box = {0, 0, from->width, from->height}};
    const wispi_view_form form = {.form = WISPI_VIEW_U8};
    WISP_TRY(make_room(p, width, height, err));
    if (width % from->width == 0 && width / from->width * from->height == height)
        repeat_pixels(from, width / from->width, p->resized);
    else
        WISP_TRY(wispi_view_run(p->worker, from, &whole, &form, p->resized, err));
    *image = (wispi_image){p->resized, width, height};
    return WISP_OK;
}

static wisp_status decode_source(wispi_view_pixels *p, const wispi_view_picture *picture,
                                 wispi_image *image, wisp_error *err)
{
    const wispi_feed_options *o = &p->arm->options;
    const wisp_box whole = {0, 0, picture->width, picture->height};
    wisp_sample sample;
    wispi_picture header;
    wispi_part part;
    WISP_TRY(
        wispi_sample_read(&p->memory, o->dataset, o->dataset_self, picture->index, &sample, err));
    if (sample.form != WISP_SAMPLE_ENCODED) {
        *image = (wispi_image){sample.data, sample.width, sample.height};
        return WISP_OK;
    }
    WISP_TRY(wispi_decode_open(p->decoder, sample.data, sample.bytes, o->upright, &header, err));
    WISP_TRY(wispi_decode_part(p->decoder, &whole, 1, &part, err));
    *image = part.image;
    return WISP_OK;
}

wisp_status wispi_view_pixels_source(wispi_view_pixels *p, const wispi_view_picture *picture,
                                     int32_t width, int32_t height, wispi_image *image,
                                     wisp_error *err)
{
    wispi_image source;
    WISP_TRY(decode_source(p, picture, &source, err));
    return wispi_view_pixels_resize(p, &source, width, height, image, err);
}
