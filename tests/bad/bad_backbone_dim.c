/* Promises more values than its embedding has. */
#define DIM 16
#include "almost_good_backbone.h"
