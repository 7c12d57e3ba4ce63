/* multicrop - global and local random resized crops with the photometric chain of DINO and SwAV.
 *
 * Every view is drawn independently from the whole image (local views are not nested in a global
 * one). Order of the chain: flip, colour jitter in random order, gray, blur, solarize. */
#include <wisp/sampler.h>

typedef struct group_config {
    int64_t count, size;
    wisp_list scale;
    wisp_list blur, solarize; /* probability by view of the group; the last one repeats */
} group_config;

typedef struct multicrop {
    group_config global, local;
    wisp_list ratio, blur_sigma;
    double flip, jitter, gray;
    double brightness, contrast, saturation, hue;
    int64_t solarize_threshold;
} multicrop;

#define GROUP(field) offsetof(group_config, field)
#define GROUP_OPTIONS(count_default, size_default, scale_default, blur_default, solarize_default)  \
    {.key = "count",                                                                               \
     .type = WISP_OPTION_I64,                                                                      \
     .offset = GROUP(count),                                                                       \
     .default_value = count_default,                                                               \
     .min = 0,                                                                                     \
     .max = 32,                                                                                    \
     .unit = "views",                                                                              \
     .help = "views of each image"},                                                               \
        {.key = "size",                                                                            \
         .type = WISP_OPTION_I64,                                                                  \
         .offset = GROUP(size),                                                                    \
         .default_value = size_default,                                                            \
         .min = 1,                                                                                 \
         .max = 4096,                                                                              \
         .unit = "px",                                                                             \
         .help = "side of a view"},                                                                \
        {.key = "scale",                                                                           \
         .type = WISP_OPTION_F64_LIST,                                                             \
         .offset = GROUP(scale),                                                                   \
         .default_value = scale_default,                                                           \
         .min = 0,                                                                                 \
         .max = 1,                                                                                 \
         .flags = WISP_OPTION_OPEN_MIN,                                                            \
         .min_count = 2,                                                                           \
         .max_count = 2,                                                                           \
         .help = "crop scale: lowest and highest share of the image's area"},                      \
        {.key = "blur",                                                                            \
         .type = WISP_OPTION_F64_LIST,                                                             \
         .offset = GROUP(blur),                                                                    \
         .default_value = blur_default,                                                            \
         .min = 0,                                                                                 \
         .max = 1,                                                                                 \
         .min_count = 1,                                                                           \
         .help = "probability of blur, by view; the last one counts for all further views"},       \
    {                                                                                              \
        .key = "solarize", .type = WISP_OPTION_F64_LIST, .offset = GROUP(solarize),                \
        .default_value = solarize_default, .min = 0, .max = 1, .min_count = 1,                     \
        .help = "probability of solarization, by view; the last one counts for all further views"  \
    }

static const wisp_option global_options[] = {
    GROUP_OPTIONS("2", "224", "[0.14, 1.0]", "[1.0, 0.1]", "[0.0, 0.2]")};
static const wisp_option local_options[] = {
    GROUP_OPTIONS("6", "96", "[0.05, 0.14]", "[0.5]", "[0.0]")};

#define OFFSET(field) offsetof(multicrop, field)
#define PROBABILITY(name, value, text)                                                             \
    {                                                                                              \
        .key = #name, .type = WISP_OPTION_F64, .offset = OFFSET(name), .default_value = value,     \
        .min = 0, .max = 1, .help = text                                                           \
    }

static const wisp_option options[] = {
    {.key = "global",
     .type = WISP_OPTION_TABLE,
     .offset = OFFSET(global),
     .table = global_options,
     .n_table = WISP_COUNT(global_options),
     .help = "the large views"},
    {.key = "local",
     .type = WISP_OPTION_TABLE,
     .offset = OFFSET(local),
     .table = local_options,
     .n_table = WISP_COUNT(local_options),
     .help = "the small views"},
    {.key = "ratio",
     .type = WISP_OPTION_F64_LIST,
     .offset = OFFSET(ratio),
     .default_value = "[0.75, 1.3333333333333333]",
     .min = 0.01,
     .max = 100,
     .min_count = 2,
     .max_count = 2,
     .help = "lowest and highest width / height of a crop"},
    PROBABILITY(flip, "0.5", "probability of a left-right flip"),
    PROBABILITY(jitter, "0.8", "probability of colour jitter"),
    PROBABILITY(brightness, "0.4", "strength: the factor lies in [1 - x, 1 + x]"),
    PROBABILITY(contrast, "0.4", "strength: the factor lies in [1 - x, 1 + x]"),
    PROBABILITY(saturation, "0.2", "strength: the factor lies in [1 - x, 1 + x]"),
    {.key = "hue",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(hue),
     .default_value = "0.1",
     .min = 0,
     .max = 0.5,
     .unit = "turns",
     .help = "strength: the shift lies in [-x, x]"},
    PROBABILITY(gray, "0.2", "probability of three equal channels"),
    {.key = "blur_sigma",
     .type = WISP_OPTION_F64_LIST,
     .offset = OFFSET(blur_sigma),
     .default_value = "[0.1, 2.0]",
     .min = 0,
     .max = 100,
     .min_count = 2,
     .max_count = 2,
     .unit = "px",
     .help = "range of the blur's sigma"},
    {.key = "solarize_threshold",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(solarize_threshold),
     .default_value = "128",
     .min = 0,
     .max = 256,
     .help = "values from here on are inverted"},
};

static double at(const wisp_list *list, int64_t i)
{
    const double *values = list->items;
    return values[i < list->count ? i : list->count - 1];
}

static wisp_status check_range(const wisp_list *list, const char *name, wisp_error *err)
{
    if (at(list, 0) > at(list, 1))
        return wisp_fail(err, WISP_E_CONFIG,
                         "%s = [%g, %g]: the first value must not be above the second", name,
                         at(list, 0), at(list, 1));
    return WISP_OK;
}

static wisp_status check(const void *config, wisp_error *err)
{
    const multicrop *c = config;
    if (c->global.count + c->local.count == 0)
        return wisp_fail(err, WISP_E_CONFIG,
                         "global.count and local.count are both 0: no view is left");
    WISP_TRY(check_range(&c->global.scale, "global.scale", err));
    WISP_TRY(check_range(&c->local.scale, "local.scale", err));
    WISP_TRY(check_range(&c->ratio, "ratio", err));
    return check_range(&c->blur_sigma, "blur_sigma", err);
}

static wisp_status groups(const void *self, wisp_view_group *group, int32_t *n, wisp_error *err)
{
    const multicrop *c = self;
    const group_config *configs[2] = {&c->global, &c->local};
    static const char *const names[2] = {"global", "local"};
    (void)err;
    *n = 0;
    for (int i = 0; i < 2; i++) {
        if (configs[i]->count == 0)
            continue;
        wisp_view_group *g = &group[(*n)++];
        memset(g, 0, sizeof *g);
        snprintf(g->name, sizeof g->name, "%s", names[i]);
        g->count = (int32_t)configs[i]->count;
        g->width = g->height = (int32_t)configs[i]->size;
    }
    return WISP_OK;
}

/* torchvision draws the order first, then each factor; an operation of strength 0 is left out. */
static void add_jitter(const multicrop *c, wisp_rng *rng, wisp_view_spec *view)
{
    static const int32_t kinds[4] = {WISP_PIXEL_BRIGHTNESS, WISP_PIXEL_CONTRAST,
                                     WISP_PIXEL_SATURATION, WISP_PIXEL_HUE};
    const double strengths[4] = {c->brightness, c->contrast, c->saturation, c->hue};
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

/* The same number of draws happens whatever is chosen, so one probability does not shift the
 * others. */
static void draw_view(const multicrop *c, const group_config *g, int64_t i, wisp_rng *rng,
                      const wisp_view_source *source, wisp_view_spec *view)
{
    view->out_w = view->out_h = (int32_t)g->size;
    view->filter = WISP_FILTER_BICUBIC;
    view->box =
        wisp_draw_resized_crop(rng, source->width, source->height, g->scale.items, c->ratio.items);
    wisp_rng chain = wisp_rng_begin(wisp_rng_derive(rng->key, 1, 0));
    view->flip = wisp_rng_uniform(&chain) < c->flip;
    double jitter = wisp_rng_uniform(&chain), gray = wisp_rng_uniform(&chain);
    double blur = wisp_rng_uniform(&chain), solarize = wisp_rng_uniform(&chain);
    double sigma = wisp_rng_range(&chain, at(&c->blur_sigma, 0), at(&c->blur_sigma, 1));
    if (jitter < c->jitter)
        add_jitter(c, &chain, view);
    if (gray < c->gray)
        wisp_view_add_op(view, WISP_PIXEL_GRAY, 0);
    if (blur < at(&g->blur, i))
        wisp_view_add_op(view, WISP_PIXEL_BLUR, sigma);
    if (solarize < at(&g->solarize, i))
        wisp_view_add_op(view, WISP_PIXEL_SOLARIZE, (double)c->solarize_threshold);
}

static wisp_status plan(const void *self, const wisp_view_source *source, wisp_view_plan *out,
                        wisp_error *err)
{
    const multicrop *c = self;
    const group_config *configs[2] = {&c->global, &c->local};
    int32_t group = 0;
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < configs[k]->count; i++) {
            /* Each view has its own key: adding a view leaves the others as they were. */
            wisp_rng rng = wisp_rng_begin(wisp_rng_derive(source->key, (uint64_t)k, (uint64_t)i));
            wisp_view_spec *view = wisp_plan_add(out);
            if (!view)
                return wisp_fail(err, WISP_E_CONFIG, "more than %d views", WISP_MAX_VIEWS);
            draw_view(c, configs[k], i, &rng, source, view);
            view->group = group;
        }
        group += configs[k]->count > 0;
    }
    return WISP_OK;
}

static const wisp_sampler_v0 vtable = {
    .struct_size = sizeof vtable, .groups = groups, .plan = plan};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_SAMPLER,
    .name = "multicrop",
    .version = "0.1.0",
    .summary = "global and local random resized crops with the DINO/SwAV photometric chain",
    .doc =
        "Draws `global.count` large and `local.count` small views of each image, every one an "
        "independent random resized crop of the whole image, and the parameters of flip, colour "
        "jitter, gray, blur and solarization. The defaults are the CNN baseline of SSLight; SwAV's "
        "colours are brightness = contrast = saturation = 0.8, hue = 0.2.",
    .license = "Apache-2.0",
    .reference = "Caron et al., Unsupervised learning of visual features by contrasting cluster "
                 "assignments, NeurIPS 2020; Caron et al., Emerging properties in self-supervised "
                 "vision transformers, ICCV 2021, section 3",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(multicrop),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
