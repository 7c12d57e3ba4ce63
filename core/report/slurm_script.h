/* slurm_script.h - the runs of a study as a job array of a cluster that Slurm manages. */
#ifndef WISPI_REPORT_SLURM_SCRIPT_H
#define WISPI_REPORT_SLURM_SCRIPT_H

#include "base/text.h"
#include "report/job_runner.h"

/* Writes slurm.sh into the study's folder: an array with a task for each run that is not done yet,
 * `options->parallel` of them at a time (0: as many as there is room for). The study's folder and
 * the files that its arms name must be seen by the cluster's machines under the same paths. `path`
 * gets the script's name. */
wisp_status wispi_slurm_script_write(const wispi_study *study, const wispi_job_options *options,
                                     char *path, size_t bytes, wisp_error *err);

/* `text` as one word of a shell. */
void wispi_shell_word(wispi_text *out, const char *text);

#endif
