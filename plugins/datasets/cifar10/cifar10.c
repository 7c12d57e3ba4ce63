/* cifar10 - the binary version of CIFAR-10: records of one label byte and 32 x 32 pixels in three
 * planes. The files of a split are read into memory once. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <wisp/subset.h>

enum { SIDE = 32, PIXELS = SIDE * SIDE, RECORD = 1 + 3 * PIXELS, CLASSES = 10, NAME_BYTES = 64 };
enum { TRAIN = 1, TEST = 2, MAX_FILES = 5, RECORDS_PER_FILE = 10000, NAMES_FILE_BYTES = 4096 };

/* Larger than any data set in this form is likely to be, small enough to read at once. */
#define MAX_BYTES ((int64_t)1 << 36)

typedef struct cifar10_config {
    const char *path;
    int32_t split;
    int32_t reserved;
    wisp_subset_options subset;
} cifar10_config;

typedef struct cifar10 {
    const wisp_host *host;
    uint8_t *records;
    int64_t n;
    int32_t n_files;
    char files[MAX_FILES][32];
    int64_t first[MAX_FILES + 1]; /* record with which a file begins */
    char class_names[CLASSES][NAME_BYTES];
    wisp_subset subset;
} cifar10;

static const wisp_choice splits[] = {
    {"train", "data_batch_1.bin to data_batch_5.bin", TRAIN, 0},
    {"test", "test_batch.bin", TEST, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_option options[] = {
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .flags = WISP_OPTION_REQUIRED,
     .offset = offsetof(cifar10_config, path),
     .help = "folder of the .bin files (cifar-10-batches-bin)"},
    {.key = "split",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(cifar10_config, split),
     .default_value = "\"train\"",
     .choices = splits,
     .help = "which images"},
    WISP_SUBSET_OPTIONS(offsetof(cifar10_config, subset)),
};

/* --- reading the files --- */

static wisp_status io_failure(const char *what, const char *path, wisp_error *err)
{
    char text[128];
    return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                     "cannot %s \"%.700s\": %s; `path` must name the folder of the binary version "
                     "of CIFAR-10",
                     what, path, strerror_r(errno, text, sizeof text));
}

static wisp_status join_path(char path[PATH_MAX], const char *folder, const char *file,
                             wisp_error *err)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", folder, file);
    if (length < 0 || length >= PATH_MAX)
        return wisp_fail(err, WISP_E_INVALID, "path = \"%.200s...\" is too long", folder);
    return WISP_OK;
}

/* Reads at most `most` bytes. */
static wisp_status read_bytes(int fd, const char *path, uint8_t *data, int64_t most, int64_t *got,
                              wisp_error *err)
{
    int64_t done = 0;
    while (done < most) {
        ssize_t n = read(fd, data + done, (size_t)(most - done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_failure("read", path, err);
        if (n == 0)
            break;
        done += n;
    }
    *got = done;
    return WISP_OK;
}

static wisp_status check_size(const char *path, const struct stat *status, wisp_error *err)
{
    if (!S_ISREG(status->st_mode))
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.700s\" is no ordinary file", path);
    if (status->st_size < 1 || status->st_size % RECORD != 0 || status->st_size > MAX_BYTES)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "\"%.700s\" has %lld bytes, which is no multiple of %d: the file is no "
                         "part of the binary version of CIFAR-10 (%d bytes each) or not complete",
                         path, (long long)status->st_size, RECORD, RECORD * RECORDS_PER_FILE);
    return WISP_OK;
}

/* Lists the files of the split and where their records will begin. */
static wisp_status find_files(cifar10 *c, const cifar10_config *config, wisp_error *err)
{
    int n = config->split == TEST ? 1 : MAX_FILES;
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX], *file = c->files[i];
        struct stat status;
        if (config->split == TEST)
            snprintf(file, sizeof c->files[i], "test_batch.bin");
        else
            snprintf(file, sizeof c->files[i], "data_batch_%d.bin", i + 1);
        WISP_TRY(join_path(path, config->path, file, err));
        if (stat(path, &status) != 0)
            return io_failure("find", path, err);
        WISP_TRY(check_size(path, &status, err));
        c->first[i + 1] = c->first[i] + status.st_size / RECORD;
    }
    c->n_files = n;
    c->n = c->first[n];
    return WISP_OK;
}

static wisp_status check_labels(const cifar10 *c, int file, wisp_error *err)
{
    for (int64_t i = c->first[file]; i < c->first[file + 1]; i++)
        if (c->records[i * RECORD] >= CLASSES)
            return wisp_fail(err, WISP_E_CORRUPT, "%s: image %lld has label %d, not 0 to %d",
                             c->files[file], (long long)(i - c->first[file]),
                             c->records[i * RECORD], CLASSES - 1);
    return WISP_OK;
}

static wisp_status read_file(cifar10 *c, const char *folder, int file, wisp_error *err)
{
    char path[PATH_MAX];
    int64_t got = 0, wanted = (c->first[file + 1] - c->first[file]) * RECORD;
    WISP_TRY(join_path(path, folder, c->files[file], err));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_failure("open", path, err);
    wisp_status status =
        read_bytes(fd, path, c->records + c->first[file] * RECORD, wanted, &got, err);
    close(fd);
    if (status == WISP_OK && got != wanted)
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.700s\" ends before its size says", path);
    return status == WISP_OK ? check_labels(c, file, err) : status;
}

static wisp_status read_split(cifar10 *c, const cifar10_config *config, wisp_error *err)
{
    WISP_TRY(find_files(c, config, err));
    c->records = c->host->alloc(c->host, (size_t)(c->n * RECORD));
    if (!c->records)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %lld images", (long long)c->n);
    for (int file = 0; file < c->n_files; file++)
        WISP_TRY(read_file(c, config->path, file, err));
    return WISP_OK;
}

static void split_names(cifar10 *c, char *text)
{
    char *rest = NULL;
    char *line = strtok_r(text, "\r\n", &rest);
    for (int label = 0; line && label < CLASSES; line = strtok_r(NULL, "\r\n", &rest))
        snprintf(c->class_names[label++], NAME_BYTES, "%.*s", NAME_BYTES - 1, line);
}

/* The names are a convenience: a folder without batches.meta.txt will do. */
static wisp_status read_names(cifar10 *c, const char *folder, wisp_error *err)
{
    char path[PATH_MAX], text[NAMES_FILE_BYTES + 1];
    int64_t got = 0;
    for (int label = 0; label < CLASSES; label++)
        snprintf(c->class_names[label], NAME_BYTES, "%d", label);
    WISP_TRY(join_path(path, folder, "batches.meta.txt", err));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return WISP_OK;
    wisp_status status = read_bytes(fd, path, (uint8_t *)text, NAMES_FILE_BYTES, &got, err);
    close(fd);
    if (status != WISP_OK)
        return status;
    text[got] = 0;
    split_names(c, text);
    return WISP_OK;
}

/* --- use --- */

static int64_t count(const void *self)
{
    const cifar10 *c = self;
    return wisp_subset_count(&c->subset, c->n);
}

static int32_t n_classes(const void *self)
{
    (void)self;
    return CLASSES;
}

static const char *class_name(const void *self, int32_t label)
{
    return label < 0 || label >= CLASSES ? NULL : ((const cifar10 *)self)->class_names[label];
}

static const uint8_t *record_at(const cifar10 *c, int64_t index)
{
    return c->records + wisp_subset_at(&c->subset, index) * RECORD;
}

static int32_t label_of(const void *self, int64_t index)
{
    return *record_at(self, index);
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const cifar10 *c = self;
    int file = 0;
    index = wisp_subset_at(&c->subset, index);
    while (file + 1 < c->n_files && index >= c->first[file + 1])
        file++;
    snprintf(text, bytes, "%s image %lld", c->files[file], (long long)(index - c->first[file]));
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const uint8_t *plane = record_at(self, index) + 1;
    uint8_t *rgb = sink->reserve(sink, (size_t)3 * PIXELS);
    if (!rgb)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image of %d px", SIDE);
    for (int i = 0; i < PIXELS; i++) {
        rgb[3 * i] = plane[i];
        rgb[3 * i + 1] = plane[PIXELS + i];
        rgb[3 * i + 2] = plane[2 * PIXELS + i];
    }
    *sample = (wisp_sample){.form = WISP_SAMPLE_RGB8,
                            .width = SIDE,
                            .height = SIDE,
                            .data = rgb,
                            .bytes = (size_t)3 * PIXELS};
    return WISP_OK;
}

/* Everything is in memory, so the content itself is looked at, eight bytes at a time; bytes that
 * are left over are taken with those before them. */
static uint64_t fingerprint(const void *self)
{
    const cifar10 *c = self;
    uint64_t hash = (uint64_t)c->n;
    for (int64_t at = 0, bytes = c->n * RECORD; at < bytes; at += 8) {
        uint64_t word;
        memcpy(&word, c->records + (at + 8 <= bytes ? at : bytes - 8), sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return wisp_subset_fingerprint(&c->subset, hash);
}

static int looks_like_records(const char *folder, const char *file)
{
    char path[PATH_MAX];
    struct stat status;
    return join_path(path, folder, file, NULL) == WISP_OK && stat(path, &status) == 0 &&
           check_size(path, &status, NULL) == WISP_OK;
}

static int32_t recognises(const char *path)
{
    return looks_like_records(path, "data_batch_1.bin") ||
                   looks_like_records(path, "test_batch.bin")
               ? 95
               : 0;
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
    cifar10 *c = self;
    if (!c)
        return;
    wisp_subset_free(c->host, &c->subset);
    c->host->free(c->host, c->records);
    c->host->free(c->host, c);
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    const cifar10_config *o = config;
    cifar10 *c = host->alloc(host, sizeof *c);
    if (!c)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a data set");
    c->host = host;
    wisp_status status = read_split(c, o, err);
    if (status == WISP_OK)
        status = read_names(c, o->path, err);
    if (status == WISP_OK)
        status = wisp_subset_choose(host, &vtable, c, &o->subset, &c->subset, err);
    if (status == WISP_OK)
        *self = c;
    else
        destroy(c);
    return status;
}

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "cifar10",
    .version = "0.1.0",
    .summary = "the binary version of CIFAR-10",
    .doc =
        "Reads data_batch_1.bin to data_batch_5.bin, or test_batch.bin, from `path` into memory "
        "(150 MB or 30 MB), and the names of the classes from batches.meta.txt where it is "
        "there. A file may hold any number of records of 3073 bytes. `list` and `fraction` take a "
        "part of the images.",
    .license = "Apache-2.0",
    .reference = "Krizhevsky, Learning multiple layers of features from tiny images, 2009",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(cifar10_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
