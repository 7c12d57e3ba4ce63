/* job_progress.h - what a person sees while runs go on beside each other. */
#ifndef WISPI_REPORT_JOB_PROGRESS_H
#define WISPI_REPORT_JOB_PROGRESS_H

#include "report/study.h"

typedef struct wispi_job_progress {
    const wispi_study *study;
    int32_t quiet, terminal, line_open;
    double started, last_time; /* clock */
} wispi_job_progress;

void wispi_job_progress_begin(wispi_job_progress *progress, const wispi_study *study,
                              int32_t quiet);
/* One line about all runs that go on, when it is time for it; reads how far they are. */
void wispi_job_progress_show(wispi_job_progress *progress);
/* Ends an open line, then prints one of its own. */
void wispi_job_progress_say(wispi_job_progress *progress, const char *line);
void wispi_job_progress_end(wispi_job_progress *progress);

#endif
