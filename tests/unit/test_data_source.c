/* test_data_source.c - which plugin gets a path, and what is said when nobody does. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "plugin_fixture.h"
#include "train/data_source.h"
#include "wisp/dataset.h"

static char folder[64];
static wispi_registry *registry;

static void write_bytes(const char *name, const void *data, size_t bytes)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0700);
    }
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void begin(void)
{
    static const char *const folders[] = {WISP_BUILD_DIR "/plugins", NULL};
    const wispi_registry_options options = {folders, 1, 0};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_registry_create(&options, wispi_host_table(), &registry, &err), WISP_OK);
    snprintf(folder, sizeof folder, "/tmp/wisp-source-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    wispi_registry_destroy(registry);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static wisp_status try_open(const char *path, const char *use, const char *override,
                            wispi_data_source *source, wisp_error *err)
{
    const wispi_data_request request = {path, use, &override, override != NULL};
    memset(source, 0, sizeof *source);
    memset(err, 0, sizeof *err);
    return wispi_data_source_open(registry, &request, source, err);
}

/* Number of samples, by a plugin that must be `plugin`. */
static int64_t count_by(const char *plugin, const char *path, const char *use, const char *override)
{
    wispi_data_source source;
    wisp_error err;
    ck_assert_msg(try_open(path, use, override, &source, &err) == WISP_OK, "%s", err.message);
    ck_assert_str_eq(source.instance.plugin->descriptor->name, plugin);
    const wisp_dataset_v0 *set = source.instance.plugin->descriptor->vtable;
    int64_t n = set->count(source.instance.self);
    wispi_data_source_close(&source);
    return n;
}

static wisp_status refused(const char *path, const char *use, const char *override,
                           const char *words)
{
    wispi_data_source source;
    wisp_error err;
    wisp_status status = try_open(path, use, override, &source, &err);
    ck_assert_int_ne(status, WISP_OK);
    ck_assert_ptr_null(source.instance.plugin);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
    return status;
}

static void write_records(const char *name, int n)
{
    uint8_t *data = calloc((size_t)n, 3073);
    write_bytes(name, data, (size_t)n * 3073);
    free(data);
}

START_TEST(folders_of_images_are_known)
{
    write_text("a/1.jpg", "x");
    write_text("b/deep/er/2.PNG", "x");
    ck_assert_int_eq(count_by("image_folder", folder, NULL, NULL), 2);
    ck_assert_int_eq(count_by("image_folder", path_of("b"), NULL, NULL), 1);
    ck_assert_int_eq(count_by("image_folder", folder, NULL, "fraction=0.5"), 1);
    ck_assert_int_eq(count_by("image_folder", folder, NULL, "data.fraction=0.5"), 1);
    ck_assert_int_eq(count_by("image_folder", folder, "image_folder", NULL), 2);
}
END_TEST

START_TEST(the_surest_wins)
{
    write_records("set/test_batch.bin", 3);
    write_text("set/preview.png", "x");
    ck_assert_int_eq(count_by("cifar10", path_of("set"), NULL, "split=test"), 3);
    ck_assert_int_eq(count_by("image_folder", path_of("set"), "image_folder", NULL), 1);
    write_text("set/test_batch.bin", "no multiple of a record");
    ck_assert_int_eq(count_by("image_folder", path_of("set"), NULL, NULL), 1);
}
END_TEST

START_TEST(experiments_name_their_data)
{
    write_text("a/1.jpg", "x");
    char toml[256];
    snprintf(toml, sizeof toml, "[data]\nuse = \"image_folder\"\npath = \"%s\"\n", folder);
    write_text("exp.toml", toml);
    ck_assert_int_eq(count_by("image_folder", path_of("exp.toml"), NULL, NULL), 1);
    ck_assert_int_eq(count_by("synthetic", path_of("exp.toml"), NULL, "data.use=synthetic"), 10000);
    ck_assert_int_eq(
        refused(path_of("exp.toml"), "cifar10", NULL, "write data.use=cifar10 to replace"),
        WISP_E_CONFIG);
    ck_assert_int_eq(refused(path_of("exp.toml"), NULL, "data.pth=x", "pth"), WISP_E_CONFIG);
    write_text("none.toml", "[run]\nname = \"x\"\n");
    ck_assert_int_eq(refused(path_of("none.toml"), NULL, NULL, "no table [data]"), WISP_E_CONFIG);
    ck_assert_int_eq(refused(path_of("missing.toml"), NULL, NULL, "missing.toml"),
                     WISP_E_NOT_FOUND);
}
END_TEST

START_TEST(unknown_data_are_told_with_a_way_out)
{
    write_text("notes.txt", "x");
    refused(folder, NULL, NULL, "asked: cifar10");
    refused(folder, NULL, NULL, "image_folder");
    refused(folder, NULL, NULL, "cannot tell by a path: synthetic");
    ck_assert_int_eq(refused(folder, NULL, NULL, "--use NAME"), WISP_E_CONFIG);
    ck_assert_int_eq(refused(path_of("notes.txt"), NULL, NULL, "--use NAME"), WISP_E_CONFIG);
    ck_assert_int_eq(refused(path_of("gone"), NULL, NULL, "no file or folder"), WISP_E_NOT_FOUND);
    ck_assert_int_eq(refused(folder, "image_foldr", NULL, "image_folder"), WISP_E_NOT_FOUND);
    ck_assert_int_eq(refused(folder, "image_folder", NULL, "holds no image"), WISP_E_DATA);
    ck_assert_int_eq(refused(folder, "image_folder", "fractoin=1", "fraction"), WISP_E_CONFIG);
    ck_assert_int_eq(refused(folder, "synthetic", NULL, "path"), WISP_E_CONFIG);
}
END_TEST

/* Names are looked at up to a limit; hidden ones never. */
START_TEST(looking_ends)
{
    write_text(".hidden/1.jpg", "x");
    write_text("a/b/c/d/e/too_deep.jpg", "x");
    char path[128];
    snprintf(path, sizeof path, "%s/circle", folder);
    ck_assert_int_eq(symlink(".", path), 0);
    refused(folder, NULL, NULL, "--use NAME");
    write_text("a/b/1.jpg", "x");
    wispi_data_source source;
    wisp_error err;
    /* Recognised, and then refused for its own reason. */
    ck_assert_int_eq(try_open(folder, NULL, NULL, &source, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "circle"));
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    write_text("a/1.jpg", "x");
    count_by("image_folder", folder, NULL, NULL); /* what plugins keep is there from now on */
    for (int64_t nth = 1, reached = 1; reached; nth++) {
        wispi_data_source source;
        wisp_error err;
        int64_t blocks = wispi_live_blocks();
        wispi_fail_allocation(nth);
        wisp_status status = try_open(folder, NULL, "fraction=1.0", &source, &err);
        wispi_fail_allocation(-1);
        reached = status != WISP_OK;
        ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "allocation %lld: %s",
                      (long long)nth, err.message);
        wispi_data_source_close(&source);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 2000);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("data_source");
    TCase *tests = tcase_create("data_source");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, folders_of_images_are_known);
    tcase_add_test(tests, the_surest_wins);
    tcase_add_test(tests, experiments_name_their_data);
    tcase_add_test(tests, unknown_data_are_told_with_a_way_out);
    tcase_add_test(tests, looking_ends);
    tcase_add_test(tests, any_allocation_may_fail);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
