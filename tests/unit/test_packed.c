/* test_packed.c - packed data sets: a file written by other means
 * (tests/golden/make_sample_sets.py) against the folder that it was made of, files that are cut,
 * damaged or lie, orders, and the writer. */
#include <fcntl.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "data/feed.h"
#include "data/packed_writer.h"
#include "dataset_fixture.h"
#include "wisp/packed.h"

static const char *const foreign = "tests/data/packed/tiny.wisp";

enum { PICTURES = 24, RAW = 4, SAMPLES = PICTURES + RAW };

static const char *packed_toml(const char *path, const char *rest)
{
    static char toml[512];
    snprintf(toml, sizeof toml, "use = \"packed\"\npath = \"%s\"\n%s", path, rest);
    return toml;
}

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* --- a file of somebody else's --- */

START_TEST(a_foreign_file_is_the_folder_that_it_was_made_of)
{
    set_under_test packed, whole;
    sink a = EMPTY_SINK, b = EMPTY_SINK;
    char one[256], other[256];
    open_set(&packed, packed_toml(foreign, ""));
    open_set(&whole, "use = \"image_folder\"\npath = \"tests/data/image_folder\"");
    ck_assert_int_eq(packed.vtable->count(packed.self), SAMPLES);
    ck_assert_int_eq(packed.vtable->n_classes(packed.self), 3);
    ck_assert_str_eq(packed.vtable->class_name(packed.self, 1), "stripes");
    ck_assert_str_eq(packed.vtable->class_name(packed.self, 2), "raw");
    ck_assert_ptr_null(packed.vtable->class_name(packed.self, 3));
    for (int64_t i = 0; i < PICTURES; i++) {
        const wisp_sample x = read_one(&packed, i, &a), y = read_one(&whole, i, &b);
        packed.vtable->sample_name(packed.self, i, one, sizeof one);
        whole.vtable->sample_name(whole.self, i, other, sizeof other);
        ck_assert_str_eq(one, other);
        ck_assert_int_eq(packed.vtable->label(packed.self, i), whole.vtable->label(whole.self, i));
        ck_assert_int_eq(x.form, WISP_SAMPLE_ENCODED);
        ck_assert_uint_eq(x.bytes, y.bytes);
        ck_assert_mem_eq(x.data, y.data, x.bytes);
    }
    close_set(&whole);
    close_set(&packed);
    free(a.memory);
    free(b.memory);
}
END_TEST

START_TEST(raw_pictures_have_sides)
{
    set_under_test set;
    sink s = EMPTY_SINK;
    wisp_error err = {0};
    char name[8];
    open_set(&set, packed_toml(foreign, ""));
    for (int32_t i = 0; i < RAW; i++) {
        wisp_sample sample = read_one(&set, PICTURES + i, &s);
        ck_assert_int_eq(sample.form, WISP_SAMPLE_RGB8);
        ck_assert_int_eq(sample.width, 32);
        ck_assert_int_eq(sample.height, 20 + i);
        ck_assert_uint_eq(sample.bytes, (size_t)32 * (size_t)(20 + i) * 3);
        ck_assert_int_eq(set.vtable->label(set.self, PICTURES + i), 2);
    }
    set.vtable->sample_name(set.self, PICTURES, name, 4); /* as much of it as there is room for */
    ck_assert_str_eq(name, "raw");
    s.refuses = 1;
    wisp_sample none = {0};
    ck_assert_int_eq(set.vtable->read(set.self, 0, &s.base, &none, &err), WISP_E_NOMEM);
    free(s.memory);
    close_set(&set);
}
END_TEST

START_TEST(labels_lists_and_shares)
{
    set_under_test set;
    char name[64];
    uint64_t whole, unlabelled;
    open_set(&set, packed_toml(foreign, ""));
    whole = set.vtable->fingerprint(set.self);
    close_set(&set);
    open_set(&set, packed_toml(foreign, "labels = false"));
    ck_assert_int_eq(set.vtable->n_classes(set.self), 0);
    ck_assert_ptr_null(set.vtable->class_name(set.self, 0));
    unlabelled = set.vtable->fingerprint(set.self);
    ck_assert_uint_ne(unlabelled, whole);
    close_set(&set);
    open_set(&set, packed_toml(foreign, "fraction = 0.25"));
    ck_assert_int_eq(set.vtable->count(set.self), SAMPLES / 4);
    ck_assert_uint_ne(set.vtable->fingerprint(set.self), whole);
    close_set(&set);
    make_folder();
    write_text("list.txt", "raw/2\nstripes/more/11.JPEG\n");
    char rest[128];
    snprintf(rest, sizeof rest, "list = \"%s/list.txt\"", folder);
    open_set(&set, packed_toml(foreign, rest));
    ck_assert_int_eq(set.vtable->count(set.self), 2);
    set.vtable->sample_name(set.self, 1, name, sizeof name);
    ck_assert_str_eq(name, "raw/2");
    ck_assert_int_eq(set.vtable->label(set.self, 0), 1);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(the_magic_is_recognised)
{
    set_under_test set;
    open_set(&set, packed_toml(foreign, ""));
    int32_t (*recognises)(const char *) = set.vtable->recognises;
    make_folder();
    write_text("text.wisp", "text");
    write_text("text", "a text of more than eight bytes");
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    ck_assert_int_eq(recognises(foreign), 100);
    ck_assert_int_eq(recognises(folder), 0);
    ck_assert_int_eq(recognises(in_folder("text.wisp")), 0);
    ck_assert_int_eq(recognises(in_folder("text")), 0);
    ck_assert_int_eq(recognises(in_folder("pipe")), 0);
    ck_assert_int_eq(recognises(in_folder("none")), 0);
    remove_folder();
    close_set(&set);
}
END_TEST

/* --- files that are not as they were written --- */

/* A small file in memory: three samples of 5, 6 and 12 bytes in two classes. */
enum { SMALL_INDEX = 128 + 23, SMALL_CLASSES = SMALL_INDEX + 120, SMALL_NAMES = SMALL_CLASSES + 4 };
enum { SMALL = SMALL_NAMES + 9 };

static void write_small(const char *path)
{
    static const uint8_t bodies[] = "firstsecondraw picture.";
    wispi_packed_writer *w = NULL;
    wispi_packed_facts facts;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_packed_writer_open(path, 2, 0, &w, &err), WISP_OK);
    const wispi_packed_sample samples[] = {
        {"a", bodies, 5, wispi_hash64(bodies, 5, 0), 0, WISP_SAMPLE_ENCODED, 0, 0},
        {"b", bodies + 5, 6, wispi_hash64(bodies + 5, 6, 0), 1, WISP_SAMPLE_ENCODED, 0, 0},
        {"cccc", bodies + 11, 12, wispi_hash64(bodies + 11, 12, 0), 1, WISP_SAMPLE_RGB8, 2, 2}};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(wispi_packed_writer_add(w, &samples[i], &err), WISP_OK);
    ck_assert_int_eq(wispi_packed_writer_finish(w, "x\0y", 4, &facts, &err), WISP_OK);
    wispi_packed_writer_destroy(w);
    ck_assert_int_eq(facts.count, 3);
    ck_assert_int_eq(facts.bytes, SMALL);
}

static void read_small(uint8_t small[SMALL])
{
    uint8_t *data = NULL;
    size_t n = 0;
    make_folder();
    write_small(in_folder("small.wisp"));
    ck_assert_int_eq(wispi_file_read(in_folder("small.wisp"), SMALL, &data, &n, NULL), WISP_OK);
    ck_assert_uint_eq(n, SMALL);
    memcpy(small, data, SMALL);
    wispi_free(data);
}

START_TEST(what_is_cut_anywhere_is_refused)
{
    uint8_t small[SMALL];
    wisp_error err;
    read_small(small);
    for (size_t n = 0; n < SMALL; n++) {
        write_bytes("cut.wisp", small, n);
        ck_assert_int_eq(refused(packed_toml(in_folder("cut.wisp"), ""), &err), WISP_E_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.message, "cut.wisp"));
    }
    write_bytes("cut.wisp", small, 200);
    refused(packed_toml(in_folder("cut.wisp"), ""), &err);
    ck_assert_ptr_nonnull(strstr(err.message, "has 200 bytes, but was written with 284"));
    uint8_t longer[SMALL + 1] = {0};
    memcpy(longer, small, SMALL);
    write_bytes("cut.wisp", longer, sizeof longer);
    ck_assert_int_eq(refused(packed_toml(in_folder("cut.wisp"), ""), &err), WISP_E_CORRUPT);
    remove_folder();
}
END_TEST

/* A bit that flips in header or index stops the run before it begins; one in a body is told of by
 * the sample's name, unless nobody wants to know. */
START_TEST(every_flipped_bit_is_noticed)
{
    uint8_t small[SMALL];
    wisp_error err;
    set_under_test set;
    read_small(small);
    for (size_t bit = 0; bit < 8 * SMALL; bit++) {
        sink s = EMPTY_SINK;
        wisp_sample sample;
        small[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_bytes("flipped.wisp", small, SMALL);
        const char *toml = packed_toml(in_folder("flipped.wisp"), "");
        small[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit / 8 < 128 || bit / 8 >= SMALL_INDEX) {
            refused(toml, &err);
            ck_assert(err.code == WISP_E_CORRUPT || err.code == WISP_E_UNSUPPORTED);
            continue;
        }
        open_set(&set, toml);
        int64_t victim = bit / 8 < 128 + 5 ? 0 : bit / 8 < 128 + 11 ? 1 : 2;
        for (int64_t i = 0; i < 3; i++) {
            memset(&err, 0, sizeof err);
            wisp_status status = set.vtable->read(set.self, i, &s.base, &sample, &err);
            ck_assert_int_eq(status, i == victim ? WISP_E_DATA : WISP_OK);
        }
        free(s.memory);
        close_set(&set);
    }
    small[130] ^= 1;
    write_bytes("flipped.wisp", small, SMALL);
    open_set(&set, packed_toml(in_folder("flipped.wisp"), "verify = false"));
    sink s = EMPTY_SINK;
    ck_assert_mem_eq(read_one(&set, 0, &s).data, "fisst", 5);
    free(s.memory);
    close_set(&set);
    remove_folder();
}
END_TEST

/* Gives a changed file its checksums back. */
static void seal(uint8_t small[SMALL])
{
    wisp_packed_put(small + 56, 8, wispi_hash64(small + SMALL_INDEX, SMALL - SMALL_INDEX, 0));
    wisp_packed_put(small + 120, 8, wispi_hash64(small, 120, 0));
}

/* What a writer may get wrong, with good checksums. */
static const struct lie {
    size_t at;
    int bytes;
    uint64_t value;
    const char *complaint;
} lies[] = {
    {8, 4, 2, "of version 2"},
    {12, 4, 0x80000000u, "do not fill"},
    {12, 4, (1 << 24) + 1, "do not fill"},
    {12, 4, 0, "does not name its 0 classes"},
    {12, 4, 3, "does not name its 3 classes"},
    {16, 8, 4, "do not fill"},
    {16, 8, 2, "do not fill"},
    {16, 8, UINT64_MAX, "do not fill"},
    {16, 8, (uint64_t)1 << 61, "do not fill"},
    {24, 8, 127, "do not fill"},
    {24, 8, SMALL + 1, "do not fill"},
    {24, 8, UINT64_MAX, "do not fill"},
    {32, 8, UINT64_MAX - 1, "do not fill"},
    {32, 8, 14, "do not fill"},
    {40, 8, 8, "do not fill"},
    {48, 8, UINT64_MAX, "was written with -1"},
    {SMALL_INDEX, 8, 127, "sample 0 of 3: its body"},
    {SMALL_INDEX, 8, SMALL_INDEX - 4, "sample 0 of 3: its body"},
    {SMALL_INDEX, 8, UINT64_MAX, "its body"},
    {SMALL_INDEX, 8, INT64_MAX, "its body"},
    {SMALL_INDEX + 16, 8, 9, "its name"},
    {SMALL_INDEX + 16, 8, UINT64_MAX, "its name"},
    {SMALL_INDEX + 24, 4, 0, "its body"},
    {SMALL_INDEX + 24, 4, 24, "its body"},
    {SMALL_INDEX + 24, 4, 0xFFFFFFFFu, "its body"},
    {SMALL_INDEX + 40 + 28, 4, 2, "sample 1 of 3: its label"},
    {SMALL_INDEX + 28, 4, 0xFFFFFFFFu, "its label"},
    {SMALL_INDEX + 32, 4, 2, "its form"},
    {SMALL_INDEX + 32, 4, 1, "disagree"},
    {SMALL_INDEX + 36, 2, 1, "told twice"},
    {SMALL_INDEX + 80 + 36, 2, 1, "sample 2 of 3: its sides and its bytes disagree"},
    {SMALL_INDEX + 80 + 38, 2, 0, "disagree"},
    {SMALL_INDEX + 80 + 36, 2, 65501, "disagree"},
    {SMALL_CLASSES + 3, 1, 'z', "does not name its 2 classes"},
    {SMALL_CLASSES + 1, 1, 'z', "does not name its 2 classes"},
    {SMALL_NAMES + 8, 1, 'z', "the last name has no end"},
};

START_TEST(wrong_numbers_are_refused_whatever_the_checksums)
{
    uint8_t small[SMALL], changed[SMALL];
    wisp_error err;
    read_small(small);
    for (size_t i = 0; i < WISP_COUNT(lies); i++) {
        memcpy(changed, small, SMALL);
        wisp_packed_put(changed + lies[i].at, lies[i].bytes, lies[i].value);
        seal(changed);
        write_bytes("lie.wisp", changed, SMALL);
        refused(packed_toml(in_folder("lie.wisp"), ""), &err);
        ck_assert_msg(strstr(err.message, lies[i].complaint) != NULL, "lie %zu: %s", i,
                      err.message);
    }
    wisp_packed_put(small + 12, 4, 0); /* no labels: -1, and no names of classes */
    memcpy(changed, small, SMALL);
    wisp_packed_put(changed + 32, 8, 0);
    wisp_packed_put(changed + 40, 8, 13);
    seal(changed);
    write_bytes("lie.wisp", changed, SMALL);
    refused(packed_toml(in_folder("lie.wisp"), ""), &err);
    ck_assert_ptr_nonnull(strstr(err.message, "sample 0 of 3: its label"));
    remove_folder();
}
END_TEST

START_TEST(files_without_samples_and_no_files)
{
    wisp_error err;
    wispi_packed_writer *w = NULL;
    wispi_packed_facts facts;
    make_folder();
    ck_assert_int_eq(wispi_packed_writer_open(in_folder("none"), 0, 0, &w, NULL), WISP_OK);
    ck_assert_int_eq(wispi_packed_writer_finish(w, NULL, 0, &facts, NULL), WISP_OK);
    wispi_packed_writer_destroy(w);
    ck_assert_int_eq(facts.bytes, WISP_PACKED_HEADER_BYTES);
    ck_assert_int_eq(refused(packed_toml(in_folder("none"), ""), &err), WISP_E_DATA);
    ck_assert_int_eq(refused(packed_toml(in_folder("gone"), ""), &err), WISP_E_NOT_FOUND);
    ck_assert_int_eq(refused(packed_toml(folder, ""), &err), WISP_E_CORRUPT);
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    ck_assert_int_eq(refused(packed_toml(in_folder("pipe"), ""), &err), WISP_E_CORRUPT);
    remove_folder();
}
END_TEST

/* Somebody cuts the file while a run reads it: what is gone is told of, the rest is there. */
START_TEST(a_file_cut_during_a_run_costs_samples_and_no_more)
{
    set_under_test set;
    sink s = EMPTY_SINK;
    wisp_error err = {0};
    wisp_sample sample = {0};
    char name[16];
    make_folder();
    write_small(in_folder("small.wisp"));
    open_set(&set, packed_toml(in_folder("small.wisp"), ""));
    ck_assert_int_eq(truncate(in_folder("small.wisp"), 128 + 8), 0);
    ck_assert_mem_eq(read_one(&set, 0, &s).data, "first", 5);
    ck_assert_int_eq(set.vtable->read(set.self, 1, &s.base, &sample, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "\"b\": "));
    ck_assert_ptr_nonnull(strstr(err.message, "ends at byte 136"));
    ck_assert_ptr_null(sample.data);
    ck_assert_int_eq(truncate(in_folder("small.wisp"), 0), 0);
    ck_assert_int_eq(set.vtable->read(set.self, 0, &s.base, &sample, &err), WISP_E_DATA);
    set.vtable->sample_name(set.self, 2, name, sizeof name);
    ck_assert_str_eq(name, "cccc");
    ck_assert_int_eq(set.vtable->label(set.self, 2), 1);
    free(s.memory);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(opening_survives_any_failing_allocation)
{
    check_failing_allocations(packed_toml(foreign, "fraction = 0.5"));
}
END_TEST

/* --- orders --- */

/* n samples of 40 KiB, so that 102 of them are a block; bodies share their bytes. */
static void write_many(const char *path, int64_t n)
{
    enum { BODY = 40 << 10 };
    static uint8_t body[BODY];
    wispi_packed_writer *w = NULL;
    wispi_packed_facts facts;
    const uint64_t hash = wispi_hash64(body, BODY, 0);
    ck_assert_int_eq(wispi_packed_writer_open(path, 0, 0, &w, NULL), WISP_OK);
    for (int64_t i = 0; i < n; i++) {
        const wispi_packed_sample s = {"n", body, BODY, hash, -1, WISP_SAMPLE_ENCODED, 0, 0};
        ck_assert_int_eq(wispi_packed_writer_add(w, &s, NULL), WISP_OK);
    }
    ck_assert_int_eq(wispi_packed_writer_finish(w, NULL, 0, &facts, NULL), WISP_OK);
    wispi_packed_writer_destroy(w);
}

/* Each sample once, for every window and any remainder; the order itself into `at`. */
static void check_permutation(const set_under_test *set, wisp_rng_key key, int64_t *at)
{
    const int64_t n = set->vtable->count(set->self);
    char *seen = calloc((size_t)n, 1);
    for (int64_t i = 0; i < n; i++) {
        at[i] = set->vtable->order(set->self, key, i);
        ck_assert(at[i] >= 0 && at[i] < n && !seen[at[i]]);
        seen[at[i]] = 1;
    }
    free(seen);
}

START_TEST(any_order_is_that_of_other_data_sets)
{
    set_under_test set;
    open_set(&set, packed_toml(foreign, ""));
    for (int64_t i = 0; i < SAMPLES; i++)
        ck_assert_int_eq(set.vtable->order(set.self, wispi_order_key(3, 5), i),
                         wispi_order_at(3, 5, SAMPLES, i));
    close_set(&set);
}
END_TEST

START_TEST(windows_permute_and_stay_together)
{
    enum { N = 3000, WINDOW = 400, BLOCK = WINDOW / 16 };
    static int64_t at[N], other[N];
    set_under_test set;
    sink s = EMPTY_SINK;
    make_folder();
    write_many(in_folder("many.wisp"), N);
    for (int64_t window = 2; window < 3 * N; window = window * 3 + 1) {
        char rest[64];
        snprintf(rest, sizeof rest, "shuffle = %lld", (long long)window);
        open_set(&set, packed_toml(in_folder("many.wisp"), rest));
        check_permutation(&set, wispi_order_key(1, 0), at);
        read_one(&set, at[0], &s);
        close_set(&set);
    }
    char rest[64];
    snprintf(rest, sizeof rest, "shuffle = %d", WINDOW);
    open_set(&set, packed_toml(in_folder("many.wisp"), rest));
    check_permutation(&set, wispi_order_key(1, 0), at);
    check_permutation(&set, wispi_order_key(1, 1), other);
    ck_assert_mem_ne(at, other, sizeof at);
    /* What is read within a hundred samples comes from no more blocks than two windows have, of
     * the 120 that there are; and these do not lie side by side. */
    int far_apart = 0;
    for (int64_t first = 0; first + 100 <= N; first += 100) {
        char touched[N / BLOCK] = {0};
        int n = 0, lowest = N / BLOCK, highest = 0;
        for (int64_t i = first; i < first + 100; i++) {
            int block = (int)(at[i] / BLOCK);
            n += !touched[block];
            touched[block] = 1;
            lowest = block < lowest ? block : lowest;
            highest = block > highest ? block : highest;
        }
        ck_assert_int_le(n, 2 * WINDOW / BLOCK + 2);
        far_apart += highest - lowest > N / BLOCK / 2;
    }
    ck_assert_int_gt(far_apart, 25);
    close_set(&set);
    wisp_error err;
    ck_assert_int_eq(refused(packed_toml(foreign, "shuffle = 1"), &err), WISP_E_CONFIG);
    ck_assert_int_eq(refused(packed_toml(foreign, "shuffle = -1"), &err), WISP_E_CONFIG);
    free(s.memory);
    remove_folder();
}
END_TEST

/* --- the writer --- */

static int64_t files_in_folder(void)
{
    char command[128];
    int64_t n = 0;
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_int_eq(fscanf(pipe, "%ld", &n), 1);
    pclose(pipe);
    return n;
}

/* With a name while it grows, and without. */
START_TEST(an_unfinished_file_touches_nothing)
{
    wispi_packed_writer *w = NULL;
    const wispi_packed_sample s = {"a", "body", 4, wispi_hash64("body", 4, 0), -1, 0, 0, 0};
    wispi_packed_facts facts;
    struct stat status;
    uint8_t first[4];
    make_folder();
    for (int32_t named = 0; named < 2; named++) {
        write_text("old.wisp", "old");
        ck_assert_int_eq(chmod(in_folder("old.wisp"), 0640), 0);
        ck_assert_int_eq(wispi_packed_writer_open(in_folder("old.wisp"), 0, named, &w, NULL), 0);
        ck_assert_int_eq(wispi_packed_writer_add(w, &s, NULL), WISP_OK);
        ck_assert_int_eq(files_in_folder(), 1 + named);
        wispi_packed_writer_destroy(w);
        ck_assert_int_eq(files_in_folder(), 1);
        ck_assert_int_eq(stat(in_folder("old.wisp"), &status), 0);
        ck_assert_int_eq(status.st_size, 3);
        ck_assert_int_eq(wispi_packed_writer_open(in_folder("old.wisp"), 0, named, &w, NULL), 0);
        ck_assert_int_eq(wispi_packed_writer_add(w, &s, NULL), WISP_OK);
        ck_assert_int_eq(wispi_packed_writer_finish(w, NULL, 0, &facts, NULL), WISP_OK);
        wispi_packed_writer_destroy(w);
        ck_assert_int_eq(files_in_folder(), 1);
        ck_assert_int_eq(stat(in_folder("old.wisp"), &status), 0);
        ck_assert_int_eq(status.st_size, 128 + 4 + 40 + 2);
        ck_assert_int_eq(status.st_mode & 07777, 0640);
        int fd = open(in_folder("old.wisp"), O_RDONLY);
        ck_assert_int_eq(pread(fd, first, 4, 128), 4);
        close(fd);
        ck_assert_mem_eq(first, "body", 4);
    }
    remove_folder();
}
END_TEST

START_TEST(names_that_cannot_be_written_are_refused_at_once)
{
    wispi_packed_writer *w = NULL;
    wisp_error err = {0};
    char path[5000];
    make_folder();
    ck_assert_int_eq(wispi_packed_writer_open(folder, 0, 0, &w, &err), WISP_E_INVALID);
    ck_assert_int_eq(wispi_packed_writer_open("", 0, 0, &w, &err), WISP_E_INVALID);
    ck_assert_int_eq(wispi_packed_writer_open(in_folder("no/x"), 0, 0, &w, &err), WISP_E_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "no/x: cannot create"));
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    ck_assert_int_eq(wispi_packed_writer_open(path, 0, 0, &w, &err), WISP_E_INVALID);
    ck_assert_ptr_null(w);
    ck_assert_int_eq(wispi_packed_writer_open(in_folder("x"), 0, 0, &w, &err), WISP_OK);
    const wispi_packed_sample empty = {"nothing", "", 0, 0, -1, 0, 0, 0};
    ck_assert_int_eq(wispi_packed_writer_add(w, &empty, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "\"nothing\" has 0 bytes"));
    wispi_packed_writer_destroy(w);
    ck_assert_int_eq(files_in_folder(), 0);
    remove_folder();
}
END_TEST

/* 1500 samples, so that the index grows once; 5 MiB at the end, which no buffer holds. */
static wisp_status write_mixed(const char *path, const uint8_t *large)
{
    wispi_packed_writer *w = NULL;
    wispi_packed_facts facts;
    wisp_error err = {0};
    WISP_TRY(wispi_packed_writer_open(path, 0, 0, &w, &err));
    wisp_status status = WISP_OK;
    for (int i = 0; i < 1500 && status == WISP_OK; i++) {
        char name[32];
        const size_t n = i == 1499 ? 5 << 20 : (size_t)(i * 7 % 3000 + 1);
        snprintf(name, sizeof name, "%d", i);
        const wispi_packed_sample s = {name, large, n, wispi_hash64(large, n, 0), -1, 0, 0, 0};
        status = wispi_packed_writer_add(w, &s, &err);
    }
    if (status == WISP_OK)
        status = wispi_packed_writer_finish(w, NULL, 0, &facts, &err);
    wispi_packed_writer_destroy(w);
    return status;
}

START_TEST(writing_survives_any_failing_allocation)
{
    uint8_t *large = malloc(5 << 20);
    set_under_test set;
    sink s = EMPTY_SINK;
    for (size_t i = 0; i < 5 << 20; i++)
        large[i] = (uint8_t)(i * i >> 7);
    make_folder();
    wisp_status status = WISP_E_NOMEM;
    for (int64_t nth = 1; status != WISP_OK; nth++) {
        int64_t live = wispi_live_blocks();
        wispi_fail_allocation(nth);
        status = write_mixed(in_folder("mixed.wisp"), large);
        wispi_fail_allocation(-1);
        ck_assert(status == WISP_OK || status == WISP_E_NOMEM);
        ck_assert_int_eq(wispi_live_blocks(), live);
        ck_assert_int_eq(files_in_folder(), status == WISP_OK);
    }
    open_set(&set, packed_toml(in_folder("mixed.wisp"), ""));
    ck_assert_int_eq(set.vtable->count(set.self), 1500);
    for (int64_t i = 0; i < 1500; i++) {
        char name[32], wanted[32];
        wisp_sample sample = read_one(&set, i, &s);
        ck_assert_mem_eq(sample.data, large, sample.bytes);
        set.vtable->sample_name(set.self, i, name, sizeof name);
        snprintf(wanted, sizeof wanted, "%lld", (long long)i);
        ck_assert_str_eq(name, wanted);
    }
    close_set(&set);
    free(s.memory);
    free(large);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("packed");
    TCase *tests = tcase_create("packed");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_foreign_file_is_the_folder_that_it_was_made_of);
    tcase_add_test(tests, raw_pictures_have_sides);
    tcase_add_test(tests, labels_lists_and_shares);
    tcase_add_test(tests, the_magic_is_recognised);
    tcase_add_test(tests, what_is_cut_anywhere_is_refused);
    tcase_add_test(tests, every_flipped_bit_is_noticed);
    tcase_add_test(tests, wrong_numbers_are_refused_whatever_the_checksums);
    tcase_add_test(tests, files_without_samples_and_no_files);
    tcase_add_test(tests, a_file_cut_during_a_run_costs_samples_and_no_more);
    tcase_add_test(tests, opening_survives_any_failing_allocation);
    tcase_add_test(tests, any_order_is_that_of_other_data_sets);
    tcase_add_test(tests, windows_permute_and_stay_together);
    tcase_add_test(tests, an_unfinished_file_touches_nothing);
    tcase_add_test(tests, names_that_cannot_be_written_are_refused_at_once);
    tcase_add_test(tests, writing_survives_any_failing_allocation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
