/* crops.h - what samplers of global and local crops share, made of nothing but sampler.h;
 * header-only.
 *
 * A sampler puts a wisp_crops into its config struct, lets the option macros fill it, and hands it
 * to wisp_crops_groups() and wisp_crops_plan(); the photometric chain serves other boxes as well.
 * plugins/samplers/multicrop is nothing else; plugins/samplers/sslight derives a size first. */
#ifndef WISP_CROPS_H
#define WISP_CROPS_H

#include "wisp/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- the photometric chain (Caron et al. 2020, 2021) --- */

/* Parameters that all views share; WISP_PHOTOMETRY_OPTIONS fills them. */
typedef struct wisp_photometry {
    wisp_list blur_sigma; /* (low, high), px */
    double flip, jitter, gray;
    double brightness, contrast, saturation, hue;
    int64_t solarize_threshold;
    int32_t blur_kind; /* WISP_PIXEL_BLUR or WISP_PIXEL_GAUSSIAN */
    int32_t reserved;
} wisp_photometry;

static const wisp_choice wisp_blur_kinds[] = {
    {"box", "Pillow's: three box blurs in each direction, 8 bits after each", WISP_PIXEL_BLUR, 0},
    {"gaussian", "a sampled Gaussian, cut at 3 sigma, as torchvision's", WISP_PIXEL_GAUSSIAN, 0},
    {NULL, NULL, 0, 0},
};

#define WISP_PROBABILITY_OPTION(name, where, value, text)                                          \
    {                                                                                              \
        .key = name, .type = WISP_OPTION_F64, .offset = (where), .default_value = value, .min = 0, \
        .max = 1, .help = text                                                                     \
    }

/* Entries of an option table; `at` is the wisp_photometry's offset in the config struct. */
#define WISP_PHOTOMETRY_OPTIONS(at)                                                                \
    WISP_PROBABILITY_OPTION("flip", (at) + offsetof(wisp_photometry, flip), "0.5",                 \
                            "probability of a left-right flip"),                                   \
        WISP_PROBABILITY_OPTION("jitter", (at) + offsetof(wisp_photometry, jitter), "0.8",         \
                                "probability of colour jitter"),                                   \
        WISP_PROBABILITY_OPTION("brightness", (at) + offsetof(wisp_photometry, brightness), "0.4", \
                                "strength: the factor lies in [1 - x, 1 + x]"),                    \
        WISP_PROBABILITY_OPTION("contrast", (at) + offsetof(wisp_photometry, contrast), "0.4",     \
                                "strength: the factor lies in [1 - x, 1 + x]"),                    \
        WISP_PROBABILITY_OPTION("saturation", (at) + offsetof(wisp_photometry, saturation), "0.2", \
                                "strength: the factor lies in [1 - x, 1 + x]"),                    \
        {.key = "hue",                                                                             \
         .type = WISP_OPTION_F64,                                                                  \
         .offset = (at) + offsetof(wisp_photometry, hue),                                          \
         .default_value = "0.1",                                                                   \
         .min = 0,                                                                                 \
         .max = 0.5,                                                                               \
         .unit = "turns",                                                                          \
         .help = "strength: the shift lies in [-x, x]"},                                           \
        WISP_PROBABILITY_OPTION("gray", (at) + offsetof(wisp_photometry, gray), "0.2",             \
                                "probability of three equal channels"),                            \
        {.key = "blur_sigma",                                                                      \
         .type = WISP_OPTION_F64_LIST,                                                             \
         .offset = (at) + offsetof(wisp_photometry, blur_sigma),                                   \
         .default_value = "[0.1, 2.0]",                                                            \
         .min = 0,                                                                                 \
         .max = 100,                                                                               \
         .min_count = 2,                                                                           \
         .max_count = 2,                                                                           \
         .unit = "px",                                                                             \
         .help = "range of the blur's sigma"},                                                     \
        {.key = "blur_kind",                                                                       \
         .type = WISP_OPTION_ENUM,                                                                 \
         .offset = (at) + offsetof(wisp_photometry, blur_kind),                                    \
         .default_value = "\"box\"",                                                               \
         .choices = wisp_blur_kinds,                                                               \
         .help = "what blurs"},                                                                    \
    {                                                                                              \
        .key = "solarize_threshold", .type = WISP_OPTION_I64,                                      \
        .offset = (at) + offsetof(wisp_photometry, solarize_threshold), .default_value = "128",    \
        .min = 0, .max = 256, .help = "values from here on are inverted"                           \
    }

/* Value i of a list of numbers; the last one repeats. */
static inline double wisp_list_number(const wisp_list *list, int64_t i)
{
    const double *values = (const double *)list->items;
    return values[i < list->count ? i : list->count - 1];
}

/* Colour jitter in random order, as torchvision draws it: the order first, then each factor. An
 * operation of strength 0 is left out. */
static inline void wisp_draw_jitter(const wisp_photometry *p, wisp_rng *rng, wisp_view_spec *view)
{
    static const int32_t kinds[4] = {WISP_PIXEL_BRIGHTNESS, WISP_PIXEL_CONTRAST,
                                     WISP_PIXEL_SATURATION, WISP_PIXEL_HUE};
    const double strengths[4] = {p->brightness, p->contrast, p->saturation, p->hue};
    int order[4] = {0, 1, 2, 3};
    double factors[4];
    for (uint32_t i = 3; i > 0; i--) {
        uint32_t j = wisp_rng_below(rng, i + 1);
        int swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (int i = 0; i < 4; i++) {
        double centre = i < 3 ? 1.0 : 0.0, x = strengths[i];
        factors[i] = wisp_rng_range(rng, centre - x, centre + x);
    }
    for (int i = 0; i < 4; i++)
        if (strengths[order[i]] > 0)
            wisp_view_add_op(view, kinds[order[i]], factors[order[i]]);
}

/* Flip, jitter, gray, then blur and solarization with the given probabilities. The same number of
 * draws happens whatever is chosen, so one probability does not shift the others. */
static inline void wisp_draw_photometry(const wisp_photometry *p, double blur, double solarize,
                                        wisp_rng *rng, wisp_view_spec *view)
{
    view->flip = wisp_rng_uniform(rng) < p->flip;
    double jitter_draw = wisp_rng_uniform(rng), gray_draw = wisp_rng_uniform(rng);
    double blur_draw = wisp_rng_uniform(rng), solarize_draw = wisp_rng_uniform(rng);
    double sigma = wisp_rng_range(rng, wisp_list_number(&p->blur_sigma, 0),
                                  wisp_list_number(&p->blur_sigma, 1));
    if (jitter_draw < p->jitter)
        wisp_draw_jitter(p, rng, view);
    if (gray_draw < p->gray)
        wisp_view_add_op(view, WISP_PIXEL_GRAY, 0);
    if (blur_draw < blur)
        wisp_view_add_op(view, p->blur_kind, sigma);
    if (solarize_draw < solarize)
        wisp_view_add_op(view, WISP_PIXEL_SOLARIZE, (double)p->solarize_threshold);
}

/* --- global and local crops (Caron et al. 2020, section 3.2) --- */

/* Views of one size, each an independent random resized crop of the whole image. */
typedef struct wisp_crop_group {
    int64_t count, size;
    wisp_list scale;          /* (low, high): share of the image's area */
    wisp_list blur, solarize; /* probability by view; the last one repeats */
} wisp_crop_group;

typedef struct wisp_crops {
    wisp_crop_group global, local;
    wisp_list ratio; /* (low, high) of width / height */
    wisp_photometry photometry;
    int32_t scaled_decode; /* 1: pictures may be decoded smaller */
    int32_t reserved;
} wisp_crops;

/* Entries of the option table of a wisp_crop_group. */
#define WISP_CROP_COUNT_OPTION(value)                                                              \
    {                                                                                              \
        .key = "count", .type = WISP_OPTION_I64, .offset = offsetof(wisp_crop_group, count),       \
        .default_value = value, .min = 0, .max = 32, .unit = "views",                              \
        .help = "views of each image"                                                              \
    }
#define WISP_CROP_BOX_OPTIONS(size_value, scale_value)                                             \
    {.key = "size",                                                                                \
     .type = WISP_OPTION_I64,                                                                      \
     .offset = offsetof(wisp_crop_group, size),                                                    \
     .default_value = size_value,                                                                  \
     .min = 1,                                                                                     \
     .max = 4096,                                                                                  \
     .unit = "px",                                                                                 \
     .help = "side of a view"},                                                                    \
    {                                                                                              \
        .key = "scale", .type = WISP_OPTION_F64_LIST, .offset = offsetof(wisp_crop_group, scale),  \
        .default_value = scale_value, .min = 0, .max = 1, .flags = WISP_OPTION_OPEN_MIN,           \
        .min_count = 2, .max_count = 2,                                                            \
        .help = "crop scale: lowest and highest share of the image's area"                         \
    }
#define WISP_CROP_CHAIN_OPTIONS(blur_value, solarize_value)                                        \
    {.key = "blur",                                                                                \
     .type = WISP_OPTION_F64_LIST,                                                                 \
     .offset = offsetof(wisp_crop_group, blur),                                                    \
     .default_value = blur_value,                                                                  \
     .min = 0,                                                                                     \
     .max = 1,                                                                                     \
     .min_count = 1,                                                                               \
     .help = "probability of blur, by view; the last one counts for all further views"},           \
    {                                                                                              \
        .key = "solarize", .type = WISP_OPTION_F64_LIST,                                           \
        .offset = offsetof(wisp_crop_group, solarize), .default_value = solarize_value, .min = 0,  \
        .max = 1, .min_count = 1,                                                                  \
        .help = "probability of solarization, by view; the last one counts for all further views"  \
    }

/* Entries of an option table; `at` is the wisp_crops' offset in the config struct, the others are
 * the tables of its two groups. */
#define WISP_CROPS_OPTIONS(at, global_table, local_table)                                          \
    {.key = "global",                                                                              \
     .type = WISP_OPTION_TABLE,                                                                    \
     .offset = (at) + offsetof(wisp_crops, global),                                                \
     .table = (global_table),                                                                      \
     .n_table = WISP_COUNT(global_table),                                                          \
     .help = "the large views"},                                                                   \
        {.key = "local",                                                                           \
         .type = WISP_OPTION_TABLE,                                                                \
         .offset = (at) + offsetof(wisp_crops, local),                                             \
         .table = (local_table),                                                                   \
         .n_table = WISP_COUNT(local_table),                                                       \
         .help = "the small views"},                                                               \
        {.key = "ratio",                                                                           \
         .type = WISP_OPTION_F64_LIST,                                                             \
         .offset = (at) + offsetof(wisp_crops, ratio),                                             \
         .default_value = "[0.75, 1.3333333333333333]",                                            \
         .min = 0.01,                                                                              \
         .max = 100,                                                                               \
         .min_count = 2,                                                                           \
         .max_count = 2,                                                                           \
         .help = "lowest and highest width / height of a crop"},                                   \
        {.key = "scaled_decode",                                                                   \
         .type = WISP_OPTION_BOOL,                                                                 \
         .offset = (at) + offsetof(wisp_crops, scaled_decode),                                     \
         .default_value = "false",                                                                 \
         .help = "decode JPEGs at 1/2, 1/4 or 1/8 where every view stays smaller than its crop; "  \
                 "faster, but crops are rounded to those pixels and colours change a little"},     \
        WISP_PHOTOMETRY_OPTIONS((at) + offsetof(wisp_crops, photometry))

/* Refuses a range whose first value is above its second. */
static inline wisp_status wisp_check_range(const wisp_list *range, const char *name,
                                           wisp_error *err)
{
    const double low = wisp_list_number(range, 0), high = wisp_list_number(range, 1);
    if (low > high)
        return wisp_fail(err, WISP_E_CONFIG,
                         "%s = [%g, %g]: the first value must not be above the second", name, low,
                         high);
    return WISP_OK;
}

/* For a descriptor's `check`. [setup] */
static inline wisp_status wisp_crops_check(const wisp_crops *crops, wisp_error *err)
{
    if (crops->global.count + crops->local.count == 0)
        return wisp_fail(err, WISP_E_CONFIG,
                         "global.count and local.count are both 0: no view is left");
    WISP_TRY(wisp_check_range(&crops->global.scale, "global.scale", err));
    WISP_TRY(wisp_check_range(&crops->local.scale, "local.scale", err));
    WISP_TRY(wisp_check_range(&crops->ratio, "ratio", err));
    return wisp_check_range(&crops->photometry.blur_sigma, "blur_sigma", err);
}

/* For a sampler's `groups`: "global", then "local"; an empty one is left out. [setup] */
static inline void wisp_crops_groups(const wisp_crops *crops, wisp_view_group *groups, int32_t *n)
{
    const wisp_crop_group *from[2] = {&crops->global, &crops->local};
    *n = 0;
    for (int i = 0; i < 2; i++) {
        if (from[i]->count == 0)
            continue;
        wisp_view_group *group = &groups[(*n)++];
        memset(group, 0, sizeof *group);
        snprintf(group->name, sizeof group->name, "%s", i == 0 ? "global" : "local");
        group->count = (int32_t)from[i]->count;
        group->width = group->height = (int32_t)from[i]->size;
    }
}

/* View i of a group. Box and chain have keys of their own: a box that needs another try does not
 * shift the chain. */
static inline void wisp_draw_crop(const wisp_crops *crops, const wisp_crop_group *group, int64_t i,
                                  wisp_rng_key key, const wisp_view_source *source,
                                  wisp_view_spec *view)
{
    wisp_rng box = wisp_rng_begin(key), chain = wisp_rng_begin(wisp_rng_derive(key, 1, 0));
    const double *scale = (const double *)group->scale.items;
    const double *ratio = (const double *)crops->ratio.items;
    view->out_w = view->out_h = (int32_t)group->size;
    view->filter = WISP_FILTER_BICUBIC;
    view->box = wisp_draw_resized_crop(&box, source->width, source->height, scale, ratio);
    wisp_draw_photometry(&crops->photometry, wisp_list_number(&group->blur, i),
                         wisp_list_number(&group->solarize, i), &chain, view);
}

/* For a sampler's `plan`: the global views, then the local ones. Each has its own key: adding a
 * view leaves the others as they were. [any] */
static inline wisp_status wisp_crops_plan(const wisp_crops *crops, const wisp_view_source *source,
                                          wisp_view_plan *plan, wisp_error *err)
{
    const wisp_crop_group *from[2] = {&crops->global, &crops->local};
    int32_t group = 0;
    if (crops->scaled_decode)
        plan->flags |= WISP_PLAN_SCALED_DECODE;
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < from[k]->count; i++) {
            wisp_view_spec *view = wisp_plan_add(plan);
            if (!view)
                return wisp_fail(err, WISP_E_CONFIG, "more than %d views", WISP_MAX_VIEWS);
            view->group = group;
            wisp_draw_crop(crops, from[k], i,
                           wisp_rng_derive(source->key, (uint64_t)k, (uint64_t)i), source, view);
        }
        group += from[k]->count > 0;
    }
    return WISP_OK;
}

/* --- pixel scale: source pixels per pixel of a view (SSLight, ICLR 2023) --- */

/* Means over pairs of a local and a global view of one image, whose size cancels. */
typedef struct wisp_scale_ratio {
    double crop;               /* of the crop scales */
    double by_area, by_length; /* of the pixel scales */
} wisp_scale_ratio;

/* In closed form, with crop scales that are uniform in their ranges. Crops that do not fit into an
 * image are drawn again, which large ones need more often, so what is measured lies higher: 1.07
 * instead of 0.92 by area for SSLight's ranges on images of 500 x 375. */
static inline wisp_scale_ratio wisp_crops_scale_ratio(const wisp_crops *crops)
{
    const double a = wisp_list_number(&crops->global.scale, 0);
    const double b = wisp_list_number(&crops->global.scale, 1);
    const double c = wisp_list_number(&crops->local.scale, 0);
    const double d = wisp_list_number(&crops->local.scale, 1);
    const double sides = (double)crops->global.size / (double)crops->local.size;
    const double inverse = b - a > 1e-6 * b ? log(b / a) / (b - a) : 2 / (a + b); /* of 1/u */
    const double root = 2.0 / 3 * (c + sqrt(c * d) + d) / (sqrt(c) + sqrt(d));    /* of sqrt(u) */
    wisp_scale_ratio ratio;
    ratio.crop = (c + d) / 2 * inverse;
    ratio.by_area = ratio.crop * sides * sides;
    ratio.by_length = root * 2 / (sqrt(a) + sqrt(b)) * sides; /* 2 / ...: of 1 / sqrt(u) */
    return ratio;
}

/* For a sampler's `describe`. [setup] */
static inline void wisp_crops_describe(const wisp_crops *crops, char *line, size_t bytes)
{
    if (crops->global.count == 0 || crops->local.count == 0) {
        snprintf(line, bytes, "views of one size");
        return;
    }
    const wisp_scale_ratio ratio = wisp_crops_scale_ratio(crops);
    snprintf(line, bytes,
             "local / global in closed form: crop scale %.3f, pixel scale %.2f by area, %.2f by "
             "length",
             ratio.crop, ratio.by_area, ratio.by_length);
}

#ifdef __cplusplus
}
#endif
#endif
