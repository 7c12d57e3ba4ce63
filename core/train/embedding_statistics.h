/* embedding_statistics.h - how much a set of embeddings tells images apart. */
#ifndef WISPI_TRAIN_EMBEDDING_STATISTICS_H
#define WISPI_TRAIN_EMBEDDING_STATISTICS_H

#include "wisp/status.h"

/* No more rows than these are looked at: their products are most of the work. So few that they may
 * be alike by chance are not looked at. */
enum { WISPI_STATISTICS_ROWS = 128, WISPI_STATISTICS_LEAST = 8 };

typedef struct wispi_embedding_statistics {
    /* Rows scaled to length 1; the standard deviation of each coordinate over the rows, their mean
     * times sqrt(dim) (Chen and He 2021, section 4.1): 1 for directions spread evenly around 0, 0
     * when all rows point the same way. */
    double std;
    /* Effective rank: exp of the entropy of the singular values, divided by their sum (Garrido et
     * al. 2023, "RankMe"): 1 when all rows lie on one line, at most the smaller of rows and dim; 0
     * when all are zero. */
    double rank;
} wispi_embedding_statistics;

/* Of the rows of x (rows, dim), row-major. Both are NaN when a value is not finite. */
wisp_status wispi_embedding_statistics_of(const float *x, int32_t rows, int32_t dim,
                                          wispi_embedding_statistics *statistics, wisp_error *err);

#endif
