/* Works in its entry. */
#include <time.h>

static void work(void)
{
    const clock_t end = clock() + CLOCKS_PER_SEC / 10;
    while (clock() < end)
        ;
}
#define AT_ENTRY work()
#include "almost_good.h"
