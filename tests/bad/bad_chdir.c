/* Goes to another folder. */
#include <unistd.h>

#include "wisp/host.h"

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)host;
    (void)config;
    (void)self;
    if (chdir("/") != 0)
        return wisp_fail(err, WISP_E_IO, "cannot go there");
    return WISP_OK;
}

static void destroy(void *self)
{
    (void)self;
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
