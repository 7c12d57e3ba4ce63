/* test_arms.c - calls of compare and sweep: arms, seeds, grids of values, devices, words of a
 * shell, and what differs between experiments. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "report/arms.h"
#include "report/config_difference.h"
#include "report/job_runner.h"
#include "report/seed_list.h"
#include "report/slurm_script.h"
#include "report/sweep_grid.h"

static wispi_arena *arena;

static void make_arena(void)
{
    arena = wispi_arena_create(1 << 14);
    ck_assert_ptr_nonnull(arena);
}

static void destroy_arena(void)
{
    wispi_arena_destroy(arena);
}

#define CALL(...)                                                                                  \
    ((const char *const[]){__VA_ARGS__}), WISP_COUNT(((const char *const[]){__VA_ARGS__}))

static void check_refused(wisp_status status, const wisp_error *err, const char *words)
{
    ck_assert_int_eq(status, WISP_E_CONFIG);
    ck_assert_msg(strstr(err->message, words) != NULL, "\"%s\" does not say \"%s\"", err->message,
                  words);
}

/* --- arms --- */

static void parse(const char *const *arguments, int32_t n, wispi_arms *arms)
{
    wisp_error err = {0};
    ck_assert_msg(wispi_arms_parse(arguments, n, arena, arms, &err) == WISP_OK, "%s", err.message);
}

static void refuse(const char *const *arguments, int32_t n, const char *words)
{
    wisp_error err = {0};
    wispi_arms arms;
    check_refused(wispi_arms_parse(arguments, n, arena, &arms, &err), &err, words);
}

START_TEST(files_are_arms)
{
    wispi_arms arms;
    parse(CALL("x/multicrop.toml", "run.epochs=3", "./a=b/sslight.toml", "B:method.temp=0.1"),
          &arms);
    ck_assert_int_eq(arms.n, 2);
    ck_assert_str_eq(arms.list[0].name, "A");
    ck_assert_str_eq(arms.list[0].title, "multicrop");
    ck_assert_int_eq(arms.list[0].n_overrides, 1);
    ck_assert_str_eq(arms.list[1].path, "./a=b/sslight.toml");
    ck_assert_str_eq(arms.list[1].title, "sslight method.temp=0.1");
    ck_assert_int_eq(arms.list[1].n_overrides, 2);
    ck_assert_str_eq(arms.list[1].overrides[0], "run.epochs=3");
    ck_assert_str_eq(arms.list[1].overrides[1], "method.temp=0.1");
}
END_TEST

START_TEST(letters_are_arms_of_one_file)
{
    wispi_arms arms;
    parse(CALL("exp.toml", "C:sampler.use=sslight", "A:run.epochs=4", "run.epochs=3"), &arms);
    ck_assert_int_eq(arms.n, 3);
    ck_assert_str_eq(arms.list[0].overrides[0], "run.epochs=3"); /* an arm's own comes last */
    ck_assert_str_eq(arms.list[0].overrides[1], "run.epochs=4");
    ck_assert_int_eq(arms.list[1].n_overrides, 1);
    ck_assert_str_eq(arms.list[2].path, "exp.toml");
}
END_TEST

START_TEST(wrong_arms)
{
    refuse(CALL("exp.toml"), "one arm only");
    refuse(CALL("exp.toml", "A:run.epochs=2"), "one arm only");
    refuse(CALL("a.toml", "b.toml", "C:run.epochs=2"), "the last arm is B");
    refuse(CALL("run.epochs=2"), "no experiment is named");
    refuse(CALL("a.toml", "b.toml", "run.seed=3"), "--seeds");
    refuse(CALL("a.toml", "b.toml", "B:run.name=x"), "--name");
    refuse(CALL("a.toml", "b.toml", "run.out = \"x\""), "--out");
}
END_TEST

START_TEST(seed_offsets)
{
    wispi_arms arms;
    wisp_error err = {0};
    parse(CALL("a.toml", "b.toml", "c.toml"), &arms);
    ck_assert_int_eq(wispi_arms_offset_seeds(&arms, "B:1000,C:7", &err), WISP_OK);
    ck_assert_int_eq(arms.list[0].seed_offset, 0);
    ck_assert_int_eq(arms.list[1].seed_offset, 1000);
    ck_assert_int_eq(arms.list[2].seed_offset, 7);
    static const char *const wrong[] = {"D:1",  "B",    "B:",   "B:-1",
                                        "B:1x", "1000", "B:1,", "B:5000000000"};
    for (size_t i = 0; i < WISP_COUNT(wrong); i++)
        check_refused(wispi_arms_offset_seeds(&arms, wrong[i], &err), &err, "--seed-offset");
}
END_TEST

/* --- seeds and devices --- */

static void check_seeds(const char *text, const int64_t *expected, int32_t n)
{
    wispi_seeds seeds = {NULL, 0};
    wisp_error err = {0};
    ck_assert_msg(wispi_seeds_parse(text, arena, &seeds, &err) == WISP_OK, "%s", err.message);
    ck_assert_int_eq(seeds.n, n);
    ck_assert_mem_eq(seeds.list, expected, (size_t)n * sizeof *expected);
}

START_TEST(seeds)
{
    check_seeds("3", (const int64_t[]){0, 1, 2}, 3);
    check_seeds("3,", (const int64_t[]){3}, 1);
    check_seeds("7,0,4294967295", (const int64_t[]){7, 0, 4294967295}, 3);
    static const char *const wrong[] = {"",    "0",   "-1",  "3x",     "1,,2",        ",1",
                                        "1,1", "1.5", "1 2", "100000", "4294967296,", ","};
    for (size_t i = 0; i < WISP_COUNT(wrong); i++) {
        wispi_seeds none;
        wisp_error err = {0};
        check_refused(wispi_seeds_parse(wrong[i], arena, &none, &err), &err, "--seeds");
    }
}
END_TEST

START_TEST(devices)
{
    wispi_device_list list;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_devices_parse("cuda:0,cuda:1", arena, &list, &err), WISP_OK);
    ck_assert_int_eq(list.n, 2);
    ck_assert_str_eq(list.names[1], "cuda:1");
    static const char *const wrong[] = {"cuda:0,cpu", "cuda:0,", ",cuda:0", "cuda:0,,cuda:1"};
    for (size_t i = 0; i < WISP_COUNT(wrong); i++)
        check_refused(wispi_devices_parse(wrong[i], arena, &list, &err), &err, "--devices");
}
END_TEST

/* --- grids --- */

START_TEST(grids)
{
    wispi_grid grid;
    wispi_arms cells;
    wisp_error err = {0};
    const wisp_status status =
        wispi_grid_parse(CALL("x/exp.toml", "a.scale=[0.1, 0.2], [0.3,0.4]", "run.epochs=3",
                              "b.name=\"x,y\",'p,\"q',bare", "b.t={u=1,v=2}"),
                         arena, &grid, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    ck_assert_int_eq(grid.n_axes, 2);
    ck_assert_int_eq(grid.n_cells, 6);
    ck_assert_str_eq(grid.axes[0].values[0], "[0.1, 0.2]");
    ck_assert_str_eq(grid.axes[0].values[1], "[0.3,0.4]");
    ck_assert_str_eq(grid.axes[1].values[0], "\"x,y\"");
    ck_assert_str_eq(grid.axes[1].values[1], "'p,\"q'");
    ck_assert_str_eq(grid.axes[1].values[2], "bare");
    ck_assert_msg(wispi_grid_arms(&grid, arena, &cells, &err) == WISP_OK, "%s", err.message);
    ck_assert_int_eq(cells.n, 6);
    const wispi_arm *cell = &cells.list[5];
    ck_assert_int_eq(cell->n_overrides, 4); /* in the order of the call */
    ck_assert_str_eq(cell->overrides[0], "a.scale=[0.3,0.4]");
    ck_assert_str_eq(cell->overrides[1], "run.epochs=3");
    ck_assert_str_eq(cell->overrides[2], "b.name=bare");
    ck_assert_str_eq(cell->overrides[3], "b.t={u=1,v=2}");
    ck_assert_ptr_null(strpbrk(cells.list[0].name, "/\" '[]"));
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(cells.list[i].name, cells.list[j].name);
}
END_TEST

/* A name must not depend on what else is in the grid: it is where the runs are found again. */
START_TEST(names_of_cells_stay)
{
    wispi_grid small, large;
    wispi_arms few, many;
    wisp_error err = {0};
    /* Outside of the assertions, whose block would end the life of the arguments. */
    wisp_status status =
        wispi_grid_parse(CALL("e.toml", "o.lr=1e-3,2e-3", "s.use=x,y"), arena, &small, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    status =
        wispi_grid_parse(CALL("e.toml", "o.lr=5e-4,1e-3,2e-3", "s.use=y,z,x"), arena, &large, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    ck_assert_int_eq(wispi_grid_arms(&small, arena, &few, &err), WISP_OK);
    ck_assert_int_eq(wispi_grid_arms(&large, arena, &many, &err), WISP_OK);
    ck_assert_str_eq(few.list[0].name, "lr=1e-3,s.use=x");
    for (int i = 0; i < few.n; i++) {
        int found = 0;
        for (int j = 0; j < many.n; j++)
            found += strcmp(few.list[i].name, many.list[j].name) == 0;
        ck_assert_int_eq(found, 1);
    }
}
END_TEST

static void refuse_grid(const char *const *arguments, int32_t n, const char *words)
{
    wisp_error err = {0};
    wispi_grid grid;
    check_refused(wispi_grid_parse(arguments, n, arena, &grid, &err), &err, words);
}

START_TEST(wrong_grids)
{
    refuse_grid(CALL("e.toml"), "no key has a list");
    refuse_grid(CALL("e.toml", "o.lr=1e-3"), "no key has a list");
    refuse_grid(CALL("o.lr=1,2"), "no experiment");
    refuse_grid(CALL("e.toml", "f.toml", "o.lr=1,2"), "wisp compare");
    refuse_grid(CALL("e.toml", "o.lr=1,,2"), "missing");
    refuse_grid(CALL("e.toml", "o.lr=1,2,"), "missing");
    refuse_grid(CALL("e.toml", "o.lr=,1"), "missing");
    refuse_grid(CALL("e.toml", "o.lr=1,1"), "twice");
    refuse_grid(CALL("e.toml", "o.lr=[1,2"), "does not close");
    refuse_grid(CALL("e.toml", "o.lr=1],2"), "does not close");
    refuse_grid(CALL("e.toml", "o.lr=\"1,2"), "does not close");
    refuse_grid(CALL("e.toml", "o.lr=1,2", "o.lr=3,4"), "already");
    refuse_grid(CALL("e.toml", "o.lr=1,2", "o .lr=3,4"), "already");
    refuse_grid(CALL("e.toml", "o.lr=1,2", "o.lr=3"), "a list too");
    refuse_grid(CALL("e.toml", "o .lr =3", "o.lr=1,2"), "a list too");
    refuse_grid(CALL("e.toml", "run.seed=0,1"), "--seeds");
    refuse_grid(CALL("e.toml", "o.lr=1,2", "run .seed=7"), "--seeds");
}
END_TEST

/* --- differences --- */

static const char *const one = "[run]\nname = \"A\"\nepochs = 3\n[sampler]\nuse = \"m\"\n"
                               "scale = [0.1, 0.3]\n[[task]]\nuse = \"knn\"\nk = 5\n";
static const char *const two = "[run]\nname = \"B\"\nepochs = 3\n[sampler]\nuse = \"s\"\n"
                               "scale = [0.1, 0.4]\ntarget = 1.0\n[[task]]\nuse = \"knn\"\nk = 6\n";

static json_t *differences_of(const char *a, const char *b)
{
    const char *const texts[] = {a, b};
    json_t *found = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_config_differences(texts, 2, &found, &err) == WISP_OK, "%s", err.message);
    return found;
}

START_TEST(differences)
{
    json_t *found = differences_of(one, two),
           *wanted = json_loads(
               "[{\"key\": \"sampler.use\", \"values\": [\"\\\"m\\\"\", \"\\\"s\\\"\"]},"
               " {\"key\": \"sampler.scale\", \"values\": [\"[0.1, 0.3]\", \"[0.1, 0.4]\"]},"
               " {\"key\": \"task.0.k\", \"values\": [\"5\", \"6\"]},"
               " {\"key\": \"sampler.target\", \"values\": [null, \"1.0\"]}]",
               0, NULL);
    ck_assert_ptr_nonnull(wanted);
    ck_assert_msg(json_equal(found, wanted), "%s", json_dumps(found, 0));
    json_t *warnings = wispi_config_warnings(found);
    ck_assert_uint_eq(json_array_size(warnings), 1);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_array_get(warnings, 0)), "task.0.k"));
    json_decref(warnings);
    json_decref(wanted);
    json_decref(found);
    found = differences_of(one, one);
    ck_assert_uint_eq(json_array_size(found), 0);
    json_decref(found);
}
END_TEST

/* --- words of a shell --- */

START_TEST(shell_words)
{
    static const char *const texts[] = {
        "plain/run.seed=3", "two words", "it's", "$HOME `x` \"y\"", "", "a\\b", "*",
        "run.out=\"a b\""};
    for (size_t i = 0; i < WISP_COUNT(texts); i++) {
        char line[200] = "";
        wispi_text command = {0};
        wispi_text_append(&command, "printf '%s\\n' ");
        wispi_shell_word(&command, texts[i]);
        FILE *shell = popen(command.data, "r");
        ck_assert_ptr_nonnull(shell);
        ck_assert_ptr_nonnull(fgets(line, sizeof line, shell));
        ck_assert_int_eq(pclose(shell), 0);
        line[strcspn(line, "\n")] = '\0';
        ck_assert_str_eq(line, texts[i]);
        wispi_text_free(&command);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arms");
    TCase *tests = tcase_create("arms");
    tcase_add_checked_fixture(tests, make_arena, destroy_arena);
    tcase_add_test(tests, files_are_arms);
    tcase_add_test(tests, letters_are_arms_of_one_file);
    tcase_add_test(tests, wrong_arms);
    tcase_add_test(tests, seed_offsets);
    tcase_add_test(tests, seeds);
    tcase_add_test(tests, devices);
    tcase_add_test(tests, grids);
    tcase_add_test(tests, names_of_cells_stay);
    tcase_add_test(tests, wrong_grids);
    tcase_add_test(tests, differences);
    tcase_add_test(tests, shell_words);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
