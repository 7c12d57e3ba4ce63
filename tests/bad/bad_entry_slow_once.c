/* Works in its entry, the first time that it is called. */
#include <time.h>

static void work(void)
{
    static int is_done;
    const clock_t end = clock() + CLOCKS_PER_SEC / 10;
    while (!is_done && clock() < end)
        ;
    is_done = 1;
}
#define AT_ENTRY work()
#include "almost_good.h"
