/* recode.h - a sample as it is kept in a packed data set: whole, and no larger than is wanted.
 *
 * A picture whose shorter side is longer than wanted is decoded, resized by Pillow's antialiased
 * bicubic filter, with torchvision's rounding of the longer side, and written as JPEG. All others
 * stay the bytes that they are. */
#ifndef WISPI_IMAGE_RECODE_H
#define WISPI_IMAGE_RECODE_H

#include "wisp/dataset.h"

/* One per thread. [worker] */
typedef struct wispi_recoder wispi_recoder;

typedef struct wispi_recode_request {
    int32_t short_side; /* px; 0: any length */
    int32_t quality;    /* 1 to 100 */
    int32_t unchecked;  /* a file that stays as it is need not be one that can be decoded */
} wispi_recode_request;

wisp_status wispi_recoder_create(wispi_recoder **recoder, wisp_error *err);
void wispi_recoder_destroy(wispi_recoder *recoder); /* accepts NULL */

/* `*data` is the new JPEG file, borrowed until the next call, or NULL when the sample stays as it
 * is. WISP_E_DATA: it is broken. [worker] */
wisp_status wispi_recode(wispi_recoder *recoder, const wisp_sample *sample,
                         const wispi_recode_request *request, const uint8_t **data, size_t *bytes,
                         wisp_error *err);

#endif
