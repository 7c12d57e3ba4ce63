/* fuzz_toml.c - any bytes as a configuration: parsed, overridden, filled, written, read again.
 *
 * The first line, where it begins with '!', is an override; the rest is the file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/options_fill.h"
#include "config/resolved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct demo {
    int64_t dim;
    double rate;
    int32_t flag, kind;
    const char *name;
    wisp_list sizes, weights, words;
    struct {
        int64_t count;
    } crop;
};

static const wisp_choice kinds[] = {{"up", "up", 1, 0}, {"down", "down", 2, 0}, {NULL, NULL, 0, 0}};

static const wisp_option crop_options[] = {
    {.key = "count", .type = WISP_OPTION_I64, .default_value = "1", .help = "number"}};

static const wisp_option options[] = {
    {.key = "dim",
     .type = WISP_OPTION_I64,
     .offset = offsetof(struct demo, dim),
     .default_value = "64",
     .min = 1,
     .max = 4096,
     .former = "width",
     .help = "width"},
    {.key = "rate",
     .type = WISP_OPTION_F64,
     .offset = offsetof(struct demo, rate),
     .default_value = "0.5",
     .help = "rate"},
    {.key = "flag",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(struct demo, flag),
     .default_value = "false",
     .help = "flag"},
    {.key = "kind",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(struct demo, kind),
     .default_value = "\"up\"",
     .choices = kinds,
     .help = "kind"},
    {.key = "name",
     .type = WISP_OPTION_STRING,
     .offset = offsetof(struct demo, name),
     .help = "name"},
    {.key = "sizes",
     .type = WISP_OPTION_I64_LIST,
     .offset = offsetof(struct demo, sizes),
     .default_value = "[]",
     .max_count = 4,
     .help = "sizes"},
    {.key = "weights",
     .type = WISP_OPTION_F64_LIST,
     .offset = offsetof(struct demo, weights),
     .default_value = "[]",
     .help = "weights"},
    {.key = "words",
     .type = WISP_OPTION_STRING_LIST,
     .offset = offsetof(struct demo, words),
     .default_value = "[]",
     .help = "words"},
    {.key = "crop",
     .type = WISP_OPTION_TABLE,
     .offset = offsetof(struct demo, crop),
     .table = crop_options,
     .n_table = WISP_COUNT(crop_options),
     .help = "crop"},
};

static const char *const use[] = {"use", NULL};

/* The resolved text of [m]; failed when [m] is refused. */
static wispi_text resolve(const char *text, const char *const *overrides, int32_t n_overrides,
                          int must_succeed)
{
    wispi_text out = {0};
    wispi_config *config = NULL;
    struct demo demo;
    wisp_error err = {0};
    wisp_status status = wispi_config_parse_text("f", text, overrides, n_overrides, &config, &err);
    if (status == WISP_OK)
        status = wispi_options_fill(wispi_node_find(wispi_config_root(config), "m"), "m", options,
                                    WISP_COUNT(options), sizeof(wisp_option), &demo,
                                    wispi_config_arena(config), use, &err);
    if (status == WISP_OK)
        wispi_resolved_table(&out, "m", NULL, options, WISP_COUNT(options), sizeof(wisp_option),
                             &demo);
    else if (must_succeed || !err.message[0])
        abort(); /* a resolved text is refused, or an error says nothing */
    out.failed |= status != WISP_OK;
    wispi_config_destroy(config);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = wispi_alloc(n + 1);
    if (!text)
        return 0;
    memcpy(text, data, n);
    wispi_log_set_level(WISP_LOG_ERROR);
    const char *override = text + 1, *file = text;
    char *newline = strchr(text, '\n');
    int32_t n_overrides = text[0] == '!' && newline ? 1 : 0;
    if (n_overrides) {
        *newline = 0;
        file = newline + 1;
    }
    wispi_text first = resolve(file, &override, n_overrides, 0);
    if (!first.failed) {
        wispi_text second = resolve(first.data, NULL, 0, 1);
        if (strcmp(first.data, second.data) != 0)
            abort(); /* running the resolved configuration again is not the same run */
        wispi_text_free(&second);
    }
    wispi_text_free(&first);
    wispi_free(text);
    return 0;
}
