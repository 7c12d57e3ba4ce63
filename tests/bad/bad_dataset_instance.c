/* Reads by which instance it is. */
#include "numbered_instance.h"
#define PIXEL(index) (int)(40 * (index) + (*(const int *)self & 7))
#include "almost_good_dataset.h"
