/* runtime_serve.c - serve of wisp/runtime.h: reads the folders again and again, and shows them. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "report/page_server.h"
#include "report/report_data.h"
#include "train/runtime_handle.h"

/* Logs are read again once a second, or less often where that would take more than a tenth of the
 * time: of a long experiment, or while the machine is busy with one. */
enum { LEAST_SECONDS = 1, SHARE = 10 };

/* Returns early when the runtime is asked to stop. */
static void wait_for(const wisp_runtime *runtime, double seconds)
{
    const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};
    for (const double end = wispi_seconds() + seconds; !runtime->stop && wispi_seconds() < end;)
        nanosleep(&moment, NULL);
}

/* A folder that cannot be read now, or is being written, may be better in a while. */
static void refresh(const wispi_report_request *request, wispi_page_server *server)
{
    json_t *page = NULL;
    wisp_error err = {0};
    wispi_report_warnings_turn(request->warnings);
    wisp_status status = wispi_report_data(request, &page, &err);
    if (status == WISP_OK)
        status = wispi_page_server_show(server, page, &err);
    json_decref(page);
    if (status != WISP_OK && status != WISP_E_STOPPED)
        wispi_report_warn(request->warnings, "the page stays as it is: %s", err.message);
}

static void keep_showing(const wisp_runtime *runtime, const wispi_report_request *request,
                         wispi_page_server *server)
{
    double took = 0;
    for (;;) {
        wait_for(runtime, took * SHARE > LEAST_SECONDS ? took * SHARE : LEAST_SECONDS);
        if (runtime->stop)
            return;
        const double begin = wispi_seconds();
        refresh(request, server);
        took = wispi_seconds() - begin;
    }
}

static void tell_address(const wisp_serve_options *options, int32_t port)
{
    char address[64];
    snprintf(address, sizeof address, "http://127.0.0.1:%d/", (int)port);
    if (options->ready)
        options->ready(options->user, address);
}

static wisp_status serve(const wisp_runtime *runtime, const wispi_report_request *request,
                         const wisp_serve_options *options, wisp_error *err)
{
    json_t *page = NULL;
    wispi_page_server *server = NULL;
    WISP_TRY(wispi_report_data(request, &page, err));
    const wisp_status status = wispi_page_server_start(options->port, page, &server, err);
    json_decref(page);
    WISP_TRY(status);
    tell_address(options, wispi_page_server_port(server));
    keep_showing(runtime, request, server);
    wispi_page_server_stop(server);
    return WISP_OK;
}

wisp_status wisp_runtime_serve(wisp_runtime *runtime, const char *const *folders, int32_t n_folders,
                               const wisp_serve_options *given, wisp_error *err)
{
    wisp_serve_options options;
    wispi_read_sized(&options, sizeof options, given);
    wispi_report_warnings warnings = {0};
    const wispi_report_request request = {.folders = folders,
                                          .n_folders = n_folders,
                                          .live = 1,
                                          .stop = &runtime->stop,
                                          .warnings = &warnings};
    runtime->stop = 0;
    const wisp_status status = serve(runtime, &request, &options, err);
    wispi_report_warnings_free(&warnings);
    return status;
}
