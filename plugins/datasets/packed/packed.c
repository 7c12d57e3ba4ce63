/* packed - a data set in one file with an index (wisp/packed.h).
 *
 * The index is read into memory and judged when a run begins; a sample is then one read. Nothing is
 * mapped: a page of a mapping that a disk cannot give any more, or that lies behind the end of a
 * file which somebody has cut short, kills the process, where a read returns an error that names
 * the sample. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <wisp/order.h>
#include <wisp/packed.h>
#include <wisp/subset.h>

typedef struct packed_config {
    const char *path;
    int64_t shuffle;
    int32_t labels;
    int32_t verify;
    wisp_subset_options subset;
} packed_config;

typedef struct packed {
    const wisp_host *host;
    const packed_config *config;
    int fd;
    wisp_packed_header header;
    uint8_t *index;          /* with classes and names behind it */
    const char *names;       /* in `index` */
    const char **class_name; /* (n_classes), in `index`; NULL: no names */
    int64_t block;           /* samples that are read together; with a window */
    wisp_subset subset;
} packed;

/* With a window: bytes that a disk reads in the time of two or three seeks. */
#define BLOCK_BYTES ((int64_t)4 << 20)
enum { LEAST_BLOCKS = 16 }; /* in a window */

static const wisp_option options[] = {
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .flags = WISP_OPTION_REQUIRED,
     .offset = offsetof(packed_config, path),
     .help = "the file, as `wisp pack` makes it"},
    {.key = "labels",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(packed_config, labels),
     .default_value = "true",
     .help = "whether the file's labels are used; false: a data set without classes"},
    {.key = "verify",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(packed_config, verify),
     .default_value = "true",
     .help = "compare each sample that is read with its checksum, so that what a disk has lost is "
             "named and not trained on"},
    {.key = "shuffle",
     .type = WISP_OPTION_I64,
     .offset = offsetof(packed_config, shuffle),
     .default_value = "0",
     .min = 0,
     .max = 1e12,
     .help = "0: samples come in any order. Else how many samples are shuffled among each other, "
             "for a disk that hates seeks: blocks of neighbours, which themselves come in any "
             "order, are read as a whole"},
    WISP_SUBSET_OPTIONS(offsetof(packed_config, subset)),
};

/* --- opening --- */

static wisp_status io_failure(const char *what, const char *path, wisp_error *err)
{
    char text[128];
    return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                     "cannot %s path = \"%.500s\": %s", what, path,
                     strerror_r(errno, text, sizeof text));
}

/* Reads until `bytes` bytes are there, the file ends, or reading fails; -1 then. */
static int64_t read_at(int fd, uint8_t *data, int64_t bytes, int64_t at)
{
    int64_t done = 0;
    while (done < bytes) {
        const ssize_t n = pread(fd, data + done, (size_t)(bytes - done), at + done);
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

static wisp_status read_whole(const packed *p, uint8_t *data, int64_t bytes, int64_t at,
                              wisp_error *err)
{
    const int64_t got = read_at(p->fd, data, bytes, at);
    if (got < 0)
        return io_failure("read", p->config->path, err);
    if (got < bytes)
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.500s\" ends at byte %lld, while it is read",
                         p->config->path, (long long)(at + got));
    return WISP_OK;
}

static wisp_status read_header(packed *p, wisp_error *err)
{
    uint8_t bytes[WISP_PACKED_HEADER_BYTES];
    const char *path = p->config->path;
    struct stat status;
    p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe does not block here */
    if (p->fd < 0)
        return io_failure("open", path, err);
    if (fstat(p->fd, &status) != 0)
        return io_failure("look at", path, err);
    if (!S_ISREG(status.st_mode))
        return wisp_fail(err, WISP_E_CORRUPT, "path = \"%.500s\" is no ordinary file", path);
    if (status.st_size < WISP_PACKED_HEADER_BYTES)
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.500s\" has %lld bytes: no packed data set", path,
                         (long long)status.st_size);
    WISP_TRY(read_whole(p, bytes, sizeof bytes, 0, err));
    WISP_TRY(wisp_packed_header_get(bytes, status.st_size, path, &p->header, err));
    if (p->header.count == 0)
        return wisp_fail(err, WISP_E_DATA, "\"%.500s\" holds no sample", path);
    return WISP_OK;
}

/* Where each class's name begins. */
static wisp_status find_class_names(packed *p, wisp_error *err)
{
    const char *name = (const char *)p->index + p->header.count * WISP_PACKED_ENTRY_BYTES;
    const size_t n = (size_t)p->header.n_classes;
    p->names = name + p->header.class_bytes;
    if (p->header.class_bytes == 0 || n == 0)
        return WISP_OK;
    p->class_name = p->host->alloc(p->host, n * sizeof *p->class_name);
    if (!p->class_name)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names of %zu classes", n);
    for (size_t i = 0; i < n; i++) {
        p->class_name[i] = name;
        name += strlen(name) + 1;
    }
    return WISP_OK;
}

static wisp_status read_index(packed *p, wisp_error *err)
{
    const int64_t bytes = wisp_packed_index_bytes(&p->header);
    p->index = p->host->alloc(p->host, (size_t)bytes);
    if (!p->index)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the index of %lld samples, %lld bytes",
                         (long long)p->header.count, (long long)bytes);
    WISP_TRY(read_whole(p, p->index, bytes, p->header.index_at, err));
    WISP_TRY(wisp_packed_index_check(&p->header, p->index, p->config->path, err));
    return find_class_names(p, err);
}

/* --- use --- */

static wisp_packed_entry entry_at(const packed *p, int64_t index)
{
    return wisp_packed_entry_get(p->index +
                                 wisp_subset_at(&p->subset, index) * WISP_PACKED_ENTRY_BYTES);
}

static int64_t count(const void *self)
{
    const packed *p = self;
    return wisp_subset_count(&p->subset, p->header.count);
}

static int32_t n_classes(const void *self)
{
    const packed *p = self;
    return p->config->labels ? p->header.n_classes : 0;
}

static const char *class_name(const void *self, int32_t label)
{
    const packed *p = self;
    return label < 0 || label >= n_classes(self) || !p->class_name ? NULL : p->class_name[label];
}

static int32_t label_of(const void *self, int64_t index)
{
    return entry_at(self, index).label;
}

static void sample_name(const void *self, int64_t index, char *text, size_t bytes)
{
    const packed *p = self;
    snprintf(text, bytes, "%s", p->names + entry_at(p, index).name_at);
}

/* Lets the system read the block of `index` ahead, which costs little where it has it already. */
static void want_block(const packed *p, int64_t index)
{
    const int64_t first = index / p->block * p->block;
    const int64_t last = first + p->block < count(p) ? first + p->block - 1 : count(p) - 1;
    const wisp_packed_entry from = entry_at(p, first), to = entry_at(p, last);
    const int64_t bytes = to.at + to.bytes - from.at;
    if (bytes > 0 && bytes <= 4 * BLOCK_BYTES)
        posix_fadvise(p->fd, from.at, bytes, POSIX_FADV_WILLNEED);
}

/* Too little memory of the system's is no fault of this sample. */
static wisp_status body_failure(const packed *p, const wisp_packed_entry *e, int64_t got,
                                wisp_error *err)
{
    char text[128];
    const char *name = p->names + e->name_at;
    if (got < 0)
        return wisp_fail(err, errno == ENOMEM ? WISP_E_IO : WISP_E_DATA,
                         "cannot read \"%.300s\" at byte %lld of \"%.300s\": %s", name,
                         (long long)e->at, p->config->path, strerror_r(errno, text, sizeof text));
    return wisp_fail(err, WISP_E_DATA,
                     "\"%.300s\": \"%.300s\" ends at byte %lld now, before the sample does", name,
                     p->config->path, (long long)(e->at + got));
}

static wisp_status read_sample(const void *self, int64_t index, wisp_sample_sink *sink,
                               wisp_sample *sample, wisp_error *err)
{
    const packed *p = self;
    const wisp_packed_entry e = entry_at(p, index);
    uint8_t *data = sink->reserve(sink, (size_t)e.bytes);
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a sample of %d bytes", (int)e.bytes);
    if (p->block > 1)
        want_block(p, index);
    const int64_t got = read_at(p->fd, data, e.bytes, e.at);
    if (got != e.bytes)
        return body_failure(p, &e, got, err);
    if (p->config->verify && wisp_hash64(data, (size_t)e.bytes, 0) != e.hash)
        return wisp_fail(err, WISP_E_DATA,
                         "\"%.300s\", %d bytes at byte %lld of \"%.300s\", is not what was packed: "
                         "its checksum is wrong",
                         p->names + e.name_at, (int)e.bytes, (long long)e.at, p->config->path);
    *sample = (wisp_sample){.form = e.form,
                            .width = e.width,
                            .height = e.height,
                            .data = data,
                            .bytes = (size_t)e.bytes};
    return WISP_OK;
}

/* The index has names, labels and the checksums of all bodies, so its checksum tells sets apart. */
static uint64_t fingerprint(const void *self)
{
    const packed *p = self;
    return wisp_subset_fingerprint(&p->subset, p->header.index_hash + (p->config->labels ? 0 : 1));
}

/* Blocks in any order, then a shuffle in a window of them. The last block may be short: who would
 * come from behind the end of it takes a place in the block that stands last. */
static int64_t order(const void *self, wisp_rng_key key, int64_t position)
{
    const packed *p = self;
    const int64_t n = count(p), block = p->block;
    if (p->config->shuffle == 0)
        return wisp_order_permuted(key, n, position);
    int64_t at = wisp_order_local(wisp_rng_derive(key, 1, 0), n, p->config->shuffle, position);
    do {
        at = wisp_order_permuted(wisp_rng_derive(key, 2, 0), (n + block - 1) / block, at / block) *
                 block +
             at % block;
    } while (at >= n);
    return at;
}

static int32_t recognises(const char *path)
{
    uint8_t bytes[8];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    const int64_t got = read_at(fd, bytes, sizeof bytes, 0);
    close(fd);
    return got == sizeof bytes && memcmp(bytes, wisp_packed_magic(), sizeof bytes) == 0 ? 100 : 0;
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
    .recognises = recognises,
};

/* --- life --- */

/* Samples of about BLOCK_BYTES, but many blocks in a window. */
static int64_t choose_block(const packed *p)
{
    const wisp_packed_header *h = &p->header;
    const int64_t mean = (h->index_at - WISP_PACKED_HEADER_BYTES) / h->count + 1;
    const int64_t most = p->config->shuffle / LEAST_BLOCKS, block = BLOCK_BYTES / mean;
    return block < 1 || most < 1 ? 1 : block < most ? block : most;
}

static void destroy(void *self)
{
    packed *p = self;
    if (!p)
        return;
    wisp_subset_free(p->host, &p->subset);
    p->host->free(p->host, p->class_name);
    p->host->free(p->host, p->index);
    if (p->fd >= 0)
        close(p->fd);
    p->host->free(p->host, p);
}

static wisp_status check(const void *config, wisp_error *err)
{
    if (((const packed_config *)config)->shuffle == 1)
        return wisp_fail(err, WISP_E_CONFIG,
                         "shuffle = 1 shuffles nothing: give a window of thousands of samples, or "
                         "0 for any order");
    return WISP_OK;
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    packed *p = host->alloc(host, sizeof *p);
    if (!p)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a data set");
    p->host = host;
    p->config = config;
    p->fd = -1;
    wisp_status status = read_header(p, err);
    if (status == WISP_OK)
        status = read_index(p, err);
    if (status == WISP_OK)
        status = wisp_subset_choose(host, &vtable, p, &p->config->subset, &p->subset, err);
    if (status != WISP_OK) {
        destroy(p);
        return status;
    }
    p->block = choose_block(p);
    *self = p;
    return WISP_OK;
}

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_DATASET,
    .name = "packed",
    .version = "0.1.0",
    .summary = "one file with an index, as `wisp pack` makes it",
    .doc =
        "Reads samples from one file, which begins at once however many they are, and needs no "
        "folder of a million files. Index and samples carry checksums. `shuffle` gives up some "
        "randomness for long reads. `list` takes the samples that a file names, `fraction` draws "
        "a share of them with as many of each class. The format is described in wisp/packed.h.",
    .license = "Apache-2.0",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(packed_config),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
