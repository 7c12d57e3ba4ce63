/* image_folder - images in folders: the folders below `path` are the classes.
 *
 * Names and sizes are listed once, when a run begins; a sample is then one open and one read. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <wisp/subset.h>

#include "folder_list.h"
#include "folder_look.h"

typedef struct folder_config {
    const char *path;
    int32_t labels;
    int32_t reserved;
    wisp_subset_options subset;
} folder_config;

typedef struct image_folder {
    const wisp_host *host;
    int fd; /* of the folder, so that a change of the working directory does no harm */
    folder_list list;
    wisp_subset subset;
    uint64_t fingerprint;
} image_folder;

/* No picture that can be decoded is larger. */
#define MAX_FILE_BYTES ((int64_t)1 << 30)

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
    const folder_list *list = &f->list;
    char text[128];
    if (!config->labels)
        return;
    if (list->n_classes == 0)
        write_log(f, WISP_LOG_INFO, config->path, "has no folders of images: there are no labels");
    if (list->n_classes == 1)
        write_log(f, WISP_LOG_WARNING, config->path,
                  "has one class only: tasks that need labels will say nothing");
    if (list->n_classes > 0 && list->n_empty > 0) {
        snprintf(text, sizeof text, "has %d of %d class folders without an image", list->n_empty,
                 list->n_classes);
        write_log(f, WISP_LOG_WARNING, config->path, text);
    }
}

static uint64_t fold(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *byte = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

static uint64_t find_fingerprint(const folder_list *list)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < list->n_images; i++) {
        const folder_image *image = &folder_images(list)[i];
        const char *name = folder_name(list, image->name);
        hash = fold(hash, name, strlen(name) + 1);
        hash = fold(hash, &image->bytes, sizeof image->bytes);
        hash = fold(hash, &image->label, sizeof image->label);
    }
    return hash;
}

static wisp_status open_folder(image_folder *f, const folder_config *config, wisp_error *err)
{
    char text[128];
    f->fd = open(config->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0)
        return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                         "cannot open the folder path = \"%.500s\": %s", config->path,
                         strerror_r(errno, text, sizeof text));
    WISP_TRY(folder_list_fill(&f->list, f->host, f->fd, config->labels, err));
    if (f->list.n_images == 0)
        return wisp_fail(err, WISP_E_DATA,
                         "path = \"%.500s\" holds no image: looked in it and in the folders below "
                         "for names that end in .jpg, .jpeg or .png and do not begin with a dot, "
                         "and saw %lld other files",
                         config->path, (long long)f->list.n_other);
    return WISP_OK;
}

/* --- use --- */

static const folder_image *image_at(const image_folder *f, int64_t index)
{
    return &folder_images(&f->list)[wisp_subset_at(&f->subset, index)];
}

static int64_t count(const void *self)
{
    const image_folder *f = self;
    return wisp_subset_count(&f->subset, f->list.n_images);
}

static int32_t n_classes(const void *self)
{
    return ((const image_folder *)self)->list.n_classes;
}

static const char *class_name(const void *self, int32_t label)
{
    const folder_list *list = &((const image_folder *)self)->list;
    if (label < 0 || label >= list->n_classes)
        return NULL;
    return folder_name(list, folder_classes(list)[label]);
}

static int32_t label_of(const void *self, int64_t index)
{
    return image_at(self, index)->label;
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const image_folder *f = self;
    snprintf(text, bytes, "%s", folder_name(&f->list, image_at(f, index)->name));
}

/* Too many open files and the like are no fault of this one. */
static wisp_status read_failure(const char *what, const char *name, wisp_error *err)
{
    char text[128];
    int shortage = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    return wisp_fail(err, shortage ? WISP_E_IO : WISP_E_DATA, "cannot %s \"%.500s\": %s", what,
                     name, strerror_r(errno, text, sizeof text));
}

/* Asks for one byte more than is expected, so a file that has grown is noticed. */
static wisp_status read_file(int fd, const char *name, int64_t bytes, uint8_t *data,
                             wisp_error *err)
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
    if (done != bytes)
        return wisp_fail(err, WISP_E_DATA,
                         "\"%.500s\" had %lld bytes when the run began and has %s now", name,
                         (long long)bytes, done < bytes ? "fewer" : "more");
    return WISP_OK;
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const image_folder *f = self;
    const folder_image *image = image_at(f, index);
    const char *name = folder_name(&f->list, image->name);
    if (image->bytes < 1 || image->bytes > MAX_FILE_BYTES)
        return wisp_fail(err, WISP_E_DATA, "\"%.500s\" has %lld bytes; an image has 1 to %lld",
                         name, (long long)image->bytes, (long long)MAX_FILE_BYTES);
    uint8_t *data = sink->reserve(sink, (size_t)image->bytes + 1);
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a file of %lld bytes",
                         (long long)image->bytes);
    int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return read_failure("open", name, err);
    wisp_status status = read_file(fd, name, image->bytes, data, err);
    close(fd);
    if (status == WISP_OK)
        *sample =
            (wisp_sample){.form = WISP_SAMPLE_ENCODED, .data = data, .bytes = (size_t)image->bytes};
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
    folder_list_free(&f->list);
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
    f->fingerprint = wisp_subset_fingerprint(&f->subset, find_fingerprint(&f->list));
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
