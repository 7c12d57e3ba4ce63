/* jpeg_cut.h - which part of a JPEG has to be decoded for the pixels of a box to come out exact. */
#ifndef WISPI_IMAGE_JPEG_CUT_H
#define WISPI_IMAGE_JPEG_CUT_H

#include <stddef.h>
#include <stdio.h>

#include <jpeglib.h>

#include "wisp/sampler.h"

/* Both after jpeg_start_decompress; boxes in output pixels. A cut contains its box, and all of its
 * rows below where they begin are read. */
wisp_box wispi_jpeg_cut(struct jpeg_decompress_struct *info, const wisp_box *box);
/* Makes the library's next row the first of the cut, as wide as that. */
void wispi_jpeg_begin_cut(struct jpeg_decompress_struct *info, const wisp_box *cut);

#endif
