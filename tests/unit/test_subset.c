/* test_subset.c - parts of data sets: lists that are read, shares that are drawn; against the list
 * of one per cent of ImageNet-1K that was published (12,811 images, 12 or 13 of each class). */
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "plugin_fixture.h"
#include "wisp/subset.h"

/* --- a data set of numbers --- */

typedef struct numbers {
    int64_t count;
    int32_t n_classes;
    int64_t rare; /* images of class 0; the others share the rest */
} numbers;

static int64_t numbers_count(const void *self)
{
    return ((const numbers *)self)->count;
}

static int32_t numbers_classes(const void *self)
{
    return ((const numbers *)self)->n_classes;
}

static int32_t numbers_label(const void *self, int64_t index)
{
    const numbers *n = self;
    return index < n->rare ? 0 : 1 + (int32_t)((index - n->rare) % (n->n_classes - 1));
}

static void numbers_name(const void *self, int64_t index, char *text, size_t bytes)
{
    snprintf(text, bytes, "n%04d/n%04d_%lld.JPEG", numbers_label(self, index),
             numbers_label(self, index), (long long)index);
}

static const wisp_dataset_v0 numbers_table = {.struct_size = sizeof numbers_table,
                                              .count = numbers_count,
                                              .n_classes = numbers_classes,
                                              .label = numbers_label,
                                              .sample_name = numbers_name};

static wisp_status choose(const numbers *n, const char *list, double fraction, int64_t seed,
                          wisp_subset *out, wisp_error *err)
{
    const wisp_subset_options o = {list, fraction, seed};
    memset(out, 0, sizeof *out);
    return wisp_subset_choose(wispi_host_table(), &numbers_table, n, &o, out, err);
}

static wisp_subset share(const numbers *n, double fraction, int64_t seed)
{
    wisp_subset s;
    wisp_error err = {0};
    ck_assert_msg(choose(n, "", fraction, seed, &s, &err) == WISP_OK, "%s", err.message);
    for (int64_t i = 0; i < s.count; i++)
        ck_assert(s.index[i] >= 0 && s.index[i] < n->count &&
                  (i == 0 || s.index[i] > s.index[i - 1]));
    return s;
}

/* Images of each class; the caller frees it. */
static int64_t *census(const numbers *n, const wisp_subset *s)
{
    int64_t *counts = calloc((size_t)n->n_classes, sizeof *counts);
    ck_assert_ptr_nonnull(counts);
    for (int64_t i = 0; i < s->count; i++)
        counts[numbers_label(n, s->index[i])]++;
    return counts;
}

static void release(wisp_subset *s)
{
    wisp_subset_free(wispi_host_table(), s);
}

/* --- shares --- */

START_TEST(one_per_cent_is_that_of_imagenet)
{
    const numbers n = {1281167, 1000, 732};
    wisp_subset s = share(&n, 0.01, 0);
    int64_t *counts = census(&n, &s), thirteen = 0;
    ck_assert_int_eq(s.count, 12811);
    for (int k = 0; k < n.n_classes; k++) {
        ck_assert_msg(counts[k] == 12 || counts[k] == 13, "class %d has %lld", k,
                      (long long)counts[k]);
        thirteen += counts[k] == 13;
    }
    ck_assert_int_eq(thirteen, 811);
    int in_a_row = 0; /* who gets one more is drawn, too */
    for (int k = 0; k < 811; k++)
        in_a_row += counts[k] == 13;
    ck_assert_int_lt(in_a_row, 750);
    free(counts);
    release(&s);
    s = share(&n, 0.1, 0);
    ck_assert_int_eq(s.count, 128116);
    release(&s);
}
END_TEST

START_TEST(small_classes_give_what_they_have)
{
    const numbers n = {1005, 5, 5};
    wisp_subset s = share(&n, 0.5, 3);
    int64_t *counts = census(&n, &s);
    ck_assert_int_eq(s.count, 502);
    ck_assert_int_eq(counts[0], 5);
    for (int k = 1; k < 5; k++)
        ck_assert(counts[k] == 124 || counts[k] == 125);
    free(counts);
    release(&s);
    const numbers unlabelled = {100, 0, 100};
    s = share(&unlabelled, 0.25, 3);
    ck_assert_int_eq(s.count, 25);
    release(&s);
}
END_TEST

/* Every image is as likely as another: over many seeds each is taken about as often. */
START_TEST(seeds_draw_other_images)
{
    enum { IMAGES = 60, SEEDS = 2000 };
    const numbers n = {IMAGES, 3, 20};
    int64_t taken[IMAGES] = {0};
    wisp_subset first = share(&n, 0.25, 0), again = share(&n, 0.25, 0);
    ck_assert_int_eq(first.count, 15);
    ck_assert_mem_eq(first.index, again.index, 15 * sizeof *first.index);
    const uint64_t print = wisp_subset_fingerprint(&first, 5);
    int alike = 0;
    for (int64_t seed = 1; seed <= SEEDS; seed++) {
        wisp_subset s = share(&n, 0.25, seed);
        alike += memcmp(s.index, first.index, 15 * sizeof *s.index) == 0;
        for (int64_t i = 0; i < s.count; i++)
            taken[s.index[i]]++;
        if (seed == 1)
            ck_assert_uint_ne(wisp_subset_fingerprint(&s, 5), print);
        release(&s);
    }
    ck_assert_int_lt(alike, 3);
    for (int i = 0; i < IMAGES; i++) /* 500 on average, deviation 19 */
        ck_assert_msg(llabs(taken[i] - SEEDS / 4) < 110, "image %d: %lld", i, (long long)taken[i]);
    release(&first);
    release(&again);
}
END_TEST

START_TEST(everything_is_no_part)
{
    const numbers n = {100, 4, 10};
    wisp_subset s = share(&n, 1.0, 9);
    ck_assert_ptr_null(s.index);
    ck_assert_int_eq(wisp_subset_at(&s, 77), 77);
    ck_assert_int_eq(wisp_subset_count(&s, 100), 100);
    ck_assert_uint_eq(wisp_subset_fingerprint(&s, 5), 5);
    wisp_error err = {0};
    ck_assert_int_eq(choose(&n, "", 0.001, 0, &s, &err), WISP_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "less than one"));
    ck_assert_int_eq(choose(&n, "x", 0.5, 0, &s, &err), WISP_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "give one of them"));
}
END_TEST

/* --- lists --- */

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/wisp-subset-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *write_file(const char *name, const void *data, size_t bytes)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0700);
    }
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

static wisp_status choose_listed(const char *text, wisp_subset *out, wisp_error *err)
{
    const numbers n = {40, 5, 8};
    return choose(&n, write_file("list.txt", text, strlen(text)), 1.0, 0, out, err);
}

/* All three ways of naming an image; ends of lines of either kind, the last without any. */
START_TEST(lists_name_images_in_three_ways)
{
    static const int64_t expected[] = {0, 3, 8, 11, 12, 13, 39};
    wisp_subset s;
    wisp_error err = {0};
    make_folder();
    ck_assert_msg(choose_listed("# position,label,class,file\n39,4\n11,4,,n0004_11\r\n"
                                "n0001/n0001_8.JPEG\n\nn0000_3.JPEG\n12,1,n0001,n0001_12.JPEG\n0\n"
                                "n0002/n0002_13.JPEG",
                                &s, &err) == WISP_OK,
                  "%s", err.message);
    ck_assert_int_eq(s.count, 7);
    ck_assert_mem_eq(s.index, expected, sizeof expected);
    ck_assert_int_eq(wisp_subset_at(&s, 3), 11);
    release(&s);
    remove_folder();
}
END_TEST

START_TEST(wrong_lists_are_refused_by_line)
{
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"3\n40\n", "list.txt:2: there is no image 40, the data set has 40"},
        {"99999999999999999999\n", "there is no image 9999"},
        {"12,2\n", "list.txt:1: image 12 is \"n0001/n0001_12.JPEG\" of class 1 here"},
        {"12,1,n0001,n0001_13.JPEG\n", "another data set"},
        {"12,1,n0001,n0001_1\n", "another data set"},
        {"3\n\n3\n", "list.txt:3: this image is in the list already"},
        {"n0000_3.JPEG\n3\n", "is in the list already"},
        {"n0000_3.JPEG\nn0000/n0000_3.JPEG\n", "has no image \"n0000_3.JPEG\""},
        {"n0000_3.JPEG\nn0000_3.JPEG\n", "list.txt:2: this image is in the list already"},
        {"1\nn0000_3.png\n", "list.txt:2: the data set has no image \"n0000_3.png\""},
        {"-1\n", "has no image \"-1\""},
        {"# nothing\n", "names no image"},
        {"", "names no image"},
    };
    const numbers n = {40, 5, 8};
    wisp_subset s;
    make_folder();
    for (size_t i = 0; i < WISP_COUNT(wrong); i++) {
        wisp_error err = {0};
        const wisp_status status = choose_listed(wrong[i].text, &s, &err);
        ck_assert_msg(status == WISP_E_DATA, "%s: %d", wrong[i].text, status);
        ck_assert_msg(strstr(err.message, wrong[i].message) != NULL, "%s", err.message);
        ck_assert_ptr_null(s.index);
    }
    wisp_error err = {0};
    char *line = malloc(5000);
    ck_assert_ptr_nonnull(line);
    memset(line, 'x', 5000);
    line[4999] = 0;
    ck_assert_int_eq(choose_listed(line, &s, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "too long"));
    free(line);
    ck_assert_int_eq(choose(&n, "/nowhere/list", 1.0, 0, &s, &err), WISP_E_NOT_FOUND);
    remove_folder();
}
END_TEST

START_TEST(one_file_name_for_two_images_needs_paths)
{
    make_folder();
    write_file("images/a/1.jpg", "a1", 2);
    write_file("images/b/1.jpg", "b1", 2);
    plugin_fixture fixture;
    wisp_error err = {0};
    char toml[512], list[256];
    snprintf(list, sizeof list, "%s", write_file("list.txt", "1.jpg\n", 6));
    snprintf(toml, sizeof toml, "use = \"image_folder\"\npath = \"%s/images\"\nlist = \"%s\"",
             folder, list);
    ck_assert_int_eq(plugin_fixture_try(&fixture, "dataset", toml, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "several images are called \"1.jpg\""));
    remove_folder();
}
END_TEST

/* --- the data sets that have it --- */

START_TEST(folders_give_their_part)
{
    make_folder();
    for (int i = 0; i < 30; i++) {
        char name[64], text[8];
        snprintf(name, sizeof name, "images/%c/%02d.jpg", 'a' + i / 10, i);
        snprintf(text, sizeof text, "%02d", i);
        write_file(name, text, 2);
    }
    plugin_fixture fixture;
    char toml[512], name[64];
    snprintf(toml, sizeof toml, "use = \"image_folder\"\npath = \"%s/images\"", folder);
    const wisp_dataset_v0 *set = plugin_fixture_open(&fixture, "dataset", toml);
    const uint64_t whole = set->fingerprint(fixture.instance.self);
    ck_assert_int_eq(set->count(fixture.instance.self), 30);
    plugin_fixture_close(&fixture);
    char list[256];
    snprintf(list, sizeof list, "%s",
             write_file("list.txt", "c/25.jpg\n12,1,b,12.jpg\n04.jpg\n", 30));
    snprintf(toml, sizeof toml, "use = \"image_folder\"\npath = \"%s/images\"\nlist = \"%s\"",
             folder, list);
    set = plugin_fixture_open(&fixture, "dataset", toml);
    const void *self = fixture.instance.self;
    ck_assert_int_eq(set->count(self), 3);
    ck_assert_int_eq(set->n_classes(self), 3);
    ck_assert_uint_ne(set->fingerprint(self), whole);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"a/04.jpg", "b/12.jpg", "c/25.jpg"};
        set->sample_name(self, i, name, sizeof name);
        ck_assert_str_eq(name, names[i]);
        ck_assert_int_eq(set->label(self, i), i);
    }
    plugin_fixture_close(&fixture);
    snprintf(toml, sizeof toml, "use = \"image_folder\"\npath = \"%s/images\"\nfraction = 0.2",
             folder);
    set = plugin_fixture_open(&fixture, "dataset", toml);
    self = fixture.instance.self;
    ck_assert_int_eq(set->count(self), 6);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(set->label(self, i), i / 2);
    plugin_fixture_close(&fixture);
    remove_folder();
}
END_TEST

START_TEST(records_give_their_part)
{
    enum { RECORD = 3073, RECORDS = 20 };
    static uint8_t records[RECORDS * RECORD];
    make_folder();
    for (int i = 0; i < RECORDS; i++)
        memset(records + i * RECORD, i % 10, RECORD);
    write_file("test_batch.bin", records, sizeof records);
    char toml[512], name[64], list[256];
    snprintf(list, sizeof list, "%s", write_file("list.txt", "13,3\n19\n", 8));
    snprintf(toml, sizeof toml, "use = \"cifar10\"\nsplit = \"test\"\npath = \"%s\"\nlist = \"%s\"",
             folder, list);
    plugin_fixture fixture;
    const wisp_dataset_v0 *set = plugin_fixture_open(&fixture, "dataset", toml);
    const void *self = fixture.instance.self;
    ck_assert_int_eq(set->count(self), 2);
    ck_assert_int_eq(set->label(self, 0), 3);
    ck_assert_int_eq(set->label(self, 1), 9);
    set->sample_name(self, 1, name, sizeof name);
    ck_assert_str_eq(name, "test_batch.bin image 19");
    plugin_fixture_close(&fixture);
    remove_folder();
}
END_TEST

/* Every allocation of a choice fails once. */
START_TEST(lack_of_memory_is_survived)
{
    const numbers n = {40, 5, 8};
    make_folder();
    const char *list = write_file("list.txt", "n0000_3.JPEG\n12\n", 16);
    const char *const lists[] = {"", list};
    const int64_t live = wispi_live_blocks();
    for (int i = 0; i < 2; i++) {
        wisp_status status = WISP_E_NOMEM;
        for (int64_t nth = 1; status == WISP_E_NOMEM; nth++) {
            wisp_subset s;
            wisp_error err = {0};
            wispi_fail_allocation(nth);
            status = choose(&n, lists[i], i ? 1.0 : 0.5, 0, &s, &err);
            wispi_fail_allocation(-1);
            ck_assert(status == WISP_OK || (nth < 20 && !s.index));
            release(&s);
            ck_assert_int_eq(wispi_live_blocks(), live);
        }
        ck_assert_int_eq(status, WISP_OK);
    }
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("subset");
    TCase *tests = tcase_create("subset");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, one_per_cent_is_that_of_imagenet);
    tcase_add_test(tests, small_classes_give_what_they_have);
    tcase_add_test(tests, seeds_draw_other_images);
    tcase_add_test(tests, everything_is_no_part);
    tcase_add_test(tests, lists_name_images_in_three_ways);
    tcase_add_test(tests, wrong_lists_are_refused_by_line);
    tcase_add_test(tests, one_file_name_for_two_images_needs_paths);
    tcase_add_test(tests, folders_give_their_part);
    tcase_add_test(tests, records_give_their_part);
    tcase_add_test(tests, lack_of_memory_is_survived);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
