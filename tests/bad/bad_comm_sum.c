/* Adds up one rank too many. */
#define REDUCE(data, count) twice(data, count)

#include <stdint.h>

static void twice(float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        values[i] *= 2;
}

#include "almost_good_comm.h"
