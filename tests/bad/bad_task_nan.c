/* Makes an index out of what may be NaN. */
#include <stdint.h>

/* The first value is at most 2 where it is a number. */
#define PICK(embeddings) (int32_t)((double)(embeddings)->values[0] / 2 * 1e-3)
#include "almost_good_task.h"
