/* gz_stream.c - inflating with zlib, whose memory is the host's. */
#include "gz_stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ANY_HEADER = 15 + 16, PASSED_BYTES = 1 << 15 };

static voidpf give(voidpf user, uInt items, uInt size)
{
    const wisp_host *host = user;
    return host->alloc(host, (size_t)items * size);
}

static void take_back(voidpf user, voidpf memory)
{
    const wisp_host *host = user;
    host->free(host, memory);
}

static int begin(gz_stream *s)
{
    memset(&s->z, 0, sizeof s->z);
    s->z.zalloc = give;
    s->z.zfree = take_back;
    memcpy(&s->z.opaque, &s->host, sizeof s->z.opaque);
    s->is_open = inflateInit2(&s->z, ANY_HEADER) == Z_OK;
    s->is_inside = s->has_ended = 0;
    s->in_at = s->out_at = 0;
    return s->is_open;
}

gz_stream *gz_open(const wisp_host *host)
{
    gz_stream *s = host->alloc(host, sizeof *s);
    if (!s)
        return NULL;
    s->host = host;
    if (!begin(s)) {
        gz_close(s);
        return NULL;
    }
    return s;
}

void gz_close(gz_stream *s)
{
    if (!s)
        return;
    if (s->is_open)
        inflateEnd(&s->z);
    s->host->free(s->host, s);
}

/* --- reading --- */

/* At least two bytes of input, where the file has them. */
static wisp_status fill_input(gz_stream *s, int fd, wisp_error *err)
{
    char text[128];
    if (s->z.avail_in)
        memmove(s->input, s->z.next_in, s->z.avail_in);
    s->z.next_in = s->input;
    while (s->z.avail_in < 2) {
        ssize_t n = pread(fd, s->input + s->z.avail_in, GZ_INPUT_BYTES - s->z.avail_in, s->in_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return wisp_fail(err, WISP_E_IO, "cannot be read: %s",
                             strerror_r(errno, text, sizeof text));
        if (n == 0)
            break;
        s->z.avail_in += (uInt)n;
        s->in_at += n;
    }
    return WISP_OK;
}

/* The next member, if what comes looks like one. */
static wisp_status begin_member(gz_stream *s, wisp_error *err)
{
    const uint8_t *next = s->z.next_in;
    if (s->z.avail_in < 2 || next[0] != 0x1f || next[1] != 0x8b) {
        s->has_ended = 1;
        return WISP_OK;
    }
    s->is_inside = 1;
    return inflateReset(&s->z) == Z_OK ? WISP_OK
                                       : wisp_fail(err, WISP_E_INTERNAL, "zlib does not begin");
}

static wisp_status inflate_some(gz_stream *s, wisp_error *err)
{
    const int code = inflate(&s->z, Z_NO_FLUSH);
    if (code == Z_STREAM_END)
        s->is_inside = 0;
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
        return WISP_OK;
    if (code == Z_MEM_ERROR)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to inflate");
    return wisp_fail(err, WISP_E_CORRUPT, "damaged as a gzip file near byte %lld (%s)",
                     (long long)(s->in_at - s->z.avail_in), s->z.msg ? s->z.msg : "zlib");
}

/* Up to `bytes`, into memory that has room for them. */
static wisp_status read_piece(gz_stream *s, int fd, uint8_t *data, uInt bytes, wisp_error *err)
{
    s->z.next_out = data;
    s->z.avail_out = bytes;
    while (s->z.avail_out > 0 && !s->has_ended) {
        if (s->z.avail_in < 2)
            WISP_TRY(fill_input(s, fd, err));
        if (!s->is_inside) {
            WISP_TRY(begin_member(s, err));
            continue;
        }
        if (s->z.avail_in == 0) {
            s->has_ended = 1; /* cut off: is_inside stays */
            break;
        }
        const uInt before = s->z.avail_out, input = s->z.avail_in;
        WISP_TRY(inflate_some(s, err));
        s->out_at += before - s->z.avail_out;
        if (s->is_inside && before == s->z.avail_out && input == s->z.avail_in)
            return wisp_fail(err, WISP_E_CORRUPT, "damaged as a gzip file: it leads nowhere");
    }
    return WISP_OK;
}

wisp_status gz_read(gz_stream *s, int fd, uint8_t *data, int64_t bytes, int64_t *got,
                    wisp_error *err)
{
    uint8_t passed[PASSED_BYTES];
    const int64_t most = data ? 1 << 30 : PASSED_BYTES;
    int64_t done = 0;
    while (done < bytes && !s->has_ended) {
        const int64_t left = bytes - done, piece = left < most ? left : most, from = s->out_at;
        WISP_TRY(read_piece(s, fd, data ? data + done : passed, (uInt)piece, err));
        done += s->out_at - from;
    }
    *got = done;
    return WISP_OK;
}

int gz_is_whole(const gz_stream *s)
{
    return s->has_ended && !s->is_inside;
}

/* --- points --- */

int gz_keep(gz_stream *s, gz_point *point)
{
    if (!s->is_inside || inflateCopy(&point->z, &s->z) != Z_OK)
        return 0;
    point->in_at = s->in_at - s->z.avail_in;
    point->out_at = s->out_at;
    return 1;
}

int gz_go(gz_stream *s, gz_point *point)
{
    if (s->is_open)
        inflateEnd(&s->z);
    s->is_open = 0;
    if (!point)
        return begin(s);
    s->is_open = inflateCopy(&s->z, &point->z) == Z_OK;
    s->z.avail_in = 0;
    s->is_inside = 1;
    s->has_ended = 0;
    s->in_at = point->in_at;
    s->out_at = point->out_at;
    return s->is_open;
}

void gz_drop(gz_point *point)
{
    inflateEnd(&point->z);
}
