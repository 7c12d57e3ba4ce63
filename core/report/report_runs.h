/* report_runs.h - which runs a report is about: the folders that were named, or those within them.
 */
#ifndef WISPI_REPORT_REPORT_RUNS_H
#define WISPI_REPORT_REPORT_RUNS_H

#include <stdint.h>

#include "wisp/status.h"

enum { WISPI_REPORT_PATH = 1024, WISPI_REPORT_MOST_RUNS = 512 };

enum { WISPI_REPORT_RUN = 0, WISPI_REPORT_COMPARISON = 1, WISPI_REPORT_SWEEP = 2 };

typedef struct wispi_report_run {
    char folder[WISPI_REPORT_PATH];
    const char *label; /* end of `folder` that no other run has: "A/0" in a comparison */
    int32_t is_first;  /* of its arm, by number of the seed */
} wispi_report_run;

typedef struct wispi_report_runs {
    int32_t kind; /* WISPI_REPORT_... */
    wispi_report_run *list;
    int32_t n;
} wispi_report_runs;

/* A folder with config.toml is a run. One with comparison.json or sweep.json holds those of its
 * arms, <arm>/<seed>; so does any other, and a folder of seeds. A run is listed once, however often
 * it is named. E_NOT_FOUND when there is no run, E_INVALID when there are too many or a path is too
 * long. */
wisp_status wispi_report_runs_find(const char *const *folders, int32_t n_folders,
                                   wispi_report_runs *runs, wisp_error *err);
void wispi_report_runs_free(wispi_report_runs *runs); /* accepts a zeroed one */

#endif
