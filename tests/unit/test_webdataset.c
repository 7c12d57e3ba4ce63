/* test_webdataset.c - samples of tar shards: what Python's tarfile wrote and the package webdataset
 * reads, the order, the index that is kept, damage, and readers that ask in any order. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "dataset_fixture.h"
#include "wisp/host.h"

#define GOLDEN "tests/golden/webdataset/"

static const char *toml_at(const char *path, const char *rest)
{
    static char toml[1024];
    snprintf(toml, sizeof toml, "use = \"webdataset\"\npath = \"%s\"\n%s", path, rest);
    return toml;
}

/* In the test's folder. */
static const char *toml_in(const char *file, const char *rest)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return toml_at(path, rest);
}

static void copy_file(const char *from, const char *name)
{
    char command[512];
    snprintf(command, sizeof command, "cp %s %s/%s", from, folder, name);
    ck_assert_int_eq(system(command), 0);
}

/* Cut to `cut` bytes where that is not negative, then with other bytes at one place. */
static void change_file(const char *name, long at, const void *bytes, size_t n, long cut)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (cut >= 0)
        ck_assert_int_eq(truncate(path, cut), 0);
    FILE *file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    fseek(file, at, SEEK_SET);
    ck_assert_uint_eq(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* Indices of shards that were written just now are not kept. */
static void make_older(void)
{
    char command[256];
    snprintf(command, sizeof command, "touch -d '1 hour ago' %s/*.tar*", folder);
    ck_assert_int_eq(system(command), 0);
}

/* --- what the package reads --- */

static uint32_t crc32_of(const uint8_t *data, size_t n)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* A line of expected.txt. */
typedef struct expectation {
    char file[64], key[512], extension[16];
    int label, bytes;
    unsigned crc;
} expectation;

static int next_expectation(FILE *list, const char *file, expectation *e)
{
    char line[1024];
    while (fgets(line, sizeof line, list)) {
        ck_assert_int_eq(sscanf(line, "%63[^\t]\t%511[^\t]\t%15[^\t]\t%d\t%d\t%x", e->file, e->key,
                                e->extension, &e->label, &e->bytes, &e->crc),
                         6);
        if (!strcmp(e->file, file))
            return 1;
    }
    return 0;
}

static void compare_one(const set_under_test *set, int64_t i, const expectation *e, sink *s)
{
    char name[1024], wanted[600];
    set->vtable->sample_name(set->self, i, name, sizeof name);
    const char *own = strchr(name, '/') + 1;
    snprintf(wanted, sizeof wanted, "%s.", e->key);
    ck_assert_msg(!strncmp(own, wanted, strlen(wanted)), "%s is not %s", name, wanted);
    ck_assert_int_eq(strcasecmp(own + strlen(wanted), e->extension), 0);
    ck_assert_int_eq(set->vtable->label(set->self, i), e->label);
    if (e->bytes == 0) {
        wisp_sample sample;
        wisp_error err = {0};
        ck_assert_int_eq(set->vtable->read(set->self, i, &s->base, &sample, &err), WISP_E_DATA);
        ck_assert_ptr_nonnull(strstr(err.message, "has 0 bytes"));
        return;
    }
    const wisp_sample sample = read_one(set, i, s);
    ck_assert_int_eq(sample.form, WISP_SAMPLE_ENCODED);
    ck_assert_uint_eq(sample.bytes, (size_t)e->bytes);
    ck_assert_msg(crc32_of(sample.data, sample.bytes) == e->crc, "%s holds something else", name);
}

static void compare_shard(const char *source_folder, const char *file, int64_t n)
{
    char path[256];
    set_under_test set;
    sink s = EMPTY_SINK;
    expectation e;
    int64_t i = 0;
    snprintf(path, sizeof path, "%s%s", source_folder, file);
    copy_file(path, file);
    make_older();
    FILE *list = fopen(GOLDEN "expected.txt", "r");
    ck_assert_ptr_nonnull(list);
    open_set(&set, toml_in(file, ""));
    while (next_expectation(list, file, &e))
        compare_one(&set, i++, &e, &s);
    ck_assert_int_eq(i, n);
    ck_assert_int_eq(set.vtable->count(set.self), n);
    fclose(list);
    free(s.memory);
    close_set(&set);
}

START_TEST(shards_hold_what_the_package_reads)
{
    make_folder();
    for (int again = 0; again < 2; again++) { /* from the shards, then from the index */
        compare_shard(GOLDEN, "gnu.tar", 6);
        compare_shard(GOLDEN, "base256.tar", 6);
        compare_shard(GOLDEN, "ustar.tar", 1);
        compare_shard(GOLDEN, "pax.tar", 2);
        compare_shard(GOLDEN, "gz-000000.tar.gz", 8);
        compare_shard(GOLDEN, "gz-000001.tar.gz", 8);
        compare_shard(GOLDEN, "gz-000002.tar.gz", 8);
        compare_shard("tests/data/webdataset/", "train-000000.tar", 8);
        compare_shard("tests/data/webdataset/", "train-000001.tar", 8);
        compare_shard("tests/data/webdataset/", "train-000002.tar", 8);
    }
    remove_folder();
}
END_TEST

/* --- the tests' own shards --- */

typedef struct archive {
    uint8_t *data;
    size_t n;
} archive;

static void add_file(archive *a, const char *name, const void *data, size_t n)
{
    const size_t padded = (n + 511) / 512 * 512;
    a->data = realloc(a->data, a->n + 512 + padded);
    char *h = memset(a->data + a->n, 0, 512 + padded);
    unsigned sum = 0;
    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "0000644");
    snprintf(h + 124, 12, "%011o", (unsigned)n);
    h[156] = '0';
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (uint8_t)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    memcpy(h + 512, data, n);
    a->n += 512 + padded;
}

/* Bytes of sample `i` of a test, which differ for all. */
static size_t fill_sample(int64_t i, uint8_t bytes[3000])
{
    const size_t n = 1 + (size_t)(i * 37 % 2900);
    for (size_t k = 0; k < n; k++)
        bytes[k] = (uint8_t)((size_t)i * 101 + k * (1 + (size_t)i % 7));
    return n;
}

static void end_archive(archive *a, const char *name, int gz)
{
    a->data = realloc(a->data, a->n + 1024);
    memset(a->data + a->n, 0, 1024);
    write_bytes(name, a->data, a->n + 1024);
    free(a->data);
    *a = (archive){0};
    if (gz) {
        char command[400];
        snprintf(command, sizeof command, "gzip -n %s/%s", folder, name);
        ck_assert_int_eq(system(command), 0);
    }
}

enum { SHARDS = 7 };

/* Shard k has 5 + 11 k samples; every third shard is compressed where `gz` is 1, all where it is 2.
 */
static int64_t write_shards(int gz, int labels)
{
    int64_t n = 0;
    for (int s = 0; s < SHARDS; s++) {
        archive a = {0};
        char name[64], text[16];
        uint8_t bytes[3000];
        for (int k = 0; k < 5 + 11 * s; k++, n++) {
            snprintf(name, sizeof name, "f/%05lld.jpg", (long long)n);
            add_file(&a, name, bytes, fill_sample(n, bytes));
            snprintf(name, sizeof name, "f/%05lld.cls", (long long)n);
            snprintf(text, sizeof text, "%lld", (long long)(n % 4));
            if (labels)
                add_file(&a, name, text, strlen(text));
        }
        snprintf(name, sizeof name, "s-%03d.tar", s);
        end_archive(&a, name, gz == 2 || (gz == 1 && s % 3 == 0));
    }
    return n;
}

static void check_sample(const set_under_test *set, int64_t i, sink *s)
{
    uint8_t bytes[3000];
    const size_t n = fill_sample(i, bytes);
    const wisp_sample sample = read_one(set, i, s);
    ck_assert_uint_eq(sample.bytes, n);
    ck_assert_msg(!memcmp(sample.data, bytes, n), "sample %lld is another one", (long long)i);
}

/* --- paths --- */

static void takes_paths(const char *path, int64_t n)
{
    set_under_test set;
    open_set(&set, toml_at(path, ""));
    ck_assert_msg(set.vtable->count(set.self) == n, "%s: %lld samples", path,
                  (long long)set.vtable->count(set.self));
    close_set(&set);
}

START_TEST(paths_are_files_folders_and_patterns)
{
    char path[512];
    wisp_error err;
    make_folder();
    const int64_t n = write_shards(0, 1);
    takes_paths(folder, n);
    snprintf(path, sizeof path, "%s/s-{000..006}.tar", folder);
    takes_paths(path, n);
    snprintf(path, sizeof path, "%s/s-00{0..6..2}.tar", folder);
    takes_paths(path, 5 + 27 + 49 + 71);
    snprintf(path, sizeof path, "%s/s-00{6..0}.tar", folder);
    takes_paths(path, n);
    snprintf(path, sizeof path, "%s/{s,s}-0{0,0}{1,2}.tar", folder);
    takes_paths(path, 4 * (16 + 27));
    snprintf(path, sizeof path, "%s/s-001.tar::%s/s-00{4,5}.tar", folder, folder);
    takes_paths(path, 16 + 49 + 60);
    snprintf(path, sizeof path, "mkdir %s/a %s/b && cp %s/s-001.tar %s/a && cp %s/s-002.tar %s/b",
             folder, folder, folder, folder, folder, folder);
    ck_assert_int_eq(system(path), 0);
    snprintf(path, sizeof path, "%s/{a,b}", folder);
    takes_paths(path, 16 + 27);
    static const char *const wrong[][2] = {
        {"s-{0..2.tar", "not closed"},   {"s-{a..c}.tar", "neither a range"},
        {"s-{0,{1,2}}.tar", "within"},   {"s-{000000..9999999}.tar", "more than 1000000"},
        {"s-{0..1..0}.tar", "neither"},  {"none.tar", "cannot find path"},
        {"s-001.tar::", "a part of it"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refused(toml_in(wrong[i][0], ""), &err);
        ck_assert_msg(strstr(err.message, wrong[i][1]), "%s: %s", wrong[i][0], err.message);
    }
    write_text("empty/file.txt", "x");
    ck_assert_int_eq(refused(toml_in("empty", ""), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "holds no shard"));
    remove_folder();
}
END_TEST

/* --- labels --- */

START_TEST(labels_come_from_where_it_is_said)
{
    set_under_test set;
    wisp_error err;
    archive a = {0};
    make_folder();
    add_file(&a, "x.jpg", "1", 1);
    add_file(&a, "x.json", "{\"id\": [4, {\"class\": 1}], \"class\" : 2 }", 39);
    add_file(&a, "x.cls", "5", 1);
    add_file(&a, "y.png", "22", 2);
    add_file(&a, "y.json", "{\"class\":0}", 11);
    end_archive(&a, "t.tar", 0);
    open_set(&set, toml_in("t.tar", "labels = \"json\"\njson_key = \"class\""));
    ck_assert_int_eq(set.vtable->n_classes(set.self), 3);
    ck_assert_int_eq(set.vtable->label(set.self, 0), 2);
    ck_assert_int_eq(set.vtable->label(set.self, 1), 0);
    ck_assert_ptr_null(set.vtable->class_name(set.self, 1));
    close_set(&set);
    open_set(&set, toml_in("t.tar", "labels = \"none\""));
    ck_assert_int_eq(set.vtable->n_classes(set.self), 0);
    close_set(&set);
    open_set(&set, toml_in("t.tar", "images = [\"png\"]\nlabels = \"json\"\njson_key = \"class\""));
    ck_assert_int_eq(set.vtable->count(set.self), 1);
    close_set(&set);
    ck_assert_int_eq(refused(toml_in("t.tar", ""), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "1 of 2 samples have a label, and \"y.png\""));
    ck_assert_int_eq(refused(toml_in("t.tar", "labels = \"cls\""), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "\"y.png\" has no label"));
    ck_assert_int_eq(refused(toml_in("t.tar", "labels = \"json\""), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "\"x.json\" gives no class"));
    ck_assert_int_eq(refused(toml_in("t.tar", "images = [\"webp\"]"), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "holds no sample"));
    remove_folder();
}
END_TEST

START_TEST(classes_may_have_names)
{
    char rest[256];
    set_under_test set;
    wisp_error err;
    make_folder();
    write_shards(0, 1);
    write_text("names.txt", "apple\npear\r\nplum\nfig\nquince");
    snprintf(rest, sizeof rest, "class_names = \"%s/names.txt\"", folder);
    open_set(&set, toml_in("s-003.tar", rest));
    ck_assert_int_eq(set.vtable->n_classes(set.self), 5);
    ck_assert_str_eq(set.vtable->class_name(set.self, 1), "pear");
    ck_assert_str_eq(set.vtable->class_name(set.self, 4), "quince");
    ck_assert_ptr_null(set.vtable->class_name(set.self, 5));
    close_set(&set);
    write_text("names.txt", "apple\npear\n");
    ck_assert_int_eq(refused(toml_in("s-003.tar", rest), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "has label 3, but class_names has 2 lines"));
    remove_folder();
}
END_TEST

/* --- order --- */

static void check_order(const char *rest, int64_t n, int64_t window)
{
    set_under_test set;
    uint8_t *seen = calloc((size_t)n, 1);
    open_set(&set, toml_at(folder, rest));
    ck_assert_int_eq(set.vtable->count(set.self), n);
    int64_t changed = 0, jumps = 0, last = -1;
    for (uint64_t epoch = 0; epoch < 9; epoch++) { /* more than are remembered */
        const wisp_rng_key key = wisp_rng_derive(wisp_rng_stream(3, 2), epoch, 0);
        const wisp_rng_key other = wisp_rng_derive(wisp_rng_stream(3, 2), epoch + 1, 0);
        memset(seen, 0, (size_t)n);
        for (int64_t p = 0; p < n; p++) {
            const int64_t i = set.vtable->order(set.self, key, p);
            ck_assert(i >= 0 && i < n && !seen[i]);
            seen[i] = 1;
            changed += set.vtable->order(set.self, other, p) != i;
            ck_assert_int_eq(set.vtable->order(set.self, key, p), i);
            jumps += i != last + 1;
            last = i;
        }
    }
    ck_assert_int_gt(changed, 9 * n / 2);
    if (window <= 1)
        ck_assert_int_le(jumps, 9 * SHARDS);
    free(seen);
    close_set(&set);
}

START_TEST(every_epoch_is_a_permutation)
{
    make_folder();
    const int64_t n = write_shards(1, 1);
    check_order("shuffle = 0", n, 0);
    check_order("shuffle = 1", n, 1);
    check_order("shuffle = 2", n, 2);
    check_order("shuffle = 50", n, 50);
    check_order("", n, 4096);
    remove_folder();
}
END_TEST

/* A sample stands no more than one and a half windows from where it lies in the shards' order. */
START_TEST(samples_stray_within_the_window)
{
    char rest[64];
    set_under_test plain, shuffled;
    make_folder();
    const int64_t n = write_shards(0, 0), window = 30;
    const wisp_rng_key key = wisp_rng_stream(1, 2);
    int64_t *place = calloc((size_t)n, sizeof *place), far = 0;
    snprintf(rest, sizeof rest, "shuffle = %lld", (long long)window);
    open_set(&shuffled, toml_at(folder, rest));
    open_set(&plain, toml_at(folder, "shuffle = 0"));
    for (int64_t p = 0; p < n; p++)
        place[plain.vtable->order(plain.self, key, p)] = p;
    for (int64_t p = 0; p < n; p++) {
        const int64_t stray = llabs(place[shuffled.vtable->order(shuffled.self, key, p)] - p);
        ck_assert_int_le(stray, window + window / 2);
        far += stray > window / 2;
    }
    ck_assert_int_gt(far, n / 10);
    free(place);
    close_set(&plain);
    close_set(&shuffled);
    remove_folder();
}
END_TEST

/* --- reading in any order --- */

typedef struct reading {
    const set_under_test *set;
    atomic_llong next;
    int64_t n, epochs;
} reading;

static void *read_in_order(void *user)
{
    reading *r = user;
    sink s = EMPTY_SINK;
    for (;;) {
        const int64_t at = atomic_fetch_add(&r->next, 1);
        if (at >= r->n * r->epochs)
            break;
        const wisp_rng_key key = wisp_rng_derive(wisp_rng_stream(9, 2), (uint64_t)(at / r->n), 0);
        check_sample(r->set, r->set->vtable->order(r->set->self, key, at % r->n), &s);
    }
    free(s.memory);
    return NULL;
}

static void *read_anywhere(void *user)
{
    reading *r = user;
    sink s = EMPTY_SINK;
    for (;;) {
        const int64_t at = atomic_fetch_add(&r->next, 1);
        if (at >= r->n * r->epochs)
            break;
        check_sample(r->set, at * 7919 % r->n, &s);
    }
    free(s.memory);
    return NULL;
}

static void read_by(const set_under_test *set, int64_t n, void *(*one)(void *), int threads,
                    int64_t epochs)
{
    pthread_t thread[8];
    reading r = {.set = set, .n = n, .epochs = epochs};
    for (int i = 0; i < threads; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, one, &r), 0);
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
}

START_TEST(readers_may_ask_as_they_like)
{
    static const char *const ways[] = {"", "shuffle = 0", "shuffle = 20", "memory = 1"};
    make_folder();
    for (int gz = 0; gz < 3; gz++) {
        const int64_t n = write_shards(gz, 0);
        for (int w = 0; w < 4; w++) {
            set_under_test set;
            open_set(&set, toml_at(folder, ways[w]));
            read_by(&set, n, read_in_order, 1, 2);
            read_by(&set, n, read_in_order, 4, 3);
            read_by(&set, n, read_anywhere, 4, 2);
            read_by(&set, n, read_in_order, 8, 1);
            close_set(&set);
        }
        remove_folder();
        make_folder();
    }
    remove_folder();
}
END_TEST

/* A shard that is larger than the memory that samples may wait in, with points on the way. What
 * comes on top is the stream, a point for each 4 MiB, and the index. */
START_TEST(little_memory_is_told_and_enough)
{
    enum { LARGE = 300, BYTES = 50000 };
    static uint8_t bytes[BYTES];
    archive a = {0};
    char name[32];
    set_under_test set;
    sink s = EMPTY_SINK;
    make_folder();
    for (int i = 0; i < LARGE; i++) {
        for (int k = 0; k < BYTES; k++)
            bytes[k] = (uint8_t)(i + k % 251 * (i | 1));
        snprintf(name, sizeof name, "%04d.jpg", i);
        add_file(&a, name, bytes, BYTES);
    }
    end_archive(&a, "large.tar", 1);
    logged.text[0] = 0;
    wispi_log_set_sink(log_sink, NULL);
    for (int memory = 1; memory < 101; memory += 99) {
        char rest[64];
        snprintf(rest, sizeof rest, "memory = %d", memory);
        const int64_t before = wispi_live_bytes(), overhead = 2 << 20;
        open_set(&set, toml_in("large.tar.gz", rest));
        for (int64_t k = 0; k < 2 * LARGE; k++) {
            const int64_t i = k < LARGE ? LARGE - 1 - k : k * 7 % LARGE;
            const wisp_sample sample = read_one(&set, i, &s);
            ck_assert_uint_eq(sample.bytes, BYTES);
            ck_assert_int_lt(wispi_live_bytes() - before, ((int64_t)memory << 20) + overhead);
            for (int64_t at = 0; at < BYTES; at += 97)
                ck_assert_int_eq(sample.data[at], (uint8_t)(i + at % 251 * (i | 1)));
        }
        close_set(&set);
        const char *told = strstr(logged.text, "more than memory = 1 MiB");
        ck_assert_ptr_nonnull(told);
        ck_assert_ptr_null(strstr(told + 1, "more than memory"));
    }
    wispi_log_set_sink(NULL, NULL);
    free(s.memory);
    remove_folder();
}
END_TEST

/* --- the index that is kept --- */

static uint64_t fingerprint_of(const char *toml)
{
    set_under_test set;
    open_set(&set, toml);
    const uint64_t fingerprint = set.vtable->fingerprint(set.self);
    close_set(&set);
    return fingerprint;
}

static int caches(char path[256])
{
    char command[256];
    snprintf(command, sizeof command, "ls -A %s | grep index", folder);
    FILE *list = popen(command, "r");
    char line[128] = "";
    int n = 0;
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        snprintf(path, 256, "%s/%s", folder, line);
        n++;
    }
    pclose(list);
    return n;
}

START_TEST(the_index_is_kept_while_shards_stay)
{
    char path[256];
    make_folder();
    const int64_t n = write_shards(1, 1);
    const uint64_t first = fingerprint_of(toml_at(folder, ""));
    ck_assert_int_eq(caches(path), 0);
    make_older();
    ck_assert_uint_eq(fingerprint_of(toml_at(folder, "")), first);
    ck_assert_int_eq(caches(path), 1);
    ck_assert_uint_eq(fingerprint_of(toml_at(folder, "")), first);
    ck_assert_uint_ne(fingerprint_of(toml_at(folder, "labels = \"none\"")), first);
    ck_assert_int_eq(caches(path), 2);
    archive a = {0};
    add_file(&a, "f/new.jpg", "123", 3);
    add_file(&a, "f/new.cls", "1", 1);
    end_archive(&a, "s-001.tar", 0); /* in place of the former one */
    takes_paths(folder, n - 15);
    ck_assert_uint_ne(fingerprint_of(toml_at(folder, "")), first);
    remove_folder();
}
END_TEST

/* Every byte of the index changed in turn, and every length: the same data set comes out. */
START_TEST(a_damaged_index_is_made_anew)
{
    char path[256];
    make_folder();
    wispi_log_set_level(WISP_LOG_ERROR);
    archive a = {0};
    add_file(&a, "a.jpg", "123", 3);
    add_file(&a, "b.jpg", "4567", 4);
    end_archive(&a, "s.tar", 0);
    make_older();
    const uint64_t first = fingerprint_of(toml_in("s.tar", ""));
    ck_assert_int_eq(caches(path), 1);
    FILE *file = fopen(path, "rb");
    static uint8_t bytes[4096];
    const size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    ck_assert_uint_gt(n, 200);
    for (size_t i = 0; i < n; i += 3) {
        bytes[i] ^= 0x55;
        change_file(strrchr(path, '/') + 1, 0, bytes, i % 2 ? n : i, 0);
        bytes[i] ^= 0x55;
        ck_assert_uint_eq(fingerprint_of(toml_in("s.tar", "")), first);
    }
    remove_folder();
}
END_TEST

/* --- damage --- */

static wisp_status try_with(const char *rest, int64_t *n, wisp_error *err)
{
    plugin_fixture fixture;
    memset(err, 0, sizeof *err);
    logged.text[0] = 0;
    wispi_log_set_sink(log_sink, NULL);
    const wisp_status status = plugin_fixture_try(&fixture, "dataset", toml_at(folder, rest), err);
    wispi_log_set_sink(NULL, NULL);
    if (status == WISP_OK) {
        const wisp_dataset_v0 *vtable = fixture.instance.plugin->descriptor->vtable;
        *n = vtable->count(fixture.instance.self);
        plugin_fixture_close(&fixture);
    }
    return status;
}

static void expect_broken(int64_t usable, int64_t others, const char *why)
{
    char text[64];
    wisp_error err;
    int64_t n = 0;
    snprintf(text, sizeof text, "; %lld of its samples are usable", (long long)usable);
    ck_assert_int_eq(try_with("", &n, &err), WISP_E_CORRUPT);
    ck_assert_msg(strstr(err.message, why), "%s", err.message);
    ck_assert_msg(strstr(logged.text, text), "%s", logged.text);
    ck_assert_int_eq(try_with("broken_shards = \"use\"", &n, &err), WISP_OK);
    ck_assert_int_eq(n, usable + others);
    ck_assert_int_eq(try_with("broken_shards = \"skip\"", &n, &err), WISP_OK);
    ck_assert_int_eq(n, others);
}

START_TEST(broken_shards_are_named_and_counted)
{
    char command[256];
    make_folder();
    write_shards(0, 1);
    snprintf(command, sizeof command, "cd %s && rm s-00[3456].tar && cp s-002.tar keep", folder);
    ck_assert_int_eq(system(command), 0);
    const int64_t others = 5 + 16;
    snprintf(command, sizeof command, "cp %s/keep %s/s-002.tar", folder, folder);
    static const long cuts[] = {8500, 9500}; /* in an image, in the header of a label */
    for (int i = 0; i < 2; i++) {
        change_file("s-002.tar", 0, "f", 1, cuts[i]);
        expect_broken(3, others, "cut off near byte");
        ck_assert_int_eq(system(command), 0);
    }
    ck_assert_int_eq(system(command), 0);
    change_file("s-002.tar", 0, "g", 1, -1);
    expect_broken(0, others, "no tar header at byte 0");
    ck_assert_int_eq(system(command), 0);
    change_file("s-002.tar", 0, "", 0, 0);
    expect_broken(0, others, "empty");
    snprintf(command, sizeof command, "cd %s && gzip -n <keep >s-002.tar", folder);
    ck_assert_int_eq(system(command), 0);
    change_file("s-002.tar", 0, "\x1f", 1, 1500);
    expect_broken(5, others, "cut off");
    remove_folder();
}
END_TEST

START_TEST(a_missing_shard_of_a_pattern_is_broken)
{
    char path[256];
    set_under_test set;
    wisp_error err;
    make_folder();
    write_shards(0, 1);
    ck_assert_int_eq(refused(toml_in("s-{000..007}.tar", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "s-007.tar\": No such file"));
    snprintf(path, sizeof path, "%s/s-{005..007}.tar", folder);
    open_set(&set, toml_at(path, "broken_shards = \"skip\""));
    ck_assert_int_eq(set.vtable->count(set.self), 60 + 71);
    close_set(&set);
    remove_folder();
}
END_TEST

static wisp_status read_bad(const set_under_test *set, int64_t i, sink *s, wisp_error *err)
{
    wisp_sample sample;
    memset(err, 0, sizeof *err);
    return set->vtable->read(set->self, i, &s->base, &sample, err);
}

/* Shards that vanish, shrink or are written anew while a run goes on: unusable samples, by name. */
START_TEST(shards_that_change_are_bad_samples)
{
    char path[256], name[64];
    wisp_error err;
    for (int gz = 0; gz < 3; gz += 2) {
        set_under_test set;
        sink s = EMPTY_SINK;
        const char *ending = gz ? ".gz" : "";
        make_folder();
        const int64_t n = write_shards(gz, 0);
        open_set(&set, toml_at(folder, ""));
        check_sample(&set, 5, &s); /* opens s-001 */
        snprintf(name, sizeof name, "s-001.tar%s", ending);
        change_file(name, 0, "\x1f", 1, 1024);
        if (!gz) { /* so small a file is in the stream's memory already */
            ck_assert_int_eq(read_bad(&set, 20, &s, &err), WISP_E_DATA);
            ck_assert_msg(strstr(err.message, "s-001.tar"), "%s", err.message);
        }
        snprintf(path, sizeof path, "%s/s-006.tar%s", folder, ending);
        unlink(path);
        ck_assert_int_eq(read_bad(&set, n - 1, &s, &err), WISP_E_DATA);
        ck_assert_msg(strstr(err.message, "s-006.tar") && strstr(err.message, "No such file"), "%s",
                      err.message);
        snprintf(name, sizeof name, "s-005.tar%s", ending);
        write_text(name, "something else");
        ck_assert_int_eq(read_bad(&set, n - 75, &s, &err), WISP_E_DATA);
        ck_assert_ptr_nonnull(strstr(err.message, "is not what it was when the run began"));
        check_sample(&set, 60, &s); /* the others go on */
        s.refuses = 1;
        ck_assert_int_eq(read_bad(&set, 60, &s, &err), WISP_E_NOMEM);
        free(s.memory);
        close_set(&set);
        remove_folder();
    }
}
END_TEST

/* A compressed shard that is cut off or spoilt while its stream is open: what lies before stays of
 * use. */
START_TEST(streams_that_end_early_are_bad_samples)
{
    enum { MANY = 40, BYTES = 30000 };
    static uint8_t bytes[BYTES];
    make_folder();
    for (int spoilt = 0; spoilt < 2; spoilt++) {
        archive a = {0};
        set_under_test set;
        sink s = EMPTY_SINK;
        wisp_error err;
        wisp_rng rng = wisp_rng_begin(wisp_rng_stream(5, 64));
        for (int i = 0; i < MANY; i++) {
            char name[32];
            for (int k = 0; k < BYTES; k++)
                bytes[k] = (uint8_t)wisp_rng_below(&rng, 256);
            snprintf(name, sizeof name, "%d.png", i);
            add_file(&a, name, bytes, BYTES);
        }
        end_archive(&a, spoilt ? "b.tar" : "a.tar", 1);
        open_set(&set, toml_in(spoilt ? "b.tar.gz" : "a.tar.gz", ""));
        read_one(&set, 0, &s);
        if (spoilt)
            change_file("b.tar.gz", 600000, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, -1);
        else
            change_file("a.tar.gz", 0, "\x1f", 1, 600000);
        for (int round = 0; round < 2; round++)
            for (int64_t i = MANY - 1; i > 30; i--) {
                const wisp_status status = read_bad(&set, i, &s, &err);
                /* Stored blocks may be spoilt unseen, until the sum at the end. */
                ck_assert(status == WISP_E_DATA || (spoilt && status == WISP_OK));
                ck_assert(status == WISP_OK || strstr(err.message, ".tar.gz\" "));
            }
        for (int64_t i = 1; i < 15; i++)
            ck_assert_uint_eq(read_one(&set, i, &s).bytes, BYTES);
        free(s.memory);
        close_set(&set);
    }
    remove_folder();
}
END_TEST

/* --- parts of a set --- */

START_TEST(a_part_may_be_taken)
{
    set_under_test set;
    sink s = EMPTY_SINK;
    char rest[256], name[256];
    make_folder();
    const int64_t n = write_shards(1, 1);
    write_text("list", "s-000.tar.gz/f/00003.jpg\n00200.jpg\n# no image\n00007.jpg\n");
    snprintf(rest, sizeof rest, "list = \"%s/list\"", folder);
    open_set(&set, toml_at(folder, rest));
    ck_assert_int_eq(set.vtable->count(set.self), 3);
    set.vtable->sample_name(set.self, 2, name, sizeof name);
    ck_assert_str_eq(name, "s-006.tar.gz/f/00200.jpg");
    uint8_t bytes[3000];
    wisp_sample sample = read_one(&set, 2, &s);
    ck_assert_uint_eq(sample.bytes, fill_sample(200, bytes));
    ck_assert_int_eq(memcmp(sample.data, bytes, sample.bytes), 0);
    close_set(&set);
    check_order("fraction = 0.1", n / 10, 4096);
    free(s.memory);
    remove_folder();
}
END_TEST

/* --- recognising --- */

START_TEST(shards_are_recognised)
{
    char path[256];
    set_under_test set;
    make_folder();
    write_shards(0, 0);
    write_text("notes.txt", "x");
    write_text("other/notes.txt", "x");
    open_set(&set, toml_at(folder, ""));
    int32_t (*score)(const char *) = set.vtable->recognises;
    ck_assert_int_gt(score(folder), 60);
    snprintf(path, sizeof path, "%s/s-001.tar", folder);
    ck_assert_int_gt(score(path), 80);
    snprintf(path, sizeof path, "%s/s-{000..100}.tar", folder);
    ck_assert_int_gt(score(path), 80);
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    ck_assert_int_eq(score(path), 0);
    snprintf(path, sizeof path, "%s/other", folder);
    ck_assert_int_eq(score(path), 0);
    snprintf(path, sizeof path, "%s/none", folder);
    ck_assert_int_eq(score(path), 0);
    close_set(&set);
    remove_folder();
}
END_TEST

/* --- memory --- */

/* Opens the set and reads; whatever fails, fails in words and leaves nothing. */
static void open_and_read(const char *toml)
{
    set_under_test set;
    sink s = EMPTY_SINK;
    wisp_error err = {0};
    wisp_status status = plugin_fixture_try(&set.fixture, "dataset", toml, &err);
    ck_assert_msg(status == WISP_OK || err.message[0], "no words");
    if (status != WISP_OK)
        return;
    set.vtable = set.fixture.instance.plugin->descriptor->vtable;
    set.self = set.fixture.instance.self;
    for (int64_t i = 0; i < 20; i++) {
        status = read_bad(&set, i * 7 % 20, &s, &err);
        ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "%s", err.message);
    }
    free(s.memory);
    close_set(&set);
}

/* With the index kept, and without. */
START_TEST(survives_any_failing_allocation)
{
    char rest[256], toml[1024], path[256];
    make_folder();
    write_shards(2, 1);
    write_text("names", "a\nb\nc\nd\n");
    make_older();
    snprintf(rest, sizeof rest, "fraction = 0.5\nclass_names = \"%s/names\"", folder);
    snprintf(toml, sizeof toml, "%s", toml_in("s-{000..002}.tar.gz", rest));
    int64_t reached = 1;
    for (int64_t nth = 1; reached; nth++) {
        const int64_t blocks = wispi_live_blocks(), before = wispi_allocation_count();
        if (_i && caches(path))
            unlink(path);
        wispi_fail_allocation(nth);
        open_and_read(toml);
        wispi_fail_allocation(-1);
        reached = wispi_allocation_count() - before >= nth;
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 5000);
    }
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("webdataset");
    TCase *set = tcase_create("webdataset");
    tcase_set_timeout(set, 120);
    tcase_add_test(set, shards_hold_what_the_package_reads);
    tcase_add_test(set, paths_are_files_folders_and_patterns);
    tcase_add_test(set, labels_come_from_where_it_is_said);
    tcase_add_test(set, classes_may_have_names);
    tcase_add_test(set, every_epoch_is_a_permutation);
    tcase_add_test(set, samples_stray_within_the_window);
    tcase_add_test(set, readers_may_ask_as_they_like);
    tcase_add_test(set, little_memory_is_told_and_enough);
    tcase_add_test(set, the_index_is_kept_while_shards_stay);
    tcase_add_test(set, a_damaged_index_is_made_anew);
    tcase_add_test(set, broken_shards_are_named_and_counted);
    tcase_add_test(set, a_missing_shard_of_a_pattern_is_broken);
    tcase_add_test(set, shards_that_change_are_bad_samples);
    tcase_add_test(set, streams_that_end_early_are_bad_samples);
    tcase_add_test(set, a_part_may_be_taken);
    tcase_add_test(set, shards_are_recognised);
    tcase_add_loop_test(set, survives_any_failing_allocation, 0, 2);
    suite_add_tcase(suite, set);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
