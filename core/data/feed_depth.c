#include "data/feed_depth.h"

#include <unistd.h>

/* Batches after which a judgement is possible, and after which the past is forgotten. */
enum { FEWEST = 8, WINDOW = 64 };

/* Waiting below this share of the time is not worth memory. */
static const double least_share = 0.01;

void wispi_feed_depth_begin(wispi_feed_depth *depth)
{
    *depth = (wispi_feed_depth){0};
}

void wispi_feed_depth_idle(wispi_feed_depth *depth)
{
    depth->out_of_slots = 1;
}

static void forget(wispi_feed_depth *d)
{
    d->passed = d->waited = 0;
    d->taken = d->late = d->idling = 0;
}

int wispi_feed_depth_take(wispi_feed_depth *d, double now, double waited)
{
    const double since = now - d->last;
    const int is_first = d->last == 0, idle = d->out_of_slots;
    d->last = now;
    d->out_of_slots = 0;
    if (is_first) /* it had to be made */
        return 0;
    d->passed += since;
    d->waited += waited;
    d->taken++;
    d->late += waited > least_share * since;
    d->idling += idle;
    const int helps = d->taken >= FEWEST && d->late >= 2 && 2 * d->idling >= d->late &&
                      d->waited > least_share * d->passed;
    if (helps || d->taken >= WINDOW)
        forget(d);
    return helps;
}

size_t wispi_feed_depth_memory(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (size_t)pages / 16 * (size_t)bytes : (size_t)1 << 30;
}
