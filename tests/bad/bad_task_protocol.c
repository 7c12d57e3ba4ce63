/* Reports a protocol that would tear a line of metrics.jsonl in two. */
#define PROTOCOL "{\"images\":\n 1}"
#include "almost_good_task.h"
