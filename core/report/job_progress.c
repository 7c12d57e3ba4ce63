#include "report/job_progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "report/log_tail.h"
#include "train/progress.h"

static const double terminal_seconds = 1.0, log_seconds = 30.0;

enum { LINE_BYTES = 512 };

/* The step of the last line of a run's metrics; -1: there is none. */
static int64_t step_reached(const char *run_folder)
{
    static const char key[] = "\"step\": ";
    char path[WISPI_STUDY_PATH + 300], line[4096];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run_folder);
    wispi_log_tail(path, 1, line, sizeof line);
    const char *at = strstr(line, key);
    return at ? strtoll(at + sizeof key - 1, NULL, 10) : -1;
}

void wispi_job_progress_begin(wispi_job_progress *p, const wispi_study *study, int32_t quiet)
{
    *p = (wispi_job_progress){.study = study, .quiet = quiet};
    p->terminal = isatty(STDOUT_FILENO);
    p->started = p->last_time = wispi_seconds();
}

static int64_t steps_of(const wispi_job *job)
{
    if (job->state == WISPI_JOB_RUNS) {
        const int64_t step = step_reached(job->folder);
        return step > job->first_step ? step : job->first_step;
    }
    return job->state == WISPI_JOB_DONE ? job->arm->steps : job->first_step;
}

/* Time left when steps go on as they did; runs that failed are not waited for. Unknown, -1, while
 * what comes before a run's first step outweighs its steps. */
static double seconds_left(const wispi_job_progress *p)
{
    static const double least_share = 0.02;
    double made = 0, left = 0;
    for (int32_t i = 0; i < p->study->n_jobs; i++) {
        const wispi_job *job = &p->study->jobs[i];
        const int64_t now = steps_of(job);
        made += (double)(now - job->first_step);
        if (job->state == WISPI_JOB_WAITS || job->state == WISPI_JOB_RUNS)
            left += (double)(job->arm->steps - now);
    }
    const int known = made > 0 && made >= least_share * (made + left);
    return known ? left * (wispi_seconds() - p->started) / made : -1;
}

static int width(const wispi_job_progress *p)
{
    struct winsize size;
    if (!p->terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return p->terminal ? 79 : LINE_BYTES - 1;
    return size.ws_col - 1 < LINE_BYTES ? size.ws_col - 1 : LINE_BYTES - 1;
}

static size_t write_running(const wispi_job_progress *p, char *line, size_t n, size_t bytes)
{
    for (int32_t i = 0; i < p->study->n_jobs && n < bytes; i++) {
        const wispi_job *job = &p->study->jobs[i];
        if (job->state != WISPI_JOB_RUNS)
            continue;
        const double share =
            (double)steps_of(job) / (double)(job->arm->steps ? job->arm->steps : 1);
        n += (size_t)snprintf(line + n, bytes - n, "  %s/%lld %.0f %%", job->arm->name,
                              (long long)job->seed, 100 * share);
    }
    return n;
}

void wispi_job_progress_show(wispi_job_progress *p)
{
    const double now = wispi_seconds();
    if (p->quiet || now - p->last_time < (p->terminal ? terminal_seconds : log_seconds))
        return;
    p->last_time = now;
    char line[LINE_BYTES], eta[32], failed[40] = "";
    const int32_t n_failed = wispi_study_count(p->study, WISPI_JOB_FAILED);
    wispi_duration_text(seconds_left(p), eta, sizeof eta);
    if (n_failed)
        snprintf(failed, sizeof failed, ", %d failed", n_failed);
    /* What is least missed comes last, where a narrow terminal cuts. */
    const size_t n = (size_t)snprintf(line, sizeof line, "%d of %d runs done%s  ETA %s",
                                      wispi_study_count(p->study, WISPI_JOB_DONE), p->study->n_jobs,
                                      failed, eta);
    write_running(p, line, n, sizeof line);
    printf("%s%.*s%s", p->terminal ? "\r\033[K" : "", width(p), line, p->terminal ? "" : "\n");
    p->line_open = p->terminal;
    fflush(stdout);
}

void wispi_job_progress_end(wispi_job_progress *p)
{
    if (p->line_open)
        printf("\n");
    p->line_open = 0;
    fflush(stdout);
}

void wispi_job_progress_say(wispi_job_progress *p, const char *line)
{
    wispi_job_progress_end(p);
    if (!p->quiet && line[0])
        printf("%s\n", line);
    fflush(stdout);
}
