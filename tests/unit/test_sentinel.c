/* test_sentinel.c - which measurements say that a run has collapsed. The curves are of two SwAV
 * trainings of a quarter-width ResNet18 on CIFAR-10 that differ in the learning rate alone: k-NN
 * went from 34 to 41 % in the one and stayed at 25 % in the other. */
#include "model_fixture.h"
#include "train/sentinel.h"

#include "wisp/sdk.h"

/* loss_global and code_entropy of 256 prototypes every ten steps. */
static const double healthy[][2] = {
    {5.8990, 4.6976}, {5.8591, 4.7177}, {5.7924, 4.7145}, {5.7810, 4.7910}, {5.7471, 4.9244},
    {5.6860, 5.0625}, {5.6604, 5.1632}, {5.6468, 5.2791}, {5.6075, 5.3386}, {5.6474, 5.3793},
    {5.6122, 5.4011}, {5.5980, 5.4273}, {5.6012, 5.4544}, {5.6012, 5.4623}, {5.5920, 5.4779},
    {5.5935, 5.4857}, {5.5939, 5.4922}, {5.5941, 5.5001}, {5.5874, 5.4999}, {5.5936, 5.5065},
    {5.5911, 5.5111}, {5.5890, 5.5142}, {5.5916, 5.5195}, {5.5862, 5.5166}, {5.5822, 5.5210},
    {5.5834, 5.5202}, {5.5859, 5.5217}, {5.5880, 5.5233}, {5.5867, 5.5246}, {5.5844, 5.5241},
    {5.5808, 5.5240}, {5.5865, 5.5261}, {5.5841, 5.5272}, {5.5823, 5.5266}, {5.5833, 5.5225},
    {5.5827, 5.5206}, {5.5852, 5.5234}, {5.5813, 5.5232}, {5.5861, 5.5235}, {5.5786, 5.5194},
    {5.5819, 5.5186}, {5.5769, 5.5161}, {5.5802, 5.5121}, {5.5843, 5.5108}, {5.5797, 5.5064},
    {5.5763, 5.5026}, {5.5803, 5.4991}, {5.5799, 5.4920}, {5.5615, 5.4844}, {5.5832, 5.4789},
    {5.5665, 5.4745}, {5.5686, 5.4643}, {5.5599, 5.4555}, {5.5586, 5.4498}, {5.5425, 5.4384},
    {5.5365, 5.4305}, {5.5438, 5.4263}, {5.5487, 5.4162}, {5.5126, 5.4102}, {5.4966, 5.4082}};
static const double collapsed[][2] = {
    {5.8990, 4.6976}, {5.8160, 4.7380}, {5.7032, 4.9144}, {5.6647, 5.1828}, {5.6280, 5.3466},
    {5.5809, 5.4287}, {5.5648, 5.4718}, {5.5550, 5.5047}, {5.5466, 5.5202}, {5.5503, 5.5288},
    {5.5472, 5.5326}, {5.5466, 5.5352}, {5.5464, 5.5388}, {5.5464, 5.5394}, {5.5459, 5.5410},
    {5.5459, 5.5414}, {5.5458, 5.5420}, {5.5458, 5.5424}, {5.5457, 5.5421}, {5.5457, 5.5429},
    {5.5456, 5.5435}, {5.5455, 5.5435}, {5.5455, 5.5439}, {5.5455, 5.5436}, {5.5454, 5.5441},
    {5.5454, 5.5441}, {5.5454, 5.5444}, {5.5454, 5.5443}, {5.5454, 5.5445}, {5.5453, 5.5445},
    {5.5453, 5.5444}, {5.5453, 5.5447}, {5.5452, 5.5448}, {5.5453, 5.5447}, {5.5453, 5.5446},
    {5.5453, 5.5445}, {5.5453, 5.5447}, {5.5453, 5.5447}, {5.5453, 5.5448}, {5.5453, 5.5448},
    {5.5452, 5.5449}, {5.5453, 5.5448}, {5.5452, 5.5449}, {5.5452, 5.5449}, {5.5452, 5.5449},
    {5.5452, 5.5450}, {5.5452, 5.5449}, {5.5452, 5.5450}, {5.5452, 5.5449}, {5.5452, 5.5449},
    {5.5452, 5.5450}, {5.5452, 5.5450}, {5.5452, 5.5450}, {5.5452, 5.5450}, {5.5452, 5.5450},
    {5.5452, 5.5450}, {5.5452, 5.5450}, {5.5452, 5.5450}, {5.5452, 5.5450}, {5.5452, 5.5450}};

static void open_model(fixture *f, double warmup_epochs)
{
    wisp_schedule lr = {.kind = WISP_SCHEDULE_CONSTANT, .value = 1e-3};
    lr.warmup_epochs = warmup_epochs;
    fixture_open(f, 1);
    wisp_new_scalar(f->b, "lr", &lr);
    wisp_uniform_sign(f->b, "code_entropy", 256, "codes are uniform", "change something");
    wisp_uniform_sign(f->b, "loss_global", 256, "the loss is pinned", "change something");
}

static const wispi_sign *judge_one(wispi_sentinel *s, int64_t step, const char *name, double value)
{
    const wispi_metric_value values[] = {{"grad_norm", 1}, {name, value}};
    return wispi_sentinel_judge(s, step, values, 2);
}

/* The step of the first verdict, or -1; and what it is of, until the next call. */
static int64_t verdict(wispi_sentinel *s, const double (*curve)[2], int n, const char **metric)
{
    static char name[64];
    for (int i = 0; i < n; i++) {
        const wispi_metric_value values[] = {{"loss_global", curve[i][0]},
                                             {"code_entropy", curve[i][1]}};
        const wispi_sign *sign = wispi_sentinel_judge(s, 10 * i, values, 2);
        if (sign) {
            snprintf(name, sizeof name, "%s", sign->metric);
            *metric = name;
            return 10 * i;
        }
    }
    return -1;
}

static int64_t verdict_of(const double (*curve)[2], int n, double warmup, const char **metric)
{
    fixture f;
    wispi_sentinel s;
    wispi_health_state state = {0};
    open_model(&f, warmup);
    wispi_sentinel_begin(&s, f.model, 100, &state);
    const int64_t step = verdict(&s, curve, n, metric);
    fixture_close(&f);
    return step;
}

START_TEST(a_healthy_curve_gives_no_verdict)
{
    const char *metric = NULL;
    ck_assert_int_eq(verdict_of(healthy, (int)WISP_COUNT(healthy), 0, &metric), -1);
}
END_TEST

/* The loss is within 0.005 of ln 256 at step 80 and from 100 on. */
START_TEST(a_collapsed_curve_gives_one_after_200_steps)
{
    const char *metric = NULL;
    ck_assert_int_eq(verdict_of(collapsed, (int)WISP_COUNT(collapsed), 0, &metric), 300);
    ck_assert_str_eq(metric, "loss_global");
}
END_TEST

START_TEST(the_warm_up_is_waited_for)
{
    const char *metric = NULL;
    ck_assert_int_eq(verdict_of(collapsed, (int)WISP_COUNT(collapsed), 4.95, &metric), 500);
}
END_TEST

/* One measurement elsewhere, and it begins anew. */
START_TEST(a_stay_must_not_be_interrupted)
{
    fixture f;
    wispi_sentinel s;
    wispi_health_state state = {0};
    open_model(&f, 0);
    wispi_sentinel_begin(&s, f.model, 100, &state);
    ck_assert(wispi_sentinel_is_calm(&s));
    for (int64_t step = 0; step < 1000; step += 10) {
        const int elsewhere = step % 200 == 190;
        ck_assert_ptr_null(judge_one(&s, step, "loss_global", elsewhere ? 5.5 : log(256)));
        ck_assert_int_eq(wispi_sentinel_is_calm(&s), elsewhere);
    }
    ck_assert_ptr_null(judge_one(&s, 1000, "loss_global", NAN));
    ck_assert(wispi_sentinel_is_calm(&s));
    ck_assert_ptr_null(judge_one(&s, 1010, "loss_global", log(256)));
    ck_assert_ptr_null(judge_one(&s, 1020, "loss_local", log(256)));
    ck_assert(!wispi_sentinel_is_calm(&s)); /* nothing was heard of loss_global */
    fixture_close(&f);
}
END_TEST

/* 200 steps when every step is measured; ten measurements when few are. */
START_TEST(a_verdict_needs_steps_and_measurements)
{
    static const struct {
        int64_t every, first;
    } cases[] = {{1, 200}, {10, 200}, {50, 450}, {1000, 9000}};
    fixture f;
    wispi_sentinel s;
    wispi_health_state state = {0};
    open_model(&f, 0);
    wispi_sentinel_begin(&s, f.model, 100, &state);
    for (int64_t step = 0;; step += cases[_i].every) {
        const wispi_sign *sign = judge_one(&s, step, "code_entropy", log(256) - 0.004);
        ck_assert_int_eq(sign != NULL, step >= cases[_i].first);
        if (sign) {
            ck_assert_str_eq(sign->metric, "code_entropy");
            ck_assert_int_eq(wispi_sentinel_since(&s, sign), 0);
            break;
        }
    }
    fixture_close(&f);
}
END_TEST

/* Such as the embeddings of a last batch that has too few images for them. */
START_TEST(silence_does_not_end_a_stay)
{
    fixture f;
    wispi_sentinel s;
    wispi_health_state state = {0};
    open_model(&f, 0);
    wispi_sentinel_begin(&s, f.model, 100, &state);
    for (int64_t step = 0; step <= 200; step += 10) {
        const char *name = step % 20 ? "loss_local" : "code_entropy";
        ck_assert_int_eq(judge_one(&s, step, name, log(256)) != NULL, step == 200);
    }
    ck_assert_ptr_null(judge_one(&s, 210, "loss_local", log(256)));
    fixture_close(&f);
}
END_TEST

START_TEST(the_host_judges_embeddings)
{
    static const struct {
        const char *metric;
        double value;
        int bad;
    } cases[] = {
        {"embedding_std", 0, 1},     {"embedding_std", 0.009, 1}, {"embedding_std", 0.1, 0},
        {"embedding_std", 1, 0},     {"embedding_rank", 0, 1},    {"embedding_rank", 1, 1},
        {"embedding_rank", 1.15, 1}, {"embedding_rank", 2, 0},    {"embedding_rank", 60, 0}};
    fixture f;
    wispi_sentinel s;
    wispi_health_state state = {0};
    const wispi_sign *sign = NULL;
    open_model(&f, 0);
    wispi_sentinel_begin(&s, f.model, 100, &state);
    for (int64_t step = 0; step <= 300; step += 10)
        sign = judge_one(&s, step, cases[_i].metric, cases[_i].value);
    ck_assert_int_eq(sign != NULL, cases[_i].bad);
    fixture_close(&f);
}
END_TEST

/* A verdict comes at the same step whether a run is stopped in between or not. */
START_TEST(what_is_remembered_is_in_the_state)
{
    const char *metric = NULL;
    fixture f;
    wispi_sentinel first, second;
    wispi_health_state state = {0}, stored, other = {.n = 3, .was_told = 1};
    open_model(&f, 0);
    wispi_sentinel_begin(&first, f.model, 100, &state);
    ck_assert_int_eq(verdict(&first, collapsed, 20, &metric), -1);
    stored = state;
    wispi_sentinel_begin(&second, f.model, 100, &stored);
    for (int64_t step = 200;; step += 10) {
        const wispi_sign *a = judge_one(&first, step, "loss_global", log(256));
        const wispi_sign *b = judge_one(&second, step, "loss_global", log(256));
        ck_assert_int_eq(a != NULL, b != NULL);
        if (a) {
            ck_assert_int_eq(step, 300);
            ck_assert_int_eq(wispi_sentinel_since(&second, b), 300 - 200);
            break;
        }
    }
    wispi_sentinel_begin(&second, f.model, 100, &other); /* of another list of signs */
    ck_assert(other.was_told == 0 && other.n == second.n_signs && wispi_sentinel_is_calm(&second));
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sentinel");
    TCase *tests = tcase_create("all");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, a_healthy_curve_gives_no_verdict);
    tcase_add_test(tests, a_collapsed_curve_gives_one_after_200_steps);
    tcase_add_test(tests, the_warm_up_is_waited_for);
    tcase_add_test(tests, a_stay_must_not_be_interrupted);
    tcase_add_test(tests, silence_does_not_end_a_stay);
    tcase_add_loop_test(tests, a_verdict_needs_steps_and_measurements, 0, 4);
    tcase_add_loop_test(tests, the_host_judges_embeddings, 0, 9);
    tcase_add_test(tests, what_is_remembered_is_in_the_state);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
