/* runtime_report.c - report of wisp/runtime.h. */
#include <stdlib.h>

#include "base/memory.h"
#include "report/report_data.h"
#include "train/runtime_handle.h"

static wisp_status write_page(const wispi_report_request *request, const char *file,
                              wispi_text *out, wisp_error *err)
{
    WISP_TRY(wispi_report_write(request, file, err));
    if (file)
        wispi_text_printf(out, "%s\n", file);
    else
        wispi_text_printf(out, "%s/report.html\n", request->folders[0]);
    return WISP_OK;
}

static wisp_status tell_data(const wispi_report_request *request, const char *file, wispi_text *out,
                             wisp_error *err)
{
    json_t *page = NULL;
    WISP_TRY(wispi_report_data(request, &page, err));
    wisp_status status = file ? wispi_report_save(page, file, err) : WISP_OK;
    char *text = json_dumps(page, JSON_COMPACT);
    json_decref(page);
    if (text)
        wispi_text_printf(out, "%s\n", text);
    else if (status == WISP_OK)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for a report");
    free(text);
    return status;
}

wisp_status wisp_runtime_report(wisp_runtime *runtime, const char *const *folders,
                                int32_t n_folders, const wisp_report_options *given, int32_t format,
                                char **text, wisp_error *err)
{
    wisp_report_options options;
    wispi_read_sized(&options, sizeof options, given);
    const wispi_report_request request = {.registry = runtime->registry,
                                          .folders = folders,
                                          .n_folders = n_folders,
                                          .live = options.live,
                                          .images = options.images,
                                          .stop = &runtime->stop};
    wispi_pool *pool = NULL;
    wispi_text out = {0};
    runtime->stop = 0;
    WISP_TRY(wispi_runtime_start_pool(&pool, err));
    const wisp_status status = format == WISP_FORMAT_JSON
                                   ? tell_data(&request, options.file, &out, err)
                                   : write_page(&request, options.file, &out, err);
    wispi_runtime_stop_pool(pool);
    if (status == WISP_OK)
        return wispi_runtime_give(&out, text, err);
    wispi_text_free(&out);
    return status;
}
