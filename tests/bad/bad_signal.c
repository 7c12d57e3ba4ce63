/* Takes a signal for itself. */
#include <signal.h>

#include "wisp/host.h"

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)host;
    (void)config;
    (void)self;
    (void)err;
    signal(SIGUSR1, SIG_IGN);
    return WISP_OK;
}

static void destroy(void *self)
{
    (void)self;
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
