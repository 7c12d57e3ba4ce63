/* validate_trial.c - verdicts, and the plugin under test as an instance between guards. */
#include "train/validate_trial.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "config/option_table.h"
#include "config/options_fill.h"
#include "loader/containment.h"
#include "loader/gate.h"

enum { GUARD = 0xA5, LARGE = 256, SMALL = 32 };

WISP_PRINTF(3, 0)
static void decide(wispi_trial *t, int32_t outcome, const char *format, va_list args)
{
    if (wispi_trial_is_decided(t))
        return;
    t->verdict.outcome = outcome;
    vsnprintf(t->verdict.words, sizeof t->verdict.words, format, args);
}

void wispi_trial_fail(wispi_trial *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    decide(t, WISPI_VERDICT_FAIL, format, args);
    va_end(args);
}

void wispi_trial_skip(wispi_trial *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    decide(t, WISPI_VERDICT_SKIP, format, args);
    va_end(args);
}

void wispi_trial_note(wispi_trial *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    decide(t, WISPI_VERDICT_PASS, format, args);
    va_end(args);
}

int wispi_has_words(const wisp_error *err)
{
    return err->message[0] != '\0' && !strstr(err->message, "(the plugin gave no message)");
}

int wispi_trial_load(wispi_trial *t)
{
    wisp_error err = {0};
    const wispi_plugin *plugin = NULL;
    if (t->plugin)
        return 1;
    if (wispi_registry_load_file(t->registry, t->path, NULL, &plugin, &err) != WISP_OK) {
        wispi_trial_fail(t, "%s", err.message);
        return 0;
    }
    for (int32_t i = 0; i < t->index && plugin; i++)
        plugin = plugin->next;
    if (!plugin) {
        wispi_trial_fail(t, "the file holds no plugin number %d", t->index + 1);
        return 0;
    }
    t->plugin = plugin;
    t->d = plugin->descriptor;
    return 1;
}

/* --- the subject --- */

/* key=value as they will stand in one table. */
typedef struct assignments {
    wispi_text *lines;
    int32_t n;
} assignments;

static void assign(assignments *a, const char *assignment)
{
    wispi_text_printf(&a->lines[a->n++], "subject.%s", assignment);
}

static wisp_status parse_assignments(const assignments *a, wispi_config **text, wisp_error *err)
{
    const char **list = wispi_alloc((size_t)a->n * sizeof *list);
    int failed = !list;
    for (int32_t i = 0; !failed && i < a->n; i++) {
        failed = a->lines[i].failed;
        list[i] = a->lines[i].data;
    }
    const wisp_status status =
        failed ? wisp_fail(err, WISP_E_NOMEM, "no memory for the options")
               : wispi_config_parse_text("options", "[subject]\n", list, a->n, text, err);
    wispi_free(list);
    return status;
}

/* The options as one table: what was made small, what was asked for, what this test wants. */
static wisp_status parse_options(wispi_trial *t, const char *const *more, wispi_config **text,
                                 wisp_error *err)
{
    char small[sizeof t->small], *rest = small;
    size_t most = sizeof small / 2 + (size_t)t->n_overrides;
    for (int32_t i = 0; more && more[i]; i++)
        most++;
    assignments a = {wispi_alloc(most * sizeof *a.lines), 0};
    if (!a.lines)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the options");
    snprintf(small, sizeof small, "%s", t->small);
    for (char *word; (word = strsep(&rest, " "));)
        if (*word)
            assign(&a, word);
    for (int32_t i = 0; i < t->n_overrides; i++)
        assign(&a, t->overrides[i]);
    for (; more && *more; more++)
        assign(&a, *more);
    const wisp_status status = parse_assignments(&a, text, err);
    for (int32_t i = 0; i < a.n; i++)
        wispi_text_free(&a.lines[i]);
    wispi_free(a.lines);
    return status;
}

static wisp_status fill(wispi_trial *t, wispi_subject *s, wisp_error *err)
{
    const wispi_node *table = wispi_node_find(wispi_config_root(s->text), "subject");
    s->bytes = t->d->config_size ? (size_t)t->d->config_size : 1;
    const size_t whole = s->bytes + 2 * (size_t)WISPI_GUARD_BYTES;
    s->block = wispi_alloc(whole);
    s->before = wispi_alloc(whole);
    if (!s->block || !s->before)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the options");
    memset(s->block, GUARD, whole);
    memset(s->block + WISPI_GUARD_BYTES, 0, s->bytes);
    WISP_TRY(wispi_options_fill(table, t->plugin->kind, t->d->options, t->d->n_options,
                                t->d->option_size, s->block + WISPI_GUARD_BYTES,
                                wispi_config_arena(s->text), NULL, err));
    memcpy(s->before, s->block, whole);
    if (!t->d->check)
        return WISP_OK;
    wisp_status status;
    wisp_error inner = {0};
    WISPI_CALL(status, t->plugin, "check", &inner,
               t->d->check(s->block + WISPI_GUARD_BYTES, &inner));
    if (status != WISP_OK && err)
        *err = inner;
    return status;
}

wisp_status wispi_subject_configure(wispi_trial *t, const char *const *more, wispi_subject *s,
                                    wisp_error *err)
{
    memset(s, 0, sizeof *s);
    wisp_status status = parse_options(t, more, &s->text, err);
    if (status == WISP_OK)
        status = fill(t, s, err);
    if (status != WISP_OK)
        wispi_subject_destroy(s);
    return status;
}

wisp_status wispi_subject_create(wispi_trial *t, const char *const *more, wispi_subject *s,
                                 wisp_error *err)
{
    WISP_TRY(wispi_subject_configure(t, more, s, err));
    const wispi_instance model = {t->plugin, s->block + WISPI_GUARD_BYTES,
                                  s->block + WISPI_GUARD_BYTES, t->plugin->kind};
    const wisp_status status = wispi_instance_again(t->registry, &model, &s->instance, err);
    if (status != WISP_OK)
        wispi_subject_destroy(s);
    return status;
}

void wispi_subject_destroy(wispi_subject *s)
{
    wispi_instance_destroy(&s->instance);
    wispi_config_destroy(s->text);
    wispi_free(s->block);
    wispi_free(s->before);
    memset(s, 0, sizeof *s);
}

const char *wispi_subject_damage(const wispi_subject *s)
{
    const size_t end = WISPI_GUARD_BYTES + s->bytes;
    const wispi_plugin *plugin = s->instance.plugin;
    const int may_change = plugin && !plugin->descriptor->create;
    if (memcmp(s->block, s->before, WISPI_GUARD_BYTES) != 0)
        return "the memory before its config struct";
    if (memcmp(s->block + end, s->before + end, WISPI_GUARD_BYTES) != 0)
        return "the memory behind its config struct";
    if (!may_change &&
        memcmp(s->block + WISPI_GUARD_BYTES, s->before + WISPI_GUARD_BYTES, s->bytes) != 0)
        return "its config struct, which is const";
    return "";
}

int wispi_trial_create(wispi_trial *t, wispi_subject *s)
{
    wisp_error err = {0};
    if (!wispi_trial_load(t))
        return 0;
    if (wispi_subject_create(t, NULL, s, &err) == WISP_OK)
        return 1;
    wispi_trial_fail(t, "it cannot be created: %s", err.message);
    return 0;
}

/* --- small --- */

int wispi_trial_is_given(const wispi_trial *t, const char *key)
{
    const size_t n = strlen(key);
    for (int32_t i = 0; i < t->n_overrides; i++)
        if (strncmp(t->overrides[i], key, n) == 0 && strchr("=.", t->overrides[i][n]))
            return 1;
    return 0;
}

static void try_small(wispi_trial *t, const wisp_option *o)
{
    char former[sizeof t->small];
    wispi_subject s;
    memcpy(former, t->small, sizeof former);
    const double small =
        wispi_option_in_range(o, SMALL) || (o->min == 0 && o->max == 0) ? SMALL : o->min;
    const size_t used = strlen(t->small);
    const int n = snprintf(t->small + used, sizeof t->small - used, "%s%s=%lld", used ? " " : "",
                           o->key, (long long)small);
    if ((size_t)n < sizeof t->small - used && wispi_subject_create(t, NULL, &s, NULL) == WISP_OK)
        wispi_subject_destroy(&s);
    else
        memcpy(t->small, former, sizeof former);
}

void wispi_trial_shrink(wispi_trial *t)
{
    const wispi_option_table table = {t->d->options, t->d->n_options, t->d->option_size};
    const char *kind = t->plugin->kind;
    if (strcmp(kind, "method") != 0 && strcmp(kind, "backbone") != 0 && strcmp(kind, "task") != 0)
        return;
    for (uint64_t i = 0; i < table.n; i++) {
        const wisp_option o = wispi_option_at(table, i);
        if (o.type == WISP_OPTION_I64 && o.default_value && !wispi_trial_is_given(t, o.key) &&
            strtod(o.default_value, NULL) > LARGE)
            try_small(t, &o);
    }
}
