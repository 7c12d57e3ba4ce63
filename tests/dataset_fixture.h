/* dataset_fixture.h - tests only: a data set of this build, memory for its samples, and a folder
 * for the files of one test. Fails the running test when something is wrong. */
#ifndef WISP_TESTS_DATASET_FIXTURE_H
#define WISP_TESTS_DATASET_FIXTURE_H

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "plugin_fixture.h"
#include "wisp/dataset.h"

/* --- reading samples --- */

typedef struct sink {
    wisp_sample_sink base; /* first: the handle converts */
    uint8_t *memory;
    size_t bytes;
    int refuses;
} sink;

static inline uint8_t *reserve(wisp_sample_sink *base, size_t bytes)
{
    sink *s = (sink *)(void *)base;
    if (s->refuses)
        return NULL;
    if (bytes > s->bytes) {
        s->memory = realloc(s->memory, bytes);
        s->bytes = bytes;
    }
    return s->memory;
}

#define EMPTY_SINK                                                                                 \
    {                                                                                              \
        {sizeof(wisp_sample_sink), 0, reserve}, NULL, 0, 0                                         \
    }

typedef struct set_under_test {
    plugin_fixture fixture;
    const wisp_dataset_v0 *vtable;
    const void *self;
} set_under_test;

static inline void open_set(set_under_test *set, const char *toml)
{
    set->vtable = plugin_fixture_open(&set->fixture, "dataset", toml);
    set->self = set->fixture.instance.self;
}

static inline void close_set(set_under_test *set)
{
    plugin_fixture_close(&set->fixture);
}

static inline wisp_sample read_one(const set_under_test *set, int64_t index, sink *s)
{
    wisp_error err = {0};
    wisp_sample sample = {0};
    wisp_status status = set->vtable->read(set->self, index, &s->base, &sample, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    ck_assert_ptr_eq(sample.data, s->memory);
    return sample;
}

static inline wisp_status refused(const char *toml, wisp_error *err)
{
    plugin_fixture fixture;
    memset(err, 0, sizeof *err);
    wisp_status status = plugin_fixture_try(&fixture, "dataset", toml, err);
    ck_assert_int_ne(status, WISP_OK);
    return status;
}

/* Opens the set over and over, while each allocation in turn fails: it says so and leaves nothing.
 */
static inline void check_failing_allocations(const char *toml)
{
    for (int64_t nth = 1, reached = 1; reached; nth++) {
        plugin_fixture fixture;
        wisp_error err = {0};
        const int64_t blocks = wispi_live_blocks();
        wispi_fail_allocation(nth);
        const wisp_status status = plugin_fixture_try(&fixture, "dataset", toml, &err);
        wispi_fail_allocation(-1);
        reached = status != WISP_OK;
        ck_assert_msg(status == WISP_OK || err.message[0], "allocation %lld", (long long)nth);
        if (status == WISP_OK)
            plugin_fixture_close(&fixture);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 5000);
    }
}

/* Folder for files of one test, removed with all it holds. */
static char folder[64];

static inline void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/wisp-datasets-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static inline void write_bytes(const char *name, const void *data, size_t bytes)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0700);
    }
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static inline const char *toml_of(const char *use, const char *rest)
{
    static char toml[512];
    snprintf(toml, sizeof toml, "use = \"%s\"\npath = \"%s\"\n%s", use, folder, rest);
    return toml;
}

static struct {
    char text[4096];
} logged;

static inline void log_sink(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)level;
    size_t used = strlen(logged.text);
    snprintf(logged.text + used, sizeof logged.text - used, "%s\n", line);
}

#endif
