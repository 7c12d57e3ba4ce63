/* spread_images.h - some images of a data set, spread evenly over it, as a data set of their own.
 *
 * Data sets often lie class by class: the first thousand images would be those of one class. */
#ifndef WISPI_REPORT_SPREAD_IMAGES_H
#define WISPI_REPORT_SPREAD_IMAGES_H

#include "loader/registry.h"
#include "wisp/dataset.h"

typedef struct wispi_spread_images {
    wispi_instance instance; /* what feeds are made of; valid while this struct stays in place */
    wisp_dataset_v0 table;
    wispi_plugin plugin;
    wisp_descriptor descriptor;
    const wisp_dataset_v0 *from;
    const void *from_self;
    int64_t n, of;
    const int64_t *picked; /* NULL: spread evenly */
} wispi_spread_images;

/* At most `most` of the images; all where there are no more. `data` must outlive it. */
void wispi_spread_images_open(wispi_spread_images *spread, const wispi_instance *data,
                              int64_t most);

/* Those of a list, which is borrowed. */
void wispi_spread_images_pick(wispi_spread_images *spread, const wispi_instance *data,
                              const int64_t *picked, int64_t n);

/* Where image `index` of the spread ones stands in the data set. */
int64_t wispi_spread_images_at(const wispi_spread_images *spread, int64_t index);
/* -1: it has none. */
int32_t wispi_spread_images_label(const wispi_spread_images *spread, int64_t index);

#endif
