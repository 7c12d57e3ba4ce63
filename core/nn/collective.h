/* collective.h - the one place where a step talks to the other ranks of a run.
 *
 * On one rank, and in a step that did not join the others (tensor/ranks.h), each of these is the
 * identity; a method reads the same. */
#ifndef WISPI_NN_COLLECTIVE_H
#define WISPI_NN_COLLECTIVE_H

#include "nn/store.h"

/* Rows of all ranks, rank by rank; without gradient the result is a constant. */
wisp_tensor *wispi_collective_gather(wisp_step *s, wisp_tensor *x, int with_gradient);
wisp_tensor *wispi_collective_sum(wisp_step *s, wisp_tensor *x);
wisp_tensor *wispi_collective_mean(wisp_step *s, wisp_tensor *x);
/* Mean and variance of each channel over all ranks, and the count of elements behind them. */
void wispi_collective_statistics(wisp_step *s, wisp_tensor **mean, wisp_tensor **var,
                                 int64_t *count);
/* 1 where batch norm normalises with statistics of several ranks. */
int wispi_collective_has_statistics(wisp_step *s);
/* Of statistics that each rank has of one part of its own samples: what the running ones move
 * towards, and by how much, so that they end as if one rank had seen all parts in order. */
void wispi_collective_parts(wisp_step *s, wisp_tensor **mean, wisp_tensor **var, double *momentum);
/* Averages a store's gradient over all ranks, after backward. */
void wispi_collective_gradient(wisp_step *s, wispi_store *store);
/* Of values f32(size*N) that all ranks hold, those of this rank's N rows, which are whole views of
 * `batch` samples; f32(N). */
wisp_tensor *wispi_collective_own_rows(wisp_step *s, wisp_tensor *all, int64_t batch);
int32_t wispi_collective_size(wisp_step *s);

#endif
