#include "report/report_data.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "report/page.h"
#include "report/run_page.h"
#include "train/json_text.h"

enum { MOST_BYTES = 1 << 28 };

/* The folder that holds the arms' folders has its numbers in one file. */
static json_t *read_numbers(const wispi_report_request *request, const char *file)
{
    char path[WISPI_REPORT_PATH + 64];
    uint8_t *data = NULL;
    size_t n = 0;
    json_error_t where;
    wisp_error cause = {0};
    snprintf(path, sizeof path, "%.*s/%s", WISPI_REPORT_PATH, request->folders[0], file);
    if (wispi_file_read(path, MOST_BYTES, &data, &n, &cause) != WISP_OK) {
        wispi_report_warn(request->warnings, "the report shows no numbers: %s", cause.message);
        return NULL;
    }
    json_t *numbers = json_loadb((const char *)data, n, 0, &where);
    wispi_free(data);
    if (!numbers)
        wispi_report_warn(request->warnings, "the report shows no numbers: %s:%d: %s", path,
                          where.line, where.text);
    return numbers;
}

/* Views and pictures take time. Of several seeds the first one's stand for all. */
static int wants_pictures(const wispi_report_request *request, const wispi_report_runs *runs,
                          const wispi_report_run *run)
{
    if (request->live || !request->registry || runs->kind == WISPI_REPORT_SWEEP)
        return 0;
    return run->is_first;
}

/* A run of several that cannot be read is named and left out. */
static wisp_status add_run(const wispi_report_request *request, const wispi_report_runs *runs,
                           int32_t index, json_t *list, wisp_error *err)
{
    const wispi_report_run *run = &runs->list[index];
    json_t *page = NULL;
    wisp_error cause = {0};
    wispi_report_request own = *request;
    own.registry = request->live ? NULL : request->registry;
    const wisp_status status =
        wispi_run_page(&own, run, wants_pictures(request, runs, run), &page, &cause);
    if (status == WISP_OK)
        return json_array_append_new(list, page) == 0
                   ? WISP_OK
                   : wisp_fail(err, WISP_E_NOMEM, "no memory for a report");
    if (runs->n == 1 || status == WISP_E_NOMEM || status == WISP_E_STOPPED)
        return wisp_fail(err, status, "%s", cause.message);
    wispi_report_warn(request->warnings, "%s is not in the report: %s", run->folder, cause.message);
    return WISP_OK;
}

static const char *title_of(const char *folder)
{
    const char *slash = strrchr(folder, '/');
    return slash && slash[1] ? slash + 1 : folder;
}

static wisp_status make_page(const wispi_report_request *request, const wispi_report_runs *runs,
                             json_t *page, wisp_error *err)
{
    static const char *const kinds[] = {"run", "comparison", "sweep"};
    json_t *list = json_array();
    json_object_set_new(page, "kind", json_string(kinds[runs->kind]));
    json_object_set_new(
        page, "title",
        wispi_json_string(runs->n == 1 ? runs->list[0].label : title_of(request->folders[0])));
    json_object_set_new(page, "version", json_string(WISP_VERSION));
    json_object_set_new(page, "live", json_boolean(request->live));
    if (json_object_set_new(page, "runs", list) != 0)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a report");
    for (int32_t i = 0; i < runs->n; i++)
        WISP_TRY(add_run(request, runs, i, list, err));
    if (json_array_size(list) == 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "none of %d runs in %.500s can be read", runs->n,
                         request->folders[0]);
    if (runs->kind == WISPI_REPORT_COMPARISON)
        json_object_set_new(page, "comparison", read_numbers(request, "comparison.json"));
    if (runs->kind == WISPI_REPORT_SWEEP)
        json_object_set_new(page, "sweep", read_numbers(request, "sweep.json"));
    return WISP_OK;
}

wisp_status wispi_report_data(const wispi_report_request *request, json_t **page, wisp_error *err)
{
    wispi_report_runs runs = {0};
    json_t *made = json_object();
    wisp_status status =
        made ? wispi_report_runs_find(request->folders, request->n_folders, &runs, err)
             : wisp_fail(err, WISP_E_NOMEM, "no memory for a report");
    if (status == WISP_OK)
        status = make_page(request, &runs, made, err);
    wispi_report_runs_free(&runs);
    if (status == WISP_OK)
        *page = made;
    else
        json_decref(made);
    return status;
}

wisp_status wispi_report_save(json_t *page, const char *file, wisp_error *err)
{
    wispi_text html = {0};
    wisp_status status = wispi_page_write(page, &html, err);
    if (status == WISP_OK)
        status = wispi_file_replace(file, html.data, html.length, err);
    wispi_text_free(&html);
    return status;
}

wisp_status wispi_report_write(const wispi_report_request *request, const char *file,
                               wisp_error *err)
{
    char usual[WISPI_REPORT_PATH + 64];
    json_t *page = NULL;
    WISP_TRY(wispi_report_data(request, &page, err));
    snprintf(usual, sizeof usual, "%.*s/report.html", WISPI_REPORT_PATH, request->folders[0]);
    const wisp_status status = wispi_report_save(page, file ? file : usual, err);
    json_decref(page);
    return status;
}
