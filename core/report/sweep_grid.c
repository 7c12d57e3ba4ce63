#include "report/sweep_grid.h"

#include <string.h>

#include "base/hash.h"
#include "base/text.h"

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for a sweep");
}

/* --- lists of values --- */

/* Behind the closing quote; NULL when there is none. */
static const char *skip_quoted(const char *p)
{
    const char quote = *p++;
    for (; *p; p++) {
        if (*p == '\\' && quote == '"' && p[1])
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return NULL;
}

/* The comma behind the value at `p`, or the end; NULL when brackets or quotes do not close. */
static const char *value_end(const char *p)
{
    int depth = 0;
    while (*p && (*p != ',' || depth > 0)) {
        if (*p == '"' || *p == '\'') {
            p = skip_quoted(p);
            if (!p)
                return NULL;
            continue;
        }
        depth += *p == '[' || *p == '{';
        depth -= *p == ']' || *p == '}';
        if (depth < 0)
            return NULL;
        p++;
    }
    return depth == 0 ? p : NULL;
}

static wisp_status wrong_list(const char *argument, const char *why, wisp_error *err)
{
    return wisp_fail(err, WISP_E_CONFIG,
                     "%.300s: %s; write key=v1,v2,..., where each value is TOML or a bare word",
                     argument, why);
}

static wisp_status count_values(const char *argument, int32_t *n, wisp_error *err)
{
    int32_t count = 0;
    for (const char *p = strchr(argument, '=') + 1;; p++, count++) {
        const char *end = value_end(p);
        if (!end)
            return wrong_list(argument, "a bracket or a quote does not close", err);
        if (p + strspn(p, " ") == end && (*end || count > 0))
            return wrong_list(argument, "a value is missing", err);
        p = end;
        if (!*p)
            break;
    }
    *n = count + 1;
    return WISP_OK;
}

static wisp_status take_values(const char *argument, wispi_arena *arena, wispi_axis *axis,
                               wisp_error *err)
{
    const char *p = strchr(argument, '=') + 1;
    axis->values = wispi_arena_array(arena, (size_t)axis->n, sizeof *axis->values);
    if (!axis->values)
        return no_memory(err);
    for (int32_t i = 0; i < axis->n; i++) {
        p += strspn(p, " ");
        const char *end = value_end(p), *last = end;
        while (last > p && last[-1] == ' ')
            last--;
        axis->values[i] = wispi_arena_printf(arena, "%.*s", (int)(last - p), p);
        if (!axis->values[i])
            return no_memory(err);
        for (int32_t j = 0; j < i; j++)
            if (strcmp(axis->values[i], axis->values[j]) == 0)
                return wrong_list(argument, "a value is there twice", err);
        p = end + 1;
    }
    return WISP_OK;
}

/* --- the grid --- */

/* Without its blanks; NULL: no memory. */
static const char *key_of(const char *argument, wispi_arena *arena)
{
    char *key = wispi_arena_array(arena, strcspn(argument, "=") + 1, 1);
    for (char *p = key; p && *argument != '='; argument++)
        if (*argument != ' ')
            *p++ = *argument;
    return key;
}

static const wispi_axis *axis_of(const wispi_grid *grid, const char *argument)
{
    for (int32_t i = 0; i < grid->n_axes; i++)
        if (wispi_override_is_of(argument, grid->axes[i].key))
            return &grid->axes[i];
    return NULL;
}

static wisp_status add_axis(wispi_grid *grid, const char *argument, int32_t n, wispi_arena *arena,
                            wisp_error *err)
{
    if (grid->n_axes == WISPI_MOST_AXES)
        return wisp_fail(err, WISP_E_CONFIG, "more than %d keys with lists of values",
                         WISPI_MOST_AXES);
    if (axis_of(grid, argument))
        return wrong_list(argument, "this key has a list already", err);
    wispi_axis *axis = &grid->axes[grid->n_axes++];
    axis->n = n;
    axis->key = key_of(argument, arena);
    if (!axis->key)
        return no_memory(err);
    if ((int64_t)grid->n_cells * n > WISPI_MOST_CELLS)
        return wisp_fail(err, WISP_E_CONFIG, "more than %d combinations", WISPI_MOST_CELLS);
    grid->n_cells *= n;
    return take_values(argument, arena, axis, err);
}

static const char *last_part(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

static void shorten_keys(wispi_grid *grid)
{
    for (int32_t i = 0; i < grid->n_axes; i++) {
        const char *own = last_part(grid->axes[i].key);
        int alone = strcmp(own, "use") != 0;
        for (int32_t j = 0; j < grid->n_axes; j++)
            alone &= j == i || strcmp(own, last_part(grid->axes[j].key)) != 0;
        grid->axes[i].short_key = alone ? own : grid->axes[i].key;
    }
}

static wisp_status read_argument(wispi_grid *grid, const char *argument, wispi_arena *arena,
                                 wisp_error *err)
{
    int32_t n = 0;
    if (!wispi_is_override(argument)) {
        if (grid->path)
            return wisp_fail(err, WISP_E_CONFIG,
                             "%.300s: a sweep is of one experiment, and %.300s was named before; "
                             "several are for `wisp compare`",
                             argument, grid->path);
        grid->path = argument;
        return WISP_OK;
    }
    WISP_TRY(wispi_override_check(argument, err));
    WISP_TRY(count_values(argument, &n, err));
    return n > 1 ? add_axis(grid, argument, n, arena, err) : WISP_OK;
}

/* A key has one value for all cells, or a list. */
static wisp_status check_others(const wispi_grid *grid, wisp_error *err)
{
    for (int32_t i = 0; i < grid->n_arguments; i++) {
        const char *argument = grid->arguments[i];
        int32_t n = 0;
        if (!wispi_is_override(argument) || !axis_of(grid, argument))
            continue;
        WISP_TRY(count_values(argument, &n, err));
        if (n == 1)
            return wrong_list(argument, "this key has a list too", err);
    }
    return WISP_OK;
}

wisp_status wispi_grid_parse(const char *const *arguments, int32_t n, wispi_arena *arena,
                             wispi_grid *out, wisp_error *err)
{
    wispi_grid grid = {.n_cells = 1, .arguments = arguments, .n_arguments = n};
    for (int32_t i = 0; i < n; i++)
        WISP_TRY(read_argument(&grid, arguments[i], arena, err));
    if (!grid.path)
        return wisp_fail(err, WISP_E_CONFIG, "no experiment is named: give a TOML file");
    if (grid.n_axes == 0)
        return wisp_fail(err, WISP_E_CONFIG,
                         "no key has a list of values: write key=v1,v2,..., such as "
                         "optimizer.lr=1e-3,2e-3");
    WISP_TRY(check_others(&grid, err));
    shorten_keys(&grid);
    *out = grid;
    return WISP_OK;
}

int32_t wispi_grid_value(const wispi_grid *grid, int32_t cell, int32_t axis)
{
    for (int32_t i = grid->n_axes - 1; i > axis; i--)
        cell /= grid->axes[i].n;
    return cell % grid->axes[axis].n;
}

/* --- cells as arms --- */

/* A value as part of a folder's name. Where something had to be left out, a hash tells it from
 * others. */
static void write_value(wispi_text *out, const char *value)
{
    enum { LONGEST = 40 };
    int changed = 0, n = 0;
    for (const char *p = value; *p; p++) {
        const char c = *p;
        const int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || strchr("._+-", c) != NULL;
        changed |= !plain || n == LONGEST;
        if ((plain || c == ',') && n++ < LONGEST)
            wispi_text_append_bytes(out, c == ',' ? "_" : &c, 1);
    }
    if (changed)
        wispi_text_printf(out, "-%04x", (unsigned)(wispi_hash64(value, strlen(value), 0) & 0xffff));
}

static wisp_status name_cell(const wispi_grid *grid, int32_t cell, wispi_arena *arena,
                             wispi_arm *arm, wisp_error *err)
{
    wispi_text name = {0}, title = {0};
    for (int32_t i = 0; i < grid->n_axes; i++) {
        const wispi_axis *axis = &grid->axes[i];
        const char *value = axis->values[wispi_grid_value(grid, cell, i)];
        wispi_text_printf(&name, "%s%s=", i ? "," : "", axis->short_key);
        write_value(&name, value);
        wispi_text_printf(&title, "%s%s = %s", i ? ", " : "", axis->key, value);
    }
    if (!name.failed && !title.failed) {
        arm->name = wispi_arena_text(arena, name.data);
        arm->title = wispi_arena_text(arena, title.data);
    }
    const int too_long = name.length > 180;
    wispi_text_free(&name);
    wispi_text_free(&title);
    if (too_long)
        return wisp_fail(err, WISP_E_CONFIG,
                         "the values of a cell make too long a name for a folder");
    return arm->name && arm->title ? WISP_OK : no_memory(err);
}

static wisp_status make_cell(const wispi_grid *grid, int32_t cell, wispi_arena *arena,
                             wispi_arm *arm, wisp_error *err)
{
    const char **list = wispi_arena_array(arena, (size_t)grid->n_arguments + 1, sizeof *list);
    if (!list)
        return no_memory(err);
    for (int32_t i = 0; i < grid->n_arguments; i++) {
        const char *argument = grid->arguments[i];
        const wispi_axis *axis = axis_of(grid, argument);
        if (!wispi_is_override(argument))
            continue;
        if (axis)
            argument = wispi_arena_printf(
                arena, "%s=%s", axis->key,
                axis->values[wispi_grid_value(grid, cell, (int32_t)(axis - grid->axes))]);
        if (!argument)
            return no_memory(err);
        list[arm->n_overrides++] = argument;
    }
    arm->path = grid->path;
    arm->overrides = list;
    return name_cell(grid, cell, arena, arm, err);
}

wisp_status wispi_grid_arms(const wispi_grid *grid, wispi_arena *arena, wispi_arms *arms,
                            wisp_error *err)
{
    wispi_arm *list = wispi_arena_array(arena, (size_t)grid->n_cells, sizeof *list);
    if (!list)
        return no_memory(err);
    for (int32_t i = 0; i < grid->n_cells; i++) {
        WISP_TRY(make_cell(grid, i, arena, &list[i], err));
        for (int32_t j = 0; j < i; j++)
            if (strcmp(list[i].name, list[j].name) == 0)
                return wisp_fail(err, WISP_E_CONFIG,
                                 "two cells of the sweep would have the name %.200s: write their "
                                 "values otherwise",
                                 list[i].name);
    }
    *arms = (wispi_arms){list, grid->n_cells};
    return WISP_OK;
}
