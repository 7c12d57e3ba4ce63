/* validate_life.c - from options to an instance and back, with everything that may go wrong. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/memory.h"
#include "loader/containment.h"
#include "loader/host_table.h"
#include "train/validate_growth.h"
#include "train/validate_list.h"
#include "train/validate_options.h"
#include "train/validate_use.h"
#include "wisp/dataset.h"

enum { ROUNDS = 50 };

void wispi_validate_extensions_known(wispi_trial *t)
{
    const wisp_host *host = wispi_host_table();
    if (!wispi_trial_load(t))
        return;
    for (const char *const *id = t->d->requires_ids; id && *id; id++)
        if (!host->get_extension(host, *id))
            wispi_trial_fail(t, "it requires the extension \"%s\", which this host has not", *id);
}

/* Everything once, for nothing but to see whether the process lives on. */
void wispi_validate_does_not_exit(wispi_trial *t)
{
    wispi_subject s;
    wisp_error err = {0};
    const int is_loaded = wispi_trial_load(t);
    if (is_loaded)
        wispi_trial_shrink(t);
    if (!is_loaded || wispi_subject_create(t, NULL, &s, &err) != WISP_OK) {
        t->verdict.outcome = WISPI_VERDICT_PASS; /* others tell */
        return;
    }
    wispi_trial_use(t, &s, &err);
    wispi_subject_destroy(&s);
}

/* A device that is not there is no fault. */
static int is_absent(const wispi_trial *t, wisp_status status)
{
    return status == WISP_E_DEVICE ||
           (status == WISP_E_UNSUPPORTED && (t->d->flags & WISP_FLAG_NEEDS_DEVICE));
}

void wispi_validate_creates(wispi_trial *t)
{
    wispi_subject s;
    wisp_error err = {0};
    if (!wispi_trial_load(t))
        return;
    const char *missing = wispi_validate_missing_option(t);
    if (missing) {
        wispi_trial_skip(t, "the option %s has no default: give it behind the file, as %s=VALUE",
                         missing, missing);
        return;
    }
    const wisp_status status = wispi_subject_create(t, NULL, &s, &err);
    if (status == WISP_OK)
        wispi_subject_destroy(&s);
    else if (is_absent(t, status))
        wispi_trial_skip(t, "it cannot be here: %s", err.message);
    else
        wispi_trial_fail(t, "%s: %s", wisp_status_name(status), err.message);
}

/* --- leaks --- */

static int create_and_destroy(wispi_trial *t)
{
    wispi_subject s;
    if (!wispi_trial_create(t, &s))
        return 0;
    wispi_subject_destroy(&s);
    return 1;
}

void wispi_validate_create_destroy_100(wispi_trial *t)
{
    wispi_validate_growth(t, create_and_destroy, ROUNDS, "create and destroy");
    if (t->d && t->d->destroy && !wispi_trial_is_decided(t))
        WISPI_VISIT(t->plugin, "destroy", t->d->destroy(NULL));
}

/* --- options --- */

static void judge_limit(wispi_trial *t, const char *assignment)
{
    const char *const more[] = {assignment, NULL};
    wispi_subject s;
    wisp_error err = {0};
    if (wispi_subject_create(t, more, &s, &err) == WISP_OK)
        wispi_subject_destroy(&s);
    else if (!wispi_has_words(&err))
        wispi_trial_fail(t, "with %s it is refused without a message", assignment);
}

/* No plugin needs this much to be created; one that tries gets NULL. */
static void limit_memory(const wispi_trial *t)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const struct rlimit limit = {(rlim_t)16 << 30, (rlim_t)16 << 30};
    if (t->is_own_process)
        setrlimit(RLIMIT_AS, &limit);
#endif
    (void)t;
}

void wispi_validate_bad_options_refused(wispi_trial *t)
{
    if (!wispi_trial_load(t))
        return;
    limit_memory(t);
    wispi_validate_each_bad_value(t, judge_limit);
}

void wispi_validate_option_limits(wispi_trial *t)
{
    if (!wispi_trial_load(t))
        return;
    limit_memory(t);
    wispi_validate_each_limit(t, judge_limit);
}

/* --- names --- */

static const void *no_extension(const wisp_host *host, const char *id)
{
    (void)host, (void)id;
    return NULL;
}

/* A host that offers nothing beyond its table. */
static void create_without_extensions(wispi_trial *t)
{
    static wisp_host bare;
    wispi_subject s;
    wisp_error err = {0};
    void *self = NULL;
    if (!t->d->create || (t->d->requires_ids && t->d->requires_ids[0]) ||
        wispi_subject_configure(t, NULL, &s, &err) != WISP_OK)
        return;
    bare = *wispi_host_table();
    bare.get_extension = no_extension;
    wisp_status status;
    WISPI_CALL(status, t->plugin, "create", &err,
               t->d->create(&bare, s.block + WISPI_GUARD_BYTES, &self, &err));
    if (status != WISP_OK && !wispi_has_words(&err))
        wispi_trial_fail(t, "without extensions it is refused without a message");
    if (status == WISP_OK)
        WISPI_VISIT(t->plugin, "destroy", t->d->destroy(self));
    wispi_subject_destroy(&s);
}

static void ask_for_unknown_class(wispi_trial *t, const wispi_subject *s)
{
    const wisp_dataset_v0 *vtable = t->d->vtable;
    const char *name = NULL;
    int32_t n = 0;
    if (!vtable->class_name)
        return;
    WISPI_VISIT(t->plugin, "n_classes", n = vtable->n_classes(s->instance.self));
    WISPI_VISIT(t->plugin, "class_name", name = vtable->class_name(s->instance.self, n));
    if (name)
        wispi_trial_fail(t, "class_name(%d) is \"%.60s\", and there are %d classes", n, name, n);
    WISPI_VISIT(t->plugin, "class_name", name = vtable->class_name(s->instance.self, -1));
    if (name)
        wispi_trial_fail(t, "class_name(-1) is \"%.60s\"", name);
}

void wispi_validate_unknown_name_is_null(wispi_trial *t)
{
    wispi_subject s;
    if (!wispi_trial_create(t, &s))
        return;
    create_without_extensions(t);
    if (strcmp(t->plugin->kind, "dataset") == 0)
        ask_for_unknown_class(t, &s);
    wispi_subject_destroy(&s);
}

/* --- no memory --- */

/* What is tried with the nth allocation failing: creation, or a use of a new instance. */
typedef wisp_status (*rehearsal)(wispi_trial *t, wisp_error *err);

static wisp_status rehearse_create(wispi_trial *t, wisp_error *err)
{
    wispi_subject s;
    WISP_TRY(wispi_subject_create(t, NULL, &s, err));
    wispi_subject_destroy(&s);
    return WISP_OK;
}

static wisp_status rehearse_use(wispi_trial *t, wisp_error *err)
{
    wispi_subject s;
    WISP_TRY(wispi_subject_create(t, NULL, &s, err));
    const wisp_status status = wispi_trial_use(t, &s, err);
    wispi_subject_destroy(&s);
    return status;
}

static int judge_failure(wispi_trial *t, const char *what, int64_t nth, rehearsal rehearse)
{
    wisp_error err = {0};
    const int64_t blocks = wispi_live_blocks();
    wispi_fail_allocation(nth);
    const wisp_status status = rehearse(t, &err);
    wispi_fail_allocation(-1);
    if (status != WISP_OK && !wispi_has_words(&err))
        wispi_trial_fail(t, "%s: when allocation %lld fails it says %s and no reason", what,
                         (long long)nth, wisp_status_name(status));
    else if (wispi_live_blocks() != blocks)
        wispi_trial_fail(t, "%s: when allocation %lld fails %lld blocks stay behind", what,
                         (long long)nth, (long long)(wispi_live_blocks() - blocks));
    return !wispi_trial_is_decided(t);
}

/* Every allocation; where that would take longer than `seconds`, as many as fit, evenly spread. */
static int64_t fail_each(wispi_trial *t, const char *what, rehearsal rehearse, double seconds)
{
    wisp_error err = {0};
    rehearse(t, &err); /* what is allocated once in the life of the process */
    const int64_t before = wispi_allocation_count();
    const double start = wispi_seconds();
    if (rehearse(t, &err) != WISP_OK)
        return 0;
    const int64_t total = wispi_allocation_count() - before;
    const double once = wispi_seconds() - start + 1e-6;
    const int64_t step = 1 + (int64_t)((double)total * once / seconds);
    int64_t tried = 0;
    for (int64_t nth = 1; nth <= total; nth += step, tried++)
        if (!judge_failure(t, what, nth, rehearse))
            return tried;
    wispi_trial_note(t, "%s: %lld of %lld allocations", what, (long long)tried, (long long)total);
    return total;
}

void wispi_validate_oom(wispi_trial *t)
{
    if (!wispi_trial_load(t))
        return;
    wispi_trial_shrink(t);
    fail_each(t, "create", rehearse_create, 2);
    if (!wispi_trial_is_decided(t))
        fail_each(t, "create and use", rehearse_use, 3);
}
