/* op.h - the record that defines one operation: shape rule, reference kernel, gradient, work, and
 * the cases by which it is tested. One family (an operation and its gradient operations) is one
 * file in core/ops; the build makes the list from the file names. */
#ifndef WISPI_TENSOR_OP_H
#define WISPI_TENSOR_OP_H

#include "wisp/kernels.h"
#include "wisp/status.h"

enum { WISPI_MAX_IN = 16, WISPI_MAX_OUT = 6 };

typedef struct wisp_step wisp_step;

/* An argument of a reference kernel: values widened to double, whatever the tensor's type. That
 * makes one kernel the oracle for every type, and precise enough for finite differences. */
typedef struct wispi_ref {
    const wisp_desc *desc;
    int64_t count;
    double *v; /* NULL: argument absent */
} wispi_ref;

/* What a gradient rule works with. `in`, `out` are the forward call's; dout[i] is NULL when no
 * gradient arrived at output i. */
typedef struct wispi_grad {
    wisp_step *step;
    const void *attrs;
    wisp_tensor *const *in;
    wisp_tensor *const *out;
    wisp_tensor *const *dout;
    int32_t n_in, n_out;
} wispi_grad;

/* One generated call for `wisp ops test` and `wisp ops grad`. */
typedef struct wispi_op_case {
    const char *name;  /* what is special about it: "odd", "grouped"; unique in its op */
    const void *attrs; /* NULL: zeros */
    int32_t n_in, n_out;
    wisp_desc in[WISPI_MAX_IN]; /* dtype 0: argument absent; activations are written as F32 and are
                                 * also run as BF16 */
    double low[WISPI_MAX_IN],
        high[WISPI_MAX_IN]; /* uniform values; integers draw from [low, high) */
    uint32_t inout; /* bit i: output i starts as a copy of input inout_from[i] and is updated */
    int32_t inout_from[WISPI_MAX_OUT];
    int32_t skip_grad; /* 1: not differentiable at such values, or too many of them (reason in the
                        * name) */
    uint32_t no_bf16;  /* bit i: input i stays F32 in bf16 runs, although it is floating point */
    const double *values[WISPI_MAX_IN]; /* an input's values where drawn ones make no sense (a table
                                         * of segments); NULL: drawn */
    /* Rewrites inputs that follow from others (batch norm's statistics of x). Called after every
     * draw and inside every finite difference; `arranged` has the bits of the inputs it writes. */
    void (*arrange)(const void *attrs, const wispi_ref *in, int32_t n_in);
    uint32_t arranged;
} wispi_op_case;

struct wisp_kernel_request;
struct wisp_kernel;

typedef struct wispi_op {
    const char *name; /* as in wisp/kernels.h */
    uint64_t attrs_bytes;
    int32_t min_in, max_in;
    int32_t n_out;
    uint32_t
        parameter_in; /* bit i: input i is always F32 (weights, statistics), never an activation */
    const char *const *in_names;
    const char *const *out_names;

    /* The only judge of shapes and types. in[i] is NULL for an absent argument; writes
     * out[0..n_out), dtype 0 for an output that this call does not have. Messages name the op, the
     * arguments and their shapes. */
    wisp_status (*infer)(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err);
    /* Plain loops in double. Outputs come zeroed, or with the current value where inout. */
    void (*reference)(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out);
    /* Appends the gradient's operations; NULL: not differentiable. */
    wisp_status (*gradient)(wispi_grad *grad);
    /* Multiply-adds of convolutions, products and attention; NULL: none are counted. */
    double (*macs)(const void *attrs, const wisp_desc *const *in, const wisp_desc *out);

    const wispi_op_case *cases;
    int32_t n_cases;
    /* Normalised root mean square error allowed in f32; 0 means 1e-5. */
    double tolerance;
    /* Bit i: no gradient flows to input i, although it is floating point. */
    uint32_t constant_in;
    /* Bit i: output i is a by-product (a norm, a log of a sum): no gradient flows from it. A rule
     * that is asked for such a gradient fails the step. */
    uint32_t side_out;
    /* The same as `tolerance` for bf16; 0 means 4e-3, about two roundings of the result. */
    double tolerance_bf16;
    /* An operation of the host's own (ranks.h): this makes its kernel, on host memory, and no
     * backend is asked. It has no reference kernel. */
    wisp_status (*host_kernel)(const struct wisp_kernel_request *request,
                               struct wisp_kernel **kernel, wisp_error *err);
} wispi_op;

typedef struct wispi_op_family {
    const wispi_op *const *ops; /* the differentiable one first */
    int32_t n_ops;
} wispi_op_family;

/* NULL-terminated; generated. */
extern const wispi_op_family *const wispi_op_families[];

/* Finds an op by name; NULL when there is none. */
const wispi_op *wispi_op_find(const char *name);

/* --- For gradient rules and composed operations (implemented in core/tensor) --- */

/* Calls an op. `in[i]` NULL: absent. `out[i]` NULL on entry: a new tensor; else a destination of
 * the inferred shape (in-place and state updates). On return out[] holds the results. Errors stick
 * to the step and make all results NULL; NULL inputs that the op needs after an error pass it on.
 */
void wispi_apply(wisp_step *step, const wispi_op *op, const void *attrs, wisp_tensor *const *in,
                 int32_t n_in, wisp_tensor **out);
/* The same for ops whose first output is all that matters. */
wisp_tensor *wispi_apply1(wisp_step *step, const wispi_op *op, const void *attrs,
                          wisp_tensor *const *in, int32_t n_in);

/* Does input i want a gradient? */
int wispi_grad_wants(const wispi_grad *grad, int32_t i);
/* A destination for the gradient of input i: the parameter's own slot when this is its first
 * contribution in the step, else NULL (let wispi_apply make a tensor). */
wisp_tensor *wispi_grad_target(const wispi_grad *grad, int32_t i);
/* What a further contribution to the gradient of a parameter may be added to in place: its slot, or
 * NULL. To be handed over as the contribution. */
wisp_tensor *wispi_grad_sum(const wispi_grad *grad, int32_t i);
/* Hands over a contribution to the gradient of input i; several are summed. */
void wispi_grad_give(const wispi_grad *grad, int32_t i, wisp_tensor *value);

const wisp_desc *wispi_tensor_desc(const wisp_tensor *tensor);
/* Same storage under another shape of equal count. */
wisp_tensor *wispi_reshape(wisp_step *step, wisp_tensor *x, const wisp_desc *desc);
/* Records a failure; the first one sticks. */
void wispi_step_fail(wisp_step *step, wisp_status code, const char *format, ...) WISP_PRINTF(3, 4);

/* "(128,64)" into text; returns text. */
char *wispi_shape_text(const wisp_desc *desc, char *text, size_t bytes);

#endif
