/* Reads something else while another thread reads. */
#include <stdatomic.h>
#include <time.h>

static atomic_int readers;

static int pixel_of(long long index)
{
    const struct timespec pause = {0, 2000000};
    atomic_fetch_add(&readers, 1);
    nanosleep(&pause, 0);
    const int n = atomic_load(&readers);
    nanosleep(&pause, 0);
    atomic_fetch_sub(&readers, 1);
    return (int)(40 * index) + n;
}
#define PIXEL(index) pixel_of(index)
#include "almost_good_dataset.h"
