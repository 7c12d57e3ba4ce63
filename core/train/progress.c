#include "train/progress.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static const double terminal_seconds = 0.5, shortest_seconds = 0.05;

void wispi_duration_text(double seconds, char *text, uint64_t bytes)
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) {
        snprintf(text, bytes, "?");
        return;
    }
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, bytes, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, bytes, "%ld:%02ld", s / 60, s % 60);
}

void wispi_progress_begin(wispi_progress *p, int64_t first_step)
{
    p->terminal = isatty(STDOUT_FILENO);
    wispi_progress_resume(p, first_step);
}

void wispi_progress_pause(wispi_progress *p)
{
    if (p->line_open)
        printf("\n");
    p->line_open = 0;
    fflush(stdout);
}

void wispi_progress_resume(wispi_progress *p, int64_t steps_done)
{
    p->last_time = wispi_seconds();
    p->last_step = steps_done;
    p->wait = 0;
}

void wispi_progress_step(wispi_progress *p, int64_t done, double loss, double lr, double wait)
{
    p->wait += wait;
    double now = wispi_seconds(), passed = now - p->last_time;
    double every = p->terminal ? terminal_seconds : p->log_seconds;
    if (p->quiet || (passed < every && done < p->steps))
        return;
    /* Of a device that works on its own the last steps are heard of together: no time at all. */
    if (passed >= shortest_seconds || p->rate == 0) {
        p->rate = (double)(done - p->last_step) / fmax(passed, 1e-9);
        p->wait_share = p->wait / fmax(passed, 1e-9);
    }
    char eta[32];
    wispi_duration_text((double)(p->steps - done) / p->rate, eta, sizeof eta);
    printf("%sepoch %lld/%lld step %lld/%lld  loss %.4f  lr %.3g  %.1f images/s  data wait %.0f %% "
           " ETA %s%s",
           p->terminal ? "\r\033[K" : "", (long long)((done - 1) / p->steps_per_epoch + 1),
           (long long)p->epochs, (long long)done, (long long)p->steps, loss, lr,
           p->rate * (double)p->batch, 100 * p->wait_share, eta, p->terminal ? "" : "\n");
    p->line_open = p->terminal;
    fflush(stdout);
    wispi_progress_resume(p, done);
}

void wispi_progress_say(wispi_progress *p, const char *line)
{
    wispi_progress_pause(p);
    if (!p->quiet)
        printf("%s\n", line);
    fflush(stdout);
}
