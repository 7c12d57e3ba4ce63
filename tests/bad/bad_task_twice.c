/* Reports one metric twice. */
#define REPORTS 2
#include "almost_good_task.h"
