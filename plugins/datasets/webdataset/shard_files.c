/* shard_files.c - opening, reading and reading ahead. */
#include "shard_files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tar_reader.h"

enum { MAX_OPEN = 256, WORKERS_STRAY = 256 /* samples that several at once may be apart */ };

#define AHEAD_BYTES ((int64_t)16 << 20) /* beyond what was asked for */
#define AHEAD_STEP ((int64_t)1 << 20)   /* less is not worth a call */
#define AHEAD_MOST ((int64_t)32 << 20)  /* that one reader tells at a time */
/* The system cuts what it is told to the length of a request of the device, or to its usual
 * reading ahead. So it is told of what most devices take, then of the pieces in it, which costs
 * little where they are on their way. */
#define AHEAD_LONG ((int64_t)1 << 20)
#define AHEAD_PIECE ((int64_t)128 << 10)

wisp_status shard_files_fill(shard_files *f, const shard_index *index, int64_t window,
                             wisp_error *err)
{
    const wisp_host *host = index->host;
    f->index = index;
    f->reach = WORKERS_STRAY + (window > 1 ? window + window / 2 : 0);
    pthread_mutex_init(&f->lock, NULL);
    f->is_ready = 1;
    f->shards = host->alloc(host, (size_t)index->n_shards * sizeof *f->shards);
    f->taken = host->alloc(host, (size_t)index->n_samples / 8 + 1);
    if (!f->shards || !f->taken)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %lld shards",
                         (long long)index->n_shards);
    for (int64_t i = 0; i < index->n_shards; i++)
        f->shards[i] = (open_shard){.fd = -1, .ahead = -1};
    return WISP_OK;
}

void shard_files_free(shard_files *f)
{
    if (!f->is_ready)
        return;
    for (int64_t i = 0; f->shards && i < f->index->n_shards; i++)
        if (f->shards[i].fd >= 0)
            close(f->shards[i].fd);
    f->index->host->free(f->index->host, f->shards);
    f->index->host->free(f->index->host, f->taken);
    pthread_mutex_destroy(&f->lock);
}

/* --- open files --- */

static wisp_status open_failure(const char *path, const char *what, wisp_error *err)
{
    char text[128];
    const int shortage = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    return wisp_fail(err, shortage ? WISP_E_IO : WISP_E_DATA, "cannot %s the shard \"%.500s\": %s",
                     what, path, strerror_r(errno, text, sizeof text));
}

/* With the lock held. */
static void close_oldest(shard_files *f)
{
    open_shard *oldest = NULL;
    for (int64_t i = 0; i < f->index->n_shards; i++) {
        open_shard *s = &f->shards[i];
        if (s->fd >= 0 && s->users == 0 && (!oldest || s->used < oldest->used))
            oldest = s;
    }
    if (!oldest)
        return;
    close(oldest->fd);
    oldest->fd = -1;
    oldest->ahead = -1;
    f->n_open--;
}

/* With the lock held. */
static wisp_status open_shard_file(shard_files *f, int64_t i, wisp_error *err)
{
    const indexed_shard *expected = &f->index->shards[i];
    const char *path = shard_path(&f->index->paths, i);
    int64_t bytes = 0, mtime = 0;
    if (f->n_open >= MAX_OPEN)
        close_oldest(f);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return open_failure(path, "open", err);
    if (!shard_look(fd, &bytes, &mtime) || bytes != expected->bytes || mtime != expected->mtime) {
        close(fd);
        return wisp_fail(err, WISP_E_DATA,
                         "the shard \"%.500s\" is not what it was when the run began", path);
    }
    if (!expected->is_gz)
        posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* what is read ahead is told */
    f->shards[i].fd = fd;
    f->n_open++;
    return WISP_OK;
}

wisp_status shard_borrow(shard_files *f, int64_t i, int *fd, wisp_error *err)
{
    wisp_status status = WISP_OK;
    pthread_mutex_lock(&f->lock);
    open_shard *s = &f->shards[i];
    if (s->fd < 0)
        status = open_shard_file(f, i, err);
    if (status == WISP_OK) {
        s->users++;
        s->used = ++f->clock;
        *fd = s->fd;
    }
    pthread_mutex_unlock(&f->lock);
    return status;
}

void shard_give_back(shard_files *f, int64_t i)
{
    pthread_mutex_lock(&f->lock);
    f->shards[i].users--;
    pthread_mutex_unlock(&f->lock);
}

/* --- what was read --- */

int shard_is_taken(shard_files *f, int64_t sample)
{
    pthread_mutex_lock(&f->lock);
    const int is_taken = f->taken[sample / 8] >> sample % 8 & 1;
    pthread_mutex_unlock(&f->lock);
    return is_taken;
}

int shard_take(shard_files *f, int64_t sample)
{
    const uint8_t bit = (uint8_t)(1 << sample % 8);
    pthread_mutex_lock(&f->lock);
    const int was_taken = (f->taken[sample / 8] & bit) != 0;
    f->taken[sample / 8] |= bit;
    pthread_mutex_unlock(&f->lock);
    return was_taken;
}

void shard_begin_pass(shard_files *f, int64_t i)
{
    pthread_mutex_lock(&f->lock);
    for (int64_t k = f->index->shards[i].first; k < f->index->shards[i + 1].first; k++)
        f->taken[k / 8] &= (uint8_t) ~(1 << k % 8);
    f->shards[i].ahead = -1;
    pthread_mutex_unlock(&f->lock);
}

/* --- reading ahead --- */

/* The stretch that this reader is to announce. What the order may still ask for from before the
 * first sample that was asked for is read as well. */
static void claim_ahead(shard_files *f, int64_t i, int64_t sample, int64_t *from, int64_t *to)
{
    const indexed_shard *s = &f->index->shards[i];
    const shard_sample *samples = f->index->samples;
    const int64_t wanted = samples[sample].offset + samples[sample].bytes + AHEAD_BYTES;
    const int64_t target = wanted < s->bytes ? wanted : s->bytes;
    pthread_mutex_lock(&f->lock);
    open_shard *o = &f->shards[i];
    if (o->ahead < 0) {
        const int64_t first = sample - f->reach;
        o->ahead = first <= s->first ? 0 : samples[first].offset;
    }
    *from = *to = o->ahead;
    if (target - o->ahead >= AHEAD_STEP || (target == s->bytes && target > o->ahead)) {
        *to = target - o->ahead < AHEAD_MOST ? target : o->ahead + AHEAD_MOST;
        o->ahead = *to;
    }
    pthread_mutex_unlock(&f->lock);
}

static void tell(int fd, int64_t from, int64_t to, int64_t piece)
{
    for (; from < to; from += piece)
        posix_fadvise(fd, from, to - from < piece ? to - from : piece, POSIX_FADV_WILLNEED);
}

static void read_ahead(shard_files *f, int64_t i, int fd, int64_t sample)
{
    int64_t from, to;
    claim_ahead(f, i, sample, &from, &to);
    for (; from < to; from += AHEAD_LONG) {
        const int64_t end = to - from < AHEAD_LONG ? to : from + AHEAD_LONG;
        tell(fd, from, end, AHEAD_LONG);
        tell(fd, from, end, AHEAD_PIECE);
    }
}

/* --- reading --- */

static wisp_status read_all(int fd, uint8_t *data, int64_t bytes, int64_t offset, const char *path,
                            wisp_error *err)
{
    while (bytes > 0) {
        const ssize_t n = pread(fd, data, (size_t)bytes, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return open_failure(path, "read", err);
        if (n == 0)
            return wisp_fail(err, WISP_E_DATA,
                             "the shard \"%.500s\" has become shorter than it was when the run "
                             "began",
                             path);
        data += n;
        bytes -= n;
        offset += n;
    }
    return WISP_OK;
}

/* The header in front of the content shows whether the file was written anew. */
static wisp_status read_content(int fd, const shard_sample *s, uint8_t *data, const char *path,
                                wisp_error *err)
{
    uint8_t header[TAR_BLOCK];
    WISP_TRY(read_all(fd, header, TAR_BLOCK, s->offset - TAR_BLOCK, path, err));
    if (!tar_is_header(header))
        return wisp_fail(err, WISP_E_DATA, "the shard \"%.500s\" has no file at byte %lld any more",
                         path, (long long)s->offset);
    return read_all(fd, data, s->bytes, s->offset, path, err);
}

wisp_status shard_read_plain(shard_files *f, int64_t sample, uint8_t *data, wisp_error *err)
{
    const int64_t i = shard_of(f->index, sample);
    int fd = -1;
    WISP_TRY(shard_borrow(f, i, &fd, err));
    if (shard_take(f, sample)) {
        shard_begin_pass(f, i);
        shard_take(f, sample);
    }
    read_ahead(f, i, fd, sample);
    wisp_status status =
        read_content(fd, &f->index->samples[sample], data, shard_path(&f->index->paths, i), err);
    shard_give_back(f, i);
    return status;
}
