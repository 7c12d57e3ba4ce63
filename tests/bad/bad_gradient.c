/* Writes over a tensor whose values the gradient of an operation before needs. */
#include "wisp/ops.h"

static wisp_tensor *spoil(wisp_step *s, wisp_tensor *embedding, wisp_tensor *loss)
{
    wisp_tensor *squares = wisp_mul(s, embedding, embedding);
    wisp_tensor *both = wisp_add(s, loss, wisp_mean(s, squares, 0, 0));
    wisp_no_grad_begin(s);
    wisp_tensor *zeros = wisp_full(s, wisp_shape_of(s, embedding), 0);
    wisp_apply(s, "copy", NULL, 0, &zeros, 1, &embedding, 1);
    wisp_no_grad_end(s);
    return both;
}

#define LOSS(s, batch, embedding, loss) spoil(s, embedding, loss)
#include "almost_good.h"
