#include "report/report_data.h"

#include <string.h>

#include "base/file.h"
#include "report/page.h"
#include "report/report_runs.h"

static json_t *run_json(const wispi_report_run *run)
{
    return json_pack("{s:s, s:s}", "label", run->label, "folder", run->folder);
}

static json_t *page_json(const wispi_report_request *request, const wispi_report_runs *runs)
{
    static const char *const kinds[] = {"run", "comparison", "sweep"};
    json_t *list = json_array();
    for (int32_t i = 0; i < runs->n; i++)
        json_array_append_new(list, run_json(&runs->list[i]));
    return json_pack("{s:s, s:s, s:s, s:b, s:o}", "kind", kinds[runs->kind], "title",
                     runs->list[0].label, "version", WISP_VERSION, "live", request->live, "runs",
                     list);
}

wisp_status wispi_report_data(const wispi_report_request *request, json_t **page, wisp_error *err)
{
    wispi_report_runs runs = {0};
    WISP_TRY(wispi_report_runs_find(request->folders, request->n_folders, &runs, err));
    json_t *made = page_json(request, &runs);
    wispi_report_runs_free(&runs);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a report");
    *page = made;
    return WISP_OK;
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
