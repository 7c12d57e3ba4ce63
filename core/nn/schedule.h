/* schedule.h - the value of a schedule at a moment of the run. */
#ifndef WISPI_NN_SCHEDULE_H
#define WISPI_NN_SCHEDULE_H

#include "wisp/method.h"

/* With t counted in steps or in epochs and w the length of the warm-up in the same unit:
 *
 *   t < w: the t-th of w values from warmup_start to `value`, both included (numpy.linspace)
 *   else, with u = t - w and T = (length of the run) - w:
 *     constant  value
 *     cosine    end + (value - end) / 2 * (1 + cos(pi * u / T))
 *     linear    value + (end - value) * u / T
 *     step      value * gamma ^ (number of milestones passed)
 *
 * The last of the run's values is that of u = T - 1; from u = T on, when all is over, `end`. */
double wispi_schedule_value(const wisp_schedule *schedule, const wisp_clock *clock);

/* Refuses unknown kinds, values that are not finite, negative lengths and too many milestones. */
wisp_status wispi_schedule_check(const char *name, const wisp_schedule *schedule, wisp_error *err);

#endif
