/* index_cache.c - what is kept, and what is checked of what was kept. */
#include "index_cache.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <wisp/cache_file.h>

#include "tar_reader.h"

enum { LAYOUT = 1, SETTLED_SECONDS = 3 };

/* The content: this, then shards, samples and names, as they are in memory. */
typedef struct cache_head {
    int64_t n_shards, n_samples, name_bytes;
    int64_t n_without_image, n_links, n_sparse;
    char other[128];
} cache_head;

/* What the samples depend on besides the shards' content. */
static uint64_t key_of(const shard_index *index, const scan_rules *rules)
{
    const char *const *images = rules->images.items;
    uint64_t key = wisp_hash64(&rules->labels, sizeof rules->labels, LAYOUT);
    key = wisp_hash64(rules->json_key, strlen(rules->json_key) + 1, key);
    for (int64_t i = 0; i < rules->images.count; i++)
        key = wisp_hash64(images[i], strlen(images[i]) + 1, key);
    key = wisp_hash64(&rules->images.count, sizeof rules->images.count, key);
    for (int64_t i = 0; i < index->n_shards; i++)
        key = wisp_hash64(shard_file(index, i), strlen(shard_file(index, i)) + 1, key);
    return key;
}

/* Opens the folder of the first shard; 0 where that is not possible. */
static int begin(wisp_cache_file *c, const shard_index *index, const scan_rules *rules,
                 char folder[PATH_MAX])
{
    const char *path = shard_path(&index->paths, 0);
    const size_t length = (size_t)(shard_file(index, 0) - path);
    if (length >= PATH_MAX)
        return 0;
    snprintf(folder, PATH_MAX, "%.*s", (int)length, path);
    if (length == 0)
        snprintf(folder, PATH_MAX, ".");
    *c = (wisp_cache_file){.host = index->host,
                           .plugin = "webdataset",
                           .where = folder,
                           .key = key_of(index, rules),
                           .version = LAYOUT};
    c->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return c->folder >= 0;
}

/* --- reading --- */

static int sizes_fit(const shard_index *index, const cache_head *head, size_t bytes)
{
    const uint64_t left = bytes - sizeof *head;
    if (head->n_shards != index->n_shards || head->n_samples < 1 || head->name_bytes < 1 ||
        (uint64_t)head->n_samples > left / sizeof(shard_sample) ||
        (uint64_t)head->name_bytes > left)
        return 0;
    return left == ((uint64_t)head->n_shards + 1) * sizeof(indexed_shard) +
                       (uint64_t)head->n_samples * sizeof(shard_sample) +
                       (uint64_t)head->name_bytes;
}

/* Samples lie behind each other, within their shard and with a name and a label. */
static int samples_fit(const shard_index *index, int64_t i)
{
    int64_t end = 0;
    for (int64_t k = index->shards[i].first; k < index->shards[i + 1].first; k++) {
        const shard_sample *s = &index->samples[k];
        if (s->bytes < 0 || s->offset < end || s->offset < TAR_BLOCK ||
            s->offset > INT64_MAX - s->bytes || s->name >= (uint64_t)index->name_bytes ||
            s->label < NO_LABEL || s->label > MAX_LABEL)
            return 0;
        end = s->offset + s->bytes;
        if (!index->shards[i].is_gz && end > index->shards[i].bytes)
            return 0;
    }
    return 1;
}

static int content_fits(const shard_index *index)
{
    if (index->shards[0].first != 0 || index->names[index->name_bytes - 1] != 0)
        return 0;
    for (int64_t i = 0; i < index->n_shards; i++)
        if (index->shards[i + 1].first < index->shards[i].first ||
            index->shards[i + 1].first > index->n_samples)
            return 0;
    for (int64_t i = 0; i < index->n_shards; i++)
        if (!samples_fit(index, i))
            return 0;
    return index->shards[index->n_shards].first == index->n_samples;
}

/* The files are still those that were scanned. */
static int files_fit(const shard_index *index)
{
    for (int64_t i = 0; i < index->n_shards; i++) {
        struct stat status;
        const indexed_shard *s = &index->shards[i];
        if (stat(shard_path(&index->paths, i), &status) != 0 || status.st_size != s->bytes ||
            (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec != s->mtime)
            return 0;
    }
    return 1;
}

static void *copy_of(const wisp_host *host, const char **from, size_t bytes)
{
    void *copy = host->alloc(host, bytes);
    if (copy)
        memcpy(copy, *from, bytes);
    *from += bytes;
    return copy;
}

/* Takes the content over; 0 where it does not fit, with nothing of it left. */
static int take_content(shard_index *index, const char *content, size_t bytes)
{
    const wisp_host *host = index->host;
    cache_head head;
    if (bytes < sizeof head)
        return 0;
    memcpy(&head, content, sizeof head);
    if (!sizes_fit(index, &head, bytes))
        return 0;
    const char *from = content + sizeof head;
    index->shards = copy_of(host, &from, (size_t)(head.n_shards + 1) * sizeof(indexed_shard));
    index->samples = copy_of(host, &from, (size_t)head.n_samples * sizeof(shard_sample));
    index->names = copy_of(host, &from, (size_t)head.name_bytes);
    index->n_samples = head.n_samples;
    index->name_bytes = head.name_bytes;
    index->n_without_image = head.n_without_image;
    index->n_links = head.n_links;
    index->n_sparse = head.n_sparse;
    head.other[sizeof head.other - 1] = 0;
    memcpy(index->other, head.other, sizeof index->other);
    return index->shards && index->samples && index->names && content_fits(index) &&
           files_fit(index);
}

static void drop_content(shard_index *index)
{
    const wisp_host *host = index->host;
    host->free(host, index->shards);
    host->free(host, index->samples);
    host->free(host, index->names);
    index->shards = NULL;
    index->samples = NULL;
    index->names = NULL;
    index->n_samples = index->name_bytes = 0;
    index->n_without_image = index->n_links = index->n_sparse = 0;
    index->other[0] = 0;
}

int index_cache_read(shard_index *index, const scan_rules *rules)
{
    wisp_cache_file c;
    char folder[PATH_MAX];
    void *content = NULL;
    size_t bytes = 0;
    if (!begin(&c, index, rules, folder))
        return 0;
    int taken = 0;
    if (wisp_cache_read(&c, &content, &bytes)) {
        taken = take_content(index, content, bytes);
        index->host->free(index->host, content);
    }
    close(c.folder);
    if (!taken)
        drop_content(index);
    return taken;
}

/* --- writing --- */

/* A shard that has just been written may be written again within the same tick of a coarse clock.
 */
static int is_settled(const shard_index *index, int64_t began)
{
    const int64_t before = (began - SETTLED_SECONDS) * 1000000000;
    for (int64_t i = 0; i < index->n_shards; i++)
        if (index->shards[i].mtime >= before)
            return 0;
    return 1;
}

static char *put(char *to, const void *data, size_t bytes)
{
    memcpy(to, data, bytes);
    return to + bytes;
}

void index_cache_write(const shard_index *index, const scan_rules *rules, int64_t began)
{
    const wisp_host *host = index->host;
    wisp_cache_file c;
    char folder[PATH_MAX];
    cache_head head;
    memset(&head, 0, sizeof head);
    head.n_shards = index->n_shards;
    head.n_samples = index->n_samples;
    head.name_bytes = index->name_bytes;
    head.n_without_image = index->n_without_image;
    head.n_links = index->n_links;
    head.n_sparse = index->n_sparse;
    memcpy(head.other, index->other, sizeof head.other);
    const size_t shards = (size_t)(index->n_shards + 1) * sizeof(indexed_shard);
    const size_t samples = (size_t)index->n_samples * sizeof(shard_sample);
    const size_t bytes = sizeof head + shards + samples + (size_t)index->name_bytes;
    char *content = is_settled(index, began) ? host->alloc(host, bytes) : NULL;
    if (!content)
        return; /* the next start scans again */
    char *end = put(content, &head, sizeof head);
    end = put(end, index->shards, shards);
    end = put(end, index->samples, samples);
    put(end, index->names, (size_t)index->name_bytes);
    if (begin(&c, index, rules, folder)) {
        wisp_cache_write(&c, content, bytes);
        close(c.folder);
    }
    host->free(host, content);
}
