/* Has labels beyond its classes. */
#define LABEL(index) (int32_t)(index)
#include "almost_good_dataset.h"
