/* test_run_lock.c - whether somebody is at work in a run folder: asking changes nothing, and keeps
 * nobody from beginning. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/run_folder.h"

static char out[64];
static wispi_run_folder run;

static wisp_status open_run(void)
{
    wisp_error err = {0};
    return wispi_run_folder_open(out, "tiny", 0, &run, &err);
}

static void begin(void)
{
    snprintf(out, sizeof out, "/tmp/wisp-runlock-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(out));
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", out);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(a_run_is_seen_at_work)
{
    char lock[200];
    ck_assert_int_eq(wispi_run_folder_is_locked(out), 0);
    snprintf(lock, sizeof lock, "%s/.lock", out);
    ck_assert_int_ne(access(lock, F_OK), 0);
    ck_assert_int_eq(open_run(), WISP_OK);
    ck_assert_int_eq(wispi_run_folder_is_locked(run.path), 1);
    wispi_run_folder first = run;
    ck_assert_int_eq(open_run(), WISP_E_STATE);
    wispi_run_folder_close(&first);
    ck_assert_int_eq(wispi_run_folder_is_locked(first.path), 0);
}
END_TEST

static atomic_int looks_go_on;

static void *keep_looking(void *path)
{
    while (looks_go_on)
        wispi_run_folder_is_locked(path);
    return NULL;
}

START_TEST(looking_keeps_nobody_out)
{
    pthread_t looker;
    char path[WISPI_FOLDER_BYTES];
    ck_assert_int_eq(open_run(), WISP_OK);
    memcpy(path, run.path, sizeof path);
    wispi_run_folder_close(&run);
    looks_go_on = 1;
    ck_assert_int_eq(pthread_create(&looker, NULL, keep_looking, path), 0);
    int refused = 0;
    for (int i = 0; i < 200; i++) {
        refused += open_run() != WISP_OK;
        wispi_run_folder_close(&run);
    }
    looks_go_on = 0;
    pthread_join(looker, NULL);
    ck_assert_int_eq(refused, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run lock");
    TCase *tests = tcase_create("run lock");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_run_is_seen_at_work);
    tcase_add_test(tests, looking_keeps_nobody_out);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
