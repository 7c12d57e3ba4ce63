/* sslight - global and local crops whose pixel scales match.
 *
 * The idea of SSLight's sampler: a small network cannot match what it sees at one pixel scale with
 * what it sees at another, so local views should show as many source pixels per pixel as global
 * ones. The options say which ratio of the two is wanted; what is left open, the local size or the
 * upper end of the local crop scale, is derived from the closed form of wisp/crops.h. Sizes of
 * images are not known here, and they cancel in that ratio. */
#include <wisp/crops.h>
#include <wisp/host.h>

enum { BY_AREA = 1, BY_LENGTH = 2, MAX_SIDE = 4096 };

typedef struct sslight_config {
    wisp_crops crops; /* local.size 0, or a single value in local.scale, is what is derived */
    double target;
    int64_t size_multiple;
    int32_t measure;
    int32_t reserved;
} sslight_config;

typedef struct sslight {
    const wisp_host *host;
    const sslight_config *config;
    wisp_crops crops; /* with nothing left open */
    double local_scale[2];
    double exact_size; /* before it was rounded; 0: the size was given */
} sslight;

/* --- options --- */

#define LOCAL(field) offsetof(wisp_crop_group, field)
#define OFFSET(field) offsetof(sslight_config, field)

static const wisp_choice measures[] = {
    {"area", "source pixels per pixel", BY_AREA, 0},
    {"length", "its square root", BY_LENGTH, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_option global_options[] = {
    WISP_CROP_COUNT_OPTION("2"),
    WISP_CROP_BOX_OPTIONS("224", "[0.3, 1.0]"),
    WISP_CROP_CHAIN_OPTIONS("[1.0, 0.1]", "[0.0, 0.2]"),
};

static const wisp_option local_options[] = {
    WISP_CROP_COUNT_OPTION("6"),
    {.key = "size",
     .type = WISP_OPTION_I64,
     .offset = LOCAL(size),
     .default_value = "0",
     .min = 0,
     .max = MAX_SIDE,
     .unit = "px",
     .help = "side of a view; 0: derived, and local.scale has both ends"},
    {.key = "scale",
     .type = WISP_OPTION_F64_LIST,
     .offset = LOCAL(scale),
     .default_value = "[0.05, 0.3]",
     .min = 0,
     .max = 1,
     .flags = WISP_OPTION_OPEN_MIN,
     .min_count = 1,
     .max_count = 2,
     .help = "crop scale: lowest and highest share of the image's area; with the lowest alone the "
             "highest is derived, and local.size is given"},
    WISP_CROP_CHAIN_OPTIONS("[0.5]", "[0.0]"),
};

static const wisp_option options[] = {
    {.key = "target",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(target),
     .default_value = "1.0",
     .min = 0,
     .max = 100,
     .flags = WISP_OPTION_OPEN_MIN,
     .help = "wanted mean of (pixel scale of a local view / pixel scale of a global view)"},
    {.key = "measure",
     .type = WISP_OPTION_ENUM,
     .offset = OFFSET(measure),
     .default_value = "\"area\"",
     .choices = measures,
     .help = "what a pixel scale is"},
    {.key = "size_multiple",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(size_multiple),
     .default_value = "32",
     .min = 1,
     .max = MAX_SIDE,
     .unit = "px",
     .help = "a derived size is a multiple of this, as strides and patches want it"},
    WISP_CROPS_OPTIONS(OFFSET(crops), global_options, local_options),
};

static wisp_status check(const void *config, wisp_error *err)
{
    const sslight_config *c = config;
    const int open_size = c->crops.local.size == 0, open_scale = c->crops.local.scale.count == 1;
    if (c->crops.global.count == 0 || c->crops.local.count == 0)
        return wisp_fail(err, WISP_E_CONFIG,
                         "global.count and local.count must be above 0: without views of both "
                         "kinds there is no ratio; take the sampler multicrop");
    if (open_size && open_scale)
        return wisp_fail(err, WISP_E_CONFIG,
                         "local.size = 0 and local.scale with one value are both open: one of them "
                         "can be derived, so give the other");
    if (!open_size && !open_scale)
        return wisp_fail(err, WISP_E_CONFIG,
                         "local.size and both ends of local.scale are given, so there is nothing "
                         "to derive for the target: leave local.size out, give local.scale one "
                         "value, or take the sampler multicrop");
    return wisp_crops_check(&c->crops, err);
}

/* --- what is derived --- */

/* Ratio of the pixel scales with local views of `size` px. */
static double ratio_at(const sslight *s, int64_t size)
{
    wisp_crops crops = s->crops;
    crops.local.size = size;
    const wisp_scale_ratio ratio = wisp_crops_scale_ratio(&crops);
    return s->config->measure == BY_AREA ? ratio.by_area : ratio.by_length;
}

/* By area the ratio goes with 1 / size^2, by length with 1 / size. Of the two multiples around the
 * exact size the one is taken whose ratio misses the target by the smaller factor. */
static wisp_status derive_size(sslight *s, wisp_error *err)
{
    const double target = s->config->target, at_one = ratio_at(s, 1) / target;
    const int64_t step = s->config->size_multiple;
    s->exact_size = s->config->measure == BY_AREA ? sqrt(at_one) : at_one;
    if (s->exact_size > MAX_SIDE)
        return wisp_fail(err, WISP_E_CONFIG,
                         "target = %g needs local views of %.0f px, more than %d: raise it, or "
                         "lower local.scale",
                         target, s->exact_size, MAX_SIDE);
    const int64_t below = (int64_t)s->exact_size / step * step, above = below + step;
    const int low_fits = below > 0, high_fits = above <= MAX_SIDE;
    const int low_is_nearer = low_fits && ratio_at(s, below) / target < target / ratio_at(s, above);
    s->crops.local.size = low_is_nearer || !high_fits ? below : above;
    return WISP_OK;
}

/* The mean of u (by area) or of its root (by length) over the local range [c, d] is proportional
 * to the ratio; solved for d. By length: y^2 + (x - t) y + x^2 - t x = 0 with x = sqrt(c),
 * y = sqrt(d), t = 3/2 of the wanted mean. */
static double upper_end(const sslight *s, double c)
{
    wisp_crops point = s->crops;
    const double only[2] = {c, c};
    point.local.scale = (wisp_list){2, only};
    const wisp_scale_ratio at = wisp_crops_scale_ratio(&point); /* with every crop of scale c */
    if (s->config->measure == BY_AREA)
        return 2 * c * s->config->target / at.by_area - c;
    const double x = sqrt(c), t = 1.5 * x * s->config->target / at.by_length;
    const double y = (t - x + sqrt(fmax(0, (t - x) * (t + 3 * x)))) / 2;
    return y * y;
}

/* Rounded to three decimals, so that what is printed can be typed into another file. */
static wisp_status derive_scale(sslight *s, wisp_error *err)
{
    const double low = s->local_scale[0], high = nearbyint(upper_end(s, low) * 1000) / 1000;
    if (!(high >= low && high <= 1))
        return wisp_fail(err, WISP_E_CONFIG,
                         "target = %g needs local crops of up to %.3g of the image, and %g to 1 "
                         "are possible: change target, local.size or global.scale",
                         s->config->target, fmax(high, 0), low);
    s->local_scale[1] = high;
    return WISP_OK;
}

static void destroy(void *self)
{
    sslight *s = self;
    if (s)
        s->host->free(s->host, s);
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    sslight *s = host->alloc(host, sizeof *s);
    if (!s)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for sslight");
    s->host = host;
    s->config = config;
    s->crops = s->config->crops;
    for (int64_t i = 0; i < 2; i++)
        s->local_scale[i] = wisp_list_number(&s->crops.local.scale, i);
    s->crops.local.scale = (wisp_list){2, s->local_scale};
    const wisp_status status =
        s->crops.local.size == 0 ? derive_size(s, err) : derive_scale(s, err);
    if (status != WISP_OK) {
        destroy(s);
        return status;
    }
    *self = s;
    return WISP_OK;
}

/* --- use --- */

static wisp_status groups(const void *self, wisp_view_group *group, int32_t *n, wisp_error *err)
{
    (void)err;
    wisp_crops_groups(&((const sslight *)self)->crops, group, n);
    return WISP_OK;
}

static wisp_status plan(const void *self, const wisp_view_source *source, wisp_view_plan *out,
                        wisp_error *err)
{
    return wisp_crops_plan(&((const sslight *)self)->crops, source, out, err);
}

static void describe(const void *self, char *line, size_t bytes)
{
    const sslight *s = self;
    char chosen[128], come_to[160];
    if (s->exact_size > 0)
        snprintf(chosen, sizeof chosen, "local.size = %lld (exactly %.1f px)",
                 (long long)s->crops.local.size, s->exact_size);
    else
        snprintf(chosen, sizeof chosen, "local.scale = [%g, %g]", s->local_scale[0],
                 s->local_scale[1]);
    wisp_crops_describe(&s->crops, come_to, sizeof come_to);
    snprintf(line, bytes, "for a target of %g by %s, %s; %s", s->config->target,
             s->config->measure == BY_AREA ? "area" : "length", chosen, come_to);
}

static const wisp_sampler_v0 vtable = {
    .struct_size = sizeof vtable, .groups = groups, .plan = plan, .describe = describe};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_SAMPLER,
    .name = "sslight",
    .version = "0.1.0",
    .summary = "global and local crops whose pixel scales have a wanted ratio",
    .doc = "Views and photometric chain of multicrop, but one number is left open and derived so "
           "that mean(pixel scale of a local view / of a global view) comes to `target`: the local "
           "size (local.size = 0), or the upper end of local.scale (one value). The mean is the "
           "closed form for uniform crop scales; a derived size is rounded to the multiple of "
           "size_multiple that misses the target by the smallest factor. `wisp check` prints what "
           "was chosen. The defaults give SSLight's recipe for convolutional networks, local views "
           "of 128 px; local.count = 10 gives that for transformers.",
    .license = "Apache-2.0",
    .reference = "SSLight, ICLR 2023 (view sampler); Caron et al., Unsupervised learning of visual "
                 "features by contrasting cluster assignments, NeurIPS 2020, section 3.2",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(sslight_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
