/* gz_shards.c - who inflates, how far, and what is kept of it. */
#include "gz_shards.h"

/* A sample that is asked for twice was replaced for another, or another reader is at work; after so
 * many of them a new pass over the shard has begun. */
enum { AGAIN_MOST = 3 };

#define POINT_BYTES ((int64_t)4 << 20) /* between points */

wisp_status gz_shards_fill(gz_shards *g, const shard_index *index, shard_files *files,
                           int64_t limit, wisp_error *err)
{
    const wisp_host *host = index->host;
    const int64_t in_shard = index->n_samples / index->n_shards + 1;
    g->index = index;
    g->files = files;
    g->limit = limit;
    g->at_once = 4 + 2 * files->reach / in_shard;
    pthread_mutex_init(&g->lock, NULL);
    g->is_ready = 1;
    g->shards = host->alloc(host, (size_t)index->n_shards * sizeof *g->shards);
    for (int64_t i = 0; g->shards && i < index->n_shards; i++)
        pthread_mutex_init(&g->shards[i].lock, NULL);
    g->used = host->alloc(host, (size_t)index->n_shards * sizeof *g->used);
    if (!g->shards || !g->used)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %lld shards",
                         (long long)index->n_shards);
    return held_fill(&g->held, host, index->n_samples, limit, err);
}

/* With the lock of the shard held. */
static void close_shard(const gz_shards *g, gz_shard *s)
{
    const wisp_host *host = g->index->host;
    gz_close(s->stream);
    s->stream = NULL;
    s->is_begun = 0;
    while (s->last) {
        kept_point *point = s->last;
        s->last = point->before;
        gz_drop(&point->point);
        host->free(host, point);
    }
}

void gz_shards_free(gz_shards *g)
{
    if (!g->is_ready)
        return;
    for (int64_t i = 0; g->shards && i < g->index->n_shards; i++) {
        close_shard(g, &g->shards[i]);
        pthread_mutex_destroy(&g->shards[i].lock);
    }
    g->index->host->free(g->index->host, g->shards);
    g->index->host->free(g->index->host, g->used);
    held_free(&g->held);
    pthread_mutex_destroy(&g->lock);
}

/* --- which shards have something open --- */

/* The shard that was asked longest ago, where too many have something open; -1: none. */
static int64_t one_too_many(gz_shards *g)
{
    int64_t n = 0, oldest = -1;
    for (int64_t i = 0; i < g->index->n_shards; i++) {
        if (!g->used[i])
            continue;
        n++;
        if (oldest < 0 || g->used[i] < g->used[oldest])
            oldest = i;
    }
    return n > g->at_once ? oldest : -1;
}

/* With the lock of `shard` held, so that of another one is taken only where it is free. */
static void note_use(gz_shards *g, int64_t shard, int is_new)
{
    pthread_mutex_lock(&g->lock);
    g->used[shard] = ++g->clock;
    const int64_t other = is_new ? one_too_many(g) : -1;
    if (other >= 0 && other != shard && pthread_mutex_trylock(&g->shards[other].lock) == 0) {
        close_shard(g, &g->shards[other]);
        g->used[other] = 0;
        pthread_mutex_unlock(&g->shards[other].lock);
    }
    pthread_mutex_unlock(&g->lock);
}

/* --- inflating --- */

/* A reader in one shard. */
typedef struct gz_reading {
    gz_shards *g;
    gz_shard *s;
    int64_t shard;
    int fd;
    int32_t reserved;
} gz_reading;

static wisp_status ended_early(const gz_reading *r, wisp_error *err)
{
    return wisp_fail(err, WISP_E_DATA,
                     "the shard \"%.500s\" ends before what was in it when the run began",
                     shard_path(&r->g->index->paths, r->shard));
}

/* Failures of a stream are those of the sample, but for want of memory. */
static wisp_status stream_failure(const gz_reading *r, wisp_status status, wisp_error *err)
{
    wisp_error why = {0};
    if (status == WISP_OK || status == WISP_E_NOMEM)
        return status;
    if (err)
        why = *err;
    return wisp_fail(err, WISP_E_DATA, "the shard \"%.500s\" is %.300s",
                     shard_path(&r->g->index->paths, r->shard), why.message);
}

/* Takes `stream` to a sample's content and reads it. */
static wisp_status inflate_sample(const gz_reading *r, gz_stream *stream, int64_t sample,
                                  uint8_t *data, wisp_error *err)
{
    const shard_sample *s = &r->g->index->samples[sample];
    int64_t got = 0, between = s->offset - stream->out_at;
    WISP_TRY(stream_failure(r, gz_read(stream, r->fd, NULL, between, &got, err), err));
    if (got < between)
        return ended_early(r, err);
    WISP_TRY(stream_failure(r, gz_read(stream, r->fd, data, s->bytes, &got, err), err));
    return got == s->bytes ? WISP_OK : ended_early(r, err);
}

static void keep_point(const gz_reading *r)
{
    const wisp_host *host = r->g->index->host;
    gz_shard *s = r->s;
    const int64_t former = s->last ? s->last->point.out_at : 0;
    if (s->stream->out_at - former < POINT_BYTES)
        return;
    kept_point *point = host->alloc(host, sizeof *point);
    if (point && gz_keep(s->stream, &point->point)) {
        point->before = s->last;
        s->last = point;
    } else {
        host->free(host, point);
    }
}

/* Holds the sample that comes next, unless nobody will ask for it. */
static wisp_status pass_sample(const gz_reading *r, wisp_error *err)
{
    gz_shard *s = r->s;
    const wisp_host *host = r->g->index->host;
    const int64_t sample = s->next++;
    held_sample *held = NULL;
    if (sample >= s->keep_from && !shard_is_taken(r->g->files, sample))
        held = held_begin(&r->g->held, sample, r->g->index->samples[sample].bytes);
    if (!held)
        return WISP_OK; /* the stream goes over it with the next one */
    const wisp_status status = inflate_sample(r, s->stream, sample, held->data, err);
    if (status == WISP_OK)
        held_put(&r->g->held, held);
    else
        host->free(host, held);
    return status;
}

/* A new pass begins where the order may still ask for samples. */
static wisp_status begin_pass(const gz_reading *r, int64_t sample, wisp_error *err)
{
    gz_shard *s = r->s;
    const int64_t first = r->g->index->shards[r->shard].first;
    const int64_t from = sample - r->g->files->reach;
    close_shard(r->g, s);
    s->stream = gz_open(r->g->index->host);
    if (!s->stream)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to inflate a shard");
    s->next = first;
    s->keep_from = from > first ? from : first;
    s->again = 0;
    s->is_begun = 1;
    shard_begin_pass(r->g->files, r->shard);
    return WISP_OK;
}

/* Forward in the stream of the shard. */
static wisp_status read_forward(const gz_reading *r, int64_t sample, uint8_t *data, wisp_error *err)
{
    gz_shard *s = r->s;
    wisp_status status = WISP_OK;
    while (status == WISP_OK && s->next < sample) {
        status = pass_sample(r, err);
        keep_point(r);
    }
    if (status == WISP_OK) {
        s->next = sample + 1;
        status = inflate_sample(r, s->stream, sample, data, err);
    }
    const int64_t end = r->g->index->shards[r->shard + 1].first;
    if (status != WISP_OK || s->next == end) {
        gz_close(s->stream); /* the points stay */
        s->stream = NULL;
        s->keep_from = status == WISP_OK ? s->keep_from : end;
        s->next = end;
    }
    return status;
}

/* A sample that the stream has passed, from the last point before it. */
static wisp_status read_back(const gz_reading *r, int64_t sample, uint8_t *data, wisp_error *err)
{
    const int64_t offset = r->g->index->samples[sample].offset;
    kept_point *point = r->s->last;
    while (point && point->point.out_at > offset)
        point = point->before;
    gz_stream *stream = gz_open(r->g->index->host);
    if (!stream || (point && !gz_go(stream, &point->point))) {
        gz_close(stream);
        return wisp_fail(err, WISP_E_NOMEM, "no memory to inflate a shard");
    }
    const wisp_status status = inflate_sample(r, stream, sample, data, err);
    gz_close(stream);
    return status;
}

/* --- reading --- */

static int take_held(gz_shards *g, int64_t sample, uint8_t *data)
{
    held_sample *held = held_take(&g->held, sample);
    if (!held)
        return 0;
    memcpy(data, held->data, (size_t)held->bytes);
    g->index->host->free(g->index->host, held);
    return 1;
}

/* The one line about samples that had to go before they were asked for. */
static void tell_shortage(gz_shards *g)
{
    char line[1024];
    pthread_mutex_lock(&g->lock);
    const int is_told = g->is_told;
    g->is_told = 1;
    pthread_mutex_unlock(&g->lock);
    if (is_told)
        return;
    snprintf(
        line, sizeof line,
        "\"%.500s\": more than memory = %lld MiB of inflated samples wait, so some are inflated "
        "again: take more memory, a smaller shuffle, or shards that are not compressed",
        g->index->path, (long long)(g->limit >> 20));
    g->index->host->log(g->index->host, WISP_LOG_WARNING, line);
}

static wisp_status read_in_shard(const gz_reading *r, int64_t sample, uint8_t *data,
                                 wisp_error *err)
{
    gz_shard *s = r->s;
    const int was_taken = shard_is_taken(r->g->files, sample);
    const int is_new_pass = !s->is_begun || (was_taken && ++s->again > AGAIN_MOST);
    if (is_new_pass)
        WISP_TRY(begin_pass(r, sample, err));
    note_use(r->g, r->shard, is_new_pass);
    if (s->stream && s->next <= sample)
        return read_forward(r, sample, data, err);
    if (!was_taken && sample >= s->keep_from)
        tell_shortage(r->g);
    return read_back(r, sample, data, err);
}

static wisp_status read_open(gz_shards *g, int64_t shard, int fd, int64_t sample, uint8_t *data,
                             wisp_error *err)
{
    const gz_reading r = {.g = g, .s = &g->shards[shard], .shard = shard, .fd = fd};
    wisp_status status = WISP_OK;
    pthread_mutex_lock(&r.s->lock);
    if (!take_held(g, sample, data)) /* it may have come meanwhile */
        status = read_in_shard(&r, sample, data, err);
    pthread_mutex_unlock(&r.s->lock);
    return status;
}

wisp_status gz_shards_read(gz_shards *g, int64_t sample, uint8_t *data, wisp_error *err)
{
    const int64_t shard = shard_of(g->index, sample);
    int fd = -1;
    if (!take_held(g, sample, data)) {
        WISP_TRY(shard_borrow(g->files, shard, &fd, err));
        const wisp_status status = read_open(g, shard, fd, sample, data, err);
        shard_give_back(g->files, shard);
        WISP_TRY(status);
    }
    shard_take(g->files, sample);
    return WISP_OK;
}
