/* Divides by the number of other views. */
#define LOSS(s, batch, embedding, loss) wisp_scale(s, loss, 1.0 / ((batch)->n_views - 1))
#include "almost_good.h"
