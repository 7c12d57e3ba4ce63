/* test_checkpoint.c - safetensors files against the safetensors package's own, damage of every
 * byte, headers that lie, and want of memory at every allocation; checkpoints that fall back. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "model_fixture.h"
#include "train/checkpoint.h"
#include "train/safetensors.h"

static char folder[64], path[128];

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/wisp-checkpoint-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/checkpoints", folder);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%s/file.safetensors", folder);
    wispi_log_set_level(WISP_LOG_ERROR);
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* --- want of memory, in wisp and in jansson --- */

static int64_t allocations_left = -1;

static void *scarce_malloc(size_t bytes)
{
    if (allocations_left == 0)
        return NULL;
    if (allocations_left > 0)
        allocations_left--;
    return malloc(bytes);
}

/* After `nth` more allocations of one of the two the next one fails; of jansson, all that follow.
 */
static void make_scarce(int jansson, int64_t nth)
{
    allocations_left = jansson ? nth : -1;
    wispi_fail_allocation(jansson ? -1 : nth + 1);
}

static void make_plenty(void)
{
    allocations_left = -1;
    wispi_fail_allocation(-1);
}

/* --- a file of our own --- */

static const float weights[6] = {1, -2, 3.5f, 1e-30f, -0.0f, 4};
static const int64_t numbers[2] = {-1, (int64_t)1 << 40};
static const uint16_t halves[3] = {0x3f80, 0xc020, 0x7f80};

static const wispi_stored_tensor own_tensors[] = {
    {"net.weight", {WISP_F32, 2, {2, 3}}, weights}, {"none", {WISP_F32, 2, {0, 7}}, weights},
    {"numbers", {WISP_I64, 1, {2}}, numbers},       {"\"\\\n\xc3\xbc", {WISP_BF16, 1, {3}}, halves},
    {"scalar", {WISP_F32, 0, {0}}, weights + 2},
};
static const wispi_stored_text own_texts[] = {{"format", "a \"text\"\\\n\t\xe2\x82\xac"},
                                              {"\"key\"", "{\"step\": 1}"}};
enum {
    N_TENSORS = sizeof own_tensors / sizeof own_tensors[0],
    N_TEXTS = sizeof own_texts / sizeof own_texts[0]
};

static wisp_status write_own(wisp_error *err)
{
    return wispi_safetensors_write(path, own_tensors, N_TENSORS, own_texts, N_TEXTS, err);
}

static wisp_status open_file(int require_hash, wisp_error *err)
{
    wispi_safetensors *file = NULL;
    wisp_status status = wispi_safetensors_open(path, require_hash, &file, err);
    ck_assert_int_eq(file != NULL, status == WISP_OK);
    wispi_safetensors_close(file);
    return status;
}

static void put_file(const void *data, size_t n)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, n, file), n);
    ck_assert_int_eq(fclose(file), 0);
}

static void check_own(const wispi_safetensors *file)
{
    ck_assert_int_eq(wispi_safetensors_count(file), N_TENSORS);
    for (int i = 0; i < N_TENSORS; i++) {
        const wispi_stored_tensor *want = &own_tensors[i];
        const wispi_stored_tensor *got = wispi_safetensors_find(file, want->name);
        ck_assert_msg(got != NULL, "%s is missing", want->name);
        ck_assert_mem_eq(&got->desc, &want->desc, sizeof want->desc);
        ck_assert_mem_eq(got->data, want->data, (size_t)wisp_desc_bytes(&want->desc));
    }
    for (int i = 0; i < N_TEXTS; i++)
        ck_assert_str_eq(wispi_safetensors_text(file, own_texts[i].key), own_texts[i].value);
    ck_assert_ptr_null(wispi_safetensors_find(file, "net"));
    ck_assert_ptr_null(wispi_safetensors_text(file, "key"));
    ck_assert_ptr_null(wispi_safetensors_at(file, N_TENSORS));
    ck_assert_ptr_null(wispi_safetensors_at(file, -1));
}

START_TEST(what_is_written_is_read)
{
    wispi_safetensors *file = NULL;
    wisp_error err = {0};
    begin();
    ck_assert_int_eq(write_own(&err), WISP_OK);
    ck_assert_int_eq(wispi_safetensors_open(path, 1, &file, &err), WISP_OK);
    check_own(file);
    wispi_safetensors_close(file);
    end();
}
END_TEST

/* Every single bit of every byte, every length that is too short, and one that is too long. */
START_TEST(damage_is_noticed)
{
    wisp_error err = {0};
    uint8_t *data = NULL;
    size_t n = 0;
    begin();
    ck_assert_int_eq(write_own(&err), WISP_OK);
    ck_assert_int_eq(wispi_file_read(path, 1 << 20, &data, &n, &err), WISP_OK);
    for (size_t i = 0; i < n; i++) {
        data[i] ^= (uint8_t)(1 << i % 8);
        put_file(data, n);
        ck_assert_msg(open_file(1, &err) == WISP_E_CORRUPT, "byte %zu altered: it is read", i);
        ck_assert_msg(strstr(err.message, path) != NULL, "not named: %s", err.message);
        data[i] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t i = 0; i < n; i++) {
        put_file(data, i);
        ck_assert_msg(open_file(1, &err) == WISP_E_CORRUPT, "cut at %zu: it is read", i);
    }
    put_file(data, n + 1);
    ck_assert_int_eq(open_file(1, &err), WISP_E_CORRUPT);
    put_file(data, n);
    ck_assert_int_eq(open_file(1, &err), WISP_OK);
    wispi_free(data);
    end();
}
END_TEST

/* --- files of others --- */

static const void *data_of(const wispi_safetensors *file, const char *name, int32_t dtype,
                           int32_t rank, int64_t count)
{
    const wispi_stored_tensor *t = wispi_safetensors_find(file, name);
    ck_assert_msg(t != NULL, "%s is missing", name);
    ck_assert_int_eq(t->desc.dtype, dtype);
    ck_assert_int_eq(t->desc.rank, rank);
    ck_assert_int_eq(wisp_desc_count(&t->desc), count);
    return t->data;
}

/* tests/golden/make_safetensors_golden.py says what is in it. */
START_TEST(a_file_of_the_safetensors_package_is_read)
{
    static const char by_python[] = "tests/golden/train/by_python.safetensors";
    static const uint16_t bf16[] = {0x3f80, 0xc020, 0x3c00};
    static const int32_t i32[] = {-1, 2147483647};
    static const int64_t i64[] = {-((int64_t)1 << 40), 7};
    static const uint8_t u8[] = {0, 127, 255};
    static const float scalar = 3.25f, one = 1;
    wispi_safetensors *file = NULL;
    wisp_error err = {0};
    float f32[12];
    for (int i = 0; i < 12; i++)
        f32[i] = (float)i / 8 - 0.5f;
    ck_assert_msg(wispi_safetensors_open(by_python, 0, &file, &err) == WISP_OK, "%s", err.message);
    ck_assert_int_eq(wispi_safetensors_count(file), 8);
    ck_assert_mem_eq(data_of(file, "f32", WISP_F32, 2, 12), f32, sizeof f32);
    ck_assert_mem_eq(data_of(file, "bf16", WISP_BF16, 1, 3), bf16, sizeof bf16);
    ck_assert_mem_eq(data_of(file, "i32", WISP_I32, 2, 2), i32, sizeof i32);
    ck_assert_mem_eq(data_of(file, "i64", WISP_I64, 1, 2), i64, sizeof i64);
    ck_assert_mem_eq(data_of(file, "u8", WISP_U8, 1, 3), u8, sizeof u8);
    ck_assert_mem_eq(data_of(file, "scalar", WISP_F32, 0, 1), &scalar, sizeof scalar);
    data_of(file, "none", WISP_F32, 2, 0);
    ck_assert_mem_eq(data_of(file, "quoted \"\\ \xc3\xbc/\n", WISP_F32, 4, 1), &one, sizeof one);
    ck_assert_str_eq(wispi_safetensors_text(file, "format"), "pt");
    ck_assert_str_eq(wispi_safetensors_text(file, "key \"\\"), "line\nother \xe2\x82\xac");
    wispi_safetensors_close(file);
    ck_assert_int_eq(wispi_safetensors_open(by_python, 1, &file, &err), WISP_E_CORRUPT);
    ck_assert_msg(strstr(err.message, "no hash") != NULL, "%s", err.message);
}
END_TEST

/* Headers that lie, with 8 bytes of data behind them. */
static const char *const lies[] = {
    "",
    "{",
    "[]",
    "null",
    "{}",
    "{\"__metadata__\":{}}",
    "{\"a\":1}",
    "{\"a\":{}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}",
    "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}",
    "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2,-1],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":{}}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0.0,8.0]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9223372036854775807]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9223372036854775808]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648,2],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1,1,8],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} x",
    "{\"a\\u0000\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
    "{\"\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"__metadata__\":{\"wisp.hash\":\"0123456789abcdef\"}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"__metadata__\":{\"wisp.hash\":\"short\"}}",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"__metadata__\":{\"wisp.hash\":\"\\u0030123456789abcdef\"}}",
};

static void put_header(const char *header, uint64_t length)
{
    uint8_t data[1024] = {0};
    size_t n = strlen(header);
    ck_assert_uint_lt(n, sizeof data - 16);
    for (int i = 0; i < 8; i++)
        data[i] = (uint8_t)(length >> (8 * i));
    memcpy(data + 8, header, n);
    put_file(data, 8 + n + 8);
}

START_TEST(headers_that_lie_are_refused)
{
    static const char truth[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    static const uint64_t lengths[] = {0,
                                       1,
                                       sizeof truth - 2,
                                       sizeof truth,
                                       sizeof truth + 8,
                                       (uint64_t)1 << 31,
                                       UINT64_MAX,
                                       INT64_MAX,
                                       UINT64_MAX - 7,
                                       (uint64_t)1 << 63};
    wisp_error err = {0};
    begin();
    put_header(truth, sizeof truth - 1);
    ck_assert_msg(open_file(0, &err) == WISP_OK, "%s", err.message);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        put_header(truth, lengths[i]);
        ck_assert_msg(open_file(0, &err) == WISP_E_CORRUPT, "length %zu is believed", i);
    }
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        memset(&err, 0, sizeof err);
        put_header(lies[i], strlen(lies[i]));
        ck_assert_msg(open_file(0, &err) == WISP_E_CORRUPT, "this is believed: %s", lies[i]);
        ck_assert_msg(strstr(err.message, path) && !strstr(err.message, ": :"), "not told: %s",
                      err.message);
    }
    end();
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    wisp_error err = {0};
    begin();
    ck_assert_int_eq(open_file(0, &err), WISP_E_NOT_FOUND);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(open_file(0, &err), WISP_E_CORRUPT);
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(open_file(0, &err), WISP_E_CORRUPT);
    wispi_safetensors *file = NULL;
    char long_name[5000];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_assert_int_eq(wispi_safetensors_open(long_name, 0, &file, &err), WISP_E_INVALID);
    end();
}
END_TEST

START_TEST(without_memory_nothing_is_lost)
{
    wisp_error err = {0};
    begin();
    for (int jansson = 0; jansson < 2; jansson++) {
        const char *what = jansson ? "jansson" : "wisp";
        ck_assert_int_eq(write_own(&err), WISP_OK);
        int64_t live = wispi_live_blocks(), nth = 0;
        wisp_status status = WISP_E_NOMEM;
        for (; status != WISP_OK; nth++) {
            make_scarce(jansson, nth);
            status = write_own(&err);
            make_plenty();
            ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "%s, write, %lld: %s", what,
                          (long long)nth, err.message);
            ck_assert_int_eq(wispi_live_blocks(), live);
            ck_assert_int_eq(open_file(1, &err), WISP_OK);
        }
        ck_assert_int_gt(nth, 2);
        status = WISP_E_NOMEM;
        for (nth = 0; status != WISP_OK; nth++) {
            make_scarce(jansson, nth);
            status = open_file(1, &err);
            make_plenty();
            ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "%s, open, %lld: %s", what,
                          (long long)nth, err.message);
            ck_assert_int_eq(wispi_live_blocks(), live);
        }
        ck_assert_int_gt(nth, 2);
    }
    end();
}
END_TEST

/* --- checkpoints --- */

static void build(fixture *f, int64_t width)
{
    const wisp_linear_desc linear = {.in = 3, .out = width, .bias = 1};
    fixture_open(f, 1);
    wisp_linear_layer(f->b, wisp_network(f->b, "net"), "fc", &linear);
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
}

static void set_weight(fixture *f, double value)
{
    const double values[6] = {value, 2, 3, 4, 5, 6};
    fixture_write(f, fixture_variable(f, "net.fc.weight"), values, 6);
}

static wisp_status save(fixture *f, int64_t step, double value)
{
    wispi_checkpoint_facts facts = {.step = step, .best = NAN, .fingerprint = UINT64_MAX};
    snprintf(facts.position.events_name, sizeof facts.position.events_name, "events");
    set_weight(f, value);
    return wispi_checkpoint_advance(folder, f->model, &facts, &f->err);
}

/* The step from which the run goes on; -1 when it does not: f->err.code says why. */
static int64_t resume(fixture *f)
{
    wispi_checkpoint_facts facts = {.step = -1};
    set_weight(f, 77);
    wisp_status status = wispi_checkpoint_resume(folder, f->model, &facts, &f->err);
    free(facts.results);
    if (status != WISP_OK) {
        ck_assert_int_eq(facts.step, -1);
        ck_assert_double_eq(fixture_first(f, "net.fc.weight"), 77);
        ck_assert_int_eq(f->err.code, status);
        return -1;
    }
    ck_assert(isnan(facts.best));
    ck_assert_uint_eq(facts.fingerprint, UINT64_MAX);
    ck_assert_double_eq(fixture_first(f, "net.fc.weight"), (double)facts.step);
    return facts.step;
}

static const char *checkpoint_named(const char *name)
{
    static char text[128];
    snprintf(text, sizeof text, "%s/checkpoints/%s.safetensors", folder, name);
    return text;
}

static int there(const char *name)
{
    return access(checkpoint_named(name), F_OK) == 0;
}

static void cut(const char *name)
{
    ck_assert_int_eq(truncate(checkpoint_named(name), 100), 0);
}

START_TEST(the_checkpoint_before_is_used)
{
    fixture f;
    begin();
    build(&f, 2);
    ck_assert_int_eq(resume(&f), -1);
    ck_assert_int_eq(f.err.code, WISP_E_NOT_FOUND);
    FIXTURE_OK(&f, save(&f, 1, 1));
    ck_assert(!there("previous"));
    FIXTURE_OK(&f, save(&f, 2, 2));
    ck_assert_int_eq(resume(&f), 2);
    cut("last");
    ck_assert_int_eq(resume(&f), 1);
    ck_assert(there("refused") && there("previous") && !there("last"));
    ck_assert_int_eq(resume(&f), 1); /* the previous one alone */
    FIXTURE_OK(&f, save(&f, 3, 3));
    ck_assert(there("last") && there("previous"));
    cut("last");
    ck_assert_int_eq(resume(&f), 1);
    FIXTURE_OK(&f, save(&f, 4, 4));
    FIXTURE_OK(&f, save(&f, 5, 5));
    cut("last");
    cut("previous");
    ck_assert_int_eq(resume(&f), -1);
    ck_assert_int_eq(f.err.code, WISP_E_CORRUPT);
    ck_assert(there("last") && there("previous"));
    ck_assert(strstr(f.err.message, "last.safetensors") != NULL);
    ck_assert(strstr(f.err.message, "previous.safetensors") != NULL);
    fixture_close(&f);
    end();
}
END_TEST

START_TEST(another_model_refuses_it)
{
    fixture f, other;
    begin();
    build(&f, 2);
    FIXTURE_OK(&f, save(&f, 1, 1));
    build(&other, 3);
    wispi_checkpoint_facts facts = {0};
    ck_assert_int_eq(wispi_checkpoint_resume(folder, other.model, &facts, &other.err),
                     WISP_E_CORRUPT);
    ck_assert_msg(strstr(other.err.message, "another configuration") != NULL, "%s",
                  other.err.message);
    ck_assert(there("last") && !there("refused"));
    fixture_close(&other);
    fixture_close(&f);
    end();
}
END_TEST

START_TEST(weights_that_are_not_finite_are_not_kept)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    fixture f;
    begin();
    build(&f, 2);
    FIXTURE_OK(&f, save(&f, 1, 1));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(save(&f, 2, bad[i]), WISP_E_NONFINITE);
        ck_assert_msg(strstr(f.err.message, "net.fc.weight is not finite") != NULL, "%s",
                      f.err.message);
        ck_assert_int_eq(resume(&f), 1);
        ck_assert(!there("previous") && !there("next"));
    }
    fixture_close(&f);
    end();
}
END_TEST

/* Whatever fails for want of memory, the last checkpoint is whole and stays the last. */
START_TEST(without_memory_the_checkpoint_stays)
{
    fixture f;
    begin();
    build(&f, 2);
    for (int jansson = 0; jansson < 2; jansson++) {
        FIXTURE_OK(&f, save(&f, 1, 1));
        wisp_status status = WISP_E_NOMEM;
        int64_t nth = 0;
        for (; status != WISP_OK; nth++) {
            make_scarce(jansson, nth);
            status = save(&f, 2, 2);
            make_plenty();
            ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "%s", f.err.message);
            ck_assert_int_eq(resume(&f), status == WISP_OK ? 2 : 1);
        }
        ck_assert_int_gt(nth, 2);
        int64_t step = -1;
        for (nth = 0; step < 0; nth++) {
            make_scarce(jansson, nth);
            step = resume(&f);
            make_plenty();
            ck_assert_msg(step == 2 || f.err.code == WISP_E_NOMEM, "%s", f.err.message);
            ck_assert(!there("refused"));
        }
        ck_assert_int_gt(nth, 2);
    }
    fixture_close(&f);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *files = tcase_create("safetensors"), *checkpoints = tcase_create("checkpoints");
    json_set_alloc_funcs(scarce_malloc, free);
    tcase_add_test(files, what_is_written_is_read);
    tcase_add_test(files, damage_is_noticed);
    tcase_add_test(files, a_file_of_the_safetensors_package_is_read);
    tcase_add_test(files, headers_that_lie_are_refused);
    tcase_add_test(files, what_is_no_file_is_refused);
    tcase_add_test(files, without_memory_nothing_is_lost);
    tcase_add_test(checkpoints, the_checkpoint_before_is_used);
    tcase_add_test(checkpoints, another_model_refuses_it);
    tcase_add_test(checkpoints, weights_that_are_not_finite_are_not_kept);
    tcase_add_test(checkpoints, without_memory_the_checkpoint_stays);
    tcase_set_timeout(files, 60);
    tcase_set_timeout(checkpoints, 60);
    suite_add_tcase(suite, files);
    suite_add_tcase(suite, checkpoints);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
