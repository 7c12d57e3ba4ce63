/* sampler.h - a view sampler decides which views are drawn from an image, and never sees a pixel.
 *
 * A sampler is a pure function (source size, random key) -> view plan. The host's view engine
 * executes plans: decode once, crop, antialiased resample, pixel operations, normalise. Hence a
 * sampler is tested without images and two samplers are compared with everything else held equal.
 */
#ifndef WISP_SAMPLER_H
#define WISP_SAMPLER_H

#include "wisp/abi.h"
#include "wisp/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WISP_MAX_VIEWS = 64, WISP_MAX_PIXEL_OPS = 12, WISP_MAX_VIEW_GROUPS = 8 };

/* Pixel operations, on the 8-bit RGB crop after resampling, in the order in which they stand in the
 * view. Each re-quantises to 8 bits as Pillow does. `p` holds the drawn parameters. */
enum {
    WISP_PIXEL_BRIGHTNESS = 1, /* p[0] factor: blend with black */
    WISP_PIXEL_CONTRAST = 2,   /* p[0] factor: blend with the rounded mean luma */
    WISP_PIXEL_SATURATION = 3, /* p[0] factor: blend with the luma image */
    WISP_PIXEL_HUE = 4,        /* p[0] shift in turns, [-0.5, 0.5], through 8-bit HSV with wrap */
    WISP_PIXEL_GRAY = 5,       /* three equal channels of luma */
    WISP_PIXEL_BLUR = 6,       /* p[0] sigma in pixels: Pillow's three box passes each way */
    WISP_PIXEL_SOLARIZE = 7,   /* p[0] threshold: v < threshold keeps v, else 255 - v */
    WISP_PIXEL_GAUSSIAN = 8    /* p[0] sigma in pixels: a sampled Gaussian, cut at 3 sigma */
};

/* Frozen layout. */
typedef struct wisp_pixel_op {
    int32_t kind;
    int32_t reserved;
    double p[2];
} wisp_pixel_op;

/* (x, y, w, h) in source pixels; origin at the top left corner. Frozen layout. */
typedef struct wisp_box {
    int32_t x, y, w, h;
} wisp_box;

enum { WISP_FILTER_BICUBIC = 0, WISP_FILTER_BILINEAR = 1, WISP_FILTER_LANCZOS = 2 };

/* One view. Frozen layout. */
typedef struct wisp_view_spec {
    int32_t group;        /* index into the sampler's groups */
    int32_t out_w, out_h; /* size after resampling, px */
    int32_t flip;         /* 1: mirrored left to right after resampling */
    int32_t filter;       /* WISP_FILTER_...; antialiased when shrinking */
    int32_t n_ops;
    wisp_box box;
    wisp_pixel_op ops[WISP_MAX_PIXEL_OPS];
} wisp_view_spec;

enum {
    /* The picture may be decoded at 1/2, 1/4 or 1/8 of its size where no view is enlarged by that.
     * Faster, and a little different: boxes are rounded to the pixels of the smaller picture. */
    WISP_PLAN_SCALED_DECODE = 1
};

/* The views of one image. Frozen layout. */
typedef struct wisp_view_plan {
    int32_t n_views;
    int32_t flags; /* WISP_PLAN_... */
    wisp_view_spec views[WISP_MAX_VIEWS];
} wisp_view_plan;

/* Views of one size, in batch order. Frozen layout. */
typedef struct wisp_view_group {
    char name[32];         /* "global", "local" */
    int32_t count;         /* views of each image */
    int32_t width, height; /* px */
    int32_t reserved;
} wisp_view_group;

/* What a plan is drawn from. Frozen layout. */
typedef struct wisp_view_source {
    int32_t width, height; /* of the decoded image, px; both >= 1 */
    int64_t epoch, sample; /* for samplers with a curriculum; `key` already depends on both */
    wisp_rng_key key;
} wisp_view_source;

typedef struct wisp_sampler_v0 {
    uint32_t struct_size;
    uint32_t reserved;

    /* Writes at most WISP_MAX_VIEW_GROUPS groups and their number. A plan's views stand group by
     * group in this order. [setup] */
    wisp_status (*groups)(const void *self, wisp_view_group *groups, int32_t *n_groups,
                          wisp_error *err);

    /* Pure function of its arguments: same source, same plan. [any] */
    wisp_status (*plan)(const void *self, const wisp_view_source *source, wisp_view_plan *plan,
                        wisp_error *err);

    /* One line without a newline on what the options come to, above all what was derived from
     * them; `wisp check` prints it and a run logs it. Optional. [setup] */
    void (*describe)(const void *self, char *line, size_t bytes);
} wisp_sampler_v0;

/* --- what a plan is made of --- */

/* Draws a box as torchvision's RandomResizedCrop does (ten tries, then a centred crop clamped to
 * the aspect bounds). `scale` and `ratio` are (low, high); scale is a share of the source area. */
static inline wisp_box wisp_draw_resized_crop(wisp_rng *rng, int32_t width, int32_t height,
                                              const double scale[2], const double ratio[2])
{
    double area = (double)width * height;
    double log_low = log(ratio[0]), log_high = log(ratio[1]);
    wisp_box box = {0, 0, width, height};
    for (int attempt = 0; attempt < 10; attempt++) {
        double target = area * wisp_rng_range(rng, scale[0], scale[1]);
        double aspect = exp(wisp_rng_range(rng, log_low, log_high));
        double w = nearbyint(sqrt(target * aspect)), h = nearbyint(sqrt(target / aspect));
        if (w > 0 && w <= width && h > 0 && h <= height) {
            box.w = (int32_t)w;
            box.h = (int32_t)h;
            box.y = (int32_t)wisp_rng_below(rng, (uint32_t)(height - box.h + 1));
            box.x = (int32_t)wisp_rng_below(rng, (uint32_t)(width - box.w + 1));
            return box;
        }
    }
    double aspect = (double)width / height;
    if (aspect < ratio[0]) {
        double h = nearbyint(width / ratio[0]);
        box.h = h < height ? (int32_t)h : height;
    } else if (aspect > ratio[1]) {
        double w = nearbyint(height * ratio[1]);
        box.w = w < width ? (int32_t)w : width;
    }
    box.x = (width - box.w) / 2;
    box.y = (height - box.h) / 2;
    return box;
}

/* Appends a view, zeroed, or returns NULL when the plan is full. */
static inline wisp_view_spec *wisp_plan_add(wisp_view_plan *plan)
{
    if (plan->n_views >= WISP_MAX_VIEWS)
        return NULL;
    wisp_view_spec *view = &plan->views[plan->n_views++];
    memset(view, 0, sizeof *view);
    return view;
}

/* Appends a pixel operation with one parameter; ignored when the view is full. */
static inline void wisp_view_add_op(wisp_view_spec *view, int32_t kind, double parameter)
{
    if (view->n_ops < WISP_MAX_PIXEL_OPS) {
        wisp_pixel_op op = {kind, 0, {parameter, 0.0}};
        view->ops[view->n_ops++] = op;
    }
}

#ifdef __cplusplus
}
#endif
#endif
