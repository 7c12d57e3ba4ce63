/* multicrop - global and local random resized crops with the photometric chain of DINO and SwAV.
 *
 * Every view is drawn independently from the whole image (local views are not nested in a global
 * one). All of it is in wisp/crops.h; what is said here are the options and their defaults. */
#include <wisp/crops.h>

static const wisp_option global_options[] = {
    WISP_CROP_COUNT_OPTION("2"),
    WISP_CROP_BOX_OPTIONS("224", "[0.14, 1.0]"),
    WISP_CROP_CHAIN_OPTIONS("[1.0, 0.1]", "[0.0, 0.2]"),
};
static const wisp_option local_options[] = {
    WISP_CROP_COUNT_OPTION("6"),
    WISP_CROP_BOX_OPTIONS("96", "[0.05, 0.14]"),
    WISP_CROP_CHAIN_OPTIONS("[0.5]", "[0.0]"),
};
static const wisp_option options[] = {WISP_CROPS_OPTIONS(0, global_options, local_options)};

static wisp_status check(const void *config, wisp_error *err)
{
    return wisp_crops_check(config, err);
}

static wisp_status groups(const void *self, wisp_view_group *group, int32_t *n, wisp_error *err)
{
    (void)err;
    wisp_crops_groups(self, group, n);
    return WISP_OK;
}

static wisp_status plan(const void *self, const wisp_view_source *source, wisp_view_plan *out,
                        wisp_error *err)
{
    return wisp_crops_plan(self, source, out, err);
}

static void describe(const void *self, char *line, size_t bytes)
{
    wisp_crops_describe(self, line, bytes);
}

static const wisp_sampler_v0 vtable = {
    .struct_size = sizeof vtable, .groups = groups, .plan = plan, .describe = describe};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_SAMPLER,
    .name = "multicrop",
    .version = "0.1.0",
    .summary = "global and local random resized crops with the DINO/SwAV photometric chain",
    .doc = "Draws `global.count` large and `local.count` small views of each image, every one an "
           "independent random resized crop of the whole image, and the parameters of flip, colour "
           "jitter, gray, blur and solarization. The defaults are the CNN baseline of SSLight; its "
           "ViT baseline has global.scale = [0.25, 1.0], local.count = 10, local.scale = [0.05, "
           "0.25]; SwAV's colours are brightness = contrast = saturation = 0.8, hue = 0.2.",
    .license = "Apache-2.0",
    .reference = "Caron et al., Unsupervised learning of visual features by contrasting cluster "
                 "assignments, NeurIPS 2020; Caron et al., Emerging properties in self-supervised "
                 "vision transformers, ICCV 2021, section 3",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(wisp_crops),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
