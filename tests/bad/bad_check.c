/* Refuses every configuration. */
#include "wisp/host.h"

static wisp_status check(const void *config, wisp_error *err)
{
    (void)config;
    return wisp_fail(err, WISP_E_CONFIG, "low must be below high: change one of them");
}
#define CHECK check
#include "almost_good.h"
