/* view_clock.h - where the time of making views goes, by phase; one clock for each worker.
 *
 * A lap books the time since the lap before under one phase, whatever was done in it, so phases may
 * come in any order and as often as they like. A lap costs one reading of the monotonic clock,
 * about 30 ns: dozens of them for a sample are nothing, one for each row of a picture would be
 * felt. NULL is a clock that nobody asked for: laps do nothing then. */
#ifndef WISPI_IMAGE_VIEW_CLOCK_H
#define WISPI_IMAGE_VIEW_CLOCK_H

#include <stdint.h>

#include "base/clock.h"

enum {
    WISPI_PHASE_READ = 0, /* bytes from the data set */
    WISPI_PHASE_DECODE,
    WISPI_PHASE_PLAN,     /* the sampler's draws */
    WISPI_PHASE_RESAMPLE, /* crop and resize */
    WISPI_PHASE_PIXELS,   /* flip, jitter, gray, blur, solarize */
    WISPI_PHASE_NORMALISE,
    WISPI_PHASE_OTHER, /* all else that a worker does for a sample, taking it from the queue too */
    WISPI_PHASES
};

typedef struct wispi_view_clock {
    double seconds[WISPI_PHASES];
    double last; /* lap */
    int64_t samples;
} wispi_view_clock;

/* Time from here on counts. [worker] */
static inline void wispi_view_clock_start(wispi_view_clock *clock)
{
    if (clock)
        clock->last = wispi_seconds();
}

/* What happened since the last lap was this phase. [worker] */
static inline void wispi_view_clock_lap(wispi_view_clock *clock, int32_t phase)
{
    if (!clock)
        return;
    const double now = wispi_seconds();
    clock->seconds[phase] += now - clock->last;
    clock->last = now;
}

/* Moves what `from` has counted to `to`; neither may be NULL. */
static inline void wispi_view_clock_move(wispi_view_clock *to, wispi_view_clock *from)
{
    for (int32_t i = 0; i < WISPI_PHASES; i++) {
        to->seconds[i] += from->seconds[i];
        from->seconds[i] = 0;
    }
    to->samples += from->samples;
    from->samples = 0;
}

#endif
