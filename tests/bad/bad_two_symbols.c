/* Exports a second function. */
#include "almost_good.h"

WISP_EXPORT int a_second_symbol(void);
WISP_EXPORT int a_second_symbol(void)
{
    return 2;
}
