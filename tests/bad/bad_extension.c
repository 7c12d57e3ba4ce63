/* Takes it that the host has everything. */
#include "wisp/host.h"
#include "wisp/ops.h"

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)config;
    (void)self;
    const wisp_ops *ops = host->get_extension(host, "wisp.ops/0");
    if (ops->struct_size == 0)
        return wisp_fail(err, WISP_E_ABI, "no operations");
    return WISP_OK;
}

static void destroy(void *self)
{
    (void)self;
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
