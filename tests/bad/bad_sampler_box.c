/* Draws from outside of the picture. */
#define DRAW(self, source, view) (view)->box.w = (source)->width + 1
#include "almost_good_sampler.h"
