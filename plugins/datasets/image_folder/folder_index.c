/* folder_index.c - the block and what is in it. */
#include "folder_index.h"

#include <wisp/hash64.h>

/* More than any disk holds, and few enough for sums of sizes. */
#define MOST ((int64_t)1 << 40)

static int is_count(int64_t n, int64_t most)
{
    return n >= 0 && n <= most;
}

size_t folder_index_bytes(const folder_counts *c)
{
    if (!is_count(c->n_images, MOST) || !is_count(c->n_folders, INT32_MAX) ||
        !is_count(c->n_classes, INT32_MAX) || !is_count(c->names_bytes, MOST))
        return 0;
    const uint64_t each_image = 2 * sizeof(uint64_t) + sizeof(uint32_t);
    const uint64_t each_folder = sizeof(folder_stamp) + sizeof(uint64_t) + sizeof(int32_t);
    const uint64_t bytes = sizeof *c + (uint64_t)c->n_images * each_image +
                           (uint64_t)c->n_folders * each_folder +
                           (uint64_t)c->n_classes * sizeof(uint64_t) + (uint64_t)c->names_bytes;
    return bytes <= SIZE_MAX ? (size_t)bytes : 0;
}

/* The next `n` elements of `size` bytes. Eight-byte elements come first, so all are aligned. */
static void *part(char **at, int64_t n, size_t size)
{
    void *begin = *at;
    *at += (size_t)n * size;
    return begin;
}

void folder_index_map(folder_index *index, void *block, size_t block_bytes)
{
    char *at = block;
    folder_counts *c = part(&at, 1, sizeof *c);
    *index = (folder_index){.block = block, .block_bytes = block_bytes, .counts = c};
    index->stamps = part(&at, c->n_folders, sizeof *index->stamps);
    index->bytes = part(&at, c->n_images, sizeof *index->bytes);
    index->name = part(&at, c->n_images, sizeof *index->name);
    index->path = part(&at, c->n_folders, sizeof *index->path);
    index->class_name = part(&at, c->n_classes, sizeof *index->class_name);
    index->folder = part(&at, c->n_images, sizeof *index->folder);
    index->label = part(&at, c->n_folders, sizeof *index->label);
    index->names = at;
}

static int texts_are_inside(const uint64_t *begins, int64_t n, int64_t names_bytes)
{
    for (int64_t i = 0; i < n; i++)
        if (begins[i] >= (uint64_t)names_bytes)
            return 0;
    return 1;
}

static int is_good(const folder_index *index)
{
    const folder_counts *c = index->counts;
    const int64_t n_labels = c->n_classes > 0 ? c->n_classes : 1, least = c->n_classes > 0 ? 0 : -1;
    if (c->n_images < 1 || c->n_folders < 1 || c->names_bytes < 1 ||
        !is_count(c->n_empty, c->n_classes) || index->names[c->names_bytes - 1] != 0 ||
        !texts_are_inside(index->name, c->n_images, c->names_bytes) ||
        !texts_are_inside(index->path, c->n_folders, c->names_bytes) ||
        !texts_are_inside(index->class_name, c->n_classes, c->names_bytes))
        return 0;
    for (int64_t i = 0; i < c->n_images; i++)
        if (index->folder[i] >= c->n_folders || index->bytes[i] < 0)
            return 0;
    for (int64_t i = 0; i < c->n_folders; i++)
        if (index->label[i] < least || index->label[i] >= n_labels)
            return 0;
    return 1;
}

int folder_index_take(folder_index *index, void *block, size_t block_bytes)
{
    folder_index taken;
    if (block_bytes < sizeof(folder_counts) || folder_index_bytes(block) != block_bytes)
        return 0;
    folder_index_map(&taken, block, block_bytes);
    if (!is_good(&taken))
        return 0;
    *index = taken;
    return 1;
}

void folder_index_path(const folder_index *index, int64_t i, char *text, size_t bytes)
{
    const char *folder = index->names + index->path[index->folder[i]];
    snprintf(text, bytes, "%s%s%s", folder, folder[0] ? "/" : "", index->names + index->name[i]);
}

static uint64_t fold(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *byte = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

/* Of paths, sizes and labels in their order; stored with runs, so it never changes. */
uint64_t folder_index_fingerprint(const folder_index *index)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < index->counts->n_images; i++) {
        const char *folder = index->names + index->path[index->folder[i]];
        const char *name = index->names + index->name[i];
        const int32_t label = folder_index_label(index, i);
        if (folder[0])
            hash = fold(fold(hash, folder, strlen(folder)), "/", 1);
        hash = fold(hash, name, strlen(name) + 1);
        hash = fold(hash, &index->bytes[i], sizeof index->bytes[i]);
        hash = fold(hash, &label, sizeof label);
    }
    return hash;
}

folder_stamp folder_stamp_of(const struct stat *status)
{
    return (folder_stamp){status->st_mtim.tv_sec, status->st_mtim.tv_nsec,
                          status->st_ctim.tv_sec, status->st_ctim.tv_nsec,
                          status->st_size,        (int64_t)status->st_nlink};
}

uint64_t folder_name_hash(const char *name)
{
    return wisp_hash64(name, strlen(name), 0);
}
