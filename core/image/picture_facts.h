/* picture_facts.h - what the first bytes of a JPEG or PNG file say about how it is stored. */
#ifndef WISPI_IMAGE_PICTURE_FACTS_H
#define WISPI_IMAGE_PICTURE_FACTS_H

#include <stddef.h>
#include <stdint.h>

enum { WISPI_FILE_JPEG = 1, WISPI_FILE_PNG = 2 };

typedef struct wispi_picture_facts {
    int32_t format;      /* WISPI_FILE_... */
    int32_t gray, cmyk;  /* colour; neither: three channels, or a palette */
    int32_t progressive; /* JPEG: in scans of rising precision; PNG: interlaced */
    int32_t deep;        /* more than eight bits a channel */
    int32_t orientation; /* EXIF, 1 to 8; JPEG only */
} wispi_picture_facts;

/* 0 when the bytes begin neither; `facts` is untouched then. Says nothing of whether the file can
 * be decoded. [any] */
int wispi_picture_facts_of(const uint8_t *data, size_t bytes, wispi_picture_facts *facts);

#endif
