/* Divides by the number of other images in the batch. */
#include <stdlib.h>

#include "wisp/method.h"

static double others(const wisp_batch *batch)
{
    if (batch->size == 1)
        abort(); /* as some processors do */
    return (double)(100 / (batch->size - 1));
}

#define LOSS(s, batch, embedding, loss) wisp_scale(s, loss, 1 / others(batch))
#include "almost_good.h"
