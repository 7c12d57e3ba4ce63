/* decode.c - tells the formats apart, turns pictures, and owns what the decoders share. */
#include "image/decode.h"

#include "base/memory.h"
#include "image/decode_format.h"
#include "image/orientation.h"
#include "wisp/pixel_math.h"

/* A picture that needed more of the arena than this does not leave that behind. */
#define KEPT_ARENA ((size_t)16 << 20)

enum { FIRST_ARENA = 1 << 17 };

wisp_status wispi_decoder_create(wispi_decoder **decoder, wisp_error *err)
{
    struct wispi_decoder *made = wispi_alloc(sizeof *made);
    if (made)
        made->arena = wispi_arena_create(FIRST_ARENA);
    if (!made || !made->arena) {
        wispi_decoder_destroy(made);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image decoder");
    }
    *decoder = made;
    return WISP_OK;
}

/* Ends the picture that is open, if one is. */
static void close_picture(wispi_decoder *decoder)
{
    if (!decoder->format)
        return;
    decoder->format->close(decoder);
    decoder->format = NULL;
    wispi_arena *fresh =
        wispi_arena_used(decoder->arena) > KEPT_ARENA ? wispi_arena_create(FIRST_ARENA) : NULL;
    if (fresh) {
        wispi_arena_destroy(decoder->arena);
        decoder->arena = fresh;
    } else {
        wispi_arena_reset(decoder->arena);
    }
}

void wispi_decoder_destroy(wispi_decoder *decoder)
{
    if (!decoder)
        return;
    close_picture(decoder);
    wispi_jpeg_destroy(decoder->jpeg);
    wispi_free(decoder->png);
    wispi_scratch_free(&decoder->pixels);
    wispi_scratch_free(&decoder->turned);
    wispi_scratch_free(&decoder->line);
    if (decoder->arena)
        wispi_arena_destroy(decoder->arena);
    wispi_free(decoder);
}

const char *wispi_size_complaint(uint32_t width, uint32_t height)
{
    if (width == 0 || height == 0)
        return "it has no pixels";
    if (width > WISPI_IMAGE_MAX_SIDE || height > WISPI_IMAGE_MAX_SIDE)
        return "a side is longer than 65500 pixels";
    if ((int64_t)width * height > WISPI_IMAGE_MAX_PIXELS)
        return "it has more than 2^28 pixels";
    return NULL;
}

static const wispi_decode_format *format_of(const uint8_t *data, size_t bytes)
{
    static const uint8_t jpeg_start[3] = {0xFF, 0xD8, 0xFF};
    static const uint8_t png_start[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    if (bytes >= sizeof jpeg_start && memcmp(data, jpeg_start, sizeof jpeg_start) == 0)
        return &wispi_jpeg_format;
    if (bytes >= sizeof png_start && memcmp(data, png_start, sizeof png_start) == 0)
        return &wispi_png_format;
    return NULL;
}

wisp_status wispi_decode_open(wispi_decoder *decoder, const void *data, size_t bytes,
                              int32_t upright, wispi_picture *picture, wisp_error *err)
{
    close_picture(decoder);
    if (bytes == 0)
        return wisp_fail(err, WISP_E_DATA, "the image file is empty");
    const wispi_decode_format *format = format_of(data, bytes);
    if (!format)
        return wisp_fail(err, WISP_E_DATA,
                         "neither a JPEG nor a PNG file (%zu bytes, the first is 0x%02x)", bytes,
                         *(const uint8_t *)data);
    decoder->data = data;
    decoder->bytes = bytes;
    decoder->format = format;
    wisp_status status = format->open(decoder, &decoder->stored, err);
    if (status != WISP_OK) {
        close_picture(decoder);
        return status;
    }
    decoder->orientation = upright ? format->orientation(data, bytes) : 1;
    wispi_picture seen = decoder->stored;
    wispi_turned_size(decoder->orientation, &seen.width, &seen.height);
    *picture = seen;
    return WISP_OK;
}

static wisp_status turn_part(wispi_decoder *decoder, int32_t width, int32_t height,
                             wispi_part *part, wisp_error *err)
{
    const size_t bytes = (size_t)part->image.width * (size_t)part->image.height * 3;
    uint8_t *turned = wispi_scratch_reserve(&decoder->turned, bytes);
    if (!turned)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to turn a picture of %d x %d pixels",
                         part->image.width, part->image.height);
    wispi_turn_pixels(decoder->orientation, &part->image, turned);
    const wisp_box stored = {part->x, part->y, part->image.width, part->image.height};
    const wisp_box box = wispi_box_turned(decoder->orientation, width, height, stored);
    *part = (wispi_part){{turned, box.w, box.h}, box.x, box.y};
    return WISP_OK;
}

wisp_status wispi_decode_part(wispi_decoder *decoder, const wisp_box *box, int32_t shrink,
                              wispi_part *part, wisp_error *err)
{
    const wispi_picture *stored = &decoder->stored;
    if (!decoder->format)
        return wisp_fail(err, WISP_E_INVALID, "no picture is open");
    if (shrink != 1 && (!stored->can_shrink || (shrink != 2 && shrink != 4 && shrink != 8)))
        return wisp_fail(err, WISP_E_INVALID, "this picture cannot be decoded at 1/%d", shrink);
    const int32_t width = (stored->width + shrink - 1) / shrink;
    const int32_t height = (stored->height + shrink - 1) / shrink;
    const wisp_box b = wispi_box_stored(decoder->orientation, width, height, *box);
    if (!wisp_part_fits(b.x, b.w, width) || !wisp_part_fits(b.y, b.h, height))
        return wisp_fail(err, WISP_E_INVALID,
                         "box (%d, %d, %d, %d) does not lie inside the picture", box->x, box->y,
                         box->w, box->h);
    wispi_part made = {{NULL, 0, 0}, 0, 0};
    wisp_status status = decoder->format->part(decoder, &b, shrink, &made, err);
    if (status == WISP_OK && decoder->orientation != 1)
        status = turn_part(decoder, width, height, &made, err);
    close_picture(decoder);
    if (status == WISP_OK)
        *part = made;
    return status;
}

wisp_status wispi_decode(wispi_decoder *decoder, const void *data, size_t bytes, wispi_image *image,
                         wisp_error *err)
{
    wispi_picture picture = {0, 0, 0};
    wispi_part part;
    WISP_TRY(wispi_decode_open(decoder, data, bytes, 0, &picture, err));
    const wisp_box whole = {0, 0, picture.width, picture.height};
    WISP_TRY(wispi_decode_part(decoder, &whole, 1, &part, err));
    *image = part.image;
    return WISP_OK;
}
