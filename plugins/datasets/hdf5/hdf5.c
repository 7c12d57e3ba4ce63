/* hdf5 - images in one HDF5 file: a group for each class, in it a data set of bytes for each image.
 *
 * libhdf5 is asked once where the bytes of each image stand, in a process of its own; from then on
 * a sample is one plain read, and any number of threads read at once. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <wisp/cache_file.h>
#include <wisp/subset.h>

#include "layout_index.h"
#include "layout_reader.h"

typedef struct hdf5_config {
    const char *path;
    int32_t labels;
    int32_t reserved;
    wisp_subset_options subset;
} hdf5_config;

/* What the file looked like when its layout was read. Which file it was is not asked: the numbers
 * of a file differ between machines that share it. */
typedef struct file_state {
    int64_t bytes;
    int64_t seconds, nanoseconds; /* of the last change */
} file_state;

typedef struct hdf5_set {
    const wisp_host *host;
    const char *path;
    int fd;
    int32_t labels;
    file_state state;
    layout_index index;
    wisp_subset subset;
    uint64_t fingerprint;
} hdf5_set;

/* Of the records, in the cache. */
enum { LAYOUT_VERSION = 1 };

/* Smaller files are read anew in less than a blink, and get no second file beside them. */
enum { CACHED_IMAGES = 1000, SETTLED_SECONDS = 2 };

/* What takes seconds is told beforehand. */
#define TOLD_BYTES ((int64_t)1 << 28)

/* No picture that can be decoded is larger. */
#define MAX_IMAGE_BYTES ((int64_t)1 << 30)

static const wisp_option options[] = {
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .flags = WISP_OPTION_REQUIRED,
     .offset = offsetof(hdf5_config, path),
     .help = "HDF5 file of one split"},
    {.key = "labels",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(hdf5_config, labels),
     .default_value = "true",
     .help = "whether the groups are classes; false: the same images without classes"},
    WISP_SUBSET_OPTIONS(offsetof(hdf5_config, subset)),
};

/* --- the file --- */

/* Where libhdf5 looks for a file's beginning: at 0, 512, 1024, 2048 and so on. */
enum { SIGNATURES = 8, FIRST_BLOCK = 512 };

static int has_signature(int fd)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    off_t at = 0;
    for (int i = 0; i < SIGNATURES; i++) {
        char bytes[sizeof signature];
        if (pread(fd, bytes, sizeof bytes, at) == (ssize_t)sizeof bytes &&
            memcmp(bytes, signature, sizeof bytes) == 0)
            return 1;
        at = at == 0 ? FIRST_BLOCK : 2 * at;
    }
    return 0;
}

static file_state state_of(const struct stat *status)
{
    return (file_state){.bytes = status->st_size,
                        .seconds = status->st_mtim.tv_sec,
                        .nanoseconds = status->st_mtim.tv_nsec};
}

static wisp_status open_file(hdf5_set *s, wisp_error *err)
{
    struct stat status;
    char text[128];
    /* O_NONBLOCK: a pipe of this name must not stop the run. */
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (s->fd < 0 || fstat(s->fd, &status) != 0)
        return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                         "cannot open path = \"%.500s\": %s", s->path,
                         strerror_r(errno, text, sizeof text));
    if (!S_ISREG(status.st_mode) || !has_signature(s->fd))
        return wisp_fail(
            err, WISP_E_DATA,
            "path = \"%.500s\" is no HDF5 file: one with a group for each class and in "
            "it a data set of bytes for each image is expected",
            s->path);
    s->state = state_of(&status);
    return WISP_OK;
}

static void write_log(const hdf5_set *s, int32_t level, const char *what)
{
    char line[700];
    snprintf(line, sizeof line, "\"%.400s\" %s", s->path, what);
    s->host->log(s->host, level, line);
}

/* --- the layout --- */

/* The program lies beside this plugin, wherever that was loaded from. */
static wisp_status find_program(char program[PATH_MAX], wisp_error *err)
{
    static const char here = 0;
    Dl_info info;
    if (!dladdr(&here, &info) || !info.dli_fname)
        return wisp_fail(err, WISP_E_INTERNAL, "the plugin hdf5 does not find its own file");
    const char *slash = strrchr(info.dli_fname, '/');
    const int folder = slash ? (int)(slash - info.dli_fname) : 1;
    const int length =
        snprintf(program, PATH_MAX, "%.*s/wisp-hdf5-layout", folder, slash ? info.dli_fname : ".");
    if (length < 0 || length >= PATH_MAX)
        return wisp_fail(err, WISP_E_INVALID, "\"%.200s...\" is too long", info.dli_fname);
    return WISP_OK;
}

/* Also notices a file that was put in the place of the one that is open. */
static wisp_status check_unchanged(const hdf5_set *s, wisp_error *err)
{
    struct stat opened, there;
    if (fstat(s->fd, &opened) == 0 && stat(s->path, &there) == 0) {
        const file_state now = state_of(&there);
        if (memcmp(&now, &s->state, sizeof now) == 0 && opened.st_ino == there.st_ino)
            return WISP_OK;
    }
    return wisp_fail(err, WISP_E_DATA, "\"%.500s\" changes while its layout is read", s->path);
}

static wisp_status say_which_file(const hdf5_set *s, wisp_status status, wisp_error *err)
{
    char said[sizeof err->message];
    if (status != WISP_E_DATA || !err || strstr(err->message, s->path))
        return status;
    snprintf(said, sizeof said, "%s", err->message);
    return wisp_fail(err, status, "\"%.300s\": %.600s", s->path, said);
}

static wisp_status ask_program(hdf5_set *s, layout_bytes *records, wisp_error *err)
{
    char program[PATH_MAX];
    /* Each object's header in the file is longer than a record, and each name stands in it. */
    const size_t most = (size_t)s->state.bytes * 4 + ((size_t)1 << 20);
    WISP_TRY(find_program(program, err));
    if (s->state.bytes >= TOLD_BYTES)
        write_log(s, WISP_LOG_INFO, "is looked through for its images, which may take a while");
    WISP_TRY(layout_reader_run(s->host, program, s->path, LAYOUT_PATIENCE, most, records, err));
    wisp_status status = check_unchanged(s, err);
    if (status == WISP_OK)
        status = layout_index_fill(&s->index, s->host, records->data, records->used, err);
    if (status != WISP_OK)
        s->host->free(s->host, records->data);
    return say_which_file(s, status, err);
}

/* --- its cache --- */

static uint64_t cache_key(const hdf5_set *s)
{
    const char *slash = strrchr(s->path, '/');
    const char *name = slash ? slash + 1 : s->path;
    return wisp_hash64(name, strlen(name), 0);
}

/* 0 where there can be none. The caller closes `folder`. */
static int find_cache(const hdf5_set *s, char folder[PATH_MAX], wisp_cache_file *cache)
{
    const char *slash = strrchr(s->path, '/');
    const int length = slash == s->path ? 1 : slash ? (int)(slash - s->path) : 1;
    if (length >= PATH_MAX)
        return 0;
    snprintf(folder, PATH_MAX, "%.*s", length, slash ? s->path : ".");
    *cache = (wisp_cache_file){.host = s->host,
                               .plugin = "hdf5",
                               .where = folder,
                               .key = cache_key(s),
                               .folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                               .version = LAYOUT_VERSION};
    return cache->folder >= 0;
}

/* Whether the file is the one of which a cache's content speaks; a copy elsewhere is another. */
static int speaks_of(const hdf5_set *s, const uint8_t *content, size_t bytes)
{
    return bytes >= sizeof s->state && memcmp(content, &s->state, sizeof s->state) == 0;
}

static int read_cache(hdf5_set *s, const wisp_cache_file *cache)
{
    void *content;
    size_t bytes;
    wisp_error why = {0};
    if (!wisp_cache_read(cache, &content, &bytes))
        return 0;
    int good = speaks_of(s, content, bytes);
    if (good && layout_index_fill(&s->index, s->host, (const uint8_t *)content + sizeof s->state,
                                  bytes - sizeof s->state, &why) != WISP_OK) {
        good = 0;
        wisp_cache_passed_over(cache, why.message);
    }
    s->host->free(s->host, content);
    return good;
}

/* A file that has just been written may be written again within the same tick of a coarse clock. */
static int is_worth_keeping(const hdf5_set *s)
{
    return s->index.n_images >= CACHED_IMAGES && s->state.seconds + SETTLED_SECONDS < time(NULL);
}

static void write_cache(const hdf5_set *s, const wisp_cache_file *cache,
                        const layout_bytes *records)
{
    const size_t bytes = sizeof s->state + records->used;
    uint8_t *content = is_worth_keeping(s) ? s->host->alloc(s->host, bytes) : NULL;
    if (!content)
        return;
    memcpy(content, &s->state, sizeof s->state);
    memcpy(content + sizeof s->state, records->data, records->used);
    wisp_cache_write(cache, content, bytes);
    s->host->free(s->host, content);
}

static wisp_status read_layout(hdf5_set *s, wisp_error *err)
{
    char folder[PATH_MAX];
    layout_bytes records = {0};
    wisp_cache_file cache = {0};
    const int can_be_kept = find_cache(s, folder, &cache);
    if (can_be_kept && read_cache(s, &cache)) {
        close(cache.folder);
        return WISP_OK;
    }
    const wisp_status status = ask_program(s, &records, err);
    if (status == WISP_OK) {
        if (can_be_kept)
            write_cache(s, &cache, &records);
        s->host->free(s->host, records.data);
    }
    if (can_be_kept)
        close(cache.folder);
    return status;
}

/* --- use --- */

static const layout_image *image_at(const hdf5_set *s, int64_t index)
{
    return &s->index.images[wisp_subset_at(&s->subset, index)];
}

static int64_t count(const void *self)
{
    const hdf5_set *s = self;
    return wisp_subset_count(&s->subset, s->index.n_images);
}

static int32_t n_classes(const void *self)
{
    const hdf5_set *s = self;
    return s->labels ? s->index.n_classes : 0;
}

static const char *class_name(const void *self, int32_t label)
{
    const hdf5_set *s = self;
    if (label < 0 || label >= n_classes(self))
        return NULL;
    return s->index.names + s->index.classes[label];
}

static int32_t label_of(const void *self, int64_t index)
{
    return image_at(self, index)->label;
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const hdf5_set *s = self;
    const layout_image *image = image_at(s, index);
    const char *names = s->index.names;
    if (image->label < 0)
        snprintf(text, bytes, "%s", names + image->name);
    else
        snprintf(text, bytes, "%s/%s", names + s->index.classes[image->label], names + image->name);
}

static wisp_status read_failure(const hdf5_set *s, int64_t index, const char *what, wisp_error *err)
{
    char name[600];
    sample_name(s, index, name, sizeof name);
    return wisp_fail(err, WISP_E_DATA, "\"%.300s\" in \"%.300s\" %s", name, s->path, what);
}

static wisp_status read_bytes(const hdf5_set *s, int64_t index, uint8_t *data, wisp_error *err)
{
    const layout_image *image = image_at(s, index);
    int64_t done = 0;
    while (done < image->bytes) {
        char text[160], reason[128];
        const ssize_t n =
            pread(s->fd, data + done, (size_t)(image->bytes - done), image->offset + done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            snprintf(text, sizeof text, "cannot be read: %s",
                     strerror_r(errno, reason, sizeof reason));
            return read_failure(s, index, text, err);
        }
        if (n == 0)
            return read_failure(s, index, "lies behind the end of the file, which is cut short",
                                err);
        done += n;
    }
    return WISP_OK;
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const hdf5_set *s = self;
    const int64_t bytes = image_at(s, index)->bytes;
    if (bytes < 1 || bytes > MAX_IMAGE_BYTES) {
        char what[96];
        snprintf(what, sizeof what, "has %" PRId64 " bytes; an image has 1 to %" PRId64, bytes,
                 MAX_IMAGE_BYTES);
        return read_failure(s, index, what, err);
    }
    uint8_t *data = sink->reserve(sink, (size_t)bytes);
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image of %lld bytes",
                         (long long)bytes);
    WISP_TRY(read_bytes(s, index, data, err));
    *sample = (wisp_sample){.form = WISP_SAMPLE_ENCODED, .data = data, .bytes = (size_t)bytes};
    return WISP_OK;
}

static uint64_t fingerprint(const void *self)
{
    return ((const hdf5_set *)self)->fingerprint;
}

/* Where the bytes stand does not matter: a file that was written anew holds the same data. */
static uint64_t find_fingerprint(const hdf5_set *s)
{
    uint64_t hash = (uint64_t)s->labels;
    for (int32_t k = 0; k < s->index.n_classes; k++) {
        const char *name = s->index.names + s->index.classes[k];
        hash = wisp_hash64(name, strlen(name) + 1, hash);
    }
    for (int64_t i = 0; i < s->index.n_images; i++) {
        const layout_image *image = &s->index.images[i];
        const char *name = s->index.names + image->name;
        hash = wisp_hash64(name, strlen(name) + 1, hash ^ (uint64_t)(uint32_t)image->label);
        hash = wisp_hash64(&image->bytes, sizeof image->bytes, hash);
    }
    return hash;
}

static int32_t recognises(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return 0;
    struct stat status;
    const int found = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && has_signature(fd);
    close(fd);
    return found ? 100 : 0;
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
    .recognises = recognises,
};

/* --- life --- */

static void destroy(void *self)
{
    hdf5_set *s = self;
    if (!s)
        return;
    wisp_subset_free(s->host, &s->subset);
    layout_index_free(&s->index);
    if (s->fd >= 0)
        close(s->fd);
    s->host->free(s->host, s);
}

static wisp_status check_images(const hdf5_set *s, wisp_error *err)
{
    if (s->index.n_images > 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_DATA,
                     "path = \"%.500s\" holds no image: looked in it for groups, one a class, and "
                     "in these for data sets of bytes; saw %d empty groups and %lld other things",
                     s->path, s->index.n_empty, (long long)s->index.n_other);
}

/* What is allowed but seldom meant. */
static void tell_oddities(const hdf5_set *s)
{
    const layout_index *x = &s->index;
    char text[160];
    if (s->labels && x->n_classes == 0)
        write_log(s, WISP_LOG_INFO, "has no groups of images: there are no labels");
    if (s->labels && x->n_classes == 1)
        write_log(s, WISP_LOG_WARNING,
                  "has one class only: tasks that need labels will say nothing");
    if (s->labels && x->n_classes > 0 && x->n_empty > 0) {
        snprintf(text, sizeof text, "has %d of %d groups without an image", x->n_empty,
                 x->n_classes);
        write_log(s, WISP_LOG_WARNING, text);
    }
    if (x->n_other > 0) {
        snprintf(text, sizeof text,
                 "holds %lld things that are passed over: beside the groups of classes, or links "
                 "that lead elsewhere",
                 (long long)x->n_other);
        write_log(s, WISP_LOG_INFO, text);
    }
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    const hdf5_config *o = config;
    hdf5_set *s = host->alloc(host, sizeof *s);
    if (!s)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a data set");
    s->host = host;
    s->path = o->path;
    s->labels = o->labels;
    s->fd = -1;
    wisp_status status = open_file(s, err);
    if (status == WISP_OK)
        status = read_layout(s, err);
    if (status == WISP_OK)
        status = check_images(s, err);
    if (status == WISP_OK)
        status = wisp_subset_choose(host, &vtable, s, &o->subset, &s->subset, err);
    if (status != WISP_OK) {
        destroy(s);
        return status;
    }
    s->fingerprint = wisp_subset_fingerprint(&s->subset, find_fingerprint(s));
    tell_oddities(s);
    *self = s;
    return WISP_OK;
}

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "hdf5",
    .version = "0.1.0",
    .summary = "JPEG and PNG files in one HDF5 file, one group a class",
    .doc =
        "Each group of the file is a class, sorted by name, and each data set in it an image: the "
        "bytes of a JPEG or PNG file, one dimension of 8-bit integers or one opaque value, neither "
        "chunked nor compressed. Images are sorted by class, then by name. A file of such data "
        "sets without groups has no labels. libhdf5 reads the layout once, in a process of its "
        "own, and it is kept beside the file; samples are plain reads. `list` takes the images "
        "that a file names, `fraction` draws a share of them with as many of each class.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(hdf5_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
