/* fuzz_folder.c - any bytes as the list of a folder's files that image_folder keeps: as they are,
 * and with counts that fit, so that the numbers behind them are looked at. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/image_folder/folder_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const folder_index *index)
{
    char path[FOLDER_PATH_BYTES];
    volatile uint64_t sum = folder_index_fingerprint(index);
    for (int64_t i = 0; i < index->counts->n_images; i++) {
        folder_index_path(index, i, path, sizeof path);
        sum += strlen(path) + (uint64_t)folder_index_label(index, i);
    }
    for (int64_t i = 0; i < index->counts->n_classes; i++)
        sum += strlen(index->names + index->class_name[i]);
    for (int64_t i = 0; i < index->counts->n_folders; i++)
        sum += (uint64_t)index->stamps[i].bytes + strlen(index->names + index->path[i]);
}

/* Exactly as large as it says, so that a step beyond is a fault. */
static void take(const void *data, size_t size)
{
    folder_index index;
    void *block = malloc(size ? size : 1);
    if (!block)
        return;
    memcpy(block, data, size);
    if (folder_index_take(&index, block, size))
        use(&index);
    free(block);
}

/* Small counts from the first bytes; what is left is for the names. */
static void fit_counts(folder_counts *c, size_t size)
{
    c->n_images = (int64_t)((uint64_t)c->n_images % 8);
    c->n_folders = (int64_t)((uint64_t)c->n_folders % 8);
    c->n_classes = (int64_t)((uint64_t)c->n_classes % 8);
    c->n_empty = (int64_t)((uint64_t)c->n_empty % 8);
    c->names_bytes = 0;
    const size_t bytes = folder_index_bytes(c);
    if (bytes <= size)
        c->names_bytes = (int64_t)(size - bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    folder_counts counts;
    take(data, size);
    if (size < sizeof counts)
        return 0;
    uint8_t *fitted = malloc(size);
    if (!fitted)
        return 0;
    memcpy(&counts, data, sizeof counts);
    fit_counts(&counts, size);
    memcpy(fitted, data, size);
    memcpy(fitted, &counts, sizeof counts);
    take(fitted, size);
    free(fitted);
    return 0;
}
