/* jpeg_segments.h - what is read of a JPEG's segments without decoding it. */
#ifndef WISPI_IMAGE_JPEG_SEGMENTS_H
#define WISPI_IMAGE_JPEG_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

/* EXIF orientation of a file that begins with a start marker, 1 to 8. [any] */
int32_t wispi_jpeg_orientation(const uint8_t *data, size_t bytes);

/* Is there an end marker in the rest of a file, from somewhere in its coded pixels on? [any] */
int wispi_jpeg_has_end(const uint8_t *data, size_t bytes);

#endif
