#include "report/slurm_script.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

void wispi_shell_word(wispi_text *out, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
    if (text[0] && strspn(text, plain) == strlen(text)) {
        wispi_text_append(out, text);
        return;
    }
    wispi_text_append(out, "'");
    for (const char *p = text; *p; p++)
        if (*p == '\'')
            wispi_text_append(out, "'\\''");
        else
            wispi_text_append_bytes(out, p, 1);
    wispi_text_append(out, "'");
}

/* Slurm's own reading of quotes in #SBATCH lines is not relied on. */
static int is_plain(const char *text)
{
    return strspn(text,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@") ==
           strlen(text);
}

static int wants_gpu(const wispi_study *study)
{
    for (int32_t i = 0; i < study->arms.n; i++)
        if (strstr(study->arms.list[i].resolved, "\ndevice = \"cuda"))
            return 1;
    return 0;
}

/* The array has one size of task: that of the largest run. */
static int32_t threads_of_task(const wispi_study *study)
{
    int32_t most = 0;
    for (int32_t i = 0; i < study->arms.n; i++) {
        const int32_t own = study->arms.list[i].threads;
        const int32_t threads = own > 0 ? own : study->threads;
        most = threads > most ? threads : most;
    }
    return most;
}

static void write_head(wispi_text *out, const wispi_study *study, const wispi_job_options *options,
                       const char *here)
{
    const int32_t left = study->n_jobs - wispi_study_count(study, WISPI_JOB_DONE);
    const char *slash = strrchr(study->folder, '/');
    const char *name = slash ? slash + 1 : study->folder;
    wispi_text_append(out, "#!/bin/bash\n");
    wispi_text_printf(out, "#SBATCH --job-name=%s\n", is_plain(name) ? name : "wisp");
    wispi_text_printf(out, "#SBATCH --array=0-%d", left - 1);
    if (options->parallel > 0)
        wispi_text_printf(out, "%%%d", options->parallel);
    wispi_text_printf(out, "\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=%d\n",
                      threads_of_task(study));
    wispi_text_printf(out, "%sSBATCH --gres=gpu:1\n", wants_gpu(study) ? "#" : "##");
    if (is_plain(study->folder) && is_plain(here))
        wispi_text_printf(out, "#SBATCH --output=%s%s%s/logs/slurm-%%A_%%a.log\n",
                          study->folder[0] == '/' ? "" : here, study->folder[0] == '/' ? "" : "/",
                          study->folder);
    wispi_text_append(
        out, "# Two minutes before its time is over a run is asked to end on a checkpoint.\n"
             "#SBATCH --signal=B:TERM@120\n"
             "#\n"
             "# One task a run. Give partition, account and time with the call: sbatch --time=...\n"
             "# Runs that were stopped go on when the array is submitted again; finished ones end "
             "at once.\n"
             "set -u\n");
    wispi_text_append(out, "cd ");
    wispi_shell_word(out, here);
    wispi_text_append(out, " || exit 1\nwisp=");
    wispi_shell_word(out, options->program);
    wispi_text_append(out,
                      "\n\ncase \"${SLURM_ARRAY_TASK_ID:?is set in a task of the array}\" in\n");
}

static wisp_status write_tasks(wispi_text *out, const wispi_study *study,
                               const wispi_job_options *options, wisp_error *err)
{
    int32_t index = 0;
    for (int32_t i = 0; i < study->n_jobs; i++) {
        const wispi_job *job = &study->jobs[i];
        const char **arguments = NULL;
        if (job->state == WISPI_JOB_DONE)
            continue;
        WISP_TRY(wispi_job_arguments(study, job, options, NULL, &arguments, err));
        wispi_text_printf(out, "%d) # ", index++);
        wispi_text_printf(out, "%s, seed %lld\n    exec \"$wisp\"", job->arm->name,
                          (long long)job->seed);
        for (; *arguments; arguments++) {
            wispi_text_append(out, " ");
            wispi_shell_word(out, *arguments);
        }
        wispi_text_append(out, " >>");
        wispi_shell_word(out, job->log);
        wispi_text_append(out, " 2>&1\n    ;;\n");
    }
    wispi_text_append(out, "esac\necho \"there is no task $SLURM_ARRAY_TASK_ID\" >&2\nexit 2\n");
    return WISP_OK;
}

wisp_status wispi_slurm_script_write(const wispi_study *study, const wispi_job_options *options,
                                     char *path, size_t bytes, wisp_error *err)
{
    char here[PATH_MAX];
    wispi_text out = {0};
    if (!getcwd(here, sizeof here))
        return wisp_fail(err, WISP_E_IO, "the current folder is not known: %s", strerror(errno));
    if (strchr(here, '\n') || strchr(study->folder, '\n'))
        return wisp_fail(err, WISP_E_INVALID, "a folder's name with a line break cannot be used");
    WISP_TRY(wispi_path_join(path, bytes, study->folder, "slurm.sh"));
    write_head(&out, study, options, here);
    wisp_status status = write_tasks(&out, study, options, err);
    if (status == WISP_OK && out.failed)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for the job array");
    if (status == WISP_OK)
        status = wispi_file_replace(path, out.data, out.length, err);
    wispi_text_free(&out);
    return status;
}
