#include "report/report_warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { LONGEST_LINE = 4096 };

/* `lines` holds each with its newline. */
static int holds(const wispi_text *lines, const char *line)
{
    const size_t n = strlen(line);
    for (const char *at = lines->data; at && *at; at = strchr(at, '\n') + 1)
        if (strncmp(at, line, n) == 0 && at[n] == '\n')
            return 1;
    return 0;
}

static void one_line(char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            *text = ' ';
}

void wispi_report_warn(wispi_report_warnings *warnings, const char *format, ...)
{
    char line[LONGEST_LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    one_line(line);
    if (!warnings || !holds(&warnings->before, line))
        wispi_log(WISP_LOG_WARNING, "%s", line);
    if (warnings)
        wispi_text_printf(&warnings->now, "%s\n", line);
}

void wispi_report_warnings_turn(wispi_report_warnings *warnings)
{
    wispi_text_free(&warnings->before);
    warnings->before = warnings->now;
    memset(&warnings->now, 0, sizeof warnings->now);
}

void wispi_report_warnings_free(wispi_report_warnings *warnings)
{
    wispi_text_free(&warnings->before);
    wispi_text_free(&warnings->now);
}
