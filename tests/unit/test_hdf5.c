/* test_hdf5.c - the data set hdf5: files that h5py has written (tests/golden/make_hdf5_golden.py),
 * files that are damaged, and a program that fails in every way. */
#include <fcntl.h>
#include <sys/wait.h>

#include "../../plugins/datasets/hdf5/layout_index.c"
#include "../../plugins/datasets/hdf5/layout_reader.c"
#include "base/memory.h"
#include "dataset_fixture.h"

static const char *toml_at(const char *file, const char *rest)
{
    static char toml[512];
    snprintf(toml, sizeof toml, "use = \"hdf5\"\npath = \"tests/data/hdf5/%s\"\n%s", file, rest);
    return toml;
}

static const char *toml_in_folder(const char *file)
{
    static char toml[512];
    snprintf(toml, sizeof toml, "use = \"hdf5\"\npath = \"%s/%s\"\n", folder, file);
    return toml;
}

static size_t read_whole(const char *path, uint8_t *data, size_t most)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    const size_t n = fread(data, 1, most, file);
    ck_assert_uint_lt(n, most);
    fclose(file);
    return n;
}

/* --- files that are as they should be --- */

/* The images came from files, the bytes of which are the oracle. */
START_TEST(images_are_the_files_that_h5py_was_given)
{
    static const char *const kinds[] = {"disc", "stripes"};
    static const char *const files[] = {"00.jpg",  "01.png",  "02.JPEG", "03.jpg",
                                        "04.png",  "05.JPEG", "06.jpg",  "07.png",
                                        "08.JPEG", "09.jpg",  "10.png",  "more/11.JPEG"};
    set_under_test set;
    sink s = EMPTY_SINK;
    open_set(&set, toml_at("images.h5", ""));
    ck_assert_int_eq(set.vtable->count(set.self), 24);
    ck_assert_int_eq(set.vtable->n_classes(set.self), 2);
    ck_assert_ptr_null(set.vtable->class_name(set.self, 2));
    for (int i = 0; i < 24; i++) {
        char path[128], name[64], expected[64];
        uint8_t bytes[4096];
        const char *kind = kinds[i / 12], *file = files[i % 12], *slash = strrchr(file, '/');
        snprintf(path, sizeof path, "tests/data/image_folder/%s/%s", kind, file);
        snprintf(expected, sizeof expected, "%s/%s", kind, slash ? slash + 1 : file);
        const size_t n = read_whole(path, bytes, sizeof bytes);
        const wisp_sample sample = read_one(&set, i, &s);
        ck_assert_int_eq(sample.form, WISP_SAMPLE_ENCODED);
        ck_assert_uint_eq(sample.bytes, n);
        ck_assert_mem_eq(sample.data, bytes, n);
        ck_assert_int_eq(set.vtable->label(set.self, i), i / 12);
        ck_assert_str_eq(set.vtable->class_name(set.self, i / 12), kind);
        set.vtable->sample_name(set.self, i, name, sizeof name);
        ck_assert_str_eq(name, expected);
    }
    s.refuses = 1;
    wisp_error err = {0};
    wisp_sample sample;
    ck_assert_int_eq(set.vtable->read(set.self, 0, &s.base, &sample, &err), WISP_E_NOMEM);
    free(s.memory);
    close_set(&set);
}
END_TEST

/* Groups of the newer kind, a foreign block in front, int8 and opaque values, links of every kind:
 * names in the order of their bytes, classes that are empty among them. */
START_TEST(unusual_files_are_read_the_same)
{
    static const struct {
        const char *name, *bytes;
        size_t n;
        int label;
    } expected[] = {
        {"ant/0", "ant 0", 5, 0},
        {"ant/1", "ant 1", 5, 0},
        {"ant/10", "ant 10", 6, 0},
        {"ant/11", "ant 11", 6, 0},
        {"ant/2", "ant 2", 5, 0},
        {"ant/3", "ant 3", 5, 0},
        {"ant/4", "ant 4", 5, 0},
        {"ant/5", "ant 5", 5, 0},
        {"ant/6", "ant 6", 5, 0},
        {"ant/7", "ant 7", 5, 0},
        {"ant/8", "ant 8", 5, 0},
        {"ant/9", "ant 9", 5, 0},
        {"ant/hard", "opaque\0bytes\0", 13, 0},
        {"ant/soft", "four", 4, 0},
        {"linked/a", "opaque\0bytes\0", 13, 2},
        {"linked/b", "four", 4, 2},
        {"linked/empty", "", 0, 2},
        {"linked/never_written", "", 0, 2},
        {"zebra/a", "opaque\0bytes\0", 13, 3},
        {"zebra/b", "four", 4, 3},
        {"zebra/empty", "", 0, 3},
        {"zebra/never_written", "", 0, 3},
        {"\xc3\xa9t\xc3\xa9/\xe5\x86\x99\xe7\x9c\x9f", "four", 4, 4},
    };
    set_under_test set;
    sink s = EMPTY_SINK;
    memset(&logged, 0, sizeof logged);
    wispi_log_set_sink(log_sink, NULL);
    open_set(&set, toml_at("unusual.h5", ""));
    wispi_log_set_sink(NULL, NULL);
    ck_assert_msg(strstr(logged.text, "1 of 5 groups without an image") != NULL, "%s", logged.text);
    ck_assert_msg(strstr(logged.text, "holds 5 things that are passed over") != NULL, "%s",
                  logged.text);
    ck_assert_int_eq(set.vtable->n_classes(set.self), 5);
    ck_assert_str_eq(set.vtable->class_name(set.self, 1), "empty group");
    ck_assert_int_eq(set.vtable->count(set.self), (int)WISP_COUNT(expected));
    for (int i = 0; i < (int)WISP_COUNT(expected); i++) {
        char name[64];
        wisp_error err = {0};
        wisp_sample sample = {0};
        set.vtable->sample_name(set.self, i, name, sizeof name);
        ck_assert_str_eq(name, expected[i].name);
        ck_assert_int_eq(set.vtable->label(set.self, i), expected[i].label);
        const wisp_status status = set.vtable->read(set.self, i, &s.base, &sample, &err);
        if (expected[i].n == 0) {
            ck_assert_int_eq(status, WISP_E_DATA);
            ck_assert_ptr_nonnull(strstr(err.message, "has 0 bytes"));
            ck_assert_ptr_nonnull(strstr(err.message, expected[i].name));
            continue;
        }
        ck_assert_msg(status == WISP_OK, "%s", err.message);
        ck_assert_uint_eq(sample.bytes, expected[i].n);
        ck_assert_mem_eq(sample.data, expected[i].bytes, expected[i].n);
    }
    free(s.memory);
    close_set(&set);
}
END_TEST

START_TEST(labels_are_optional)
{
    set_under_test set;
    char name[64];
    open_set(&set, toml_at("flat.h5", ""));
    ck_assert_int_eq(set.vtable->n_classes(set.self), 0);
    ck_assert_int_eq(set.vtable->count(set.self), 2);
    set.vtable->sample_name(set.self, 0, name, sizeof name);
    ck_assert_str_eq(name, "1.jpg");
    close_set(&set);
    open_set(&set, toml_at("images.h5", "labels = false"));
    ck_assert_int_eq(set.vtable->n_classes(set.self), 0);
    ck_assert_int_eq(set.vtable->count(set.self), 24);
    ck_assert_ptr_null(set.vtable->class_name(set.self, 0));
    close_set(&set);
}
END_TEST

START_TEST(parts_and_fingerprints)
{
    set_under_test set;
    char name[64], rest[128];
    uint64_t prints[4];
    make_folder();
    write_text("list.csv", "13,1,stripes,01.png\n0,0,disc,00.jpg\n");
    snprintf(rest, sizeof rest, "list = \"%s/list.csv\"", folder);
    const char *const rests[] = {"", "labels = false", "fraction = 0.5", rest};
    for (int i = 0; i < 4; i++) {
        open_set(&set, toml_at("images.h5", rests[i]));
        prints[i] = set.vtable->fingerprint(set.self);
        for (int j = 0; j < i; j++)
            ck_assert_uint_ne(prints[i], prints[j]);
        if (i == 3) {
            ck_assert_int_eq(set.vtable->count(set.self), 2);
            ck_assert_int_eq(set.vtable->label(set.self, 1), 1);
            set.vtable->sample_name(set.self, 1, name, sizeof name);
            ck_assert_str_eq(name, "stripes/01.png");
        }
        close_set(&set);
    }
    remove_folder();
}
END_TEST

START_TEST(files_are_recognised)
{
    set_under_test set;
    open_set(&set, toml_at("images.h5", ""));
    ck_assert_int_eq(set.vtable->recognises("tests/data/hdf5/images.h5"), 100);
    ck_assert_int_eq(set.vtable->recognises("tests/data/hdf5/unusual.h5"), 100);
    ck_assert_int_eq(set.vtable->recognises("tests/data/hdf5"), 0);
    ck_assert_int_eq(set.vtable->recognises("tests/data/image_folder/disc/00.jpg"), 0);
    ck_assert_int_eq(set.vtable->recognises("/dev/null"), 0);
    ck_assert_int_eq(set.vtable->recognises("no such file"), 0);
    close_set(&set);
}
END_TEST

/* --- the cache --- */

/* 1: a cache lies in the folder; 0: none. */
static int has_cache(char path[300])
{
    char command[160];
    snprintf(command, sizeof command, "ls -d %s/.wisp-hdf5-*.index 2>/dev/null", folder);
    FILE *names = popen(command, "r");
    const int found = fgets(path, 300, names) != NULL;
    pclose(names);
    path[found ? strcspn(path, "\n") : 0] = 0;
    return found;
}

static void expect_opens(int opens)
{
    plugin_fixture fixture;
    wisp_error err = {0};
    const wisp_status status =
        plugin_fixture_try(&fixture, "dataset", toml_in_folder("many.h5"), &err);
    ck_assert_int_eq(status, opens ? WISP_OK : WISP_E_DATA);
    if (status == WISP_OK) {
        const wisp_dataset_v0 *vtable = fixture.instance.plugin->descriptor->vtable;
        ck_assert_int_eq(vtable->count(fixture.instance.self), 1000);
        plugin_fixture_close(&fixture);
    }
}

/* The file is spoilt without a change of its size and time, so that only a cache can still tell
 * what was in it. */
START_TEST(the_layout_is_kept_until_the_file_changes)
{
    static uint8_t bytes[131072];
    char path[128], cache[300];
    struct stat before;
    const size_t n = read_whole("tests/data/hdf5/many.h5", bytes, sizeof bytes);
    make_folder();
    write_bytes("many.h5", bytes, n);
    snprintf(path, sizeof path, "%s/many.h5", folder);
    ck_assert_int_eq(has_cache(cache), 0);
    expect_opens(1);
    ck_assert_int_eq(has_cache(cache), 0); /* it may change again before its time does */
    const struct timespec past[2] = {{1000000000, 0}, {1000000000, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, past, 0), 0);
    expect_opens(1);
    ck_assert_int_eq(has_cache(cache), 1);
    ck_assert_int_eq(stat(path, &before), 0);
    memset(bytes + 48, 0xff, n - 48);
    write_bytes("many.h5", bytes, n);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    expect_opens(1);
    ck_assert_int_eq(truncate(cache, 5000), 0); /* not complete: passed over */
    expect_opens(0);
    ck_assert_int_eq(unlink(cache), 0);
    read_whole("tests/data/hdf5/many.h5", bytes, sizeof bytes);
    write_bytes("many.h5", bytes, n);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, past, 0), 0);
    expect_opens(1);
    ck_assert_int_eq(has_cache(cache), 1);
    const struct timespec later[2] = {before.st_atim, {before.st_mtim.tv_sec + 10, 0}};
    memset(bytes + 48, 0xff, n - 48);
    write_bytes("many.h5", bytes, n);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, later, 0), 0);
    expect_opens(0); /* the cache speaks of a file as it was */
    remove_folder();
}
END_TEST

START_TEST(small_files_get_no_cache)
{
    uint8_t bytes[65536];
    char cache[300];
    plugin_fixture fixture;
    wisp_error err = {0};
    const size_t n = read_whole("tests/data/hdf5/images.h5", bytes, sizeof bytes);
    make_folder();
    write_bytes("set.h5", bytes, n);
    ck_assert_int_eq(plugin_fixture_try(&fixture, "dataset", toml_in_folder("set.h5"), &err),
                     WISP_OK);
    plugin_fixture_close(&fixture);
    ck_assert_int_eq(has_cache(cache), 0);
    remove_folder();
}
END_TEST

/* --- files that are not --- */

START_TEST(other_layouts_are_refused_with_advice)
{
    static const char *const cases[][3] = {
        {"chunked.h5", "class/image.jpg", "h5repack -l CONTI"},
        {"chunked_behind.h5", "class/image.jpg", "h5repack -l CONTI"},
        {"compressed.h5", "class/image.jpg", "h5repack -l CONTI"},
        {"compact.h5", "class/image.jpg", "h5repack -l CONTI"},
        {"elsewhere.h5", "class/image.jpg", "lies in another file"},
        {"pixels.h5", "class/image.jpg", "has 3 dimensions of values of 1 byte"},
        {"floats.h5", "class/image.jpg", "has 1 dimension of values of 4 bytes"},
        {"texts.h5", "class/image.jpg", "JPEG or PNG"},
        {"deep.h5", "class/folder", "images lie directly in the group of their class"},
        {"arrays.h5", "holds no image", "saw 1 empty groups and 2 other things"},
    };
    for (size_t i = 0; i < WISP_COUNT(cases); i++) {
        wisp_error err;
        ck_assert_int_eq(refused(toml_at(cases[i][0], ""), &err), WISP_E_DATA);
        for (int k = 0; k < 3; k++)
            ck_assert_msg(strstr(err.message, cases[i][k]) != NULL, "%s", err.message);
    }
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    wisp_error err;
    char path[128];
    make_folder();
    ck_assert_int_eq(refused(toml_in_folder("none.h5"), &err), WISP_E_NOT_FOUND);
    write_text("text.h5", "no HDF5 at all");
    ck_assert_int_eq(refused(toml_in_folder("text.h5"), &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "is no HDF5 file"));
    ck_assert_int_eq(refused(toml_in_folder(""), &err), WISP_E_DATA);
    snprintf(path, sizeof path, "%s/pipe.h5", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(refused(toml_in_folder("pipe.h5"), &err), WISP_E_DATA);
    ck_assert_int_eq(refused("use = \"hdf5\"", &err), WISP_E_CONFIG);
    remove_folder();
}
END_TEST

START_TEST(files_that_are_cut_short_are_refused)
{
    uint8_t bytes[65536];
    const size_t n = read_whole("tests/data/hdf5/images.h5", bytes, sizeof bytes);
    static const double shares[] = {0.001, 0.02, 0.1, 0.5, 0.9, 0.999};
    make_folder();
    for (size_t i = 0; i < WISP_COUNT(shares); i++) {
        wisp_error err;
        write_bytes("cut.h5", bytes, (size_t)((double)n * shares[i]));
        ck_assert_int_eq(refused(toml_in_folder("cut.h5"), &err), WISP_E_DATA);
        ck_assert_msg(strstr(err.message, "cut.h5") != NULL, "%s", err.message);
    }
    remove_folder();
}
END_TEST

/* What comes out is an index that can be used, or a failure that names the file; never a crash or a
 * hang of this process. */
START_TEST(damage_stays_in_the_other_process)
{
    uint8_t whole[65536], bytes[65536];
    const size_t n = read_whole("tests/data/hdf5/images.h5", whole, sizeof whole);
    uint32_t random = 12345;
    int opened = 0;
    make_folder();
    for (int i = 0; i < 60; i++) {
        plugin_fixture fixture;
        wisp_error err = {0};
        memcpy(bytes, whole, n);
        for (int k = 0; k < 16; k++) {
            random = random * 1664525 + 1013904223;
            bytes[96 + (random >> 8) % (n - 96)] = (uint8_t)(random >> 24);
        }
        write_bytes("damaged.h5", bytes, n);
        const wisp_status status =
            plugin_fixture_try(&fixture, "dataset", toml_in_folder("damaged.h5"), &err);
        ck_assert_msg(status == WISP_OK || status == WISP_E_DATA, "%s", err.message);
        ck_assert_msg(status == WISP_OK || strstr(err.message, "damaged.h5"), "%s", err.message);
        if (status == WISP_OK)
            plugin_fixture_close(&fixture);
        opened += status == WISP_OK;
    }
    ck_assert_int_gt(opened, 0);
    ck_assert_int_lt(opened, 60);
    remove_folder();
}
END_TEST

START_TEST(files_that_change_while_they_are_used)
{
    uint8_t bytes[65536];
    char path[128];
    wisp_error err = {0};
    wisp_sample sample = {.form = 77};
    set_under_test set;
    sink s = EMPTY_SINK;
    const size_t n = read_whole("tests/data/hdf5/images.h5", bytes, sizeof bytes);
    make_folder();
    write_bytes("set.h5", bytes, n);
    open_set(&set, toml_in_folder("set.h5"));
    snprintf(path, sizeof path, "%s/set.h5", folder);
    ck_assert_int_eq(truncate(path, (off_t)(n / 8)), 0);
    int bad = 0;
    for (int i = 0; i < 24; i++)
        if (set.vtable->read(set.self, i, &s.base, &sample, &err) != WISP_OK) {
            bad++;
            ck_assert_ptr_nonnull(strstr(err.message, "which is cut short"));
            ck_assert_ptr_nonnull(strstr(err.message, "set.h5"));
        }
    ck_assert_int_gt(bad, 12);
    /* The open file stays readable when its name is gone. */
    write_bytes("set.h5", bytes, n);
    ck_assert_int_eq(unlink(path), 0);
    read_one(&set, 23, &s);
    free(s.memory);
    close_set(&set);
    remove_folder();
}
END_TEST

START_TEST(opening_survives_any_failing_allocation)
{
    for (int64_t nth = 1, reached = 1; reached; nth++) {
        plugin_fixture fixture;
        wisp_error err = {0};
        const int64_t blocks = wispi_live_blocks();
        wispi_fail_allocation(nth);
        const wisp_status status =
            plugin_fixture_try(&fixture, "dataset", toml_at("images.h5", "fraction = 0.5"), &err);
        wispi_fail_allocation(-1);
        reached = status != WISP_OK;
        ck_assert_msg(status == WISP_OK || err.message[0], "allocation %lld", (long long)nth);
        if (status == WISP_OK)
            plugin_fixture_close(&fixture);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 5000);
    }
}
END_TEST

/* --- the program --- */

/* A program that is a shell script: what is made of its words and its end. */
static wisp_status run_script(const char *script, int patience, layout_bytes *records,
                              wisp_error *err)
{
    char path[128], text[512];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    write_text("program", text);
    snprintf(path, sizeof path, "%s/program", folder);
    ck_assert_int_eq(chmod(path, 0700), 0);
    memset(err, 0, sizeof *err);
    *records = (layout_bytes){0};
    return layout_reader_run(wispi_host_table(), path, "images.h5", patience, 1 << 20, records,
                             err);
}

static void expect_failure(const char *script, int patience, const char *words)
{
    layout_bytes records;
    wisp_error err;
    ck_assert_int_eq(run_script(script, patience, &records, &err), WISP_E_DATA);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, "images.h5") != NULL, "%s", err.message);
    ck_assert_ptr_null(records.data);
}

START_TEST(however_the_program_ends)
{
    const int64_t blocks = wispi_live_blocks();
    layout_bytes records;
    wisp_error err;
    make_folder();
    expect_failure("kill -SEGV $$", 10, "ended by signal 11 (Segmentation fault)");
    expect_failure("printf abc; kill -KILL $$", 10, "ended by signal 9");
    expect_failure("exit 3", 10, "ended with status 3");
    expect_failure("printf abc; exec sleep 60", 1, "has found nothing for 1 s");
    expect_failure("exec cat /dev/zero", 10, "grows without an end");
    ck_assert_int_eq(
        run_script("printf %s \"$1\"; echo words >&2; read line; echo $line", 10, &records, &err),
        WISP_OK);
    ck_assert_uint_eq(records.used, strlen("images.h5\n"));
    ck_assert_mem_eq(records.data, "images.h5\n", records.used);
    wispi_host_table()->free(wispi_host_table(), records.data);
    ck_assert_int_eq(layout_reader_run(wispi_host_table(), "no/such/program", "images.h5", 10, 1,
                                       &records, &err),
                     WISP_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "belongs beside the plugin"));
    remove_folder();
    ck_assert_int_eq(wispi_live_blocks(), blocks);
}
END_TEST

/* Nobody is left over, and signals that are blocked here end the program all the same. */
START_TEST(no_process_is_left)
{
    sigset_t all, former;
    make_folder();
    sigfillset(&all);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &all, &former), 0);
    expect_failure("kill -TERM $$; exec sleep 60", 10, "ended by signal 15");
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &former, NULL), 0);
    expect_failure("exec sleep 60", 1, "has found nothing");
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    remove_folder();
}
END_TEST

/* --- records --- */

typedef struct script {
    uint8_t bytes[4096];
    size_t used;
} script;

static void say(script *s, uint32_t kind, const char *text, int64_t offset, int64_t bytes)
{
    const layout_record record = {kind, (uint32_t)strlen(text), offset, bytes};
    memcpy(s->bytes + s->used, &record, sizeof record);
    memcpy(s->bytes + s->used + sizeof record, text, record.text_bytes);
    s->used += sizeof record + layout_padded(record.text_bytes);
}

static wisp_status filled(const script *s, layout_index *index)
{
    wisp_error err = {0};
    *index = (layout_index){0};
    const wisp_status status =
        layout_index_fill(index, wispi_host_table(), s->bytes, s->used, &err);
    ck_assert(status == WISP_OK || err.message[0]);
    ck_assert(status == WISP_OK || !index->names);
    return status;
}

static void expect_refused(const script *s)
{
    layout_index index;
    ck_assert_int_eq(filled(s, &index), WISP_E_DATA);
}

START_TEST(records_are_not_trusted)
{
    layout_index index;
    script good = {.used = 0};
    say(&good, LAYOUT_LOOSE, "beside", 1, 1);
    say(&good, LAYOUT_GROUP, "a", 0, 0);
    say(&good, LAYOUT_IMAGE, "x", 10, 5);
    say(&good, LAYOUT_IMAGE, "y", INT64_MAX - 5, 5);
    say(&good, LAYOUT_GROUP, "b", 0, 0);
    say(&good, LAYOUT_OTHER, "z", 0, 0);
    const size_t before_end = good.used;
    say(&good, LAYOUT_END, "", 3, 2);
    ck_assert_int_eq(filled(&good, &index), WISP_OK);
    ck_assert_int_eq(index.n_images, 2);
    ck_assert_int_eq(index.n_other, 2);
    ck_assert_int_eq(index.n_empty, 1);
    ck_assert_str_eq(index.names + index.images[1].name, "y");
    layout_index_free(&index);
    for (size_t n = 0; n < good.used; n++) {
        script cut = good;
        cut.used = n;
        expect_refused(&cut);
    }
    const struct {
        uint32_t kind;
        const char *text;
        int64_t offset, bytes;
    } wrong[] = {
        {LAYOUT_GROUP, "b", 0, 0},
        {LAYOUT_GROUP, "a", 0, 0},
        {LAYOUT_LOOSE, "a", 0, 0},
        {LAYOUT_IMAGE, "i", -1, 1},
        {LAYOUT_IMAGE, "i", 1, -1},
        {LAYOUT_IMAGE, "i", INT64_MAX, 1},
        {LAYOUT_REFUSED, "why", 0, 0},
        {0, "", 0, 0},
        {99, "", 0, 0},
        {LAYOUT_END, "", 4, 2},
        {LAYOUT_END, "", 3, 1},
    };
    for (size_t i = 0; i < WISP_COUNT(wrong); i++) {
        script s = good;
        s.used = before_end;
        say(&s, wrong[i].kind, wrong[i].text, wrong[i].offset, wrong[i].bytes);
        const int is_image = wrong[i].kind == LAYOUT_IMAGE || wrong[i].kind == LAYOUT_LOOSE;
        if (wrong[i].kind != LAYOUT_END)
            say(&s, LAYOUT_END, "", 3 + is_image, 2 + (wrong[i].kind == LAYOUT_GROUP));
        expect_refused(&s);
    }
    script behind = good;
    say(&behind, LAYOUT_END, "", 3, 2);
    expect_refused(&behind);
    script orphan = {.used = 0};
    say(&orphan, LAYOUT_IMAGE, "x", 0, 1);
    say(&orphan, LAYOUT_END, "", 1, 0);
    expect_refused(&orphan);
    script inner_end = good; /* a text that ends before its length says */
    inner_end.bytes[sizeof(layout_record) + 2] = 0;
    expect_refused(&inner_end);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hdf5");
    TCase *tests = tcase_create("files");
    if (access(WISP_BUILD_DIR "/plugins/wisp-dataset-hdf5.so", R_OK) != 0) {
        puts("SKIPPED: the data set hdf5 was not built");
        return EXIT_SUCCESS;
    }
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, images_are_the_files_that_h5py_was_given);
    tcase_add_test(tests, unusual_files_are_read_the_same);
    tcase_add_test(tests, labels_are_optional);
    tcase_add_test(tests, parts_and_fingerprints);
    tcase_add_test(tests, files_are_recognised);
    tcase_add_test(tests, the_layout_is_kept_until_the_file_changes);
    tcase_add_test(tests, small_files_get_no_cache);
    tcase_add_test(tests, other_layouts_are_refused_with_advice);
    tcase_add_test(tests, what_is_no_file_is_refused);
    tcase_add_test(tests, files_that_are_cut_short_are_refused);
    tcase_add_test(tests, damage_stays_in_the_other_process);
    tcase_add_test(tests, files_that_change_while_they_are_used);
    tcase_add_test(tests, opening_survives_any_failing_allocation);
    tcase_add_test(tests, however_the_program_ends);
    tcase_add_test(tests, no_process_is_left);
    tcase_add_test(tests, records_are_not_trusted);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
