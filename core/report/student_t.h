/* student_t.h - Student's t distribution for whole degrees of freedom.
 *
 * All functions are [any]; what is not defined, such as for df below 1, is NaN. */
#ifndef WISPI_REPORT_STUDENT_T_H
#define WISPI_REPORT_STUDENT_T_H

#include <stdint.h>

/* The chance of a value at least as far from 0 as `t`, on either side; to 15 decimals. */
double wispi_t_two_sided(int32_t df, double t);
/* The value whose wispi_t_two_sided() is `level`, in (0, 1). */
double wispi_t_critical(int32_t df, double level);
/* The chance that a noncentral t is further from 0 than `critical`, on either side. */
double wispi_t_power(int32_t df, double noncentrality, double critical);

#endif
