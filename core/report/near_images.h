/* near_images.h - which images are nearest to some by the cosine of their embeddings. */
#ifndef WISPI_REPORT_NEAR_IMAGES_H
#define WISPI_REPORT_NEAR_IMAGES_H

#include "wisp/status.h"

#include <stdint.h>

typedef struct wispi_near_image {
    int64_t index; /* -1: there are fewer */
    double cosine;
} wispi_near_image;

/* The k nearest of `bank` (n, dim) to `query` (dim), the nearest first; of equally near ones the
 * earlier first. `self` (-1: none) is left out. What is not finite is never near. */
void wispi_near_images(const float *query, const float *bank, int64_t n, int64_t dim, int64_t self,
                       int32_t k, wispi_near_image *out);

#endif
