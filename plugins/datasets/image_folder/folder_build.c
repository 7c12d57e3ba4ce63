/* folder_build.c - lays the entries of a scan out in their final order. */
#include "folder_build.h"

#include <stdlib.h>

typedef struct build {
    const folder_scan *scan;
    folder_index *index;
    int64_t *classes; /* numbers of the class folders, sorted by name */
    int64_t n_classes, n_placed;
    int32_t labels; /* are wanted */
} build;

static wisp_status no_memory(const build *b, wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for an index of %lld folders",
                     (long long)b->scan->n_folders);
}

/* --- classes --- */

static int by_name(const void *a, const void *b, void *user)
{
    const int64_t *x = a, *y = b;
    const folder_scan *scan = user;
    return strcmp(scan_path(scan, &scan_folders(scan)[*x]),
                  scan_path(scan, &scan_folders(scan)[*y]));
}

static int64_t images_below_classes(const folder_scan *scan)
{
    int64_t n = 0;
    for (int64_t i = 1; i < scan->n_folders; i++)
        n += scan_folders(scan)[i].n_images;
    return n;
}

/* Folders of depth 1 stand behind the outermost, before all deeper ones. */
static wisp_status find_classes(build *b, wisp_error *err)
{
    const folder_scan *scan = b->scan;
    if (images_below_classes(scan) == 0)
        return WISP_OK;
    b->classes = scan->host->alloc(scan->host, (size_t)scan->n_folders * sizeof *b->classes);
    if (!b->classes)
        return no_memory(b, err);
    for (int64_t i = 1; i < scan->n_folders && scan_folders(scan)[i].depth == 1; i++)
        b->classes[b->n_classes++] = i;
    qsort_r(b->classes, (size_t)b->n_classes, sizeof *b->classes, by_name, (void *)(uintptr_t)scan);
    return WISP_OK;
}

/* --- the block --- */

static wisp_status make_block(build *b, wisp_error *err)
{
    const folder_scan *scan = b->scan;
    folder_counts counts = {.n_folders = scan->n_folders,
                            .n_classes = b->n_classes,
                            .root_names = scan->root_names,
                            .names_bytes = (int64_t)scan->paths.used};
    for (int64_t i = 0; i < scan->n_folders; i++) {
        const scan_folder *f = &scan_folders(scan)[i];
        const int dropped = i == 0 && b->n_classes > 0; /* belongs to no class */
        counts.n_images += dropped ? 0 : f->n_images;
        counts.n_other += f->n_other + (dropped ? f->n_images : 0);
        counts.names_bytes += (int64_t)f->names.used;
    }
    const size_t bytes = folder_index_bytes(&counts);
    void *block = bytes ? scan->host->alloc(scan->host, bytes) : NULL;
    if (!block)
        return no_memory(b, err);
    memcpy(block, &counts, sizeof counts);
    folder_index_map(b->index, block, bytes);
    b->index->counts->names_bytes = 0;
    return WISP_OK;
}

static uint64_t place_text(build *b, const char *text)
{
    folder_counts *c = b->index->counts;
    const uint64_t begin = (uint64_t)c->names_bytes;
    const size_t bytes = strlen(text) + 1;
    memcpy(b->index->names + begin, text, bytes);
    c->names_bytes += (int64_t)bytes;
    return begin;
}

static void place_folders(build *b)
{
    folder_index *index = b->index;
    for (int64_t i = 0; i < b->scan->n_folders; i++) {
        const scan_folder *f = &scan_folders(b->scan)[i];
        index->stamps[i] = f->stamp;
        index->path[i] = place_text(b, scan_path(b->scan, f));
    }
    /* Wanted, and there are none: the number is part of fingerprints. */
    index->label[0] = b->labels && b->n_classes == 0 ? -1 : 0;
    for (int64_t label = 0; label < b->n_classes; label++) {
        index->label[b->classes[label]] = (int32_t)label;
        index->class_name[label] = index->path[b->classes[label]];
    }
    /* Deeper folders belong to the class of the one above, which stands before them. */
    for (int64_t i = 1; i < b->scan->n_folders; i++)
        if (scan_folders(b->scan)[i].depth > 1)
            index->label[i] = index->label[scan_folders(b->scan)[i].parent];
}

static void place_images(build *b, int64_t folder)
{
    const scan_folder *f = &scan_folders(b->scan)[folder];
    folder_index *index = b->index;
    for (int64_t e = 0; e < f->n_entries; e++) {
        const scan_entry *entry = &scan_entries(f)[e];
        if (entry->kind == SCAN_FOLDER) {
            place_images(b, entry->value);
            continue;
        }
        index->bytes[b->n_placed] = entry->value;
        index->name[b->n_placed] = place_text(b, f->names.data + entry->name);
        index->folder[b->n_placed++] = (uint32_t)folder;
    }
}

static void place_all(build *b)
{
    if (b->n_classes == 0)
        place_images(b, 0);
    for (int64_t label = 0; label < b->n_classes; label++) {
        const int64_t before = b->n_placed;
        place_images(b, b->classes[label]);
        b->index->counts->n_empty += b->n_placed == before;
    }
    b->index->block_bytes = folder_index_bytes(b->index->counts);
    b->index->counts->fingerprint = folder_index_fingerprint(b->index);
}

wisp_status folder_build(const folder_scan *scan, int labels, folder_index *index, wisp_error *err)
{
    folder_index made = {0};
    build b = {.scan = scan, .index = &made, .labels = labels};
    wisp_status status = labels ? find_classes(&b, err) : WISP_OK;
    if (status == WISP_OK)
        status = make_block(&b, err);
    if (status == WISP_OK) {
        place_folders(&b);
        place_all(&b);
        *index = made;
    }
    scan->host->free(scan->host, b.classes);
    return status;
}
