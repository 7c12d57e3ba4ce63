/* flag_number.c - the number behind a flag. */
#include "command.h"

#include <stdlib.h>

int wispi_read_number(const char *flag, const char *text, long long least, long long most,
                      long long *value)
{
    char *end = NULL;
    const long long number = text ? strtoll(text, &end, 10) : 0;
    if (!text)
        return WISPI_EXIT_DONE;
    if (end == text || *end != '\0' || number < least || number > most)
        return wispi_report_wrong_call("%s %s: it must be a whole number from %lld to %lld", flag,
                                       text, least, most);
    *value = number;
    return WISPI_EXIT_DONE;
}
