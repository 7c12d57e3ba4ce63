/* fuzz_shard.c - any bytes as a shard on disk: a gzip file as it is, and what the input asks for
 * compressed by zlib, then spoilt or not. Its samples are looked for, and the stream is read from
 * points that were kept on the way, which must give what reading it in one go does. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "datasets/webdataset/gz_stream.h"
#include "datasets/webdataset/shard_scan.h"
#include "loader/host_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { POINTS = 3, MOST_BYTES = 1 << 18, COMPRESSED_BYTES = 1 << 17 };

static int open_memory(const void *data, size_t size, char path[64])
{
    const int fd = memfd_create("shard", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* --- samples --- */

static void check_scan(const shard_scan *scan)
{
    const shard_sample *samples = (const shard_sample *)(const void *)scan->samples.data;
    for (int64_t i = 0; i < scan->n; i++) {
        const shard_sample *s = &samples[i];
        if (s->offset < 0 || s->bytes < 0 || s->name >= scan->names.used ||
            (s->label != NO_LABEL && (s->label < 0 || s->label > MAX_LABEL)))
            abort();
        if (strlen(scan->names.data + s->name) >= scan->names.used)
            abort();
        if (!scan->is_gz && s->bytes > scan->bytes - s->offset)
            abort(); /* a plain one tells where the file has an end */
    }
    if (scan->is_broken && !scan->damage[0])
        abort();
}

static void scan_shard(const char *path, int32_t labels)
{
    const char *extensions[] = {"jpg", "png"};
    const scan_rules rules = {.images = {2, extensions}, .json_key = "label", .labels = labels};
    shard_scan scan = {.samples = {.host = wispi_host_table()},
                       .names = {.host = wispi_host_table()}};
    wisp_error err = {0};
    const wisp_status status = shard_scan_run(&scan, wispi_host_table(), path, &rules, &err);
    if (status == WISP_OK)
        check_scan(&scan);
    else if (!err.message[0])
        abort();
    shard_scan_free(&scan);
}

/* --- the stream --- */

/* In pieces, with points kept between some of them. Returns how much there is. */
static int64_t read_through(gz_stream *s, int fd, uint8_t *whole, gz_point *points, int *n_points)
{
    int64_t used = 0, got = 1;
    wisp_error err = {0};
    for (int piece = 1; got > 0 && used < MOST_BYTES; piece = piece * 3 + 1) {
        const int64_t wanted = piece < MOST_BYTES - used ? piece : MOST_BYTES - used;
        if (gz_read(s, fd, whole + used, wanted, &got, &err) != WISP_OK) {
            if (!err.message[0])
                abort();
            return used;
        }
        if (got < 0 || got > wanted)
            abort();
        used += got;
        if (got == wanted && *n_points < POINTS && piece % 2 == 0)
            *n_points += gz_keep(s, &points[*n_points]) != 0;
    }
    return used;
}

/* From each point the rest is what it was. */
static void read_again(gz_stream *s, int fd, const uint8_t *whole, int64_t used, gz_point *points,
                       int n_points)
{
    static uint8_t again[MOST_BYTES];
    for (int i = n_points - 1; i >= -1; i--) {
        wisp_error err = {0};
        int64_t got = 0;
        const int64_t at = i < 0 ? 0 : points[i].out_at;
        if (at > used || !gz_go(s, i < 0 ? NULL : &points[i]))
            abort();
        const int64_t wanted = (used - at) / 2;
        if (gz_read(s, fd, again, wanted, &got, &err) != WISP_OK || got != wanted ||
            memcmp(again, whole + at, (size_t)got) != 0)
            abort();
    }
    for (int i = 0; i < n_points; i++)
        gz_drop(&points[i]);
}

static void read_stream(int fd)
{
    static uint8_t whole[MOST_BYTES];
    gz_point points[POINTS];
    int n_points = 0;
    memset(points, 0, sizeof points);
    gz_stream *s = gz_open(wispi_host_table());
    if (!s)
        return;
    const int64_t used = read_through(s, fd, whole, points, &n_points);
    read_again(s, fd, whole, used, points, n_points);
    gz_close(s);
}

/* --- both, on one file --- */

static void take_file(const uint8_t *data, size_t size, int32_t labels)
{
    char path[64];
    const int fd = open_memory(data, size, path);
    scan_shard(path, labels);
    read_stream(fd);
    close(fd);
    if (wispi_live_blocks() != 0)
        abort();
}

/* One gzip member, or two. */
static size_t compress_input(const uint8_t *data, size_t size, int level, size_t split,
                             uint8_t out[COMPRESSED_BYTES])
{
    size_t used = 0;
    split = split < size ? split : size;
    for (int part = 0; part < 2; part++) {
        z_stream z = {0};
        if (deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            abort();
        union {
            const uint8_t *in;
            uint8_t *z; /* which is not written to */
        } from = {.in = part ? data + split : data};
        z.next_in = from.z;
        z.avail_in = (unsigned)(part ? size - split : split);
        z.next_out = out + used;
        z.avail_out = (unsigned)(COMPRESSED_BYTES - used);
        deflate(&z, Z_FINISH);
        used += z.total_out;
        deflateEnd(&z);
    }
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t compressed[COMPRESSED_BYTES];
    if (size < 4 || size > COMPRESSED_BYTES / 2)
        return 0;
    const uint8_t *order = data + size - 4; /* so that files are inputs as they are */
    take_file(data, size, order[0] % 4);
    size_t n = compress_input(data, size - 4, order[1] % 10, order[2] * 16u, compressed);
    if (order[3] & 1)
        compressed[(order[2] * 251u + order[3]) % n] ^= (uint8_t)(1 + order[1]);
    if (order[3] & 2)
        n -= n < 30 ? 0 : order[1] % 30;
    take_file(compressed, n, order[0] % 4);
    return 0;
}
