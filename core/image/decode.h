/* decode.h - encoded JPEG or PNG bytes to packed RGB.
 *
 * The result equals Pillow's `Image.open(...).convert("RGB")`: JPEG with the accurate integer DCT
 * and smooth chroma upsampling, baseline, progressive, gray, CMYK and YCCK; PNG of every colour
 * type and depth, interlaced or not. Alpha is dropped, 16-bit colour keeps its high byte and
 * 16-bit gray is clipped at 255, as Pillow does. EXIF rotation and colour profiles are not applied.
 *
 * Damaged bytes are refused rather than patched up: a file that ends early is WISP_E_DATA. */
#ifndef WISPI_IMAGE_DECODE_H
#define WISPI_IMAGE_DECODE_H

#include "image/pixels.h"
#include "wisp/status.h"

/* One per thread; it owns the pixels of its latest picture. [worker] */
typedef struct wispi_decoder wispi_decoder;

wisp_status wispi_decoder_create(wispi_decoder **decoder, wisp_error *err);
void wispi_decoder_destroy(wispi_decoder *decoder);

/* Decodes `bytes` bytes; the format is told by the first of them. `image` borrows its pixels from
 * the decoder until the next call with it. On failure `image` is untouched: WISP_E_DATA for
 * anything that is wrong with the bytes, WISP_E_NOMEM when memory is short. [worker] */
wisp_status wispi_decode(wispi_decoder *decoder, const void *data, size_t bytes, wispi_image *image,
                         wisp_error *err);

#endif
