/* fuzz_index.c - any bytes as the content of an index that image_folder or webdataset kept beside
 * the data; the file around it is fuzz_cache's. What is accepted must be there to be used. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The plugin's own file: what it takes over is no public function. */
#include "../../plugins/datasets/webdataset/index_cache.c"

#include "base/memory.h"
#include "datasets/image_folder/folder_index.h"
#include "loader/host_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- image_folder --- */

static void use_folder_index(const folder_index *index)
{
    const folder_counts *c = index->counts;
    volatile uint64_t sum = folder_index_fingerprint(index);
    for (int64_t i = 0; i < c->n_images; i++) {
        char path[64];
        folder_index_path(index, i, path, sizeof path);
        const int32_t label = folder_index_label(index, i);
        if (index->bytes[i] < 0 || (c->n_classes > 0 && (label < 0 || label >= c->n_classes)))
            abort();
        sum += strlen(path);
    }
    for (int64_t i = 0; i < c->n_classes; i++)
        sum += strlen(index->names + index->class_name[i]);
    for (int64_t i = 0; i < c->n_folders; i++)
        sum += strlen(index->names + index->path[i]) + (uint64_t)index->stamps[i].links;
    (void)sum;
}

/* Counts that fit the size are rare; so the last one is chosen to. */
static void fit_counts(uint8_t *block, size_t size)
{
    folder_counts c;
    memcpy(&c, block, sizeof c);
    c.n_images = 1 + (c.n_images & 3);
    c.n_folders = 1 + (c.n_folders & 3);
    c.n_classes &= 3;
    c.names_bytes = 1;
    const size_t least = folder_index_bytes(&c);
    if (least == 0 || least > size)
        return;
    c.names_bytes += (int64_t)(size - least);
    memcpy(block, &c, sizeof c);
    block[size - 1] = 0;
}

static void take_folder_index(const uint8_t *data, size_t size, int fits)
{
    const wisp_host *host = wispi_host_table();
    folder_index index;
    uint8_t *block = host->alloc(host, size);
    if (!block)
        return;
    memcpy(block, data, size);
    if (fits && size >= sizeof(folder_counts))
        fit_counts(block, size);
    if (folder_index_take(&index, block, size))
        use_folder_index(&index);
    host->free(host, block);
}

/* --- webdataset --- */

enum { SHARDS = 2 };

/* Shards that are the same empty file, so that sizes can be right. */
static void open_paths(shard_paths *paths)
{
    wisp_error err = {0};
    if (shard_paths_fill(paths, wispi_host_table(), "/dev/null::/dev/null", &err) != WISP_OK)
        abort();
}

static void use_shard_index(const shard_index *index)
{
    volatile uint64_t sum = shard_index_fingerprint(index);
    for (int64_t i = 0; i < index->n_samples; i++) {
        const int64_t shard = shard_of(index, i);
        if (shard < 0 || shard >= index->n_shards || i < index->shards[shard].first ||
            i >= index->shards[shard + 1].first)
            abort();
        sum += strlen(sample_file(index, i));
    }
    sum += strlen(index->other);
    (void)sum;
}

/* As fit_counts; and what a look at the files would say is put in. */
static void fit_head(uint8_t *content, size_t size)
{
    struct stat status;
    cache_head head;
    memcpy(&head, content, sizeof head);
    head.n_shards = SHARDS;
    head.n_samples = 1 + (head.n_samples & 3);
    const size_t least = sizeof head + (SHARDS + 1) * sizeof(indexed_shard) +
                         (size_t)head.n_samples * sizeof(shard_sample);
    if (least >= size || stat("/dev/null", &status) != 0)
        return;
    head.name_bytes = (int64_t)(size - least);
    memcpy(content, &head, sizeof head);
    content[size - 1] = 0;
    for (int i = 0; i < SHARDS; i++) {
        indexed_shard shard;
        uint8_t *at = content + sizeof head + (size_t)i * sizeof shard;
        memcpy(&shard, at, sizeof shard);
        shard.bytes = status.st_size;
        shard.mtime = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
        memcpy(at, &shard, sizeof shard);
    }
}

static void take_shard_index(const uint8_t *data, size_t size, int fits)
{
    shard_index index = {.host = wispi_host_table(), .path = "/dev/null", .n_shards = SHARDS};
    uint8_t *content = malloc(size); /* of the exact size, for a sanitizer */
    if (!content)
        return;
    memcpy(content, data, size);
    if (fits && size >= sizeof(cache_head) + (SHARDS + 1) * sizeof(indexed_shard))
        fit_head(content, size);
    open_paths(&index.paths);
    if (take_content(&index, (const char *)content, size))
        use_shard_index(&index);
    shard_index_free(&index);
    free(content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const int fits = data[0] & 1;
    if (data[0] & 2)
        take_folder_index(data + 1, size - 1, fits);
    else
        take_shard_index(data + 1, size - 1, fits);
    if (wispi_live_blocks() != 0)
        abort();
    return 0;
}
