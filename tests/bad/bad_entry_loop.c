/* Never answers. */
static volatile int forever = 1;

static void spin(void)
{
    while (forever)
        continue;
}
#define AT_ENTRY spin()
#include "almost_good.h"
