/* test_image_folder.c - large folders: listed in parallel in the order of their bytes, kept beside
 * the data, and listed again when anything has changed. What the plugin gives of small ones is in
 * test_datasets.c. */
#include <dirent.h>
#include <fcntl.h>
#include <time.h>

#include "base/memory.h"
#include "base/pool.h"
#include "dataset_fixture.h"
#include "wisp/cache_file.h"

/* Enough to be kept, and more than one run of the sort. */
enum { MANY = 10500 };

static void write_many(const char *below, int n, int seed)
{
    char path[256], command[300];
    snprintf(path, sizeof path, "%s/%s", folder, below);
    snprintf(command, sizeof command, "mkdir -p %s", path);
    ck_assert_int_eq(system(command), 0);
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(fd, 0);
    for (int i = 0; i < n; i++) {
        char name[64];
        /* The order of making is not that of the names. */
        snprintf(name, sizeof name, "n%d_%d.jpg", seed, (int)(i * 7919LL % n));
        int file = openat(fd, name, O_WRONLY | O_CREAT, 0600);
        ck_assert_int_eq(write(file, "12345678", (size_t)(i % 8)), i % 8);
        close(file);
    }
    close(fd);
}

/* What tells two listings apart. */
typedef struct facts {
    int64_t count;
    int32_t n_classes;
    uint64_t fingerprint;
} facts;

static facts look(const char *rest)
{
    set_under_test set;
    memset(&logged, 0, sizeof logged);
    wispi_log_set_sink(log_sink, NULL);
    open_set(&set, toml_of("image_folder", rest));
    wispi_log_set_sink(NULL, NULL);
    facts f = {set.vtable->count(set.self), set.vtable->n_classes(set.self),
               set.vtable->fingerprint(set.self)};
    close_set(&set);
    return f;
}

static int same(facts a, facts b)
{
    return a.count == b.count && a.n_classes == b.n_classes && a.fingerprint == b.fingerprint;
}

/* Files beside the data; `path` gets the last. */
static int count_kept(char *path, size_t bytes)
{
    DIR *entries = opendir(folder);
    const struct dirent *entry;
    int n = 0;
    while ((entry = readdir(entries)))
        if (strncmp(entry->d_name, ".wisp-", 6) == 0) {
            n++;
            if (path)
                snprintf(path, bytes, "%s/%s", folder, entry->d_name);
        }
    closedir(entries);
    return n;
}

/* Times of folders are trusted when they are older than a tick of the file system's clock. */
static void let_it_settle(void)
{
    const struct timespec wait = {0, 150000000};
    nanosleep(&wait, NULL);
}

START_TEST(paths_come_in_the_order_of_their_bytes)
{
    set_under_test set;
    char name[512], former[512] = "";
    make_folder();
    write_many("b", 2 * MANY, 1);
    write_many("b/n1_5", 300, 2); /* sorts behind "n1_5.jpg": a slash follows it */
    write_many("b/n1_5-", 10, 3);
    write_many("a", 30, 4);
    write_many("a-b", 30, 5);
    for (int threads = 0; threads <= 3; threads += 3) {
        wispi_pool *pool = threads ? wispi_pool_create(threads, NULL) : NULL;
        wispi_host_set_pool(pool);
        open_set(&set, toml_of("image_folder", "index = \"scan\""));
        ck_assert_int_eq(set.vtable->count(set.self), 2 * MANY + 370);
        ck_assert_str_eq(set.vtable->class_name(set.self, 0), "a");
        ck_assert_str_eq(set.vtable->class_name(set.self, 1), "a-b");
        former[0] = 0;
        for (int64_t i = 0; i < 2 * MANY + 370; i++) {
            set.vtable->sample_name(set.self, i, name, sizeof name);
            const int32_t label = set.vtable->label(set.self, i);
            ck_assert_int_eq(label, i < 30 ? 0 : i < 60 ? 1 : 2);
            if (i != 30 && i != 60)
                ck_assert_msg(strcmp(former, name) < 0, "%s before %s", former, name);
            snprintf(former, sizeof former, "%s", name);
        }
        close_set(&set);
        wispi_host_set_pool(NULL);
        wispi_pool_destroy(pool);
    }
    remove_folder();
}
END_TEST

/* The values that were found one file after the other, before listing became parallel. */
START_TEST(fingerprints_stay)
{
    set_under_test set;
    open_set(&set, "use = \"image_folder\"\npath = \"tests/data/image_folder\"");
    ck_assert_uint_eq(set.vtable->fingerprint(set.self), 0x545a6159275ddaf2u);
    close_set(&set);
    open_set(&set, "use = \"image_folder\"\npath = \"tests/data/image_folder/disc\"");
    ck_assert_uint_eq(set.vtable->fingerprint(set.self), 0xb9d9f68a86c3a99fu);
    close_set(&set);
    open_set(&set, "use = \"image_folder\"\npath = \"tests/data/image_folder\"\nlabels = false");
    ck_assert_uint_eq(set.vtable->fingerprint(set.self), 0x4cd987fa204f65ecu);
    close_set(&set);
}
END_TEST

START_TEST(small_folders_keep_nothing)
{
    make_folder();
    write_many(".", 100, 1);
    look("");
    ck_assert_int_eq(count_kept(NULL, 0), 0);
    remove_folder();
}
END_TEST

START_TEST(large_folders_are_listed_once)
{
    char path[512];
    make_folder();
    write_many(".", MANY, 1);
    facts scanned = look("index = \"scan\"");
    ck_assert_int_eq(count_kept(NULL, 0), 0);
    ck_assert(same(look(""), scanned));
    ck_assert_int_eq(count_kept(path, sizeof path), 1);
    ck_assert(same(look(""), scanned));
    /* Only a kept index can be unaware of another size. */
    write_text("n1_77.jpg", "longer than it was");
    ck_assert(same(look(""), scanned));
    ck_assert(!same(look("index = \"scan\""), scanned));
    set_under_test set;
    sink s = EMPTY_SINK;
    wisp_sample sample = {.form = 77};
    wisp_error err = {0};
    char name[64] = "";
    int64_t i = -1;
    open_set(&set, toml_of("image_folder", ""));
    while (strcmp(name, "n1_77.jpg") != 0)
        set.vtable->sample_name(set.self, ++i, name, sizeof name);
    ck_assert_int_eq(set.vtable->read(set.self, i, &s.base, &sample, &err), WISP_E_DATA);
    ck_assert_msg(strstr(err.message, "when the folder was listed and has more now") &&
                      strstr(err.message, "index = \"scan\"") &&
                      strstr(err.message, strrchr(path, '/') + 1),
                  "%s", err.message);
    free(s.memory);
    close_set(&set);
    /* The advice helps. */
    ck_assert_int_eq(unlink(path), 0);
    facts anew = look("");
    ck_assert(same(anew, look("index = \"scan\"")));
    ck_assert(same(anew, look("")));
    remove_folder();
}
END_TEST

START_TEST(options_have_files_of_their_own)
{
    make_folder();
    write_many(".", MANY, 1);
    ck_assert_int_eq(look("").count, MANY);
    ck_assert_int_eq(look("labels = false").count, MANY);
    ck_assert_int_eq(count_kept(NULL, 0), 2);
    /* The second file did not make the first one look old; the subset is none of its business. */
    write_text("n1_77.jpg", "longer than it was");
    ck_assert_uint_ne(look("").fingerprint, look("index = \"scan\"").fingerprint);
    ck_assert_int_eq(look("fraction = 0.5").count, MANY / 2);
    ck_assert_int_eq(count_kept(NULL, 0), 2);
    remove_folder();
}
END_TEST

/* Each change of a folder makes the next start list anew. */
START_TEST(changes_are_seen)
{
    char path[256], other[256];
    make_folder();
    write_many("a", MANY / 2, 1);
    write_many("b/deep/er", MANY / 2, 2);
    write_text(".elsewhere/x/1.jpg", "1");
    snprintf(path, sizeof path, "%s/c", folder);
    ck_assert_int_eq(symlink(".elsewhere/x", path), 0);
    look("");
    ck_assert_int_eq(count_kept(NULL, 0), 0); /* too young to be trusted */
    let_it_settle();
    ck_assert_int_eq(look("").count, MANY + 1);
    ck_assert_int_eq(count_kept(NULL, 0), 1);
    ck_assert_int_eq(look("").count, MANY + 1);
    ck_assert_ptr_null(strstr(logged.text, "has changed"));
    write_text("b/deep/er/one.jpg", "more"); /* deep */
    ck_assert_int_eq(look("").count, MANY + 2);
    ck_assert_ptr_nonnull(strstr(logged.text, "the folder has changed since"));
    let_it_settle();
    ck_assert_int_eq(look("").count, MANY + 2);
    write_text(".elsewhere/x/2.jpg", "more"); /* behind a link */
    ck_assert_int_eq(look("").count, MANY + 3);
    let_it_settle();
    ck_assert_int_eq(look("").count, MANY + 3);
    snprintf(other, sizeof other, "%s/a/n1_5.jpg", folder); /* one for another */
    snprintf(path, sizeof path, "%s/a/renamed.jpg", folder);
    ck_assert_int_eq(rename(other, path), 0);
    facts renamed = look("");
    ck_assert_ptr_nonnull(strstr(logged.text, "the folder has changed since"));
    ck_assert(same(renamed, look("index = \"scan\"")));
    let_it_settle();
    look("");
    write_text("d/1.jpg", "new class");
    ck_assert_int_eq(look("").n_classes, 4);
    let_it_settle();
    look("");
    snprintf(path, sizeof path, "%s/c", folder); /* a link that leads elsewhere now */
    write_text(".elsewhere/y/7.jpg", "7");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(".elsewhere/y", path), 0);
    ck_assert_int_eq(look("").count, MANY + 3);
    remove_folder();
}
END_TEST

START_TEST(dead_links_are_asked_again)
{
    char path[256];
    make_folder();
    write_many(".", MANY, 1);
    snprintf(path, sizeof path, "%s/dead.jpg", folder);
    ck_assert_int_eq(symlink(".later", path), 0);
    ck_assert_int_eq(look("").count, MANY);
    ck_assert_int_eq(count_kept(NULL, 0), 0);
    write_text(".later", "alive");
    ck_assert_int_eq(look("").count, MANY + 1);
    ck_assert_int_eq(count_kept(NULL, 0), 1);
    remove_folder();
}
END_TEST

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* A file whose checksum is right and whose numbers are not. */
START_TEST(kept_numbers_are_not_trusted)
{
    char path[512];
    void *content = NULL;
    size_t bytes = 0;
    uint64_t state = 1;
    make_folder();
    write_many(".", MANY, 1);
    facts scanned = look("");
    ck_assert_int_eq(count_kept(path, sizeof path), 1);
    unsigned long long key = 0;
    ck_assert_int_eq(sscanf(strrchr(path, '/'), "/.wisp-image_folder-%llx.index", &key), 1);
    wisp_cache_file cache = {.host = wispi_host_table(),
                             .plugin = "image_folder",
                             .where = folder,
                             .key = key,
                             .folder = open(folder, O_RDONLY | O_DIRECTORY),
                             .version = 1};
    ck_assert(wisp_cache_read(&cache, &content, &bytes));
    uint8_t *copy = malloc(bytes);
    const uint64_t wild[] = {UINT64_MAX, INT64_MAX, (uint64_t)1 << 40, 0, bytes, 1000000};
    wispi_log_set_sink(log_sink, NULL);
    for (int round = 0; round < 20; round++) {
        memcpy(copy, content, bytes);
        /* Mostly the counts, which everything else hangs on; their words stand first. */
        const size_t words = round % 3 ? 8 : bytes / 8;
        const uint64_t value = round % 2 ? wild[next(&state) % 6] : next(&state);
        memcpy(copy + 8 * (next(&state) % words), &value, 8);
        const size_t given = round % 5 ? bytes : next(&state) % bytes;
        ck_assert(wisp_cache_write(&cache, copy, given));
        plugin_fixture fixture;
        wisp_error err = {0};
        ck_assert_int_eq(plugin_fixture_try(&fixture, "dataset", toml_of("image_folder", ""), &err),
                         WISP_OK);
        const wisp_dataset_v0 *set = fixture.instance.plugin->descriptor->vtable;
        for (int64_t i = 0; i < set->count(fixture.instance.self); i += 97) {
            char name[600];
            set->sample_name(fixture.instance.self, i, name, sizeof name);
        }
        plugin_fixture_close(&fixture);
    }
    ck_assert(wisp_cache_write(&cache, "", 0));
    ck_assert(same(look(""), scanned));
    ck_assert_ptr_nonnull(strstr(logged.text, "damaged"));
    cache.host->free(cache.host, content);
    free(copy);
    close(cache.folder);
    remove_folder();
}
END_TEST

static void fail_each_allocation(void)
{
    for (int64_t nth = 1, reached = 1; reached; nth++) {
        plugin_fixture fixture;
        wisp_error err = {0};
        int64_t blocks = wispi_live_blocks();
        wispi_fail_allocation(nth);
        wisp_status status =
            plugin_fixture_try(&fixture, "dataset", toml_of("image_folder", ""), &err);
        wispi_fail_allocation(-1);
        /* Without memory for the kept index the folder is listed, which may go well. */
        reached = status != WISP_OK || strstr(logged.text, "there is no memory for it");
        logged.text[0] = 0;
        ck_assert_msg(status == WISP_OK || err.message[0], "allocation %lld", (long long)nth);
        if (status == WISP_OK)
            plugin_fixture_close(&fixture);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 2000);
    }
}

START_TEST(allocations_may_fail)
{
    char path[512];
    make_folder();
    write_many(".", MANY, 1);
    wispi_log_set_sink(log_sink, NULL);
    fail_each_allocation();
    ck_assert_int_eq(count_kept(path, sizeof path), 1);
    fail_each_allocation();
    wispi_log_set_sink(NULL, NULL);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image_folder");
    TCase *tests = tcase_create("image_folder");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, paths_come_in_the_order_of_their_bytes);
    tcase_add_test(tests, fingerprints_stay);
    tcase_add_test(tests, small_folders_keep_nothing);
    tcase_add_test(tests, large_folders_are_listed_once);
    tcase_add_test(tests, options_have_files_of_their_own);
    tcase_add_test(tests, changes_are_seen);
    tcase_add_test(tests, dead_links_are_asked_again);
    tcase_add_test(tests, kept_numbers_are_not_trusted);
    tcase_add_test(tests, allocations_may_fail);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
