/* synthetic - a data set that is drawn while it is read; nothing is stored or downloaded.
 *
 * Each picture shows one figure. A class is a pair of an outline and a fill; colours, place, size,
 * rotation, clutter and noise are drawn from (seed, split, index) and say nothing about it. */
#include <wisp/dataset.h>
#include <wisp/rng.h>

#include "synthetic_figure.h"
#include "synthetic_scene.h"

typedef struct synthetic {
    int64_t count, size, classes, seed;
    int32_t split;
    synthetic_strength strength;
} synthetic;

enum { TRAIN = 1, TEST = 2 };

static const wisp_choice splits[] = {
    {"train", "pictures to learn from", TRAIN, 0},
    {"test", "other pictures of the same classes", TEST, 0},
    {NULL, NULL, 0, 0},
};

#define OFFSET(field) offsetof(synthetic, field)

static const wisp_option options[] = {
    {.key = "count",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(count),
     .default_value = "10000",
     .min = 1,
     .max = 1e12,
     .unit = "images",
     .help = "number of images"},
    {.key = "size",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(size),
     .default_value = "32",
     .min = 8,
     .max = 1024,
     .unit = "px",
     .help = "width and height of an image"},
    {.key = "classes",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(classes),
     .default_value = "10",
     .min = 1,
     .max = SYNTHETIC_CLASSES,
     .help = "number of classes; the first ten all differ in outline and in fill"},
    {.key = "seed",
     .type = WISP_OPTION_I64,
     .offset = OFFSET(seed),
     .default_value = "0",
     .min = 0,
     .max = 9e15,
     .help = "another seed gives other images of the same classes"},
    {.key = "split",
     .type = WISP_OPTION_ENUM,
     .offset = OFFSET(split),
     .default_value = "\"train\"",
     .choices = splits,
     .help = "which of two sets of images that have none in common"},
    {.key = "clutter",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(strength.clutter),
     .default_value = "0.3",
     .min = 0,
     .max = 1,
     .help = "amount of strokes behind and before the figure"},
    {.key = "noise",
     .type = WISP_OPTION_F64,
     .offset = OFFSET(strength.noise),
     .default_value = "0.05",
     .min = 0,
     .max = 1,
     .help = "largest deviation of a value, as a share of its range"},
};

static int64_t count(const void *self)
{
    return ((const synthetic *)self)->count;
}

static int32_t n_classes(const void *self)
{
    return (int32_t)((const synthetic *)self)->classes;
}

static int32_t label(const void *self, int64_t index)
{
    return (int32_t)(index % ((const synthetic *)self)->classes);
}

static const char *class_name(const void *self, int32_t of)
{
    const synthetic *s = self;
    return of >= 0 && of < s->classes ? synthetic_class_name((int)of) : NULL;
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const synthetic *s = self;
    size_t bytes = (size_t)(s->size * s->size * 3);
    uint8_t *rgb = sink->reserve(sink, bytes);
    if (!rgb)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image of %lld px",
                         (long long)s->size);
    wisp_rng_key key = wisp_rng_stream((uint64_t)s->seed, WISP_STREAM_DATA);
    key = wisp_rng_derive(key, (uint64_t)index, (uint64_t)s->split);
    synthetic_scene scene;
    int of = label(self, index);
    synthetic_scene_draw(&scene, (int)s->size, synthetic_class_outline(of),
                         synthetic_class_fill(of), &s->strength, key);
    synthetic_scene_paint(&scene, rgb);
    *sample = (wisp_sample){.form = WISP_SAMPLE_RGB8,
                            .width = (int32_t)s->size,
                            .height = (int32_t)s->size,
                            .data = rgb,
                            .bytes = bytes};
    return WISP_OK;
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const synthetic *s = self;
    snprintf(text, bytes, "%s/%lld", s->split == TEST ? "test" : "train", (long long)index);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    wisp_rng_key key = {{(uint32_t)hash, (uint32_t)(hash >> 32)}};
    key = wisp_rng_derive(key, value, 0);
    return (uint64_t)key.k[1] << 32 | key.k[0];
}

static uint64_t fingerprint(const void *self)
{
    const synthetic *s = self;
    const int64_t numbers[] = {s->count, s->size, s->classes, s->seed, s->split};
    uint64_t hash = 1; /* raised whenever the drawing changes */
    for (size_t i = 0; i < WISP_COUNT(numbers); i++)
        hash = mix(hash, (uint64_t)numbers[i]);
    hash = mix(hash, (uint64_t)(s->strength.clutter * 1e9));
    return mix(hash, (uint64_t)(s->strength.noise * 1e9));
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

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "synthetic",
    .version = "0.1.0",
    .summary = "figures drawn on the fly, told apart by outline and fill",
    .doc =
        "Each image shows one of ten outlines (disc, square, triangle, star, cross, ring, "
        "crescent, bar, trefoil, corner) in one of ten fills (plain, striped, chequered, dotted, "
        "rippled, latticed, rayed, wavy, lined, bricked) under random colours, place, size, "
        "rotation, clutter and noise. A class is a pair of outline and fill; the mean colour "
        "tells nothing about it. Labels go round by index, so every class is equally frequent. "
        "Nothing is read from disk.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(synthetic),
    .flags = WISP_FLAG_DETERMINISTIC,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
