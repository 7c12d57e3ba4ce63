/* Has no words for what it lacks. */
#include "wisp/host.h"

typedef struct config {
    int64_t k;
} config;

static const wisp_option options[] = {{.key = "k",
                                       .type = WISP_OPTION_I64,
                                       .offset = offsetof(config, k),
                                       .default_value = "3",
                                       .min = 1,
                                       .max = 100000,
                                       .help = "how many"}};
#define OPTIONS options
#define CONFIG_SIZE sizeof(config)

static const wisp_host *the_host;

static wisp_status create(const wisp_host *host, const void *given, void **self, wisp_error *err)
{
    (void)err;
    int64_t *kept = host->alloc(host, sizeof *kept);
    if (!kept)
        return WISP_E_NOMEM;
    *kept = ((const config *)given)->k;
    *self = kept;
    the_host = host;
    return WISP_OK;
}

static void destroy(void *self)
{
    if (self)
        the_host->free(the_host, self);
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
