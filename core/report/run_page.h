/* run_page.h - one run of a page: what its folder tells, and what is made of it. */
#ifndef WISPI_REPORT_RUN_PAGE_H
#define WISPI_REPORT_RUN_PAGE_H

#include "report/report_data.h"
#include "report/report_runs.h"

enum {
    WISPI_PAGE_LOGS = 0,    /* what the folder tells by itself */
    WISPI_PAGE_VIEWS = 1,   /* and views of the first images */
    WISPI_PAGE_PICTURES = 2 /* and what the last checkpoint makes of some images */
};

/* `depth` is one of WISPI_PAGE_.... What cannot be had is named in the log and in "notes". Fails
 * when the folder's configuration or metrics cannot be read, for lack of memory, and when it is
 * asked to stop. */
wisp_status wispi_run_page(const wispi_report_request *request, const wispi_report_run *run,
                           int32_t depth, json_t **page, wisp_error *err);

#endif
