/* Reports what is not a number. */
#define VALUE(value) ((value) - (value) / 0.0)
#include "almost_good_task.h"
