/* Forgot the size of its vtable. */
#define VTABLE_SIZE 0
#include "almost_good.h"
