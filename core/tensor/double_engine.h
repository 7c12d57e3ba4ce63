/* double_engine.h - an engine that carries calls out at once, with the reference kernels, in
 * double.
 *
 * It is slow and exact: finite differences and hand-computed results are compared with it. Values
 * are doubles whatever a tensor's type is, and nothing is rounded to that type. A variable's `data`
 * is an array of doubles that the caller owns.
 *
 * Finite differences through a whole step must hold fixed what the gradient takes as fixed. With a
 * `hold`, one step keeps the values that no gradient passes through (behind stop_gradient, inside
 * no_grad, out of operations without a gradient), and later ones get them back. A parameter that
 * the step writes to keeps in later ones what the caller has put there. */
#ifndef WISPI_TENSOR_DOUBLE_ENGINE_H
#define WISPI_TENSOR_DOUBLE_ENGINE_H

#include "tensor/step.h"

typedef struct wispi_double_variable {
    wispi_variable *variable;
    wisp_tensor *tensor;
    struct wispi_double_variable *next;
} wispi_double_variable;

typedef struct wispi_held_values {
    double *values;
    int64_t count;
    struct wispi_held_values *next;
} wispi_held_values;

typedef struct wispi_double_hold {
    wispi_arena *arena; /* of the kept values: outlives the steps */
    wispi_held_values *first, *last;
    wispi_held_values *cursor; /* what comes next, once there is a first step */
    int32_t is_kept;           /* 1: later steps get back what the first one kept */
} wispi_double_hold;

typedef struct wispi_double_engine {
    wispi_step step;
    wispi_double_variable *variables; /* those met in this step */
    /* Optional, after begin: a variable's values where they are not its `data`. NULL: no memory. */
    double *(*values_of)(void *user, wispi_variable *variable);
    void *user;
    wispi_double_hold *hold; /* optional, after begin */
} wispi_double_engine;

/* Prepares `engine` for one step whose tensors live in `arena`. The step's owner is NULL until the
 * caller gives it one. */
void wispi_double_begin(wispi_double_engine *engine, const wisp_ops *ops, wispi_arena *arena);
/* Frees the tape; the tensors go with the arena. */
void wispi_double_end(wispi_double_engine *engine);

/* A tensor with a copy of `values` (NULL: zeros); NULL when there is no memory. */
wisp_tensor *wispi_double_tensor(wispi_double_engine *engine, const wisp_desc *desc,
                                 const double *values, int wants_grad);

#endif
