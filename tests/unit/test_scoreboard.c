/* test_scoreboard.c - the best and the last epoch of what probes report, over a run that is stopped
 * and goes on. */
#include <check.h>
#include <stdlib.h>

#include "base/memory.h"
#include "train/scoreboard.h"

static wispi_results *results;

/* One evaluation after `epoch` epochs of ten steps. */
static void add(wispi_scoreboard *board, const char *source, int64_t epoch, double top1,
                double top5)
{
    const wisp_clock clock = {.epoch = epoch, .step = 10 * epoch};
    const double values[] = {top1, top5};
    wisp_error err = {0};
    results->n = 2;
    for (int i = 0; i < 2; i++) {
        wispi_result *r = &results->list[i];
        snprintf(r->metric, sizeof r->metric, "x top-%d", i ? 5 : 1);
        snprintf(r->protocol, sizeof r->protocol, "{\"epoch\": %d}", (int)epoch);
        r->value = values[i];
    }
    ck_assert_int_eq(wispi_scoreboard_add(board, source, &clock, results, &err), WISP_OK);
}

static wispi_scoreboard *new_board(void)
{
    wispi_scoreboard *board = wispi_scoreboard_create();
    results = calloc(1, sizeof *results);
    ck_assert(board && results);
    return board;
}

static void release(wispi_scoreboard *board)
{
    wispi_scoreboard_destroy(board);
    free(results);
}

static void expect(const wispi_scoreboard *board, int32_t index, const char *metric, double last,
                   double best, int64_t best_epoch, int64_t last_epoch)
{
    wispi_probe_record r;
    char protocol[32];
    ck_assert_int_eq(wispi_scoreboard_probe(board, index, &r), 1);
    ck_assert_str_eq(r.metric, metric);
    ck_assert_double_eq(r.last, last);
    ck_assert_double_eq(r.best, best);
    ck_assert_int_eq(r.best_epoch, best_epoch);
    ck_assert_int_eq(r.best_step, 10 * best_epoch);
    ck_assert_int_eq(r.last_epoch, last_epoch);
    snprintf(protocol, sizeof protocol, "{\"epoch\": %d}", (int)best_epoch);
    ck_assert_str_eq(r.protocol, protocol);
}

/* Of two equal epochs the earlier is the best; top-5 is that of top-1's best epoch, not its own
 * best; what tasks report has no part in it. */
START_TEST(best_and_last_epoch)
{
    wispi_scoreboard *board = new_board();
    wispi_probe_record none;
    ck_assert_int_eq(wispi_scoreboard_probe(board, 0, &none), 0);
    add(board, "untrained", 0, 99, 99);
    ck_assert_int_eq(wispi_scoreboard_probe(board, 0, &none), 0);
    add(board, "probe", 1, 10, 70);
    add(board, "probe", 2, 30, 80);
    add(board, "probe", 3, 30, 95);
    add(board, "probe", 4, 20, 60);
    add(board, "trained", 4, 98, 98);
    expect(board, 0, "x top-1", 20, 30, 2, 4);
    expect(board, 1, "x top-5", 60, 80, 2, 4);
    ck_assert_int_eq(wispi_scoreboard_probe(board, 2, &none), 0);
    wispi_text out = {0};
    wispi_scoreboard_summary(board, &out);
    ck_assert_str_eq(out.data, "x top-1: last epoch 20.00 %, best epoch 30.00 % (epoch 2 of 4)\n"
                               "x top-5: last epoch 60.00 %, best epoch 80.00 % (epoch 2 of 4)\n"
                               "x top-5: untrained 99.0 %, trained 98.0 %\n"
                               "x top-1: untrained 99.0 %, trained 98.0 %\n");
    wispi_text_free(&out);
    release(board);
}
END_TEST

START_TEST(a_checkpoint_keeps_all_epochs)
{
    wispi_scoreboard *board = new_board(), *again = wispi_scoreboard_create();
    wisp_error err = {0};
    add(board, "probe", 1, 40, 50);
    add(board, "probe", 2, 10, 60);
    char *text = wispi_scoreboard_dump(board);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(wispi_scoreboard_load(again, text, &err), WISP_OK);
    add(again, "probe", 3, 20, 55);
    expect(again, 0, "x top-1", 20, 40, 1, 3);
    expect(again, 1, "x top-5", 55, 50, 1, 3);
    free(text);
    wispi_scoreboard_destroy(again);
    release(board);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scoreboard");
    TCase *tests = tcase_create("scoreboard");
    tcase_add_test(tests, best_and_last_epoch);
    tcase_add_test(tests, a_checkpoint_keeps_all_epochs);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
