/* Draws by way of memory that all threads share. */
#include <sched.h>

static volatile int shared;

static int by_way_of_shared(int value)
{
    shared = value;
    sched_yield();
    return shared;
}
#define DRAW(self, source, view) (view)->flip = by_way_of_shared((int)((source)->key.k[0] & 1))
#include "almost_good_sampler.h"
