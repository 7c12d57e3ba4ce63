/* neighbour_map.h - points in a plane such that neighbours stay neighbours: t-SNE, exact.
 *
 * L. van der Maaten and G. Hinton, Visualizing data using t-SNE, JMLR 9 (2008): sections 2 and 3,
 * with the gains of R. Jacobs (1988) that their code uses. The start is given (principal axes), so
 * the map depends on the points alone, whatever the number of threads. */
#ifndef WISPI_REPORT_NEIGHBOUR_MAP_H
#define WISPI_REPORT_NEIGHBOUR_MAP_H

#include <stdint.h>

#include "wisp/status.h"

typedef struct wispi_map_request {
    const double *points; /* (n, dim) */
    int64_t n, dim;
    double perplexity;        /* how many neighbours count; at most a third of the points */
    int32_t steps;            /* of the descent */
    const volatile int *stop; /* NULL, or ends it with WISP_E_STOPPED */
} wispi_map_request;

/* Moves `map` (n,2), in which the start stands, of any scale. `divergence` (may be NULL) gets what
 * was minimised: Kullback and Leibler's of the map's neighbourhoods from the points'. [main] */
wisp_status wispi_neighbour_map(const wispi_map_request *request, double *map, double *divergence,
                                wisp_error *err);

/* That divergence of a map that somebody else made; `steps` is not looked at. [main] */
wisp_status wispi_neighbour_map_judge(const wispi_map_request *request, const double *map,
                                      double *divergence, wisp_error *err);

#endif
