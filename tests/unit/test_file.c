/* test_file.c - reading, replacing in one step, folders, paths, hashes; a full disk and a folder
 * that cannot be written leave the old file as it was. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

static char folder[PATH_MAX];

static const char *in_folder(const char *name)
{
    static char path[PATH_MAX];
    ck_assert_int_eq(wispi_path_join(path, sizeof path, folder, name), WISP_OK);
    return path;
}

static void make_folder(void)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/wisp-file-XXXXXX", temporary ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* Removes the folder, two levels deep, and tells how many entries it had. */
static int empty_folder(const char *path)
{
    int n = 0;
    DIR *entries = opendir(path);
    ck_assert_ptr_nonnull(entries);
    for (struct dirent *entry; (entry = readdir(entries));) {
        char name[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        n++;
        ck_assert_int_eq(wispi_path_join(name, sizeof name, path, entry->d_name), WISP_OK);
        if (unlink(name) != 0 && rmdir(name) != 0) {
            empty_folder(name);
            rmdir(name);
        }
    }
    closedir(entries);
    return n;
}

static void remove_folder(void)
{
    empty_folder(folder);
    rmdir(folder);
}

static int count_entries(void)
{
    int n = 0;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; (entry = readdir(entries));)
        n += entry->d_name[0] != '.';
    closedir(entries);
    return n;
}

static void check_content(const char *path, const char *expected)
{
    uint8_t *data = NULL;
    size_t n = 0;
    wisp_error err = {0};
    ck_assert_msg(wispi_file_read(path, 1000, &data, &n, &err) == WISP_OK, "%s", err.message);
    ck_assert_uint_eq(n, strlen(expected));
    ck_assert_str_eq((char *)data, expected);
    wispi_free(data);
}

START_TEST(write_and_read_back)
{
    const char *path = in_folder("a.txt");
    wisp_error err = {0};
    ck_assert_int_eq(wispi_file_replace(path, "old", 3, &err), WISP_OK);
    check_content(path, "old");
    ck_assert_int_eq(chmod(path, 0640), 0);
    wispi_file_part parts[] = {{"new", 3}, {NULL, 0}, {" text", 5}};
    ck_assert_int_eq(wispi_file_replace_parts(path, parts, 3, &err), WISP_OK);
    check_content(path, "new text");
    struct stat info;
    stat(path, &info);
    ck_assert_uint_eq(info.st_mode & 07777, 0640);
    ck_assert_int_eq(wispi_file_replace(path, "", 0, &err), WISP_OK);
    check_content(path, "");
    ck_assert_int_eq(count_entries(), 1);
}
END_TEST

START_TEST(what_cannot_be_read)
{
    uint8_t *data = (uint8_t *)folder;
    size_t n = 77;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_file_read(in_folder("none"), 10, &data, &n, &err), WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "none: cannot open: No such file"));
    ck_assert_int_eq(wispi_file_read(folder, 10, &data, &n, &err), WISP_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "a folder; give"));
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    ck_assert_int_eq(wispi_file_read(in_folder("pipe"), 10, &data, &n, &err), WISP_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "not a regular file; give"));
    ck_assert_int_eq(wispi_file_replace(in_folder("b"), "0123456789", 10, &err), WISP_OK);
    ck_assert_int_eq(wispi_file_read(in_folder("b"), 9, &data, &n, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "10 bytes, but at most 9"));
    wispi_fail_allocation(1);
    ck_assert_int_eq(wispi_file_read(in_folder("b"), 10, &data, &n, &err), WISP_E_NOMEM);
    wispi_fail_allocation(-1);
    ck_assert_ptr_eq(data, (uint8_t *)folder); /* out-parameters untouched */
    ck_assert_uint_eq(n, 77);
    ck_assert_int_eq(wispi_file_read(in_folder("b"), 10, &data, &n, NULL), WISP_OK);
    wispi_free(data);
}
END_TEST

/* A limit on the size of files stands in for a disk that runs full in the middle of writing. */
START_TEST(full_disk_keeps_the_old_file)
{
    enum { LARGE = 1 << 20 };
    static char large[LARGE];
    const char *path = in_folder("checkpoint");
    wisp_error err = {0};
    ck_assert_int_eq(wispi_file_replace(path, "the old one", 11, &err), WISP_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    struct rlimit small = {LARGE / 2, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    wisp_status status = wispi_file_replace(path, large, LARGE, &err);
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(status, WISP_E_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "checkpoint: cannot write: File too large"));
    check_content(path, "the old one");
    ck_assert_int_eq(count_entries(), 1);
    ck_assert_int_eq(wispi_file_replace(path, large, LARGE, &err), WISP_OK);
}
END_TEST

START_TEST(folder_that_cannot_take_it)
{
    wisp_error err = {0};
    ck_assert_int_eq(wispi_file_replace(in_folder("none/x"), "x", 1, &err), WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "cannot create a temporary file"));
    /* Onto a folder: everything is written before the rename fails. */
    ck_assert_int_eq(wispi_make_folders(in_folder("dir"), &err), WISP_OK);
    ck_assert_int_eq(wispi_file_replace(in_folder("dir"), "x", 1, &err), WISP_E_IO);
    ck_assert_int_eq(count_entries(), 1);
    if (geteuid() != 0) { /* root may write everywhere */
        ck_assert_int_eq(chmod(folder, 0500), 0);
        ck_assert_int_eq(wispi_file_replace(in_folder("y"), "x", 1, &err), WISP_E_IO);
        ck_assert_int_eq(chmod(folder, 0700), 0);
    }
}
END_TEST

START_TEST(leftovers_are_removed)
{
    static const char *const names[] = {"w.tmp-12-0", "w.tmp-999-31", "w2.tmp-1-1", "w.tmp", "w"};
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(wispi_file_replace(in_folder(names[i]), "x", 1, NULL), WISP_OK);
    ck_assert_int_eq(wispi_file_remove_leftovers(in_folder("w")), 2);
    ck_assert_int_eq(access(in_folder("w2.tmp-1-1"), F_OK), 0);
    ck_assert_int_eq(count_entries(), 3);
    ck_assert_int_eq(wispi_file_remove_leftovers(in_folder("none/w")), 0);
}
END_TEST

START_TEST(folders)
{
    wisp_error err = {0};
    struct stat info;
    ck_assert_int_eq(wispi_make_folders(in_folder("a/b//c/"), &err), WISP_OK);
    ck_assert_int_eq(stat(in_folder("a/b/c"), &info), 0);
    ck_assert(S_ISDIR(info.st_mode));
    ck_assert_int_eq(wispi_make_folders(in_folder("a/b/c"), &err), WISP_OK);
    rmdir(in_folder("a/b/c"));
    ck_assert_int_eq(wispi_file_replace(in_folder("f"), "x", 1, &err), WISP_OK);
    ck_assert_int_eq(wispi_make_folders(in_folder("f/g"), &err), WISP_E_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "/f: cannot make this folder: Not a directory"));
    ck_assert_int_eq(wispi_make_folders("", &err), WISP_E_INVALID);
}
END_TEST

START_TEST(paths)
{
    char out[8] = "before";
    ck_assert_int_eq(wispi_path_join(out, 8, "abc", "def"), WISP_OK);
    ck_assert_str_eq(out, "abc/def");
    ck_assert_int_eq(wispi_path_join(out, 8, "abc/", "def"), WISP_OK);
    ck_assert_str_eq(out, "abc/def");
    ck_assert_int_eq(wispi_path_join(out, 8, "abc", "defg"), WISP_E_INVALID);
    ck_assert_str_eq(out, "abc/def");
    ck_assert_int_eq(wispi_path_join(out, 8, "abc", "/x"), WISP_OK);
    ck_assert_str_eq(out, "/x");
    ck_assert_int_eq(wispi_path_join(out, 8, "", "x"), WISP_OK);
    ck_assert_str_eq(out, "x");
    ck_assert_int_eq(wispi_path_folder(out, 8, "a/b/c"), WISP_OK);
    ck_assert_str_eq(out, "a/b");
    ck_assert_int_eq(wispi_path_folder(out, 8, "c"), WISP_OK);
    ck_assert_str_eq(out, ".");
    ck_assert_int_eq(wispi_path_folder(out, 8, "/c"), WISP_OK);
    ck_assert_str_eq(out, "/");
    ck_assert_int_eq(wispi_path_folder(out, 8, "12345678/c"), WISP_E_INVALID);
}
END_TEST

/* Values of the reference library (xxHash 0.8.1, XXH64) for bytes (37 i + 11) mod 256. */
static const struct {
    size_t n;
    uint64_t seed, expected;
} hashes[] = {
    {0, 0u, 0xef46db3751d8e999u},    {1, 7u, 0x6e24c178c5cc3e62u},
    {31, 0u, 0xe4a0e629e519a4aeu},   {32, 0u, 0xcc6b8aaada790b2du},
    {33, 1u, 0x0fd4b34807971da4u},   {63, 9223372036854775813u, 0x3e97bffaa0ff32e3u},
    {64, 0u, 0x155ccce4bf32befcu},   {100, 12345u, 0xe7b0dc1a7e6b2f6bu},
    {1000, 0u, 0x128da10cfbdc59d9u}, {1000, 42u, 0x68886e51aaec214fu},
};

START_TEST(hash_equals_the_reference)
{
    uint8_t bytes[1000];
    for (int i = 0; i < 1000; i++)
        bytes[i] = (uint8_t)(37 * i + 11);
    ck_assert_uint_eq(wispi_hash64("abc", 3, 0), 0x44bc2cf5ad770999u);
    for (size_t h = 0; h < sizeof hashes / sizeof *hashes; h++) {
        ck_assert_uint_eq(wispi_hash64(bytes, hashes[h].n, hashes[h].seed), hashes[h].expected);
        for (size_t piece = 1; piece < 80; piece += 3) {
            wispi_hash hash;
            wispi_hash_begin(&hash, hashes[h].seed);
            for (size_t at = 0; at < hashes[h].n; at += piece)
                wispi_hash_add(&hash, bytes + at,
                               hashes[h].n - at < piece ? hashes[h].n - at : piece);
            ck_assert_uint_eq(wispi_hash_end(&hash), hashes[h].expected);
        }
    }
    uint64_t value = 5;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_file_replace(in_folder("h"), bytes, 1000, &err), WISP_OK);
    ck_assert_int_eq(wispi_file_hash(in_folder("h"), &value, &err), WISP_OK);
    ck_assert_uint_eq(value, 0x128da10cfbdc59d9u);
    ck_assert_int_eq(wispi_file_hash(in_folder("none"), &value, &err), WISP_E_NOT_FOUND);
    ck_assert_int_eq(wispi_file_hash(folder, &value, &err), WISP_E_IO);
}
END_TEST

START_TEST(clock_goes_forward)
{
    double before = wispi_seconds();
    usleep(20000);
    double after = wispi_seconds();
    ck_assert_msg(after - before >= 0.0199 && after - before < 10, "%g s", after - before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests, write_and_read_back);
    tcase_add_test(tests, what_cannot_be_read);
    tcase_add_test(tests, full_disk_keeps_the_old_file);
    tcase_add_test(tests, folder_that_cannot_take_it);
    tcase_add_test(tests, leftovers_are_removed);
    tcase_add_test(tests, folders);
    tcase_add_test(tests, paths);
    tcase_add_test(tests, hash_equals_the_reference);
    tcase_add_test(tests, clock_goes_forward);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
