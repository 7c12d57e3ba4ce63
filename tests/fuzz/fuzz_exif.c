/* fuzz_exif.c - any bytes as an EXIF block and as the segments of a JPEG, and what an orientation
 * does to sizes, boxes and pixels. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/jpeg_segments.h"
#include "image/orientation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_SIDE = 7 };

static int same_box(wisp_box a, wisp_box b)
{
    return a.x == b.x && a.y == b.y && a.w == b.w && a.h == b.h;
}

/* A box there and back is the same, and lies in the turned picture. */
static void turn_boxes(int32_t orientation, int32_t width, int32_t height, const uint8_t *random)
{
    const int32_t x = random[0] % width, y = random[1] % height;
    const wisp_box box = {x, y, 1 + random[2] % (width - x), 1 + random[3] % (height - y)};
    int32_t turned_w = width, turned_h = height;
    wispi_turned_size(orientation, &turned_w, &turned_h);
    const wisp_box turned = wispi_box_turned(orientation, width, height, box);
    if (turned.x < 0 || turned.y < 0 || turned.x + turned.w > turned_w ||
        turned.y + turned.h > turned_h || turned.w * turned.h != box.w * box.h)
        abort();
    if (!same_box(wispi_box_stored(orientation, width, height, turned), box))
        abort();
}

/* Every pixel is written, each where its box of one pixel says. */
static void turn_pixels(int32_t orientation, int32_t width, int32_t height)
{
    uint8_t pixels[MOST_SIDE * MOST_SIDE * 3];
    const size_t bytes = (size_t)width * (size_t)height * 3;
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = (uint8_t)(i + 1);
    const wispi_image stored = {.pixels = pixels, .width = width, .height = height};
    uint8_t *turned = malloc(bytes);
    if (!turned)
        return;
    wispi_turn_pixels(orientation, &stored, turned);
    int32_t turned_w = width, turned_h = height;
    wispi_turned_size(orientation, &turned_w, &turned_h);
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            const wisp_box at =
                wispi_box_turned(orientation, width, height, (wisp_box){x, y, 1, 1});
            if (memcmp(turned + (at.y * turned_w + at.x) * 3, pixels + (y * width + x) * 3, 3) != 0)
                abort();
        }
    free(turned);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int32_t of_block = wispi_tiff_orientation(data, size);
    const int32_t of_file = size >= 2 ? wispi_jpeg_orientation(data, size) : 1;
    if (of_block < 1 || of_block > 8 || of_file < 1 || of_file > 8)
        abort();
    if (wispi_jpeg_has_end(data, size) < 0)
        abort();
    if (size < 6)
        return 0;
    const uint8_t *random = data + size - 6;
    const int32_t width = 1 + random[4] % MOST_SIDE, height = 1 + random[5] % MOST_SIDE;
    turn_boxes(of_block, width, height, random);
    turn_pixels(of_file, width, height);
    turn_pixels(of_block, width, height);
    return 0;
}
