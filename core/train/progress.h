/* progress.h - what a person sees while a run goes on: one line that is rewritten on a terminal, a
 * plain line every so many seconds elsewhere. */
#ifndef WISPI_TRAIN_PROGRESS_H
#define WISPI_TRAIN_PROGRESS_H

#include <stdint.h>

typedef struct wispi_progress {
    int64_t batch, epochs, steps, steps_per_epoch;
    double log_seconds;
    int32_t quiet, terminal, line_open;
    double last_time; /* of the last line */
    int64_t last_step;
    double wait;             /* seconds spent waiting for data since the last line */
    double rate, wait_share; /* of that line: steps a second, waiting of all time */
} wispi_progress;

void wispi_progress_begin(wispi_progress *progress, int64_t first_step);
/* After every step; `wait` is the time it waited for its data. Prints when it is time. */
void wispi_progress_step(wispi_progress *progress, int64_t steps_done, double loss, double lr,
                         double wait);
/* Time that is not training (probes) does not count. */
void wispi_progress_pause(wispi_progress *progress);
void wispi_progress_resume(wispi_progress *progress, int64_t steps_done);
/* Ends an open line, then prints one of its own. */
void wispi_progress_say(wispi_progress *progress, const char *line);

/* "1:02:03", "4:05". */
void wispi_duration_text(double seconds, char *text, uint64_t bytes);

#endif
