/* run_pictures.h - what a run's last checkpoint has learned, in pictures: a map of embeddings,
 * nearest neighbours, attention. */
#ifndef WISPI_REPORT_RUN_PICTURES_H
#define WISPI_REPORT_RUN_PICTURES_H

#include <jansson.h>

#include "loader/registry.h"

typedef struct wispi_pictures_request {
    wispi_registry *registry;
    const char *folder; /* of the run */
    int64_t images;     /* on the map, of the test split; of the training split without one */
    const volatile int *stop;
} wispi_pictures_request;

/* {"atlas", "tile", "columns", "classes", "map", "axes", "neighbours", "attention"}: "classes" and
 * labels where there are some, "attention" where the backbone has it. */
wisp_status wispi_run_pictures(const wispi_pictures_request *request, json_t **pictures,
                               wisp_error *err);

#endif
