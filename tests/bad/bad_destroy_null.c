/* Takes it that there is something to destroy. */
#include "wisp/host.h"

static const wisp_host *the_host;

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)config;
    the_host = host;
    *self = host->alloc(host, 40);
    if (!*self)
        return wisp_fail(err, WISP_E_NOMEM, "no memory");
    return WISP_OK;
}

static void destroy(void *self)
{
    *(volatile int *)self = 0;
    the_host->free(the_host, self);
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
