#include "image/picture_facts.h"

#include <string.h>

#include "image/jpeg_segments.h"

enum { MARKER = 0xFF, START_OF_SCAN = 0xDA, SOF0 = 0xC0, SOF15 = 0xCF };

/* Start-of-frame markers but for three of their range that mean something else. */
static int begins_frame(uint8_t kind)
{
    return kind >= SOF0 && kind <= SOF15 && kind != 0xC4 && kind != 0xC8 && kind != 0xCC;
}

/* The body of the frame header, of which at least six bytes are there; NULL: there is none. */
static const uint8_t *find_frame(const uint8_t *data, size_t bytes, uint8_t *kind)
{
    size_t at = 2;
    while (at < bytes && bytes - at >= 4 && data[at] == MARKER) {
        *kind = data[at + 1];
        if (*kind == MARKER) { /* padding */
            at++;
            continue;
        }
        const size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (*kind == START_OF_SCAN || length < 2 || length > bytes - at - 2)
            return NULL;
        if (begins_frame(*kind))
            return length >= 8 ? data + at + 4 : NULL;
        at += 2 + length;
    }
    return NULL;
}

static int jpeg_facts(const uint8_t *data, size_t bytes, wispi_picture_facts *facts)
{
    uint8_t kind = 0;
    const uint8_t *frame = find_frame(data, bytes, &kind);
    if (!frame)
        return 0;
    const int precision = frame[0], channels = frame[5];
    *facts = (wispi_picture_facts){.format = WISPI_FILE_JPEG,
                                   .gray = channels == 1,
                                   .cmyk = channels == 4,
                                   .progressive = (kind & 3) == 2,
                                   .deep = precision > 8,
                                   .orientation = wispi_jpeg_orientation(data, bytes)};
    return 1;
}

static int png_facts(const uint8_t *data, size_t bytes, wispi_picture_facts *facts)
{
    enum { HEADER = 8 + 4 + 4, END_OF_HEADER = HEADER + 13, COLOUR = 2 };
    if (bytes < END_OF_HEADER || memcmp(data + 12, "IHDR", 4) != 0)
        return 0;
    const uint8_t *header = data + HEADER; /* width, height, then single bytes */
    *facts = (wispi_picture_facts){.format = WISPI_FILE_PNG,
                                   .gray = !(header[9] & COLOUR),
                                   .progressive = header[12] != 0,
                                   .deep = header[8] > 8,
                                   .orientation = 1};
    return 1;
}

int wispi_picture_facts_of(const uint8_t *data, size_t bytes, wispi_picture_facts *facts)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    if (bytes >= 3 && data[0] == MARKER && data[1] == 0xD8 && data[2] == MARKER)
        return jpeg_facts(data, bytes, facts);
    if (bytes >= sizeof png && memcmp(data, png, sizeof png) == 0)
        return png_facts(data, bytes, facts);
    return 0;
}
