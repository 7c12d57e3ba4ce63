/* Reports something else each time. */
static int judged;
#define VALUE(value) ((value) / (1 + judged++))
#include "almost_good_task.h"
