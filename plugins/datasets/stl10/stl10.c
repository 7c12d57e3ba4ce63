/* stl10 - the binary version of STL-10: 96 x 96 pixels in three planes, column by column. Labels
 * are read into memory, images one by one from their files: those without labels are 2.8 GB. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <wisp/hash64.h>
#include <wisp/subset.h>

enum { SIDE = 96, PIXELS = SIDE * SIDE, IMAGE = 3 * PIXELS, CLASSES = 10, NAME_BYTES = 64 };
enum { TRAIN = 1, TEST = 2, UNLABELED = 3, TRAIN_AND_UNLABELED = 4, MOST_FILES = 2 };
enum { NAMES_FILE_BYTES = 4096, FOLDS_FILE_BYTES = 1 << 20, ALL_FOLDS = -1, PROBES = 16 };

typedef struct stl10_config {
    const char *path;
    int32_t split;
    int32_t reserved;
    int64_t fold;
    wisp_subset_options subset;
} stl10_config;

typedef struct stl10 {
    const wisp_host *host;
    const stl10_config *config;
    int32_t n_files;
    int fd[MOST_FILES];
    const char *file[MOST_FILES];
    int64_t first[MOST_FILES + 1]; /* image with which a file begins */
    uint8_t *labels;               /* from 0; NULL: none */
    int64_t *fold;                 /* images of the chosen fold; NULL: all */
    int64_t n_fold;
    char class_names[CLASSES][NAME_BYTES];
    wisp_subset subset;
    uint64_t fingerprint;
} stl10;

static const wisp_choice splits[] = {
    {"train", "train_X.bin with labels", TRAIN, 0},
    {"test", "test_X.bin with labels", TEST, 0},
    {"unlabeled", "unlabeled_X.bin", UNLABELED, 0},
    {"train+unlabeled", "train_X.bin, then unlabeled_X.bin; no labels", TRAIN_AND_UNLABELED, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_option options[] = {
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .flags = WISP_OPTION_REQUIRED,
     .offset = offsetof(stl10_config, path),
     .help = "folder of the .bin files (stl10_binary)"},
    {.key = "split",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(stl10_config, split),
     .default_value = "\"train\"",
     .choices = splits,
     .help = "which images"},
    {.key = "fold",
     .type = WISP_OPTION_I64,
     .offset = offsetof(stl10_config, fold),
     .default_value = "-1",
     .min = ALL_FOLDS,
     .max = 9,
     .help = "of split = \"train\" the images of one of the ten published folds only; -1: all"},
    WISP_SUBSET_OPTIONS(offsetof(stl10_config, subset)),
};

/* --- files --- */

static wisp_status io_failure(const char *what, const char *path, wisp_error *err)
{
    char text[128];
    return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                     "cannot %s \"%.700s\": %s; `path` must name the folder of the binary version "
                     "of STL-10",
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

/* Until `most` bytes are there, the file ends, or reading fails; -1 then. */
static int64_t read_at(int fd, void *data, int64_t most, int64_t at)
{
    int64_t done = 0;
    while (done < most) {
        ssize_t n = pread(fd, (char *)data + done, (size_t)(most - done), at + done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += n;
    }
    return done;
}

static wisp_status check_images(const char *path, const struct stat *status, wisp_error *err)
{
    if (!S_ISREG(status->st_mode))
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.700s\" is no ordinary file", path);
    if (status->st_size < 1 || status->st_size % IMAGE != 0)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "\"%.700s\" has %lld bytes, which is no multiple of %d: the file is no "
                         "part of the binary version of STL-10 (train_X.bin has 138240000 bytes, "
                         "test_X.bin 221184000, unlabeled_X.bin 2764800000) or not complete",
                         path, (long long)status->st_size, IMAGE);
    return WISP_OK;
}

static wisp_status open_images(stl10 *s, const char *file, wisp_error *err)
{
    char path[PATH_MAX];
    struct stat status;
    const int32_t n = s->n_files;
    WISP_TRY(join_path(path, s->config->path, file, err));
    s->fd[n] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (s->fd[n] < 0)
        return io_failure("open", path, err);
    s->file[n] = file;
    s->n_files++;
    if (fstat(s->fd[n], &status) != 0)
        return io_failure("look at", path, err);
    WISP_TRY(check_images(path, &status, err));
    s->first[n + 1] = s->first[n] + status.st_size / IMAGE;
    return WISP_OK;
}

/* Reads a whole file of at most `most` bytes; its true size, however large, into `bytes`. */
static wisp_status read_file(const stl10 *s, const char *file, void *data, int64_t most,
                             int64_t *bytes, wisp_error *err)
{
    char path[PATH_MAX];
    struct stat status;
    WISP_TRY(join_path(path, s->config->path, file, err));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return io_failure("open", path, err);
    const int known = fstat(fd, &status) == 0;
    const int64_t got = known ? read_at(fd, data, most, 0) : -1;
    const int failure = errno;
    close(fd);
    errno = failure;
    if (got < 0)
        return io_failure("read", path, err);
    *bytes = status.st_size > most ? status.st_size : got;
    return WISP_OK;
}

static wisp_status read_labels(stl10 *s, const char *file, wisp_error *err)
{
    const int64_t n = s->first[s->n_files];
    int64_t bytes = 0;
    s->labels = s->host->alloc(s->host, (size_t)n);
    if (!s->labels)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %lld labels", (long long)n);
    WISP_TRY(read_file(s, file, s->labels, n, &bytes, err));
    if (bytes != n)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "\"%.600s/%s\" has %lld bytes for the %lld images of %s: one of the two "
                         "is not complete",
                         s->config->path, file, (long long)bytes, (long long)n, s->file[0]);
    for (int64_t i = 0; i < n; i++) {
        if (s->labels[i] < 1 || s->labels[i] > CLASSES)
            return wisp_fail(err, WISP_E_CORRUPT, "%s: image %lld has label %d, not 1 to %d", file,
                             (long long)i, s->labels[i], CLASSES);
        s->labels[i]--;
    }
    return WISP_OK;
}

/* The names are a convenience: a folder without class_names.txt will do. */
static wisp_status read_names(stl10 *s, wisp_error *err)
{
    char text[NAMES_FILE_BYTES + 1], *rest = NULL;
    int64_t bytes = 0;
    for (int label = 0; label < CLASSES; label++)
        snprintf(s->class_names[label], NAME_BYTES, "%d", label);
    wisp_status status = read_file(s, "class_names.txt", text, NAMES_FILE_BYTES, &bytes, err);
    if (status == WISP_E_NOT_FOUND)
        return WISP_OK;
    WISP_TRY(status);
    text[bytes < NAMES_FILE_BYTES ? bytes : NAMES_FILE_BYTES] = 0;
    char *line = strtok_r(text, "\r\n", &rest);
    for (int label = 0; line && label < CLASSES; line = strtok_r(NULL, "\r\n", &rest))
        snprintf(s->class_names[label++], NAME_BYTES, "%.*s", NAME_BYTES - 1, line);
    return WISP_OK;
}

/* --- folds --- */

/* The numbers of one line. `text` is cut at its end. */
static wisp_status take_fold(stl10 *s, char *text, wisp_error *err)
{
    const int64_t most = (int64_t)strlen(text) / 2 + 1;
    s->fold = s->host->alloc(s->host, (size_t)most * sizeof *s->fold);
    if (!s->fold)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a fold");
    for (char *end = NULL; *(text += strspn(text, " \t\r")); text = end) {
        errno = 0;
        const long long index = strtoll(text, &end, 10);
        if (end == text || errno || index < 0 || index >= s->first[1])
            return wisp_fail(err, WISP_E_CORRUPT,
                             "fold_indices.txt:%d: \"%.20s\" is none of the %lld images of "
                             "train_X.bin",
                             (int)s->config->fold + 1, text, (long long)s->first[1]);
        s->fold[s->n_fold++] = index;
    }
    return WISP_OK;
}

static wisp_status find_fold(stl10 *s, char *text, wisp_error *err)
{
    for (int64_t line = 0; line < s->config->fold && *text; line++) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    text[strcspn(text, "\n")] = 0;
    WISP_TRY(take_fold(s, text, err));
    if (s->n_fold == 0)
        return wisp_fail(err, WISP_E_CORRUPT, "fold_indices.txt has no image in line %d",
                         (int)s->config->fold + 1);
    return WISP_OK;
}

static wisp_status read_fold(stl10 *s, wisp_error *err)
{
    int64_t bytes = 0;
    if (s->config->fold == ALL_FOLDS)
        return WISP_OK;
    char *text = s->host->alloc(s->host, FOLDS_FILE_BYTES + 1);
    if (!text)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the folds");
    wisp_status status = read_file(s, "fold_indices.txt", text, FOLDS_FILE_BYTES, &bytes, err);
    if (status == WISP_OK && bytes > FOLDS_FILE_BYTES)
        status =
            wisp_fail(err, WISP_E_CORRUPT, "fold_indices.txt has %lld bytes", (long long)bytes);
    if (status == WISP_OK)
        status = find_fold(s, text, err);
    s->host->free(s->host, text);
    return status;
}

/* --- use --- */

/* Image of the split at a position of the data set. */
static int64_t image_at(const stl10 *s, int64_t index)
{
    const int64_t i = wisp_subset_at(&s->subset, index);
    return s->fold ? s->fold[i] : i;
}

static int64_t count(const void *self)
{
    const stl10 *s = self;
    return wisp_subset_count(&s->subset, s->fold ? s->n_fold : s->first[s->n_files]);
}

static int32_t n_classes(const void *self)
{
    return ((const stl10 *)self)->labels ? CLASSES : 0;
}

static const char *class_name(const void *self, int32_t label)
{
    const stl10 *s = self;
    return label < 0 || label >= n_classes(self) ? NULL : s->class_names[label];
}

static int32_t label_of(const void *self, int64_t index)
{
    const stl10 *s = self;
    return s->labels[image_at(s, index)];
}

/* The file that holds an image of the split. */
static int32_t file_of(const stl10 *s, int64_t image)
{
    return s->n_files > 1 && image >= s->first[1] ? 1 : 0;
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const stl10 *s = self;
    const int64_t image = image_at(s, index);
    const int32_t file = file_of(s, image);
    snprintf(text, bytes, "%s image %lld", s->file[file], (long long)(image - s->first[file]));
}

static wisp_status read_planes(const stl10 *s, int64_t image, uint8_t planes[IMAGE],
                               wisp_error *err)
{
    const int32_t file = file_of(s, image);
    const int64_t at = image - s->first[file];
    const int64_t got = read_at(s->fd[file], planes, IMAGE, at * IMAGE);
    char text[128];
    if (got < 0)
        return wisp_fail(err, errno == ENOMEM ? WISP_E_IO : WISP_E_DATA,
                         "cannot read %s image %lld: %s", s->file[file], (long long)at,
                         strerror_r(errno, text, sizeof text));
    if (got < IMAGE)
        return wisp_fail(err, WISP_E_DATA, "%s ends before image %lld does: it was cut",
                         s->file[file], (long long)at);
    return WISP_OK;
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const stl10 *s = self;
    uint8_t planes[IMAGE];
    WISP_TRY(read_planes(s, image_at(s, index), planes, err));
    uint8_t *rgb = sink->reserve(sink, IMAGE);
    if (!rgb)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image of %d px", SIDE);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++)
                rgb[3 * (y * SIDE + x) + c] = planes[c * PIXELS + x * SIDE + y];
    *sample = (wisp_sample){
        .form = WISP_SAMPLE_RGB8, .width = SIDE, .height = SIDE, .data = rgb, .bytes = IMAGE};
    return WISP_OK;
}

/* Counts, labels, the choice of images, and the content of a few of them. */
static wisp_status find_fingerprint(stl10 *s, wisp_error *err)
{
    uint8_t planes[IMAGE];
    const int64_t n = s->first[s->n_files];
    uint64_t hash = wisp_hash64(s->first, sizeof s->first, (uint64_t)s->config->split);
    hash = wisp_hash64(s->labels, s->labels ? (size_t)n : 0, hash);
    hash = wisp_hash64(s->fold, (size_t)s->n_fold * sizeof *s->fold, hash);
    for (int64_t i = 0; i < PROBES; i++) {
        WISP_TRY(read_planes(s, i * (n - 1) / (PROBES - 1), planes, err));
        hash = wisp_hash64(planes, sizeof planes, hash);
    }
    s->fingerprint = wisp_subset_fingerprint(&s->subset, hash);
    return WISP_OK;
}

static uint64_t fingerprint(const void *self)
{
    return ((const stl10 *)self)->fingerprint;
}

static int32_t recognises(const char *folder)
{
    static const char *const files[] = {"train_X.bin", "unlabeled_X.bin", "test_X.bin"};
    for (size_t i = 0; i < WISP_COUNT(files); i++) {
        char path[PATH_MAX];
        struct stat status;
        if (join_path(path, folder, files[i], NULL) == WISP_OK && stat(path, &status) == 0 &&
            check_images(path, &status, NULL) == WISP_OK)
            return 95;
    }
    return 0;
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

static wisp_status open_split(stl10 *s, wisp_error *err)
{
    switch (s->config->split) {
    case TRAIN:
        WISP_TRY(open_images(s, "train_X.bin", err));
        WISP_TRY(read_labels(s, "train_y.bin", err));
        return read_fold(s, err);
    case TEST:
        WISP_TRY(open_images(s, "test_X.bin", err));
        return read_labels(s, "test_y.bin", err);
    case UNLABELED:
        return open_images(s, "unlabeled_X.bin", err);
    default:
        WISP_TRY(open_images(s, "train_X.bin", err));
        return open_images(s, "unlabeled_X.bin", err);
    }
}

static void destroy(void *self)
{
    stl10 *s = self;
    if (!s)
        return;
    wisp_subset_free(s->host, &s->subset);
    for (int32_t i = 0; i < s->n_files; i++)
        close(s->fd[i]);
    s->host->free(s->host, s->labels);
    s->host->free(s->host, s->fold);
    s->host->free(s->host, s);
}

static wisp_status check(const void *config, wisp_error *err)
{
    const stl10_config *o = config;
    if (o->fold != ALL_FOLDS && o->split != TRAIN)
        return wisp_fail(err, WISP_E_CONFIG,
                         "fold = %d: only split = \"train\" has folds; leave one of the two out",
                         (int)o->fold);
    return WISP_OK;
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    stl10 *s = host->alloc(host, sizeof *s);
    if (!s)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a data set");
    s->host = host;
    s->config = config;
    wisp_status status = open_split(s, err);
    if (status == WISP_OK)
        status = read_names(s, err);
    if (status == WISP_OK)
        status = wisp_subset_choose(host, &vtable, s, &s->config->subset, &s->subset, err);
    if (status == WISP_OK)
        status = find_fingerprint(s, err);
    if (status == WISP_OK)
        *self = s;
    else
        destroy(s);
    return status;
}

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "stl10",
    .version = "0.1.0",
    .summary = "the binary version of STL-10",
    .doc = "Reads train_X.bin and train_y.bin, test_X.bin and test_y.bin, or unlabeled_X.bin from "
           "`path`; images one by one, when they are needed. The names of the classes come from "
           "class_names.txt and the folds from fold_indices.txt, where they are there. Images "
           "without labels have none: nor has \"train+unlabeled\". `list` and `fraction` take a "
           "part of the images.",
    .license = "Apache-2.0",
    .reference = "Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature "
                 "learning, AISTATS 2011",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(stl10_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
