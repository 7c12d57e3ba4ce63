/* jpeg_segments.c - a walk over markers and lengths, each checked against what is there. */
#include "image/jpeg_segments.h"

#include <string.h>

#include "image/orientation.h"

enum { MARKER = 0xFF, END = 0xD9, START_OF_SCAN = 0xDA, APP1 = 0xE1 };

int32_t wispi_jpeg_orientation(const uint8_t *data, size_t bytes)
{
    static const uint8_t name[6] = "Exif\0";
    size_t at = 2;
    while (at < bytes && bytes - at >= 4 && data[at] == MARKER) {
        const uint8_t kind = data[at + 1];
        if (kind == MARKER) { /* padding */
            at++;
            continue;
        }
        const size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (kind == START_OF_SCAN || length < 2 || length > bytes - at - 2)
            return 1;
        const uint8_t *body = data + at + 4;
        if (kind == APP1 && length - 2 >= sizeof name && memcmp(body, name, sizeof name) == 0)
            return wispi_tiff_orientation(body + sizeof name, length - 2 - sizeof name);
        at += 2 + length;
    }
    return 1;
}

int wispi_jpeg_has_end(const uint8_t *data, size_t bytes)
{
    const uint8_t *const end = data + bytes;
    while (data < end && (data = memchr(data, MARKER, (size_t)(end - data))) != NULL) {
        data++;
        if (data < end && *data == END)
            return 1;
    }
    return 0;
}
