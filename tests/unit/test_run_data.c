/* test_run_data.c - what is read of a run folder: whole ones, ones that are being written, and ones
 * that nobody should trust. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "report/run_data.h"

static char folder[64];

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/wisp-rundata-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void put_bytes(const char *name, const char *text, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static void put_config(void)
{
    put("config.toml", "[run]\nname = \"tiny\"\nseed = 3\nepochs = 2\nbatch = 8\n");
}

static wispi_run_data *read_run(void)
{
    wispi_run_data *data = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_run_data_read(folder, &data, &err) == WISP_OK, "%s", err.message);
    return data;
}

/* The run is refused with a message that holds all of `words`. */
static void refused(wisp_status status, const char *words)
{
    wispi_run_data *data = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_run_data_read(folder, &data, &err), status);
    ck_assert_ptr_null(data);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
}

/* The run is read, but for what its one note names. */
static wispi_run_data *noted(const char *words)
{
    wispi_run_data *data = read_run();
    ck_assert_uint_eq(json_array_size(data->notes), 1);
    const char *note = json_string_value(json_array_get(data->notes, 0));
    ck_assert_msg(note && strstr(note, words) != NULL, "%s", note);
    return data;
}

static const char whole[] =
    "{\"kind\": \"train\", \"epoch\": 0, \"step\": 0, \"loss\": 7.5, \"pixels\": 0}\n"
    "{\"kind\": \"schedule\", \"epoch\": 0, \"step\": 0, \"lr\": 0.5}\n"
    "{\"kind\": \"train\", \"epoch\": 0, \"step\": 10, \"loss\": null, \"pixels\": 800}\n"
    "{\"kind\": \"probe\", \"epoch\": 1, \"step\": 10, \"k_nn_top_1\": 40, \"pixels\": 800, "
    "\"protocol\": {\"k\": 5}}\n"
    "{\"kind\": \"probe\", \"epoch\": 2, \"step\": 20, \"k_nn_top_1\": 50.5, \"pixels\": 1600, "
    "\"protocol\": {\"k\": 5}}\n"
    "{\"kind\": \"task\", \"epoch\": 2, \"step\": 20, \"linear_probe_top_1\": 61.25, \"protocol\": "
    "{\"epochs\": 3}}\n"
    "{\"kind\": \"best_probe\", \"epoch\": 2, \"step\": 20, \"k_nn_top_1\": 50.5, \"protocol\": "
    "{\"k\": 5}}\n";

START_TEST(a_whole_run)
{
    put_config();
    put("metrics.jsonl", whole);
    put("timing.jsonl", "{\"epoch\": 1, \"step\": 10, \"minutes\": 1.5}\n"
                        "{\"epoch\": 2, \"step\": 20, \"minutes\": 2.75}\n");
    put("manifest.json", "{\"wisp\": \"0.1.0\"}");
    wispi_run_data *run = read_run();
    ck_assert_str_eq(run->name, "tiny");
    ck_assert_int_eq(run->seed, 3);
    ck_assert_int_eq(run->epochs, 2);
    ck_assert_int_eq(run->batch, 8);
    ck_assert_int_eq(run->is_done, 1);
    ck_assert_ptr_nonnull(run->manifest);
    ck_assert_uint_eq(json_array_size(run->notes), 0);
    ck_assert_int_eq(run->n_curves, 6);
    const wispi_curve *loss = wispi_run_data_curve(run, "train/loss");
    ck_assert_int_eq(loss->n, 2);
    ck_assert_double_eq(loss->points[0].value, 7.5);
    ck_assert(isnan(loss->points[1].value));
    ck_assert_double_eq(loss->points[1].pixels, 800);
    ck_assert(isnan(wispi_run_data_curve(run, "schedule/lr")->points[0].pixels));
    const wispi_run_result *probe = wispi_run_data_result(run, "probe", "k_nn_top_1");
    ck_assert_double_eq(probe->value, 50.5);
    ck_assert_double_eq(probe->epoch, 2);
    ck_assert_int_eq(json_integer_value(json_object_get(probe->protocol, "k")), 5);
    ck_assert_ptr_nonnull(wispi_run_data_result(run, "best_probe", "k_nn_top_1"));
    ck_assert_double_eq(wispi_run_data_result(run, "task", "linear_probe_top_1")->value, 61.25);
    ck_assert_ptr_null(wispi_run_data_result(run, "task", "k_nn_top_1"));
    ck_assert_double_eq(wispi_run_data_minutes(run, 20), 2.75);
    ck_assert(isnan(wispi_run_data_minutes(run, 15)));
    wispi_run_data_free(run);
}
END_TEST

/* An evaluation within an epoch stands in it, not at its end. */
START_TEST(epochs_are_steps_over_those_of_an_epoch)
{
    put_config();
    put("metrics.jsonl", whole);
    put("manifest.json", "{\"steps_per_epoch\": 16}");
    wispi_run_data *run = read_run();
    const wispi_curve *probe = wispi_run_data_curve(run, "probe/k_nn_top_1");
    ck_assert_double_eq(probe->points[0].epoch, 10.0 / 16);
    ck_assert_double_eq(wispi_run_data_result(run, "probe", "k_nn_top_1")->epoch, 1.25);
    wispi_run_data_free(run);
}
END_TEST

/* Cut off after each byte, as a reader may see it: never an error, never a number that is not
 * there. */
START_TEST(a_run_that_is_being_written)
{
    put_config();
    for (size_t n = 0; n < sizeof whole; n++) {
        put_bytes("metrics.jsonl", whole, n);
        wispi_run_data *run = read_run();
        const wispi_curve *loss = wispi_run_data_curve(run, "train/loss");
        ck_assert(!loss || loss->points[0].value == 7.5);
        const wispi_run_result *task = wispi_run_data_result(run, "task", "linear_probe_top_1");
        ck_assert(!task || task->value == 61.25);
        ck_assert_int_eq(run->is_done, task != NULL);
        wispi_run_data_free(run);
    }
}
END_TEST

START_TEST(what_was_wrong_is_kept)
{
    put_config();
    put("metrics.jsonl", whole);
    wispi_run_data *run = read_run();
    ck_assert_ptr_null(run->health);
    wispi_run_data_free(run);
    put("metrics.jsonl", "{\"kind\": \"health\", \"epoch\": 0, \"step\": 5, \"words\": \"one\"}\n"
                         "{\"kind\": \"train\", \"epoch\": 0, \"step\": 6, \"loss\": 1}\n"
                         "{\"kind\": \"health\", \"epoch\": 0, \"step\": 7, \"words\": \"two\"}\n");
    run = read_run();
    ck_assert_uint_eq(json_array_size(run->health), 2);
    const json_t *last = json_array_get(run->health, 1);
    ck_assert_str_eq(json_string_value(json_object_get(last, "words")), "two");
    ck_assert_int_eq(json_integer_value(json_object_get(last, "step")), 7);
    wispi_run_data_free(run);
}
END_TEST

/* run.steps was raised: what was the end is not the end any more. */
START_TEST(a_run_that_goes_on)
{
    char longer[sizeof whole + 200];
    put_config();
    snprintf(longer, sizeof longer, "%s%s", whole,
             "{\"kind\": \"train\", \"epoch\": 2, \"step\": 20, \"loss\": 3}\n"
             "{\"kind\": \"probe\", \"epoch\": 2, \"step\": 20, \"k_nn_top_1\": 51}\n");
    put("metrics.jsonl", longer);
    wispi_run_data *run = read_run();
    ck_assert_int_eq(run->is_done, 0);
    const wispi_curve *probe = wispi_run_data_curve(run, "probe/k_nn_top_1");
    ck_assert_int_eq(probe->n, 2); /* judged again: the newer value counts */
    ck_assert_double_eq(probe->points[1].value, 51);
    wispi_run_data_free(run);
}
END_TEST

START_TEST(folders_that_lack_files)
{
    refused(WISP_E_NOT_FOUND, "it has no config.toml");
    put_config();
    wispi_run_data *run = read_run();
    ck_assert_int_eq(run->n_curves, 0);
    ck_assert_int_eq(run->is_done, 0);
    ck_assert_ptr_null(run->manifest);
    wispi_run_data_free(run);
}
END_TEST

START_TEST(lines_that_are_wrong)
{
    static const struct {
        const char *line, *words;
    } wrong[] = {
        {"{\"kind\": \"train\", \"epoch\": 0, \"step\": 0, \"loss\"", "jsonl:2: not a JSON object"},
        {"[1, 2]", "jsonl:2: not a JSON object"},
        {"{\"epoch\": 0, \"step\": 0}", "jsonl:2: the line has no \"kind\""},
        {"{\"kind\": 5, \"epoch\": 0, \"step\": 0}", "has no \"kind\""},
        {"{\"kind\": \"a\", \"epoch\": 0}", "\"step\" must be"},
        {"{\"kind\": \"a\", \"epoch\": 0, \"step\": -1}", "\"step\" must be"},
        {"{\"kind\": \"a\", \"epoch\": 0.5, \"step\": 1}", "\"epoch\" must be"},
        {"{\"kind\": \"a\", \"epoch\": 0, \"step\": 99999999999999999999}", "jsonl:2: "},
        {"{\"kind\": \"a\", \"epoch\": 0, \"step\": 1, \"x\": 1e999}", "jsonl:2: "},
        {"{\"kind\": \"a\", \"epoch\": 0, \"step\": 1, \"x\": 1, \"x\": 2}", "jsonl:2: "},
        {"{\"kind\": \"train\", \"epoch\": 0, \"step\": 3, \"loss\": 1}",
         "jsonl:2: train/loss at step 3 comes after step 5"},
    };
    put_config();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[600];
        snprintf(text, sizeof text, "%s\n%s\n%s\n",
                 "{\"kind\": \"train\", \"epoch\": 0, \"step\": 5, \"loss\": 1}", wrong[i].line,
                 "{\"kind\": \"train\", \"epoch\": 0, \"step\": 9, \"loss\": 1}");
        put("metrics.jsonl", text);
        wispi_run_data *run = noted(wrong[i].words);
        ck_assert_int_eq(wispi_run_data_curve(run, "train/loss")->points[0].step, 5);
        ck_assert_int_eq(run->is_damaged, 1);
        ck_assert_int_eq(run->is_done, 0);
        wispi_run_data_free(run);
    }
}
END_TEST

START_TEST(names_and_lines_without_measure)
{
    static char line[3 << 20];
    put_config();
    snprintf(line, sizeof line, "{\"kind\": \"a\", \"epoch\": 0, \"step\": 0, \"%0300d\": 1}\n", 0);
    put("metrics.jsonl", line);
    wispi_run_data_free(noted("jsonl:1: a name of more than"));
    size_t n = (size_t)snprintf(line, sizeof line, "{\"kind\": \"a\", \"epoch\": 0, \"step\": 0");
    for (int i = 0; i < 5000; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, ", \"x%d\": 1", i);
    snprintf(line + n, sizeof line - n, "}\n");
    put("metrics.jsonl", line);
    wispi_run_data_free(noted("more than 4096 numbers"));
    memset(line, 'x', sizeof line);
    put_bytes("metrics.jsonl", line, sizeof line);
    wispi_run_data_free(noted("jsonl:1: a line of more than"));
    memset(line, '[', 4000);
    put_bytes("metrics.jsonl", line, 4000); /* not whole, so not looked at */
    wispi_run_data_free(read_run());
    line[4000] = '\n';
    put_bytes("metrics.jsonl", line, 4001);
    wispi_run_data_free(noted("jsonl:1: "));
}
END_TEST

START_TEST(zeros_behind_the_end)
{
    static const char line[] =
        "{\"kind\": \"train\", \"epoch\": 0, \"step\": 5, \"loss\": 1}\n\0\0";
    put_config();
    put_bytes("metrics.jsonl", line, sizeof line);
    wispi_run_data *run = read_run();
    ck_assert_int_eq(run->n_curves, 1);
    wispi_run_data_free(run);
}
END_TEST

START_TEST(files_of_another_kind)
{
    char path[128];
    put_config();
    put("manifest.json", "{\"wisp\": ");
    wispi_run_data_free(noted("manifest.json:1: "));
    put("manifest.json", "[7]");
    wispi_run_data_free(noted("manifest.json: not a JSON object"));
    put("manifest.json", "{}");
    put("config.toml", "[run\n");
    refused(WISP_E_CONFIG, "config.toml:1");
    put("config.toml", "run = 5\n");
    wispi_run_data *run = read_run();
    ck_assert_str_eq(run->name, "");
    wispi_run_data_free(run);
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    wispi_run_data_free(noted("not a regular file"));
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    wispi_run_data_free(noted("not a regular file"));
}
END_TEST

START_TEST(without_memory_nothing_is_left)
{
    put_config();
    put("metrics.jsonl", whole);
    put("timing.jsonl", "{\"epoch\": 1, \"step\": 10, \"minutes\": 1.5}\n");
    put("manifest.json", "{}");
    const int64_t blocks = wispi_live_blocks();
    wisp_status status = WISP_E_NOMEM;
    for (int nth = 1; status == WISP_E_NOMEM; nth++) {
        wispi_run_data *data = NULL;
        wisp_error err = {0};
        wispi_fail_allocation(nth);
        status = wispi_run_data_read(folder, &data, &err);
        wispi_fail_allocation(-1);
        ck_assert_int_lt(nth, 1000);
        wispi_run_data_free(data);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        if (status != WISP_OK)
            ck_assert_msg(status == WISP_E_NOMEM, "%s", err.message);
    }
    ck_assert_int_eq(status, WISP_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_data");
    TCase *tests = tcase_create("run_data");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, a_whole_run);
    tcase_add_test(tests, epochs_are_steps_over_those_of_an_epoch);
    tcase_add_test(tests, a_run_that_is_being_written);
    tcase_add_test(tests, what_was_wrong_is_kept);
    tcase_add_test(tests, a_run_that_goes_on);
    tcase_add_test(tests, folders_that_lack_files);
    tcase_add_test(tests, lines_that_are_wrong);
    tcase_add_test(tests, names_and_lines_without_measure);
    tcase_add_test(tests, zeros_behind_the_end);
    tcase_add_test(tests, files_of_another_kind);
    tcase_add_test(tests, without_memory_nothing_is_left);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
