/* small_method.h - a method that trains: a head predicts the last view's embedding from the
 * first's. A file that includes it first defines what shall be different: BUILD(b), a statement at
 * the end of build(); LOSS(s, batch, embedding, loss), what step() returns; EPOCH_BEGIN, a
 * function. What it keeps is static, so that the instance stays the file's own affair. */
#ifndef WISP_TESTS_SMALL_METHOD_H
#define WISP_TESTS_SMALL_METHOD_H

#include "wisp/sdk.h"

#ifndef BUILD
#define BUILD(b) (void)0
#endif
#ifndef LOSS
#define LOSS(s, batch, embedding, loss) (loss)
#endif
#ifndef EPOCH_BEGIN
#define EPOCH_BEGIN NULL
#endif

static wisp_module *small_backbone, *small_head;

static void small_requirements(void *self, wisp_requirements *requirements)
{
    (void)self;
    requirements->min_global = 1;
}

static wisp_status small_build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    wisp_module *network = wisp_network(b, "network");
    (void)self;
    (void)batch;
    (void)err;
    small_backbone = wisp_backbone(b, network, "backbone");
    const int64_t dim = wisp_output_dim(b, small_backbone);
    const wisp_linear_desc head = {.in = dim, .out = dim, .bias = 1};
    small_head = wisp_linear_layer(b, network, "head", &head);
    BUILD(b);
    return WISP_OK;
}

static inline wisp_tensor *small_step(void *self, wisp_step *s, const wisp_batch *batch)
{
    (void)self;
    wisp_tensor *embedding = wisp_forward(s, small_backbone, wisp_view(s, batch, 0));
    wisp_tensor *last =
        wisp_forward(s, small_backbone, wisp_view(s, batch, batch->groups[0].count - 1));
    wisp_tensor *guess = wisp_forward(s, small_head, embedding);
    wisp_tensor *loss = wisp_scale(s, wisp_mean_cosine(s, guess, wisp_stop_gradient(s, last)), -1);
    return LOSS(s, batch, embedding, loss);
}

static wisp_module *small_network(void *self)
{
    (void)self;
    return small_backbone;
}

#endif
