/* broadcasting.h - where the elements of a smaller shape are met in a larger one, and the other way
 * round; used by the operations that stretch or sum over dimensions.
 *
 * Broadcasting is numpy's: shapes are aligned at their last dimension, and a dimension of 1, or a
 * missing one, is repeated. */
#ifndef WISPI_OPS_BROADCASTING_H
#define WISPI_OPS_BROADCASTING_H

#include "ops/rule.h"

/* The element of x that stands at element `index` of y, when x is broadcast to y. */
static inline int64_t wispi_broadcast_offset(const wisp_desc *y, const wisp_desc *x, int64_t index)
{
    int64_t offset = 0, stride = 1;
    for (int32_t d = 1; d <= x->rank; d++) {
        const int64_t size = y->shape[y->rank - d], x_size = x->shape[x->rank - d];
        if (x_size != 1)
            offset += index % size * stride;
        index /= size;
        stride *= x_size;
    }
    return offset;
}

/* The dimensions of y (bit i: dimension i) along which x is repeated. */
static inline uint32_t wispi_broadcast_axes(const wisp_desc *y, const wisp_desc *x)
{
    uint32_t axes = 0;
    for (int32_t d = 0; d < y->rank; d++) {
        const int32_t at = d - (y->rank - x->rank);
        if (at < 0 || (x->shape[at] == 1 && y->shape[d] != 1))
            axes |= 1u << d;
    }
    return axes;
}

/* Can x be broadcast to y? */
static inline int wispi_broadcasts(const wisp_desc *x, const wisp_desc *y)
{
    if (x->rank > y->rank)
        return 0;
    for (int32_t d = 1; d <= x->rank; d++)
        if (x->shape[x->rank - d] != 1 && x->shape[x->rank - d] != y->shape[y->rank - d])
            return 0;
    return 1;
}

/* Of the dimensions of x, those in `axes` alone: how many elements they span ... */
static inline int64_t wispi_axes_count(const wisp_desc *x, uint32_t axes)
{
    int64_t count = 1;
    for (int32_t d = 0; d < x->rank; d++)
        if (axes >> d & 1)
            count *= x->shape[d];
    return count;
}

/* ... and where their element `index` lies in x, the other coordinates being 0. */
static inline int64_t wispi_axes_offset(const wisp_desc *x, uint32_t axes, int64_t index)
{
    int64_t offset = 0, stride = 1;
    for (int32_t d = x->rank - 1; d >= 0; d--) {
        if (axes >> d & 1) {
            offset += index % x->shape[d] * stride;
            index /= x->shape[d];
        }
        stride *= x->shape[d];
    }
    return offset;
}

/* A shape around one of its axes: (outer, size, inner). */
typedef struct wispi_axis {
    int64_t outer, size, inner;
} wispi_axis;

static inline wispi_axis wispi_axis_of(const wisp_desc *x, int32_t axis)
{
    wispi_axis a = {1, x->shape[axis], 1};
    for (int32_t d = 0; d < axis; d++)
        a.outer *= x->shape[d];
    for (int32_t d = axis + 1; d < x->rank; d++)
        a.inner *= x->shape[d];
    return a;
}

/* The axis is one of argument i's dimensions. */
static inline wisp_status wispi_rule_axis(const wispi_rule *rule, int32_t i, int32_t axis)
{
    WISP_TRY(wispi_rule_min_rank(rule, i, 1));
    if (axis >= 0 && axis < rule->in[i]->rank)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_INVALID, "axis %d is not in 0..%d", axis,
                           rule->in[i]->rank - 1);
}

extern const wispi_op_family wispi_op_reduce;
extern const wispi_op_family wispi_op_cast;

/* The gradient of an argument that was broadcast: g, summed over the repeated dimensions, in the
 * argument's type. Its shape is the argument's up to dimensions of 1. NULL after an error. */
static inline wisp_tensor *wispi_sum_broadcast(wisp_step *step, wisp_tensor *g, const wisp_desc *x)
{
    if (!g)
        return NULL;
    wisp_reduce_attrs sum = {WISP_REDUCE_SUM, wispi_broadcast_axes(wispi_tensor_desc(g), x),
                             x->rank > 0, 0};
    if (sum.axes)
        g = wispi_apply1(step, wispi_op_reduce.ops[0], &sum, &g, 1);
    if (g && wispi_tensor_desc(g)->dtype != x->dtype) {
        const wisp_cast_attrs cast = {x->dtype, 0};
        g = wispi_apply1(step, wispi_op_cast.ops[0], &cast, &g, 1);
    }
    return g;
}

#endif
