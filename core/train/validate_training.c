/* validate_training.c - what a method or backbone does when it is trained for a few steps. */
#include "train/validate_training.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "loader/containment.h"
#include "train/validate_sealed_device.h"
#include "train/validate_practice.h"

/* In one thread, so that what is left behind does not hang on which thread came first. Large
 * networks are only built: some tests do this a dozen times. */
wisp_status wispi_use_training(wispi_trial *t, wispi_subject *s, wisp_error *err)
{
    wispi_practice p;
    const wispi_practice_plan plan = {.workers = WISPI_PRACTICE_NO_WORKER};
    WISP_TRY(wispi_practice_open(t, s, &plan, &p, err));
    const wisp_status status =
        wispi_practice_is_large(&p) ? WISP_OK : wispi_practice_train(&p, 1, err);
    wispi_practice_close(&p);
    return status;
}

/* Trains to step `end`; a failure decides the trial. */
static int train(wispi_trial *t, wispi_practice *p, int64_t end)
{
    wisp_error err = {0};
    if (wispi_practice_train(p, end, &err) != WISP_OK)
        wispi_trial_fail(t, "step %lld of a training: %s", (long long)p->step, err.message);
    return !wispi_trial_is_decided(t);
}

/* --- what was promised: methods --- */

/* What it needs the session has judged. */
static void judge_requirements(wispi_trial *t, const wisp_requirements *r)
{
    if (r->min_global < 0 || r->min_local < 0 || r->max_global < 0 || r->max_local < -1)
        wispi_trial_fail(t, "requirements(): a number of views is negative");
    else if ((r->max_global && r->max_global < r->min_global) ||
             (r->max_local > 0 && r->max_local < r->min_local) ||
             (r->max_local < 0 && r->min_local > 0))
        wispi_trial_fail(t, "requirements(): it takes fewer views at most than at least");
}

static void ask_requirements(const wispi_subject *s, wisp_requirements *r)
{
    const wispi_plugin *plugin = s->instance.plugin;
    const wisp_method_v0 *vtable = plugin->descriptor->vtable;
    memset(r, 0, sizeof *r);
    r->struct_size = sizeof *r;
    WISPI_VISIT(plugin, "requirements", vtable->requirements(s->instance.self, r));
}

/* Builds and records, without a step. */
static void try_views(wispi_trial *t, int32_t views, const char *words)
{
    const wispi_practice_plan plan = {.views = views};
    wispi_subject s;
    wispi_practice p;
    wisp_requirements first, again;
    wisp_error err = {0};
    if (!wispi_trial_practise(t, &s, &plan, &p))
        return;
    ask_requirements(&s, &first);
    ask_requirements(&s, &again);
    judge_requirements(t, &first);
    if (memcmp(&first, &again, sizeof first) != 0)
        wispi_trial_fail(t, "requirements() are others the second time");
    if (wispi_practice_begin_epoch(&p, &err) != WISP_OK)
        wispi_trial_fail(t, "a step on %s: %s", words, err.message);
    wispi_trial_end_practice(&s, &p);
}

void wispi_validate_method_shapes(wispi_trial *t)
{
    try_views(t, WISPI_PRACTICE_USUAL, "two views of each size, or as many as it takes");
    if (!wispi_trial_is_decided(t))
        try_views(t, WISPI_PRACTICE_FEWEST, "as few views as it takes");
}

/* --- what was promised: backbones --- */

typedef struct tapping {
    wispi_trial *trial;
    wispi_session *session;
    const wisp_backbone_info *info;
    int32_t group; /* of views */
    uint32_t taps;
    int64_t tokens; /* found with all tokens */
    int32_t hide;   /* 1: with a mask */
    int64_t keep;   /* above 0: only this many tokens */
} tapping;

/* `shape`: -1 is any size above 0. */
static void expect(const tapping *a, wisp_step *s, const char *what, const wisp_tensor *x,
                   int32_t rank, const int64_t *shape)
{
    char text[96];
    const wisp_desc *d = x ? wisp_shape_of(s, x) : NULL;
    if (!d) {
        wispi_trial_fail(a->trial, "forward() gives no %s, which build() promised", what);
        return;
    }
    int fits = d->rank == rank;
    for (int32_t i = 0; i < rank && fits; i++)
        fits = shape[i] < 0 ? d->shape[i] > 0 : d->shape[i] == shape[i];
    if (!fits)
        wispi_trial_fail(a->trial, "forward() gives %s of shape %s for %lld images", what,
                         wispi_shape_text(d, text, sizeof text), (long long)shape[0]);
}

static void expect_lists(const tapping *a, wisp_step *s, const wisp_features *out, int64_t n)
{
    const int64_t map[4] = {n, -1, -1, -1}, tokens[3] = {n, -1, -1}, row[2] = {n, a->info->dim};
    if ((a->taps & WISP_TAP_STAGES) && (out->n_stages < 1 || out->n_stages > WISP_MAX_STAGES))
        wispi_trial_fail(a->trial, "forward() gives %d stages", out->n_stages);
    for (int32_t i = 0; (a->taps & WISP_TAP_STAGES) && i < out->n_stages; i++)
        expect(a, s, "the map of a stage", out->stages[i], 4, map);
    if ((a->taps & ~(uint32_t)(WISP_TAP_STAGES | WISP_TAP_TOKENS)) &&
        (out->n_blocks < 1 || out->n_blocks > WISP_MAX_BLOCKS))
        wispi_trial_fail(a->trial, "forward() gives %d blocks", out->n_blocks);
    for (int32_t i = 0; i < out->n_blocks && !wispi_trial_is_decided(a->trial); i++) {
        if (a->taps & WISP_TAP_BLOCKS)
            expect(a, s, "the tokens after a block", out->blocks[i], 3, tokens);
        if (a->taps & WISP_TAP_ATTENTION)
            expect(a, s, "the attention of a block", out->attention[i], 4, map);
        if (a->taps & WISP_TAP_CLASS_TOKENS)
            expect(a, s, "the class token of a block", out->class_tokens[i], 2, row);
    }
}

static void tap(wisp_step *s, void *user)
{
    tapping *a = user;
    wispi_session *session = a->session;
    wisp_tensor *x = wispi_step_variable(s, &session->whole.batch.views[a->group]);
    const int64_t n = wisp_shape_of(s, x)->shape[0];
    wisp_features out = {.struct_size = sizeof out, .taps = a->taps};
    if (a->hide) {
        const wisp_desc mask = wisp_desc2(WISP_F32, n, a->tokens);
        out.mask = wisp_full(s, &mask, 1);
    }
    if (a->keep) {
        const wisp_desc index = wisp_desc2(WISP_I64, n, a->keep);
        out.keep_index = wisp_full(s, &index, 0);
    }
    wisp_forward_features(s, session->evaluated, x, &out);
    if (wispi_step_of(s)->status != WISP_OK)
        return;
    const int64_t row[2] = {n, a->info->dim}, tokens[3] = {n, a->keep ? a->keep : -1, -1};
    expect(a, s, "the pooled embedding", out.pooled, 2, row);
    if (a->taps & WISP_TAP_TOKENS)
        expect(a, s, "tokens", out.tokens, 3, tokens);
    expect_lists(a, s, &out, n);
    if (out.tokens && !a->keep)
        a->tokens = wisp_shape_of(s, out.tokens)->shape[1];
}

static void try_taps(tapping *a, uint32_t taps)
{
    wispi_program *program = NULL;
    wisp_error err = {0};
    a->taps = taps;
    if (wispi_trial_is_decided(a->trial))
        return;
    const wisp_status status =
        wispi_program_record(a->session->device, wispi_ops_table(), a->session->model,
                             WISPI_RECORD_SHAPES_ONLY, tap, a, &program, &err);
    if (status != WISP_OK)
        wispi_trial_fail(a->trial, "forward() asked for outputs %#x: %s", taps, err.message);
    wispi_program_destroy(program);
}

static void try_tokens(tapping *a)
{
    if (!a->info->has_tokens || !(a->info->taps & WISP_TAP_TOKENS))
        return;
    a->hide = 1;
    try_taps(a, WISP_TAP_TOKENS);
    a->hide = 0;
    a->keep = a->tokens > 1 ? a->tokens - 1 : 1;
    try_taps(a, WISP_TAP_TOKENS);
    a->keep = 0;
}

static void judge_info(wispi_trial *t, const wisp_backbone_info *info)
{
    const uint32_t known = WISP_TAP_STAGES | WISP_TAP_TOKENS | WISP_TAP_BLOCKS |
                           WISP_TAP_ATTENTION | WISP_TAP_CLASS_TOKENS;
    if (info->dim < 1)
        wispi_trial_fail(t, "build() promises embeddings of %lld values", (long long)info->dim);
    else if (info->taps & ~known)
        wispi_trial_fail(t, "build() promises outputs %#x that nobody knows", info->taps & ~known);
    else if (info->n_blocks < 0 || info->n_blocks > WISP_MAX_BLOCKS)
        wispi_trial_fail(t, "build() promises %d blocks", info->n_blocks);
}

void wispi_validate_backbone_shapes(wispi_trial *t)
{
    wispi_subject s;
    wispi_practice p;
    if (!wispi_trial_practise(t, &s, NULL, &p))
        return;
    tapping a = {
        .trial = t, .session = p.session, .info = wispi_module_backbone_info(p.session->evaluated)};
    judge_info(t, a.info);
    try_taps(&a, 0);
    for (uint32_t bit = 1; bit <= WISP_TAP_CLASS_TOKENS; bit <<= 1)
        if (a.info->taps & bit)
            try_taps(&a, bit);
    try_tokens(&a);
    wispi_trial_end_practice(&s, &p);
}

/* --- a step may be captured --- */

/* The same step twice from the same state: by the plugin's own calls, and by the record of them
 * alone, as a graph does it. */
static wisp_status step_both_ways(wispi_trial *t, wispi_practice *p, const wispi_feed_batch *batch,
                                  uint8_t *states[3], wisp_error *err)
{
    const wispi_run_options repeat = {.repeat = 1};
    p->session->clock.step = p->step;
    states[0] = wispi_practice_state(p);
    if (!states[0])
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare states");
    WISP_TRY(wispi_session_step(p->session, batch, NULL, err));
    states[1] = wispi_practice_state(p);
    WISP_TRY(wispi_practice_restore(p, states[0], err));
    WISP_TRY(wispi_session_step(p->session, batch, &repeat, err));
    states[2] = wispi_practice_state(p);
    if (!states[1] || !states[2])
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare states");
    const char *other = wispi_practice_difference(p, states[1], states[2]);
    if (other)
        wispi_trial_fail(t,
                         "step %lld: %s is another one when the device does the recorded calls "
                         "again without the plugin",
                         (long long)p->step + 1, other);
    return WISP_OK;
}

static wisp_status compare_next_step(wispi_trial *t, wispi_practice *p, wisp_error *err)
{
    wispi_feed_batch *batch = NULL;
    uint8_t *states[3] = {NULL, NULL, NULL};
    WISP_TRY(wispi_practice_batch(p, &batch, err));
    const wisp_status status = step_both_ways(t, p, batch, states, err);
    for (int i = 0; i < 3; i++)
        wispi_free(states[i]);
    wispi_feed_release(p->feed, batch);
    p->step++;
    return status;
}

void wispi_validate_capture(wispi_trial *t)
{
    const wispi_practice_plan plan = {.device = WISPI_SEALED_DEVICE};
    wispi_subject s;
    wispi_practice p;
    wisp_error err = {0};
    if (!wispi_trial_practise(t, &s, &plan, &p))
        return;
    wisp_status status = wispi_practice_begin_epoch(&p, &err);
    for (int i = 0; i < 2 && status == WISP_OK; i++)
        status = compare_next_step(t, &p, &err);
    if (status != WISP_OK)
        wispi_trial_fail(t, "step %lld of a training: %s", (long long)p.step, err.message);
    wispi_trial_end_practice(&s, &p);
}

/* --- numbers --- */

static const char *first_not_finite(const wispi_practice *p, const uint8_t *state)
{
    const wispi_model *model = p->session->model;
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++) {
        const wispi_model_tensor *tensor = wispi_model_tensor_at(model, i);
        const float *values = (const float *)(const void *)state;
        for (int64_t k = 0; tensor->desc->dtype == WISP_F32 && k < wisp_desc_count(tensor->desc);
             k++)
            if (!isfinite(values[k]))
                return tensor->name;
        state += wisp_desc_bytes(tensor->desc);
    }
    return NULL;
}

void wispi_validate_finite_output(wispi_trial *t)
{
    wispi_subject s;
    wispi_practice p;
    if (!wispi_trial_practise(t, &s, NULL, &p))
        return;
    if (train(t, &p, WISPI_PRACTICE_STEPS)) {
        uint8_t *state = wispi_practice_state(&p);
        for (int i = 0; i < WISPI_PRACTICE_STEPS; i++)
            if (!isfinite(p.losses[i]))
                wispi_trial_fail(t, "the loss of step %d is %g", i + 1, (double)p.losses[i]);
        const char *name = state ? first_not_finite(&p, state) : NULL;
        if (name)
            wispi_trial_fail(t, "after %d steps %s is not finite", WISPI_PRACTICE_STEPS, name);
        wispi_trial_note(t, "losses from %.4g to %.4g", (double)p.losses[0],
                         (double)p.losses[WISPI_PRACTICE_STEPS - 1]);
        wispi_free(state);
    }
    wispi_trial_end_practice(&s, &p);
}

/* --- the same once more --- */

/* A whole training under `plan` against the losses and the state of another one. */
static void compare_training(wispi_trial *t, const wispi_practice_plan *plan,
                             const wispi_practice *former, const uint8_t *state, const char *words)
{
    wispi_subject s;
    wispi_practice p;
    if (!wispi_trial_practise(t, &s, plan, &p))
        return;
    if (train(t, &p, WISPI_PRACTICE_STEPS)) {
        uint8_t *own = wispi_practice_state(&p);
        for (int i = 0; i < WISPI_PRACTICE_STEPS; i++)
            if (memcmp(&p.losses[i], &former->losses[i], sizeof p.losses[i]) != 0)
                wispi_trial_fail(t, "the loss of step %d is %.9g, and %.9g %s", i + 1,
                                 (double)former->losses[i], (double)p.losses[i], words);
        const char *other = own && state ? wispi_practice_difference(&p, state, own) : NULL;
        if (other)
            wispi_trial_fail(t, "%s is another one %s", other, words);
        wispi_free(own);
    }
    wispi_trial_end_practice(&s, &p);
}

static void train_twice(wispi_trial *t, const wispi_practice_plan *again, const char *words)
{
    wispi_subject s;
    wispi_practice p;
    if (!wispi_trial_practise(t, &s, NULL, &p))
        return;
    if (train(t, &p, WISPI_PRACTICE_STEPS)) {
        uint8_t *state = wispi_practice_state(&p);
        compare_training(t, again, &p, state, words);
        wispi_free(state);
    }
    wispi_trial_end_practice(&s, &p);
}

void wispi_validate_training_seed(wispi_trial *t)
{
    train_twice(t, NULL, "in a second training of the same seed");
}

void wispi_validate_training_workers(wispi_trial *t)
{
    const wispi_practice_plan plan = {.workers = 4};
    train_twice(t, &plan, "with four workers");
}

/* --- odd input --- */

/* Works, or is refused in words. Returns 1 when it was trained. */
static int try_plan(wispi_trial *t, const wispi_practice_plan *plan, const char *words,
                    wispi_practice *p, wispi_subject *s)
{
    wisp_error err = {0};
    if (!wispi_trial_load(t))
        return 0;
    wispi_trial_shrink(t);
    memset(p, 0, sizeof *p);
    if (!wispi_trial_create(t, s))
        return 0;
    wisp_status status = wispi_practice_open(t, s, plan, p, &err);
    if (status == WISP_OK)
        status = wispi_practice_train(p, 2, &err);
    if (status == WISP_OK)
        return 1;
    if (!wispi_has_words(&err))
        wispi_trial_fail(t, "%s: %s, without a message", words, wisp_status_name(status));
    else
        wispi_trial_note(t, "refused: %s", err.message);
    return 0;
}

static void judge_plan(wispi_trial *t, const wispi_practice_plan *plan, const char *words)
{
    wispi_subject s = {0};
    wispi_practice p;
    if (try_plan(t, plan, words, &p, &s) && !plan->spoil)
        for (int i = 0; i < 2; i++)
            if (!isfinite(p.losses[i]))
                wispi_trial_fail(t, "%s: the loss of step %d is %g", words, i + 1,
                                 (double)p.losses[i]);
    wispi_trial_end_practice(&s, &p);
}

void wispi_validate_batch_1(wispi_trial *t)
{
    const wispi_practice_plan plan = {.batch = 1};
    judge_plan(t, &plan, "batches of one image");
}

void wispi_validate_one_view(wispi_trial *t)
{
    const wispi_practice_plan plan = {.views = WISPI_PRACTICE_ONE};
    judge_plan(t, &plan, "one view of each image");
}

void wispi_validate_nan_input(wispi_trial *t)
{
    const wispi_practice_plan plan = {.spoil = 1};
    judge_plan(t, &plan, "images of NaN");
}
