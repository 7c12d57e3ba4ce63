/* weights_export.h - a backbone of a stored run as one file, under the names that other programs
 * expect. Needs neither the run's data nor a device. */
#ifndef WISPI_TRAIN_WEIGHTS_EXPORT_H
#define WISPI_TRAIN_WEIGHTS_EXPORT_H

#include "loader/registry.h"

typedef struct wispi_export_request {
    const char *run;     /* a run's folder, or a checkpoint of one */
    const char *file;    /* what is written; replaced as a whole */
    const char *library; /* whose names: "wisp", "torchvision" ... */
    const char *network; /* NULL: what the run evaluates; else a network, or the path of a part */
    const char *classifier; /* path of a linear layer for the embedding; NULL: none */
} wispi_export_request;

/* What was done, for people. */
typedef struct wispi_export_facts {
    char weights[1200]; /* the checkpoint */
    char path[200];     /* what of it */
    int32_t n_tensors;  /* that were written */
    int32_t n_left;     /* of the backbone that the library has no place for */
    int64_t classes;    /* 0: no classifier */
    char model[600];    /* Python that makes the network; empty for wisp's own names */
    char headless[128]; /* Python that takes its classifier away; empty where that is not needed */
} wispi_export_facts;

wisp_status wispi_weights_export(wispi_registry *registry, const wispi_export_request *request,
                                 wispi_export_facts *facts, wisp_error *err);

#endif
