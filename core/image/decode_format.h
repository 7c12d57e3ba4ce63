/* decode_format.h - what the decoder of one file format needs from decode.c, and gives to it. */
#ifndef WISPI_IMAGE_DECODE_FORMAT_H
#define WISPI_IMAGE_DECODE_FORMAT_H

#include "base/arena.h"
#include "image/decode.h"
#include "image/scratch.h"

struct wispi_jpeg;
struct wispi_png;

/* Pictures here are as the file stores them, before they are turned. */
typedef struct wispi_decode_format {
    /* Reads the header. */
    wisp_status (*open)(wispi_decoder *decoder, wispi_picture *picture, wisp_error *err);
    /* Decodes what covers `part` of the opened picture at 1/shrink, and no view may look at
     * anything else of it. */
    wisp_status (*part)(wispi_decoder *decoder, const wisp_box *part, int32_t shrink,
                        wispi_part *covered, wisp_error *err);
    /* Ends what `open` began, if it did. */
    void (*close)(wispi_decoder *decoder);
    /* EXIF orientation, 1 to 8. */
    int32_t (*orientation)(const uint8_t *data, size_t bytes);
} wispi_decode_format;

extern const wispi_decode_format wispi_jpeg_format, wispi_png_format;

void wispi_jpeg_destroy(struct wispi_jpeg *jpeg); /* accepts NULL */

struct wispi_decoder {
    wispi_scratch pixels; /* the picture */
    wispi_scratch turned; /* and the right way up */
    wispi_scratch line;   /* one row in another colour space */
    wispi_arena *arena;   /* everything that codec libraries ask for, dropped after each picture */
    struct wispi_jpeg *jpeg; /* made with the first file of their kind */
    struct wispi_png *png;

    const wispi_decode_format *format; /* of the opened picture; NULL: none */
    const uint8_t *data;
    size_t bytes;
    wispi_picture stored;
    int32_t orientation;
};

/* Longest message of a codec library that is passed on. */
enum { WISPI_CODEC_MESSAGE = 256 };

/* NULL when the size is acceptable, else what is wrong with it. */
const char *wispi_size_complaint(uint32_t width, uint32_t height);

#endif
