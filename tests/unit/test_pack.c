/* test_pack.c - packing: pictures made smaller against Pillow's
 * (tests/golden/make_recode_golden.py), the file whatever the number of threads, broken samples,
 * being stopped, running out of memory. */
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "data/pack.h"
#include "dataset_fixture.h"
#include "image/decode.h"
#include "image/encode_jpeg.h"
#include "image_golden.h"

/* --- pictures made smaller --- */

static wisp_sample raw_sample(uint8_t *rgb, uint32_t width, uint32_t height)
{
    return (wisp_sample){.form = WISP_SAMPLE_RGB8,
                         .width = (int32_t)width,
                         .height = (int32_t)height,
                         .data = rgb,
                         .bytes = (size_t)width * height * 3};
}

START_TEST(smaller_pictures_are_those_of_pillow)
{
    FILE *golden = fopen("tests/golden/recode.txt", "r");
    uint32_t seed, w, h, out_w, out_h;
    int short_side, quality, n = 0;
    unsigned long long hash;
    wispi_recoder *recoder = NULL;
    wispi_decoder *decoder = NULL;
    ck_assert_ptr_nonnull(golden);
    ck_assert_int_eq(wispi_recoder_create(&recoder, NULL), WISP_OK);
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    while (fscanf(golden, "%u %u %u %d %d %u %u %llx", &seed, &w, &h, &short_side, &quality, &out_w,
                  &out_h, &hash) == 8) {
        const wispi_recode_request request = {short_side, quality, 0};
        uint8_t *rgb = image_golden_picture(seed, w, h);
        const wisp_sample sample = raw_sample(rgb, w, h);
        const uint8_t *file = NULL;
        size_t bytes = 0;
        wispi_image image;
        ck_assert_int_eq(wispi_recode(recoder, &sample, &request, &file, &bytes, NULL), WISP_OK);
        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(wispi_decode(decoder, file, bytes, &image, NULL), WISP_OK);
        ck_assert_int_eq(image.width, out_w);
        ck_assert_int_eq(image.height, out_h);
        ck_assert_uint_eq(wispi_hash64(image.pixels, (size_t)out_w * out_h * 3, 0), hash);
        free(rgb);
        n++;
    }
    ck_assert_int_eq(n, 9);
    wispi_decoder_destroy(decoder);
    wispi_recoder_destroy(recoder);
    fclose(golden);
}
END_TEST

/* JPEG of a drawn picture, in memory that the caller frees. */
static wisp_sample encoded_sample(uint32_t width, uint32_t height, int32_t orientation)
{
    wispi_jpeg_encoder *encoder = NULL;
    uint8_t *rgb = image_golden_picture(4, width, height);
    const wispi_image image = {rgb, (int32_t)width, (int32_t)height};
    const wispi_jpeg_request request = {90, orientation};
    const uint8_t *file = NULL;
    wisp_sample sample = {.form = WISP_SAMPLE_ENCODED};
    ck_assert_int_eq(wispi_jpeg_encoder_create(&encoder, NULL), WISP_OK);
    ck_assert_int_eq(wispi_encode_jpeg(encoder, &image, &request, &file, &sample.bytes, NULL), 0);
    sample.data = malloc(sample.bytes);
    memcpy(sample.data, file, sample.bytes);
    wispi_jpeg_encoder_destroy(encoder);
    free(rgb);
    return sample;
}

START_TEST(what_is_not_larger_stays_as_it_is)
{
    wispi_recoder *recoder = NULL;
    const uint8_t *file;
    size_t bytes;
    wisp_sample sample = encoded_sample(40, 30, 1);
    ck_assert_int_eq(wispi_recoder_create(&recoder, NULL), WISP_OK);
    const wispi_recode_request keep = {0, 95, 0}, equal = {30, 95, 0}, smaller = {29, 95, 0};
    ck_assert_int_eq(wispi_recode(recoder, &sample, &keep, &file, &bytes, NULL), WISP_OK);
    ck_assert_ptr_null(file);
    ck_assert_int_eq(wispi_recode(recoder, &sample, &equal, &file, &bytes, NULL), WISP_OK);
    ck_assert_ptr_null(file);
    ck_assert_int_eq(wispi_recode(recoder, &sample, &smaller, &file, &bytes, NULL), WISP_OK);
    ck_assert_ptr_nonnull(file);
    /* A file without its end is broken, unless nobody looks. */
    const wispi_recode_request blind = {0, 95, 1}, half_blind = {30, 95, 1};
    sample.bytes -= 2;
    ck_assert_int_eq(wispi_recode(recoder, &sample, &keep, &file, &bytes, NULL), WISP_E_DATA);
    ck_assert_int_eq(wispi_recode(recoder, &sample, &equal, &file, &bytes, NULL), WISP_E_DATA);
    ck_assert_int_eq(wispi_recode(recoder, &sample, &smaller, &file, &bytes, NULL), WISP_E_DATA);
    ck_assert_int_eq(wispi_recode(recoder, &sample, &blind, &file, &bytes, NULL), WISP_OK);
    ck_assert_int_eq(wispi_recode(recoder, &sample, &half_blind, &file, &bytes, NULL), WISP_OK);
    free(sample.data);
    wispi_recoder_destroy(recoder);
}
END_TEST

/* The pixels stay as they are stored; how they are to be turned is still said. */
START_TEST(orientation_is_kept)
{
    wispi_recoder *recoder = NULL;
    wispi_decoder *decoder = NULL;
    const wispi_recode_request request = {16, 95, 0};
    ck_assert_int_eq(wispi_recoder_create(&recoder, NULL), WISP_OK);
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    for (int32_t orientation = 1; orientation <= 8; orientation++) {
        wisp_sample sample = encoded_sample(60, 40, orientation);
        const uint8_t *file = NULL;
        size_t bytes = 0;
        wispi_picture stored, upright;
        ck_assert_int_eq(wispi_recode(recoder, &sample, &request, &file, &bytes, NULL), WISP_OK);
        ck_assert_int_eq(wispi_decode_open(decoder, file, bytes, 0, &stored, NULL), WISP_OK);
        ck_assert_int_eq(wispi_decode_open(decoder, file, bytes, 1, &upright, NULL), WISP_OK);
        ck_assert_int_eq(stored.width, 24);
        ck_assert_int_eq(stored.height, 16);
        ck_assert_int_eq(upright.width, orientation >= 5 ? 16 : 24);
        /* Byte 38 of the file: after the start, JFIF's 18 bytes and 18 of EXIF's. */
        ck_assert_uint_eq(file[3], 0xE0);
        ck_assert_int_eq(file[21] == 0xE1, orientation > 1);
        if (orientation > 1)
            ck_assert_int_eq(file[20 + 4 + 24], orientation);
        free(sample.data);
    }
    wispi_decoder_destroy(decoder);
    wispi_recoder_destroy(recoder);
}
END_TEST

/* --- a data set of everything --- */

/* Samples by index: a JPEG of 60 x 40, a raw picture, and those that are told here to be wrong. */
enum { BROKEN = -2, LIES = -3, FAILS = -4 };

typedef struct mixed {
    int64_t count;
    int32_t n_classes;
    int64_t wrong[2]; /* indices */
    int kind[2];      /* BROKEN, LIES, FAILS */
    wisp_sample jpeg;
    int64_t reads; /* of which the `stop_at`th sets `stop` */
    int64_t stop_at;
    volatile int stop;
} mixed;

static int64_t mixed_count(const void *self)
{
    return ((const mixed *)self)->count;
}

static int32_t mixed_classes(const void *self)
{
    return ((const mixed *)self)->n_classes;
}

static const char *mixed_class_name(const void *self, int32_t label)
{
    static const char *const names[] = {"even", "odd"};
    (void)self;
    return names[label];
}

static int32_t mixed_label(const void *self, int64_t index)
{
    (void)self;
    return (int32_t)(index % 2);
}

static void mixed_name(const void *self, int64_t index, char *text, size_t bytes)
{
    (void)self;
    snprintf(text, bytes, "sample/%lld", (long long)index);
}

static wisp_status mixed_read(const void *self, int64_t index, wisp_sample_sink *s,
                              wisp_sample *sample, wisp_error *err)
{
    const mixed *m = self;
    const int raw = index % 3 == 1;
    const size_t bytes = raw ? (size_t)(20 + index % 7) * 20 * 3 : m->jpeg.bytes;
    uint8_t *data = s->reserve(s, bytes);
    if (index == m->stop_at)
        ((mixed *)(uintptr_t)self)->stop = 1;
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory");
    for (size_t i = 0; raw && i < bytes; i++)
        data[i] = (uint8_t)(i * (size_t)index);
    if (!raw)
        memcpy(data, m->jpeg.data, bytes);
    *sample = (wisp_sample){.form = raw, .data = data, .bytes = bytes};
    if (raw)
        sample->width = 20, sample->height = (int32_t)(20 + index % 7);
    for (int i = 0; i < 2; i++) {
        if (m->wrong[i] != index)
            continue;
        if (m->kind[i] == FAILS)
            return wisp_fail(err, WISP_E_IO, "the disk is gone");
        if (m->kind[i] == LIES)
            sample->bytes++;
        else if (raw)
            return wisp_fail(err, WISP_E_DATA, "it does not want to");
        else
            memset(data, 0, bytes);
    }
    return WISP_OK;
}

static const wisp_dataset_v0 mixed_table = {.struct_size = sizeof mixed_table,
                                            .count = mixed_count,
                                            .n_classes = mixed_classes,
                                            .class_name = mixed_class_name,
                                            .label = mixed_label,
                                            .read = mixed_read,
                                            .sample_name = mixed_name};

static mixed make_mixed(int64_t count)
{
    return (mixed){.count = count,
                   .n_classes = 2,
                   .wrong = {-1, -1},
                   .stop_at = -1,
                   .jpeg = encoded_sample(60, 40, 1)};
}

static wisp_status pack_mixed(mixed *m, int32_t threads, int32_t short_side, int32_t skip,
                              wispi_pack_facts *facts, wisp_error *err)
{
    char path[128];
    wispi_pool *pool = wispi_pool_create(threads, NULL);
    ck_assert_ptr_nonnull(pool);
    snprintf(path, sizeof path, "%s/mixed.wisp", folder);
    const wispi_pack_request request = {.dataset = &mixed_table,
                                        .dataset_self = m,
                                        .recode = {short_side, 95, 0},
                                        .skip_broken = skip,
                                        .pool = pool,
                                        .stop = &m->stop};
    memset(err, 0, sizeof *err);
    const wisp_status status = wispi_pack(&request, path, facts, err);
    wispi_pool_destroy(pool);
    return status;
}

static int there_is_a_file(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/mixed.wisp", folder);
    return access(path, F_OK) == 0;
}

START_TEST(the_file_is_the_same_for_any_number_of_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    mixed m = make_mixed(301);
    wispi_pack_facts facts;
    wisp_error err;
    set_under_test set;
    sink s = EMPTY_SINK;
    uint64_t hashes[2] = {0, 0};
    char path[128];
    make_folder();
    snprintf(path, sizeof path, "%s/mixed.wisp", folder);
    for (size_t i = 0; i < WISP_COUNT(threads); i++)
        for (int smaller = 0; smaller < 2; smaller++) {
            uint64_t hash = 0;
            ck_assert_int_eq(pack_mixed(&m, threads[i], smaller ? 24 : 0, 0, &facts, &err), 0);
            ck_assert_int_eq(wispi_file_hash(path, &hash, NULL), WISP_OK);
            ck_assert(hashes[smaller] == 0 || hashes[smaller] == hash);
            hashes[smaller] = hash;
            ck_assert_int_eq(facts.file.count, 301);
            ck_assert_int_eq(facts.n_broken, 0);
            ck_assert_int_eq(facts.n_recoded, smaller ? 201 : 0);
        }
    ck_assert_uint_ne(hashes[0], hashes[1]);
    /* What is in it is the data set. */
    pack_mixed(&m, 2, 0, 0, &facts, &err);
    char toml[256], one[64], other[64];
    snprintf(toml, sizeof toml, "use = \"packed\"\npath = \"%s\"", path);
    open_set(&set, toml);
    ck_assert_int_eq(set.vtable->count(set.self), 301);
    ck_assert_uint_eq(set.vtable->fingerprint(set.self), facts.file.fingerprint);
    ck_assert_str_eq(set.vtable->class_name(set.self, 1), "odd");
    for (int64_t i = 0; i < 301; i++) {
        sink t = EMPTY_SINK;
        wisp_sample a = read_one(&set, i, &s), b = {0};
        ck_assert_int_eq(mixed_read(&m, i, &t.base, &b, NULL), WISP_OK);
        ck_assert(a.form == b.form && a.width == b.width && a.height == b.height);
        ck_assert_uint_eq(a.bytes, b.bytes);
        ck_assert_mem_eq(a.data, b.data, a.bytes);
        ck_assert_int_eq(set.vtable->label(set.self, i), i % 2);
        set.vtable->sample_name(set.self, i, one, sizeof one);
        mixed_name(NULL, i, other, sizeof other);
        ck_assert_str_eq(one, other);
        free(t.memory);
    }
    close_set(&set);
    free(s.memory);
    free(m.jpeg.data);
    remove_folder();
}
END_TEST

START_TEST(the_first_broken_sample_ends_it_or_all_are_left_out)
{
    mixed m = make_mixed(100);
    wispi_pack_facts facts;
    wisp_error err;
    make_folder();
    m.wrong[0] = 33; /* of two in one round, one JPEG and one raw: the first is told of */
    m.wrong[1] = 34;
    m.kind[0] = m.kind[1] = BROKEN;
    for (int32_t threads = 1; threads < 4; threads++) {
        ck_assert_int_eq(pack_mixed(&m, threads, 0, 0, &facts, &err), WISP_E_DATA);
        ck_assert_ptr_nonnull(strstr(err.message, "\"sample/33\" is broken: neither a JPEG"));
        ck_assert(!there_is_a_file());
    }
    memset(&logged, 0, sizeof logged);
    wispi_log_set_sink(log_sink, NULL);
    ck_assert_int_eq(pack_mixed(&m, 2, 0, 1, &facts, &err), WISP_OK);
    wispi_log_set_sink(NULL, NULL);
    ck_assert_ptr_nonnull(strstr(logged.text, "left out: \"sample/33\": neither"));
    ck_assert_ptr_nonnull(strstr(logged.text, "left out: \"sample/34\": it does not want to"));
    ck_assert_int_eq(facts.file.count, 98);
    ck_assert_int_eq(facts.n_broken, 2);
    free(m.jpeg.data);
    remove_folder();
}
END_TEST

START_TEST(what_concerns_more_than_a_sample_always_ends_it)
{
    mixed m = make_mixed(50);
    wispi_pack_facts facts;
    wisp_error err;
    make_folder();
    m.wrong[0] = 7;
    m.kind[0] = LIES;
    ck_assert_int_eq(pack_mixed(&m, 2, 0, 1, &facts, &err), WISP_E_PLUGIN);
    ck_assert_ptr_nonnull(
        strstr(err.message, "\"sample/7\": the data set gave sample 7 as form 1"));
    m.kind[0] = FAILS;
    ck_assert_int_eq(pack_mixed(&m, 2, 0, 1, &facts, &err), WISP_E_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "\"sample/7\": the disk is gone"));
    m.wrong[0] = -1;
    m.stop_at = 40;
    ck_assert_int_eq(pack_mixed(&m, 2, 0, 1, &facts, &err), WISP_E_STOPPED);
    m.stop = 0;
    m.stop_at = -1;
    m.count = 1;
    m.wrong[0] = 0;
    m.kind[0] = BROKEN;
    ck_assert_int_eq(pack_mixed(&m, 2, 0, 1, &facts, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "no sample is left"));
    m.n_classes = (1 << 24) + 1;
    ck_assert_int_eq(pack_mixed(&m, 2, 0, 1, &facts, &err), WISP_E_UNSUPPORTED);
    ck_assert(!there_is_a_file());
    free(m.jpeg.data);
    remove_folder();
}
END_TEST

START_TEST(packing_survives_any_failing_allocation)
{
    mixed m = make_mixed(40);
    make_folder();
    for (int32_t smaller = 0; smaller < 2; smaller++) {
        wisp_status status = WISP_E_NOMEM;
        char path[128];
        snprintf(path, sizeof path, "%s/mixed.wisp", folder);
        unlink(path);
        for (int64_t nth = 1; status != WISP_OK; nth++) {
            const wispi_pack_request request = {.dataset = &mixed_table,
                                                .dataset_self = &m,
                                                .recode = {smaller ? 16 : 0, 95, 0},
                                                .skip_broken = 1};
            wispi_pack_facts facts;
            wisp_error err = {0};
            const int64_t live = wispi_live_blocks();
            wispi_fail_allocation(nth);
            status = wispi_pack(&request, path, &facts, &err);
            wispi_fail_allocation(-1);
            ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "%lld: %s", (long long)nth,
                          err.message);
            ck_assert_int_eq(wispi_live_blocks(), live);
            ck_assert_int_eq(there_is_a_file(), status == WISP_OK);
            ck_assert_int_lt(nth, 50000);
        }
    }
    free(m.jpeg.data);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pack");
    TCase *tests = tcase_create("pack");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, smaller_pictures_are_those_of_pillow);
    tcase_add_test(tests, what_is_not_larger_stays_as_it_is);
    tcase_add_test(tests, orientation_is_kept);
    tcase_add_test(tests, the_file_is_the_same_for_any_number_of_threads);
    tcase_add_test(tests, the_first_broken_sample_ends_it_or_all_are_left_out);
    tcase_add_test(tests, what_concerns_more_than_a_sample_always_ends_it);
    tcase_add_test(tests, packing_survives_any_failing_allocation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
