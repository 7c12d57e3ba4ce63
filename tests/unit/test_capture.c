/* Graphs and uploads on a device with a queue (tests/hidden): who calls the step function, what a
 * graph depends on, and memory that changes while it is on its way. */
#include <stdlib.h>
#include <unistd.h>

#include "built_plugin.h"
#include "tensor/program.h"
#include "tensor/transfer.h"

enum { N = 64 };

typedef struct bench {
    built_plugins plugins;
    wispi_device *device;
    wispi_variable x, sum;
    int calls;   /* of the step function */
    int is_long; /* the step needs more memory */
    wisp_tensor *seen;
    wisp_error err;
} bench;

#define OK(b, call) ck_assert_msg((call) == WISP_OK, "%s", (b)->err.message)

static void open_bench(bench *b, const char *uploads)
{
    const wisp_desc desc = wisp_desc1(WISP_F32, N);
    const float zeros[N] = {0};
    memset(b, 0, sizeof *b);
    setenv("WISP_HIDDEN", uploads, 1);
    b->plugins = built_plugins_open("[backend]\nuse = \"" WISP_BUILD_DIR
                                    "/tests/hidden/wisp-backend-hidden.so\"\n");
    b->device = built_device(&b->plugins, "backend");
    wispi_device_set_capture(b->device, 1);
    ck_assert(wispi_device_captures(b->device));
    OK(b, wispi_variable_init(b->device, &b->x, "x", &desc, NULL, &b->err));
    OK(b, wispi_variable_init(b->device, &b->sum, "sum", &desc, NULL, &b->err));
    OK(b, wispi_variable_write(b->device, &b->sum, zeros, &b->err));
}

static void close_bench(bench *b)
{
    wispi_variable_fini(b->device, &b->x);
    wispi_variable_fini(b->device, &b->sum);
    wispi_device_close(b->device);
    built_plugins_close(&b->plugins);
}

/* sum = 2 sum + x */
static void add_up(wisp_step *s, void *user)
{
    bench *b = user;
    b->calls++;
    wisp_tensor *sum = wispi_step_variable(s, &b->sum), *x = wispi_step_variable(s, &b->x);
    wisp_tensor *made = wisp_add(s, wisp_scale(s, sum, 2), x);
    for (int i = 0; b->is_long && i < 2; i++)
        made = wisp_slice(s, wisp_concat(s, (wisp_tensor *[2]){made, made}, 2, 0), 0, 0, N);
    wisp_tensor *out[WISPI_MAX_OUT] = {sum};
    wispi_apply(s, wispi_op_find("copy"), NULL, &made, 1, out);
}

/* What a program reads of sum. */
static void look(wisp_step *s, void *user)
{
    bench *b = user;
    wisp_tensor *sum = wispi_step_variable(s, &b->sum);
    b->seen = wisp_add(s, sum, sum);
    wispi_step_keep(s, b->seen);
}

static wispi_program *record(bench *b, wispi_step_fn fn)
{
    wispi_program *program = NULL;
    OK(b, wispi_program_record(b->device, wispi_ops_table(), NULL, 0, fn, b, &program, &b->err));
    b->calls = 0;
    return program;
}

static void run(bench *b, wispi_program *program, double x)
{
    float values[N];
    for (int i = 0; i < N; i++)
        values[i] = (float)x;
    OK(b, wispi_variable_put(b->device, &b->x, values, &b->err));
    memset(values, 0xff, sizeof values); /* whoever still reads them reads no numbers */
    OK(b, wispi_program_run(program, add_up, b, NULL, &b->err));
}

static void sum_is(bench *b, double wanted)
{
    float values[N];
    OK(b, wispi_variable_read(b->device, &b->sum, values, &b->err));
    for (int i = 0; i < N; i++)
        ck_assert_double_eq(values[i], wanted);
}

static void seen_is(bench *b, double wanted)
{
    float values[N];
    wispi_program *program = record(b, look);
    OK(b, wispi_program_run(program, look, b, NULL, &b->err));
    OK(b, wispi_program_read(program, b->seen, values, &b->err));
    ck_assert_double_eq(values[N - 1], 2 * wanted);
    wispi_program_destroy(program);
}

START_TEST(launches)
{
    bench b;
    open_bench(&b, _i ? "late" : "");
    wispi_program *program = record(&b, add_up);
    double wanted = 0;
    for (int i = 1; i <= 12; i++) {
        run(&b, program, i);
        wanted = 2 * wanted + i;
        ck_assert_int_eq(b.calls, i < 2 ? i : 2);
        if (i % 4 == 0)
            sum_is(&b, wanted);
    }
    seen_is(&b, wanted);
    run(&b, program, 1); /* a launch changes versions, too: nobody may take the former value */
    seen_is(&b, 2 * wanted + 1);
    sum_is(&b, 2 * wanted + 1);
    wispi_program_destroy(program);
    close_bench(&b);
}
END_TEST

/* The step's memory and that of a variable. */
START_TEST(new_addresses)
{
    bench b;
    float *other = NULL;
    open_bench(&b, "");
    wispi_program *program = record(&b, add_up);
    for (int i = 0; i < 3; i++)
        run(&b, program, 1);
    ck_assert_int_eq(b.calls, 2);
    b.is_long = 1;
    wispi_program *second = record(&b, add_up);
    run(&b, second, 1);
    b.is_long = 0;
    b.calls = 0;
    for (int i = 0; i < 3; i++)
        run(&b, program, 1);
    ck_assert_int_eq(b.calls, 2);
    sum_is(&b, 127);

    OK(&b, wispi_device_alloc(b.device, N * sizeof *other, (void **)&other, &b.err));
    for (int i = 0; i < 6; i++) {
        void *data = b.x.data;
        b.x.data = other;
        memcpy(&other, &data, sizeof other);
        run(&b, program, 0);
        run(&b, program, 0);
    }
    sum_is(&b, 127 * 4096);
    ck_assert(!wispi_device_captures(b.device)); /* that is not worth the while */
    wispi_device_free(b.device, other);
    wispi_program_destroy(second);
    wispi_program_destroy(program);
    close_bench(&b);
}
END_TEST

START_TEST(measured_runs)
{
    const wispi_run_options options[] = {{.check_finite = 1}, {.profile = 1}};
    bench b;
    open_bench(&b, "");
    wispi_program *program = record(&b, add_up);
    for (int i = 0; i < 3; i++)
        run(&b, program, 1);
    for (int i = 0; i < 2; i++)
        OK(&b, wispi_program_run(program, add_up, &b, &options[i], &b.err));
    ck_assert_int_eq(b.calls, 4);
    run(&b, program, 1); /* the graph is still good */
    ck_assert_int_eq(b.calls, 4);
    sum_is(&b, 63);
    wispi_program_destroy(program);
    close_bench(&b);
}
END_TEST

/* More values than are sent at once, each of which has to arrive. */
START_TEST(many_uploads)
{
    enum { MANY = 200 };
    static wispi_variable many[MANY];
    const wisp_desc desc = wisp_desc1(WISP_I32, 3);
    bench b;
    open_bench(&b, _i ? "late" : "");
    for (int32_t i = 0; i < MANY; i++) {
        const uint64_t before = 1;
        OK(&b, wispi_variable_init(b.device, &many[i], "many", &desc, NULL, &b.err));
        int32_t values[3] = {i, 2 * i, -i};
        OK(&b, wispi_variable_put(b.device, &many[i], values, &b.err));
        memset(values, 0, sizeof values);
        ck_assert_uint_gt(*many[i].version, before);
    }
    for (int32_t i = 0; i < MANY; i++) {
        int32_t values[3];
        OK(&b, wispi_variable_read(b.device, &many[i], values, &b.err));
        ck_assert(values[0] == i && values[1] == 2 * i && values[2] == -i);
        wispi_variable_fini(b.device, &many[i]);
    }
    close_bench(&b);
}
END_TEST

/* What is lent is copied by itself, and its ticket says when. */
START_TEST(lent_values)
{
    bench b;
    float *lent[2];
    uint64_t ticket[2] = {0, 0};
    open_bench(&b, _i ? "late" : "");
    wispi_program *program = record(&b, add_up);
    for (int k = 0; k < 2; k++)
        OK(&b, wispi_host_alloc(b.device, N * sizeof(float), (void **)&lent[k], &b.err));
    double wanted = 0;
    for (int i = 0; i < 9; i++) {
        float *values = lent[i % 2];
        OK(&b, wispi_device_wait(b.device, ticket[i % 2], &b.err));
        for (int k = 0; k < N; k++)
            values[k] = (float)i;
        OK(&b, wispi_variable_lend(b.device, &b.x, values, &b.err));
        OK(&b, wispi_program_run(program, add_up, &b, NULL, &b.err));
        ticket[i % 2] = wispi_uploads_ticket(b.device);
        wanted = 2 * wanted + i;
    }
    sum_is(&b, wanted);
    for (int k = 0; k < 2; k++)
        wispi_host_free(b.device, lent[k]);
    wispi_program_destroy(program);
    close_bench(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("capture");
    TCase *tests = tcase_create("capture");
    if (access(WISP_BUILD_DIR "/tests/hidden/wisp-backend-hidden.so", R_OK) != 0) {
        puts("SKIPPED: the backend cpu was not built");
        return 0;
    }
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, launches, 0, 2);
    tcase_add_test(tests, new_addresses);
    tcase_add_test(tests, measured_runs);
    tcase_add_loop_test(tests, many_uploads, 0, 2);
    tcase_add_loop_test(tests, lent_values, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
