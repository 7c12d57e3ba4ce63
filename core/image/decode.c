/* decode.c - tells the formats apart and owns what their decoders share. */
#include "image/decode.h"

#include "base/memory.h"
#include "image/decode_format.h"

wisp_status wispi_decoder_create(wispi_decoder **decoder, wisp_error *err)
{
    struct wispi_decoder *made = wispi_alloc(sizeof *made);
    if (made)
        made->arena = wispi_arena_create(1 << 17);
    if (!made || !made->arena) {
        wispi_decoder_destroy(made);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an image decoder");
    }
    *decoder = made;
    return WISP_OK;
}

void wispi_decoder_destroy(wispi_decoder *decoder)
{
    if (!decoder)
        return;
    wispi_scratch_free(&decoder->pixels);
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

wisp_status wispi_decode(wispi_decoder *decoder, const void *data, size_t bytes, wispi_image *image,
                         wisp_error *err)
{
    static const uint8_t jpeg_start[3] = {0xFF, 0xD8, 0xFF};
    static const uint8_t png_start[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    if (bytes == 0)
        return wisp_fail(err, WISP_E_DATA, "the image file is empty");
    if (bytes >= sizeof jpeg_start && memcmp(data, jpeg_start, sizeof jpeg_start) == 0)
        return wispi_decode_jpeg(decoder, data, bytes, image, err);
    if (bytes >= sizeof png_start && memcmp(data, png_start, sizeof png_start) == 0)
        return wispi_decode_png(decoder, data, bytes, image, err);
    return wisp_fail(err, WISP_E_DATA,
                     "neither a JPEG nor a PNG file (%zu bytes, the first is 0x%02x)", bytes,
                     *(const uint8_t *)data);
}
