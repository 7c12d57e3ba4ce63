/* Needs a service that no host has. */
#include <stddef.h>

static const char *const required[] = {"wisp.crystal_ball/7", NULL};
#define REQUIRES required
#include "almost_good.h"
