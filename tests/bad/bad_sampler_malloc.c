/* Forgets in each plan what it got from malloc. */
#include <stdlib.h>

static void *volatile forgotten;
#define DRAW(self, source, view) forgotten = malloc(40)
#include "almost_good_sampler.h"
