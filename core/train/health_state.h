/* health_state.h - what a run remembers of its health from one measurement to the next. */
#ifndef WISPI_TRAIN_HEALTH_STATE_H
#define WISPI_TRAIN_HEALTH_STATE_H

#include <stdint.h>

enum { WISPI_HEALTH_SIGNS = 20 };

/* Zeros: nothing is known yet. */
typedef struct wispi_health_state {
    int32_t was_told; /* the run has warned */
    int32_t n;        /* signs that are judged */
    struct {
        int64_t since; /* step of the first measurement of the present stay at the sign's value */
        int64_t count; /* measurements of that stay; 0: the metric is elsewhere */
    } stays[WISPI_HEALTH_SIGNS];
} wispi_health_state;

#endif
