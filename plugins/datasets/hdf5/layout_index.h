/* layout_index.h - where each image of a file stands, in the order of the data set. */
#ifndef LAYOUT_INDEX_H
#define LAYOUT_INDEX_H

#include <wisp/host.h>

typedef struct layout_image {
    int64_t offset, bytes; /* in the file */
    size_t name;           /* where it begins in `names`, without its class */
    int32_t label;         /* -1: none */
    int32_t reserved;
} layout_image;

typedef struct layout_index {
    const wisp_host *host;
    char *names;
    layout_image *images;
    size_t *classes; /* beginnings in `names` */
    int64_t n_images, n_other;
    int32_t n_classes, n_empty;
} layout_index;

/* Fills a zeroed index from records; they are not trusted. Classes and, within each, images
 * are in the order of their names; images beside groups of images are passed over. On failure
 * nothing is left to free. [setup] */
wisp_status layout_index_fill(layout_index *index, const wisp_host *host, const uint8_t *records,
                              size_t bytes, wisp_error *err);
void layout_index_free(layout_index *index); /* accepts a zeroed one */

#endif
