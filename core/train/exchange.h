/* exchange.h - what a backbone's tensors are called in other libraries, as its plugin tells. */
#ifndef WISPI_TRAIN_EXCHANGE_H
#define WISPI_TRAIN_EXCHANGE_H

#include "loader/registry.h"
#include "wisp/backbone.h"

enum { WISPI_EXCHANGE_NAME = 512 };

/* The library whose names are wisp's own. */
#define WISPI_OWN_NAMES "wisp"

typedef struct wispi_exchange {
    const wispi_instance *backbone;
    const char *library;
    int32_t own;         /* the names are wisp's: no plugin is asked */
    wisp_exchange facts; /* zeros when `own` */
} wispi_exchange;

/* Asks the plugin; E_CONFIG when it knows no such library, or the library no such network.
 * `library` must outlive the result. */
wisp_status wispi_exchange_open(const wispi_instance *backbone, const char *library,
                                wispi_exchange *exchange, wisp_error *err);
/* The name there of a tensor below the backbone; empty when it is not there. */
void wispi_exchange_name(const wispi_exchange *exchange, const char *name,
                         char out[WISPI_EXCHANGE_NAME]);
/* Is this one of the library's tensors that belong to its classifier? */
int wispi_exchange_is_classifier(const wispi_exchange *exchange, const char *name);
/* The Python that makes the network there, for so many classes; 0: without a classifier. */
void wispi_exchange_model(const wispi_exchange *exchange, int64_t classes, char *out, size_t bytes);

#endif
