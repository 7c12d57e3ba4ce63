/* Has no bounds where it needs some. */
#include <stdlib.h>

#include "wisp/host.h"

typedef struct config {
    int64_t k;
} config;

static const wisp_option options[] = {{.key = "k",
                                       .type = WISP_OPTION_I64,
                                       .offset = offsetof(config, k),
                                       .default_value = "3",
                                       .help = "how many"}};
#define OPTIONS options
#define CONFIG_SIZE sizeof(config)

static wisp_status create(const wisp_host *host, const void *given, void **self, wisp_error *err)
{
    (void)host;
    (void)self;
    (void)err;
    if (((const config *)given)->k > 1000000)
        abort();
    return WISP_OK;
}

static void destroy(void *self)
{
    (void)self;
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
