/* Makes instances from the host's memory, and says when its library begins and ends. */
#include "wisp/host.h"

static const wisp_host *saved_host;

static wisp_status init(const wisp_host *host, wisp_error *err)
{
    (void)err;
    saved_host = host;
    host->log(host, WISP_LOG_INFO, "init instance");
    return WISP_OK;
}

static void fini(void)
{
    saved_host->log(saved_host, WISP_LOG_INFO, "fini instance");
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)config;
    void *made = host->alloc(host, 100);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for an instance");
    host->log(host, WISP_LOG_PLUGIN_MISBEHAVING, "created");
    *self = made;
    return WISP_OK;
}

static void destroy(void *self)
{
    saved_host->free(saved_host, self);
}
#define CREATE create
#define DESTROY destroy
#define INIT init
#define FINI fini
#include "almost_good.h"
