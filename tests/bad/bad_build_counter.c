/* Starts from other weights each time that it is built. */
static int built;
#define BUILD(b) add_bias(b)
#define LOSS(s, batch, embedding, loss) wisp_add(s, loss, wisp_mul(s, loss, bias_value(s)))

#include "wisp/nn.h"

static wisp_state *bias;

static void add_bias(wisp_build *b)
{
    const wisp_desc one = wisp_desc0(WISP_F32);
    const wisp_init init = {WISP_INIT_CONSTANT, 0, 0.125 * built++};
    bias = wisp_new_state(b, "bias", &one, &init);
}

static wisp_tensor *bias_value(wisp_step *s)
{
    return wisp_state_value(s, bias);
}

#include "almost_good.h"
