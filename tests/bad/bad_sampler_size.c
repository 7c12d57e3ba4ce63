/* Draws views of another size than its groups have. */
#define GROUP_WIDTH 24
#include "almost_good_sampler.h"
