/* What a method asks of all ranks, and where: with one rank every collective is the identity, so
 * that no number would tell if one were missing. Here the table of operations is watched, and a
 * second rank is made of what the collectives of both together would have answered. */
#include "method_trial.h"
#include "model_fixture.h"

/* --- what is asked, in words --- */

static wisp_ops watched;
static char asked[512];

static void note(const char *what, wisp_step *s, const wisp_tensor *x)
{
    const wisp_desc *desc = wisp_shape_of(s, x);
    size_t n = strlen(asked);
    n += (size_t)snprintf(asked + n, sizeof asked - n, "%s%s(", n ? " " : "", what);
    for (int32_t i = 0; i < desc->rank; i++)
        n += (size_t)snprintf(asked + n, sizeof asked - n, "%s%lld", i ? "," : "",
                              (long long)desc->shape[i]);
    ck_assert_uint_lt(n + 2, sizeof asked);
    strcat(asked, ")");
}

static wisp_tensor *noted_sum(wisp_step *s, wisp_tensor *x)
{
    note("sum", s, x);
    return wispi_ops_table()->all_reduce_sum(s, x);
}

static wisp_tensor *noted_mean(wisp_step *s, wisp_tensor *x)
{
    note("mean", s, x);
    return wispi_ops_table()->all_reduce_mean(s, x);
}

static wisp_tensor *noted_gather(wisp_step *s, wisp_tensor *x, int32_t with_gradient)
{
    ck_assert_int_eq(with_gradient, 0);
    note("gather", s, x);
    return wispi_ops_table()->all_gather(s, x, with_gradient);
}

#define SMALL                                                                                      \
    "[backbone]\nuse = \"resnet\"\ndepth = 10\nwidth = 0.0625\nstem = \"cifar\"\n[method]\n"       \
    "hidden_dim = 16\n"
#define CODES "sum() sum(1,12) sum(1,12) sum(1,12)"

/* The centre is a mean over all ranks; codes are balanced over them, rows by rows of all, columns
 * by each rank alone; what goes into a queue is every rank's. */
static const struct {
    const char *toml, *asked;
} methods[] = {
    {SMALL "use = \"dino\"\nout_dim = 24\nbottleneck_dim = 8\n", "mean(24)"},
    {SMALL "use = \"moco\"\nout_dim = 8\nqueue_length = 16\n", "gather(4,8)"},
    {SMALL "use = \"swav\"\nprototypes = 12\nout_dim = 8\nqueue_length = 8\nqueue_start = 0\n",
     CODES " " CODES " gather(4,8) gather(4,8)"},
    {SMALL "use = \"swav\"\nprototypes = 12\nout_dim = 8\nqueue_length = 0\n", CODES " " CODES},
};

START_TEST(methods_ask_all_ranks_where_they_must)
{
    const wisp_clock clock = {0, 1, 0, 1, 1};
    wispi_program *program = NULL;
    bench *b = open_trial(methods[_i].toml, WISP_F32);
    trial t = {.b = b};
    watched = *wispi_ops_table();
    watched.all_reduce_sum = noted_sum;
    watched.all_reduce_mean = noted_mean;
    watched.all_gather = noted_gather;
    if (b->method->epoch_begin)
        OK(b->method->epoch_begin(b->self, &clock, &err));
    asked[0] = '\0';
    wispi_model_set_metrics(b->model, &t.metrics);
    OK(wispi_program_record(b->device, &watched, b->model, WISPI_RECORD_SHAPES_ONLY, trial_calls,
                            &t, &program, &err));
    ck_assert_str_eq(asked, methods[_i].asked);
    wispi_program_destroy(program);
    close_bench(b);
}
END_TEST

/* --- two ranks --- */

enum { SAMPLES = 6, PROTOTYPES = 5, ROUNDS = 3, SUMS = 1 + ROUNDS };

typedef struct ranks {
    wispi_variable scores;
    wisp_tensor *whole, *shared;
} ranks;

static wisp_tensor *sums[SUMS];
static int n_sums, as_rank;

/* Of the whole batch the sums are kept; a rank gets these in place of its own. */
static wisp_tensor *shared_sum(wisp_step *s, wisp_tensor *x)
{
    ck_assert_int_lt(n_sums, SUMS);
    if (!as_rank)
        sums[n_sums] = x;
    ck_assert_mem_eq(wisp_shape_of(s, x), wisp_shape_of(s, sums[n_sums]), sizeof(wisp_desc));
    return sums[n_sums++];
}

static int32_t shared_size(wisp_step *s)
{
    (void)s;
    return as_rank ? 2 : 1;
}

static wisp_tensor *balance(wisp_step *s, wisp_tensor *scores, int rank)
{
    n_sums = 0;
    as_rank = rank;
    wisp_tensor *q = wisp_sinkhorn(s, scores, 0.05, ROUNDS);
    ck_assert_int_eq(n_sums, SUMS);
    return q;
}

static void balance_twice(wisp_step *s, void *user)
{
    ranks *r = user;
    wisp_tensor *scores = wispi_step_variable(s, &r->scores), *half[2];
    r->whole = balance(s, scores, 0);
    for (int i = 0; i < 2; i++)
        half[i] = balance(s, wisp_slice(s, scores, 0, i * SAMPLES / 2, SAMPLES / 2), 1);
    r->shared = wisp_concat(s, half, 2, 0);
    wispi_step_keep(s, r->whole);
    wispi_step_keep(s, r->shared);
}

/* The code of an image does not depend on how the batch is shared out. */
START_TEST(codes_of_two_ranks_are_those_of_one)
{
    const wisp_desc desc = wisp_desc2(WISP_F32, SAMPLES, PROTOTYPES);
    float values[SAMPLES * PROTOTYPES], whole[SAMPLES * PROTOTYPES], shared[SAMPLES * PROTOTYPES];
    fixture f;
    ranks r;
    wispi_program *program = NULL;
    memset(&r, 0, sizeof r);
    fixture_open(&f, 1);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    FIXTURE_OK(&f, wispi_variable_init(f.device, &r.scores, "scores", &desc, NULL, &f.err));
    formula_uniform("scores", SAMPLES * PROTOTYPES, -1, 1, values);
    FIXTURE_OK(&f, wispi_variable_write(f.device, &r.scores, values, &f.err));
    watched = *wispi_ops_table();
    watched.all_reduce_sum = shared_sum;
    watched.world_size = shared_size;
    FIXTURE_OK(&f, wispi_program_record(f.device, &watched, f.model, 0, balance_twice, &r, &program,
                                        &f.err));
    FIXTURE_OK(&f, wispi_model_refresh(f.model, &f.err));
    fixture_run(&f, program, balance_twice, &r, 0, 1, 1);
    FIXTURE_OK(&f, wispi_program_read(program, r.whole, whole, &f.err));
    FIXTURE_OK(&f, wispi_program_read(program, r.shared, shared, &f.err));
    for (int i = 0; i < SAMPLES * PROTOTYPES; i++)
        ck_assert_float_eq_tol(shared[i], whole[i], 1e-6f);
    wispi_program_destroy(program);
    wispi_variable_fini(f.device, &r.scores);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collectives");
    TCase *tests = tcase_create("collectives");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, methods_ask_all_ranks_where_they_must, 0,
                        sizeof methods / sizeof *methods);
    tcase_add_test(tests, codes_of_two_ranks_are_those_of_one);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
