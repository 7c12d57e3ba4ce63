/* Calls a function that is nowhere. */
int function_that_is_nowhere(void);

#define AT_ENTRY function_that_is_nowhere()
#include "almost_good.h"
