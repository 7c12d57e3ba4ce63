/* jsonl.c - reads in pieces, so that a file's size costs no memory; a line's does. */
#include "report/jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

enum { PIECE = 64 * 1024, LONGEST_LINE = 1024 * 1024 };

typedef struct reader {
    int fd;
    char *bytes;           /* those from `first` to `n` are not used yet */
    size_t first, n, room; /* of `bytes` */
    int at_end;
    wispi_jsonl_place place;
    wispi_jsonl_visit visit;
    void *user;
} reader;

static wisp_status read_more(reader *r, wisp_error *err)
{
    memmove(r->bytes, r->bytes + r->first, r->n - r->first);
    r->n -= r->first;
    r->first = 0;
    if (r->n > LONGEST_LINE)
        return wisp_fail(err, WISP_E_CORRUPT, "%s:%lld: a line of more than %d bytes",
                         r->place.path, (long long)r->place.line + 1, LONGEST_LINE);
    if (r->room - r->n < PIECE) {
        char *larger = wispi_grow(r->bytes, r->room, 2 * r->room);
        if (!larger)
            return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for a line", r->place.path);
        r->bytes = larger;
        r->room *= 2;
    }
    ssize_t got;
    do
        got = read(r->fd, r->bytes + r->n, PIECE);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return wisp_fail(err, WISP_E_IO, "%s: %s", r->place.path, strerror(errno));
    r->n += (size_t)got;
    r->at_end = got == 0;
    return WISP_OK;
}

static int is_blank(const char *line, size_t n)
{
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t' || line[n - 1] == '\r'))
        n--;
    return n == 0;
}

static wisp_status take_line(reader *r, const char *line, size_t n, int is_whole, wisp_error *err)
{
    json_error_t why;
    r->place.line++;
    if (is_blank(line, n))
        return WISP_OK;
    json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(object)) {
        json_decref(object);
        if (!is_whole)
            return WISP_OK;
        return wisp_fail(err, WISP_E_CORRUPT, "%s:%lld: not a JSON object: %.200s", r->place.path,
                         (long long)r->place.line, object ? "a value of another type" : why.text);
    }
    wisp_status status = r->visit(r->user, object, &r->place, err);
    json_decref(object);
    return status;
}

static wisp_status take_lines(reader *r, wisp_error *err)
{
    while (!r->at_end) {
        WISP_TRY(read_more(r, err));
        char *end;
        while ((end = memchr(r->bytes + r->first, '\n', r->n - r->first)) != NULL) {
            const char *line = r->bytes + r->first;
            r->first = (size_t)(end - r->bytes) + 1;
            WISP_TRY(take_line(r, line, (size_t)(end - line), 1, err));
        }
    }
    if (r->first == r->n)
        return WISP_OK;
    return take_line(r, r->bytes + r->first, r->n - r->first, 0, err);
}

/* fd -1: there is no such file. */
static wisp_status open_regular(const char *path, int *fd, wisp_error *err)
{
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return WISP_OK;
    if (*fd >= 0 && fstat(*fd, &info) == 0 && S_ISREG(info.st_mode))
        return WISP_OK;
    const char *why = *fd < 0 ? strerror(errno) : "not a regular file";
    if (*fd >= 0)
        close(*fd);
    return wisp_fail(err, WISP_E_IO, "%s: %s", path, why);
}

wisp_status wispi_jsonl_read(const char *path, wispi_jsonl_visit visit, void *user, wisp_error *err)
{
    reader r = {.room = 2 * PIECE, .place = {path, 0}, .visit = visit, .user = user};
    WISP_TRY(open_regular(path, &r.fd, err));
    if (r.fd < 0)
        return WISP_OK;
    r.bytes = wispi_alloc(r.room);
    wisp_status status = r.bytes ? take_lines(&r, err)
                                 : wisp_fail(err, WISP_E_NOMEM, "%s: no memory to read it", path);
    wispi_free(r.bytes);
    close(r.fd);
    return status;
}
