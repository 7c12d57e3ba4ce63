/* shard_index.c - scans the shards in parallel and puts together what was found. */
#include "shard_index.h"

#include <time.h>

#include <wisp/hash64.h>

#include "index_cache.h"

typedef struct scan_work {
    const wisp_host *host;
    const shard_index *index;
    const scan_rules *rules;
    shard_scan *scans;
    wisp_status *status;
    wisp_error *errors;
} scan_work;

/* --- scanning --- */

static void scan_some(void *user, int64_t first, int64_t last)
{
    const scan_work *w = user;
    for (int64_t i = first; i < last; i++) {
        w->scans[i].samples.host = w->scans[i].names.host = w->host;
        w->status[i] = shard_scan_run(&w->scans[i], w->host, shard_path(&w->index->paths, i),
                                      w->rules, &w->errors[i]);
    }
}

static void write_log(const wisp_host *host, int32_t level, const char *path, const char *what)
{
    char line[1600];
    snprintf(line, sizeof line, "\"%.400s\" %s", path, what);
    host->log(host, level, line);
}

/* Says what is wrong with each broken shard, and refuses them where that is wanted. */
static wisp_status judge_broken(shard_index *index, shard_scan *scans, int32_t broken,
                                wisp_error *err)
{
    static const char *const fate[] = {"", "they are used", "it is left out"};
    int64_t worst = -1;
    for (int64_t i = 0; i < index->n_shards; i++) {
        char text[1100];
        if (!scans[i].is_broken)
            continue;
        worst = worst < 0 ? i : worst;
        index->n_broken++;
        snprintf(text, sizeof text, "is broken: %.880s; %lld of its samples are usable%s%s",
                 scans[i].damage, (long long)scans[i].n, broken == BROKEN_FAIL ? "" : ", and ",
                 fate[broken]);
        write_log(index->host, WISP_LOG_WARNING, shard_path(&index->paths, i), text);
        if (broken == BROKEN_SKIP)
            scans[i].n = 0;
    }
    if (worst < 0 || broken != BROKEN_FAIL)
        return WISP_OK;
    return wisp_fail(err, WISP_E_CORRUPT,
                     "%lld of %lld shards are broken, such as \"%.300s\": %.400s; mend them, or "
                     "take broken_shards = \"use\" (the samples before the damage) or \"skip\"",
                     (long long)index->n_broken, (long long)index->n_shards,
                     shard_path(&index->paths, worst), scans[worst].damage);
}

/* --- putting together --- */

static wisp_status no_memory(const shard_index *index, wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for %lld samples in %lld shards",
                     (long long)index->n_samples, (long long)index->n_shards);
}

static void *room(const wisp_host *host, int64_t n, size_t bytes)
{
    return host->alloc(host, (size_t)(n > 0 ? n : 1) * bytes);
}

static void take_scan(shard_index *index, int64_t i, const shard_scan *scan, int64_t *n,
                      int64_t *names)
{
    const shard_sample *found = (const shard_sample *)(const void *)scan->samples.data;
    index->shards[i] = (indexed_shard){*n, scan->bytes, scan->mtime, scan->is_gz, scan->is_broken};
    index->n_without_image += scan->n_without_image;
    index->n_links += scan->n_links;
    index->n_sparse += scan->n_sparse;
    if (!index->other[0])
        memcpy(index->other, scan->other, sizeof index->other);
    for (int64_t k = 0; k < scan->n; k++) {
        index->samples[*n + k] = found[k];
        index->samples[*n + k].name += (uint64_t)*names;
    }
    if (scan->names.used)
        memcpy(index->names + *names, scan->names.data, scan->names.used);
    *n += scan->n;
    *names += (int64_t)scan->names.used;
}

static wisp_status join_scans(shard_index *index, const shard_scan *scans, wisp_error *err)
{
    int64_t n = 0, names = 0;
    for (int64_t i = 0; i < index->n_shards; i++) {
        index->n_samples += scans[i].n;
        index->name_bytes += (int64_t)scans[i].names.used;
    }
    index->shards = room(index->host, index->n_shards + 1, sizeof *index->shards);
    index->samples = room(index->host, index->n_samples, sizeof *index->samples);
    index->names = room(index->host, index->name_bytes, 1);
    if (!index->shards || !index->samples || !index->names)
        return no_memory(index, err);
    for (int64_t i = 0; i < index->n_shards; i++)
        take_scan(index, i, &scans[i], &n, &names);
    index->shards[index->n_shards].first = n;
    return WISP_OK;
}

static wisp_status scan_shards(shard_index *index, const scan_work *w, int32_t broken,
                               wisp_error *err)
{
    index->host->parallel_for(index->host, index->n_shards, 1, scan_some, (void *)(uintptr_t)w);
    for (int64_t i = 0; i < index->n_shards; i++) {
        if (w->status[i] == WISP_OK)
            continue;
        if (err)
            *err = w->errors[i];
        return w->status[i];
    }
    WISP_TRY(judge_broken(index, w->scans, broken, err));
    return join_scans(index, w->scans, err);
}

static wisp_status fill_by_scanning(shard_index *index, const index_options *o, wisp_error *err)
{
    const wisp_host *host = index->host;
    scan_work w = {.host = host, .index = index, .rules = &o->rules};
    w.scans = room(host, index->n_shards, sizeof *w.scans);
    w.status = room(host, index->n_shards, sizeof *w.status);
    w.errors = room(host, index->n_shards, sizeof *w.errors);
    wisp_status status = w.scans && w.status && w.errors ? scan_shards(index, &w, o->broken, err)
                                                         : no_memory(index, err);
    for (int64_t i = 0; w.scans && i < index->n_shards; i++)
        shard_scan_free(&w.scans[i]);
    host->free(host, w.scans);
    host->free(host, w.status);
    host->free(host, w.errors);
    return status;
}

wisp_status shard_index_fill(shard_index *index, const wisp_host *host, const index_options *o,
                             wisp_error *err)
{
    const int64_t began = time(NULL);
    index->host = host;
    index->path = o->path;
    WISP_TRY(shard_paths_fill(&index->paths, host, o->path, err));
    index->n_shards = index->paths.n;
    if (index_cache_read(index, &o->rules))
        return WISP_OK;
    WISP_TRY(fill_by_scanning(index, o, err));
    if (index->n_broken == 0 && index->n_samples > 0)
        index_cache_write(index, &o->rules, began);
    return WISP_OK;
}

void shard_index_free(shard_index *index)
{
    if (!index->host)
        return;
    shard_paths_free(&index->paths);
    index->host->free(index->host, index->shards);
    index->host->free(index->host, index->samples);
    index->host->free(index->host, index->names);
}

/* --- use --- */

int64_t shard_of(const shard_index *index, int64_t sample)
{
    int64_t low = 0, high = index->n_shards;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (index->shards[middle].first <= sample)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void shard_index_keep(shard_index *index, const int64_t *chosen, int64_t n)
{
    int64_t taken = 0;
    for (int64_t i = 0; i < index->n_shards; i++) {
        const int64_t end = index->shards[i + 1].first;
        index->shards[i].first = taken;
        for (; taken < n && chosen[taken] < end; taken++)
            index->samples[taken] = index->samples[chosen[taken]];
    }
    index->shards[index->n_shards].first = index->n_samples = n;
}

uint64_t shard_index_fingerprint(const shard_index *index)
{
    uint64_t hash = 0;
    for (int64_t i = 0; i < index->n_shards; i++) {
        const char *file = shard_file(index, i);
        hash = wisp_hash64(file, strlen(file) + 1, hash);
        for (int64_t k = index->shards[i].first; k < index->shards[i + 1].first; k++) {
            const shard_sample *sample = &index->samples[k];
            const char *name = sample_file(index, k);
            const int64_t numbers[3] = {sample->offset, sample->bytes, sample->label};
            hash = wisp_hash64(name, strlen(name) + 1, hash);
            hash = wisp_hash64(numbers, sizeof numbers, hash);
        }
    }
    return hash;
}
