/* An option beyond the end of the config struct. */
#include "wisp/options.h"

static const wisp_option options[] = {
    {.key = "first", .type = WISP_OPTION_I64, .offset = 8, .default_value = "1", .help = "one"},
};
#define OPTIONS options
#define CONFIG_SIZE 12
#include "almost_good.h"
