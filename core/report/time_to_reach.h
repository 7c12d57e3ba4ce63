/* time_to_reach.h - how soon each arm's probes reach what the first arm ends with. */
#ifndef WISPI_REPORT_TIME_TO_REACH_H
#define WISPI_REPORT_TIME_TO_REACH_H

#include "report/comparison.h"

/* The array "time" of a comparison: for each metric of the probes and each further arm, seed by
 * seed. A time is that of the first evaluation at which the probe was at least as good as the first
 * arm with the same seed was at its end; null where it never was, or where minutes are not known.
 */
wisp_status wispi_time_to_reach(const wispi_comparison_request *request, json_t **time,
                                wisp_error *err);

#endif
