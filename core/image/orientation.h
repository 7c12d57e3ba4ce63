/* orientation.h - EXIF orientation: how a stored picture is turned and mirrored to stand upright.
 *
 * Orientations are numbered 1 to 8 as EXIF does. A turned picture of 5 to 8 has the stored one's
 * rows as its columns. */
#ifndef WISPI_IMAGE_ORIENTATION_H
#define WISPI_IMAGE_ORIENTATION_H

#include "image/pixels.h"
#include "wisp/sampler.h"

/* Orientation in a TIFF block, the body of an EXIF segment; 1 where it says nothing valid. [any] */
int32_t wispi_tiff_orientation(const uint8_t *tiff, size_t bytes);

/* Size of the stored picture to that of the turned one. [any] */
void wispi_turned_size(int32_t orientation, int32_t *width, int32_t *height);

/* Boxes between the two; the stored picture is width x height. [any] */
wisp_box wispi_box_stored(int32_t orientation, int32_t width, int32_t height, wisp_box turned);
wisp_box wispi_box_turned(int32_t orientation, int32_t width, int32_t height, wisp_box stored);

/* Writes the turned picture, as many bytes as the stored one has. [any] */
void wispi_turn_pixels(int32_t orientation, const wispi_image *stored, uint8_t *turned);

#endif
