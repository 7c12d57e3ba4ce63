/* conv_chain.c - chains of convolutions and batch norms in which maps are normalised by their
 * readers.
 *
 * Where the operation conv_norm serves a link, only the convolution's own result is stored, and
 * mean and var are part of the tape. Other convolutions get a map that was normalised before them,
 * as if the layers had been called one by one. */
#include "nn/collective.h"
#include "nn/layers.h"
#include "nn/op_call.h"

/* What conv_norm is good for: windows of one pixel, depthwise ones of 3x3 pixels, and those over so
 * few channels that they are gathered as one line. */
static int is_served(const wisp_module *conv, const wisp_tensor *x)
{
    const wisp_conv2d_attrs *a = &conv->conv;
    const wisp_desc *w = &conv->weight->variable.desc;
    const int64_t taps = w->shape[2] * w->shape[3];
    if (a->dilation_h != 1 || a->dilation_w != 1 || a->stride_h != a->stride_w)
        return 0;
    if (a->groups > 1)
        return w->shape[1] == 1 && w->shape[0] == a->groups && w->shape[2] == 3 &&
               w->shape[3] == 3 && a->pad_h == 1 && a->pad_w == 1 && a->stride_h <= 2;
    if (taps == 1)
        return a->stride_h == 1 && a->pad_h == 0 && a->pad_w == 0;
    return w->shape[1] * taps <= 64 && !x->wants_grad;
}

/* Statistics of ranks that share them would have to take part in the gradient of each link. */
static int may_link(wisp_step *s, const wisp_module *conv, const wisp_lazy_map *x)
{
    return conv->weight && !conv->bias && !wispi_collective_has_statistics(s) &&
           (!x->norm || x->scale) && is_served(conv, x->map);
}

static void link(wisp_step *s, const wisp_module *conv, const wisp_lazy_map *x, wisp_lazy_map *y)
{
    const wisp_module *bn = y->norm;
    const int fixed = wispi_norm_is_fixed(s, bn);
    wisp_conv_norm_attrs attrs = {.conv = conv->conv, .want_stats = !fixed};
    const wisp_norm_scale_attrs eps = {bn->eps};
    wisp_tensor *in[4] = {x->map, x->scale, x->shift, wispi_value_of(s, conv->weight)};
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL}, *scales[WISPI_MAX_OUT] = {NULL};
    attrs.activation = x->norm ? x->activation : WISP_ACT_NONE;
    y->map = wispi_call(s, WISPI_CALL_conv_norm, &attrs, in, 4, out);
    const wispi_statistics stats = fixed ? wispi_running_statistics(s, bn)
                                         : wispi_share_statistics(s, bn, y->map, out[1], out[2]);
    wisp_tensor *norm[4] = {stats.mean, stats.var, wispi_value_of(s, bn->weight),
                            wispi_value_of(s, bn->bias)};
    wispi_call(s, WISPI_CALL_norm_scale, &eps, norm, 4, scales);
    y->mean = stats.mean;
    y->var = stats.var;
    y->count = stats.count;
    y->scale = scales[0];
    y->shift = scales[1];
}

void wispi_conv_norm(wisp_step *s, wisp_module *conv, wisp_module *bn, const wisp_lazy_map *x,
                     int32_t activation, wisp_lazy_map *y)
{
    const wisp_lazy_map from = *x;
    wisp_lazy_map made = {.norm = bn, .activation = activation};
    *y = made;
    if (!wispi_usable(s, "conv_norm", from.map))
        return;
    if (!conv || !bn || conv->kind != WISPI_MODULE_CONV2D || bn->kind != WISPI_MODULE_BATCH_NORM) {
        wispi_step_fail(s, WISP_E_INVALID, "conv_norm: needs a convolution and a batch norm layer");
        return;
    }
    if (may_link(s, conv, &from))
        link(s, conv, &from, &made);
    else
        made.map = wispi_forward(s, conv, wispi_settle(s, &from, NULL));
    *y = made;
}

wisp_tensor *wispi_settle(wisp_step *s, const wisp_lazy_map *x, wisp_tensor *residual)
{
    if (!wispi_usable(s, "settle", x->map))
        return NULL;
    if (!x->norm)
        return residual ? wisp_add(s, x->map, residual) : x->map;
    if (!x->mean)
        return wispi_batch_norm(s, x->norm, x->map, residual, x->activation);
    wispi_step_of(s)->in_statistics = 1;
    const wispi_statistics stats = {wispi_stop_gradient(s, x->mean), wispi_stop_gradient(s, x->var),
                                    x->count};
    wispi_step_of(s)->in_statistics = 0;
    return wispi_normalize_with(s, x->norm, x->map, &stats, residual, x->activation);
}
