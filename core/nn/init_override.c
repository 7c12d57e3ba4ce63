/* init_override.c - first values that a method demands of all layers of a kind, in networks that it
 * did not build itself too. Drawn as others are: from the seed and the tensor's name. */
#include "nn/module.h"

static const wisp_init zeros = {WISP_INIT_ZEROS, 0, 0};
static const wisp_init ones = {WISP_INIT_CONSTANT, 0, 1};

static void override_layer(wisp_module *m, const wisp_init_override *o)
{
    if (m->kind == WISPI_MODULE_CONV2D && o->conv_weight.kind)
        m->weight->init = o->conv_weight;
    if (m->kind == WISPI_MODULE_LINEAR && o->linear_weight.kind) {
        m->weight->init = o->linear_weight;
        if (m->bias)
            m->bias->init = zeros;
    }
    if (m->kind == WISPI_MODULE_BATCH_NORM && o->plain_batch_norm && m->weight) {
        m->weight->init = ones;
        m->bias->init = zeros;
    }
}

void wispi_network_override_init(wispi_network *network, const wisp_init_override *override)
{
    for (wisp_module *m = network->module; m; m = wispi_module_after(network->module, m))
        override_layer(m, override);
}
