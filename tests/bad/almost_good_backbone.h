/* almost_good_backbone.h - a backbone of one convolution, with everything that is asked of one. A
 * file that includes it first defines what shall be different: DIM, TAPS, what build() promises;
 * and what almost_good.h knows. */
#ifndef WISP_TESTS_ALMOST_GOOD_BACKBONE_H
#define WISP_TESTS_ALMOST_GOOD_BACKBONE_H

#include "wisp/backbone.h"
#include "wisp/host.h"

#ifndef DIM
#define DIM 8
#endif
#ifndef TAPS
#define TAPS WISP_TAP_STAGES
#endif

/* Its one convolution is kept by address: several networks may hold one each. */
typedef struct layers {
    const wisp_host *host;
    wisp_module *conv, *bn;
} layers;

static wisp_status layers_create(const wisp_host *host, const void *config, void **self,
                                 wisp_error *err)
{
    (void)config;
    layers *made = host->alloc(host, sizeof *made);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a backbone");
    made->host = host;
    *self = made;
    return WISP_OK;
}

static void layers_destroy(void *self)
{
    layers *made = self;
    if (made)
        made->host->free(made->host, made);
}

static wisp_status layers_build(void *self, wisp_build *b, wisp_module *parent,
                                wisp_backbone_info *info, wisp_error *err)
{
    const wisp_conv2d_desc conv = {.in = 3, .out = 8, .kernel = 3, .stride = 2, .padding = 1};
    const wisp_norm_desc norm = {.channels = 8};
    layers *made = self;
    (void)err;
    made->conv = wisp_conv2d_layer(b, parent, "conv", &conv);
    made->bn = wisp_batch_norm_layer(b, parent, "bn", &norm);
    info->dim = DIM;
    info->taps = TAPS;
    return WISP_OK;
}

static void layers_forward(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out)
{
    const layers *made = self;
    x = wisp_forward(s, made->conv, x);
    out->map = wisp_batch_norm_act(s, made->bn, x, NULL, WISP_ACT_RELU);
    out->stages[0] = out->map;
    out->n_stages = 1;
    out->pooled = wisp_mean(s, out->map, 1u << 1 | 1u << 2, 0);
}

static const wisp_backbone_v0 layers_table = {
    .struct_size = sizeof layers_table, .build = layers_build, .forward = layers_forward};

#define KIND WISP_KIND_BACKBONE
#define CREATE layers_create
#define DESTROY layers_destroy
#define VTABLE &layers_table
#include "almost_good.h"

#endif
