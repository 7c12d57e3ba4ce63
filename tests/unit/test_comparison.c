/* test_comparison.c - from runs to verdicts: what is paired, what is withheld, and how often a
 * verdict is wrong. Runs are made in memory. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/comparison.h"
#include "wisp/rng.h"

enum { MOST_SEEDS = 12, MOST_ARMS = 3, EPOCHS = 4 };

/* --- runs --- */

/* A probe "k_nn_top_1" after each epoch, and a task "linear_probe_top_1" at the end. */
typedef struct made_run {
    wispi_run_data data;
    wispi_curve curves[3];
    wispi_curve_point probe[EPOCHS], task, minutes[EPOCHS];
    wispi_run_result results[2];
} made_run;

typedef struct made_arms {
    made_run runs[MOST_ARMS][MOST_SEEDS];
    const wispi_run_data *list[MOST_ARMS][MOST_SEEDS];
    wispi_compared_arm arms[MOST_ARMS];
    int64_t seeds[MOST_SEEDS];
    wispi_comparison_request request;
    json_t *protocol;
} made_arms;

/* The probe rises by 10 an epoch to its final value; an epoch has 10 steps of 8 images. */
static void make_run(made_run *r, double probe, double task, double pixels_per_image,
                     json_t *protocol)
{
    static char names[3][32] = {"probe/k_nn_top_1", "task/linear_probe_top_1", "timing/minutes"};
    for (int i = 0; i < EPOCHS; i++) {
        const int epoch = i + 1;
        r->probe[i] = (wispi_curve_point){10 * epoch, epoch, probe - 10 * (EPOCHS - epoch),
                                          80 * epoch * pixels_per_image};
        r->minutes[i] = (wispi_curve_point){10 * epoch, epoch, 1.5 * epoch, NAN};
    }
    r->task = (wispi_curve_point){10 * EPOCHS, EPOCHS, task, NAN};
    r->curves[0] = (wispi_curve){names[0], EPOCHS, EPOCHS, r->probe, protocol};
    r->curves[1] = (wispi_curve){names[1], 1, 1, &r->task, protocol};
    r->curves[2] = (wispi_curve){names[2], EPOCHS, EPOCHS, r->minutes, NULL};
    r->results[0] = (wispi_run_result){"probe", names[0] + 6, 10 * EPOCHS, EPOCHS, probe, protocol};
    r->results[1] = (wispi_run_result){"task", names[1] + 5, 10 * EPOCHS, EPOCHS, task, protocol};
    r->data.batch = 8;
    r->data.is_done = 1;
    r->data.curves = r->curves;
    r->data.n_curves = 3;
    r->data.results = r->results;
    r->data.n_results = 2;
}

static made_arms *make_arms(int n_arms, int n_seeds)
{
    static const char *const names[] = {"A", "B", "C"}, *const titles[] = {"one", "two", "three"};
    made_arms *m = calloc(1, sizeof *m);
    m->protocol = json_pack("{s:i, s:s}", "k", 20, "network", "student.backbone");
    for (int i = 0; i < n_arms; i++) {
        m->arms[i] = (wispi_compared_arm){names[i], titles[i], m->list[i]};
        for (int k = 0; k < n_seeds; k++) {
            make_run(&m->runs[i][k], 60, 70, 3072, m->protocol);
            m->list[i][k] = &m->runs[i][k].data;
            m->seeds[k] = k;
        }
    }
    m->request = (wispi_comparison_request){
        .arms = m->arms, .n_arms = n_arms, .seeds = m->seeds, .n_seeds = n_seeds};
    return m;
}

static void free_arms(made_arms *m)
{
    json_decref(m->protocol);
    free(m);
}

static void set_run(made_arms *m, int arm, int seed, double probe, double task, double pixels)
{
    make_run(&m->runs[arm][seed], probe, task, pixels, m->protocol);
}

/* Both arms differ by `gain`, give or take `spread`. */
static void set_gain(made_arms *m, int arm, double gain, double spread)
{
    static const double shape[] = {0.1, -0.7, 1.2, -0.4, -0.2, 0.6, -0.6, 0.3, -0.3, 0.2, -0.1, 0};
    for (int k = 0; k < m->request.n_seeds; k++) {
        const double d = gain + spread * shape[k];
        set_run(m, 0, k, 60 + k, 70 + k, 3072);
        set_run(m, arm, k, 60 + k + d, 70 + k + d, 3072);
    }
}

static json_t *compare(const made_arms *m)
{
    json_t *result = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_comparison_make(&m->request, &result, &err) == WISP_OK, "%s", err.message);
    return result;
}

static const json_t *find(const json_t *comparison, const char *metric, const char *basis,
                          const char *arm)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(comparison, "metrics"), i, entry)
    {
        if (!strcmp(json_string_value(json_object_get(entry, "metric")), metric) &&
            !strcmp(json_string_value(json_object_get(entry, "basis")), basis) &&
            !strcmp(json_string_value(json_object_get(entry, "arm")), arm))
            return entry;
    }
    return NULL;
}

static const json_t *task_of(const json_t *comparison)
{
    return find(comparison, "linear_probe_top_1", "equal epochs", "B");
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "no number %s", key);
    return json_number_value(value);
}

static int is_null(const json_t *object, const char *key)
{
    ck_assert_msg(json_object_get(object, key) != NULL, "no %s", key);
    return json_is_null(json_object_get(object, key));
}

static void says(const json_t *object, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(object, key));
    ck_assert_msg(value && strstr(value, text), "%s: %s; not: %s", key, value ? value : "null",
                  text);
}

/* --- verdicts --- */

START_TEST(a_gain_is_shown)
{
    made_arms *m = make_arms(2, 5);
    set_gain(m, 1, 1.5, 0.5);
    json_t *c = compare(m);
    ck_assert(json_is_true(json_object_get(c, "complete")));
    ck_assert_uint_eq(json_array_size(json_object_get(c, "metrics")), 2);
    ck_assert_double_eq(number(json_object_get(c, "family"), "tests"), 2);
    const json_t *task = task_of(c);
    says(task, "verdict", "B better");
    says(task, "words", "B better by 1.50 points (95 % interval +1.");
    says(task, "decided_by", "t");
    ck_assert_double_eq(number(task, "n"), 5);
    ck_assert_double_eq(number(task, "at"), EPOCHS);
    ck_assert_double_eq_tol(number(task, "mean"), 1.5, 1e-9);
    ck_assert_double_eq_tol(number(task, "p_adjusted"), 2 * number(task, "p_t"), 1e-12);
    ck_assert_double_eq(number(task, "p_flip"), 0.0625);
    ck_assert(number(task, "detectable") > 0);
    json_decref(c);
    set_gain(m, 1, -1.5, 0.5);
    c = compare(m);
    says(task_of(c), "verdict", "A better");
    says(task_of(c), "words", "A better by 1.50 points (95 % interval -1.");
    json_decref(c);
    free_arms(m);
}
END_TEST

START_TEST(no_gain_is_shown)
{
    made_arms *m = make_arms(2, 5);
    set_gain(m, 1, 0.1, 1);
    json_t *c = compare(m);
    says(task_of(c), "verdict", "no difference shown");
    says(task_of(c), "words", "no difference shown: +0.10 points (95 % interval -0.");
    says(task_of(c), "words", "the run could have seen ");
    json_decref(c);
    free_arms(m);
    m = make_arms(2, 2);
    set_gain(m, 1, 3, 10);
    c = compare(m);
    says(task_of(c), "words", "; so few seeds could have seen no difference at all");
    json_decref(c);
    free_arms(m);
}
END_TEST

/* Alone it would be a difference; among many it is none. */
START_TEST(many_questions_cost)
{
    made_arms *m = make_arms(3, 5);
    set_gain(m, 2, 0, 1);
    set_gain(m, 1, 1, 0.95);
    json_t *c = compare(m);
    const json_t *task = task_of(c);
    ck_assert_double_eq(number(json_object_get(c, "family"), "tests"), 4);
    ck_assert(number(task, "p_t") < 0.05 && number(task, "p_adjusted") > 0.05);
    says(task, "verdict", "no difference shown");
    says(task, "words", "as one of 4 tests");
    const double among_four = number(task, "detectable");
    json_decref(c);
    static const char *const only[] = {"linear_probe_top_1"};
    m->request.metrics = only;
    m->request.n_metrics = 1;
    m->request.n_arms = 2;
    c = compare(m);
    ck_assert_uint_eq(json_array_size(json_object_get(c, "metrics")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(c, "time")), 0);
    says(task_of(c), "verdict", "B better");
    ck_assert(number(task_of(c), "detectable") < among_four);
    json_decref(c);
    free_arms(m);
}
END_TEST

START_TEST(one_seed_says_nothing)
{
    made_arms *m = make_arms(2, 1);
    set_run(m, 1, 0, 65, 75, 3072);
    json_t *c = compare(m);
    const json_t *task = task_of(c);
    ck_assert(is_null(task, "verdict") && is_null(task, "p_t") && is_null(task, "p_flip") &&
              is_null(task, "low") && is_null(task, "detectable") && is_null(task, "sd"));
    ck_assert_double_eq(number(task, "mean"), 5);
    says(task, "words", "+5.00 points; no verdict: one seed says nothing");
    says(json_object_get(c, "family"), "words", "there are no verdicts");
    json_decref(c);
    free_arms(m);
}
END_TEST

START_TEST(equal_arms_are_equal)
{
    made_arms *m = make_arms(2, 6);
    json_t *c = compare(m);
    const json_t *task = task_of(c);
    says(task, "verdict", "no difference shown");
    says(task, "words", "A and B have the same value in every seed");
    says(task, "decided_by", "flip");
    ck_assert(is_null(task, "p_t") && is_null(task, "detectable"));
    ck_assert_double_eq(number(task, "p_adjusted"), 1);
    json_decref(c);
    free_arms(m);
}
END_TEST

/* The same difference in every seed: no t test, and five sign flips are not enough; eight are. */
START_TEST(without_spread_the_flips_decide)
{
    made_arms *m = make_arms(2, 5);
    set_gain(m, 1, 1, 0);
    json_t *c = compare(m);
    says(task_of(c), "verdict", "no difference shown");
    says(task_of(c), "words", "all 5 differences are +1.00 points");
    json_decref(c);
    free_arms(m);
    m = make_arms(2, 8);
    set_gain(m, 1, 1, 0);
    c = compare(m);
    says(task_of(c), "verdict", "B better");
    says(task_of(c), "words", "the same difference in all 8 seeds");
    ck_assert(is_null(task_of(c), "low"));
    json_decref(c);
    free_arms(m);
}
END_TEST

/* --- what is withheld --- */

START_TEST(missing_runs_withhold_the_verdict)
{
    made_arms *m = make_arms(2, 5);
    set_gain(m, 1, 3, 0.5);
    m->list[1][3] = NULL;
    m->runs[0][4].data.is_done = 0;
    json_t *c = compare(m);
    ck_assert(json_is_false(json_object_get(c, "complete")));
    const json_t *missing = json_object_get(c, "missing");
    ck_assert_uint_eq(json_array_size(missing), 2);
    says(json_array_get(missing, 0), "arm", "A");
    says(json_array_get(missing, 0), "why", "has not ended");
    says(json_array_get(missing, 1), "why", "is not there");
    ck_assert(is_null(task_of(c), "verdict") && is_null(task_of(c), "p_adjusted"));
    ck_assert_double_eq(number(task_of(c), "n"), 3);
    says(task_of(c), "words", "no verdict yet: 3 of 5 pairs are done");
    json_decref(c);
    memset(m->list, 0, sizeof m->list);
    c = compare(m);
    ck_assert_uint_eq(json_array_size(json_object_get(c, "metrics")), 0);
    json_decref(c);
    free_arms(m);
}
END_TEST

START_TEST(values_that_are_not_finite_withhold_the_verdict)
{
    made_arms *m = make_arms(2, 5);
    set_gain(m, 1, 3, 0.5);
    m->runs[1][2].task.value = NAN;
    json_t *c = compare(m);
    ck_assert(is_null(task_of(c), "verdict"));
    says(task_of(c), "words", "no verdict: 1 of 5 pairs have no finite value");
    ck_assert(is_null(json_array_get(json_object_get(task_of(c), "pairs"), 2), "b"));
    says(find(c, "k_nn_top_1", "equal epochs", "B"), "verdict", "B better");
    ck_assert_double_eq(number(json_object_get(c, "family"), "tests"), 1);
    json_decref(c);
    free_arms(m);
}
END_TEST

/* The path of the network is another thing than the way of judging. */
START_TEST(other_protocols_withhold_the_verdict)
{
    made_arms *m = make_arms(2, 5);
    set_gain(m, 1, 3, 0.5);
    json_t *other = json_pack("{s:i, s:s}", "k", 20, "network", "teacher.backbone");
    for (int k = 0; k < 5; k++)
        m->runs[1][k].curves[1].protocol = other;
    json_t *c = compare(m);
    says(task_of(c), "verdict", "B better");
    json_decref(c);
    json_object_set_new(other, "k", json_integer(5));
    c = compare(m);
    ck_assert(is_null(task_of(c), "verdict"));
    says(task_of(c), "words", "measured differently (k: 20 and 5)");
    json_decref(c);
    json_decref(other);
    free_arms(m);
}
END_TEST

START_TEST(losses_are_shown_and_not_judged)
{
    made_arms *m = make_arms(2, 5);
    set_gain(m, 1, 3, 0.5);
    for (int arm = 0; arm < 2; arm++)
        for (int k = 0; k < 5; k++) {
            static char name[] = "task/linear_loss";
            m->runs[arm][k].curves[1].name = name;
            m->runs[arm][k].results[1].metric = name + 5;
        }
    json_t *c = compare(m);
    const json_t *loss = find(c, "linear_loss", "equal epochs", "B");
    ck_assert(is_null(loss, "verdict"));
    says(loss, "words", "losses of different arms are not comparable");
    json_decref(c);
    free_arms(m);
}
END_TEST

/* --- equal epochs, equal pixels, time --- */

/* B pushes a quarter more. Where A ends, after 4 epochs, B is at 3.2 epochs. */
START_TEST(equal_pixels_lie_between_evaluations)
{
    made_arms *m = make_arms(2, 5);
    for (int k = 0; k < 5; k++) {
        set_run(m, 0, k, 60 + k, 70, 3072);
        set_run(m, 1, k, 65 + k, 71, 1.25 * 3072);
    }
    json_t *c = compare(m);
    const json_t *pixels = find(c, "k_nn_top_1", "equal pixels", "B");
    ck_assert_double_eq(number(pixels, "at"), 4 * 80 * 3072);
    const json_t *pair = json_array_get(json_object_get(pixels, "pairs"), 1);
    ck_assert_double_eq_tol(number(pair, "a"), 61, 1e-9);
    ck_assert_double_eq_tol(number(pair, "b"), 58, 1e-9); /* 66 - 10 * 0.8 */
    const json_t *epochs = find(c, "k_nn_top_1", "equal epochs", "B");
    pair = json_array_get(json_object_get(epochs, "pairs"), 1);
    ck_assert_double_eq_tol(number(pair, "b"), 66, 1e-9);
    const json_t *arm = json_array_get(json_object_get(c, "arms"), 1);
    ck_assert_double_eq_tol(number(arm, "pixels_per_image"), 3840, 1e-9);
    ck_assert_ptr_null(find(c, "linear_probe_top_1", "equal pixels", "B"));
    ck_assert_double_eq(number(json_object_get(c, "family"), "tests"), 3);
    json_decref(c);
    m->runs[1][0].probe[1].pixels = NAN;
    c = compare(m);
    ck_assert_ptr_null(find(c, "k_nn_top_1", "equal pixels", "B"));
    json_decref(c);
    free_arms(m);
}
END_TEST

/* Before its first evaluation an arm has no value. */
START_TEST(no_value_before_the_first_evaluation)
{
    made_arms *m = make_arms(2, 3);
    for (int k = 0; k < 3; k++)
        set_run(m, 1, k, 65 + k, 71, 5 * 3072);
    json_t *c = compare(m);
    const json_t *pixels = find(c, "k_nn_top_1", "equal pixels", "B");
    ck_assert(is_null(json_array_get(json_object_get(pixels, "pairs"), 0), "b"));
    ck_assert(is_null(pixels, "verdict"));
    json_decref(c);
    free_arms(m);
}
END_TEST

/* B was trained for 3 epochs of 4. */
START_TEST(arms_of_other_length)
{
    made_arms *m = make_arms(2, 3);
    for (int k = 0; k < 3; k++) {
        set_run(m, 1, k, 65 + k, 71 + k, 4.0 / 3 * 3072);
        m->runs[1][k].curves[0].n = 3;
        m->runs[1][k].task.epoch = 3;
        m->runs[1][k].results[0].epoch = m->runs[1][k].results[1].epoch = 3;
    }
    json_t *c = compare(m);
    const json_t *probe = find(c, "k_nn_top_1", "equal epochs", "B");
    ck_assert_double_eq(number(probe, "at"), 3);
    const json_t *pair = json_array_get(json_object_get(probe, "pairs"), 0);
    ck_assert_double_eq_tol(number(pair, "a"), 50, 1e-9);
    ck_assert_double_eq_tol(number(pair, "b"), 55, 1e-9);
    ck_assert_ptr_null(task_of(c));
    const json_t *end = find(c, "linear_probe_top_1", "end of training", "B");
    ck_assert(is_null(end, "at"));
    ck_assert_ptr_null(find(c, "k_nn_top_1", "equal pixels", "B")); /* they end with the same */
    json_decref(c);
    free_arms(m);
}
END_TEST

/* The task and the probe judged the same weights in the same way: one question, not two. */
START_TEST(a_probe_that_repeats_a_task_is_not_asked_again)
{
    made_arms *m = make_arms(2, 5);
    static char name[] = "task/k_nn_top_1";
    set_gain(m, 1, 1, 0.5);
    for (int arm = 0; arm < 2; arm++)
        for (int k = 0; k < 5; k++) {
            m->runs[arm][k].curves[1].name = name;
            m->runs[arm][k].results[1].metric = name + 5;
        }
    json_t *c = compare(m);
    ck_assert_uint_eq(json_array_size(json_object_get(c, "metrics")), 1);
    json_decref(c);
    free_arms(m);
}
END_TEST

START_TEST(time_to_reach_the_first_arms_end)
{
    made_arms *m = make_arms(2, 3);
    set_run(m, 1, 0, 75, 70, 3072); /* 65 after 3 epochs: 4.5 minutes */
    set_run(m, 1, 1, 55, 70, 3072); /* never */
    set_run(m, 1, 2, 60, 70, 3072); /* at its end: 6 minutes */
    json_t *c = compare(m);
    const json_t *time = json_array_get(json_object_get(c, "time"), 0);
    const json_t *pairs = json_object_get(time, "pairs");
    ck_assert_double_eq(number(json_array_get(pairs, 0), "b"), 4.5);
    ck_assert_double_eq(number(json_array_get(pairs, 0), "b_epoch"), 3);
    ck_assert_double_eq(number(json_array_get(pairs, 0), "a"), 6);
    ck_assert_double_eq(number(json_array_get(pairs, 0), "target"), 60);
    ck_assert(is_null(json_array_get(pairs, 1), "b") &&
              is_null(json_array_get(pairs, 1), "b_epoch"));
    says(time, "words", "B reached A's final value in 2 of 3 seeds after 5.2 minutes");
    json_decref(c);
    free_arms(m);
}
END_TEST

/* --- text and form --- */

START_TEST(the_text_holds_every_number)
{
    made_arms *m = make_arms(2, 5);
    set_gain(m, 1, 1.5, 0.5);
    m->list[1][0] = NULL;
    json_t *c = compare(m);
    wispi_text text = {0};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_comparison_text(c, &text, &err), WISP_OK);
    static const char *const parts[] = {"A  one", "missing: B seed 0 is not there",
                                        "linear_probe_top_1 (task), equal epochs (4)",
                                        "no verdict yet", "         4     74.00"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        ck_assert_msg(strstr(text.data, parts[i]) != NULL, "%s is not in\n%s", parts[i], text.data);
    wispi_text_free(&text);
    json_decref(c);
    free_arms(m);
}
END_TEST

/* Every key of `a` is in `b`, down to the first items of arrays. */
static void same_keys(const json_t *a, const json_t *b, const char *where)
{
    const char *key;
    json_t *value;
    if (json_is_array(a) && json_is_array(b) && json_array_size(a) && json_array_size(b))
        same_keys(json_array_get(a, 0), json_array_get(b, 0), where);
    if (!json_is_object(a))
        return;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        ck_assert_msg(json_object_get(b, key) != NULL, "%s has no %s", where, key);
        same_keys(value, json_object_get(b, key), key);
    }
}

/* What the page is tested with has the form of what it will get. */
START_TEST(the_example_has_the_form)
{
    json_error_t why;
    json_t *example = json_load_file("tests/report/comparison_example.json", 0, &why);
    ck_assert_msg(example != NULL, "%s", why.text);
    made_arms *m = make_arms(2, 5);
    json_t *c = compare(m);
    same_keys(example, c, "a comparison");
    same_keys(c, example, "the example");
    wispi_text text = {0};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_comparison_text(example, &text, &err), WISP_OK);
    wispi_text_free(&text);
    json_decref(c);
    json_decref(example);
    free_arms(m);
}
END_TEST

/* What is asked for and is nowhere, and what one arm alone has, is said. */
START_TEST(metrics_that_are_not_there)
{
    static const char *const asked[] = {"k_nn_top_1", "k_nn_top_2"};
    made_arms *m = make_arms(2, 3);
    m->request.metrics = asked;
    m->request.n_metrics = 2;
    for (int k = 0; k < 3; k++) {
        m->runs[1][k].data.n_curves = 0;
        m->runs[1][k].data.n_results = 0;
    }
    json_t *c = compare(m);
    ck_assert_uint_eq(json_array_size(json_object_get(c, "metrics")), 0);
    const json_t *notes = json_object_get(c, "notes");
    ck_assert_str_eq(json_string_value(json_array_get(notes, 0)),
                     "k_nn_top_1: A has it and B has not, so they cannot be compared by it.");
    ck_assert_str_eq(json_string_value(json_array_get(notes, json_array_size(notes) - 1)),
                     "k_nn_top_2: no run has a task or probe that reports it.");
    json_decref(c);
    free_arms(m);
}
END_TEST

START_TEST(calls_that_make_no_sense)
{
    made_arms *m = make_arms(1, 2);
    json_t *c = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_comparison_make(&m->request, &c, &err), WISP_E_INVALID);
    ck_assert_ptr_null(c);
    free_arms(m);
}
END_TEST

START_TEST(without_memory_nothing_is_left)
{
    made_arms *m = make_arms(3, 5);
    set_gain(m, 1, 1, 0.5);
    const int64_t blocks = wispi_live_blocks();
    wisp_status status = WISP_E_NOMEM;
    for (int nth = 1; status == WISP_E_NOMEM; nth++) {
        json_t *c = NULL;
        wisp_error err = {0};
        wispi_fail_allocation(nth);
        status = wispi_comparison_make(&m->request, &c, &err);
        wispi_fail_allocation(-1);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 1000);
        json_decref(c);
    }
    ck_assert_int_eq(status, WISP_OK);
    free_arms(m);
}
END_TEST

/* --- wrong verdicts --- */

/* Comparisons of equal arms with a verdict on any of two metrics. Each arm's runs are as they would
 * be with seeds of their own. */
START_TEST(comparisons_of_equal_arms_are_wrong_once_in_twenty)
{
    enum { TRIALS = 600 };
    made_arms *m = make_arms(2, 5);
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(77, WISP_STREAM_TASK));
    int wrong = 0, wrong_task = 0;
    for (int i = 0; i < TRIALS; i++) {
        for (int k = 0; k < 5; k++)
            for (int arm = 0; arm < 2; arm++)
                set_run(m, arm, k, 60 + wisp_rng_normal(&rng), 70 + wisp_rng_normal(&rng), 3072);
        json_t *c = compare(m);
        const json_t *metrics = json_object_get(c, "metrics");
        int any = 0;
        for (size_t q = 0; q < json_array_size(metrics); q++) {
            const json_t *entry = json_array_get(metrics, q);
            any |= strcmp(json_string_value(json_object_get(entry, "verdict")),
                          "no difference shown") != 0;
        }
        wrong += any;
        wrong_task += number(task_of(c), "p_t") <= 0.05;
        json_decref(c);
    }
    ck_assert_msg(wrong >= 0.03 * TRIALS && wrong <= 0.07 * TRIALS, "%d", wrong);
    ck_assert_msg(wrong_task >= 0.03 * TRIALS && wrong_task <= 0.07 * TRIALS, "%d", wrong_task);
    free_arms(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("comparison");
    TCase *tests = tcase_create("comparison");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_gain_is_shown);
    tcase_add_test(tests, no_gain_is_shown);
    tcase_add_test(tests, many_questions_cost);
    tcase_add_test(tests, one_seed_says_nothing);
    tcase_add_test(tests, equal_arms_are_equal);
    tcase_add_test(tests, without_spread_the_flips_decide);
    tcase_add_test(tests, missing_runs_withhold_the_verdict);
    tcase_add_test(tests, values_that_are_not_finite_withhold_the_verdict);
    tcase_add_test(tests, other_protocols_withhold_the_verdict);
    tcase_add_test(tests, losses_are_shown_and_not_judged);
    tcase_add_test(tests, equal_pixels_lie_between_evaluations);
    tcase_add_test(tests, no_value_before_the_first_evaluation);
    tcase_add_test(tests, arms_of_other_length);
    tcase_add_test(tests, a_probe_that_repeats_a_task_is_not_asked_again);
    tcase_add_test(tests, time_to_reach_the_first_arms_end);
    tcase_add_test(tests, the_text_holds_every_number);
    tcase_add_test(tests, the_example_has_the_form);
    tcase_add_test(tests, metrics_that_are_not_there);
    tcase_add_test(tests, calls_that_make_no_sense);
    tcase_add_test(tests, without_memory_nothing_is_left);
    tcase_add_test(tests, comparisons_of_equal_arms_are_wrong_once_in_twenty);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
