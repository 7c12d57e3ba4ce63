/* log.h - one line to the log. Levels are WISP_LOG_... of wisp/host.h. All functions are [any]. */
#ifndef WISPI_BASE_LOG_H
#define WISPI_BASE_LOG_H

#include "wisp/host.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Formats one line (without newline; at most 4095 bytes) and hands it to the sink, unless its level
 * is above the threshold. WISP_LOG_PLUGIN_MISBEHAVING counts as an error. */
void wispi_log(int32_t level, const char *format, ...) WISP_PRINTF(2, 3);

/* Highest level that is shown; at start WISP_LOG_INFO. */
void wispi_log_set_level(int32_t level);
int32_t wispi_log_level(void);

/* Gets each shown line, one call at a time. NULL: back to standard error. */
typedef void (*wispi_log_sink)(void *user, int32_t level, const char *line);
void wispi_log_set_sink(wispi_log_sink sink, void *user);

#ifdef __cplusplus
}
#endif
#endif
