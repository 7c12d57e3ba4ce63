/* text.c - growable string. */
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { FIRST_CAPACITY = 256 };

/* Room for `more` bytes and the NUL. */
static int reserve(wispi_text *text, size_t more)
{
    if (text->failed || more > (size_t)PTRDIFF_MAX / 4 - text->length) {
        text->failed = 1;
        return 0;
    }
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return 1;
    size_t capacity = text->capacity ? text->capacity * 2 : FIRST_CAPACITY;
    capacity = capacity < needed ? needed : capacity;
    char *data = wispi_grow(text->data, text->capacity, capacity);
    if (!data) {
        text->failed = 1;
        return 0;
    }
    text->data = data;
    text->capacity = capacity;
    return 1;
}

void wispi_text_append_bytes(wispi_text *text, const void *bytes, size_t n)
{
    if (!reserve(text, n))
        return;
    if (n)
        memcpy(text->data + text->length, bytes, n);
    text->length += n;
    text->data[text->length] = 0;
}

void wispi_text_append(wispi_text *text, const char *piece)
{
    wispi_text_append_bytes(text, piece, strlen(piece));
}

void wispi_text_printf(wispi_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        text->failed = 1;
    } else if (reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void wispi_text_truncate(wispi_text *text, size_t length)
{
    if (length < text->length) {
        text->length = length;
        text->data[length] = 0;
    }
}

void wispi_text_free(wispi_text *text)
{
    wispi_free(text->data);
    memset(text, 0, sizeof *text);
}
