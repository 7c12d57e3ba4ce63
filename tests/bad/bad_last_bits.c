/* Its loss hangs on the last bits of an embedding, which are others on every backend. */
#include "wisp/ops.h"

/* What is behind the point of factor * x. */
static wisp_tensor *rest(wisp_step *s, wisp_tensor *x, double factor)
{
    wisp_tensor *large = wisp_scale(s, x, factor);
    wisp_tensor *whole = wisp_cast(s, wisp_cast(s, large, WISP_I64), WISP_F32);
    return wisp_sub(s, large, whole);
}

static wisp_tensor *last_bits(wisp_step *s, wisp_tensor *embedding)
{
    wisp_tensor *x = wisp_stop_gradient(s, embedding);
    return rest(s, wisp_mean(s, rest(s, x, 1e6), 0, 0), 1e4);
}

#define LOSS(s, batch, embedding, loss)                                                            \
    wisp_mul(s, loss, wisp_affine(s, last_bits(s, embedding), 1, 2))
#include "almost_good.h"
