/* resolved.c - config structs to TOML text. */
#include "config/resolved.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "config/option_table.h"

/* The shortest of 15 to 17 digits that gives the same double, marked as a float, with a point
 * whatever the locale. */
void wispi_resolved_number(wispi_text *out, double number)
{
    char text[40];
    if (!isfinite(number)) {
        wispi_text_append(out, isnan(number) ? "nan" : number < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    for (char *p = text; *p; p++)
        if (!strchr("0123456789+-e", *p))
            *p = '.';
    wispi_text_append(out, text);
    if (!strpbrk(text, ".e"))
        wispi_text_append(out, ".0");
}

void wispi_resolved_string(wispi_text *out, const char *string)
{
    wispi_text_append(out, "\"");
    for (const char *p = string; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            wispi_text_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            wispi_text_printf(out, "\\u%04X", (unsigned)c);
        else
            wispi_text_append_bytes(out, p, 1);
    }
    wispi_text_append(out, "\"");
}

static const void *field(const wisp_option *option, const void *config)
{
    return (const char *)config + option->offset;
}

static void write_item(wispi_text *out, uint32_t type, const char *at)
{
    int64_t integer;
    double number;
    const char *string;
    switch (type) {
    case WISP_OPTION_I64_LIST:
    case WISP_OPTION_I64:
        memcpy(&integer, at, sizeof integer);
        wispi_text_printf(out, "%" PRId64, integer);
        break;
    case WISP_OPTION_F64_LIST:
    case WISP_OPTION_F64:
        memcpy(&number, at, sizeof number);
        wispi_resolved_number(out, number);
        break;
    default:
        memcpy(&string, at, sizeof string);
        wispi_resolved_string(out, string ? string : "");
        break;
    }
}

static void write_list(wispi_text *out, uint32_t type, const char *at)
{
    wisp_list list;
    memcpy(&list, at, sizeof list);
    wispi_text_append(out, "[");
    for (int64_t i = 0; i < list.count; i++) {
        wispi_text_append(out, i ? ", " : "");
        write_item(out, type, (const char *)list.items + 8 * i);
    }
    wispi_text_append(out, "]");
}

static void write_choice(wispi_text *out, const wisp_option *option, int32_t value)
{
    const wisp_choice *choice = option->choices;
    while (choice->name && choice->value != value)
        choice++;
    wispi_resolved_string(out, choice->name ? choice->name : "");
}

static void write_value(wispi_text *out, const wisp_option *option, const char *at)
{
    int32_t word;
    switch (option->type) {
    case WISP_OPTION_BOOL:
        memcpy(&word, at, sizeof word);
        wispi_text_append(out, word ? "true" : "false");
        break;
    case WISP_OPTION_ENUM:
        memcpy(&word, at, sizeof word);
        write_choice(out, option, word);
        break;
    case WISP_OPTION_I64_LIST:
    case WISP_OPTION_F64_LIST:
    case WISP_OPTION_STRING_LIST:
        write_list(out, option->type, at);
        break;
    default:
        write_item(out, option->type, at);
        break;
    }
}

static int is_absent(const wisp_option *option, const char *at)
{
    if (option->type != WISP_OPTION_STRING && option->type != WISP_OPTION_PATH)
        return 0;
    const char *string;
    memcpy(&string, at, sizeof string);
    return !string;
}

static void write_options(wispi_text *out, wispi_option_table table, const void *config)
{
    for (uint64_t i = 0; i < table.n; i++) {
        wisp_option option = wispi_option_at(table, i);
        const char *at = field(&option, config);
        if (option.type == WISP_OPTION_TABLE || is_absent(&option, at))
            continue;
        wispi_text_printf(out, "%s = ", option.key);
        write_value(out, &option, at);
        wispi_text_append(out, "\n");
    }
}

/* Tables come after the values of their parent, as TOML wants it. */
static void write_nested(wispi_text *out, const char *path, wispi_option_table table,
                         const void *config)
{
    for (uint64_t i = 0; i < table.n; i++) {
        wisp_option option = wispi_option_at(table, i);
        if (option.type != WISP_OPTION_TABLE)
            continue;
        wispi_text below = {0};
        wispi_text_printf(&below, "%s.%s", path, option.key);
        if (below.failed) {
            out->failed = 1;
            return;
        }
        wispi_option_table nested = wispi_option_nested(table, &option);
        wispi_text_printf(out, "\n[%s]\n", below.data);
        write_options(out, nested, field(&option, config));
        write_nested(out, below.data, nested, field(&option, config));
        wispi_text_free(&below);
    }
}

static void write_table(wispi_text *out, const char *header, const char *path, const char *use,
                        wispi_option_table table, const void *config)
{
    if (out->length)
        wispi_text_append(out, "\n");
    wispi_text_append(out, header);
    if (use) {
        wispi_text_append(out, "use = ");
        wispi_resolved_string(out, use);
        wispi_text_append(out, "\n");
    }
    write_options(out, table, config);
    write_nested(out, path, table, config);
}

void wispi_resolved_table(wispi_text *out, const char *path, const char *use,
                          const wisp_option *options, uint64_t n, uint32_t option_size,
                          const void *config)
{
    char header[200];
    wispi_option_table table = {options, n, option_size};
    snprintf(header, sizeof header, "[%.190s]\n", path);
    write_table(out, header, path, use, table, config);
}

void wispi_resolved_array_table(wispi_text *out, const char *path, const char *use,
                                const wisp_option *options, uint64_t n, uint32_t option_size,
                                const void *config)
{
    char header[200];
    wispi_option_table table = {options, n, option_size};
    snprintf(header, sizeof header, "[[%.190s]]\n", path);
    write_table(out, header, path, use, table, config);
}
