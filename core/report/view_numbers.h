/* view_numbers.h - what a sampler draws, in numbers, counted over many plans.
 *
 * Definitions, for a view whose box is w x h source pixels and that is W x H pixels large:
 *   crop scale    w h / (area of the image)
 *   pixel scale   w h / (W H), source pixels per pixel, by area; by length its square root
 *   up-sampled    a view whose pixel scale is below 1: it has more pixels than it was made of
 *   PS_l / PS_g   pixel scale of a local view over that of a global view of the same image, for
 *                 every such pair; by area and by length. CS_l / CS_g is the same of crop scales.
 *   overlap       share of a local view's box that lies in a global view's box, for every pair
 * A mean is that of the values of all views or pairs, each of which counts alike. */
#ifndef WISPI_REPORT_VIEW_NUMBERS_H
#define WISPI_REPORT_VIEW_NUMBERS_H

#include <jansson.h>

#include "base/text.h"
#include "wisp/sampler.h"

enum { WISPI_MOST_BINS = 64 };

/* Values beyond an edge count in the outermost bin. */
typedef struct wispi_histogram {
    double low, high;
    int32_t by_log; /* 1: bins are equal steps of the logarithm */
    int32_t n_bins;
    int64_t n;
    double sum;
    int64_t counts[WISPI_MOST_BINS];
} wispi_histogram;

typedef struct wispi_group_numbers {
    wisp_view_group group;
    int32_t is_local; /* fewer pixels than the first group's views, or called "local" */
    int64_t n_up_sampled;
    double sum_length; /* of pixel scales by length */
    wispi_histogram crop_scale, pixel_scale;
} wispi_group_numbers;

typedef struct wispi_view_numbers {
    int64_t n_plans;
    int32_t n_groups;
    wispi_group_numbers groups[WISP_MAX_VIEW_GROUPS];
    wispi_histogram pixel_ratio; /* PS_l / PS_g by area */
    double sum_ratio_length, sum_crop_ratio;
    wispi_histogram overlap;
    int64_t n_apart;  /* pairs of a local and a global view that share no pixel */
    double sum_union; /* of global pairs: intersection over union */
    int64_t n_global_pairs;
} wispi_view_numbers;

/* The means that are told, and that published recipes are compared by. A sampler without local
 * views, or with one global view, lacks some. */
enum {
    WISPI_MEAN_GLOBAL_CROP_SCALE = 0,
    WISPI_MEAN_LOCAL_CROP_SCALE,
    WISPI_MEAN_CROP_RATIO,
    WISPI_MEAN_GLOBAL_PIXEL_SCALE,
    WISPI_MEAN_LOCAL_PIXEL_SCALE,
    WISPI_MEAN_RATIO_AREA,
    WISPI_MEAN_RATIO_LENGTH,
    WISPI_MEAN_OVERLAP,
    WISPI_MEAN_APART,
    WISPI_MEAN_GLOBAL_UNION,
    WISPI_MEAN_GLOBAL_UP_SAMPLED,
    WISPI_MEAN_LOCAL_UP_SAMPLED,
    WISPI_MEAN_PIXELS,
    WISPI_N_MEANS
};

/* `key` in JSON, and how people read it. */
typedef struct wispi_view_mean {
    const char *key, *words, *unit; /* unit: "", "%" (the mean is a share) or "px" */
} wispi_view_mean;

extern const wispi_view_mean wispi_view_means[WISPI_N_MEANS];

void wispi_view_numbers_begin(wispi_view_numbers *numbers, const wisp_view_group *groups,
                              int32_t n_groups);
/* The plan fits the groups; the image is width x height. */
void wispi_view_numbers_add(wispi_view_numbers *numbers, const wisp_view_plan *plan, int32_t width,
                            int32_t height);

/* NAN where the sampler has no such thing. */
double wispi_view_numbers_mean(const wispi_view_numbers *numbers, int32_t which);
int32_t wispi_view_numbers_views(const wispi_view_numbers *numbers); /* of an image */
double wispi_histogram_mean(const wispi_histogram *histogram);       /* NAN without values */
/* Edge i of n_bins + 1. */
double wispi_histogram_edge(const wispi_histogram *histogram, int32_t i);

enum { WISPI_VIEW_CELL = 24 };
/* 155648 as "155,648"; not below 0. */
void wispi_view_count_text(int64_t n, char cell[WISPI_VIEW_CELL]);
/* A mean as people read it, with its unit: "46.2 %", "1.07", "155,648 px"; "-" for NAN. */
void wispi_view_mean_text(int32_t which, double mean, char cell[WISPI_VIEW_CELL]);

#define WISPI_VIEW_DEFINITIONS                                                                     \
    "Crop scale (CS): box / image, by area. Pixel scale (PS): source pixels per pixel of the "     \
    "view, by area; by length its square root. Ratios and overlaps are over all pairs of a local " \
    "and a global view of one image. Overlap: share of the local box that lies in the global "     \
    "box; apart: they share nothing. Up-sampled: PS below 1."

/* {"plans", "views", "means": {key: number or null}, "groups": [{"name", "role", "count", "width",
 * "height", "crop_scale", "pixel_scale_area", "pixel_scale_length", "up_sampled"}], "histograms":
 * {"crop_scale": [{"series", "edges", "counts"}], "pixel_scale_area", "pixel_scale_length",
 * "pixel_ratio_area", "pixel_ratio_length", "overlap"}}; NULL for lack of memory. */
json_t *wispi_view_numbers_json(const wispi_view_numbers *numbers);

#endif
