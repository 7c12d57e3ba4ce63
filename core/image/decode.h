/* decode.h - encoded JPEG or PNG bytes to packed RGB.
 *
 * The result equals Pillow's `Image.open(...).convert("RGB")`: JPEG with the accurate integer DCT
 * and smooth chroma upsampling, baseline, progressive, gray, CMYK and YCCK; PNG of every colour
 * type and depth, interlaced or not. Alpha is dropped, 16-bit colour keeps its high byte and
 * 16-bit gray is clipped at 255, as Pillow does. Colour profiles are not applied, EXIF orientation
 * where it is asked for.
 *
 * A file is opened, which reads its header, and then decoded as far as is needed. Damaged bytes are
 * refused rather than patched up. A file that ends early is always WISP_E_DATA; other damage below
 * the last row that is needed is not seen. */
#ifndef WISPI_IMAGE_DECODE_H
#define WISPI_IMAGE_DECODE_H

#include "image/pixels.h"
#include "wisp/sampler.h"
#include "wisp/status.h"

/* One per thread; it owns the pixels of its latest picture. [worker] */
typedef struct wispi_decoder wispi_decoder;

/* A picture whose header was read. */
typedef struct wispi_picture {
    int32_t width, height; /* px, the right way up if that was asked for */
    int32_t can_shrink;    /* 1: it can be decoded at 1/2, 1/4 and 1/8 */
} wispi_picture;

/* Some of a picture. */
typedef struct wispi_part {
    wispi_image image;
    int32_t x, y; /* where its first pixel lies in the picture */
} wispi_part;

enum { WISPI_MOST_SHRINK = 8 };

wisp_status wispi_decoder_create(wispi_decoder **decoder, wisp_error *err);
void wispi_decoder_destroy(wispi_decoder *decoder);

/* Reads the header of `bytes` bytes, which the decoder borrows until the picture is decoded; the
 * format is told by the first of them. `upright` applies the EXIF orientation. On failure `picture`
 * is untouched: WISP_E_DATA for anything that is wrong with the bytes, WISP_E_NOMEM when memory is
 * short. [worker] */
wisp_status wispi_decode_open(wispi_decoder *decoder, const void *data, size_t bytes,
                              int32_t upright, wispi_picture *picture, wisp_error *err);

/* Decodes `box` of the opened picture, once; it must be opened again for more. With `shrink` 2, 4
 * or 8 the picture is that much smaller, sides rounded up, and `box` is in its pixels. `part`
 * holds all of the box with the bytes that the whole picture has there. It may go beyond the box;
 * pixels outside of it are not meant to be looked at. It borrows its pixels from the decoder until
 * the next call with it, and is untouched on failure. [worker] */
wisp_status wispi_decode_part(wispi_decoder *decoder, const wisp_box *box, int32_t shrink,
                              wispi_part *part, wisp_error *err);

/* Opens and decodes a whole picture, as it is stored. [worker] */
wisp_status wispi_decode(wispi_decoder *decoder, const void *data, size_t bytes, wispi_image *image,
                         wisp_error *err);

#endif
