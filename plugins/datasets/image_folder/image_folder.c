/* image_folder - images in folders: the folders below `path` are the classes.
 *
 * Names and sizes are known when a run begins; a sample is then one open and one read. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <wisp/subset.h>

#include "folder_cache.h"
#include "folder_look.h"

typedef struct folder_config {
    const char *path;
    int32_t labels;
    int32_t index;
    wisp_subset_options subset;
} folder_config;

typedef struct image_folder {
    const wisp_host *host;
    int fd; /* of the folder, so that a change of the working directory does no harm */
    folder_index index;
    folder_origin origin;
    wisp_subset subset;
    uint64_t fingerprint;
} image_folder;

/* No picture that can be decoded is larger. */
#define MAX_FILE_BYTES ((int64_t)1 << 30)

static const wisp_choice sources[] = {
    {"cache", "kept beside the data from 10,000 files on, as long as no folder changes",
     FOLDER_CACHE, 0},
    {"scan", "listed at each start; nothing is read or kept", FOLDER_SCAN, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_option options[] = {
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .flags = WISP_OPTION_REQUIRED,
     .offset = offsetof(folder_config, path),
     .help = "folder of class folders, or of images without classes"},
    {.key = "labels",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(folder_config, labels),
     .default_value = "true",
     .help = "whether the folders in it are classes; false: all images below, without classes"},
    {.key = "index",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(folder_config, index),
     .default_value = "\"cache\"",
     .choices = sources,
     .help = "where the names and sizes of the files come from"},
    WISP_SUBSET_OPTIONS(offsetof(folder_config, subset)),
};

/* --- listing --- */

static void write_log(const image_folder *f, int32_t level, const char *path, const char *what)
{
    char line[512];
    snprintf(line, sizeof line, "\"%.300s\" %s", path, what);
    f->host->log(f->host, level, line);
}

/* What is allowed but seldom meant. */
static void tell_oddities(const image_folder *f, const folder_config *config)
{
    const folder_counts *counts = f->index.counts;
    char text[128];
    if (!config->labels)
        return;
    if (counts->n_classes == 0)
        write_log(f, WISP_LOG_INFO, config->path, "has no folders of images: there are no labels");
    if (counts->n_classes == 1)
        write_log(f, WISP_LOG_WARNING, config->path,
                  "has one class only: tasks that need labels will say nothing");
    if (counts->n_classes > 0 && counts->n_empty > 0) {
        snprintf(text, sizeof text, "has %lld of %lld class folders without an image",
                 (long long)counts->n_empty, (long long)counts->n_classes);
        write_log(f, WISP_LOG_WARNING, config->path, text);
    }
}

static wisp_status open_folder(image_folder *f, const folder_config *config, wisp_error *err)
{
    char text[128];
    f->fd = open(config->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0)
        return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                         "cannot open the folder path = \"%.500s\": %s", config->path,
                         strerror_r(errno, text, sizeof text));
    const folder_request request = {f->host, f->fd, config->path, config->labels, config->index};
    WISP_TRY(folder_index_open(&request, &f->index, &f->origin, err));
    if (f->index.counts->n_images == 0)
        return wisp_fail(err, WISP_E_DATA,
                         "path = \"%.500s\" holds no image: looked in it and in the folders below "
                         "for names that end in .jpg, .jpeg or .png and do not begin with a dot, "
                         "and saw %lld other files",
                         config->path, (long long)f->index.counts->n_other);
    return WISP_OK;
}

/* --- use --- */

static int64_t count(const void *self)
{
    const image_folder *f = self;
    return wisp_subset_count(&f->subset, f->index.counts->n_images);
}

static int32_t n_classes(const void *self)
{
    return (int32_t)((const image_folder *)self)->index.counts->n_classes;
}

static const char *class_name(const void *self, int32_t label)
{
    const folder_index *index = &((const image_folder *)self)->index;
    if (label < 0 || label >= index->counts->n_classes)
        return NULL;
    return index->names + index->class_name[label];
}

static int32_t label_of(const void *self, int64_t index)
{
    const image_folder *f = self;
    return folder_index_label(&f->index, wisp_subset_at(&f->subset, index));
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const image_folder *f = self;
    folder_index_path(&f->index, wisp_subset_at(&f->subset, index), text, bytes);
}

/* Too many open files and the like are no fault of this one. */
static wisp_status read_failure(const char *what, const char *name, wisp_error *err)
{
    char text[128];
    int files = errno == EMFILE || errno == ENFILE, shortage = files || errno == ENOMEM;
    return wisp_fail(err, shortage ? WISP_E_IO : WISP_E_DATA, "cannot %s \"%.500s\": %s%s", what,
                     name, strerror_r(errno, text, sizeof text),
                     files ? "; raise the limit (ulimit -n), or take fewer run.workers" : "");
}

/* An index from an earlier start may be older than the file. */
static wisp_status size_differs(const image_folder *f, const char *name, int64_t bytes, int fewer,
                                wisp_error *err)
{
    if (!f->origin.cached)
        return wisp_fail(err, WISP_E_DATA,
                         "\"%.500s\" had %lld bytes when the run began and has %s now", name,
                         (long long)bytes, fewer ? "fewer" : "more");
    return wisp_fail(err, WISP_E_DATA,
                     "\"%.500s\" had %lld bytes when the folder was listed and has %s now: delete "
                     "\"%s\" beside the data, or set index = \"scan\", to list them anew",
                     name, (long long)bytes, fewer ? "fewer" : "more", f->origin.file);
}

/* Asks for one byte more than is expected, so a file that has grown is noticed. */
static wisp_status read_file(const image_folder *f, int fd, const char *name, int64_t bytes,
                             uint8_t *data, wisp_error *err)
{
    int64_t done = 0;
    while (done <= bytes) {
        ssize_t n = read(fd, data + done, (size_t)(bytes + 1 - done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return read_failure("read", name, err);
        done += n;
        if (n == 0 || done == bytes)
            break;
    }
    return done == bytes ? WISP_OK : size_differs(f, name, bytes, done < bytes, err);
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const image_folder *f = self;
    const int64_t image = wisp_subset_at(&f->subset, index), bytes = f->index.bytes[image];
    char name[FOLDER_PATH_BYTES];
    folder_index_path(&f->index, image, name, sizeof name);
    if (bytes < 1 || bytes > MAX_FILE_BYTES)
        return wisp_fail(err, WISP_E_DATA, "\"%.500s\" has %lld bytes; an image has 1 to %lld",
                         name, (long long)bytes, (long long)MAX_FILE_BYTES);
    uint8_t *data = sink->reserve(sink, (size_t)bytes + 1);
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a file of %lld bytes", (long long)bytes);
    int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return read_failure("open", name, err);
    wisp_status status = read_file(f, fd, name, bytes, data, err);
    close(fd);
    if (status == WISP_OK)
        *sample = (wisp_sample){.form = WISP_SAMPLE_ENCODED, .data = data, .bytes = (size_t)bytes};
    return status;
}

static uint64_t fingerprint(const void *self)
{
    return ((const image_folder *)self)->fingerprint;
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
    .recognises = folder_recognises,
};

/* --- life --- */

static void destroy(void *self)
{
    image_folder *f = self;
    if (!f)
        return;
    wisp_subset_free(f->host, &f->subset);
    f->host->free(f->host, f->index.block);
    if (f->fd >= 0)
        close(f->fd);
    f->host->free(f->host, f);
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    image_folder *f = host->alloc(host, sizeof *f);
    if (!f)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a data set");
    f->host = host;
    f->fd = -1;
    const folder_config *o = config;
    wisp_status status = open_folder(f, config, err);
    if (status == WISP_OK)
        status = wisp_subset_choose(host, &vtable, f, &o->subset, &f->subset, err);
    if (status != WISP_OK) {
        destroy(f);
        return status;
    }
    f->fingerprint = wisp_subset_fingerprint(&f->subset, f->index.counts->fingerprint);
    tell_oddities(f, config);
    *self = f;
    return WISP_OK;
}

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "image_folder",
    .version = "0.1.0",
    .summary = "JPEG and PNG files in folders, one folder a class",
    .doc =
        "The folders in `path`, sorted by name, are the classes; images in folders below a class "
        "belong to it. A folder that holds images and no class folders has no labels. Files end "
        "in .jpg, .jpeg or .png in any case; names that begin with a dot are passed over; "
        "symbolic links are followed. Images are sorted by class, then by path. `list` takes the "
        "images that a file names, `fraction` draws a share of them with as many of each class.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(folder_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
