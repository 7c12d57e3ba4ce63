/* Takes it that there is always memory while it builds. */
#include "wisp/host.h"
#include "wisp/nn.h"

static const wisp_host *the_host;

static wisp_status init(const wisp_host *host, wisp_error *err)
{
    (void)err;
    the_host = host;
    return WISP_OK;
}

static void take_notes(void)
{
    double *notes = the_host->alloc(the_host, 64 * sizeof *notes);
    notes[63] = 1;
    the_host->free(the_host, notes);
}

#define INIT init
#define BUILD(b) take_notes()
#include "almost_good.h"
