/* comparison.c - asks every question, judges all of them together, and writes it down. */
#include "report/comparison.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "train/json_number.h"
#include "report/pairing.h"
#include "report/statistics.h"
#include "report/time_to_reach.h"
#include "report/verdict.h"
#include "train/json_text.h"

static const double family_level = 0.05, power = 0.8;

typedef struct comparison {
    const wispi_comparison_request *request;
    wispi_arena *arena;
    wispi_pairing pairing;
    wispi_answer *answers; /* one a question */
    int32_t n_tests;
} comparison;

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for a comparison");
}

/* --- numbers --- */

/* Whole pairs, side by side in `a` and `b`. */
static int32_t whole_pairs(const wispi_question *q, int32_t n_seeds, double *a, double *b)
{
    int32_t n = 0;
    for (int32_t i = 0; i < n_seeds; i++) {
        a[n] = q->a[i];
        b[n] = q->b[i];
        n += isfinite(q->a[i]) && isfinite(q->b[i]);
    }
    return n;
}

static wisp_status test_all(comparison *c, wisp_error *err)
{
    const size_t seeds = (size_t)c->request->n_seeds;
    double *a = wispi_arena_array(c->arena, seeds + 1, sizeof *a);
    double *b = wispi_arena_array(c->arena, seeds + 1, sizeof *b);
    c->answers = wispi_arena_array(c->arena, (size_t)c->pairing.n + 1, sizeof *c->answers);
    if (!a || !b || !c->answers)
        return no_memory(err);
    for (int32_t i = 0; i < c->pairing.n; i++) {
        const wispi_question *q = &c->pairing.list[i];
        wispi_answer *x = &c->answers[i];
        wispi_text why = {0};
        *x = (wispi_answer){.question = q, .level = family_level, .p_adjusted = NAN};
        x->arm = c->request->arms[q->arm].name;
        x->against = c->request->arms[0].name;
        x->n_seeds = c->request->n_seeds;
        x->detectable = NAN;
        const int32_t n = whole_pairs(q, c->request->n_seeds, a, b);
        if (n > 0)
            wispi_paired_test(a, b, n, 0.95, &x->test);
        x->is_judged = !wispi_verdict_withheld(x, &why);
        c->n_tests += x->is_judged;
        wispi_text_free(&why);
    }
    return WISP_OK;
}

/* All verdicts of a comparison are one family: what is said of any of them is wrong with 5 %. */
static wisp_status judge_all(comparison *c, wisp_error *err)
{
    double *p = wispi_arena_array(c->arena, (size_t)c->n_tests + 1, sizeof *p);
    int32_t n = 0;
    if (!p)
        return no_memory(err);
    for (int32_t i = 0; i < c->pairing.n; i++) {
        const wispi_answer *x = &c->answers[i];
        if (x->is_judged)
            p[n++] = wispi_verdict_by_flips(x) ? x->test.p_flip : x->test.p_t;
    }
    WISP_TRY(wispi_holm(p, n, err));
    n = 0;
    for (int32_t i = 0; i < c->pairing.n; i++) {
        wispi_answer *x = &c->answers[i];
        if (!x->is_judged)
            continue;
        x->p_adjusted = p[n++];
        x->n_tests = c->n_tests;
        x->detectable = wispi_detectable(x->test.n, x->test.sd, family_level / c->n_tests, power);
    }
    return WISP_OK;
}

/* --- JSON --- */

/* The list with one item more; NULL, and the list is gone, without memory. */
static json_t *appended(json_t *list, json_t *item)
{
    if (json_array_append_new(list, item) == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *pairs_json(const comparison *c, const wispi_question *q)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < c->request->n_seeds; i++)
        list = appended(list,
                        json_pack("{s:I, s:o, s:o}", "seed", (json_int_t)c->request->seeds[i], "a",
                                  wispi_json_number(q->a[i]), "b", wispi_json_number(q->b[i])));
    return list;
}

static json_t *verdict_json(const wispi_answer *x)
{
    const int sign = wispi_verdict_sign(x);
    if (!x->is_judged)
        return json_null();
    return sign ? json_sprintf("%s better", sign > 0 ? x->arm : x->against)
                : json_string(WISPI_VERDICT_NONE);
}

static json_t *words_json(const wispi_answer *x)
{
    wispi_text words = {0};
    wispi_verdict_words(x, &words);
    json_t *text = words.failed ? NULL : wispi_json_string(words.data);
    wispi_text_free(&words);
    return text;
}

static json_t *decided_json(const wispi_answer *x)
{
    return x->is_judged ? json_string(wispi_verdict_by_flips(x) ? "flip" : "t") : json_null();
}

/* Of one pair only the difference is a number that says something. */
static json_t *numbers_json(const wispi_answer *x)
{
    const wispi_paired *t = &x->test;
    const double some = t->n > 0 ? 0 : NAN, several = t->n > 1 ? 0 : NAN;
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "n", (int)t->n,
                     "mean", wispi_json_number(t->mean + some), "sd",
                     wispi_json_number(t->sd + several), "low", wispi_json_number(t->low + several),
                     "high", wispi_json_number(t->high + several), "t",
                     wispi_json_number(t->t + several), "p_t", wispi_json_number(t->p_t + several),
                     "p_flip", wispi_json_number(t->p_flip + several), "p_flip_least",
                     wispi_json_number(t->p_flip_least + several), "flip_draws",
                     (json_int_t)t->flip_draws, "p_adjusted", wispi_json_number(x->p_adjusted),
                     "detectable", wispi_json_number(x->detectable));
}

static json_t *answer_json(const comparison *c, const wispi_answer *x)
{
    const wispi_question *q = x->question;
    json_t *entry = json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:o}", "metric", q->metric, "source",
                              q->source, "basis", q->basis, "at", wispi_json_number(q->at), "arm",
                              x->arm, "against", x->against, "pairs", pairs_json(c, q));
    json_t *numbers = numbers_json(x);
    json_t *outcome = json_pack("{s:o, s:o, s:o}", "decided_by", decided_json(x), "verdict",
                                verdict_json(x), "words", words_json(x));
    if (!entry || !numbers || !outcome || json_object_update(entry, numbers) != 0 ||
        json_object_update(entry, outcome) != 0) {
        json_decref(entry);
        entry = NULL;
    }
    json_decref(numbers);
    json_decref(outcome);
    return entry;
}

static json_t *answers_json(const comparison *c)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < c->pairing.n; i++)
        list = appended(list, answer_json(c, &c->answers[i]));
    return list;
}

static json_t *arms_json(const comparison *c)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < c->request->n_arms; i++) {
        const wispi_compared_arm *arm = &c->request->arms[i];
        const double pixels = wispi_pairing_pixels_per_image(c->request, i);
        list = appended(list, json_pack("{s:o, s:o, s:o}", "name", wispi_json_string(arm->name),
                                        "title", wispi_json_string(arm->title), "pixels_per_image",
                                        wispi_json_number(pixels)));
    }
    return list;
}

static json_t *seeds_json(const comparison *c)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < c->request->n_seeds; i++)
        list = appended(list, json_integer(c->request->seeds[i]));
    return list;
}

static json_t *missing_json(const comparison *c)
{
    json_t *list = json_array();
    for (int32_t arm = 0; arm < c->request->n_arms; arm++)
        for (int32_t i = 0; i < c->request->n_seeds; i++) {
            const wispi_compared_arm *of = &c->request->arms[arm];
            if (!wispi_pairing_run(c->request, arm, i))
                list = appended(list, json_pack("{s:s, s:I, s:s}", "arm", of->name, "seed",
                                                (json_int_t)c->request->seeds[i], "why",
                                                of->runs[i] ? "has not ended" : "is not there"));
        }
    return list;
}

static json_t *family_json(const comparison *c)
{
    json_t *words =
        c->n_tests > 1
            ? json_sprintf("Holm's correction over all %d verdicts: every metric, "
                           "basis and arm",
                           (int)c->n_tests)
            : json_string(c->n_tests ? "one verdict, nothing to correct" : "there are no verdicts");
    return json_pack("{s:i, s:o}", "tests", (int)c->n_tests, "words", words);
}

/* --- what the reader must know besides --- */

static int asks_at_pixels(const comparison *c)
{
    for (int32_t i = 0; i < c->pairing.n; i++)
        if (strcmp(c->pairing.list[i].basis, "equal pixels") == 0)
            return 1;
    return 0;
}

static wisp_status add_notes(comparison *c, const json_t *time, wisp_error *err)
{
    const int32_t n = c->request->n_seeds;
    json_t *notes = c->pairing.notes;
    if (c->n_tests > 0 && ldexp(1, 1 - n) > family_level)
        WISP_TRY(wispi_pairing_note(notes, err,
                                    "With %d seeds the sign-flip test cannot go below p = %.4g, so "
                                    "it cannot show a difference here; the t test decides.",
                                    (int)n, ldexp(1, 1 - n)));
    if (n > WISPI_FLIPS_COUNTED)
        WISP_TRY(wispi_pairing_note(notes, err,
                                    "Sign flips of %d seeds: %d drawn patterns instead of all.",
                                    (int)n, WISPI_FLIPS_DRAWN));
    if (asks_at_pixels(c))
        WISP_TRY(wispi_pairing_note(
            notes, err,
            "At equal pixels an arm that pushes more pixels is judged before its schedules have "
            "ended, which counts against it; for a fair test give it fewer epochs."));
    if (json_array_size(time) > 0)
        WISP_TRY(wispi_pairing_note(notes, err,
                                    "Minutes depend on the machine and on what else ran there."));
    return WISP_OK;
}

static wisp_status write_down(comparison *c, json_t **out, wisp_error *err)
{
    json_t *time = NULL, *missing = missing_json(c);
    wisp_status status = wispi_time_to_reach(c->request, &time, err);
    if (status == WISP_OK)
        status = add_notes(c, time, err);
    if (status != WISP_OK) {
        json_decref(time);
        json_decref(missing);
        return status;
    }
    json_t *differences =
        c->request->differences ? json_incref(c->request->differences) : json_array();
    json_t *made = json_pack("{s:o, s:o, s:o, s:b, s:o, s:f, s:f, s:o, s:o, s:o, s:O}", "arms",
                             arms_json(c), "seeds", seeds_json(c), "differences", differences,
                             "complete", json_array_size(missing) == 0, "missing", missing, "level",
                             family_level, "power", power, "family", family_json(c), "metrics",
                             answers_json(c), "time", time, "notes", c->pairing.notes);
    if (!made)
        return no_memory(err);
    *out = made;
    return WISP_OK;
}

static wisp_status make(comparison *c, json_t **out, wisp_error *err)
{
    if (!c->arena || !c->pairing.notes)
        return no_memory(err);
    if (c->request->n_arms < 2 || c->request->n_seeds < 1)
        return wisp_fail(err, WISP_E_INVALID,
                         "a comparison needs two arms and a seed, not %d and %d",
                         (int)c->request->n_arms, (int)c->request->n_seeds);
    WISP_TRY(wispi_pairing_make(c->request, c->arena, &c->pairing, err));
    WISP_TRY(test_all(c, err));
    WISP_TRY(judge_all(c, err));
    return write_down(c, out, err);
}

wisp_status wispi_comparison_make(const wispi_comparison_request *request, json_t **result,
                                  wisp_error *err)
{
    comparison c = {.request = request, .arena = wispi_arena_create(1 << 16)};
    c.pairing.notes = json_array();
    const wisp_status status = make(&c, result, err);
    json_decref(c.pairing.notes);
    wispi_arena_destroy(c.arena);
    return status;
}
