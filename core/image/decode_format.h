/* decode_format.h - what the decoder of one file format needs from decode.c. */
#ifndef WISPI_IMAGE_DECODE_FORMAT_H
#define WISPI_IMAGE_DECODE_FORMAT_H

#include "base/arena.h"
#include "image/pixels.h"
#include "image/scratch.h"
#include "wisp/status.h"

struct wispi_decoder {
    wispi_scratch pixels; /* the picture */
    wispi_scratch line;   /* one row in another colour space */
    wispi_arena *arena;   /* everything libpng asks for, dropped after each picture */
};

/* Longest message of a codec library that is passed on. */
enum { WISPI_CODEC_MESSAGE = 256 };

wisp_status wispi_decode_jpeg(struct wispi_decoder *decoder, const uint8_t *data, size_t bytes,
                              wispi_image *image, wisp_error *err);
wisp_status wispi_decode_png(struct wispi_decoder *decoder, const uint8_t *data, size_t bytes,
                             wispi_image *image, wisp_error *err);

/* NULL when the size is acceptable, else what is wrong with it. */
const char *wispi_size_complaint(uint32_t width, uint32_t height);

#endif
