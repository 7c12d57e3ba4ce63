/* Counts the epochs itself, so a resumed training counts from the beginning again. */
#include "wisp/method.h"

static int epochs_begun;

static wisp_status count_epoch(void *self, const wisp_clock *clock, wisp_error *err)
{
    (void)self;
    (void)clock;
    (void)err;
    epochs_begun++;
    return WISP_OK;
}

#define BUILD(b) epochs_begun = 0
#define EPOCH_BEGIN count_epoch
#define LOSS(s, batch, embedding, loss) wisp_scale(s, loss, 0.5 * epochs_begun)
#include "almost_good.h"
