/* shard_scan.c - entries that follow each other and share a key are a sample.
 *
 * Of a plain archive only the headers are read, and small files where they are labels. */
#include "shard_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gz_stream.h"
#include "sample_key.h"
#include "tar_reader.h"

enum { WINDOW = 1 << 16, PLAIN_PIECE = 9 * TAR_BLOCK, JSON_BYTES = 1 << 20, LABEL_BYTES = 64 };

/* The archive's bytes, of which a window is at hand. */
typedef struct shard_bytes {
    tar_source source;
    int fd;
    int32_t reserved;
    gz_stream *gz; /* NULL: plain */
    int64_t begin; /* of the window in the archive */
    int64_t n;     /* bytes in it */
    uint8_t window[WINDOW];
} shard_bytes;

/* The sample that is being put together. */
typedef struct pending_sample {
    size_t key; /* bytes of its key; 0: there is none */
    char name[TAR_NAME_BYTES];
    size_t image_name; /* bytes of the image's name, which is `image` */
    char image[TAR_NAME_BYTES];
    int64_t offset, bytes; /* of the image; bytes < 0: none yet */
    int64_t rank;          /* of its extension */
    int64_t label;
    int32_t has_label;
    int32_t reserved;
} pending_sample;

typedef struct scanner {
    shard_scan *scan;
    const scan_rules *rules;
    const char *path;
    shard_bytes *bytes;
    tar_reader *reader;
    pending_sample *pending;
    growing_block json;
} scanner;

int shard_look(int fd, int64_t *bytes, int64_t *mtime)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    *bytes = status.st_size;
    *mtime = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    return 1;
}

/* --- bytes --- */

static wisp_status fill_plain(shard_bytes *b, int64_t offset, wisp_error *err)
{
    char text[128];
    ssize_t n;
    do
        n = pread(b->fd, b->window, PLAIN_PIECE, offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return wisp_fail(err, WISP_E_CORRUPT, "cannot be read at byte %lld: %s", (long long)offset,
                         strerror_r(errno, text, sizeof text));
    b->begin = offset;
    b->n = n;
    return WISP_OK;
}

/* Keeps what lies at or after `offset`, and fills the window behind it. */
static wisp_status fill_gz(shard_bytes *b, int64_t offset, wisp_error *err)
{
    int64_t got = 0, kept = b->begin + b->n - offset;
    if (kept > 0)
        memmove(b->window, b->window + (offset - b->begin), (size_t)kept);
    else
        WISP_TRY(gz_read(b->gz, b->fd, NULL, -kept, &got, err));
    b->begin = offset;
    b->n = kept > 0 ? kept : 0;
    WISP_TRY(gz_read(b->gz, b->fd, b->window + b->n, WINDOW - b->n, &got, err));
    b->n += got;
    return WISP_OK;
}

static wisp_status read_bytes(void *user, int64_t offset, uint8_t *data, int64_t bytes,
                              int64_t *got, wisp_error *err)
{
    shard_bytes *b = user;
    if (offset < b->begin || offset + bytes > b->begin + b->n) {
        const wisp_status status = b->gz ? fill_gz(b, offset, err) : fill_plain(b, offset, err);
        if (b->gz && (status != WISP_OK || b->gz->has_ended))
            b->source.end = b->gz->out_at;
        WISP_TRY(status);
    }
    const int64_t there = b->begin + b->n - offset;
    *got = there < 0 ? 0 : bytes < there ? bytes : there;
    memcpy(data, b->window + (offset - b->begin), (size_t)*got);
    return WISP_OK;
}

/* --- samples --- */

static wisp_status no_memory(const scanner *s, wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for the %lld samples of \"%.500s\"",
                     (long long)s->scan->n, s->path);
}

static wisp_status add_sample(scanner *s, const pending_sample *p, wisp_error *err)
{
    shard_scan *scan = s->scan;
    const uint64_t at = scan->names.used;
    char *name = growing_add(&scan->names, p->image_name + 1);
    shard_sample *sample = name ? growing_add(&scan->samples, sizeof *sample) : NULL;
    if (!sample)
        return no_memory(s, err);
    memcpy(name, p->image, p->image_name + 1);
    *sample =
        (shard_sample){p->offset, p->bytes, at, p->has_label ? (int32_t)p->label : NO_LABEL, 0};
    scan->n++;
    return WISP_OK;
}

static int wants_label(const scanner *s)
{
    return s->rules->labels == LABELS_CLS || s->rules->labels == LABELS_JSON;
}

/* Whether a sample without a label at the end of what can be read has lost it. */
static int has_lost_label(const scanner *s)
{
    const shard_sample *found = (const shard_sample *)(const void *)s->scan->samples.data;
    return wants_label(s) || (s->scan->n > 0 && found[s->scan->n - 1].label != NO_LABEL);
}

/* `is_last`: the archive is damaged behind it, so that it may not be all there. */
static wisp_status end_sample(scanner *s, int is_last, wisp_error *err)
{
    pending_sample *p = s->pending;
    const int64_t end = s->bytes->source.end;
    const int has_key = p->key > 0;
    p->key = 0;
    if (!has_key || (p->bytes >= 0 && end >= 0 && p->offset + p->bytes > end))
        return WISP_OK;
    if (p->bytes < 0) {
        s->scan->n_without_image += !is_last;
        if (!s->scan->other[0])
            snprintf(s->scan->other, sizeof s->scan->other, "%.120s", p->name);
        return WISP_OK;
    }
    if (wants_label(s) && !p->has_label && !is_last)
        return wisp_fail(err, WISP_E_DATA,
                         "%.500s: sample \"%.300s\" has no label: labels = \"%s\" looks for %s",
                         s->path, p->image, s->rules->labels == LABELS_CLS ? "cls" : "json",
                         s->rules->labels == LABELS_CLS ? "a file .cls"
                                                        : "a whole number in its .json");
    if (is_last && !p->has_label && has_lost_label(s))
        return WISP_OK;
    return add_sample(s, p, err);
}

static wisp_status bad_label(const scanner *s, const tar_entry *entry, wisp_error *err)
{
    return wisp_fail(err, WISP_E_DATA,
                     "%.500s: \"%.300s\" gives no class: it must hold a whole number from 0 to "
                     "%lld; labels = \"none\" does without",
                     s->path, entry->name, (long long)MAX_LABEL);
}

static wisp_status read_content(scanner *s, const tar_entry *entry, char **text, wisp_error *err)
{
    s->json.used = 0;
    *text = growing_add(&s->json, (size_t)entry->bytes + 1);
    if (!*text)
        return no_memory(s, err);
    for (int64_t done = 0; done < entry->bytes;) {
        int64_t got = 0, left = entry->bytes - done;
        WISP_TRY(read_bytes(s->bytes, entry->offset + done, (uint8_t *)*text + done,
                            left < TAR_NAME_BYTES ? left : TAR_NAME_BYTES, &got, err));
        if (got == 0)
            return wisp_fail(err, WISP_E_CORRUPT, "cut off in \"%.500s\"", entry->name);
        done += got;
    }
    return WISP_OK;
}

/* A file that may say the label. */
static wisp_status take_label(scanner *s, const tar_entry *entry, const char *extension,
                              wisp_error *err)
{
    const int in_json = s->rules->labels == LABELS_JSON;
    const int64_t most = in_json ? JSON_BYTES : LABEL_BYTES;
    char *text = NULL;
    int64_t value = -1;
    if (s->rules->labels == LABELS_NONE || strcasecmp(extension, in_json ? "json" : "cls") != 0)
        return WISP_OK;
    if (entry->bytes > most)
        return bad_label(s, entry, err);
    WISP_TRY(read_content(s, entry, &text, err));
    const int found = in_json ? json_integer(text, (size_t)entry->bytes, s->rules->json_key, &value)
                              : sample_label(text, (size_t)entry->bytes, &value);
    if (!found || value < 0 || value > MAX_LABEL)
        return bad_label(s, entry, err);
    s->pending->label = value;
    s->pending->has_label = 1;
    return WISP_OK;
}

static int64_t rank_of(const scan_rules *rules, const char *extension)
{
    const char *const *wanted = rules->images.items;
    int64_t rank = 0;
    while (rank < rules->images.count && strcasecmp(wanted[rank], extension) != 0)
        rank++;
    return rank;
}

static wisp_status take_image(scanner *s, const tar_entry *entry, const char *extension,
                              wisp_error *err)
{
    pending_sample *p = s->pending;
    const int64_t rank = rank_of(s->rules, extension);
    if (rank == s->rules->images.count || (p->bytes >= 0 && rank > p->rank))
        return WISP_OK;
    if (p->bytes >= 0 && rank == p->rank)
        return wisp_fail(err, WISP_E_CORRUPT, "it has two files \"%.500s\"", entry->name);
    p->image_name = strlen(entry->name);
    memcpy(p->image, entry->name, p->image_name + 1);
    p->offset = entry->offset;
    p->bytes = entry->bytes;
    p->rank = rank;
    return WISP_OK;
}

static wisp_status take_entry(scanner *s, const tar_entry *entry, wisp_error *err)
{
    pending_sample *p = s->pending;
    size_t key = 0, extension = 0;
    if (!sample_key_split(entry->name, &key, &extension))
        return WISP_OK;
    if (key != p->key || memcmp(entry->name, p->name, key) != 0) {
        WISP_TRY(end_sample(s, 0, err));
        p->key = key;
        memcpy(p->name, entry->name, strlen(entry->name) + 1);
        p->bytes = -1;
        p->has_label = 0;
    }
    WISP_TRY(take_image(s, entry, entry->name + extension, err));
    return take_label(s, entry, entry->name + extension, err);
}

/* --- the shard --- */

static wisp_status take_entries(scanner *s, wisp_error *err)
{
    tar_entry entry;
    for (int32_t found = 1;;) {
        WISP_TRY(tar_next(s->reader, &entry, &found, err));
        if (!found)
            break;
        WISP_TRY(take_entry(s, &entry, err));
    }
    return end_sample(s, 0, err);
}

/* The sum of a gzip file stands at its end. */
static wisp_status read_to_end(const shard_bytes *b, wisp_error *err)
{
    int64_t got = 0;
    if (!b->gz)
        return WISP_OK;
    do
        WISP_TRY(gz_read(b->gz, b->fd, NULL, INT32_MAX, &got, err));
    while (got > 0);
    return gz_is_whole(b->gz) ? WISP_OK : wisp_fail(err, WISP_E_CORRUPT, "cut off as a gzip file");
}

/* What damage is there is written down; what is left is a failure. */
static wisp_status keep_damage(scanner *s, wisp_status status, wisp_error *err)
{
    const int is_told = status == WISP_E_DATA; /* of a label, which is no damage */
    if (status == WISP_OK || status == WISP_E_NOMEM || status == WISP_E_INTERNAL || is_told)
        return status;
    s->scan->is_broken = 1;
    snprintf(s->scan->damage, sizeof s->scan->damage, "%.890s", err ? err->message : "");
    return end_sample(s, 1, err);
}

static wisp_status scan_bytes(scanner *s, wisp_error *err)
{
    wisp_status status = take_entries(s, err);
    if (status == WISP_OK)
        status = read_to_end(s->bytes, err);
    s->scan->n_links = s->reader->n_links;
    s->scan->n_sparse = s->reader->n_sparse;
    return keep_damage(s, status, err);
}

/* Plain and gzip files are told apart by their first bytes. */
static wisp_status begin_bytes(scanner *s, const wisp_host *host, wisp_error *err)
{
    shard_bytes *b = s->bytes;
    uint8_t first[2] = {0, 0};
    b->source = (tar_source){b, read_bytes, s->scan->bytes};
    const ssize_t n = pread(b->fd, first, 2, 0);
    if (n == 2 && first[0] == 0x1f && first[1] == 0x8b) {
        b->gz = gz_open(host);
        b->source.end = -1;
        s->scan->is_gz = 1;
    }
    posix_fadvise(b->fd, 0, 0, b->gz ? POSIX_FADV_SEQUENTIAL : POSIX_FADV_RANDOM);
    s->reader->source = &b->source;
    return !s->scan->is_gz || b->gz ? WISP_OK : no_memory(s, err);
}

static wisp_status scan_file(scanner *s, const wisp_host *host, wisp_error *err)
{
    s->bytes = host->alloc(host, sizeof *s->bytes);
    s->reader = host->alloc(host, sizeof *s->reader);
    s->pending = host->alloc(host, sizeof *s->pending);
    s->json.host = host;
    if (s->bytes)
        s->bytes->fd = -1;
    if (!s->bytes || !s->reader || !s->pending)
        return no_memory(s, err);
    s->bytes->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (s->bytes->fd < 0 || !shard_look(s->bytes->fd, &s->scan->bytes, &s->scan->mtime)) {
        char text[128];
        const int reason = s->bytes->fd < 0 ? errno : 0;
        const char *why = reason ? strerror_r(reason, text, sizeof text) : "no ordinary file";
        if (reason == EMFILE || reason == ENFILE)
            return wisp_fail(err, WISP_E_IO, "cannot open \"%.700s\": %s", s->path, why);
        s->scan->is_broken = 1;
        snprintf(s->scan->damage, sizeof s->scan->damage, "%s", why);
        return WISP_OK;
    }
    WISP_TRY(begin_bytes(s, host, err));
    return scan_bytes(s, err);
}

wisp_status shard_scan_run(shard_scan *scan, const wisp_host *host, const char *path,
                           const scan_rules *rules, wisp_error *err)
{
    scanner s = {.scan = scan, .rules = rules, .path = path};
    const wisp_status status = scan_file(&s, host, err);
    if (s.bytes && s.bytes->gz)
        gz_close(s.bytes->gz);
    if (s.bytes && s.bytes->fd >= 0)
        close(s.bytes->fd);
    growing_free(&s.json);
    host->free(host, s.bytes);
    host->free(host, s.reader);
    host->free(host, s.pending);
    return status;
}

void shard_scan_free(shard_scan *scan)
{
    growing_free(&scan->samples);
    growing_free(&scan->names);
}
