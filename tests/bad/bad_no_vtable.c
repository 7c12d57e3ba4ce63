/* Without a vtable. */
#define VTABLE NULL
#include "almost_good.h"
