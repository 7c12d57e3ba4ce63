/* encode_jpeg.h - packed RGB to a JPEG file.
 *
 * Baseline, accurate integer DCT, Huffman tables made for the picture, chroma at half the sides
 * (4:2:0), so the bytes depend on the picture and the quality alone. */
#ifndef WISPI_IMAGE_ENCODE_JPEG_H
#define WISPI_IMAGE_ENCODE_JPEG_H

#include "image/pixels.h"
#include "wisp/status.h"

/* One per thread; it owns its latest file. [worker] */
typedef struct wispi_jpeg_encoder wispi_jpeg_encoder;

typedef struct wispi_jpeg_request {
    int32_t quality;     /* 1 to 100, libjpeg's scale */
    int32_t orientation; /* 2 to 8: said in an EXIF segment; 1: nothing is said */
} wispi_jpeg_request;

wisp_status wispi_jpeg_encoder_create(wispi_jpeg_encoder **encoder, wisp_error *err);
void wispi_jpeg_encoder_destroy(wispi_jpeg_encoder *encoder); /* accepts NULL */

/* `*data` is borrowed from the encoder until the next call with it, and untouched on failure.
 * [worker] */
wisp_status wispi_encode_jpeg(wispi_jpeg_encoder *encoder, const wispi_image *image,
                              const wispi_jpeg_request *request, const uint8_t **data,
                              size_t *bytes, wisp_error *err);

#endif
