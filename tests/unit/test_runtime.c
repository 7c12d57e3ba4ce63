/* wisp/runtime.h as a program that embeds the host uses it; what the command shows is tested in
 * tests/cli. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "loader/host_table.h"
#include "nn/model.h"
#include "wisp/runtime.h"

#define BAD WISP_BUILD_DIR "/tests/bad"
#define GOOD BAD "/wisp-method-good_options.so"

static wisp_runtime *runtime;

static wisp_status create(wisp_error *err)
{
    static const char *const folders[] = {BAD, NULL};
    const wisp_runtime_options options = {.struct_size = sizeof options,
                                          .log_level = WISP_LOG_ERROR,
                                          .plugin_folders = folders,
                                          .ignore_environment = 1};
    return wisp_runtime_create(&options, &runtime, err);
}

static void begin(void)
{
    wisp_error err = {0};
    ck_assert_msg(create(&err) == WISP_OK, "%s", err.message);
}

static void end(void)
{
    wisp_runtime_destroy(runtime);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}

START_TEST(options_of_older_callers_are_read_as_far_as_they_go)
{
    wisp_runtime *r = NULL;
    wisp_runtime_options options;
    wisp_error err = {0};
    ck_assert_int_eq(wisp_runtime_create(NULL, &r, &err), WISP_OK);
    ck_assert_int_eq(wispi_log_level(), WISP_LOG_INFO);
    wisp_runtime_destroy(r);
    memset(&options, 0xff, sizeof options); /* wild pointers, not to be followed */
    options.struct_size = offsetof(wisp_runtime_options, plugin_folders);
    options.log_level = WISP_LOG_WARNING;
    ck_assert_int_eq(wisp_runtime_create(&options, &r, &err), WISP_OK);
    ck_assert_int_eq(wispi_log_level(), WISP_LOG_WARNING);
    wisp_runtime_destroy(r);
    wisp_runtime_destroy(NULL);
    wisp_runtime_free(NULL);
    ck_assert_str_ne(wisp_version(), "");
}
END_TEST

/* Every call with options takes none, and older ones; what it lacks it tells in words. */
START_TEST(options_may_be_left_out)
{
    const wisp_experiment_source source = {.struct_size = sizeof source, .path = "/not/there.toml"};
    wisp_export_options export_options;
    wisp_import_options import_options;
    wisp_data_info_options data_options;
    char marker[1], *text = marker;
    int64_t n_broken = 0;
    wisp_error err = {0};
    memset(&export_options, 0xff, sizeof export_options); /* wild pointers, not to be followed */
    memset(&import_options, 0xff, sizeof import_options);
    memset(&data_options, 0xff, sizeof data_options);
    export_options.struct_size = offsetof(wisp_export_options, names);
    import_options.struct_size = offsetof(wisp_import_options, names);
    data_options.struct_size = offsetof(wisp_data_info_options, use);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ne(wisp_runtime_export(runtime, "/not/there", "/not/there.safetensors",
                                             i ? &export_options : NULL, 0, &text, &err),
                         WISP_OK);
        ck_assert_int_ne(wisp_runtime_import(runtime, "/not/there.safetensors", &source,
                                             i ? &import_options : NULL, 0, &text, &err),
                         WISP_OK);
        ck_assert_int_ne(wisp_runtime_data_info(runtime, &source, i ? &data_options : NULL, 0,
                                                &text, &n_broken, &err),
                         WISP_OK);
    }
    ck_assert_int_eq(wisp_runtime_bench_views(runtime, &source, NULL, 0, &text, &err),
                     WISP_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "cannot measure for 0 seconds"));
    ck_assert_int_ne(wisp_runtime_pack(runtime, &source, "/not/there", NULL, 0, &text, &err),
                     WISP_OK);
    ck_assert_ptr_eq(text, marker);
}
END_TEST

static wisp_status run_smoke(const char *folder, const char *steps, const wisp_run_options *options,
                             wisp_error *err)
{
    char out[200];
    const char *overrides[] = {out, steps, "run.threads=1", "run.workers=0"};
    const wisp_experiment_source source = {.struct_size = sizeof source,
                                           .n_overrides = 4,
                                           .path = WISP_SOURCE_DIR "/configs/smoke/base.toml",
                                           .overrides = overrides};
    snprintf(out, sizeof out, "run.out=%s", folder);
    return wisp_runtime_run(runtime, &source, options, err);
}

START_TEST(a_run_is_locked_by_callers_who_know_of_it)
{
    static const char *const folders[] = {WISP_BUILD_DIR "/plugins", NULL};
    const wisp_runtime_options in_build = {
        .struct_size = sizeof in_build, .plugin_folders = folders, .ignore_environment = 1};
    wisp_run_options options = {.struct_size = sizeof options, .quiet = 1, .locked = 1};
    char folder[] = "/tmp/wisp-runtime-XXXXXX", manifest[200], command[200];
    wisp_error err = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    wisp_runtime_destroy(runtime);
    ck_assert_int_eq(wisp_runtime_create(&in_build, &runtime, &err), WISP_OK);
    ck_assert_msg(run_smoke(folder, "run.steps=1", &options, &err) == WISP_OK, "%s", err.message);
    snprintf(manifest, sizeof manifest, "%s/smoke/0/manifest.json", folder);
    ck_assert_int_eq(unlink(manifest), 0);
    ck_assert_int_eq(run_smoke(folder, "run.steps=2", &options, &err), WISP_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "manifest.json is missing"));
    options.struct_size = offsetof(wisp_run_options, locked);
    ck_assert_msg(run_smoke(folder, "run.steps=2", &options, &err) == WISP_OK, "%s", err.message);
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(the_host_knows_two_tables_by_name)
{
    const wisp_host *host = wispi_host_table();
    ck_assert_ptr_eq(host->get_extension(host, "wisp.ops/0"), wispi_ops_table());
    ck_assert_ptr_eq(host->get_extension(host, "wisp.build/0"), wispi_builder_interface());
    ck_assert_ptr_null(host->get_extension(host, "wisp.ops/1"));
    ck_assert_ptr_null(host->get_extension(host, "wisp.tasks/0"));
}
END_TEST

START_TEST(results_are_written_on_success_only)
{
    char marker[1], *text = marker;
    int32_t n_failed = -7;
    wisp_error err = {0};
    for (int32_t format = WISP_FORMAT_TEXT; format <= WISP_FORMAT_JSON; format++) {
        ck_assert_int_eq(wisp_runtime_list(runtime, "teapot", format, &text, &err), WISP_E_INVALID);
        ck_assert_int_eq(wisp_runtime_inspect(runtime, "method/x", format, &text, &err),
                         WISP_E_NOT_FOUND);
        ck_assert_int_eq(
            wisp_runtime_inspect(runtime, BAD "/wisp-method-bad_magic.so", format, &text, &err),
            WISP_E_ABI);
        ck_assert_int_eq(wisp_runtime_ops(runtime, 99, NULL, NULL, format, &text, &n_failed, &err),
                         WISP_E_INVALID);
        ck_assert_int_eq(wisp_runtime_ops(runtime, WISP_OPS_TEST, "reference", "no_such_op", format,
                                          &text, &n_failed, &err),
                         WISP_E_NOT_FOUND);
        ck_assert_int_eq(wisp_runtime_ops(runtime, WISP_OPS_TEST, "no_such_backend", NULL, format,
                                          &text, &n_failed, &err),
                         WISP_E_NOT_FOUND);
    }
    ck_assert_ptr_eq(text, marker);
    ck_assert_int_eq(n_failed, -7);
}
END_TEST

START_TEST(a_file_with_two_plugins_is_inspected_whole)
{
    char *text = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wisp_runtime_inspect(runtime, BAD "/wisp-method-good_pair.so",
                                          WISP_FORMAT_TEXT, &text, &err),
                     WISP_OK);
    ck_assert_ptr_nonnull(strstr(text, "method/good_pair 1 - one of two"));
    ck_assert_ptr_nonnull(strstr(text, "sampler/good_second 1 - one of two"));
    wisp_runtime_free(text);
    ck_assert_int_eq(wisp_runtime_inspect(runtime, BAD "/wisp-method-good_pair.so",
                                          WISP_FORMAT_JSON, &text, &err),
                     WISP_OK);
    json_t *root = json_loads(text, 0, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "plugins")), 2);
    json_decref(root);
    wisp_runtime_free(text);
}
END_TEST

/* --- each allocation fails once --- */

static wisp_status list_samplers(char **text, wisp_error *err)
{
    return wisp_runtime_list(runtime, "sampler", WISP_FORMAT_TEXT, text, err);
}

static wisp_status inspect_text(char **text, wisp_error *err)
{
    return wisp_runtime_inspect(runtime, GOOD, WISP_FORMAT_TEXT, text, err);
}

static wisp_status inspect_json(char **text, wisp_error *err)
{
    return wisp_runtime_inspect(runtime, GOOD, WISP_FORMAT_JSON, text, err);
}

static wisp_status test_ops(char **text, wisp_error *err)
{
    int32_t n_failed = 0;
    return wisp_runtime_ops(runtime, WISP_OPS_SUPPORT, "reference", "softmax", WISP_FORMAT_TEXT,
                            text, &n_failed, err);
}

static wisp_status (*const calls[])(char **text, wisp_error *err) = {list_samplers, inspect_text,
                                                                     inspect_json, test_ops};

START_TEST(lack_of_memory_is_an_error_each_time)
{
    int64_t n_failed = 0;
    for (int64_t nth = 1;; nth++) {
        char *text = NULL;
        wisp_error err = {0};
        wisp_runtime_destroy(runtime);
        runtime = NULL;
        wispi_fail_allocation(nth);
        wisp_status status = create(&err);
        if (status == WISP_OK)
            status = calls[_i](&text, &err);
        wispi_fail_allocation(-1);
        ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "allocation %d: %s %s", (int)nth,
                      wisp_status_name(status), err.message);
        ck_assert_int_eq(text != NULL, status == WISP_OK);
        wisp_runtime_free(text);
        n_failed += status == WISP_E_NOMEM;
        if (status == WISP_OK)
            break;
    }
    ck_assert_int_ge(n_failed, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime");
    TCase *cases = tcase_create("runtime");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, options_of_older_callers_are_read_as_far_as_they_go);
    tcase_add_test(cases, options_may_be_left_out);
    tcase_add_test(cases, a_run_is_locked_by_callers_who_know_of_it);
    tcase_add_test(cases, the_host_knows_two_tables_by_name);
    tcase_add_test(cases, results_are_written_on_success_only);
    tcase_add_test(cases, a_file_with_two_plugins_is_inspected_whole);
    tcase_add_loop_test(cases, lack_of_memory_is_an_error_each_time, 0,
                        sizeof calls / sizeof calls[0]);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
