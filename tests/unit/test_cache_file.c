/* test_cache_file.c - the checked file that data sets keep beside the data: what was written comes
 * back, anything else is passed over, and no failure of the disk leaves a trace. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- a disk that fails: the header's calls go through these --- */

static struct {
    int64_t calls_left; /* until one fails; -1: none does */
    int error;
    int short_writes;
} disk = {-1, 0, 0};

static int fails(void)
{
    if (disk.calls_left < 0 || disk.calls_left-- > 0)
        return 0;
    disk.calls_left = -1;
    errno = disk.error;
    return 1;
}

static ssize_t disk_write(int fd, const void *data, size_t bytes)
{
    if (fails())
        return -1;
    return write(fd, data, disk.short_writes && bytes > 7 ? 7 : bytes);
}

static ssize_t disk_read(int fd, void *data, size_t bytes)
{
    if (fails())
        return -1;
    return read(fd, data, disk.short_writes && bytes > 7 ? 7 : bytes);
}

static int disk_fsync(int fd)
{
    return fails() ? -1 : fsync(fd);
}

static int disk_rename(int a, const char *from, int b, const char *to)
{
    return fails() ? -1 : renameat(a, from, b, to);
}

#define write disk_write
#define read disk_read
#define fsync disk_fsync
#define renameat disk_rename
#include "wisp/cache_file.h"
#undef write
#undef read
#undef fsync
#undef renameat

#include "base/log.h"
#include "base/memory.h"
#include "loader/host_table.h"

/* --- a folder and a cache in it --- */

static char folder[64];
static wisp_cache_file cache;
static struct {
    char text[2048];
    int lines;
} logged;

static void keep_line(void *user, int32_t level, const char *line)
{
    (void)user;
    ck_assert_int_eq(level, WISP_LOG_INFO);
    logged.lines++;
    snprintf(logged.text, sizeof logged.text, "%s", line);
}

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/wisp-cache-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    cache = (wisp_cache_file){.host = wispi_host_table(),
                              .plugin = "some_set",
                              .where = folder,
                              .key = 0x1234,
                              .folder = open(folder, O_RDONLY | O_DIRECTORY),
                              .version = 3};
    ck_assert_int_ge(cache.folder, 0);
    memset(&logged, 0, sizeof logged);
    wispi_log_set_sink(keep_line, NULL);
}

static void end(void)
{
    char command[128];
    wispi_log_set_sink(NULL, NULL);
    close(cache.folder);
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Files in the folder whose names end in `ending`. */
static int count_files(const char *ending)
{
    char command[160], line[32] = "";
    snprintf(command, sizeof command, "ls -A %s | grep -c '%s$'", folder, ending);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, pipe));
    pclose(pipe);
    return atoi(line);
}

static const char *path_of(const wisp_cache_file *c)
{
    static char path[256];
    char name[WISP_CACHE_NAME_BYTES];
    wisp_cache_name(c, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

enum { CONTENT = 1000 };

static const uint8_t *content_of(int seed)
{
    static uint8_t content[CONTENT];
    for (int i = 0; i < CONTENT; i++)
        content[i] = (uint8_t)(i * 7 + i / 256 + seed);
    return content;
}

/* 1: the content of `seed` came back; 0: nothing did. */
static int came_back(int seed)
{
    void *data = NULL;
    size_t bytes = 0;
    if (!wisp_cache_read(&cache, &data, &bytes)) {
        ck_assert_ptr_null(data);
        ck_assert_uint_eq(bytes, 0);
        return 0;
    }
    ck_assert_uint_eq(bytes, CONTENT);
    ck_assert_mem_eq(data, content_of(seed), CONTENT);
    cache.host->free(cache.host, data);
    return 1;
}

static void write_file(const void *data, size_t bytes)
{
    FILE *file = fopen(path_of(&cache), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
}

static size_t read_file(uint8_t *data, size_t most)
{
    FILE *file = fopen(path_of(&cache), "rb");
    ck_assert_ptr_nonnull(file);
    size_t n = fread(data, 1, most, file);
    fclose(file);
    return n;
}

/* --- tests --- */

START_TEST(content_comes_back)
{
    begin();
    ck_assert(!came_back(0)); /* none yet, which is no news */
    ck_assert_int_eq(logged.lines, 0);
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    ck_assert(came_back(1));
    ck_assert(wisp_cache_write(&cache, content_of(2), CONTENT));
    ck_assert(came_back(2));
    ck_assert_int_eq(count_files(""), 1);
    ck_assert_str_eq(strrchr(path_of(&cache), '/') + 1, ".wisp-some_set-0000000000001234.index");
    ck_assert_int_eq(count_files("1234.index"), 1);
    void *data = NULL;
    size_t bytes = 7;
    ck_assert(wisp_cache_write(&cache, "", 0));
    ck_assert(wisp_cache_read(&cache, &data, &bytes));
    ck_assert_uint_eq(bytes, 0);
    cache.host->free(cache.host, data);
    ck_assert_int_eq(logged.lines, 0);
    end();
}
END_TEST

START_TEST(the_umask_decides_the_mode)
{
    struct stat status;
    begin();
    mode_t former = umask(027);
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    umask(former);
    ck_assert_int_eq(stat(path_of(&cache), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0640);
    end();
}
END_TEST

START_TEST(caches_of_others_are_passed_over)
{
    begin();
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    cache.version = 4;
    ck_assert(!came_back(1));
    ck_assert_ptr_nonnull(strstr(logged.text, "another version"));
    ck_assert_ptr_nonnull(strstr(logged.text, path_of(&cache)));
    cache.version = 3;
    /* Another key is another file; under this one's name it is foreign. */
    uint8_t file[2 * CONTENT];
    size_t n = read_file(file, sizeof file);
    cache.key = 0x99;
    ck_assert(!came_back(1));
    ck_assert_int_eq(logged.lines, 1);
    write_file(file, n);
    ck_assert(!came_back(1));
    ck_assert_ptr_nonnull(strstr(logged.text, "no cache of this plugin"));
    ck_assert_int_eq(logged.lines, 2);
    end();
}
END_TEST

START_TEST(no_cut_goes_unnoticed)
{
    uint8_t file[2 * CONTENT];
    begin();
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    size_t n = read_file(file, sizeof file);
    ck_assert_uint_eq(n, sizeof(wisp_cache_header) + CONTENT);
    for (size_t cut = 0; cut < n; cut++) {
        write_file(file, cut);
        ck_assert_msg(!came_back(1), "%zu of %zu bytes are taken", cut, n);
        ck_assert_int_eq(logged.lines, (int)cut + 1);
    }
    file[n] = 0;
    write_file(file, n + 1);
    ck_assert(!came_back(1));
    write_file(file, n);
    ck_assert(came_back(1));
    end();
}
END_TEST

START_TEST(no_flipped_bit_goes_unnoticed)
{
    uint8_t file[2 * CONTENT];
    begin();
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    size_t n = read_file(file, sizeof file);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(file, n);
        ck_assert_msg(!came_back(1), "bit %zu of byte %zu", bit % 8, bit / 8);
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(logged.lines, (int)(8 * n));
    end();
}
END_TEST

START_TEST(things_that_are_no_files_are_passed_over)
{
    begin();
    ck_assert_int_eq(mkdir(path_of(&cache), 0700), 0);
    ck_assert(!came_back(1));
    ck_assert_ptr_nonnull(strstr(logged.text, "no ordinary file"));
    /* Nor can it be replaced; what was begun is gone. */
    ck_assert(!wisp_cache_write(&cache, content_of(1), CONTENT));
    ck_assert_ptr_nonnull(strstr(logged.text, "no cache is kept"));
    ck_assert_int_eq(count_files("tmp"), 0);
    ck_assert_int_eq(rmdir(path_of(&cache)), 0);
    ck_assert_int_eq(mkfifo(path_of(&cache), 0700), 0);
    ck_assert(!came_back(1)); /* and does not wait for a writer */
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    ck_assert(came_back(1));
    ck_assert_int_eq(logged.lines, 3);
    end();
}
END_TEST

START_TEST(failing_disks_leave_the_former_cache)
{
    begin();
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    disk.error = ENOSPC;
    for (int nth = 0;; nth++) {
        disk.calls_left = nth;
        int written = wisp_cache_write(&cache, content_of(2), CONTENT);
        disk.calls_left = -1;
        ck_assert_int_eq(count_files("tmp"), 0);
        ck_assert_int_eq(logged.lines, written ? nth : nth + 1);
        ck_assert(came_back(written ? 2 : 1));
        if (written) {
            ck_assert_int_eq(nth, 4); /* two writes, one fsync, one rename */
            break;
        }
        ck_assert_ptr_nonnull(strstr(logged.text, "No space left"));
    }
    end();
}
END_TEST

START_TEST(failing_reads_are_no_errors)
{
    begin();
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    disk.error = EIO;
    for (int nth = 0; nth < 2; nth++) {
        disk.calls_left = nth;
        ck_assert(!came_back(1));
        ck_assert_ptr_nonnull(strstr(logged.text, "cannot be read"));
    }
    disk.calls_left = -1;
    ck_assert(came_back(1));
    end();
}
END_TEST

START_TEST(interruptions_and_short_writes_are_gone_through)
{
    begin();
    disk.short_writes = 1;
    disk.error = EINTR;
    disk.calls_left = 3;
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    disk.calls_left = 5;
    ck_assert(came_back(1));
    disk.short_writes = 0;
    disk.calls_left = -1;
    ck_assert_int_eq(logged.lines, 0);
    end();
}
END_TEST

/* The limit's signal would end the process. */
START_TEST(limits_of_file_sizes_are_kept)
{
    struct rlimit former, limit;
    begin();
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &former), 0);
    limit = former;
    limit.rlim_cur = CONTENT;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int written = wisp_cache_write(&cache, content_of(1), CONTENT);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &former), 0);
    ck_assert(!written);
    ck_assert_int_eq(logged.lines, 1);
    ck_assert_ptr_nonnull(strstr(logged.text, "File too large"));
    ck_assert_int_eq(count_files(""), 0);
    end();
}
END_TEST

/* Root may write everywhere, so the folder is one that nobody can write. */
START_TEST(folders_that_cannot_be_written_get_none)
{
    begin();
    close(cache.folder);
    cache.folder = open("/proc/self", O_RDONLY | O_DIRECTORY);
    cache.where = "/proc/self";
    ck_assert(!wisp_cache_write(&cache, content_of(1), CONTENT));
    ck_assert_int_eq(logged.lines, 1);
    ck_assert_ptr_nonnull(strstr(logged.text, "no cache is kept in \"/proc/self\""));
    end();
}
END_TEST

START_TEST(short_memory_is_no_error)
{
    begin();
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    int64_t blocks = wispi_live_blocks();
    wispi_fail_allocation(1);
    int taken = came_back(1);
    wispi_fail_allocation(-1);
    ck_assert(!taken);
    ck_assert_int_eq(wispi_live_blocks(), blocks);
    ck_assert_ptr_nonnull(strstr(logged.text, "no memory"));
    ck_assert(came_back(1));
    end();
}
END_TEST

enum { WRITERS = 3, ROUNDS = 60 };

static void write_and_read(int seed)
{
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t content[CONTENT];
        void *data = NULL;
        size_t bytes = 0;
        memset(content, seed * ROUNDS + i, sizeof content);
        if (!wisp_cache_write(&cache, content, CONTENT))
            _exit(1);
        if (!wisp_cache_read(&cache, &data, &bytes) || bytes != CONTENT)
            _exit(2);
        for (int k = 1; k < CONTENT; k++)
            if (((uint8_t *)data)[k] != ((uint8_t *)data)[0])
                _exit(3);
        cache.host->free(cache.host, data);
    }
    _exit(logged.lines ? 4 : 0);
}

START_TEST(writers_do_not_disturb_each_other)
{
    begin();
    for (int i = 0; i < WRITERS; i++)
        if (fork() == 0)
            write_and_read(i);
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a writer ended with %d",
                      WEXITSTATUS(status));
    }
    ck_assert_int_eq(count_files(""), 1);
    end();
}
END_TEST

/* A killed process of the same number has left its unfinished file. */
START_TEST(leftovers_do_not_stand_in_the_way)
{
    char path[320];
    begin();
    snprintf(path, sizeof path, "%s.%lld-0.tmp", path_of(&cache), (long long)getpid());
    fclose(fopen(path, "w"));
    ck_assert(wisp_cache_write(&cache, content_of(1), CONTENT));
    ck_assert(came_back(1));
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_file");
    TCase *tests = tcase_create("cache_file");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, content_comes_back);
    tcase_add_test(tests, the_umask_decides_the_mode);
    tcase_add_test(tests, caches_of_others_are_passed_over);
    tcase_add_test(tests, no_cut_goes_unnoticed);
    tcase_add_test(tests, no_flipped_bit_goes_unnoticed);
    tcase_add_test(tests, things_that_are_no_files_are_passed_over);
    tcase_add_test(tests, failing_disks_leave_the_former_cache);
    tcase_add_test(tests, failing_reads_are_no_errors);
    tcase_add_test(tests, interruptions_and_short_writes_are_gone_through);
    tcase_add_test(tests, limits_of_file_sizes_are_kept);
    tcase_add_test(tests, folders_that_cannot_be_written_get_none);
    tcase_add_test(tests, short_memory_is_no_error);
    tcase_add_test(tests, writers_do_not_disturb_each_other);
    tcase_add_test(tests, leftovers_do_not_stand_in_the_way);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
