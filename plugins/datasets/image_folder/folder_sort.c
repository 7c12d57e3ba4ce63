/* folder_sort.c - runs of names are sorted in parallel, then merged in pairs.
 *
 * Names in one folder often begin alike, so each entry carries the eight bytes behind what all of
 * them share, as one number: it decides most comparisons without a look at the name. */
#include "folder_sort.h"

#include <stdlib.h>

enum { RUN = 8192 };

/* A folder counts as its name with a slash behind it, as in the paths of its files. */
static unsigned char byte_at(const char *name, size_t i, int kind)
{
    return name[i] ? (unsigned char)name[i] : kind == SCAN_FOLDER ? '/' : 0;
}

static int compare_names(const char *x, int x_kind, const char *y, int y_kind)
{
    size_t i = 0;
    while (x[i] && x[i] == y[i])
        i++;
    return (int)byte_at(x, i, x_kind) - (int)byte_at(y, i, y_kind);
}

static int compare(const scan_entry *x, const scan_entry *y, const char *names)
{
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return compare_names(names + x->name, x->kind, names + y->name, y->kind);
}

static int by_path(const void *a, const void *b, void *names)
{
    return compare(a, b, names);
}

/* --- keys --- */

static size_t shared_bytes(const scan_folder *f)
{
    const scan_entry *entries = scan_entries(f);
    const char *model = f->names.data + entries[0].name;
    size_t shared = strlen(model);
    for (int64_t i = 1; i < f->n_entries && shared > 0; i++) {
        const char *name = f->names.data + entries[i].name;
        size_t same = 0;
        while (same < shared && name[same] == model[same])
            same++;
        shared = same;
    }
    return shared;
}

static uint64_t key_of(const char *text, int kind)
{
    uint64_t key = 0;
    int i = 0;
    for (; i < 8 && text[i]; i++)
        key = key << 8 | (unsigned char)text[i];
    if (i < 8) {
        key = key << 8 | byte_at("", 0, kind);
        key <<= 8 * (7 - i);
    }
    return key;
}

static void make_keys(void *user, int64_t first, int64_t last)
{
    const folder_scan *scan = user;
    for (int64_t i = first; i < last; i++) {
        const scan_folder *f = &scan_folders(scan)[i];
        const size_t shared = f->n_entries > 0 ? shared_bytes(f) : 0;
        for (int64_t e = 0; e < f->n_entries; e++) {
            scan_entry *entry = &scan_entries(f)[e];
            entry->key = key_of(f->names.data + entry->name + shared, entry->kind);
        }
    }
}

/* --- runs --- */

typedef struct sort_run {
    const scan_folder *folder;
    int64_t first, n;
} sort_run;

static void sort_runs(void *user, int64_t first, int64_t last)
{
    const sort_run *runs = user;
    for (int64_t i = first; i < last; i++)
        qsort_r(scan_entries(runs[i].folder) + runs[i].first, (size_t)runs[i].n, sizeof(scan_entry),
                by_path, runs[i].folder->names.data);
}

static int64_t cut_runs(const folder_scan *scan, sort_run *runs)
{
    int64_t n_runs = 0;
    for (int64_t i = 0; i < scan->n_folders; i++) {
        const scan_folder *f = &scan_folders(scan)[i];
        for (int64_t first = 0; first < f->n_entries; first += RUN, n_runs++)
            if (runs)
                runs[n_runs] =
                    (sort_run){f, first, f->n_entries - first < RUN ? f->n_entries - first : RUN};
    }
    return n_runs;
}

static wisp_status sort_all_runs(folder_scan *scan, wisp_error *err)
{
    const wisp_host *host = scan->host;
    const int64_t n = cut_runs(scan, NULL);
    sort_run *runs = host->alloc(host, (size_t)(n + 1) * sizeof *runs);
    if (!runs)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to sort names");
    cut_runs(scan, runs);
    host->parallel_for(host, n, 1, sort_runs, runs);
    host->free(host, runs);
    return WISP_OK;
}

/* --- merging --- */

typedef struct merge_round {
    const scan_entry *from;
    scan_entry *to;
    const char *names;
    int64_t n, width; /* of the runs */
} merge_round;

static int64_t at_most(int64_t value, int64_t most)
{
    return value < most ? value : most;
}

static void merge_pairs(void *user, int64_t first, int64_t last)
{
    const merge_round *m = user;
    for (int64_t pair = first; pair < last; pair++) {
        const int64_t begin = 2 * pair * m->width, middle = at_most(begin + m->width, m->n);
        const int64_t end = at_most(middle + m->width, m->n);
        int64_t a = begin, b = middle;
        for (int64_t to = begin; to < end; to++)
            m->to[to] = b == end || (a < middle && compare(&m->from[a], &m->from[b], m->names) < 0)
                            ? m->from[a++]
                            : m->from[b++];
    }
}

static wisp_status merge_folder(const wisp_host *host, scan_folder *f, wisp_error *err)
{
    folder_block other = {0};
    if (!folder_block_add(host, &other, f->entries.used))
        return wisp_fail(err, WISP_E_NOMEM, "no memory to sort names");
    for (int64_t width = RUN; width < f->n_entries; width *= 2) {
        merge_round round = {scan_entries(f), (scan_entry *)(void *)other.data, f->names.data,
                             f->n_entries, width};
        host->parallel_for(host, (f->n_entries + 2 * width - 1) / (2 * width), 1, merge_pairs,
                           &round);
        const folder_block sorted = other;
        other = f->entries;
        f->entries = sorted;
    }
    folder_block_free(host, &other);
    return WISP_OK;
}

wisp_status folder_sort(folder_scan *scan, wisp_error *err)
{
    const wisp_host *host = scan->host;
    host->parallel_for(host, scan->n_folders, 8, make_keys, scan);
    WISP_TRY(sort_all_runs(scan, err));
    for (int64_t i = 0; i < scan->n_folders; i++)
        if (scan_folders(scan)[i].n_entries > RUN)
            WISP_TRY(merge_folder(host, &scan_folders(scan)[i], err));
    return WISP_OK;
}
