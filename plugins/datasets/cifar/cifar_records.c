/* cifar_records.c - reads the files of a split into memory, once. */
#include "cifar_records.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIDE = 32, PIXELS = SIDE * SIDE, NAME_BYTES = 64, MOST_FILES = 5, NAMES_FILE_BYTES = 4096 };

/* Larger than any data set in this form is likely to be, small enough to read at once. */
#define MAX_BYTES ((int64_t)1 << 36)

typedef struct cifar {
    const wisp_host *host;
    const cifar_kind *kind;
    const cifar_config *config;
    uint8_t *records;
    int64_t n;
    int32_t n_files;
    const char *const *files;
    int64_t first[MOST_FILES + 1]; /* record with which a file begins */
    char class_names[CIFAR_MOST_CLASSES][NAME_BYTES];
    wisp_subset subset;
} cifar;

static int32_t record_bytes(const cifar_kind *kind)
{
    return kind->n_labels + 3 * PIXELS;
}

static int32_t classes_of(const cifar *c)
{
    return c->kind->classes[c->config->label];
}

/* --- reading the files --- */

static wisp_status io_failure(const cifar_kind *kind, const char *what, const char *path,
                              wisp_error *err)
{
    char text[128];
    return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                     "cannot %s \"%.700s\": %s; `path` must name the folder of the binary version "
                     "of %s",
                     what, path, strerror_r(errno, text, sizeof text), kind->title);
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
static wisp_status read_bytes(const cifar_kind *kind, int fd, const char *path, uint8_t *data,
                              int64_t most, int64_t *got, wisp_error *err)
{
    int64_t done = 0;
    while (done < most) {
        ssize_t n = read(fd, data + done, (size_t)(most - done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_failure(kind, "read", path, err);
        if (n == 0)
            break;
        done += n;
    }
    *got = done;
    return WISP_OK;
}

static wisp_status check_size(const cifar_kind *kind, const char *path, const struct stat *status,
                              wisp_error *err)
{
    if (!S_ISREG(status->st_mode))
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.700s\" is no ordinary file", path);
    if (status->st_size < 1 || status->st_size % record_bytes(kind) != 0 ||
        status->st_size > MAX_BYTES)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "\"%.700s\" has %lld bytes, which is no multiple of %d: the file is no "
                         "part of the binary version of %s (%s) or not complete",
                         path, (long long)status->st_size, record_bytes(kind), kind->title,
                         kind->sizes);
    return WISP_OK;
}

/* Finds the files of the split and where their records will begin. */
static wisp_status find_files(cifar *c, wisp_error *err)
{
    int n = 0;
    c->files = c->config->split == CIFAR_TEST ? c->kind->test : c->kind->train;
    for (; n < MOST_FILES && c->files[n]; n++) {
        char path[PATH_MAX];
        struct stat status;
        WISP_TRY(join_path(path, c->config->path, c->files[n], err));
        if (stat(path, &status) != 0)
            return io_failure(c->kind, "find", path, err);
        WISP_TRY(check_size(c->kind, path, &status, err));
        c->first[n + 1] = c->first[n] + status.st_size / record_bytes(c->kind);
    }
    c->n_files = n;
    c->n = c->first[n];
    return WISP_OK;
}

static wisp_status check_labels(const cifar *c, int file, wisp_error *err)
{
    const uint8_t *record = c->records + c->first[file] * record_bytes(c->kind);
    for (int64_t i = c->first[file]; i < c->first[file + 1]; i++, record += record_bytes(c->kind))
        for (int32_t k = 0; k < c->kind->n_labels; k++)
            if (record[k] >= c->kind->classes[k])
                return wisp_fail(err, WISP_E_CORRUPT, "%s: image %lld has label %d, not 0 to %d",
                                 c->files[file], (long long)(i - c->first[file]), record[k],
                                 c->kind->classes[k] - 1);
    return WISP_OK;
}

static wisp_status read_file(cifar *c, int file, wisp_error *err)
{
    char path[PATH_MAX];
    const int64_t from = c->first[file] * record_bytes(c->kind);
    const int64_t wanted = c->first[file + 1] * record_bytes(c->kind) - from;
    int64_t got = 0;
    WISP_TRY(join_path(path, c->config->path, c->files[file], err));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_failure(c->kind, "open", path, err);
    wisp_status status = read_bytes(c->kind, fd, path, c->records + from, wanted, &got, err);
    close(fd);
    if (status == WISP_OK && got != wanted)
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.700s\" ends before its size says", path);
    return status == WISP_OK ? check_labels(c, file, err) : status;
}

static wisp_status read_split(cifar *c, wisp_error *err)
{
    WISP_TRY(find_files(c, err));
    c->records = c->host->alloc(c->host, (size_t)(c->n * record_bytes(c->kind)));
    if (!c->records)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %lld images", (long long)c->n);
    for (int file = 0; file < c->n_files; file++)
        WISP_TRY(read_file(c, file, err));
    return WISP_OK;
}

static void split_names(cifar *c, char *text)
{
    char *rest = NULL;
    char *line = strtok_r(text, "\r\n", &rest);
    for (int label = 0; line && label < classes_of(c); line = strtok_r(NULL, "\r\n", &rest))
        snprintf(c->class_names[label++], NAME_BYTES, "%.*s", NAME_BYTES - 1, line);
}

/* The names are a convenience: a folder without them will do. */
static wisp_status read_names(cifar *c, wisp_error *err)
{
    char path[PATH_MAX], text[NAMES_FILE_BYTES + 1];
    int64_t got = 0;
    for (int label = 0; label < classes_of(c); label++)
        snprintf(c->class_names[label], NAME_BYTES, "%d", label);
    WISP_TRY(join_path(path, c->config->path, c->kind->names[c->config->label], err));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return WISP_OK;
    wisp_status status =
        read_bytes(c->kind, fd, path, (uint8_t *)text, NAMES_FILE_BYTES, &got, err);
    close(fd);
    if (status != WISP_OK)
        return status;
    text[got] = 0;
    split_names(c, text);
    return WISP_OK;
}

/* --- use --- */

int64_t cifar_count(const void *self)
{
    const cifar *c = self;
    return wisp_subset_count(&c->subset, c->n);
}

int32_t cifar_n_classes(const void *self)
{
    return classes_of(self);
}

const char *cifar_class_name(const void *self, int32_t label)
{
    const cifar *c = self;
    return label < 0 || label >= classes_of(c) ? NULL : c->class_names[label];
}

static const uint8_t *record_at(const cifar *c, int64_t index)
{
    return c->records + wisp_subset_at(&c->subset, index) * record_bytes(c->kind);
}

int32_t cifar_label(const void *self, int64_t index)
{
    const cifar *c = self;
    return record_at(c, index)[c->config->label];
}

void cifar_sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const cifar *c = self;
    int file = 0;
    index = wisp_subset_at(&c->subset, index);
    while (file + 1 < c->n_files && index >= c->first[file + 1])
        file++;
    snprintf(text, bytes, "%s image %lld", c->files[file], (long long)(index - c->first[file]));
}

wisp_status cifar_read(const void *self, int64_t index, wisp_sample_sink *sink, wisp_sample *sample,
                       wisp_error *err)
{
    const cifar *c = self;
    const uint8_t *plane = record_at(c, index) + c->kind->n_labels;
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
 * are left over are taken with those before them. Which label counts makes another data set. */
uint64_t cifar_fingerprint(const void *self)
{
    const cifar *c = self;
    uint64_t hash = (uint64_t)c->n + (uint64_t)c->config->label;
    for (int64_t at = 0, bytes = c->n * record_bytes(c->kind); at < bytes; at += 8) {
        uint64_t word;
        memcpy(&word, c->records + (at + 8 <= bytes ? at : bytes - 8), sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return wisp_subset_fingerprint(&c->subset, hash);
}

int32_t cifar_recognises(const cifar_kind *kind, const char *folder)
{
    const char *const files[] = {kind->train[0], kind->test[0]};
    for (size_t i = 0; i < WISP_COUNT(files); i++) {
        char path[PATH_MAX];
        struct stat status;
        if (join_path(path, folder, files[i], NULL) == WISP_OK && stat(path, &status) == 0 &&
            check_size(kind, path, &status, NULL) == WISP_OK)
            return 95;
    }
    return 0;
}

/* --- life --- */

void cifar_destroy(void *self)
{
    cifar *c = self;
    if (!c)
        return;
    wisp_subset_free(c->host, &c->subset);
    c->host->free(c->host, c->records);
    c->host->free(c->host, c);
}

wisp_status cifar_create(const wisp_host *host, const cifar_kind *kind,
                         const wisp_dataset_v0 *vtable, const cifar_config *config, void **self,
                         wisp_error *err)
{
    cifar *c = host->alloc(host, sizeof *c);
    if (!c)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a data set");
    c->host = host;
    c->kind = kind;
    c->config = config;
    wisp_status status = read_split(c, err);
    if (status == WISP_OK)
        status = read_names(c, err);
    if (status == WISP_OK)
        status = wisp_subset_choose(host, vtable, c, &config->subset, &c->subset, err);
    if (status == WISP_OK)
        *self = c;
    else
        cifar_destroy(c);
    return status;
}
