/* validate_options.c - a walk over the option table, nested tables included, that proposes values.
 */
#include "train/validate_options.h"

#include <math.h>
#include <string.h>

#include "config/option_table.h"

enum { KEY_BYTES = 200, VALUE_BYTES = 320, MOST_VALUES = 4 };

typedef void (*proposal)(wispi_trial *t, const char *assignment);

const char *wispi_validate_missing_option(const wispi_trial *t)
{
    const wispi_option_table table = {t->d->options, t->d->n_options, t->d->option_size};
    for (uint64_t i = 0; i < table.n; i++) {
        const wisp_option o = wispi_option_at(table, i);
        if ((o.flags & WISP_OPTION_REQUIRED) && !wispi_trial_is_given(t, o.key))
            return o.key;
    }
    return NULL;
}

/* --- values --- */

typedef struct values {
    char text[MOST_VALUES][VALUE_BYTES];
    int32_t n;
} values;

static void add_text(values *v, const char *text)
{
    if (v->n < MOST_VALUES)
        snprintf(v->text[v->n++], VALUE_BYTES, "%s", text);
}

/* As TOML: a list's element stands in a list of the least length. */
static void add_number(values *v, const wisp_option *o, double number)
{
    const int is_integer = o->type == WISP_OPTION_I64 || o->type == WISP_OPTION_I64_LIST;
    const int is_list = o->type == WISP_OPTION_I64_LIST || o->type == WISP_OPTION_F64_LIST;
    char one[64], text[VALUE_BYTES] = "[";
    if (is_integer)
        snprintf(one, sizeof one, "%lld",
                 number >= 9.2e18    ? (long long)INT64_MAX
                 : number <= -9.2e18 ? (long long)INT64_MIN
                                     : (long long)number);
    else
        snprintf(one, sizeof one, "%.17e", number);
    if (!is_list) {
        add_text(v, one);
        return;
    }
    const uint32_t n = o->min_count ? o->min_count : 1;
    for (uint32_t i = 0; i < n && strlen(text) + strlen(one) + 4 < sizeof text; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? ", " : "", one);
    snprintf(text + strlen(text), sizeof text - strlen(text), "]");
    add_text(v, text);
}

static int is_number(const wisp_option *o)
{
    return o->type == WISP_OPTION_I64 || o->type == WISP_OPTION_F64 ||
           o->type == WISP_OPTION_I64_LIST || o->type == WISP_OPTION_F64_LIST;
}

static double inside(const wisp_option *o, double bound, double towards, uint32_t open)
{
    const int is_integer = o->type == WISP_OPTION_I64 || o->type == WISP_OPTION_I64_LIST;
    if (isinf(bound))
        return bound > 0 ? 1e300 : -1e300;
    if (!(o->flags & open))
        return bound;
    return is_integer ? bound + (towards > bound ? 1 : -1) : nextafter(bound, towards);
}

static int is_unbounded(const wisp_option *o)
{
    return is_number(o) && o->min == 0 && o->max == 0;
}

static void find_limits(const wisp_option *o, values *v)
{
    if (is_unbounded(o)) {
        add_number(v, o, 0);
    } else if (is_number(o)) {
        add_number(v, o, inside(o, o->min, o->max, WISP_OPTION_OPEN_MIN));
        add_number(v, o, inside(o, o->max, o->min, WISP_OPTION_OPEN_MAX));
    } else if (o->type == WISP_OPTION_BOOL) {
        add_text(v, "true");
        add_text(v, "false");
    } else if (o->type == WISP_OPTION_STRING || o->type == WISP_OPTION_PATH) {
        char longest[VALUE_BYTES];
        memset(longest, 'x', sizeof longest);
        longest[0] = longest[sizeof longest - 2] = '"';
        longest[sizeof longest - 1] = '\0';
        add_text(v, "\"\"");
        add_text(v, longest);
    } else if (o->type == WISP_OPTION_STRING_LIST && o->min_count == 0) {
        add_text(v, "[]");
    }
}

/* What nobody means, where the table allows it. */
static void find_extremes(const wisp_option *o, values *v)
{
    if (!is_unbounded(o))
        return;
    add_number(v, o, -1e300);
    add_number(v, o, 1e300);
}

static void find_bad_values(const wisp_option *o, values *v)
{
    const int takes_text = o->type == WISP_OPTION_STRING || o->type == WISP_OPTION_PATH;
    add_text(v, takes_text ? "17" : "\"no such value\"");
    if (o->type == WISP_OPTION_I64)
        add_text(v, "1.5");
    if (!is_number(o) || is_unbounded(o))
        return;
    if (o->min > -9e15)
        add_number(v, o, o->min - 1 - fabs(o->min) * 1e-6);
    if (o->max < 9e15)
        add_number(v, o, o->max + 1 + fabs(o->max) * 1e-6);
}

/* --- the walk --- */

typedef struct walk {
    wispi_trial *t;
    void (*find)(const wisp_option *o, values *v);
    proposal judge;
    int32_t with_choices;
} walk;

static void propose(const walk *w, const char *key, const char *value)
{
    char assignment[KEY_BYTES + VALUE_BYTES + 2];
    snprintf(assignment, sizeof assignment, "%s=%s", key, value);
    if (!wispi_trial_is_decided(w->t))
        w->judge(w->t, assignment);
}

static void walk_table(const walk *w, wispi_option_table table, const char *prefix)
{
    for (uint64_t i = 0; i < table.n; i++) {
        const wisp_option o = wispi_option_at(table, i);
        char key[KEY_BYTES], quoted[VALUE_BYTES];
        values v = {.n = 0};
        snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", o.key);
        if (o.type == WISP_OPTION_TABLE) {
            walk_table(w, wispi_option_nested(table, &o), key);
            continue;
        }
        w->find(&o, &v);
        for (int32_t k = 0; k < v.n; k++)
            propose(w, key, v.text[k]);
        for (const wisp_choice *c = w->with_choices ? o.choices : NULL; c && c->name; c++) {
            snprintf(quoted, sizeof quoted, "\"%.100s\"", c->name);
            propose(w, key, quoted);
        }
    }
}

void wispi_validate_each_limit(wispi_trial *t, proposal judge)
{
    const walk w = {t, find_limits, judge, 1};
    walk_table(&w, (wispi_option_table){t->d->options, t->d->n_options, t->d->option_size}, "");
}

static void judge_bad(wispi_trial *t, const char *assignment)
{
    const char *const more[] = {assignment, NULL};
    wispi_subject s;
    wisp_error err = {0};
    const wisp_status status = wispi_subject_configure(t, more, &s, &err);
    if (status == WISP_OK)
        wispi_subject_destroy(&s);
    if (status == WISP_OK)
        wispi_trial_fail(t, "%s is accepted", assignment);
    else if (!wispi_has_words(&err))
        wispi_trial_fail(t, "%s is refused without a message", assignment);
}

void wispi_validate_each_bad_value(wispi_trial *t, proposal judge_extreme)
{
    const wispi_option_table table = {t->d->options, t->d->n_options, t->d->option_size};
    const walk wrong = {t, find_bad_values, judge_bad, 0};
    const walk extreme = {t, find_extremes, judge_extreme, 0};
    judge_bad(t, "no_such_option=1");
    walk_table(&wrong, table, "");
    walk_table(&extreme, table, "");
}
