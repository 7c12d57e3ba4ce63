/* report_data.h - what a report shows, as one JSON value, and the page that is made of it.
 *
 * Folders are read and nobody is kept out, so a run may be reported while it goes on. What is
 * missing or broken in a folder is left out of the page and named in the log. */
#ifndef WISPI_REPORT_REPORT_DATA_H
#define WISPI_REPORT_REPORT_DATA_H

#include <jansson.h>

#include "loader/registry.h"
#include "report/report_warnings.h"

/* Test images whose embeddings are shown, where the request does not say. */
enum { WISPI_REPORT_IMAGES = 1000 };

typedef struct wispi_report_request {
    wispi_registry *registry;   /* NULL: as live */
    const char *const *folders; /* of runs, of a comparison, of a sweep */
    int32_t n_folders;
    int32_t live;   /* 1: logs alone are read; no plugin is loaded, no weights are opened */
    int32_t images; /* test images whose embeddings are shown; 0: WISPI_REPORT_IMAGES */
    int32_t reserved;
    const volatile int *stop;        /* NULL, or ends it with WISP_E_STOPPED */
    wispi_report_warnings *warnings; /* NULL: each is logged */
} wispi_report_request;

/* `*page` is the caller's. Fails when no folder holds a run, and for lack of memory. The host's
 * pool, if any, is at work. */
wisp_status wispi_report_data(const wispi_report_request *request, json_t **page, wisp_error *err);

/* The page as one HTML file, which is there whole or not at all. */
wisp_status wispi_report_save(json_t *page, const char *file, wisp_error *err);

/* Both. `file` NULL: report.html in the first folder. */
wisp_status wispi_report_write(const wispi_report_request *request, const char *file,
                               wisp_error *err);

#endif
