/* Ends the process that asks who it is, and talks while doing so. */
#include <stdio.h>
#include <stdlib.h>

#define AT_ENTRY (puts("a plugin that prints"), exit(3))
#include "almost_good.h"
