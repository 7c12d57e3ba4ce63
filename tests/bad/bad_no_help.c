/* An option that does not say what it is for. */
#include "wisp/options.h"

static const wisp_option options[] = {
    {.key = "k", .type = WISP_OPTION_I64, .default_value = "20"},
};
#define OPTIONS options
#define CONFIG_SIZE 8
#include "almost_good.h"
