/* case_values.h - the tensors of one sample call of an op: shapes, drawn inputs, and what the
 * reference kernel makes of them. */
#ifndef WISPI_TENSOR_CASE_VALUES_H
#define WISPI_TENSOR_CASE_VALUES_H

#include "base/arena.h"
#include "tensor/op.h"
#include "wisp/backend.h"

typedef struct wispi_case_values {
    const wispi_op *op;
    const wispi_op_case *sample;
    const void *attrs;
    wispi_arena *arena;
    int32_t dtype; /* of the run */
    int32_t n_in;
    wisp_desc in_desc[WISPI_MAX_IN], out_desc[WISPI_MAX_OUT]; /* dtype 0: absent */
    const wisp_desc *in_ptr[WISPI_MAX_IN], *out_ptr[WISPI_MAX_OUT];
    wispi_ref in[WISPI_MAX_IN], out[WISPI_MAX_OUT]; /* out: as the reference kernel has it */
} wispi_case_values;

/* Does the case exist as a run in `dtype` (WISP_F32, WISP_BF16)? A case that names bf16 arguments
 * itself runs in bf16 only, unless its floating point inputs are all f32. */
int wispi_case_runs_as(const wispi_op *op, const wispi_op_case *sample, int32_t dtype);

/* Is some argument or result bf16? */
int wispi_case_uses_bf16(const wispi_case_values *values);

/* Shapes, and memory in `arena` for all values. Fails when the op's rule refuses the case. */
wisp_status wispi_case_begin(wispi_case_values *values, const wispi_op *op,
                             const wispi_op_case *sample, int32_t dtype, wispi_arena *arena,
                             wisp_error *err);

/* Draws the inputs; a pure function of seed, names and shapes. `rounded`: to the values that the
 * arguments' types can hold, and in bf16 runs matrices of weights to those that bf16 can hold,
 * although they are f32: a kernel may multiply them as bf16. */
void wispi_case_draw(wispi_case_values *values, uint64_t seed, int rounded);

/* What a backend is asked for. Points into `values`. */
wisp_kernel_request wispi_case_request(const wispi_case_values *values);

/* Runs the reference kernel into `out`. */
void wispi_case_expect(wispi_case_values *values);

/* 1 when input i is the start of an output that is updated in place. */
int wispi_case_is_inout(const wispi_op_case *sample, int32_t input);

/* "conv2d/odd/f32" */
char *wispi_case_name(const wispi_op *op, const wispi_op_case *sample, int32_t dtype, char *text,
                      size_t bytes);

#endif
