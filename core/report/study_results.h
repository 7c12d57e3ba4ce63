/* study_results.h - the finished runs of a study, read back, by arm and seed. */
#ifndef WISPI_REPORT_STUDY_RESULTS_H
#define WISPI_REPORT_STUDY_RESULTS_H

#include "report/run_data.h"
#include "report/study.h"

typedef struct wispi_study_results {
    const wispi_study *study;
    wispi_run_data **runs; /* one a job; NULL where it is not done */
} wispi_study_results;

wisp_status wispi_study_results_read(const wispi_study *study, wispi_study_results *results,
                                     wisp_error *err);
void wispi_study_results_free(wispi_study_results *results); /* accepts a zeroed one */

/* NULL: that run is not done. */
const wispi_run_data *wispi_study_results_at(const wispi_study_results *results, int32_t arm,
                                             int32_t seed_index);

/* The seeds that all arms have done. */
json_t *wispi_study_seeds_json(const wispi_study *study);

/* Writes <folder>/<file>. */
wisp_status wispi_study_write_json(const wispi_study *study, const char *file, const json_t *json,
                                   wisp_error *err);

#endif
