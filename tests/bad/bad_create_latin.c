/* Refuses in words that are no UTF-8. */
#include "wisp/host.h"

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)host;
    (void)config;
    (void)self;
    return wisp_fail(err, WISP_E_INVALID, "no m\xe4rchen");
}

static void destroy(void *self)
{
    (void)self;
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
