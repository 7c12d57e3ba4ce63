/* One option of every type; its config struct is its instance. Says when its library begins and
 * ends. */
#include "good_options.h"

#include "wisp/host.h"

static const wisp_host *saved_host;

static wisp_status init(const wisp_host *host, wisp_error *err)
{
    (void)err;
    saved_host = host;
    host->log(host, WISP_LOG_INFO, "init options");
    return WISP_OK;
}

static void fini(void)
{
    saved_host->log(saved_host, WISP_LOG_INFO, "fini options");
}

static wisp_status check(const void *config, wisp_error *err)
{
    const good_options *c = config;
    if (c->inner.low >= c->inner.high)
        return wisp_fail(err, WISP_E_CONFIG, "inner.low = %g is not below inner.high = %g",
                         c->inner.low, c->inner.high);
    return WISP_OK;
}

static const wisp_choice colours[] = {
    {"red", "the colour of tomatoes", COLOUR_RED, 0},
    {"blue", "the colour of the sky", COLOUR_BLUE, 0},
    {NULL, NULL, 0, 0},
};

static const wisp_option inner[] = {
    {.key = "low",
     .type = WISP_OPTION_F64,
     .offset = offsetof(good_inner, low),
     .default_value = "0.25",
     .max = 1,
     .flags = WISP_OPTION_OPEN_MAX,
     .help = "where it begins"},
    {.key = "high",
     .type = WISP_OPTION_F64,
     .offset = offsetof(good_inner, high),
     .default_value = "0.75",
     .max = 1,
     .former = "top",
     .help = "where it ends"},
};

static const wisp_option options[] = {
    {.key = "on",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(good_options, on),
     .default_value = "true",
     .help = "a switch"},
    {.key = "count",
     .type = WISP_OPTION_I64,
     .offset = offsetof(good_options, count),
     .flags = WISP_OPTION_REQUIRED,
     .min = 1,
     .max = 100,
     .unit = "px",
     .help = "a number of things"},
    {.key = "rate",
     .type = WISP_OPTION_F64,
     .offset = offsetof(good_options, rate),
     .default_value = "0.5",
     .help = "a number"},
    {.key = "word",
     .type = WISP_OPTION_STRING,
     .offset = offsetof(good_options, word),
     .default_value = "\"none\"",
     .help = "a text"},
    {.key = "place",
     .type = WISP_OPTION_PATH,
     .offset = offsetof(good_options, place),
     .help = "a path"},
    {.key = "colour",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(good_options, colour),
     .default_value = "\"red\"",
     .choices = colours,
     .help = "a choice"},
    {.key = "inner",
     .type = WISP_OPTION_TABLE,
     .offset = offsetof(good_options, inner),
     .table = inner,
     .n_table = WISP_COUNT(inner),
     .help = "a table"},
    {.key = "sizes",
     .type = WISP_OPTION_I64_LIST,
     .offset = offsetof(good_options, sizes),
     .default_value = "[1, 2]",
     .min_count = 1,
     .max_count = 3,
     .help = "a list of integers"},
    {.key = "weights",
     .type = WISP_OPTION_F64_LIST,
     .offset = offsetof(good_options, weights),
     .default_value = "[]",
     .help = "a list of numbers"},
    {.key = "words",
     .type = WISP_OPTION_STRING_LIST,
     .offset = offsetof(good_options, words),
     .default_value = "[\"a\"]",
     .help = "a list of texts"},
};
#define OPTIONS options
#define CONFIG_SIZE sizeof(good_options)
#define CHECK check
#define INIT init
#define FINI fini
#include "almost_good.h"
