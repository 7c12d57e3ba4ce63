/* run_page.h - one run of a page: what its folder tells, and what is made of it. */
#ifndef WISPI_REPORT_RUN_PAGE_H
#define WISPI_REPORT_RUN_PAGE_H

#include "report/report_data.h"
#include "report/report_runs.h"

/* What the folder tells by itself and, with pictures, views of the first images and what the last
 * checkpoint makes of some. What cannot be had is named in the log and in "notes". Fails when the
 * folder's configuration or metrics cannot be read, for lack of memory, and when it is asked to
 * stop. */
wisp_status wispi_run_page(const wispi_report_request *request, const wispi_report_run *run,
                           int with_pictures, json_t **page, wisp_error *err);

#endif
