/* clock.h - time for measuring. */
#ifndef WISPI_BASE_CLOCK_H
#define WISPI_BASE_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds since some fixed moment; never goes back. [any] */
double wispi_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
