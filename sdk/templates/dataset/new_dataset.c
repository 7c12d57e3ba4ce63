/* @NAME@ - a data set for wisp: images and labels by their number.
 *
 * What stands here draws its images: stripes, whose direction is the class and whose width and
 * colours differ. Put your data into read(): open what you need in a `create` (the template of a
 * backbone has one), and read sample `index` here.
 *
 * How it works: read() is called by many threads at once, each for another index; it asks the host
 * for memory, fills it with pixels or with the bytes of a JPEG or PNG file, and says which. The
 * host decodes, cuts views and makes batches. Labels are for probes and tasks; no method sees them
 * that does not ask for them. */
#include <wisp/dataset.h>

enum { CLASSES = 4 };

/* The options of [data] and [test], which the host fills in. */
typedef struct dataset {
    int64_t count, size, first;
} dataset;

static const wisp_option options[] = {
    {.key = "count",
     .type = WISP_OPTION_I64,
     .offset = offsetof(dataset, count),
     .default_value = "1000",
     .min = 1,
     .max = 1e9,
     .unit = "images",
     .help = "number of images"},
    {.key = "size",
     .type = WISP_OPTION_I64,
     .offset = offsetof(dataset, size),
     .default_value = "32",
     .min = 1,
     .max = 4096,
     .unit = "px",
     .help = "side of an image"},
    {.key = "first",
     .type = WISP_OPTION_I64,
     .offset = offsetof(dataset, first),
     .default_value = "0",
     .min = 0,
     .max = 1e9,
     .help = "number of the first image: other numbers, other images"},
};

static int64_t count(const void *self)
{
    return ((const dataset *)self)->count;
}

static int32_t n_classes(const void *self)
{
    (void)self;
    return CLASSES;
}

static int32_t label(const void *self, int64_t index)
{
    return (int32_t)((((const dataset *)self)->first + index) % CLASSES);
}

static const char *class_name(const void *self, int32_t class)
{
    static const char *const names[CLASSES] = {"lying", "standing", "rising", "falling"};
    (void)self;
    return class >= 0 && class < CLASSES ? names[class] : NULL;
}

/* How far a pixel lies along the direction of a class. */
static int64_t along(int32_t class, int64_t x, int64_t y, int64_t size)
{
    switch (class) {
    case 0:
        return y;
    case 1:
        return x;
    case 2:
        return x + y;
    default:
        return x - y + size;
    }
}

/* The same image for the same index, always: all that is drawn comes from a key of the index. */
static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const dataset *d = self;
    const size_t bytes = (size_t)(d->size * d->size) * 3;
    uint8_t *rgb = sink->reserve(sink, bytes), colours[2][3];
    if (!rgb)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image of %lld px",
                         (long long)d->size);
    wisp_rng rng = wisp_rng_begin(
        wisp_rng_derive(wisp_rng_stream(0, WISP_STREAM_DATA), (uint64_t)(d->first + index), 0));
    for (int i = 0; i < 6; i++)
        colours[i / 3][i % 3] = (uint8_t)wisp_rng_below(&rng, 256);
    const int64_t width = 2 + wisp_rng_below(&rng, 4);
    for (int64_t y = 0; y < d->size; y++)
        for (int64_t x = 0; x < d->size; x++)
            memcpy(rgb + 3 * (y * d->size + x),
                   colours[along(label(self, index), x, y, d->size) / width % 2], 3);
    *sample = (wisp_sample){.form = WISP_SAMPLE_RGB8,
                            .width = (int32_t)d->size,
                            .height = (int32_t)d->size,
                            .data = rgb,
                            .bytes = bytes};
    return WISP_OK;
}

/* For messages about a sample: with files, the file's name. */
static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    snprintf(text, bytes, "stripes %lld", (long long)(((const dataset *)self)->first + index));
}

/* Stored with each run. It must change when the data do: with files, hash their names and sizes
 * (wisp/hash64.h). */
static uint64_t fingerprint(const void *self)
{
    const dataset *d = self;
    wisp_rng_key key = wisp_rng_stream((uint64_t)d->first, WISP_STREAM_DATA);
    key = wisp_rng_derive(key, (uint64_t)d->count, (uint64_t)d->size);
    return (uint64_t)key.k[0] << 32 | key.k[1];
}

static const wisp_dataset_v0 vtable = {
    .struct_size = sizeof vtable,
    .count = count,
    .n_classes = n_classes,
    .class_name = class_name,
    .label = label,
    .read = read_sample,
    .sample_name = sample_name,
    .fingerprint = fingerprint,
};

/* Without a `create`, the host hands the filled config struct itself to the functions above. */
static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "@NAME@",
    .version = "0.1.0",
    .summary = "stripes in four directions",
    .doc = "Square images of stripes. The class is their direction; width and both colours are "
           "drawn for each image from its number.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(dataset),
    .flags = WISP_FLAG_DETERMINISTIC,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
