/* test_datasets.c - the data sets that come with the project: what they give, in which order, and
 * what they say when files are not as they should be. */
#include "base/memory.h"
#include "dataset_fixture.h"
#include "image/decode.h"

/* --- synthetic --- */

enum { TRAIN = 1500, TEST = 300, PIXEL_BYTES = 32 * 32 * 3, COARSE = PIXEL_BYTES / 4 };

typedef struct pictures {
    uint8_t *rgb;
    int32_t *label;
    int64_t n;
} pictures;

static pictures draw_pictures(const char *rest, int64_t n)
{
    char toml[256];
    set_under_test set;
    sink s = EMPTY_SINK;
    pictures p = {malloc((size_t)n * PIXEL_BYTES), malloc((size_t)n * sizeof(int32_t)), n};
    snprintf(toml, sizeof toml, "use = \"synthetic\"\ncount = %lld\n%s", (long long)n, rest);
    open_set(&set, toml);
    ck_assert_int_eq(set.vtable->count(set.self), n);
    for (int64_t i = 0; i < n; i++) {
        wisp_sample sample = read_one(&set, i, &s);
        ck_assert_int_eq(sample.form, WISP_SAMPLE_RGB8);
        ck_assert_int_eq(sample.width, 32);
        ck_assert_int_eq(sample.height, 32);
        ck_assert_uint_eq(sample.bytes, PIXEL_BYTES);
        memcpy(p.rgb + i * PIXEL_BYTES, sample.data, PIXEL_BYTES);
        p.label[i] = set.vtable->label(set.self, i);
    }
    free(s.memory);
    close_set(&set);
    return p;
}

static void free_pictures(pictures *p)
{
    free(p->rgb);
    free(p->label);
}

/* Share of test pictures whose nearest neighbours (ten, majority) in the features have their class.
 */
enum { NEIGHBOURS = 10 };

static double neighbour_accuracy(const double *train, const int32_t *train_label,
                                 const double *test, const int32_t *test_label, int dim)
{
    int hits = 0;
    for (int t = 0; t < TEST; t++) {
        double nearest[NEIGHBOURS];
        int32_t label[NEIGHBOURS];
        int votes[10] = {0}, best = 0, n = 0;
        for (int i = 0; i < TRAIN; i++) {
            double distance = 0;
            for (int d = 0; d < dim; d++) {
                double difference = train[i * dim + d] - test[t * dim + d];
                distance += difference * difference;
            }
            int at = n;
            while (at > 0 && nearest[at - 1] > distance)
                at--;
            if (at == NEIGHBOURS)
                continue;
            n += n < NEIGHBOURS;
            for (int k = n - 1; k > at; k--) {
                nearest[k] = nearest[k - 1];
                label[k] = label[k - 1];
            }
            nearest[at] = distance;
            label[at] = train_label[i];
        }
        for (int k = 0; k < NEIGHBOURS; k++)
            votes[label[k]]++;
        for (int c = 1; c < 10; c++)
            best = votes[c] > votes[best] ? c : best;
        hits += best == test_label[t];
    }
    return (double)hits / TEST;
}

/* Mean of each channel. */
static double *mean_colours(const pictures *p)
{
    double *features = calloc((size_t)p->n * 3, sizeof *features);
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < PIXEL_BYTES; k++)
            features[i * 3 + k % 3] += p->rgb[i * PIXEL_BYTES + k] / 1024.0;
    return features;
}

/* Pixels by squares of two by two, which cost a quarter and tell as much. */
static double *coarse_pixels(const pictures *p)
{
    double *features = calloc((size_t)p->n * COARSE, sizeof *features);
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < PIXEL_BYTES; k++) {
            int x = k / 3 % 32 / 2, y = k / 3 / 32 / 2;
            features[i * COARSE + (y * 16 + x) * 3 + k % 3] += p->rgb[i * PIXEL_BYTES + k] / 4.0;
        }
    return features;
}

/* Chance is 10 % with a deviation of 1.7 points. */
START_TEST(mean_colour_says_nothing_about_the_class)
{
    pictures train = draw_pictures("", TRAIN), test = draw_pictures("split = \"test\"", TEST);
    double *a = mean_colours(&train), *b = mean_colours(&test);
    double by_colour = neighbour_accuracy(a, train.label, b, test.label, 3);
    ck_assert_msg(by_colour < 0.17, "k-NN on the mean colour finds %.1f %%", 100 * by_colour);
    free(a);
    free(b);
    a = coarse_pixels(&train);
    b = coarse_pixels(&test);
    double by_pixels = neighbour_accuracy(a, train.label, b, test.label, COARSE);
    ck_assert_msg(by_pixels > 0.11 && by_pixels < 0.28, "k-NN on pixels finds %.1f %%",
                  100 * by_pixels);
    free(a);
    free(b);
    free_pictures(&train);
    free_pictures(&test);
}
END_TEST

static int same_picture(const pictures *a, int64_t i, const pictures *b, int64_t j)
{
    return memcmp(a->rgb + i * PIXEL_BYTES, b->rgb + j * PIXEL_BYTES, PIXEL_BYTES) == 0;
}

START_TEST(splits_and_seeds_share_no_picture)
{
    pictures train = draw_pictures("", 200), again = draw_pictures("classes = 10", 200);
    pictures test = draw_pictures("split = \"test\"", 200), other = draw_pictures("seed = 1", 200);
    for (int64_t i = 0; i < 200; i++) {
        ck_assert(same_picture(&train, i, &again, i));
        ck_assert_int_eq(train.label[i], i % 10);
        ck_assert_int_eq(test.label[i], i % 10);
        for (int64_t j = 0; j < 200; j++) {
            ck_assert(!same_picture(&train, i, &test, j));
            ck_assert(!same_picture(&train, i, &other, j));
            ck_assert(i == j || !same_picture(&train, i, &train, j));
        }
    }
    free_pictures(&train);
    free_pictures(&again);
    free_pictures(&test);
    free_pictures(&other);
}
END_TEST

START_TEST(class_names_are_distinct)
{
    set_under_test set;
    open_set(&set, "use = \"synthetic\"\nclasses = 100");
    ck_assert_int_eq(set.vtable->n_classes(set.self), 100);
    for (int32_t a = 0; a < 100; a++) {
        const char *name = set.vtable->class_name(set.self, a);
        ck_assert_ptr_nonnull(name);
        for (int32_t b = 0; b < a; b++)
            ck_assert_str_ne(name, set.vtable->class_name(set.self, b));
    }
    ck_assert_ptr_null(set.vtable->class_name(set.self, 100));
    ck_assert_ptr_null(set.vtable->class_name(set.self, -1));
    close_set(&set);
}
END_TEST

START_TEST(strengths_and_sizes_are_obeyed)
{
    set_under_test set;
    sink s = EMPTY_SINK;
    open_set(&set, "use = \"synthetic\"\nclasses = 1\nclutter = 0.0\nnoise = 0.0\nsize = 200");
    wisp_sample sample = read_one(&set, 3, &s);
    ck_assert_int_eq(sample.width, 200);
    ck_assert_uint_eq(sample.bytes, 200 * 200 * 3);
    /* Without noise, neighbours on the ground differ by less than a step of the slope. */
    for (int x = 1; x < 20; x++)
        for (int c = 0; c < 3; c++)
            ck_assert_int_le(abs(sample.data[3 * x + c] - sample.data[3 * x - 3 + c]), 1);
    s.refuses = 1;
    wisp_error err = {0};
    ck_assert_int_eq(set.vtable->read(set.self, 0, &s.base, &sample, &err), WISP_E_NOMEM);
    free(s.memory);
    close_set(&set);
    wisp_error wrong;
    ck_assert_int_eq(refused("use = \"synthetic\"\nclasses = 101", &wrong), WISP_E_CONFIG);
    ck_assert_int_eq(refused("use = \"synthetic\"\nsplit = \"val\"", &wrong), WISP_E_CONFIG);
}
END_TEST

START_TEST(fingerprints_tell_sets_apart)
{
    static const char *const rests[] = {
        "",         "count = 9999",     "size = 33",     "classes = 11",
        "seed = 1", "split = \"test\"", "clutter = 0.4", "noise = 0.1"};
    uint64_t prints[8];
    for (int i = 0; i < 8; i++) {
        set_under_test set;
        char toml[128];
        snprintf(toml, sizeof toml, "use = \"synthetic\"\n%s", rests[i]);
        open_set(&set, toml);
        prints[i] = set.vtable->fingerprint(set.self);
        ck_assert_uint_eq(prints[i], set.vtable->fingerprint(set.self));
        for (int j = 0; j < i; j++)
            ck_assert_uint_ne(prints[i], prints[j]);
        close_set(&set);
    }
}
END_TEST

/* --- image_folder --- */

static void check_names(const set_under_test *set, const char *const *names, int64_t n)
{
    char name[512];
    ck_assert_int_eq(set->vtable->count(set->self), n);
    for (int64_t i = 0; i < n; i++) {
        set->vtable->sample_name(set->self, i, name, sizeof name);
        ck_assert_str_eq(name, names[i]);
    }
}

static void make_tree(void)
{
    make_folder();
    write_text("beta/2.png", "two");
    write_text("beta/10.JPG", "ten");
    write_text("beta/notes.txt", "no");
    write_text("beta/.hidden.jpg", "no");
    write_text("alpha/x/deep.jpeg", "deep");
    write_text("alpha/z.Png", "zet");
    write_text("alpha/.cache/1.jpg", "no");
    write_text("gamma/readme", "no");
    write_text(".git/1.jpg", "no");
    write_text("stray.jpg", "stray");
}

START_TEST(folders_are_classes)
{
    static const char *const names[] = {"alpha/x/deep.jpeg", "alpha/z.Png", "beta/10.JPG",
                                        "beta/2.png"};
    set_under_test set;
    sink s = EMPTY_SINK;
    make_tree();
    memset(&logged, 0, sizeof logged);
    wispi_log_set_sink(log_sink, NULL);
    open_set(&set, toml_of("image_folder", ""));
    wispi_log_set_sink(NULL, NULL);
    ck_assert_ptr_nonnull(strstr(logged.text, "1 of 3 class folders without an image"));
    check_names(&set, names, 4);
    ck_assert_int_eq(set.vtable->n_classes(set.self), 3);
    ck_assert_str_eq(set.vtable->class_name(set.self, 0), "alpha");
    ck_assert_str_eq(set.vtable->class_name(set.self, 2), "gamma");
    ck_assert_ptr_null(set.vtable->class_name(set.self, 3));
    ck_assert_int_eq(set.vtable->label(set.self, 1), 0);
    ck_assert_int_eq(set.vtable->label(set.self, 2), 1);
    wisp_sample sample = read_one(&set, 0, &s);
    ck_assert_int_eq(sample.form, WISP_SAMPLE_ENCODED);
    ck_assert_uint_eq(sample.bytes, 4);
    ck_assert_mem_eq(sample.data, "deep", 4);
    free(s.memory);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(labels_can_be_left_out)
{
    static const char *const names[] = {"alpha/x/deep.jpeg", "alpha/z.Png", "beta/10.JPG",
                                        "beta/2.png", "stray.jpg"};
    set_under_test set;
    make_tree();
    open_set(&set, toml_of("image_folder", "labels = false"));
    check_names(&set, names, 5);
    ck_assert_int_eq(set.vtable->n_classes(set.self), 0);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(flat_folders_have_no_labels)
{
    static const char *const names[] = {"a.jpg", "b.png"};
    set_under_test set;
    make_folder();
    write_text("b.png", "b");
    write_text("a.jpg", "a");
    write_text("thumbnails/none.txt", "no");
    memset(&logged, 0, sizeof logged);
    wispi_log_set_sink(log_sink, NULL);
    open_set(&set, toml_of("image_folder", ""));
    wispi_log_set_sink(NULL, NULL);
    ck_assert_ptr_nonnull(strstr(logged.text, "there are no labels"));
    check_names(&set, names, 2);
    ck_assert_int_eq(set.vtable->n_classes(set.self), 0);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(one_class_is_told)
{
    set_under_test set;
    make_folder();
    write_text("only/b.png", "b");
    memset(&logged, 0, sizeof logged);
    wispi_log_set_sink(log_sink, NULL);
    open_set(&set, toml_of("image_folder", ""));
    wispi_log_set_sink(NULL, NULL);
    ck_assert_ptr_nonnull(strstr(logged.text, "one class only"));
    ck_assert_int_eq(set.vtable->n_classes(set.self), 1);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(links_are_followed_but_not_in_circles)
{
    char path[128];
    set_under_test set;
    wisp_error err;
    make_folder();
    write_text("store/one.jpg", "1");
    snprintf(path, sizeof path, "%s/linked", folder);
    ck_assert_int_eq(symlink("store", path), 0);
    snprintf(path, sizeof path, "%s/store/nowhere.jpg", folder);
    ck_assert_int_eq(symlink("missing", path), 0);
    open_set(&set, toml_of("image_folder", ""));
    ck_assert_int_eq(set.vtable->count(set.self), 2);
    ck_assert_int_eq(set.vtable->n_classes(set.self), 2);
    close_set(&set);
    snprintf(path, sizeof path, "%s/store/circle", folder);
    ck_assert_int_eq(symlink("..", path), 0);
    ck_assert_int_eq(refused(toml_of("image_folder", ""), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "circle"));
    remove_folder();
}
END_TEST

START_TEST(folders_without_images_say_what_was_looked_for)
{
    wisp_error err;
    make_folder();
    ck_assert_int_eq(refused(toml_of("image_folder", ""), &err), WISP_E_DATA);
    write_text("a/b.gif", "no");
    ck_assert_int_eq(refused(toml_of("image_folder", ""), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, ".jpg, .jpeg or .png"));
    ck_assert_ptr_nonnull(strstr(err.message, "1 other file"));
    ck_assert_ptr_nonnull(strstr(err.message, folder));
    remove_folder();
    ck_assert_int_eq(refused(toml_of("image_folder", ""), &err), WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, folder));
    ck_assert_int_eq(refused("use = \"image_folder\"", &err), WISP_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "path"));
}
END_TEST

static void expect_bad_sample(const set_under_test *set, const char *words)
{
    sink s = EMPTY_SINK;
    wisp_error err = {0};
    wisp_sample sample = {.form = 77};
    ck_assert_int_eq(set->vtable->read(set->self, 0, &s.base, &sample, &err), WISP_E_DATA);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, "a.jpg") != NULL, "%s", err.message);
    ck_assert_int_eq(sample.form, 77);
    free(s.memory);
}

START_TEST(files_that_changed_are_bad_samples)
{
    char path[128];
    set_under_test set;
    make_folder();
    write_text("a.jpg", "12345678");
    open_set(&set, toml_of("image_folder", ""));
    write_text("a.jpg", "1234");
    expect_bad_sample(&set, "had 8 bytes when the run began and has fewer now");
    write_text("a.jpg", "123456789");
    expect_bad_sample(&set, "has more now");
    snprintf(path, sizeof path, "%s/a.jpg", folder);
    ck_assert_int_eq(unlink(path), 0);
    expect_bad_sample(&set, "cannot open");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_bad_sample(&set, "cannot read");
    close_set(&set);
    ck_assert_int_eq(rmdir(path), 0);
    write_text("a.jpg", "");
    open_set(&set, toml_of("image_folder", ""));
    expect_bad_sample(&set, "has 0 bytes");
    close_set(&set);
    remove_folder();
}
END_TEST

static uint64_t folder_print(void)
{
    set_under_test set;
    open_set(&set, toml_of("image_folder", ""));
    uint64_t print = set.vtable->fingerprint(set.self);
    close_set(&set);
    return print;
}

START_TEST(fingerprint_follows_names_and_sizes)
{
    uint64_t prints[4];
    make_folder();
    write_text("a/1.jpg", "one");
    write_text("b/2.jpg", "two");
    prints[0] = folder_print();
    write_text("a/1.jpg", "eno"); /* same size: not looked at */
    ck_assert_uint_eq(folder_print(), prints[0]);
    write_text("a/1.jpg", "once");
    prints[1] = folder_print();
    write_text("a/3.jpg", "x");
    prints[2] = folder_print();
    write_text("a0/nothing", "x"); /* shifts the labels */
    prints[3] = folder_print();
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            ck_assert_uint_ne(prints[i], prints[j]);
    remove_folder();
}
END_TEST

START_TEST(small_folder_decodes)
{
    set_under_test set;
    sink s = EMPTY_SINK;
    wispi_decoder *decoder = NULL;
    wisp_error err = {0};
    open_set(&set, "use = \"image_folder\"\npath = \"tests/data/image_folder\"");
    ck_assert_int_eq(wispi_decoder_create(&decoder, &err), WISP_OK);
    ck_assert_int_eq(set.vtable->count(set.self), 24);
    for (int64_t i = 0; i < 24; i++) {
        wispi_image image;
        wisp_sample sample = read_one(&set, i, &s);
        ck_assert_msg(wispi_decode(decoder, sample.data, sample.bytes, &image, &err) == WISP_OK,
                      "%s", err.message);
        ck_assert_int_eq(set.vtable->label(set.self, i), i / 12);
    }
    wispi_decoder_destroy(decoder);
    free(s.memory);
    close_set(&set);
}
END_TEST

/* Every allocation of a listing fails once. */
START_TEST(listing_survives_any_failing_allocation)
{
    make_tree();
    check_failing_allocations(toml_of("image_folder", ""));
    remove_folder();
}
END_TEST

/* --- cifar10 --- */

enum { RECORD = 3073 };

static void write_records(const char *name, int n, int seed)
{
    uint8_t *data = malloc((size_t)n * RECORD);
    for (int i = 0; i < n * RECORD; i++)
        data[i] = (uint8_t)(i % RECORD ? i * 7 + seed : (i / RECORD + seed) % 10);
    write_bytes(name, data, (size_t)n * RECORD);
    free(data);
}

static void make_cifar(void)
{
    make_folder();
    for (int i = 1; i <= 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        write_records(name, i, i);
    }
    write_records("test_batch.bin", 3, 9);
    write_text("batches.meta.txt", "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\n"
                                   "truck\n\n");
}

START_TEST(records_become_pictures)
{
    set_under_test set;
    sink s = EMPTY_SINK;
    char name[64];
    make_cifar();
    open_set(&set, toml_of("cifar10", ""));
    ck_assert_int_eq(set.vtable->count(set.self), 15);
    ck_assert_int_eq(set.vtable->n_classes(set.self), 10);
    ck_assert_str_eq(set.vtable->class_name(set.self, 9), "truck");
    ck_assert_ptr_null(set.vtable->class_name(set.self, 10));
    /* Image 4 is the second of the third file, the planes of which go on from its first. */
    ck_assert_int_eq(set.vtable->label(set.self, 4), (1 + 3) % 10);
    set.vtable->sample_name(set.self, 4, name, sizeof name);
    ck_assert_str_eq(name, "data_batch_3.bin image 1");
    set.vtable->sample_name(set.self, 14, name, sizeof name);
    ck_assert_str_eq(name, "data_batch_5.bin image 4");
    wisp_sample sample = read_one(&set, 4, &s);
    ck_assert_int_eq(sample.form, WISP_SAMPLE_RGB8);
    ck_assert_uint_eq(sample.bytes, 3072);
    for (int i = 0; i < 1024; i++)
        for (int c = 0; c < 3; c++)
            ck_assert_uint_eq(sample.data[3 * i + c],
                              (uint8_t)((RECORD + 1 + c * 1024 + i) * 7 + 3));
    free(s.memory);
    uint64_t print = set.vtable->fingerprint(set.self);
    close_set(&set);
    open_set(&set, toml_of("cifar10", "split = \"test\""));
    ck_assert_int_eq(set.vtable->count(set.self), 3);
    ck_assert_uint_ne(set.vtable->fingerprint(set.self), print);
    close_set(&set);
    write_records("data_batch_5.bin", 5, 6);
    open_set(&set, toml_of("cifar10", ""));
    ck_assert_uint_ne(set.vtable->fingerprint(set.self), print);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(wrong_files_are_refused_by_name)
{
    wisp_error err;
    char path[128];
    uint8_t record[RECORD] = {10};
    make_cifar();
    write_text("data_batch_2.bin", "<html>not found</html>");
    ck_assert_int_eq(refused(toml_of("cifar10", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "data_batch_2.bin\" has 22 bytes"));
    ck_assert_ptr_nonnull(strstr(err.message, "30730000"));
    write_text("data_batch_2.bin", "");
    ck_assert_int_eq(refused(toml_of("cifar10", ""), &err), WISP_E_CORRUPT);
    write_bytes("data_batch_2.bin", record, sizeof record);
    ck_assert_int_eq(refused(toml_of("cifar10", ""), &err), WISP_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "data_batch_2.bin: image 0 has label 10"));
    snprintf(path, sizeof path, "%s/data_batch_2.bin", folder);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(refused(toml_of("cifar10", ""), &err), WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "data_batch_2.bin"));
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(refused(toml_of("cifar10", ""), &err), WISP_E_CORRUPT);
    remove_folder();
}
END_TEST

START_TEST(names_are_a_convenience)
{
    set_under_test set;
    char path[128], names[6000];
    make_cifar();
    snprintf(path, sizeof path, "%s/batches.meta.txt", folder);
    ck_assert_int_eq(unlink(path), 0);
    open_set(&set, toml_of("cifar10", ""));
    ck_assert_str_eq(set.vtable->class_name(set.self, 3), "3");
    close_set(&set);
    memset(names, 'x', sizeof names);
    write_bytes("batches.meta.txt", names, sizeof names);
    open_set(&set, toml_of("cifar10", ""));
    ck_assert_uint_eq(strlen(set.vtable->class_name(set.self, 0)), 63);
    ck_assert_str_eq(set.vtable->class_name(set.self, 1), "1");
    close_set(&set);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("datasets");
    TCase *tests = tcase_create("datasets");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, mean_colour_says_nothing_about_the_class);
    tcase_add_test(tests, splits_and_seeds_share_no_picture);
    tcase_add_test(tests, class_names_are_distinct);
    tcase_add_test(tests, strengths_and_sizes_are_obeyed);
    tcase_add_test(tests, fingerprints_tell_sets_apart);
    tcase_add_test(tests, folders_are_classes);
    tcase_add_test(tests, labels_can_be_left_out);
    tcase_add_test(tests, flat_folders_have_no_labels);
    tcase_add_test(tests, one_class_is_told);
    tcase_add_test(tests, links_are_followed_but_not_in_circles);
    tcase_add_test(tests, folders_without_images_say_what_was_looked_for);
    tcase_add_test(tests, files_that_changed_are_bad_samples);
    tcase_add_test(tests, fingerprint_follows_names_and_sizes);
    tcase_add_test(tests, small_folder_decodes);
    tcase_add_test(tests, listing_survives_any_failing_allocation);
    tcase_add_test(tests, records_become_pictures);
    tcase_add_test(tests, wrong_files_are_refused_by_name);
    tcase_add_test(tests, names_are_a_convenience);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
