#include "report/report_runs.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum { MOST_ENTRIES = 4096, DEPTH = 2 };

static wisp_status add_run(wispi_report_runs *runs, const char *folder, wisp_error *err)
{
    if (runs->n == WISPI_REPORT_MOST_RUNS)
        return wisp_fail(err, WISP_E_INVALID, "a report shows at most %d runs: name fewer folders",
                         WISPI_REPORT_MOST_RUNS);
    wispi_report_run *run = &runs->list[runs->n++];
    snprintf(run->folder, sizeof run->folder, "%s", folder);
    return WISP_OK;
}

/* --- labels --- */

/* The last parts of a path, as far as there are so many: of two "<name>/<seed>". */
static const char *tail_of(const char *folder, int parts)
{
    const char *at = folder + strlen(folder);
    while (at > folder && (at[-1] != '/' || --parts > 0))
        at--;
    return at;
}

static int others_end_alike(const wispi_report_runs *runs, int32_t index, int parts)
{
    const char *tail = tail_of(runs->list[index].folder, parts);
    for (int32_t i = 0; i < runs->n; i++)
        if (i != index && strcmp(tail_of(runs->list[i].folder, parts), tail) == 0)
            return 1;
    return 0;
}

/* Folders differ, so there is an end for which this ends. */
static void label_runs(wispi_report_runs *runs)
{
    for (int32_t i = 0; i < runs->n; i++) {
        int parts = 2;
        while (others_end_alike(runs, i, parts))
            parts++;
        runs->list[i].label = tail_of(runs->list[i].folder, parts);
    }
}

/* --- folders of folders --- */

typedef struct entries {
    char *names[MOST_ENTRIES];
    int32_t n;
} entries;

/* Seeds by their number, names by their letters. */
static int compare_names(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    char *x_end, *y_end;
    const long long i = strtoll(x, &x_end, 10), j = strtoll(y, &y_end, 10);
    if (*x_end == '\0' && *y_end == '\0' && i != j)
        return i < j ? -1 : 1;
    return strcmp(x, y);
}

static void free_entries(entries *e)
{
    for (int32_t i = 0; i < e->n; i++)
        wispi_free(e->names[i]);
    wispi_free(e);
}

/* Folders alone; a folder that cannot be read has none. */
static wisp_status list_folders(const char *folder, entries **out, wisp_error *err)
{
    entries *e = wispi_alloc(sizeof *e);
    DIR *directory = e ? opendir(folder) : NULL;
    int failed = !e;
    for (struct dirent *entry; directory && !failed && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.' || entry->d_type == DT_REG || e->n == MOST_ENTRIES)
            continue;
        e->names[e->n] = wispi_copy_text(entry->d_name);
        failed = !e->names[e->n];
        e->n += !failed;
    }
    if (directory)
        closedir(directory);
    if (failed) {
        if (e)
            free_entries(e);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names in %.500s", folder);
    }
    qsort(e->names, (size_t)e->n, sizeof *e->names, compare_names);
    *out = e;
    return WISP_OK;
}

static wisp_status find_below(wispi_report_runs *runs, const char *folder, int depth,
                              wisp_error *err);

static wisp_status look_at(wispi_report_runs *runs, const char *folder, int depth, wisp_error *err)
{
    if (strlen(folder) >= WISPI_REPORT_PATH - 64)
        return wisp_fail(err, WISP_E_INVALID, "%.200s...: the path is too long", folder);
    if (wispi_file_is_there(folder, "config.toml"))
        return add_run(runs, folder, err);
    return depth > 0 ? find_below(runs, folder, depth - 1, err) : WISP_OK;
}

static wisp_status find_below(wispi_report_runs *runs, const char *folder, int depth,
                              wisp_error *err)
{
    entries *e = NULL;
    WISP_TRY(list_folders(folder, &e, err));
    const int32_t before = runs->n;
    wisp_status status = WISP_OK;
    for (int32_t i = 0; i < e->n && status == WISP_OK; i++) {
        char path[WISPI_REPORT_PATH + 300];
        const int32_t at = runs->n;
        snprintf(path, sizeof path, "%.*s/%s", WISPI_REPORT_PATH, folder, e->names[i]);
        status = look_at(runs, path, depth, err);
        /* Seeds lie side by side; the runs of arms, one level above, found their first already. */
        for (int32_t k = at; k < runs->n && status == WISP_OK; k++)
            if (wispi_file_is_there(path, "config.toml"))
                runs->list[k].is_first = at == before;
    }
    free_entries(e);
    return status;
}

static wisp_status find_in(wispi_report_runs *runs, const char *named, wisp_error *err)
{
    char folder[WISPI_REPORT_PATH];
    size_t n = strlen(named);
    while (n > 1 && named[n - 1] == '/')
        n--;
    if (n >= sizeof folder - 64)
        return wisp_fail(err, WISP_E_INVALID, "%.200s...: the path is too long", named);
    snprintf(folder, sizeof folder, "%.*s", (int)n, named);
    if (access(folder, F_OK) != 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "%.500s: there is no such folder", folder);
    if (wispi_file_is_there(folder, "comparison.json"))
        runs->kind = WISPI_REPORT_COMPARISON;
    else if (wispi_file_is_there(folder, "sweep.json"))
        runs->kind = WISPI_REPORT_SWEEP;
    const int32_t before = runs->n;
    WISP_TRY(look_at(runs, folder, DEPTH, err));
    if (runs->n == before)
        return wisp_fail(err, WISP_E_NOT_FOUND,
                         "%.500s holds no run: name a folder with a config.toml, such as "
                         "runs/NAME/SEED, or one of a comparison",
                         folder);
    if (runs->n == before + 1 && wispi_file_is_there(folder, "config.toml"))
        runs->list[before].is_first = 1;
    return WISP_OK;
}

static int is_repeated(const wispi_report_runs *runs, int32_t index)
{
    for (int32_t i = 0; i < index; i++)
        if (strcmp(runs->list[i].folder, runs->list[index].folder) == 0)
            return 1;
    return 0;
}

static void leave_repeated_out(wispi_report_runs *runs)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < runs->n; i++) {
        if (is_repeated(runs, i))
            continue;
        if (kept != i)
            runs->list[kept] = runs->list[i];
        kept++;
    }
    runs->n = kept;
}

wisp_status wispi_report_runs_find(const char *const *folders, int32_t n_folders,
                                   wispi_report_runs *runs, wisp_error *err)
{
    wispi_report_runs found = {0};
    found.list = wispi_alloc(WISPI_REPORT_MOST_RUNS * sizeof *found.list);
    if (!found.list)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the runs of a report");
    wisp_status status = WISP_OK;
    for (int32_t i = 0; i < n_folders && status == WISP_OK; i++)
        status = find_in(&found, folders[i], err);
    if (status == WISP_OK && found.n == 0)
        status = wisp_fail(err, WISP_E_INVALID, "no folder of a run is named");
    if (status != WISP_OK) {
        wispi_report_runs_free(&found);
        return status;
    }
    if (n_folders > 1)
        found.kind = WISPI_REPORT_RUN;
    leave_repeated_out(&found);
    label_runs(&found);
    *runs = found;
    return WISP_OK;
}

void wispi_report_runs_free(wispi_report_runs *runs)
{
    wispi_free(runs->list);
    memset(runs, 0, sizeof *runs);
}
