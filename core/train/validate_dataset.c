/* validate_dataset.c - data sets: samples of the form they are said to have, the same ones for
 * whoever reads them. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "loader/containment.h"
#include "train/validate_at_once.h"
#include "train/validate_kinds.h"
#include "wisp/dataset.h"

enum { MOST_SAMPLES = 48, MOST_PERMUTED = 1 << 16 };

typedef struct sink {
    wisp_sample_sink base; /* first: the handle converts */
    uint8_t *memory;
    size_t bytes;
    int refuses;
} sink;

/* Not the host's allocator: what it counts is the plugin's. */
static uint8_t *reserve(wisp_sample_sink *base, size_t bytes)
{
    sink *s = (sink *)(void *)base;
    if (s->refuses || bytes > (size_t)1 << 30)
        return NULL;
    if (bytes > s->bytes) {
        uint8_t *memory = realloc(s->memory, bytes);
        if (!memory)
            return NULL;
        s->memory = memory;
        s->bytes = bytes;
    }
    return s->memory;
}

static sink new_sink(void)
{
    return (sink){{sizeof(wisp_sample_sink), 0, reserve}, NULL, 0, 0};
}

static const wisp_dataset_v0 *table_of(const wispi_subject *s)
{
    return s->instance.plugin->descriptor->vtable;
}

static int64_t count_of(const wispi_subject *s)
{
    int64_t n = 0;
    WISPI_VISIT(s->instance.plugin, "count", n = table_of(s)->count(s->instance.self));
    return n;
}

static wisp_status read_sample(const wispi_subject *s, int64_t index, sink *to, wisp_sample *sample,
                               wisp_error *err)
{
    wisp_status status;
    memset(sample, 0, sizeof *sample);
    WISPI_CALL(status, s->instance.plugin, "read", err,
               table_of(s)->read(s->instance.self, index, &to->base, sample, err));
    return status;
}

/* Samples at even distances, the first and the last among them. */
static int64_t index_at(int64_t count, int64_t i)
{
    return count <= MOST_SAMPLES ? i : i * (count - 1) / (MOST_SAMPLES - 1);
}

static int64_t n_looked_at(int64_t count)
{
    return count < MOST_SAMPLES ? count : MOST_SAMPLES;
}

/* Broken files are a part of life: they are answered with WISP_E_DATA. */
static wisp_status hash_samples(const wispi_subject *s, uint64_t *hash, wisp_error *err)
{
    const int64_t count = count_of(s);
    sink to = new_sink();
    wisp_sample sample;
    wisp_status status = WISP_OK;
    *hash = 1;
    for (int64_t i = 0; status == WISP_OK && i < n_looked_at(count); i++) {
        status = read_sample(s, index_at(count, i), &to, &sample, err);
        if (status == WISP_E_DATA)
            status = WISP_OK;
        else if (status == WISP_OK)
            *hash = wispi_hash64(sample.data, sample.bytes, *hash);
    }
    free(to.memory);
    return status;
}

wisp_status wispi_use_dataset(wispi_trial *t, wispi_subject *s, wisp_error *err)
{
    uint64_t hash = 0;
    (void)t;
    WISPI_VISIT(s->instance.plugin, "fingerprint", table_of(s)->fingerprint(s->instance.self));
    return hash_samples(s, &hash, err);
}

/* --- what was promised --- */

/* Both ends as numbers: memory from elsewhere may lie before or behind what was lent. */
static int is_in(const sink *from, const wisp_sample *s)
{
    const uintptr_t at = (uintptr_t)s->data, lent = (uintptr_t)from->memory;
    return s->data && from->memory && at >= lent && at - lent <= from->bytes &&
           s->bytes <= from->bytes - (at - lent);
}

static void judge_sample(wispi_trial *t, const wisp_sample *s, const sink *from, int64_t index)
{
    if (!is_in(from, s)) {
        wispi_trial_fail(t, "read(%lld): %zu bytes that are not in the memory it was lent",
                         (long long)index, s->bytes);
        return;
    }
    const int is_png = s->bytes > 8 && memcmp(s->data, "\x89PNG", 4) == 0;
    const int is_jpeg = s->bytes > 3 && memcmp(s->data, "\xff\xd8\xff", 3) == 0;
    if (s->form == WISP_SAMPLE_RGB8 &&
        (s->width < 1 || s->height < 1 || s->bytes != 3 * (size_t)s->width * (size_t)s->height))
        wispi_trial_fail(t, "read(%lld): %zu bytes for RGB of %d x %d px", (long long)index,
                         s->bytes, s->width, s->height);
    else if (s->form == WISP_SAMPLE_ENCODED && !is_png && !is_jpeg)
        wispi_trial_fail(t, "read(%lld): what is encoded is neither JPEG nor PNG",
                         (long long)index);
    else if (s->form != WISP_SAMPLE_RGB8 && s->form != WISP_SAMPLE_ENCODED)
        wispi_trial_fail(t, "read(%lld): form %d", (long long)index, s->form);
}

static void judge_name(wispi_trial *t, const wispi_subject *s, int64_t index)
{
    char name[24];
    memset(name, 1, sizeof name);
    WISPI_VISIT(t->plugin, "sample_name",
                table_of(s)->sample_name(s->instance.self, index, name, 8));
    if (!memchr(name, 0, 8) || name[8] != 1)
        wispi_trial_fail(t, "sample_name(%lld): more than the 8 bytes that there are",
                         (long long)index);
    else if (name[0] == '\0')
        wispi_trial_fail(t, "sample_name(%lld) is empty", (long long)index);
}

static void judge_label(wispi_trial *t, const wispi_subject *s, int64_t index)
{
    int32_t n = 0, label = 0;
    WISPI_VISIT(t->plugin, "n_classes", n = table_of(s)->n_classes(s->instance.self));
    if (n < 0 || (n > 0 && !table_of(s)->label)) {
        wispi_trial_fail(t, "n_classes() is %d%s", n, n > 0 ? ", and there is no label()" : "");
        return;
    }
    if (n > 0)
        WISPI_VISIT(t->plugin, "label", label = table_of(s)->label(s->instance.self, index));
    if (n > 0 && (label < 0 || label >= n))
        wispi_trial_fail(t, "label(%lld) is %d, of %d classes", (long long)index, label, n);
}

static void judge_order(wispi_trial *t, const wispi_subject *s, int64_t count)
{
    const wisp_rng_key key = wisp_rng_stream(3, WISP_STREAM_ORDER);
    if (!WISP_HAS(table_of(s), wisp_dataset_v0, order) || !table_of(s)->order ||
        count > MOST_PERMUTED)
        return;
    uint8_t *seen = wispi_alloc((size_t)count + 1);
    for (int64_t i = 0; seen && i < count && !wispi_trial_is_decided(t); i++) {
        int64_t at = -1;
        WISPI_VISIT(t->plugin, "order", at = table_of(s)->order(s->instance.self, key, i));
        if (at < 0 || at >= count || seen[at])
            wispi_trial_fail(t, "order() is no permutation: position %lld holds sample %lld",
                             (long long)i, (long long)at);
        else
            seen[at] = 1;
    }
    wispi_free(seen);
}

void wispi_validate_dataset_shapes(wispi_trial *t)
{
    wispi_subject s;
    wisp_error err = {0};
    sink to = new_sink();
    if (!wispi_trial_create(t, &s))
        return;
    const int64_t count = count_of(&s);
    if (count < 1)
        wispi_trial_fail(t, "count() is %lld", (long long)count);
    for (int64_t i = 0; i < n_looked_at(count) && !wispi_trial_is_decided(t); i++) {
        const int64_t index = index_at(count, i);
        wisp_sample sample;
        const wisp_status status = read_sample(&s, index, &to, &sample, &err);
        if (status == WISP_OK)
            judge_sample(t, &sample, &to, index);
        else if (status != WISP_E_DATA)
            wispi_trial_fail(t, "read(%lld): %s", (long long)index, err.message);
        judge_name(t, &s, index);
        judge_label(t, &s, index);
    }
    judge_order(t, &s, count);
    free(to.memory);
    wispi_subject_destroy(&s);
}

/* --- the same for whoever reads --- */

static uint64_t fingerprint_of(const wispi_subject *s)
{
    uint64_t value = 0;
    WISPI_VISIT(s->instance.plugin, "fingerprint",
                value = table_of(s)->fingerprint(s->instance.self));
    return value;
}

static void compare_reading(wispi_trial *t, const wispi_subject *a, const wispi_subject *b,
                            const char *words)
{
    uint64_t first = 0, second = 0;
    wisp_error err = {0};
    if (hash_samples(a, &first, &err) != WISP_OK || hash_samples(b, &second, &err) != WISP_OK)
        wispi_trial_fail(t, "%s", err.message);
    else if (first != second)
        wispi_trial_fail(t, "samples have other bytes %s", words);
    else if (fingerprint_of(a) != fingerprint_of(b))
        wispi_trial_fail(t, "the fingerprint is another one %s", words);
}

void wispi_validate_dataset_repeats(wispi_trial *t)
{
    wispi_subject s;
    if (!wispi_trial_create(t, &s))
        return;
    compare_reading(t, &s, &s, "the second time");
    wispi_subject_destroy(&s);
}

void wispi_validate_dataset_seed(wispi_trial *t)
{
    wispi_subject a, b;
    if (!wispi_trial_create(t, &a))
        return;
    if (wispi_trial_create(t, &b)) {
        compare_reading(t, &a, &b, "from a second instance of the same options");
        wispi_subject_destroy(&b);
    }
    wispi_subject_destroy(&a);
}

typedef struct reader {
    const wispi_subject *subject;
    uint64_t hash;
    wisp_status status;
    wisp_error err;
} reader;

static void read_all(void *user)
{
    reader *r = user;
    r->status = hash_samples(r->subject, &r->hash, &r->err);
}

void wispi_validate_dataset_workers(wispi_trial *t)
{
    wispi_subject s;
    static reader readers[WISPI_AT_ONCE];
    reader alone = {.subject = &s};
    if (!wispi_trial_create(t, &s))
        return;
    read_all(&alone);
    for (int32_t i = 0; i < WISPI_AT_ONCE; i++)
        readers[i] = (reader){.subject = &s};
    const int32_t n = wispi_at_once(read_all, readers, sizeof readers[0]);
    for (int32_t i = 0; i < n; i++) {
        if (readers[i].status != alone.status)
            wispi_trial_fail(t, "read() fails when four threads call it: %s",
                             readers[i].err.message);
        else if (readers[i].hash != alone.hash)
            wispi_trial_fail(t, "samples have other bytes when four threads read at once");
    }
    if (n < WISPI_AT_ONCE)
        wispi_trial_skip(t, "no threads to be had here");
    wispi_subject_destroy(&s);
}

void wispi_validate_dataset_sink(wispi_trial *t)
{
    wispi_subject s;
    wisp_error err = {0};
    wisp_sample sample;
    sink to = new_sink();
    if (!wispi_trial_create(t, &s))
        return;
    to.refuses = 1;
    if (read_sample(&s, 0, &to, &sample, &err) == WISP_OK)
        wispi_trial_fail(t, "read() says all is well, and there was no memory for the sample");
    else if (err.message[0] == '\0' || strstr(err.message, "(the plugin gave no message)"))
        wispi_trial_fail(t, "read() without memory for the sample fails without a message");
    wispi_subject_destroy(&s);
}
