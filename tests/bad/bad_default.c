/* An option whose default is out of its own range. */
#include "wisp/options.h"

static const wisp_option options[] = {
    {.key = "k", .type = WISP_OPTION_I64, .default_value = "200", .max = 100, .help = "neighbours"},
};
#define OPTIONS options
#define CONFIG_SIZE 8
#include "almost_good.h"
