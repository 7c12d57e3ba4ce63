#include "report/study_results.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "train/json_text.h"

/* A finished run that cannot be read is named, and missing. */
static wisp_status read_run(const wispi_job *job, wispi_run_data **run, wisp_error *err)
{
    wisp_error cause = {0};
    const wisp_status status = wispi_run_data_read(job->folder, run, &cause);
    if (status == WISP_E_NOMEM)
        return wisp_fail(err, status, "%s", cause.message);
    if (status != WISP_OK || (*run)->is_damaged) {
        const char *why =
            status != WISP_OK ? cause.message : json_string_value(json_array_get((*run)->notes, 0));
        wispi_log(WISP_LOG_WARNING, "%s is left out: %s; remove it to have it made again",
                  job->folder, why ? why : "its metrics.jsonl cannot be read");
        wispi_run_data_free(*run);
        *run = NULL;
    }
    return WISP_OK;
}

wisp_status wispi_study_results_read(const wispi_study *study, wispi_study_results *out,
                                     wisp_error *err)
{
    wispi_study_results results = {study, NULL};
    results.runs = wispi_alloc_array((size_t)study->n_jobs, sizeof(wispi_run_data *));
    wisp_status status =
        results.runs ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for the results");
    for (int32_t i = 0; status == WISP_OK && i < study->n_jobs; i++)
        if (study->jobs[i].state == WISPI_JOB_DONE)
            status = read_run(&study->jobs[i], &results.runs[i], err);
    if (status == WISP_OK)
        *out = results;
    else
        wispi_study_results_free(&results);
    return status;
}

void wispi_study_results_free(wispi_study_results *results)
{
    for (int32_t i = 0; results->runs && i < results->study->n_jobs; i++)
        wispi_run_data_free(results->runs[i]);
    wispi_free(results->runs);
    results->runs = NULL;
}

const wispi_run_data *wispi_study_results_at(const wispi_study_results *results, int32_t arm,
                                             int32_t seed_index)
{
    return results->runs[seed_index * results->study->arms.n + arm];
}

json_t *wispi_study_seeds_json(const wispi_study *study)
{
    json_t *seeds = json_array();
    for (int32_t i = 0; i < study->seeds.n; i++)
        if (wispi_study_seed_is_done(study, i))
            json_array_append_new(seeds, json_integer((json_int_t)study->seeds.list[i]));
    return seeds;
}

wisp_status wispi_study_write_json(const wispi_study *study, const char *file, const json_t *json,
                                   wisp_error *err)
{
    char path[WISPI_STUDY_PATH + 64];
    WISP_TRY(wispi_path_join(path, sizeof path, study->folder, file));
    wispi_text text = {0};
    wisp_status status = wispi_json_append(json, &text, err);
    if (status == WISP_OK)
        status = wispi_file_replace(path, text.data, text.length, err);
    wispi_text_free(&text);
    return status;
}
