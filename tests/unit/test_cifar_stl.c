/* test_cifar_stl.c - CIFAR-100 and STL-10 against what torchvision reads
 * (tests/golden/make_datasets_golden.py), and files that are not as they should be. CIFAR-10 is in
 * test_datasets.c. */
#include "base/hash.h"
#include "base/memory.h"
#include "dataset_fixture.h"

enum { CIFAR_RECORD = 3074, STL_IMAGE = 27648 };

/* --- against torchvision --- */

/* Has the sample `position` this label (-1: the set has none) and these pixels? */
static void check_sample(const set_under_test *set, int64_t position, int label, uint64_t hash,
                         int side)
{
    sink s = EMPTY_SINK;
    wisp_sample sample = read_one(set, position, &s);
    ck_assert_int_eq(sample.form, WISP_SAMPLE_RGB8);
    ck_assert_int_eq(sample.width, side);
    ck_assert_int_eq(sample.height, side);
    ck_assert_uint_eq(sample.bytes, (size_t)side * (size_t)side * 3);
    ck_assert_uint_eq(wispi_hash64(sample.data, sample.bytes, 0), hash);
    if (label >= 0 && set->vtable->n_classes(set->self) > 0)
        ck_assert_int_eq(set->vtable->label(set->self, position), label);
    free(s.memory);
}

static void open_golden_set(set_under_test *set, const char *name, const char *split)
{
    char toml[256];
    int fold;
    if (sscanf(split, "fold%d", &fold) == 1)
        snprintf(toml, sizeof toml, "use = \"%s\"\npath = \"tests/data/%s\"\nfold = %d", name, name,
                 fold);
    else
        snprintf(toml, sizeof toml, "use = \"%s\"\npath = \"tests/data/%s\"\nsplit = \"%s\"", name,
                 name, split);
    open_set(set, toml);
}

START_TEST(samples_are_those_of_torchvision)
{
    FILE *golden = fopen("tests/golden/datasets.txt", "r");
    char name[32], split[32], before[80] = "";
    int position, label, n = 0, left = 0;
    unsigned long long hash;
    set_under_test set;
    ck_assert_ptr_nonnull(golden);
    while (fscanf(golden, "%31s %31s %d %d %llx", name, split, &position, &label, &hash) == 5) {
        char now[80];
        snprintf(now, sizeof now, "%s %s", name, split);
        if (strcmp(now, before) != 0) {
            if (n > 0)
                close_set(&set);
            ck_assert_int_eq(left, 0);
            open_golden_set(&set, name, split);
            memcpy(before, now, sizeof before);
            left = (int)set.vtable->count(set.self);
            ck_assert_int_eq(set.vtable->n_classes(set.self) > 0, !strstr(split, "unlabeled"));
        }
        check_sample(&set, position, label, hash, strcmp(name, "stl10") == 0 ? 96 : 32);
        left--;
        n++;
    }
    close_set(&set);
    ck_assert_int_eq(left, 0); /* neither has more than the other */
    ck_assert_int_eq(n, 30);
    fclose(golden);
}
END_TEST

/* --- CIFAR-100 --- */

START_TEST(coarse_and_fine_labels)
{
    set_under_test fine, coarse;
    char name[64];
    open_set(&fine, "use = \"cifar100\"\npath = \"tests/data/cifar100\"");
    open_set(&coarse, "use = \"cifar100\"\npath = \"tests/data/cifar100\"\nclasses = \"coarse\"");
    ck_assert_int_eq(fine.vtable->n_classes(fine.self), 100);
    ck_assert_int_eq(coarse.vtable->n_classes(coarse.self), 20);
    ck_assert_str_eq(fine.vtable->class_name(fine.self, 99), "fine_99");
    ck_assert_str_eq(coarse.vtable->class_name(coarse.self, 19), "coarse_19");
    ck_assert_ptr_null(coarse.vtable->class_name(coarse.self, 20));
    for (int64_t i = 0; i < 8; i++)
        ck_assert_int_eq(coarse.vtable->label(coarse.self, i),
                         fine.vtable->label(fine.self, i) * 7 % 20);
    fine.vtable->sample_name(fine.self, 7, name, sizeof name);
    ck_assert_str_eq(name, "train.bin image 7");
    ck_assert_uint_ne(fine.vtable->fingerprint(fine.self), coarse.vtable->fingerprint(coarse.self));
    ck_assert_int_eq(fine.vtable->recognises("tests/data/cifar100"), 95);
    ck_assert_int_eq(fine.vtable->recognises("tests/data/cifar10"), 0);
    ck_assert_int_eq(fine.vtable->recognises("tests/data/cifar100/train.bin"), 0);
    close_set(&coarse);
    close_set(&fine);
}
END_TEST

START_TEST(wrong_cifar100_files_are_refused_by_name)
{
    static uint8_t records[2 * CIFAR_RECORD];
    wisp_error err;
    make_folder();
    ck_assert_int_eq(refused(toml_of("cifar100", ""), &err), WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "train.bin"));
    ck_assert_ptr_nonnull(strstr(err.message, "CIFAR-100"));
    write_bytes("train.bin", records, 2 * CIFAR_RECORD - 1);
    ck_assert_int_eq(refused(toml_of("cifar100", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "train.bin\" has 6147 bytes"));
    ck_assert_ptr_nonnull(strstr(err.message, "153670000"));
    records[CIFAR_RECORD] = 20; /* coarse; told of whichever label counts */
    write_bytes("train.bin", records, sizeof records);
    ck_assert_int_eq(refused(toml_of("cifar100", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "train.bin: image 1 has label 20, not 0 to 19"));
    records[CIFAR_RECORD] = 19;
    records[CIFAR_RECORD + 1] = 100;
    write_bytes("train.bin", records, sizeof records);
    ck_assert_int_eq(refused(toml_of("cifar100", "classes = \"coarse\""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "image 1 has label 100, not 0 to 99"));
    remove_folder();
}
END_TEST

/* --- STL-10 --- */

static void write_stl(const char *split, int n, const char *labels)
{
    static uint8_t images[4 * STL_IMAGE];
    char name[64];
    for (size_t i = 0; i < sizeof images; i++)
        images[i] = (uint8_t)(i * 7 + (size_t)n);
    snprintf(name, sizeof name, "%s_X.bin", split);
    write_bytes(name, images, (size_t)n * STL_IMAGE);
    snprintf(name, sizeof name, "%s_y.bin", split);
    if (labels)
        write_text(name, labels);
}

START_TEST(splits_of_stl10)
{
    set_under_test set;
    char name[64];
    open_set(&set, "use = \"stl10\"\npath = \"tests/data/stl10\"");
    const uint64_t train = set.vtable->fingerprint(set.self);
    ck_assert_int_eq(set.vtable->n_classes(set.self), 10);
    ck_assert_str_eq(set.vtable->class_name(set.self, 9), "truck");
    ck_assert_int_eq(set.vtable->recognises("tests/data/stl10"), 95);
    ck_assert_int_eq(set.vtable->recognises("tests/data/cifar10"), 0);
    close_set(&set);
    open_set(&set, "use = \"stl10\"\npath = \"tests/data/stl10\"\nsplit = \"train+unlabeled\"");
    set.vtable->sample_name(set.self, 4, name, sizeof name);
    ck_assert_str_eq(name, "unlabeled_X.bin image 0");
    ck_assert_ptr_null(set.vtable->class_name(set.self, 0));
    ck_assert_uint_ne(set.vtable->fingerprint(set.self), train);
    close_set(&set);
    open_set(&set, "use = \"stl10\"\npath = \"tests/data/stl10\"\nfold = 7\nfraction = 0.5");
    ck_assert_int_eq(set.vtable->count(set.self), 1);
    ck_assert_uint_ne(set.vtable->fingerprint(set.self), train);
    close_set(&set);
    wisp_error err;
    refused("use = \"stl10\"\npath = \"tests/data/stl10\"\nsplit = \"test\"\nfold = 0", &err);
    ck_assert_int_eq(err.code, WISP_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "only split = \"train\" has folds"));
}
END_TEST

START_TEST(wrong_stl10_files_are_refused_by_name)
{
    wisp_error err;
    make_folder();
    ck_assert_int_eq(refused(toml_of("stl10", ""), &err), WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "train_X.bin"));
    write_text("train_X.bin", "x");
    ck_assert_int_eq(refused(toml_of("stl10", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "train_X.bin\" has 1 bytes"));
    ck_assert_ptr_nonnull(strstr(err.message, "138240000"));
    write_stl("train", 3, NULL);
    ck_assert_int_eq(refused(toml_of("stl10", ""), &err), WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "train_y.bin"));
    write_stl("train", 3, "\1\2");
    ck_assert_int_eq(refused(toml_of("stl10", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "train_y.bin\" has 2 bytes for the 3 images"));
    write_stl("train", 3, "\1\2\3\4");
    ck_assert_int_eq(refused(toml_of("stl10", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "has 4 bytes for the 3 images"));
    write_stl("train", 3, "\1\2\13");
    ck_assert_int_eq(refused(toml_of("stl10", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "train_y.bin: image 2 has label 11, not 1 to 10"));
    write_bytes("train_y.bin", "\1\0\2", 3);
    ck_assert_int_eq(refused(toml_of("stl10", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "image 1 has label 0"));
    remove_folder();
}
END_TEST

START_TEST(wrong_folds_are_refused_by_line)
{
    static const struct {
        const char *text, *complaint;
    } wrong[] = {{"0 1\n0 3\n", "fold_indices.txt:2: \"3\" is none of the 3 images"},
                 {"0 1\n0 -1\n", "\"-1\" is none"},
                 {"0 1\n0 x\n", "\"x\" is none"},
                 {"0 1\n0 99999999999999999999\n", "is none of the 3 images"},
                 {"0 1\n \n", "no image in line 2"},
                 {"0 1\n", "no image in line 2"},
                 {"", "no image in line 2"}};
    wisp_error err;
    make_folder();
    write_stl("train", 3, "\1\2\3");
    ck_assert_int_eq(refused(toml_of("stl10", "fold = 1"), &err), WISP_E_NOT_FOUND);
    for (size_t i = 0; i < WISP_COUNT(wrong); i++) {
        write_text("fold_indices.txt", wrong[i].text);
        ck_assert_int_eq(refused(toml_of("stl10", "fold = 1"), &err), WISP_E_CORRUPT);
        ck_assert_msg(strstr(err.message, wrong[i].complaint) != NULL, "%s", err.message);
    }
    remove_folder();
}
END_TEST

START_TEST(an_stl10_file_cut_during_a_run_costs_samples)
{
    set_under_test set;
    sink s = EMPTY_SINK;
    wisp_error err = {0};
    wisp_sample sample;
    char path[128];
    make_folder();
    write_stl("unlabeled", 3, NULL);
    open_set(&set, toml_of("stl10", "split = \"unlabeled\""));
    snprintf(path, sizeof path, "%s/unlabeled_X.bin", folder);
    ck_assert_int_eq(truncate(path, 2 * STL_IMAGE + 5), 0);
    read_one(&set, 1, &s);
    ck_assert_int_eq(set.vtable->read(set.self, 2, &s.base, &sample, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "unlabeled_X.bin ends before image 2"));
    s.refuses = 1;
    ck_assert_int_eq(set.vtable->read(set.self, 0, &s.base, &sample, &err), WISP_E_NOMEM);
    free(s.memory);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(opening_survives_any_failing_allocation)
{
    check_failing_allocations(
        "use = \"stl10\"\npath = \"tests/data/stl10\"\nfold = 3\nfraction = 0.5");
    check_failing_allocations("use = \"cifar100\"\npath = \"tests/data/cifar100\"\nfraction = 0.5");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cifar_stl");
    TCase *tests = tcase_create("cifar_stl");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, samples_are_those_of_torchvision);
    tcase_add_test(tests, coarse_and_fine_labels);
    tcase_add_test(tests, wrong_cifar100_files_are_refused_by_name);
    tcase_add_test(tests, splits_of_stl10);
    tcase_add_test(tests, wrong_stl10_files_are_refused_by_name);
    tcase_add_test(tests, wrong_folds_are_refused_by_line);
    tcase_add_test(tests, an_stl10_file_cut_during_a_run_costs_samples);
    tcase_add_test(tests, opening_survives_any_failing_allocation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
