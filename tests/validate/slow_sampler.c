/* slow_sampler.c - a sampler that is right and takes its time to be created: wisp validate does not
 * take it for one that hangs. */
#include <time.h>

#include "wisp/host.h"

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    const struct timespec pause = {0, 200000000};
    (void)host, (void)config, (void)self, (void)err;
    nanosleep(&pause, 0);
    return WISP_OK;
}

static void destroy(void *self)
{
    (void)self;
}
#define PLUGIN_NAME "slow"
#define CREATE create
#define DESTROY destroy
#include "../bad/almost_good_sampler.h"
