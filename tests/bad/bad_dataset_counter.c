/* Reads something else each time. */
static int drawn;
#define PIXEL(index) (drawn++ & 255)
#include "almost_good_dataset.h"
