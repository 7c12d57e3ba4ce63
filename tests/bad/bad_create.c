/* Cannot be created, and says why; what it writes to the out-parameter must not matter. */
#include "wisp/host.h"

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)host;
    (void)config;
    *self = (void *)err;
    return wisp_fail(err, WISP_E_UNSUPPORTED, "the moon is not full: wait for it");
}

static void destroy(void *self)
{
    (void)self;
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
