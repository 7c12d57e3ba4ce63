/* cache_file.h - one small checked file that a data set keeps beside the data, so that the next run
 * need not look through them again; header-only.
 *
 * A cache is a convenience: nothing that goes wrong with it is an error. A file that is damaged,
 * cut short or of another layout is passed over, a folder that cannot be written gets none, and
 * either costs one line of the log. A reader finds a whole file or none, however many processes
 * write at once; one that is killed while it writes leaves a file of the same name with .tmp behind
 * it, of no use and no harm. What the file says of the data is as old as the file: the plugin
 * stores with it what the data looked like (sizes, times) and compares, and it checks what it reads
 * as it would any file. All functions are [setup].
 *
 * Takes POSIX: _GNU_SOURCE, or _POSIX_C_SOURCE of 200809L, defined before the first include. */
#ifndef WISP_CACHE_FILE_H
#define WISP_CACHE_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wisp/hash64.h"
#include "wisp/host.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WISP_CACHE_NAME_BYTES = 160, WISP_CACHE_TRIES = 64 };

#define WISP_CACHE_MAGIC 0x31656863614377ffu /* stored as the machine stores numbers */

/* No content is larger. */
#define WISP_CACHE_MOST_BYTES ((uint64_t)1 << 36)

typedef struct wisp_cache_file {
    const wisp_host *host;
    const char *plugin; /* "image_folder" */
    const char *where;  /* the folder as the user wrote it, for messages */
    uint64_t key;       /* what the content depends on besides the data: wisp_hash64 of options */
    int32_t folder;     /* descriptor of the folder, open */
    uint32_t version;   /* of the content's layout */
} wisp_cache_file;

/* What the file begins with; the content follows. */
typedef struct wisp_cache_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t key;
    uint64_t content_bytes;
    char plugin[64];
    uint64_t checksum; /* of the header, with 0 here, and the content */
} wisp_cache_header;

/* --- both ways --- */

static inline uint64_t wisp_cache_checksum(wisp_cache_header header, const void *content)
{
    header.checksum = 0;
    return wisp_hash64(content, (size_t)header.content_bytes,
                       wisp_hash64(&header, sizeof header, 0));
}

/* ".wisp-image_folder-0123456789abcdef.index" */
static inline void wisp_cache_name(const wisp_cache_file *c, char name[WISP_CACHE_NAME_BYTES])
{
    snprintf(name, WISP_CACHE_NAME_BYTES, ".wisp-%.63s-%016llx.index", c->plugin,
             (unsigned long long)c->key);
}

static inline wisp_cache_header wisp_cache_expected(const wisp_cache_file *c, uint64_t bytes)
{
    wisp_cache_header header;
    memset(&header, 0, sizeof header);
    header.magic = WISP_CACHE_MAGIC;
    header.version = c->version;
    header.header_bytes = sizeof header;
    header.key = c->key;
    header.content_bytes = bytes;
    snprintf(header.plugin, sizeof header.plugin, "%.63s", c->plugin);
    return header;
}

/* The one line about a cache that is of no use; also for a plugin that finds it so itself. */
static inline void wisp_cache_passed_over(const wisp_cache_file *c, const char *why)
{
    char line[900], name[WISP_CACHE_NAME_BYTES];
    wisp_cache_name(c, name);
    snprintf(line, sizeof line, "\"%.500s/%s\" is passed over and made anew: %.160s", c->where,
             name, why);
    c->host->log(c->host, WISP_LOG_INFO, line);
}

/* --- reading --- */

static inline int wisp_cache_get(int fd, void *data, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = read(fd, (char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        done += (size_t)n;
    }
    return 1;
}

/* Why the file that begins with `header` and has `bytes` bytes cannot be the one that is wanted;
 * NULL: it may be. */
static inline const char *wisp_cache_mismatch(const wisp_cache_file *c,
                                              const wisp_cache_header *header, uint64_t bytes)
{
    const wisp_cache_header expected = wisp_cache_expected(c, header->content_bytes);
    if (header->magic != expected.magic || header->header_bytes != expected.header_bytes ||
        memcmp(header->plugin, expected.plugin, sizeof expected.plugin) != 0 ||
        header->key != expected.key)
        return "it is no cache of this plugin";
    if (header->version != expected.version)
        return "another version of the plugin has written it";
    if (header->content_bytes != bytes - sizeof *header)
        return "it is not complete";
    return NULL;
}

static inline const char *wisp_cache_take(const wisp_cache_file *c, int fd, void **content,
                                          size_t *bytes)
{
    wisp_cache_header header;
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return "it is no ordinary file";
    if (status.st_size < (off_t)sizeof header ||
        (uint64_t)status.st_size > WISP_CACHE_MOST_BYTES + sizeof header)
        return "it is not complete";
    if (!wisp_cache_get(fd, &header, sizeof header))
        return "it cannot be read";
    const char *why = wisp_cache_mismatch(c, &header, (uint64_t)status.st_size);
    if (why)
        return why;
    const size_t wanted = (size_t)header.content_bytes;
    void *data = c->host->alloc(c->host, wanted ? wanted : 1);
    if (!data)
        return "there is no memory for it";
    if (!wisp_cache_get(fd, data, wanted))
        why = "it cannot be read";
    else if (wisp_cache_checksum(header, data) != header.checksum)
        why = "it is damaged";
    if (why) {
        c->host->free(c->host, data);
        return why;
    }
    *content = data;
    *bytes = wanted;
    return NULL;
}

/* 1 and the content, of the host's memory and to be freed by the caller; 0 when there is no file or
 * it is of no use, which is logged. */
static inline int wisp_cache_read(const wisp_cache_file *c, void **content, size_t *bytes)
{
    char name[WISP_CACHE_NAME_BYTES];
    wisp_cache_name(c, name);
    /* O_NONBLOCK: a pipe of this name must not stop the run. */
    int fd = openat(c->folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        if (errno != ENOENT)
            wisp_cache_passed_over(c, strerror(errno));
        return 0;
    }
    const char *why = wisp_cache_take(c, fd, content, bytes);
    close(fd);
    if (why)
        wisp_cache_passed_over(c, why);
    return !why;
}

/* --- writing --- */

static inline int wisp_cache_put(int fd, const void *data, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : ENOSPC;
            return 0;
        }
        done += (size_t)n;
    }
    return 1;
}

/* A new file of a name that nobody else uses, in the same folder. */
static inline int wisp_cache_begin(const wisp_cache_file *c, const char *name, char *temporary,
                                   size_t temporary_bytes)
{
    int fd = -1;
    for (int i = 0; fd < 0 && i < WISP_CACHE_TRIES; i++) {
        snprintf(temporary, temporary_bytes, "%s.%lld-%d.tmp", name, (long long)getpid(), i);
        /* 0666: the umask decides who else may read it. */
        fd = openat(c->folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

/* Beyond this limit a write is a signal that ends the process. */
static inline int wisp_cache_fits(uint64_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        (uint64_t)limit.rlim_cur >= bytes)
        return 1;
    errno = EFBIG;
    return 0;
}

static inline int wisp_cache_fill(int fd, wisp_cache_header header, const void *content)
{
    header.checksum = wisp_cache_checksum(header, content);
    int good = wisp_cache_fits(header.content_bytes + sizeof header) &&
               wisp_cache_put(fd, &header, sizeof header) &&
               wisp_cache_put(fd, content, (size_t)header.content_bytes) && fsync(fd) == 0;
    int reason = errno;
    if (close(fd) != 0 && good) {
        good = 0;
        reason = errno;
    }
    errno = reason;
    return good;
}

/* Writes the cache in place of the former one, if any; 1 when it is there. */
static inline int wisp_cache_write(const wisp_cache_file *c, const void *content, size_t bytes)
{
    char name[WISP_CACHE_NAME_BYTES], temporary[WISP_CACHE_NAME_BYTES + 48], line[900];
    wisp_cache_name(c, name);
    if (bytes > WISP_CACHE_MOST_BYTES)
        return 0;
    int fd = wisp_cache_begin(c, name, temporary, sizeof temporary);
    if (fd >= 0) {
        if (wisp_cache_fill(fd, wisp_cache_expected(c, bytes), content) &&
            renameat(c->folder, temporary, c->folder, name) == 0)
            return 1;
        int reason = errno;
        unlinkat(c->folder, temporary, 0);
        errno = reason;
    }
    snprintf(line, sizeof line,
             "no cache is kept in \"%.500s\" (%.120s): each start looks through the data again",
             c->where, strerror(errno));
    c->host->log(c->host, WISP_LOG_INFO, line);
    return 0;
}

#ifdef __cplusplus
}
#endif
#endif
