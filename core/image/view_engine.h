/* view_engine.h - executes views on a decoded picture.
 *
 * A view is cropped, resampled, mirrored, passed through its pixel operations in order (all in
 * 8-bit RGB, equal to Pillow and torchvision), and at last written as bytes or normalised to f32 or
 * bf16. The result depends on the picture and the view alone: any number of workers gives the same
 * bits. */
#ifndef WISPI_IMAGE_VIEW_ENGINE_H
#define WISPI_IMAGE_VIEW_ENGINE_H

#include "image/pixels.h"
#include "image/view_clock.h"
#include "wisp/sampler.h"
#include "wisp/status.h"

/* Longest side of a view, px. */
enum { WISPI_VIEW_MAX_SIDE = 4096 };

/* Form of a finished view: (H,W,3) row-major. */
enum {
    WISPI_VIEW_U8 = 0,  /* bytes as they are */
    WISPI_VIEW_F32 = 1, /* (v / 255 - mean) / std */
    WISPI_VIEW_BF16 = 2 /* the same, rounded to nearest even */
};

/* How bytes become numbers; mean and std by channel, in units of v / 255. Unused for bytes. */
typedef struct wispi_view_form {
    int32_t form; /* WISPI_VIEW_... */
    float mean[3], std[3];
} wispi_view_form;

/* The evaluation view: the whole picture resized, then a centred crop of that. */
typedef struct wispi_eval_view {
    int32_t resized_w, resized_h;
    int32_t filter;
    int32_t reserved;
    wisp_box crop; /* in pixels of the resized picture */
} wispi_eval_view;

/* All scratch of one thread. */
typedef struct wispi_view_worker wispi_view_worker;

wisp_status wispi_view_worker_create(wispi_view_worker **worker, wisp_error *err);
void wispi_view_worker_destroy(wispi_view_worker *worker);
/* Views are timed by this clock from now on, which is somebody else's; NULL (at first): by none. */
void wispi_view_worker_time(wispi_view_worker *worker, wispi_view_clock *clock);

/* Bytes of a finished (height, width, 3) view. */
size_t wispi_view_bytes(int32_t width, int32_t height, int32_t form);

/* WISP_E_INVALID for a view whose size or pixel operations no engine could execute; box and filter
 * are judged with the picture. [any] */
wisp_status wispi_view_check(const wisp_view_spec *spec, wisp_error *err);

/* Writes view `spec` of `image` to `out`, wispi_view_bytes(spec->out_w, spec->out_h, form) bytes.
 * A spec that no picture or engine could execute is WISP_E_INVALID. On failure `out` is untouched.
 * [worker] */
wisp_status wispi_view_run(wispi_view_worker *worker, const wispi_image *image,
                           const wisp_view_spec *spec, const wispi_view_form *form, void *out,
                           wisp_error *err);

/* The usual evaluation view of a width x height picture: shorter side to `resize` by bicubic, then
 * the centred `size` x `size`, with torchvision's rounding of both. [any] */
wisp_status wispi_view_evaluate_spec(int32_t width, int32_t height, int32_t resize, int32_t size,
                                     wispi_eval_view *view, wisp_error *err);

/* Writes evaluation view `view` of `image` to `out`; only what the crop shows is computed.
 * [worker] */
wisp_status wispi_view_evaluate(wispi_view_worker *worker, const wispi_image *image,
                                const wispi_eval_view *view, const wispi_view_form *form, void *out,
                                wisp_error *err);

#endif
