#include "report/arms.h"

#include <stdlib.h>
#include <string.h>

#include "wisp/options.h"

/* What the scheduling decides, and where the call says it instead. */
static const struct {
    const char *key, *instead;
} scheduled[] = {
    {"run.seed", "--seeds"},
    {"run.name", "--name"},
    {"run.out", "--out"},
    {"run.resume", "--name"},
};

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for the arms");
}

static int is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ' ';
}

static int has_letter(const char *argument)
{
    return argument[0] >= 'A' && argument[0] <= 'Z' && argument[1] == ':';
}

int wispi_is_override(const char *argument)
{
    const char *p = argument + (has_letter(argument) ? 2 : 0);
    while (is_key_byte(*p))
        p++;
    return *p == '=';
}

int wispi_override_is_of(const char *override, const char *key)
{
    for (; *override != '='; override++) {
        if (*override == ' ')
            continue;
        if (*override != *key++)
            return 0;
    }
    return *key == '\0';
}

wisp_status wispi_override_check(const char *override, wisp_error *err)
{
    for (size_t i = 0; i < WISP_COUNT(scheduled); i++)
        if (wispi_override_is_of(override, scheduled[i].key))
            return wisp_fail(err, WISP_E_CONFIG, "%.200s: %s is set for each run; say %s instead",
                             override, scheduled[i].key, scheduled[i].instead);
    return WISP_OK;
}

const char *wispi_file_stem(const char *path, wispi_arena *arena)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return wispi_arena_printf(arena, "%.*s",
                              (int)(dot && dot > name ? (size_t)(dot - name) : strlen(name)), name);
}

/* --- counting --- */

typedef struct parsed_call {
    const char *const *arguments;
    int32_t n, n_files, n_overrides;
    int32_t highest; /* letter that is used, from 0 on; -1: none */
} parsed_call;

static wisp_status read_call(const char *const *arguments, int32_t n, parsed_call *call,
                             wisp_error *err)
{
    *call = (parsed_call){arguments, n, 0, 0, -1};
    for (int32_t i = 0; i < n; i++) {
        if (!wispi_is_override(arguments[i])) {
            call->n_files++;
            continue;
        }
        const char *key = arguments[i];
        call->n_overrides++;
        if (has_letter(key)) {
            call->highest = key[0] - 'A' > call->highest ? key[0] - 'A' : call->highest;
            key += 2;
        }
        WISP_TRY(wispi_override_check(key, err));
    }
    if (call->n_files == 0)
        return wisp_fail(err, WISP_E_CONFIG, "no experiment is named: give TOML files, one an arm");
    if (call->n_files > WISPI_MOST_LETTERS)
        return wisp_fail(err, WISP_E_CONFIG, "%d arms; there may be %d", call->n_files,
                         WISPI_MOST_LETTERS);
    return WISP_OK;
}

static wisp_status count_arms(const parsed_call *call, int32_t *n, wisp_error *err)
{
    if (call->n_files == 1 && call->highest < 1)
        return wisp_fail(err, WISP_E_CONFIG,
                         "there is one arm only: name a second TOML file, or say what another arm "
                         "has otherwise, such as --set B:sampler.use=sslight");
    if (call->n_files > 1 && call->highest >= call->n_files)
        return wisp_fail(err, WISP_E_CONFIG,
                         "something is set for arm %c, and there are %d files: the last arm is %c",
                         'A' + call->highest, call->n_files, 'A' + call->n_files - 1);
    *n = call->n_files > 1 ? call->n_files : call->highest + 1;
    return WISP_OK;
}

/* --- making --- */

static const char *file_of(const parsed_call *call, int32_t arm)
{
    for (int32_t i = 0, at = 0; i < call->n; i++)
        if (!wispi_is_override(call->arguments[i]) && at++ == (call->n_files > 1 ? arm : 0))
            return call->arguments[i];
    return NULL;
}

/* What is set for all comes first, so that an arm may have it otherwise. */
static wisp_status take_overrides(const parsed_call *call, char letter, wispi_arena *arena,
                                  wispi_arm *arm, wisp_error *err)
{
    const char **list = wispi_arena_array(arena, (size_t)call->n_overrides + 1, sizeof *list);
    if (!list)
        return no_memory(err);
    for (int own = 0; own < 2; own++)
        for (int32_t i = 0; i < call->n; i++) {
            const char *a = call->arguments[i];
            if (!wispi_is_override(a) || has_letter(a) != own || (own && a[0] != letter))
                continue;
            list[arm->n_overrides++] = own ? a + 2 : a;
            if (own)
                arm->title = wispi_arena_printf(arena, "%s %s", arm->title, a + 2);
            if (!arm->title)
                return no_memory(err);
        }
    arm->overrides = list;
    return WISP_OK;
}

wisp_status wispi_arms_parse(const char *const *arguments, int32_t n, wispi_arena *arena,
                             wispi_arms *arms, wisp_error *err)
{
    parsed_call call;
    int32_t n_arms = 0;
    WISP_TRY(read_call(arguments, n, &call, err));
    WISP_TRY(count_arms(&call, &n_arms, err));
    wispi_arm *list = wispi_arena_array(arena, (size_t)n_arms, sizeof *list);
    if (!list)
        return no_memory(err);
    for (int32_t i = 0; i < n_arms; i++) {
        list[i].path = file_of(&call, i);
        list[i].name = wispi_arena_printf(arena, "%c", 'A' + i);
        list[i].title = wispi_file_stem(list[i].path, arena);
        if (!list[i].name || !list[i].title)
            return no_memory(err);
        WISP_TRY(take_overrides(&call, (char)('A' + i), arena, &list[i], err));
    }
    *arms = (wispi_arms){list, n_arms};
    return WISP_OK;
}

wisp_status wispi_arms_offset_seeds(wispi_arms *arms, const char *text, wisp_error *err)
{
    for (const char *p = text; *p;) {
        char *end = NULL;
        const long long offset = has_letter(p) ? strtoll(p + 2, &end, 10) : 0;
        if (!end || end == p + 2 || (*end != ',' && *end != '\0') || offset < 0 ||
            offset > UINT32_MAX || (*end == ',' && !end[1]))
            return wisp_fail(err, WISP_E_CONFIG,
                             "--seed-offset %.200s: write an arm and what is added to its seeds, "
                             "such as B:1000",
                             text);
        if (p[0] - 'A' >= arms->n)
            return wisp_fail(err, WISP_E_CONFIG, "--seed-offset %.200s: there is no arm %c", text,
                             p[0]);
        arms->list[p[0] - 'A'].seed_offset = offset;
        p = end + (*end == ',');
    }
    return WISP_OK;
}
