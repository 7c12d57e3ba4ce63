/* window.h - what max_pool and avg_pool share: the window that slides over a map. */
#ifndef WISPI_OPS_WINDOW_H
#define WISPI_OPS_WINDOW_H

#include "ops/rule.h"

/* Attributes, and the size of argument 0's map: at least one step of the window, no window that
 * lies in the padding alone. Writes the result's map (N,Ho,Wo,C) of the given type. */
static inline wisp_status wispi_window_map(const wispi_rule *rule, const wisp_pool_attrs *a,
                                           const wisp_desc *x, wisp_desc *y)
{
    if (a->kernel_h < 1 || a->kernel_w < 1 || a->stride_h < 1 || a->stride_w < 1)
        return wispi_rule_fail(rule, WISP_E_INVALID,
                               "kernel %dx%d and stride %dx%d must be 1 or more", a->kernel_h,
                               a->kernel_w, a->stride_h, a->stride_w);
    if (a->pad_h < 0 || a->pad_w < 0 || a->pad_h > a->kernel_h / 2 || a->pad_w > a->kernel_w / 2)
        return wispi_rule_fail(rule, WISP_E_INVALID,
                               "padding %dx%d must be between 0 and half the kernel %dx%d",
                               a->pad_h, a->pad_w, a->kernel_h, a->kernel_w);
    if (x->shape[1] < 1 || x->shape[2] < 1 || x->shape[3] < 1 || x->shape[1] > INT32_MAX ||
        x->shape[2] > INT32_MAX)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "the map is empty or too large");
    const int64_t room_h = x->shape[1] + 2 * (int64_t)a->pad_h - a->kernel_h;
    const int64_t room_w = x->shape[2] + 2 * (int64_t)a->pad_w - a->kernel_w;
    if (room_h < 0 || room_w < 0)
        return wispi_rule_fail(rule, WISP_E_SHAPE,
                               "kernel %dx%d is larger than the map %lldx%lld with padding %dx%d",
                               a->kernel_h, a->kernel_w, (long long)x->shape[1],
                               (long long)x->shape[2], a->pad_h, a->pad_w);
    *y = wisp_desc4(x->dtype, x->shape[0], room_h / a->stride_h + 1, room_w / a->stride_w + 1,
                    x->shape[3]);
    return WISP_OK;
}

/* A gradient: argument 0 is dy; x is (N,in_h,in_w,C), and dy must be what the window makes of it.
 */
static inline wisp_status wispi_window_grad(const wispi_rule *rule, const wisp_pool_attrs *a,
                                            wisp_desc *dx)
{
    wisp_desc y;
    WISP_TRY(wispi_rule_rank(rule, 0, 4));
    WISP_TRY(wispi_rule_float(rule, 0));
    const int64_t *dy = rule->in[0]->shape;
    const wisp_desc x = wisp_desc4(rule->in[0]->dtype, dy[0], a->in_h, a->in_w, dy[3]);
    WISP_TRY(wispi_window_map(rule, a, &x, &y));
    WISP_TRY(wispi_rule_shape(rule, 0, &y));
    WISP_TRY(wispi_rule_countable(rule, &x));
    *dx = x;
    return WISP_OK;
}

#endif
