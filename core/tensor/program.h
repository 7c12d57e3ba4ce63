/* program.h - a recorded step: its calls, their kernels, and one plan for their memory.
 *
 * A step never branches on a tensor's value, so its calls can be known before anything is computed.
 * `record` runs the step function once with shapes only: no memory, no arithmetic. From the calls
 * it learns when each tensor is last used (backward included), places all of them in one block, and
 * binds a kernel to every call. `run` lets the same function go through the same calls; each is
 * compared with the record and carried out. A steady step allocates nothing and looks nothing up.
 * What differs from the record is an error that names both calls: whoever changes a step's calls
 * has it recorded anew. */
#ifndef WISPI_TENSOR_PROGRAM_H
#define WISPI_TENSOR_PROGRAM_H

#include "tensor/step.h"

typedef struct wispi_program wispi_program;

/* Makes the calls of one step; errors stick to the step. */
typedef void (*wispi_step_fn)(wisp_step *step, void *user);

enum {
    WISPI_RECORD_SHAPES_ONLY = 1 /* no kernels and no memory: for `wisp check` */
};

wisp_status wispi_program_record(wispi_device *device, const wisp_ops *ops, void *owner,
                                 uint32_t flags, wispi_step_fn fn, void *user,
                                 wispi_program **program, wisp_error *err);
void wispi_program_destroy(wispi_program *program); /* accepts NULL */

typedef struct wispi_run_options {
    int32_t check_finite; /* stop at the first call whose result is not finite, and name it */
    int32_t profile;      /* measure every call */
    int32_t repeat;       /* the recorded calls without the step function, as a graph does them */
} wispi_run_options;

wisp_status wispi_program_run(wispi_program *program, wispi_step_fn fn, void *user,
                              const wispi_run_options *options, wisp_error *err);

/* Keeps a tensor's content until the next run, so that the host can read it. To be called by the
 * step function, with a tensor of the step. */
void wispi_step_keep(wisp_step *step, wisp_tensor *x);
/* 1 while the step function runs with shapes only. */
int wispi_step_is_recording(const wisp_step *step);
/* Copies a kept tensor's content, in its own type. */
wisp_status wispi_program_read(wispi_program *program, const wisp_tensor *x, void *values,
                               wisp_error *err);
/* Begins to copy it to memory of wispi_host_alloc(); it is there after wispi_device_wait(). */
wisp_status wispi_program_download(wispi_program *program, const wisp_tensor *x, void *values,
                                   uint64_t *ticket, wisp_error *err);
/* Did this program's backward pass write the variable's gradient (and nobody drop it)? Valid inside
 * the step function after backward, and after recording. */
int wispi_step_has_grad(wisp_step *step, const wispi_variable *variable);
void wispi_step_drop_grad(wisp_step *step, const wispi_variable *variable);

typedef struct wispi_program_facts {
    int64_t step_bytes;      /* planned memory */
    int64_t unplanned_bytes; /* what the same tensors would take if none shared memory */
    int64_t scratch_bytes;
    int32_t n_calls, n_tensors;
    double forward_macs; /* multiply-adds of the calls outside backward */
    double total_macs;
} wispi_program_facts;

void wispi_program_facts_of(const wispi_program *program, wispi_program_facts *facts);

enum { WISPI_PROFILE_IMPLEMENTATION = 0, WISPI_PROFILE_OP, WISPI_PROFILE_SHAPE };

/* One line of the profile: calls of one op with one implementation, summed; by op alone, or by
 * shapes as well. `implementation` is that of the first call. */
typedef struct wispi_profile_row {
    const char *op, *implementation;
    int64_t calls;
    double seconds;
    double macs;  /* of all its calls together */
    double bytes; /* of their arguments and results, each counted once a call */
    const wisp_desc *in[2], *out;
} wispi_profile_row;

/* Seconds that the kernels of the profiled runs took together: before, in and after backward. */
void wispi_program_phases(const wispi_program *program, double seconds[3]);
/* Writes at most `max` rows, slowest first, and returns their number. */
int32_t wispi_program_profile(const wispi_program *program, int32_t by, wispi_profile_row *rows,
                              int32_t max);

#endif
