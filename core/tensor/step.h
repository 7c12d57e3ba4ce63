/* step.h - what a step is inside the host: the tape, and the engine that carries calls out.
 *
 * Two engines exist. A program (program.h) records calls once, plans their memory and replays them
 * on a device. The double engine (double_engine.h) computes at once with the reference kernels;
 * finite differences need nothing faster. */
#ifndef WISPI_TENSOR_STEP_H
#define WISPI_TENSOR_STEP_H

#include "base/arena.h"
#include "tensor/device.h"
#include "tensor/op.h"
#include "wisp/ops.h"

enum {
    WISPI_TENSOR_PLANNED = 0,  /* lives in step memory */
    WISPI_TENSOR_VARIABLE = 1, /* lives in a variable */
    WISPI_TENSOR_ALIAS = 2     /* part or all of `base` under its own shape */
};

typedef struct wispi_contribution {
    wisp_tensor *value;
    struct wispi_contribution *next;
} wispi_contribution;

struct wisp_tensor {
    wisp_desc desc;
    int32_t id; /* order of creation in the step */
    uint8_t kind;
    uint8_t wants_grad;
    uint8_t keep;         /* read by the host after the step */
    uint8_t grad_written; /* VARIABLE: the gradient slot holds this step's value */
    uint8_t grad_dropped; /* VARIABLE: the method dropped it */
    uint8_t is_listed;    /* PLANNED: has its place in the plan of memory */
    int32_t given;        /* how many gradients this tensor was handed over as */
    void *data;
    double *values;                /* double engine */
    wisp_tensor *base;             /* ALIAS */
    int64_t base_bytes;            /* ALIAS: offset into base */
    int64_t plan_offset;           /* PLANNED: bytes into step memory */
    int32_t first_call, last_call; /* PLANNED: calls between which the content must hold */
    wispi_variable *variable;
    wisp_tensor *grad_slot;            /* VARIABLE with a gradient: the slot as a tensor */
    wispi_contribution *contributions; /* to the gradient, not yet summed */
    wisp_tensor *grad;
};

typedef struct wispi_step wispi_step;
struct wispi_ranks;

typedef struct wispi_engine {
    /* Serves a call from a recorded program: 1 = done, 0 = judge and carry out. Optional. */
    int (*replay)(wispi_step *step, const wispi_op *op, const void *attrs, wisp_tensor *const *in,
                  int32_t n_in, wisp_tensor **out);
    /* Carries out a judged call; out[] are tensors of the inferred shapes or presets. */
    wisp_status (*call)(wispi_step *step, const wispi_op *op, const void *attrs,
                        wisp_tensor *const *in, int32_t n_in, wisp_tensor *const *out,
                        wisp_error *err);
    /* Same for handles that share storage; `offset` in bytes. NULL after an error. */
    wisp_tensor *(*alias)(wispi_step *step, wisp_tensor *base, const wisp_desc *desc,
                          int64_t offset, int wants_grad);
    wisp_tensor *(*variable)(wispi_step *step, wispi_variable *variable);
    /* Runs the recorded backward calls: 1 = done, 0 = walk the tape. Optional. */
    int (*replay_backward)(wispi_step *step, wisp_tensor *loss);
    void (*backward_done)(wispi_step *step);
} wispi_engine;

typedef struct wispi_tape_entry {
    const wispi_op *op; /* NULL: an alias */
    const void *attrs;
    wisp_tensor **in, **out;
    int32_t n_in, n_out;
} wispi_tape_entry;

struct wispi_step {
    wisp_step plugin; /* what plugins see; first, so that the handles convert */
    const wispi_engine *engine;
    wispi_arena *arena; /* tensors, tape, attributes */
    void *owner;        /* whatever the caller of the step needs back: the model, a test */
    wisp_status status;
    wisp_error error;
    int32_t no_grad; /* depth of scopes */
    int32_t in_backward;
    int32_t in_statistics; /* batch norm's: outside the tape, and its gradient goes through them */
    int32_t past_backward; /* the tape has been walked: state may change */
    int32_t n_tensors;
    int32_t draws;                   /* random ones so far: tells call sites apart */
    const struct wispi_ranks *ranks; /* see ranks.h; NULL: this rank's own step */
    int32_t own_part, n_own_parts; /* batch norm keeps to this rank's rows; 0 parts: it does not */
    wispi_tape_entry *tape;
    int32_t n_tape, tape_capacity;
};

static inline wispi_step *wispi_step_of(wisp_step *step)
{
    return (wispi_step *)(void *)step;
}

void wispi_step_init(wispi_step *step, const wispi_engine *engine, const wisp_ops *ops,
                     wispi_arena *arena, void *owner);
void wispi_step_fini(wispi_step *step);

/* A zeroed tensor of the step; NULL (and the step fails) when there is no memory. */
wisp_tensor *wispi_tensor_new(wispi_step *step, const wisp_desc *desc);

/* Alias of a leading-dimension slice: rows [start, start + length). */
wisp_tensor *wispi_leading_slice(wisp_step *step, wisp_tensor *x, int64_t start, int64_t length);
wisp_tensor *wispi_stop_gradient(wisp_step *step, wisp_tensor *x);
wisp_tensor *wispi_step_variable(wisp_step *step, wispi_variable *variable);

/* Fills the gradient slots of every variable that `loss` (0-d f32) depends on. */
void wispi_step_backward(wisp_step *step, wisp_tensor *loss);
/* The same from any tensors, given the gradients that arrive at them. */
void wispi_step_backward_from(wisp_step *step, wisp_tensor *const *y, wisp_tensor *const *dy,
                              int32_t n);
/* The summed gradient of a tensor after backward; NULL when there is none. */
wisp_tensor *wispi_tensor_grad(wispi_step *step, wisp_tensor *x);

#endif
