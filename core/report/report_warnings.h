/* report_warnings.h - what a report says to the log. A live page is made once a second, and what is
 * wrong with it is said when it comes to be, not each time. */
#ifndef WISPI_REPORT_REPORT_WARNINGS_H
#define WISPI_REPORT_REPORT_WARNINGS_H

#include "base/text.h"

/* Start with zeros. The lines that were said of the page before this one, and of this one. */
typedef struct wispi_report_warnings {
    wispi_text before, now;
} wispi_report_warnings;

/* Logs the line unless it was said of the page before. `warnings` NULL: logs it. */
void wispi_report_warn(wispi_report_warnings *warnings, const char *format, ...) WISP_PRINTF(2, 3);

/* Another page begins. */
void wispi_report_warnings_turn(wispi_report_warnings *warnings);
void wispi_report_warnings_free(wispi_report_warnings *warnings);

#endif
