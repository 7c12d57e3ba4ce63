/* validate_sampler.c - samplers: plans that keep what `groups` promised, and that depend on nothing
 * but the source. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "loader/containment.h"
#include "train/validate_at_once.h"
#include "train/validate_kinds.h"
#include "wisp/sampler.h"

enum { PLANS = 256, ROUNDS = 8 };

static const int32_t sizes[][2] = {{224, 224}, {500, 375}, {37, 53}, {1, 1},
                                   {1, 400},   {400, 1},   {8, 8},   {6000, 4000}};

static wisp_view_source source_of(int64_t n)
{
    const size_t which = (size_t)n % WISP_COUNT(sizes);
    return (wisp_view_source){
        sizes[which][0], sizes[which][1], n / 64, n,
        wisp_rng_derive(wisp_rng_stream(7, WISP_STREAM_VIEW), 0, (uint64_t)n)};
}

static wisp_status draw(const wispi_subject *s, int64_t n, wisp_view_plan *plan, wisp_error *err)
{
    const wisp_sampler_v0 *vtable = s->instance.plugin->descriptor->vtable;
    const wisp_view_source source = source_of(n);
    wisp_status status;
    memset(plan, 0, sizeof *plan);
    WISPI_CALL(status, s->instance.plugin, "plan", err,
               vtable->plan(s->instance.self, &source, plan, err));
    return status;
}

static wisp_status ask_groups(const wispi_subject *s, wisp_view_group *groups, int32_t *n,
                              wisp_error *err)
{
    const wisp_sampler_v0 *vtable = s->instance.plugin->descriptor->vtable;
    wisp_status status;
    WISPI_CALL(status, s->instance.plugin, "groups", err,
               vtable->groups(s->instance.self, groups, n, err));
    return status;
}

wisp_status wispi_use_sampler(wispi_trial *t, wispi_subject *s, wisp_error *err)
{
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    wisp_view_plan plan;
    int32_t n = 0;
    (void)t;
    WISP_TRY(ask_groups(s, groups, &n, err));
    for (int64_t i = 0; i < 16; i++)
        WISP_TRY(draw(s, i, &plan, err));
    return WISP_OK;
}

/* --- what was promised --- */

static void judge_group(wispi_trial *t, const wisp_view_group *g)
{
    if (!memchr(g->name, 0, sizeof g->name) || !g->name[0])
        wispi_trial_fail(t, "groups(): a group has no name, or one without an end");
    else if (g->count < 0 || g->width < 1 || g->height < 1 || g->width > 4096 || g->height > 4096)
        wispi_trial_fail(t, "groups(): \"%s\" has %d views of %d x %d px", g->name, g->count,
                         g->width, g->height);
}

static void judge_ops(wispi_trial *t, const wisp_view_spec *v, int32_t at)
{
    if (v->n_ops < 0 || v->n_ops > WISP_MAX_PIXEL_OPS) {
        wispi_trial_fail(t, "plan(): view %d has %d pixel operations", at, v->n_ops);
        return;
    }
    for (int32_t i = 0; i < v->n_ops; i++)
        if (v->ops[i].kind < WISP_PIXEL_BRIGHTNESS || v->ops[i].kind > WISP_PIXEL_GAUSSIAN ||
            !isfinite(v->ops[i].p[0]) || !isfinite(v->ops[i].p[1]))
            wispi_trial_fail(t, "plan(): view %d, operation %d: kind %d, parameters %g and %g", at,
                             i, v->ops[i].kind, v->ops[i].p[0], v->ops[i].p[1]);
}

static void judge_view(wispi_trial *t, const wisp_view_spec *v, const wisp_view_group *groups,
                       int32_t wanted_group, int32_t at, int64_t n)
{
    const wisp_view_source source = source_of(n);
    const wisp_box *b = &v->box;
    if (v->group != wanted_group)
        wispi_trial_fail(t, "plan(): view %d is of group %d, and group %d comes there", at,
                         v->group, wanted_group);
    else if (v->out_w != groups[v->group].width || v->out_h != groups[v->group].height)
        wispi_trial_fail(t, "plan(): view %d is %d x %d px, and groups() says %d x %d", at,
                         v->out_w, v->out_h, groups[v->group].width, groups[v->group].height);
    else if (b->x < 0 || b->y < 0 || b->w < 1 || b->h < 1 || b->w > source.width - b->x ||
             b->h > source.height - b->y)
        wispi_trial_fail(t, "plan(): view %d takes %d x %d px at (%d, %d) of a picture of %d x %d",
                         at, b->w, b->h, b->x, b->y, source.width, source.height);
    else if (v->flip < 0 || v->flip > 1 || v->filter < 0 || v->filter > WISP_FILTER_LANCZOS)
        wispi_trial_fail(t, "plan(): view %d has flip %d and filter %d", at, v->flip, v->filter);
    judge_ops(t, v, at);
}

static void judge_plan(wispi_trial *t, const wisp_view_plan *plan, const wisp_view_group *groups,
                       int32_t n_groups, int64_t n)
{
    int32_t at = 0;
    for (int32_t g = 0; g < n_groups; g++)
        for (int32_t i = 0; i < groups[g].count; i++, at++)
            if (at < plan->n_views)
                judge_view(t, &plan->views[at], groups, g, at, n);
    if (plan->n_views != at)
        wispi_trial_fail(t, "plan(): %d views, and groups() says %d", plan->n_views, at);
}

void wispi_validate_sampler_shapes(wispi_trial *t)
{
    wispi_subject s;
    wisp_error err = {0};
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups = 0, views = 0;
    memset(groups, 0, sizeof groups);
    if (!wispi_trial_create(t, &s))
        return;
    if (ask_groups(&s, groups, &n_groups, &err) != WISP_OK)
        wispi_trial_fail(t, "groups(): %s", err.message);
    else if (n_groups < 1 || n_groups > WISP_MAX_VIEW_GROUPS)
        wispi_trial_fail(t, "groups(): %d groups", n_groups);
    for (int32_t g = 0; g < n_groups && !wispi_trial_is_decided(t); g++) {
        judge_group(t, &groups[g]);
        views += groups[g].count;
    }
    if (views > WISP_MAX_VIEWS)
        wispi_trial_fail(t, "groups(): %d views, and a plan holds %d", views, WISP_MAX_VIEWS);
    for (int64_t i = 0; i < PLANS && !wispi_trial_is_decided(t); i++) {
        wisp_view_plan plan;
        if (draw(&s, i, &plan, &err) != WISP_OK)
            wispi_trial_fail(t, "plan() for a picture of %d x %d: %s", source_of(i).width,
                             source_of(i).height, err.message);
        else
            judge_plan(t, &plan, groups, n_groups, i);
    }
    wispi_subject_destroy(&s);
}

/* --- nothing but the source --- */

static int same_plan(const wisp_view_plan *a, const wisp_view_plan *b)
{
    return a->n_views == b->n_views && a->flags == b->flags && a->n_views >= 0 &&
           a->n_views <= WISP_MAX_VIEWS &&
           memcmp(a->views, b->views, (size_t)a->n_views * sizeof a->views[0]) == 0;
}

/* Every plan in order; NULL when there is no memory, and the trial is decided when one fails. */
static wisp_view_plan *draw_all(wispi_trial *t, const wispi_subject *s)
{
    wisp_error err = {0};
    wisp_view_plan *plans = wispi_alloc_array(PLANS, sizeof *plans);
    for (int64_t i = 0; plans && i < PLANS; i++)
        if (draw(s, i, &plans[i], &err) != WISP_OK)
            wispi_trial_fail(t, "plan(): %s", err.message);
    return plans;
}

static void compare_plans(wispi_trial *t, const wisp_view_plan *a, const wisp_view_plan *b,
                          const char *words)
{
    for (int64_t i = 0; a && b && i < PLANS; i++)
        if (!same_plan(&a[i], &b[i])) {
            wispi_trial_fail(t, "the plan of sample %lld is another one %s", (long long)i, words);
            return;
        }
}

/* Backwards, so that whoever keeps something from call to call shows it. */
void wispi_validate_sampler_repeats(wispi_trial *t)
{
    wispi_subject s;
    wisp_error err = {0};
    if (!wispi_trial_create(t, &s))
        return;
    wisp_view_plan *plans = draw_all(t, &s), again;
    for (int64_t i = PLANS - 1; plans && i >= 0 && !wispi_trial_is_decided(t); i--)
        if (draw(&s, i, &again, &err) != WISP_OK || !same_plan(&again, &plans[i]))
            wispi_trial_fail(t, "the plan of sample %lld is another one the second time",
                             (long long)i);
    wispi_free(plans);
    wispi_subject_destroy(&s);
}

void wispi_validate_sampler_seed(wispi_trial *t)
{
    wispi_subject a, b;
    if (!wispi_trial_create(t, &a))
        return;
    wisp_view_plan *first = draw_all(t, &a), *second = NULL;
    if (wispi_trial_create(t, &b)) {
        second = draw_all(t, &b);
        compare_plans(t, first, second, "from a second instance of the same options");
        wispi_subject_destroy(&b);
    }
    wispi_free(first);
    wispi_free(second);
    wispi_subject_destroy(&a);
}

/* --- several at once --- */

typedef struct drawer {
    const wispi_subject *subject;
    const wisp_view_plan *alone;
    int64_t first;
    int64_t differs; /* a sample whose plan was another one; -1: none */
    int failed;
} drawer;

static void draw_some(void *user)
{
    drawer *d = user;
    wisp_view_plan plan;
    wisp_error err;
    for (int round = 0; round < ROUNDS; round++)
        for (int64_t i = d->first; i < PLANS; i += WISPI_AT_ONCE)
            if (draw(d->subject, i, &plan, &err) != WISP_OK)
                d->failed = 1;
            else if (!same_plan(&plan, &d->alone[i]))
                d->differs = i;
}

static void draw_at_once(wispi_trial *t, const wispi_subject *s, const wisp_view_plan *alone)
{
    drawer drawers[WISPI_AT_ONCE];
    for (int64_t i = 0; i < WISPI_AT_ONCE; i++)
        drawers[i] = (drawer){s, alone, i, -1, 0};
    const int32_t n = wispi_at_once(draw_some, drawers, sizeof drawers[0]);
    for (int32_t i = 0; i < n; i++) {
        if (drawers[i].failed)
            wispi_trial_fail(t, "plan() fails when four threads call it");
        if (drawers[i].differs >= 0)
            wispi_trial_fail(t, "four threads at once draw another plan of sample %lld",
                             (long long)drawers[i].differs);
    }
    if (n < WISPI_AT_ONCE)
        wispi_trial_skip(t, "no threads to be had here");
}

void wispi_validate_sampler_workers(wispi_trial *t)
{
    wispi_subject s;
    if (!wispi_trial_create(t, &s))
        return;
    wisp_view_plan *alone = draw_all(t, &s);
    if (alone)
        draw_at_once(t, &s, alone);
    wispi_free(alone);
    wispi_subject_destroy(&s);
}
