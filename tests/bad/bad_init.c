/* Its library cannot be made ready. */
#include "wisp/host.h"

static wisp_status init(const wisp_host *host, wisp_error *err)
{
    (void)host;
    return wisp_fail(err, WISP_E_UNSUPPORTED, "this processor has no quantum unit");
}
#define INIT init
#include "almost_good.h"
