/* packed_writer.c - bodies as they come, the index from memory, the header last. */
#include "data/packed_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "wisp/packed.h"

enum { BUFFER_BYTES = 1 << 20, FIRST_ENTRIES = 1024 };

struct wispi_packed_writer {
    char path[PATH_MAX], folder[PATH_MAX], temporary[PATH_MAX];
    int fd;
    int32_t has_name; /* the unfinished file is called `temporary` */
    int32_t n_classes;
    int64_t at;      /* where the next byte goes */
    uint8_t *buffer; /* what is not written yet */
    size_t n_buffered;
    uint8_t *index;
    size_t index_capacity; /* bytes */
    int64_t count;
    wispi_text names;
};

static wisp_status io_fail(const wispi_packed_writer *w, const char *what, wisp_error *err)
{
    char text[128];
    return wisp_fail(err, WISP_E_IO, "%.700s: cannot %s: %s", w->path, what,
                     strerror_r(errno, text, sizeof text));
}

/* --- opening --- */

/* A file that has no name can get one through /proc only. */
static int open_nameless(const wispi_packed_writer *w)
{
    if (access("/proc/self/fd", X_OK) != 0)
        return -1;
    return open(w->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
}

static wisp_status open_file(wispi_packed_writer *w, int32_t named, wisp_error *err)
{
    struct stat old;
    const int there = stat(w->path, &old) == 0;
    if (there && !S_ISREG(old.st_mode))
        return wisp_fail(err, WISP_E_INVALID, "%.700s: no ordinary file; give another name",
                         w->path);
    w->fd = named ? -1 : open_nameless(w);
    if (w->fd < 0) {
        w->fd = open(w->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        w->has_name = w->fd >= 0;
    }
    if (w->fd < 0)
        return io_fail(w, "create a file beside it", err);
    if (there && fchmod(w->fd, old.st_mode & 07777) != 0)
        return io_fail(w, "set its mode", err);
    return WISP_OK;
}

static wisp_status set_paths(wispi_packed_writer *w, const char *path, wisp_error *err)
{
    const int n = snprintf(w->temporary, sizeof w->temporary, "%s.tmp-%ld", path, (long)getpid());
    if (path[0] == 0 || n < 0 || (size_t)n >= sizeof w->temporary ||
        wispi_path_folder(w->folder, sizeof w->folder, path) != WISP_OK)
        return wisp_fail(err, WISP_E_INVALID, "\"%.200s\" cannot name a file", path);
    snprintf(w->path, sizeof w->path, "%s", path);
    return WISP_OK;
}

wisp_status wispi_packed_writer_open(const char *path, int32_t n_classes, int32_t named,
                                     wispi_packed_writer **writer, wisp_error *err)
{
    wispi_packed_writer *w = wispi_alloc(sizeof *w);
    if (!w)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to write %.200s", path);
    w->fd = -1;
    w->n_classes = n_classes;
    w->at = WISP_PACKED_HEADER_BYTES;
    w->buffer = wispi_alloc(BUFFER_BYTES);
    wisp_status status = w->buffer ? set_paths(w, path, err)
                                   : wisp_fail(err, WISP_E_NOMEM, "no memory to write %s", path);
    if (status == WISP_OK)
        status = open_file(w, named, err);
    if (status == WISP_OK)
        *writer = w;
    else
        wispi_packed_writer_destroy(w);
    return status;
}

/* --- writing --- */

static wisp_status write_at(const wispi_packed_writer *w, const uint8_t *data, size_t n, int64_t at,
                            wisp_error *err)
{
    while (n) {
        const ssize_t piece = pwrite(w->fd, data, n, at);
        if (piece < 0 && errno == EINTR)
            continue;
        if (piece <= 0)
            return io_fail(w, "write", err);
        data += piece;
        at += piece;
        n -= (size_t)piece;
    }
    return WISP_OK;
}

static wisp_status write_buffer(wispi_packed_writer *w, wisp_error *err)
{
    WISP_TRY(write_at(w, w->buffer, w->n_buffered, w->at - (int64_t)w->n_buffered, err));
    w->n_buffered = 0;
    return WISP_OK;
}

static wisp_status append(wispi_packed_writer *w, const void *data, size_t n, wisp_error *err)
{
    if (n > BUFFER_BYTES - w->n_buffered)
        WISP_TRY(write_buffer(w, err));
    if (n > BUFFER_BYTES)
        WISP_TRY(write_at(w, data, n, w->at, err));
    else if (n)
        memcpy(w->buffer + w->n_buffered, data, n);
    w->n_buffered += n > BUFFER_BYTES ? 0 : n;
    w->at += (int64_t)n;
    return WISP_OK;
}

static wisp_status add_entry(wispi_packed_writer *w, const wisp_packed_entry *e, const char *name,
                             wisp_error *err)
{
    const size_t used = (size_t)w->count * WISP_PACKED_ENTRY_BYTES;
    if (used == w->index_capacity) {
        const size_t wanted = used ? 2 * used : FIRST_ENTRIES * WISP_PACKED_ENTRY_BYTES;
        uint8_t *grown = wispi_grow(w->index, w->index_capacity, wanted);
        if (!grown)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for an index of %lld samples",
                             (long long)w->count);
        w->index = grown;
        w->index_capacity = wanted;
    }
    wispi_text_append_bytes(&w->names, name, strlen(name) + 1);
    if (w->names.failed)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names of %lld samples",
                         (long long)w->count);
    wisp_packed_entry_put(e, w->index + used);
    w->count++;
    return WISP_OK;
}

wisp_status wispi_packed_writer_add(wispi_packed_writer *w, const wispi_packed_sample *s,
                                    wisp_error *err)
{
    if (s->bytes < 1 || s->bytes > WISP_PACKED_MAX_BODY)
        return wisp_fail(err, WISP_E_DATA, "\"%.500s\" has %zu bytes; a packed sample has 1 to %d",
                         s->name, s->bytes, WISP_PACKED_MAX_BODY);
    const wisp_packed_entry e = {.at = w->at,
                                 .hash = s->hash,
                                 .name_at = (int64_t)w->names.length,
                                 .bytes = (int32_t)s->bytes,
                                 .label = s->label,
                                 .form = s->form,
                                 .width = s->width,
                                 .height = s->height};
    WISP_TRY(append(w, s->data, s->bytes, err));
    return add_entry(w, &e, s->name, err);
}

/* --- the end --- */

/* Index, classes and names, then the header. */
static wisp_status write_rest(wispi_packed_writer *w, const char *classes, size_t class_bytes,
                              wisp_packed_header *h, wisp_error *err)
{
    const size_t index_bytes = (size_t)w->count * WISP_PACKED_ENTRY_BYTES;
    uint8_t bytes[WISP_PACKED_HEADER_BYTES];
    wispi_hash hash;
    wispi_hash_begin(&hash, 0);
    wispi_hash_add(&hash, w->index, index_bytes);
    wispi_hash_add(&hash, classes, class_bytes);
    wispi_hash_add(&hash, w->names.data, w->names.length);
    *h = (wisp_packed_header){.count = w->count,
                              .index_at = w->at,
                              .class_bytes = (int64_t)class_bytes,
                              .name_bytes = (int64_t)w->names.length,
                              .index_hash = wispi_hash_end(&hash),
                              .n_classes = w->n_classes};
    WISP_TRY(append(w, w->index, index_bytes, err));
    WISP_TRY(append(w, classes, class_bytes, err));
    WISP_TRY(append(w, w->names.data, w->names.length, err));
    WISP_TRY(write_buffer(w, err));
    h->file_bytes = w->at;
    wisp_packed_header_put(h, bytes);
    return write_at(w, bytes, sizeof bytes, 0, err);
}

static wisp_status put_in_place(wispi_packed_writer *w, wisp_error *err)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", w->fd);
    if (fsync(w->fd) != 0)
        return io_fail(w, "sync", err);
    if (!w->has_name) {
        unlink(w->temporary); /* of a process that had our number and was killed */
        if (linkat(AT_FDCWD, link, AT_FDCWD, w->temporary, AT_SYMLINK_FOLLOW) != 0)
            return io_fail(w, "name the finished file", err);
        w->has_name = 1;
    }
    WISP_TRY(wispi_file_rename(w->temporary, w->path, err));
    w->has_name = 0;
    return WISP_OK;
}

wisp_status wispi_packed_writer_finish(wispi_packed_writer *w, const char *classes,
                                       size_t class_bytes, wispi_packed_facts *facts,
                                       wisp_error *err)
{
    wisp_packed_header h;
    WISP_TRY(write_rest(w, classes, class_bytes, &h, err));
    WISP_TRY(put_in_place(w, err));
    *facts = (wispi_packed_facts){h.count, h.file_bytes, h.index_hash};
    return WISP_OK;
}

void wispi_packed_writer_destroy(wispi_packed_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->has_name)
        unlink(w->temporary);
    wispi_text_free(&w->names);
    wispi_free(w->index);
    wispi_free(w->buffer);
    wispi_free(w);
}
