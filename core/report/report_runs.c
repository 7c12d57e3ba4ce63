#include "report/report_runs.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

enum { MOST_ENTRIES = 4096, DEPTH = 2 };

static int holds(const char *folder, const char *file)
{
    char path[WISPI_REPORT_PATH + 400];
    snprintf(path, sizeof path, "%.1350s/%.60s", folder, file);
    return access(path, R_OK) == 0;
}

/* The last two parts of a path, as far as there are two: "<name>/<seed>". */
static const char *tail_of(const char *folder)
{
    const char *slash = strrchr(folder, '/');
    while (slash && slash > folder && slash[-1] != '/')
        slash--;
    return slash ? slash : folder;
}

static wisp_status add_run(wispi_report_runs *runs, const char *folder, wisp_error *err)
{
    if (runs->n == WISPI_REPORT_MOST_RUNS)
        return wisp_fail(err, WISP_E_INVALID, "a report shows at most %d runs: name fewer folders",
                         WISPI_REPORT_MOST_RUNS);
    wispi_report_run *run = &runs->list[runs->n++];
    snprintf(run->folder, sizeof run->folder, "%s", folder);
    snprintf(run->label, sizeof run->label, "%.*s", WISPI_REPORT_NAME - 1, tail_of(folder));
    return WISP_OK;
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
    if (holds(folder, "config.toml"))
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
            if (holds(path, "config.toml"))
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
    if (holds(folder, "comparison.json"))
        runs->kind = WISPI_REPORT_COMPARISON;
    else if (holds(folder, "sweep.json"))
        runs->kind = WISPI_REPORT_SWEEP;
    const int32_t before = runs->n;
    WISP_TRY(look_at(runs, folder, DEPTH, err));
    if (runs->n == before)
        return wisp_fail(err, WISP_E_NOT_FOUND,
                         "%.500s holds no run: name a folder with a config.toml, such as "
                         "runs/NAME/SEED, or one of a comparison",
                         folder);
    if (runs->n == before + 1 && holds(folder, "config.toml"))
        runs->list[before].is_first = 1;
    return WISP_OK;
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
    *runs = found;
    return WISP_OK;
}

void wispi_report_runs_free(wispi_report_runs *runs)
{
    wispi_free(runs->list);
    memset(runs, 0, sizeof *runs);
}
