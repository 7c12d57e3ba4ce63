/* source_position.c - error messages that show the line and a caret. */
#include "config/source_position.h"

#include <stdarg.h>

enum {
    SHOWN = 100, /* characters of a line at most */
    AHEAD = 70   /* of which before the caret in a long line */
};

struct span {
    const char *data;
    size_t length;
};

static struct span find_line(const wispi_source *source, int32_t line)
{
    const char *p = source->text, *end = p + source->length;
    for (int32_t i = 1; i < line && p < end; i++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        p = newline ? newline + 1 : end;
    }
    const char *stop = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    stop = stop ? stop : end;
    if (stop > p && stop[-1] == '\r')
        stop--;
    return (struct span){p, (size_t)(stop - p)};
}

/* First byte of a character, as opposed to a later byte of a UTF-8 sequence. */
static int starts_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

/* What a terminal would take for a command is shown as a question mark. */
static char shown_byte(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7F ? '?' : c;
}

/* Writes the part of the line around the column to `line`, and to `under` white space of the same
 * width up to the column. Tabs stay tabs, so that both lines stay aligned. */
static void show(struct span span, int32_t column, char *line, char *under, size_t size)
{
    int32_t first = column > SHOWN ? column - AHEAD : 1, at = 0;
    size_t n = 0, m = 0;
    for (size_t i = 0; i < span.length; i++) {
        at += starts_character(span.data[i]);
        if (at < first)
            continue;
        if (at >= first + SHOWN || n + 1 >= size)
            break;
        line[n++] = shown_byte(span.data[i]);
        if (at < column && starts_character(span.data[i]))
            under[m++] = span.data[i] == '\t' ? '\t' : ' ';
    }
    /* The column may lie one past the end of the line. */
    while (at < column - 1 && m + 1 < size && m < SHOWN) {
        under[m++] = ' ';
        at++;
    }
    line[n] = under[m] = 0;
}

wisp_status wispi_place_fail(wispi_place place, wisp_error *err, wisp_status code, const char *hint,
                             const char *format, ...)
{
    char message[700], line[SHOWN * 4 + 8], under[SHOWN * 4 + 8];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const char *newline = hint ? "\n" : "";
    hint = hint ? hint : "";
    if (!place.source || place.line < 1)
        return wisp_fail(err, code, "%s%s%s", message, newline, hint);
    show(find_line(place.source, place.line), place.column, line, under, sizeof line);
    return wisp_fail(err, code, "%.300s:%d:%d: %s\n    %s\n    %s^%s%s", place.source->name,
                     (int)place.line, (int)place.column, message, line, under, newline, hint);
}
