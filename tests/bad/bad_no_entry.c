/* A shared object that is no plugin. */
#include "wisp/abi.h"

WISP_EXPORT int nothing_to_see(void);
WISP_EXPORT int nothing_to_see(void)
{
    return 0;
}
