/* Dies as soon as it is asked who it is. */
#include <signal.h>

#define AT_ENTRY raise(SIGSEGV)
#include "almost_good.h"
