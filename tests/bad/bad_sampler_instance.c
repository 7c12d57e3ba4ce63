/* Draws by which instance it is. */
#include "numbered_instance.h"
#define DRAW(self, source, view) (view)->flip = *(const int *)(self)&1
#include "almost_good_sampler.h"
