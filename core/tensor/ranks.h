/* ranks.h - the processes of one run as a step sees them, and the operations over all of them.
 *
 * Every rank records the same calls in the same order, so that a collective is one more call of a
 * program: it is recorded, has its place in the plan of memory and is replayed. Only the collective
 * itself is the host's own and asks the communicator; what is computed around it are operations
 * that the backend has. The loss of a run is the mean of its ranks' losses. Backward each rank
 * begins with 1, so that what a gradient operation gathers from the others is a sum, and the
 * parameters' gradients are averaged at the end. */
#ifndef WISPI_TENSOR_RANKS_H
#define WISPI_TENSOR_RANKS_H

#include "tensor/step.h"
#include "wisp/comm.h"

typedef struct wispi_ranks {
    const wisp_comm_v0 *comm; /* NULL: there is one rank; else complete, optional fields NULL */
    void *self;
    int32_t rank, size;
    int32_t local;        /* number of this rank on its machine, from 0 on */
    int32_t on_machine;   /* ranks that share this machine, this one included */
    int64_t bucket_bytes; /* of gradients that are averaged together while backward runs; 0: all
                             are, after it */
} wispi_ranks;

/* How many; NULL: one. */
static inline int32_t wispi_ranks_size(const wispi_ranks *ranks)
{
    return ranks ? ranks->size : 1;
}

/* The calls of this step that ask all ranks do so. To be called first in a step function, whenever
 * it runs; NULL or one rank: nothing changes. A step that never joins is one rank's own. */
void wispi_step_join(wisp_step *s, const wispi_ranks *ranks);
/* NULL: the step is one rank's own. */
const wispi_ranks *wispi_step_ranks(wisp_step *s);

/* For a step that joined. Tensors are floating point where nothing else is said.
 *
 * x (N,...) of any type -> (size*N,...), rank by rank. */
wisp_tensor *wispi_ranks_gather(wisp_step *s, wisp_tensor *x);
wisp_tensor *wispi_ranks_sum(wisp_step *s, wisp_tensor *x);
wisp_tensor *wispi_ranks_mean(wisp_step *s, wisp_tensor *x);
/* The mean in place of x f32, a variable whose parts are gradients: see gradient_buckets.c. */
void wispi_ranks_average_gradient(wisp_step *s, wisp_tensor *x);
/* Sums of two tensors f32(C), together; into new tensors. */
void wispi_ranks_sum_pair(wisp_step *s, wisp_tensor *pair[2]);
/* Mean and biased variance f32(C) of equally many elements on each rank -> those of all. */
void wispi_ranks_merge(wisp_step *s, wisp_tensor **mean, wisp_tensor **var);

#endif
