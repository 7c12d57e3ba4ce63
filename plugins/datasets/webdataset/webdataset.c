/* webdataset - samples in tar archives, plain or compressed with gzip.
 *
 * When a run begins, the headers of all shards are read once (and kept in a file beside them). From
 * then on a sample is one read at a known place, or, in a compressed shard, a part of a stream. The
 * data set has an order of its own, in which shards are read from front to back. */
#include "class_names.h"
#include "gz_shards.h"
#include "shard_files.h"
#include "shard_look.h"
#include "shard_order.h"

#include <wisp/subset.h>

typedef struct webdataset_config {
    const char *path;
    wisp_list images;
    int32_t labels;
    int32_t broken;
    const char *json_key;
    const char *class_names;
    int64_t shuffle;
    int64_t memory; /* MiB */
    wisp_subset_options subset;
} webdataset_config;

typedef struct webdataset {
    const wisp_host *host;
    shard_index index;
    shard_order order;
    shard_files files;
    gz_shards gz;
    class_names names;
    int32_t n_classes;
    int32_t reserved;
    uint64_t fingerprint;
} webdataset;

/* No picture that can be decoded is larger. */
#define MAX_IMAGE_BYTES ((int64_t)1 << 30)

static const wisp_choice label_choices[] = {
    {"auto", "from .cls where there are such files, else none", LABELS_AUTO, 0},
    {"none", "no labels", LABELS_NONE, 0},
    {"cls", "a whole number in the sample's file .cls", LABELS_CLS, 0},
    {"json", "a whole number in the sample's file .json", LABELS_JSON, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_choice broken_choices[] = {
    {"fail", "the run does not begin", BROKEN_FAIL, 0},
    {"use", "the samples before the damage are used", BROKEN_USE, 0},
    {"skip", "the shard is left out", BROKEN_SKIP, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_option options[] = {
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .flags = WISP_OPTION_REQUIRED,
     .offset = offsetof(webdataset_config, path),
     .help = "a shard, a folder of shards, or a pattern such as a/train-{000000..000146}.tar; "
             "several with \"::\" between them"},
    {.key = "images",
     .type = WISP_OPTION_STRING_LIST,
     .offset = offsetof(webdataset_config, images),
     .default_value = "[\"jpg\", \"jpeg\", \"png\"]",
     .min_count = 1,
     .max_count = 64,
     .help = "extensions of the image in a sample, in any case; the first that it has is taken"},
    {.key = "labels",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(webdataset_config, labels),
     .default_value = "\"auto\"",
     .choices = label_choices,
     .help = "where labels come from"},
    {.key = "json_key",
     .type = WISP_OPTION_STRING,
     .offset = offsetof(webdataset_config, json_key),
     .default_value = "\"label\"",
     .help = "labels = \"json\": the key in the outermost object"},
    {.key = "class_names",
     .type = WISP_OPTION_PATH,
     .offset = offsetof(webdataset_config, class_names),
     .default_value = "\"\"",
     .help = "text file, one line for each class from 0 on; empty: classes have no names"},
    {.key = "shuffle",
     .type = WISP_OPTION_I64,
     .offset = offsetof(webdataset_config, shuffle),
     .default_value = "4096",
     .min = 0,
     .max = 1 << 30,
     .unit = "samples",
     .help = "window within which samples are shuffled after the shards were; 0 or 1: they follow "
             "each other as they lie"},
    {.key = "broken_shards",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(webdataset_config, broken),
     .default_value = "\"fail\"",
     .choices = broken_choices,
     .help = "what becomes of shards that are missing, damaged or cut off when the run begins"},
    {.key = "memory",
     .type = WISP_OPTION_I64,
     .offset = offsetof(webdataset_config, memory),
     .default_value = "1024",
     .min = 1,
     .max = 1 << 20,
     .unit = "MiB",
     .help = "compressed shards: samples that may wait until they are asked for"},
    WISP_SUBSET_OPTIONS(offsetof(webdataset_config, subset)),
};

/* --- what is there --- */

static void write_log(const webdataset *w, int32_t level, const char *what)
{
    char line[900];
    snprintf(line, sizeof line, "\"%.400s\" %.480s", w->index.path, what);
    w->host->log(w->host, level, line);
}

static void tell_oddities(const webdataset *w)
{
    const shard_index *index = &w->index;
    char text[480];
    if (index->n_without_image > 0) {
        snprintf(text, sizeof text,
                 "has %lld samples without an image, such as that of \"%s\": they are passed over",
                 (long long)index->n_without_image, index->other);
        write_log(w, WISP_LOG_WARNING, text);
    }
    if (index->n_links + index->n_sparse > 0) {
        snprintf(text, sizeof text, "has %lld links and %lld sparse files: they are passed over",
                 (long long)index->n_links, (long long)index->n_sparse);
        write_log(w, WISP_LOG_INFO, text);
    }
    if (w->n_classes == 1)
        write_log(w, WISP_LOG_WARNING,
                  "has one class only: tasks that need labels will say nothing");
}

static wisp_status refuse_empty(const shard_index *index, wisp_error *err)
{
    return wisp_fail(err, WISP_E_DATA,
                     "path = \"%.500s\" holds no sample: %lld shards have no image with one of the "
                     "extensions in `images`%s%s",
                     index->path, (long long)index->n_shards,
                     index->other[0] ? "; there is for example " : "", index->other);
}

/* Labels of all samples, or of none. */
static wisp_status find_classes(webdataset *w, int32_t labels, wisp_error *err)
{
    const shard_index *index = &w->index;
    int64_t n = 0, without = -1;
    int32_t highest = NO_LABEL;
    for (int64_t i = 0; i < index->n_samples; i++) {
        const int32_t label = index->samples[i].label;
        n += label != NO_LABEL;
        without = label == NO_LABEL && without < 0 ? i : without;
        highest = label > highest ? label : highest;
    }
    if (n > 0 && without >= 0)
        return wisp_fail(err, WISP_E_DATA,
                         "path = \"%.400s\": %lld of %lld samples have a label, and \"%.300s\" in "
                         "%.200s has none: add them, or take labels = \"none\"",
                         index->path, (long long)n, (long long)index->n_samples,
                         sample_file(index, without), shard_file(index, shard_of(index, without)));
    if (w->names.n > 0 && highest >= w->names.n)
        return wisp_fail(
            err, WISP_E_DATA,
            "path = \"%.400s\" has label %d, but class_names has %d lines, for 0 to %d",
            index->path, highest, w->names.n, w->names.n - 1);
    w->n_classes = n == 0 ? 0 : w->names.n > 0 ? w->names.n : highest + 1;
    if (w->n_classes == 0 && labels == LABELS_AUTO)
        write_log(w, WISP_LOG_INFO, "has no files .cls: there are no labels");
    return WISP_OK;
}

/* --- use --- */

static int64_t count(const void *self)
{
    return ((const webdataset *)self)->index.n_samples;
}

static int32_t n_classes(const void *self)
{
    return ((const webdataset *)self)->n_classes;
}

static const char *class_name(const void *self, int32_t label)
{
    const webdataset *w = self;
    return label < 0 || label >= w->names.n ? NULL : class_name_at(&w->names, label);
}

static int32_t label_of(const void *self, int64_t index)
{
    return ((const webdataset *)self)->index.samples[index].label;
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const shard_index *i = &((const webdataset *)self)->index;
    snprintf(text, bytes, "%s/%s", shard_file(i, shard_of(i, index)), sample_file(i, index));
}

static uint64_t fingerprint(const void *self)
{
    return ((const webdataset *)self)->fingerprint;
}

/* What changes behind the const has locks of its own. */
static webdataset *behind(const void *self)
{
    return (webdataset *)(uintptr_t)self;
}

static int64_t order(const void *self, wisp_rng_key key, int64_t position)
{
    return shard_order_at(&behind(self)->order, key, position);
}

static wisp_status read_bytes(webdataset *w, int64_t index, uint8_t *data, wisp_error *err)
{
    const int is_gz = w->index.shards[shard_of(&w->index, index)].is_gz;
    return is_gz ? gz_shards_read(&w->gz, index, data, err)
                 : shard_read_plain(&w->files, index, data, err);
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    webdataset *w = behind(self);
    const int64_t bytes = w->index.samples[index].bytes;
    if (bytes < 1 || bytes > MAX_IMAGE_BYTES)
        return wisp_fail(err, WISP_E_DATA,
                         "\"%.500s\" in %.300s has %lld bytes; an image has 1 to "
                         "%lld",
                         sample_file(&w->index, index),
                         shard_file(&w->index, shard_of(&w->index, index)), (long long)bytes,
                         (long long)MAX_IMAGE_BYTES);
    uint8_t *data = sink->reserve(sink, (size_t)bytes);
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image of %lld bytes",
                         (long long)bytes);
    WISP_TRY(read_bytes(w, index, data, err));
    *sample = (wisp_sample){.form = WISP_SAMPLE_ENCODED, .data = data, .bytes = (size_t)bytes};
    return WISP_OK;
}

static const wisp_dataset_v0 vtable = {
    .struct_size = sizeof vtable,
    .count = count,
    .n_classes = n_classes,
    .class_name = class_name,
    .label = label_of,
    .read = read_sample,
    .sample_name = sample_name,
    .fingerprint = fingerprint,
    .order = order,
    .recognises = shards_recognises,
};

/* --- life --- */

static void destroy(void *self)
{
    webdataset *w = self;
    if (!w)
        return;
    gz_shards_free(&w->gz);
    shard_files_free(&w->files);
    shard_order_free(&w->order);
    shard_index_free(&w->index);
    class_names_free(&w->names);
    w->host->free(w->host, w);
}

/* A part of the samples is kept, and the others are forgotten. */
static wisp_status choose_part(webdataset *w, const wisp_subset_options *o, wisp_error *err)
{
    wisp_subset subset = {0};
    w->fingerprint = shard_index_fingerprint(&w->index);
    WISP_TRY(wisp_subset_choose(w->host, &vtable, w, o, &subset, err));
    w->fingerprint = wisp_subset_fingerprint(&subset, w->fingerprint);
    if (subset.index)
        shard_index_keep(&w->index, subset.index, subset.count);
    wisp_subset_free(w->host, &subset);
    return WISP_OK;
}

static int has_gz(const shard_index *index)
{
    for (int64_t i = 0; i < index->n_shards; i++)
        if (index->shards[i].is_gz)
            return 1;
    return 0;
}

static wisp_status fill(webdataset *w, const webdataset_config *c, wisp_error *err)
{
    const index_options o = {
        .path = c->path, .rules = {c->images, c->json_key, c->labels, 0}, .broken = c->broken};
    WISP_TRY(shard_index_fill(&w->index, w->host, &o, err));
    if (w->index.n_samples == 0)
        return refuse_empty(&w->index, err);
    if (c->class_names[0])
        WISP_TRY(class_names_fill(&w->names, w->host, c->class_names, err));
    WISP_TRY(find_classes(w, c->labels, err));
    WISP_TRY(choose_part(w, &c->subset, err));
    WISP_TRY(shard_order_fill(&w->order, &w->index, c->shuffle, err));
    WISP_TRY(shard_files_fill(&w->files, &w->index, c->shuffle, err));
    if (has_gz(&w->index))
        WISP_TRY(gz_shards_fill(&w->gz, &w->index, &w->files, c->memory << 20, err));
    tell_oddities(w);
    return WISP_OK;
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    webdataset *w = host->alloc(host, sizeof *w);
    if (!w)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a data set");
    w->host = host;
    const wisp_status status = fill(w, config, err);
    if (status != WISP_OK) {
        destroy(w);
        return status;
    }
    *self = w;
    return WISP_OK;
}

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "webdataset",
    .version = "0.1.0",
    .summary = "JPEG and PNG files in tar shards, plain or compressed with gzip",
    .doc =
        "Files of a shard that follow each other and have the same path up to the first dot of "
        "their name are one sample: its image, and its label in a file .cls or .json. An epoch "
        "goes through the shards in a random order, through each from front to back, and shuffles "
        "what comes within a window; a run can begin anywhere in it. Shards are looked through "
        "once, and what was found is kept in a file beside them. `list` takes the samples that a "
        "file names, `fraction` draws a share of them with as many of each class.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(webdataset_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
