/* A task that keeps every rule. */
#include "almost_good_task.h"
