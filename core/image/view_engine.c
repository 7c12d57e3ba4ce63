/* view_engine.c - the order of things in a view: resample, mirror, operations, normalise. */
#include "image/view_engine.h"

#include <math.h>

#include "base/memory.h"
#include "image/blur.h"
#include "image/normalise.h"
#include "image/photometric.h"
#include "image/resample.h"
#include "wisp/pixel_math.h"

struct wispi_view_worker {
    wispi_resampler resampler;
    wispi_scratch blur;
    wispi_normaliser normaliser;
    wispi_scratch pixels; /* the view in 8 bits */
    wispi_view_clock *clock;
};

wisp_status wispi_view_worker_create(wispi_view_worker **worker, wisp_error *err)
{
    struct wispi_view_worker *made = wispi_alloc(sizeof *made);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a view worker");
    *worker = made;
    return WISP_OK;
}

void wispi_view_worker_destroy(wispi_view_worker *worker)
{
    if (!worker)
        return;
    wispi_resampler_free(&worker->resampler);
    wispi_scratch_free(&worker->blur);
    wispi_scratch_free(&worker->pixels);
    wispi_free(worker);
}

void wispi_view_worker_time(wispi_view_worker *worker, wispi_view_clock *clock)
{
    worker->clock = clock;
}

size_t wispi_view_bytes(int32_t width, int32_t height, int32_t form)
{
    size_t value = form == WISPI_VIEW_F32 ? 4 : form == WISPI_VIEW_BF16 ? 2 : 1;
    return (size_t)width * (size_t)height * 3 * value;
}

static int parameter_fits(const wisp_pixel_op *op)
{
    double p = op->p[0];
    switch (op->kind) {
    case WISP_PIXEL_BRIGHTNESS:
    case WISP_PIXEL_CONTRAST:
    case WISP_PIXEL_SATURATION:
        return p >= 0.0 && p <= 1e6;
    case WISP_PIXEL_HUE:
        return p >= -0.5 && p <= 0.5;
    case WISP_PIXEL_BLUR:
    case WISP_PIXEL_GAUSSIAN:
        return p >= 0.0 && p <= (double)WISP_BLUR_MAX_SIGMA;
    default:
        return isfinite(p) != 0;
    }
}

static wisp_status check_size(int32_t width, int32_t height, wisp_error *err)
{
    if (width < 1 || height < 1 || width > WISPI_VIEW_MAX_SIDE || height > WISPI_VIEW_MAX_SIDE)
        return wisp_fail(err, WISP_E_INVALID, "a view of %d x %d pixels; sides go from 1 to %d",
                         width, height, WISPI_VIEW_MAX_SIDE);
    return WISP_OK;
}

wisp_status wispi_view_check(const wisp_view_spec *spec, wisp_error *err)
{
    WISP_TRY(check_size(spec->out_w, spec->out_h, err));
    if (spec->n_ops < 0 || spec->n_ops > WISP_MAX_PIXEL_OPS)
        return wisp_fail(err, WISP_E_INVALID, "a view has %d pixel operations; at most %d fit",
                         spec->n_ops, WISP_MAX_PIXEL_OPS);
    for (int32_t i = 0; i < spec->n_ops; i++) {
        const wisp_pixel_op *op = &spec->ops[i];
        if (op->kind < WISP_PIXEL_BRIGHTNESS || op->kind > WISP_PIXEL_GAUSSIAN)
            return wisp_fail(err, WISP_E_INVALID, "unknown pixel operation %d", op->kind);
        if (!parameter_fits(op))
            return wisp_fail(err, WISP_E_INVALID, "pixel operation %d cannot have parameter %g",
                             op->kind, op->p[0]);
    }
    return WISP_OK;
}

static wisp_status apply_op(wispi_view_worker *worker, const wisp_pixel_op *op, uint8_t *rgb,
                            int32_t width, int32_t height, wisp_error *err)
{
    size_t n = (size_t)width * (size_t)height;
    switch (op->kind) {
    case WISP_PIXEL_BRIGHTNESS:
        wispi_adjust_brightness(rgb, n, op->p[0]);
        break;
    case WISP_PIXEL_CONTRAST:
        wispi_adjust_contrast(rgb, n, op->p[0]);
        break;
    case WISP_PIXEL_SATURATION:
        wispi_adjust_saturation(rgb, n, op->p[0]);
        break;
    case WISP_PIXEL_HUE:
        wispi_adjust_hue(rgb, n, op->p[0]);
        break;
    case WISP_PIXEL_GRAY:
        wispi_make_gray(rgb, n);
        break;
    case WISP_PIXEL_BLUR:
        return wispi_blur_by_boxes(&worker->blur, rgb, width, height, op->p[0], err);
    case WISP_PIXEL_GAUSSIAN:
        return wispi_blur_by_gaussian(&worker->blur, rgb, width, height, op->p[0], err);
    default:
        wispi_solarize(rgb, n, op->p[0]);
        break;
    }
    return WISP_OK;
}

/* The wanted part of the resampled picture, in the worker's memory. */
static wisp_status resample_to(wispi_view_worker *worker, const wispi_image *image,
                               const wispi_resample_job *job, uint8_t **pixels, wisp_error *err)
{
    uint8_t *rgb = wispi_scratch_reserve(
        &worker->pixels, wispi_view_bytes(job->window.w, job->window.h, WISPI_VIEW_U8));
    if (!rgb)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a view of %d x %d pixels", job->window.w,
                         job->window.h);
    WISP_TRY(wispi_resample(&worker->resampler, image, job, rgb, err));
    wispi_view_clock_lap(worker->clock, WISPI_PHASE_RESAMPLE);
    *pixels = rgb;
    return WISP_OK;
}

wisp_status wispi_view_run(wispi_view_worker *worker, const wispi_image *image,
                           const wisp_view_spec *spec, const wispi_view_form *form, void *out,
                           wisp_error *err)
{
    uint8_t *rgb = NULL;
    WISP_TRY(wispi_view_check(spec, err));
    WISP_TRY(wispi_normaliser_set(&worker->normaliser, form, err));
    const wispi_resample_job job = {.box = spec->box,
                                    .out_w = spec->out_w,
                                    .out_h = spec->out_h,
                                    .window = {0, 0, spec->out_w, spec->out_h},
                                    .filter = spec->filter,
                                    .mirrored = spec->flip};
    WISP_TRY(resample_to(worker, image, &job, &rgb, err));
    for (int32_t i = 0; i < spec->n_ops; i++)
        WISP_TRY(apply_op(worker, &spec->ops[i], rgb, spec->out_w, spec->out_h, err));
    wispi_view_clock_lap(worker->clock, WISPI_PHASE_PIXELS);
    wispi_normalise(&worker->normaliser, rgb, (size_t)spec->out_w * (size_t)spec->out_h, out);
    wispi_view_clock_lap(worker->clock, WISPI_PHASE_NORMALISE);
    return WISP_OK;
}

wisp_status wispi_view_evaluate_spec(int32_t width, int32_t height, int32_t resize, int32_t size,
                                     wispi_eval_view *view, wisp_error *err)
{
    if (width < 1 || height < 1 || resize < 1 || resize > WISPI_IMAGE_MAX_SIDE)
        return wisp_fail(err, WISP_E_INVALID,
                         "cannot resize %d x %d pixels to a shorter side of "
                         "%d",
                         width, height, resize);
    WISP_TRY(check_size(size, size, err));
    if (size > resize)
        return wisp_fail(err, WISP_E_INVALID,
                         "evaluation crops %d pixels out of a shorter side of %d; make the crop "
                         "smaller or the resize larger",
                         size, resize);
    int32_t shorter = width < height ? width : height, longer = width < height ? height : width;
    double stretched = (double)((int64_t)resize * longer) / shorter;
    if (stretched > INT32_MAX)
        return wisp_fail(err, WISP_E_INVALID, "%d x %d pixels are too long and narrow to evaluate",
                         width, height);
    wispi_eval_view made = {.filter = WISP_FILTER_BICUBIC};
    made.resized_w = width <= height ? resize : (int32_t)stretched;
    made.resized_h = width <= height ? (int32_t)stretched : resize;
    /* Half-way offsets go to the even neighbour, as Python's round does. */
    made.crop = (wisp_box){(int32_t)nearbyint((made.resized_w - size) / 2.0),
                           (int32_t)nearbyint((made.resized_h - size) / 2.0), size, size};
    *view = made;
    return WISP_OK;
}

wisp_status wispi_view_evaluate(wispi_view_worker *worker, const wispi_image *image,
                                const wispi_eval_view *view, const wispi_view_form *form, void *out,
                                wisp_error *err)
{
    uint8_t *rgb = NULL;
    WISP_TRY(check_size(view->crop.w, view->crop.h, err));
    WISP_TRY(wispi_normaliser_set(&worker->normaliser, form, err));
    const wispi_resample_job job = {.box = {0, 0, image->width, image->height},
                                    .out_w = view->resized_w,
                                    .out_h = view->resized_h,
                                    .window = view->crop,
                                    .filter = view->filter};
    WISP_TRY(resample_to(worker, image, &job, &rgb, err));
    wispi_normalise(&worker->normaliser, rgb, (size_t)view->crop.w * (size_t)view->crop.h, out);
    wispi_view_clock_lap(worker->clock, WISPI_PHASE_NORMALISE);
    return WISP_OK;
}
