/* Draws something else each time. */
static int drawn;
#define DRAW(self, source, view) (view)->flip = drawn++ & 1
#include "almost_good_sampler.h"
