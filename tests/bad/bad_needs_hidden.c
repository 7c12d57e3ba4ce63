/* Cannot do without a second view, and requires only one. */
#define LOSS(s, batch, embedding, loss) ((batch)->groups[0].count < 2 ? NULL : (loss))
#include "almost_good.h"
