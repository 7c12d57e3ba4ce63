/* Takes it that there is always memory for a sample. */
#define LOOK_AT_MEMORY 0
#include "almost_good_dataset.h"
