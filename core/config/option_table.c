/* option_table.c - reads, judges and describes option tables. */
#include "config/option_table.h"

#include <math.h>
#include <string.h>

enum { MOST_OPTIONS = 1024, DEEPEST_TABLE = 4 };

wisp_option wispi_option_at(wispi_option_table table, uint64_t index)
{
    wisp_option option;
    memset(&option, 0, sizeof option);
    size_t known = table.option_size < sizeof option ? table.option_size : sizeof option;
    memcpy(&option, (const char *)table.options + index * table.option_size, known);
    return option;
}

wispi_option_table wispi_option_nested(wispi_option_table table, const wisp_option *option)
{
    wispi_option_table nested = {option->table, option->n_table, table.option_size};
    return nested;
}

int wispi_option_find(wispi_option_table table, const char *key, wisp_option *found)
{
    for (uint64_t i = 0; i < table.n; i++) {
        wisp_option option = wispi_option_at(table, i);
        if (strcmp(option.key, key) == 0 || (option.former && strcmp(option.former, key) == 0)) {
            *found = option;
            return 1;
        }
    }
    return 0;
}

static int blank(const char *text)
{
    return !text || !text[0];
}

static int is_key(const char *key)
{
    return !blank(key) && key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0 &&
           strcmp(key, "use") != 0;
}

int wispi_option_unbounded(const wisp_option *option)
{
    return option->min == 0 && option->max == 0;
}

static const char *range_fault(const wisp_option *option)
{
    if (isnan(option->min) || isnan(option->max))
        return "a bound that is not a number";
    if (option->max < option->min)
        return "max below min; write INFINITY for no upper bound";
    if (wispi_option_unbounded(option) &&
        option->flags & (WISP_OPTION_OPEN_MIN | WISP_OPTION_OPEN_MAX))
        return "an open bound without bounds; write INFINITY for no upper bound";
    if (option->max_count && option->max_count < option->min_count)
        return "max_count below min_count";
    return NULL;
}

static const char *choices_fault(const wisp_option *option)
{
    if (option->type != WISP_OPTION_ENUM)
        return NULL;
    return option->choices && !blank(option->choices[0].name) ? NULL : "no choices";
}

static const char *default_fault(const wisp_option *option)
{
    if (option->flags & WISP_OPTION_REQUIRED)
        return option->default_value ? "REQUIRED and a default" : NULL;
    int may_be_absent = option->type == WISP_OPTION_STRING || option->type == WISP_OPTION_PATH ||
                        option->type == WISP_OPTION_TABLE;
    return option->default_value || may_be_absent ? NULL : "neither a default nor REQUIRED";
}

/* What is wrong with one option; NULL when nothing is. */
static const char *fault_of(const wisp_option *option)
{
    if (blank(option->help))
        return "no help line";
    if (option->type < WISP_OPTION_BOOL || option->type > WISP_OPTION_STRING_LIST)
        return "a type that this host does not know";
    const char *fault = range_fault(option);
    fault = fault ? fault : choices_fault(option);
    return fault ? fault : default_fault(option);
}

static int has_twin(wispi_option_table table, uint64_t index, const wisp_option *option)
{
    for (uint64_t i = 0; i < index; i++) {
        wisp_option other = wispi_option_at(table, i);
        if (strcmp(option->key, other.key) == 0 ||
            (option->former && strcmp(option->former, other.key) == 0) ||
            (other.former && strcmp(option->key, other.former) == 0))
            return 1;
    }
    return 0;
}

static wisp_status check_level(wispi_option_table table, const char *path, int level,
                               wisp_error *err)
{
    if (table.n > MOST_OPTIONS || (table.n && !table.options) || level > DEEPEST_TABLE)
        return wisp_fail(err, WISP_E_PLUGIN,
                         "[%.80s]: the plugin's option table is empty, has more than %d entries or"
                         " nests deeper than %d",
                         path, MOST_OPTIONS, DEEPEST_TABLE);
    for (uint64_t i = 0; i < table.n; i++) {
        wisp_option option = wispi_option_at(table, i);
        if (!is_key(option.key))
            return wisp_fail(err, WISP_E_PLUGIN,
                             "[%.80s]: option %llu of the plugin's table has the key \"%.40s\";"
                             " keys are [a-z0-9_]+ and not \"use\"",
                             path, (unsigned long long)i, option.key ? option.key : "");
        const char *fault = fault_of(&option);
        fault = !fault && has_twin(table, i, &option) ? "the name of an earlier option" : fault;
        if (!fault && option.type == WISP_OPTION_TABLE && (!option.table || !option.n_table))
            fault = "no nested options";
        if (fault)
            return wisp_fail(err, WISP_E_PLUGIN,
                             "%.80s.%.80s: the plugin's option table gives it %s", path, option.key,
                             fault);
        if (option.type == WISP_OPTION_TABLE)
            WISP_TRY(check_level(wispi_option_nested(table, &option), option.key, level + 1, err));
    }
    return WISP_OK;
}

wisp_status wispi_option_table_check(wispi_option_table table, const char *path, wisp_error *err)
{
    if (table.n && table.option_size < offsetof(wisp_option, former))
        return wisp_fail(
            err, WISP_E_PLUGIN,
            "[%.80s]: the plugin says that an option has %u bytes; it has at least %zu", path,
            (unsigned)table.option_size, offsetof(wisp_option, former));
    return check_level(table, path, 0, err);
}

int wispi_option_in_range(const wisp_option *option, double value)
{
    if (!isfinite(value))
        return 0;
    if (wispi_option_unbounded(option))
        return 1;
    int above = option->flags & WISP_OPTION_OPEN_MIN ? value > option->min : value >= option->min;
    int below = option->flags & WISP_OPTION_OPEN_MAX ? value < option->max : value <= option->max;
    return above && below;
}

/* Appends to a text of fixed size; what does not fit is cut off. */
static void add(char *text, size_t bytes, const char *format, ...) WISP_PRINTF(3, 4);
static void add(char *text, size_t bytes, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, bytes - used, format, args);
    va_end(args);
}

static void describe_range(const wisp_option *option, char *text, size_t bytes)
{
    int open_min = option->flags & WISP_OPTION_OPEN_MIN;
    int open_max = option->flags & WISP_OPTION_OPEN_MAX;
    if (wispi_option_unbounded(option))
        return;
    if (isinf(option->min) && isinf(option->max))
        return;
    if (isinf(option->max))
        add(text, bytes, open_min ? " above %.10g" : " of at least %.10g", option->min);
    else if (isinf(option->min))
        add(text, bytes, open_max ? " below %.10g" : " of at most %.10g", option->max);
    else
        add(text, bytes, " in %c%.10g, %.10g%c", open_min ? '(' : '[', option->min, option->max,
            open_max ? ')' : ']');
}

static void describe_count(const wisp_option *option, char *text, size_t bytes)
{
    unsigned low = option->min_count, high = option->max_count;
    if (high && low == high)
        add(text, bytes, ", %u items", low);
    else if (high)
        add(text, bytes, ", %u to %u items", low, high);
    else if (low)
        add(text, bytes, ", at least %u items", low);
}

void wispi_option_describe(const wisp_option *option, char *text, size_t bytes)
{
    static const char *const names[] = {
        "",        "true or false", "integer",          "number",          "string",         "path",
        "one of:", "table",         "list of integers", "list of numbers", "list of strings"};
    snprintf(text, bytes, "%s",
             option->type <= WISP_OPTION_STRING_LIST ? names[option->type] : "?");
    describe_range(option, text, bytes);
    if (option->type == WISP_OPTION_ENUM)
        for (const wisp_choice *choice = option->choices; choice->name; choice++)
            add(text, bytes, "%s %.40s", choice == option->choices ? "" : ",", choice->name);
    describe_count(option, text, bytes);
    if (option->unit)
        add(text, bytes, ", %.40s", option->unit);
    if (option->default_value)
        add(text, bytes, "; default %.60s", option->default_value);
}
