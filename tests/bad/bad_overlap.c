/* Two options share four bytes of the config struct. */
#include "wisp/options.h"

static const wisp_option options[] = {
    {.key = "first", .type = WISP_OPTION_I64, .offset = 8, .default_value = "1", .help = "one"},
    {.key = "second", .type = WISP_OPTION_BOOL, .offset = 12, .default_value = "true", .help = "2"},
};
#define OPTIONS options
#define CONFIG_SIZE 16
#include "almost_good.h"
