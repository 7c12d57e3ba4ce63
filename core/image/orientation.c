/* orientation.c - turning pictures, and the few bytes of EXIF that say how. */
#include "image/orientation.h"

#include <string.h>

/* --- reading it --- */

typedef struct tiff {
    const uint8_t *data;
    size_t bytes;
    int little;
} tiff;

/* `at` and the bytes after it were checked. */
static uint32_t number_at(const tiff *t, size_t at, size_t bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | t->data[at + (t->little ? bytes - 1 - i : i)];
    return value;
}

/* A directory entry is tag, type, count and value: 2, 2, 4 and 4 bytes. */
static int32_t orientation_of_entry(const tiff *t, size_t at)
{
    enum { TAG = 0x112, SHORT = 3, LONG = 4 };
    const uint32_t type = number_at(t, at + 2, 2);
    if (number_at(t, at, 2) != TAG || number_at(t, at + 4, 4) != 1)
        return 0;
    if (type != SHORT && type != LONG)
        return 0;
    const uint32_t value = number_at(t, at + 8, type == SHORT ? 2 : 4);
    return value >= 1 && value <= 8 ? (int32_t)value : 0;
}

int32_t wispi_tiff_orientation(const uint8_t *data, size_t bytes)
{
    enum { HEADER = 8, ENTRY = 12 };
    if (bytes < HEADER)
        return 1;
    const tiff t = {data, bytes, data[0] == 'I'};
    if (memcmp(data, t.little ? "II*\0" : "MM\0*", 4) != 0)
        return 1;
    const size_t directory = number_at(&t, 4, 4);
    if (directory > bytes - 2)
        return 1;
    const size_t wanted = number_at(&t, directory, 2), room = (bytes - directory - 2) / ENTRY;
    const size_t n = wanted < room ? wanted : room;
    for (size_t i = 0; i < n; i++) {
        const int32_t found = orientation_of_entry(&t, directory + 2 + i * ENTRY);
        if (found)
            return found;
    }
    return 1;
}

/* --- turning --- */

/* Pixel (x, y) of the turned picture is stored at (x, y), or at (y, x) where rows are columns, each
 * counted from the other end where it is mirrored. */
typedef struct turn {
    int swapped, from_right, from_bottom;
} turn;

static turn turn_of(int32_t orientation)
{
    static const turn turns[] = {{0, 0, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1},
                                 {1, 0, 0}, {1, 0, 1}, {1, 1, 1}, {1, 1, 0}};
    return turns[orientation - 1];
}

void wispi_turned_size(int32_t orientation, int32_t *width, int32_t *height)
{
    if (!turn_of(orientation).swapped)
        return;
    const int32_t kept = *width;
    *width = *height;
    *height = kept;
}

static wisp_box swapped(wisp_box b)
{
    return (wisp_box){b.y, b.x, b.h, b.w};
}

/* Positions that make no sense stay senseless, without overflow. */
static int32_t mirrored(int32_t at, int32_t size, int32_t whole)
{
    const int64_t from_end = (int64_t)whole - at - size;
    return from_end < INT32_MIN || from_end > INT32_MAX ? -1 : (int32_t)from_end;
}

static wisp_box mirror_box(turn t, int32_t width, int32_t height, wisp_box b)
{
    if (t.from_right)
        b.x = mirrored(b.x, b.w, width);
    if (t.from_bottom)
        b.y = mirrored(b.y, b.h, height);
    return b;
}

wisp_box wispi_box_stored(int32_t orientation, int32_t width, int32_t height, wisp_box b)
{
    const turn t = turn_of(orientation);
    return mirror_box(t, width, height, t.swapped ? swapped(b) : b);
}

wisp_box wispi_box_turned(int32_t orientation, int32_t width, int32_t height, wisp_box b)
{
    const turn t = turn_of(orientation);
    const wisp_box mirror = mirror_box(t, width, height, b);
    return t.swapped ? swapped(mirror) : mirror;
}

void wispi_turn_pixels(int32_t orientation, const wispi_image *stored, uint8_t *turned)
{
    const turn t = turn_of(orientation);
    int32_t width = stored->width, height = stored->height;
    const ptrdiff_t row = (ptrdiff_t)width * 3;
    ptrdiff_t across = t.from_right ? -3 : 3, down = t.from_bottom ? -row : row;
    const uint8_t *first = stored->pixels;
    first += t.from_right ? row - 3 : 0;
    first += t.from_bottom ? row * (height - 1) : 0;
    wispi_turned_size(orientation, &width, &height);
    const ptrdiff_t step_x = t.swapped ? down : across, step_y = t.swapped ? across : down;
    for (int32_t y = 0; y < height; y++) {
        for (int32_t x = 0; x < width; x++, turned += 3)
            memcpy(turned, first + y * step_y + x * step_x, 3);
    }
}
