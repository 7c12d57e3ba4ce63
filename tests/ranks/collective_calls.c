/* collective_calls.c - started by mpirun in several processes: what the collectives of a step
 * answer is compared with plain sums over the values that every rank is known to have, and their
 * gradients, synchronised batch norm's among them, with finite differences of the sum of all ranks'
 * losses. */
#include "built_plugin.h"
#include "formula.h"
#include "model_fixture.h"
#include "tensor/ranks.h"

enum { PARTS = 2, ROWS = 3, DIM = 2, COUNT = ROWS * DIM, MOST_RANKS = 8 };

static wispi_ranks ranks;

typedef struct trial {
    fixture f;
    wispi_variable x, x_grad;
    wisp_module *bn, *parts; /* the latter with statistics of its own rank's parts */
    float offset;
    wisp_tensor *loss, *gathered, *sum, *mean;
} trial;

/* The values of one rank. */
static void values_of(const trial *t, int32_t rank, float values[COUNT])
{
    char name[32];
    snprintf(name, sizeof name, "x%d", (int)rank);
    formula_uniform(name, COUNT, -1, 1, values);
    for (int i = 0; i < COUNT; i++)
        values[i] += t->offset;
}

/* A sum of cubes with weights that no two ranks have in common; f32() */
static wisp_tensor *weigh(wisp_step *s, wisp_tensor *y)
{
    const double a = 1 + 0.5 * ranks.rank;
    wisp_tensor *square = wisp_mul(s, y, y);
    return wisp_scale(s, wisp_sum(s, wisp_mul(s, square, wisp_affine(s, y, a, 0.3)), 0, 0), a);
}

/* x and 2 x, each by its own statistics. */
static wisp_tensor *by_parts(wisp_step *s, wisp_module *bn, wisp_tensor *x)
{
    wisp_tensor *y[PARTS];
    for (int32_t i = 0; i < PARTS; i++) {
        wisp_own_statistics_begin(s, i, PARTS);
        y[i] = wisp_batch_norm_act(s, bn, wisp_scale(s, x, i + 1), NULL, 0);
        wisp_own_statistics_end(s);
    }
    return wisp_concat(s, y, PARTS, 0);
}

static void all_of_them(wisp_step *s, void *user)
{
    trial *t = user;
    wispi_step_join(s, &ranks);
    wisp_tensor *x = wispi_step_variable(s, &t->x);
    t->gathered = wisp_all_gather(s, x, 0);
    t->sum = wisp_all_reduce_sum(s, x);
    t->mean = wisp_all_reduce_mean(s, x);
    t->loss = wisp_add(s, weigh(s, wisp_all_gather(s, x, 1)), weigh(s, t->sum));
    t->loss = wisp_add(s, t->loss, weigh(s, t->mean));
    t->loss = wisp_add(s, t->loss, weigh(s, wisp_batch_norm_act(s, t->bn, x, NULL, 0)));
    t->loss = wisp_add(s, t->loss, weigh(s, by_parts(s, t->parts, x)));
    wispi_step_keep(s, t->gathered);
    wispi_step_keep(s, t->sum);
    wispi_step_keep(s, t->mean);
    wispi_step_keep(s, t->loss);
    wispi_step_backward(s, t->loss);
}

static wispi_program *open_trial(trial *t, float offset)
{
    const wisp_norm_desc norm = {.channels = DIM, .momentum = 1};
    const wisp_norm_desc slow = {.channels = DIM, .momentum = 0.3};
    const wisp_desc x = wisp_desc2(WISP_F32, ROWS, DIM);
    float values[COUNT];
    memset(t, 0, sizeof *t);
    t->offset = offset;
    fixture_open(&t->f, 1);
    t->bn = wisp_batch_norm_layer(t->f.b, wisp_network(t->f.b, "net"), "bn", &norm);
    t->parts = wisp_batch_norm_layer(t->f.b, wisp_network(t->f.b, "own"), "bn", &slow);
    FIXTURE_OK(&t->f, wispi_model_finish(t->f.model, &t->f.err));
    FIXTURE_OK(&t->f, wispi_variable_init(t->f.device, &t->x, "x", &x, NULL, &t->f.err));
    FIXTURE_OK(&t->f, wispi_variable_init(t->f.device, &t->x_grad, "dx", &x, NULL, &t->f.err));
    t->x.grad = &t->x_grad;
    values_of(t, ranks.rank, values);
    FIXTURE_OK(&t->f, wispi_variable_write(t->f.device, &t->x, values, &t->f.err));
    return fixture_record(&t->f, all_of_them, t);
}

static void close_trial(trial *t, wispi_program *program)
{
    wispi_program_destroy(program);
    wispi_variable_fini(t->f.device, &t->x);
    wispi_variable_fini(t->f.device, &t->x_grad);
    fixture_close(&t->f);
}

START_TEST(values_are_those_of_all_ranks)
{
    trial t;
    wispi_program *program = open_trial(&t, 0);
    float all[MOST_RANKS][COUNT], gathered[MOST_RANKS][COUNT], sum[COUNT], mean[COUNT];
    fixture_run(&t.f, program, all_of_them, &t, 0, 1, 1);
    FIXTURE_OK(&t.f, wispi_program_read(program, t.gathered, gathered, &t.f.err));
    FIXTURE_OK(&t.f, wispi_program_read(program, t.sum, sum, &t.f.err));
    FIXTURE_OK(&t.f, wispi_program_read(program, t.mean, mean, &t.f.err));
    for (int32_t r = 0; r < ranks.size; r++) {
        values_of(&t, r, all[r]);
        ck_assert_mem_eq(gathered[r], all[r], sizeof all[r]);
    }
    for (int i = 0; i < COUNT; i++) {
        double wanted = 0;
        for (int32_t r = 0; r < ranks.size; r++)
            wanted += all[r][i];
        ck_assert_double_eq_tol(sum[i], wanted, 1e-6);
        ck_assert_double_eq_tol(mean[i], wanted / ranks.size, 1e-6);
    }
    close_trial(&t, program);
}
END_TEST

/* Far from zero a sum of squares less the square of the mean would have no digit left. */
START_TEST(statistics_are_those_of_all_ranks)
{
    trial t;
    wispi_program *program = open_trial(&t, 3000);
    const double n = (double)ROWS * ranks.size;
    fixture_run(&t.f, program, all_of_them, &t, 0, 1, 1);
    double *mean = fixture_read(&t.f, "net.bn.running_mean", NULL);
    double *var = fixture_read(&t.f, "net.bn.running_var", NULL);
    for (int c = 0; c < DIM; c++) {
        double sum = 0, squares = 0;
        float values[COUNT];
        for (int32_t r = 0; r < ranks.size; r++) {
            values_of(&t, r, values);
            for (int i = 0; i < ROWS; i++)
                sum += values[i * DIM + c];
        }
        for (int32_t r = 0; r < ranks.size; r++) {
            values_of(&t, r, values);
            for (int i = 0; i < ROWS; i++)
                squares += pow(values[i * DIM + c] - sum / n, 2);
        }
        ck_assert_double_eq_tol(mean[c], sum / n, 3e-4);
        ck_assert_double_eq_tol(var[c], squares / (n - 1), 2e-3);
    }
    free(mean);
    free(var);
    close_trial(&t, program);
}
END_TEST

/* As if one process had seen all parts of rank 0, then those of rank 1 ... */
START_TEST(running_statistics_go_part_by_part)
{
    trial t;
    wispi_program *program = open_trial(&t, 0);
    fixture_run(&t.f, program, all_of_them, &t, 0, 1, 1);
    double *mean = fixture_read(&t.f, "own.bn.running_mean", NULL);
    double *var = fixture_read(&t.f, "own.bn.running_var", NULL);
    for (int c = 0; c < DIM; c++) {
        double wanted_mean = 0, wanted_var = 1;
        for (int32_t part = 0; part < ranks.size * PARTS; part++) {
            const double factor = 1 + part % PARTS;
            double sum = 0, squares = 0;
            float values[COUNT];
            values_of(&t, part / PARTS, values);
            for (int i = 0; i < ROWS; i++)
                sum += factor * values[i * DIM + c];
            for (int i = 0; i < ROWS; i++)
                squares += pow(factor * values[i * DIM + c] - sum / ROWS, 2);
            wanted_mean += 0.3 * (sum / ROWS - wanted_mean);
            wanted_var += 0.3 * (squares / (ROWS - 1) - wanted_var);
        }
        ck_assert_double_eq_tol(mean[c], wanted_mean, 1e-6);
        ck_assert_double_eq_tol(var[c], wanted_var, 1e-6);
    }
    free(mean);
    free(var);
    close_trial(&t, program);
}
END_TEST

/* The sum of all ranks' losses with x of one rank moved at one place. */
static double total_at(trial *t, wispi_program *program, int32_t rank, int place, float by)
{
    float values[COUNT], loss = 0, losses[MOST_RANKS];
    double total = 0;
    values_of(t, ranks.rank, values);
    if (rank == ranks.rank)
        values[place] += by;
    FIXTURE_OK(&t->f, wispi_variable_write(t->f.device, &t->x, values, &t->f.err));
    fixture_run(&t->f, program, all_of_them, t, 0, 1, 1);
    FIXTURE_OK(&t->f, wispi_program_read(program, t->loss, &loss, &t->f.err));
    FIXTURE_OK(&t->f, ranks.comm->all_gather(ranks.self, &loss, losses, sizeof loss, &t->f.err));
    for (int32_t r = 0; r < ranks.size; r++)
        total += losses[r];
    return total;
}

START_TEST(gradients_are_those_of_the_sum_of_all_losses)
{
    const float h = 1.0f / 128;
    trial t;
    wispi_program *program = open_trial(&t, 0);
    float gradient[COUNT];
    total_at(&t, program, 0, 0, 0);
    FIXTURE_OK(&t.f, wispi_variable_read(t.f.device, &t.x_grad, gradient, &t.f.err));
    for (int32_t r = 0; r < ranks.size; r++)
        for (int i = 0; i < COUNT; i++) {
            const double up = total_at(&t, program, r, i, h);
            const double down = total_at(&t, program, r, i, -h);
            const double wanted = (up - down) / (2 * h);
            if (r == ranks.rank)
                ck_assert_msg(fabs(gradient[i] - wanted) < 2e-2 + 3e-3 * fabs(wanted),
                              "rank %d, element %d: %g instead of %g", (int)r, i,
                              (double)gradient[i], wanted);
        }
    close_trial(&t, program);
}
END_TEST

/* A step that does not join stays with its own rank. */
static void alone(wisp_step *s, void *user)
{
    trial *t = user;
    wisp_tensor *x = wispi_step_variable(s, &t->x);
    t->sum = wisp_all_reduce_sum(s, x);
    ck_assert_int_eq(wisp_world_size(s), 1);
    ck_assert_ptr_eq(t->sum, x);
}

START_TEST(a_step_that_does_not_join_is_alone)
{
    trial t;
    wispi_program *program = open_trial(&t, 0);
    wispi_program_destroy(program);
    close_trial(&t, fixture_record(&t.f, alone, &t));
}
END_TEST

static built_plugins plugins;

static void join(void)
{
    wisp_error err = {0};
    int32_t local = 0;
    plugins = built_plugins_open("[comm]\nuse = \"mpi\"\n");
    const wispi_instance *comm = built_plugin(&plugins, "comm", "comm");
    ranks.comm = comm->plugin->descriptor->vtable;
    ranks.self = comm->self;
    const wisp_status status = ranks.comm->open(ranks.self, &ranks.rank, &ranks.size, &local, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    ck_assert_msg(ranks.size > 1 && ranks.size <= MOST_RANKS, "to be started by mpirun");
}

static void leave(void)
{
    ranks.comm->close(ranks.self);
    built_plugins_close(&plugins);
}

int main(void)
{
    Suite *suite = suite_create("collective calls");
    TCase *tests = tcase_create("collective calls");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, join, leave);
    tcase_add_test(tests, values_are_those_of_all_ranks);
    tcase_add_test(tests, statistics_are_those_of_all_ranks);
    tcase_add_test(tests, running_statistics_go_part_by_part);
    tcase_add_test(tests, gradients_are_those_of_the_sum_of_all_losses);
    tcase_add_test(tests, a_step_that_does_not_join_is_alone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
