/* Takes memory whenever it builds, and never gives it back. */
#include "wisp/host.h"
#include "wisp/nn.h"

static const wisp_host *the_host;

static wisp_status init(const wisp_host *host, wisp_error *err)
{
    (void)err;
    the_host = host;
    return WISP_OK;
}

static void *notes;

#define INIT init
#define BUILD(b) notes = the_host->alloc(the_host, 4096)
#include "almost_good.h"
