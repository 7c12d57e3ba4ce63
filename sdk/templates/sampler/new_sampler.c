/* @NAME@ - a view sampler for wisp: which views are drawn from an image.
 *
 * What stands here draws views that overlap: the first box anywhere in the image, every further one
 * so that its centre lies in the first. Put your idea into plan().
 *
 * How it works: plan() gets the image's size and a random key, and writes for each view a box, a
 * size, a flip and pixel operations with drawn parameters. The host does the pixels. plan() is a
 * pure function, called by many threads at once: it keeps nothing, and all that is random comes
 * from the key. So the same run has the same views on any number of workers, and two samplers can
 * be compared with everything else held equal. */
#include <wisp/sampler.h>

/* The options of [sampler], which the host fills in. */
typedef struct sampler {
    int64_t count, size;
    wisp_list scale;
} sampler;

static const wisp_option options[] = {
    {.key = "count",
     .type = WISP_OPTION_I64,
     .offset = offsetof(sampler, count),
     .default_value = "2",
     .min = 1,
     .max = 16,
     .unit = "views",
     .help = "views of each image"},
    {.key = "size",
     .type = WISP_OPTION_I64,
     .offset = offsetof(sampler, size),
     .default_value = "32",
     .min = 1,
     .max = 4096,
     .unit = "px",
     .help = "side of a view"},
    {.key = "scale",
     .type = WISP_OPTION_F64_LIST,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = offsetof(sampler, scale),
     .default_value = "[0.2, 0.8]",
     .min = 0,
     .max = 1,
     .min_count = 2,
     .max_count = 2,
     .help = "crop scale: lowest and highest share of the image's area"},
};

/* Rules that no single option can tell. */
static wisp_status check(const void *config, wisp_error *err)
{
    const double *scale = ((const sampler *)config)->scale.items;
    if (scale[0] > scale[1])
        return wisp_fail(err, WISP_E_CONFIG,
                         "scale = [%g, %g]: the first value must not be above the second", scale[0],
                         scale[1]);
    return WISP_OK;
}

/* Views of one size are a group; methods know the first group as the global views. */
static wisp_status groups(const void *self, wisp_view_group *group, int32_t *n, wisp_error *err)
{
    const sampler *p = self;
    (void)err;
    *group = (wisp_view_group){.name = "global",
                               .count = (int32_t)p->count,
                               .width = (int32_t)p->size,
                               .height = (int32_t)p->size};
    *n = 1;
    return WISP_OK;
}

/* Where a side of a box begins whose middle lies in the first box, moved into the image where it
 * would leave it. */
static int32_t near_first(wisp_rng *rng, int32_t first, int32_t first_side, int32_t side,
                          int32_t image_side)
{
    const int32_t middle = first + (int32_t)wisp_rng_below(rng, (uint32_t)first_side);
    const int32_t at = middle - side / 2, most = image_side - side;
    return at < 0 ? 0 : at > most ? most : at;
}

static wisp_status plan(const void *self, const wisp_view_source *source, wisp_view_plan *plan,
                        wisp_error *err)
{
    const sampler *p = self;
    static const double ratio[2] = {3.0 / 4, 4.0 / 3};
    for (int64_t v = 0; v < p->count; v++) {
        /* a key for each view: one more view leaves the others as they were */
        wisp_rng rng = wisp_rng_begin(wisp_rng_derive(source->key, 0, (uint64_t)v));
        wisp_view_spec *view = wisp_plan_add(plan);
        if (!view)
            return wisp_fail(err, WISP_E_CONFIG, "more than %d views", WISP_MAX_VIEWS);
        const wisp_box *first = &plan->views[0].box;
        view->out_w = view->out_h = (int32_t)p->size;
        view->box =
            wisp_draw_resized_crop(&rng, source->width, source->height, p->scale.items, ratio);
        if (v > 0) {
            view->box.x = near_first(&rng, first->x, first->w, view->box.w, source->width);
            view->box.y = near_first(&rng, first->y, first->h, view->box.h, source->height);
        }
        view->flip = wisp_rng_uniform(&rng) < 0.5;
        if (wisp_rng_uniform(&rng) < 0.2)
            wisp_view_add_op(view, WISP_PIXEL_GRAY, 0);
    }
    return WISP_OK;
}

static const wisp_sampler_v0 vtable = {
    .struct_size = sizeof vtable, .groups = groups, .plan = plan};

/* Without a `create`, the host hands the filled config struct itself to the functions above. */
static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_SAMPLER,
    .name = "@NAME@",
    .version = "0.1.0",
    .summary = "views that overlap: each one's centre lies in the first",
    .doc = "Draws `count` random resized crops of one size. The first lies anywhere in the image; "
           "the others are moved so that their centres lie in the first. Half of the views are "
           "flipped, a fifth is gray.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(sampler),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
