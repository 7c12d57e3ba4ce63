/* A method that cannot make a step. */
#define STEP NULL
#include "almost_good.h"
