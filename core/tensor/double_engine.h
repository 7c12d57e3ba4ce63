/* double_engine.h - an engine that carries calls out at once, with the reference kernels, in
 * double.
 *
 * It is slow and exact: finite differences and hand-computed results are compared with it. Values
 * are doubles whatever a tensor's type is, and nothing is rounded to that type. A variable's `data`
 * is an array of doubles that the caller owns. */
#ifndef WISPI_TENSOR_DOUBLE_ENGINE_H
#define WISPI_TENSOR_DOUBLE_ENGINE_H

#include "tensor/step.h"

typedef struct wispi_double_variable {
    wispi_variable *variable;
    wisp_tensor *tensor;
    struct wispi_double_variable *next;
} wispi_double_variable;

typedef struct wispi_double_engine {
    wispi_step step;
    wispi_double_variable *variables; /* those met in this step */
} wispi_double_engine;

/* Prepares `engine` for one step whose tensors live in `arena`. */
void wispi_double_begin(wispi_double_engine *engine, const wisp_ops *ops, wispi_arena *arena);
/* Frees the tape; the tensors go with the arena. */
void wispi_double_end(wispi_double_engine *engine);

/* A tensor with a copy of `values` (NULL: zeros); NULL when there is no memory. */
wisp_tensor *wispi_double_tensor(wispi_double_engine *engine, const wisp_desc *desc,
                                 const double *values, int wants_grad);

#endif
