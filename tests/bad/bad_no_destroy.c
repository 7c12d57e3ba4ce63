/* Makes instances and cannot end them. */
#include "wisp/host.h"

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)host;
    (void)config;
    (void)self;
    (void)err;
    return WISP_OK;
}
#define CREATE create
#include "almost_good.h"
