/* log_tail.h - the last lines of a text file. */
#ifndef WISPI_REPORT_LOG_TAIL_H
#define WISPI_REPORT_LOG_TAIL_H

#include <stddef.h>

/* At most `lines` of them, as many as fit; "" when there is no such file or it is empty. */
void wispi_log_tail(const char *path, int lines, char *text, size_t bytes);

#endif
