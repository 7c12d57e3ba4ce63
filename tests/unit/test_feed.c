/* test_feed.c - batches do not depend on workers, on where one begins or on how many ranks share
 * the work; bad samples are replaced; whatever goes wrong ends in a message. */
#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/feed.h"

/* --- a data set and a sampler that may misbehave --- */

typedef struct fake_data {
    int64_t count;
    int32_t n_classes;
    int32_t side;
    int64_t bad[8]; /* indices that cannot be read */
    int32_t n_bad;
    wisp_status status; /* of a bad sample */
    int32_t wrong_label, wrong_memory, wrong_bytes, silent;
    int32_t jitter; /* takes an uneven time */
} fake_data;

static atomic_int n_reads; /* of all data sets */

static int64_t data_count(const void *self)
{
    return ((const fake_data *)self)->count;
}

static int32_t data_classes(const void *self)
{
    return ((const fake_data *)self)->n_classes;
}

static int32_t data_label(const void *self, int64_t index)
{
    const fake_data *d = self;
    return d->wrong_label ? d->n_classes : (int32_t)(index % d->n_classes);
}

static int is_bad(const fake_data *d, int64_t index)
{
    for (int32_t i = 0; i < d->n_bad; i++)
        if (d->bad[i] == index)
            return 1;
    return 0;
}

static wisp_status data_read(const void *self, int64_t index, wisp_sample_sink *sink,
                             wisp_sample *sample, wisp_error *err)
{
    static uint8_t elsewhere[64 * 64 * 3];
    const fake_data *d = self;
    atomic_fetch_add(&n_reads, 1);
    size_t bytes = (size_t)(d->side * d->side * 3);
    if (d->jitter && index % 3 == 0)
        usleep((useconds_t)(index % 7 * 30));
    if (is_bad(d, index))
        return d->silent ? d->status : wisp_fail(err, d->status, "rotten apple");
    uint8_t *rgb = sink->reserve(sink, bytes);
    if (!rgb)
        return wisp_fail(err, WISP_E_NOMEM, "no memory");
    for (size_t i = 0; i < bytes; i++)
        rgb[i] = (uint8_t)((size_t)index * 31 + i * (1 + (size_t)index % 5));
    *sample = (wisp_sample){.form = WISP_SAMPLE_RGB8,
                            .width = d->side,
                            .height = d->side,
                            .data = d->wrong_memory ? elsewhere : rgb,
                            .bytes = bytes - (d->wrong_bytes ? 3 : 0)};
    return WISP_OK;
}

static void data_name(const void *self, int64_t index, char *text, size_t bytes)
{
    (void)self;
    snprintf(text, bytes, "apple-%lld.jpg", (long long)index);
}

static const wisp_dataset_v0 dataset = {
    .struct_size = sizeof dataset,
    .count = data_count,
    .n_classes = data_classes,
    .label = data_label,
    .read = data_read,
    .sample_name = data_name,
};

typedef struct fake_sampler {
    int32_t wrong_size, wrong_box, too_few, no_groups;
} fake_sampler;

static wisp_status sampler_groups(const void *self, wisp_view_group *groups, int32_t *n,
                                  wisp_error *err)
{
    const fake_sampler *s = self;
    (void)err;
    groups[0] = (wisp_view_group){"large", 2, 6, 6, 0};
    groups[1] = (wisp_view_group){"small", 3, 4, 2, 0};
    *n = s->no_groups ? 0 : 2;
    return WISP_OK;
}

static wisp_status sampler_plan(const void *self, const wisp_view_source *source,
                                wisp_view_plan *plan, wisp_error *err)
{
    static const double scale[2] = {0.2, 1.0}, ratio[2] = {0.75, 1.333};
    const fake_sampler *s = self;
    wisp_rng rng = wisp_rng_begin(source->key);
    (void)err;
    for (int v = 0; v < (s->too_few ? 4 : 5); v++) {
        wisp_view_spec *view = wisp_plan_add(plan);
        view->group = v >= 2;
        view->out_w = v < 2 ? 6 : 4;
        view->out_h = v < 2 ? 6 : 2 + s->wrong_size;
        view->box = wisp_draw_resized_crop(&rng, source->width, source->height, scale, ratio);
        view->box.x += s->wrong_box ? source->width : 0;
        view->flip = wisp_rng_uniform(&rng) < 0.5;
        wisp_view_add_op(view, WISP_PIXEL_BRIGHTNESS, wisp_rng_range(&rng, 0.5, 1.5));
    }
    return WISP_OK;
}

static const wisp_sampler_v0 sampler = {
    .struct_size = sizeof sampler, .groups = sampler_groups, .plan = sampler_plan};

static const fake_sampler honest_sampler = {0};

static wispi_feed_options training(const fake_data *d, int64_t batch, int32_t workers)
{
    return (wispi_feed_options){.dataset = &dataset,
                                .dataset_self = d,
                                .sampler = &sampler,
                                .sampler_self = &honest_sampler,
                                .seed = 42,
                                .batch = batch,
                                .world = 1,
                                .drop_last = 1,
                                .dtype = WISP_F32,
                                .mean = {0.5f, 0.4f, 0.3f},
                                .std = {0.2f, 0.25f, 0.3f},
                                .workers = workers,
                                .bad_share = 0.001};
}

static wispi_feed_options evaluation(const fake_data *d, int64_t batch, int32_t workers)
{
    wispi_feed_options o = training(d, batch, workers);
    o.sampler = NULL;
    o.drop_last = 0;
    o.eval_resize = 10;
    o.eval_size = 8;
    return o;
}

static const fake_data plain_data = {.count = 53, .n_classes = 5, .side = 16, .jitter = 1};

/* --- working with feeds --- */

static wispi_feed *open_feed(const wispi_feed_options *options)
{
    wisp_error err = {0};
    wispi_feed *feed = NULL;
    wisp_status status = wispi_feed_create(options, &feed, &err);
    if (status != WISP_OK)
        ck_abort_msg("%s: %s", wisp_status_name(status), err.message);
    return feed;
}

static wispi_feed_batch *next_batch(wispi_feed *feed)
{
    wisp_error err = {0};
    wispi_feed_batch *batch = NULL;
    wisp_status status = wispi_feed_next(feed, &batch, &err);
    if (status != WISP_OK)
        ck_abort_msg("%s: %s", wisp_status_name(status), err.message);
    return batch;
}

/* Everything in a batch but the time it took. */
static uint64_t batch_hash(const wispi_feed *feed, const wispi_feed_batch *b)
{
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n = wispi_feed_groups(feed, groups), views = 0;
    int64_t where[3] = {b->epoch, b->step, b->size};
    size_t size = (size_t)b->size;
    uint64_t hash = wispi_hash64(where, sizeof where, 1);
    for (int32_t g = 0; g < n; g++) {
        views += groups[g].count;
        hash = wispi_hash64(b->groups[g],
                            (size_t)groups[g].count * size * (size_t)groups[g].width *
                                (size_t)groups[g].height * 3 * sizeof(float),
                            hash);
    }
    hash = wispi_hash64(b->index, size * sizeof *b->index, hash);
    if (b->label)
        hash = wispi_hash64(b->label, size * sizeof *b->label, hash);
    hash = wispi_hash64(b->boxes, (size_t)views * size * 4 * sizeof(float), hash);
    hash = wispi_hash64(b->flip, (size_t)views * size * sizeof(float), hash);
    return wispi_hash64(b->source, size * 2 * sizeof(float), hash);
}

static void take_hashes(wispi_feed *feed, uint64_t *hashes, int n)
{
    for (int i = 0; i < n; i++) {
        wispi_feed_batch *batch = next_batch(feed);
        hashes[i] = batch_hash(feed, batch);
        wispi_feed_release(feed, batch);
    }
}

static void seek(wispi_feed *feed, int64_t epoch, int64_t step)
{
    wisp_error err = {0};
    ck_assert_msg(wispi_feed_seek(feed, epoch, step, &err) == WISP_OK, "%s", err.message);
}

enum { STEPS = 6, EPOCHS = 4 }; /* 53 samples in batches of 8 */

static void straight(uint64_t hashes[STEPS * EPOCHS])
{
    wispi_feed_options o = training(&plain_data, 8, 0);
    wispi_feed *feed = open_feed(&o);
    ck_assert_int_eq(wispi_feed_steps_per_epoch(feed), STEPS);
    take_hashes(feed, hashes, STEPS * EPOCHS);
    wispi_feed_destroy(feed);
}

static const int32_t worker_counts[] = {0, 1, 2, 7};
enum { WORKER_COUNTS = sizeof worker_counts / sizeof worker_counts[0] };

/* --- same bits --- */

START_TEST(workers_do_not_matter)
{
    uint64_t expected[STEPS * EPOCHS], hashes[STEPS * EPOCHS];
    straight(expected);
    for (int i = 1; i < STEPS * EPOCHS; i++)
        ck_assert_uint_ne(expected[i], expected[i - 1]);
    for (int w = 0; w < WORKER_COUNTS; w++) {
        for (int32_t prefetch = 0; prefetch < 3; prefetch++) {
            wispi_feed_options o = training(&plain_data, 8, worker_counts[w]);
            o.prefetch = prefetch;
            wispi_feed *feed = open_feed(&o);
            take_hashes(feed, hashes, STEPS * EPOCHS);
            for (int i = 0; i < STEPS * EPOCHS; i++)
                ck_assert_msg(hashes[i] == expected[i], "%d workers, batch %d", worker_counts[w],
                              i);
            wispi_feed_destroy(feed);
        }
    }
}
END_TEST

/* What nobody waits for is not made, by any number of workers. */
START_TEST(turns_are_kept)
{
    uint64_t expected[STEPS * EPOCHS], hashes[STEPS * EPOCHS];
    straight(expected);
    for (int w = 0; w < WORKER_COUNTS; w++) {
        wispi_feed_options o = training(&plain_data, 8, worker_counts[w]);
        o.take_turns = 1;
        wispi_feed *feed = open_feed(&o);
        atomic_store(&n_reads, 0);
        for (int i = 0; i < STEPS * EPOCHS; i++) {
            take_hashes(feed, hashes + i, 1);
            ck_assert_msg(hashes[i] == expected[i], "%d workers, batch %d", worker_counts[w], i);
            ck_assert_int_eq(atomic_load(&n_reads), 8 * (i + 1));
        }
        seek(feed, 0, 1);
        take_hashes(feed, hashes, 1);
        ck_assert_uint_eq(hashes[0], expected[1]);
        wispi_feed_destroy(feed);
    }
}
END_TEST

START_TEST(seek_equals_straight)
{
    uint64_t expected[STEPS * EPOCHS], hashes[STEPS * EPOCHS];
    straight(expected);
    for (int w = 0; w < WORKER_COUNTS; w++) {
        wispi_feed_options o = training(&plain_data, 8, worker_counts[w]);
        wispi_feed *feed = open_feed(&o);
        for (int round = 0; round < 100; round++) {
            int from = round * 7 % (STEPS * EPOCHS - 3);
            int64_t epoch = from / STEPS, step = from % STEPS;
            if (step == 0 && epoch > 0 && round % 2) /* the end of an epoch is the next one */
                seek(feed, epoch - 1, STEPS);
            else
                seek(feed, epoch, step);
            take_hashes(feed, hashes, round % 4);
            for (int i = 0; i < round % 4; i++)
                ck_assert_msg(hashes[i] == expected[from + i], "%d workers, from %d, batch %d",
                              worker_counts[w], from, i);
        }
        wispi_feed_destroy(feed);
    }
}
END_TEST

START_TEST(seek_refuses_what_is_not_there)
{
    wispi_feed_options o = training(&plain_data, 8, 2);
    wispi_feed *feed = open_feed(&o);
    static const int64_t wrong[][2] = {{-1, 0}, {0, -1}, {0, STEPS + 1}, {INT64_MAX, 0}};
    for (int i = 0; i < 4; i++) {
        wisp_error err = {0};
        ck_assert_int_eq(wispi_feed_seek(feed, wrong[i][0], wrong[i][1], &err), WISP_E_INVALID);
        ck_assert_ptr_nonnull(strstr(err.message, "an epoch has 6"));
    }
    uint64_t expected[STEPS * EPOCHS], hash;
    straight(expected);
    take_hashes(feed, &hash, 1);
    ck_assert_uint_eq(hash, expected[0]);
    wispi_feed_destroy(feed);
}
END_TEST

/* --- ranks --- */

static void compare_sample(const wispi_feed *feed, const wispi_feed_batch *one, int64_t k,
                           const wispi_feed_batch *part, int64_t j)
{
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n = wispi_feed_groups(feed, groups);
    ck_assert_int_eq(one->index[k], part->index[j]);
    ck_assert_int_eq(one->label[k], part->label[j]);
    int64_t v = 0;
    for (int32_t g = 0; g < n; g++) {
        size_t values = (size_t)(groups[g].width * groups[g].height * 3);
        for (int64_t view = 0; view < groups[g].count; view++, v++) {
            const float *a =
                (const float *)one->groups[g] + (size_t)(view * one->size + k) * values;
            const float *b =
                (const float *)part->groups[g] + (size_t)(view * part->size + j) * values;
            ck_assert_mem_eq(a, b, values * sizeof(float));
            ck_assert_mem_eq(one->boxes + (v * one->size + k) * 4,
                             part->boxes + (v * part->size + j) * 4, 4 * sizeof(float));
            ck_assert_float_eq(one->flip[v * one->size + k], part->flip[v * part->size + j]);
        }
    }
}

/* What `world` ranks get together is what a single process gets. */
static void compare_worlds(int32_t world, int32_t drop_last, int steps)
{
    wispi_feed *parts[4], *whole;
    wispi_feed_options o = training(&plain_data, 8, 2);
    o.drop_last = drop_last;
    whole = open_feed(&o);
    for (int32_t rank = 0; rank < world; rank++) {
        o.batch = 8 / world;
        o.world = world;
        o.rank = rank;
        parts[rank] = open_feed(&o);
        ck_assert_int_eq(wispi_feed_steps_per_epoch(parts[rank]),
                         wispi_feed_steps_per_epoch(whole));
    }
    for (int step = 0; step < steps; step++) {
        wispi_feed_batch *all = next_batch(whole);
        int64_t k = 0;
        for (int32_t rank = 0; rank < world; rank++) {
            wispi_feed_batch *part = next_batch(parts[rank]);
            for (int64_t j = 0; j < part->size; j++)
                compare_sample(whole, all, k++, part, j);
            wispi_feed_release(parts[rank], part);
        }
        ck_assert_int_eq(k, all->size);
        wispi_feed_release(whole, all);
    }
    wispi_feed_destroy(whole);
    for (int32_t rank = 0; rank < world; rank++)
        wispi_feed_destroy(parts[rank]);
}

START_TEST(ranks_share_one_stream)
{
    compare_worlds(2, 1, 2 * STEPS);
    compare_worlds(4, 1, 2 * STEPS);
    compare_worlds(2, 0, 15); /* the last step has 5 samples: 4 and 1 */
    compare_worlds(4, 0, 15); /* 2, 2, 1 and none */
}
END_TEST

/* --- order and ends of epochs --- */

START_TEST(training_sees_every_sample_once)
{
    wispi_feed_options o = training(&plain_data, 8, 3);
    o.drop_last = 0;
    wispi_feed *feed = open_feed(&o);
    ck_assert_int_eq(wispi_feed_steps_per_epoch(feed), 7);
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        int seen[53] = {0};
        for (int64_t step = 0; step < 7; step++) {
            wispi_feed_batch *b = next_batch(feed);
            ck_assert_int_eq(b->epoch, epoch);
            ck_assert_int_eq(b->step, step);
            ck_assert_int_eq(b->size, step < 6 ? 8 : 5);
            for (int64_t k = 0; k < b->size; k++) {
                seen[b->index[k]]++;
                ck_assert_int_eq(b->label[k], b->index[k] % 5);
                ck_assert_float_eq(b->source[2 * k], 16);
            }
            wispi_feed_release(feed, b);
        }
        for (int i = 0; i < 53; i++)
            ck_assert_int_eq(seen[i], 1);
    }
    wispi_feed_destroy(feed);
}
END_TEST

static void check_in_order(wispi_feed_options o, int64_t n)
{
    wispi_feed *feed = open_feed(&o);
    int64_t expected = 0, steps = (n + o.batch - 1) / o.batch;
    ck_assert_int_eq(wispi_feed_steps_per_epoch(feed), steps);
    for (int64_t step = 0; step < 2 * steps; step++) {
        wispi_feed_batch *b = next_batch(feed);
        if (step % steps == 0)
            expected = 0;
        for (int64_t k = 0; k < b->size; k++)
            ck_assert_int_eq(b->index[k], expected++);
        wispi_feed_release(feed, b);
        if (step % steps == steps - 1)
            ck_assert_int_eq(expected, n);
    }
    wispi_feed_destroy(feed);
}

START_TEST(evaluation_goes_in_order)
{
    for (int w = 0; w < WORKER_COUNTS; w++) {
        check_in_order(evaluation(&plain_data, 10, worker_counts[w]), 53);
        check_in_order(evaluation(&plain_data, 100, worker_counts[w]), 53);
        wispi_feed_options o = evaluation(&plain_data, 10, worker_counts[w]);
        o.subset = 12;
        check_in_order(o, 12);
        o.subset = 1000;
        check_in_order(o, 53);
    }
}
END_TEST

/* A rank without samples in the last step still gets a batch, so that all ranks take as many. */
START_TEST(a_rank_may_get_nothing)
{
    fake_data d = plain_data;
    d.count = 9;
    for (int w = 0; w < WORKER_COUNTS; w++) {
        wispi_feed_options o = evaluation(&d, 4, worker_counts[w]);
        o.world = 2;
        o.rank = 1;
        wispi_feed *feed = open_feed(&o);
        for (int i = 0; i < 20; i++) {
            wispi_feed_batch *b = next_batch(feed);
            ck_assert_int_eq(b->step, i % 2);
            ck_assert_int_eq(b->size, i % 2 ? 0 : 4);
            wispi_feed_release(feed, b);
        }
        wispi_feed_destroy(feed);
        d.count = 3; /* nothing ever */
        feed = open_feed(&o);
        for (int i = 0; i < 10; i++) {
            wispi_feed_batch *b = next_batch(feed);
            ck_assert_int_eq(b->size, 0);
            ck_assert_int_eq(b->epoch, i);
            wispi_feed_release(feed, b);
        }
        wispi_feed_destroy(feed);
        d.count = 9;
    }
}
END_TEST

/* --- views without a sampler --- */

START_TEST(evaluation_views_are_normalised_and_placed)
{
    fake_data d = {.count = 1, .n_classes = 0, .side = 20};
    wispi_feed_options o = evaluation(&d, 1, 0);
    wispi_feed *feed = open_feed(&o);
    wispi_feed_batch *b = next_batch(feed);
    /* Shorter side 20 to 10, the middle 8: from 2 to 18 in source pixels. */
    static const float box[4] = {2, 2, 16, 16};
    ck_assert_mem_eq(b->boxes, box, sizeof box);
    ck_assert_float_eq(b->flip[0], 0);
    ck_assert_ptr_null(b->label);
    wispi_feed_destroy(feed);

    /* Resize 0 squashes; at the picture's own size nothing is resampled at all. */
    o.eval_resize = 0;
    o.eval_size = 20;
    feed = open_feed(&o);
    b = next_batch(feed);
    const float *values = b->groups[0];
    for (int i = 0; i < 20 * 20 * 3; i++) {
        float expected = ((float)(i % 256) / 255.0f - o.mean[i % 3]) / o.std[i % 3];
        ck_assert_float_eq_tol(values[i], expected, 1e-5f);
    }
    wispi_feed_destroy(feed);
}
END_TEST

START_TEST(plain_crops_keep_to_their_range)
{
    fake_data d = {.count = 400, .n_classes = 2, .side = 64};
    wispi_feed_options o = evaluation(&d, 50, 2);
    o.crop_scale[0] = 0.25;
    o.crop_scale[1] = 0.5;
    wispi_feed *feed = open_feed(&o);
    int64_t flips = 0, expected = 0;
    float first[4];
    for (int step = 0; step < 8; step++) {
        wispi_feed_batch *b = next_batch(feed);
        for (int64_t k = 0; k < b->size; k++) {
            const float *box = b->boxes + 4 * k;
            float share = box[2] * box[3] / (64.0f * 64.0f);
            ck_assert_float_gt(share, 0.23f);
            ck_assert_float_lt(share, 0.52f);
            ck_assert_float_le(box[0] + box[2], 64);
            ck_assert_float_le(box[1] + box[3], 64);
            flips += b->flip[k] == 1;
            ck_assert_int_eq(b->index[k], expected++);
        }
        if (step == 0)
            memcpy(first, b->boxes, sizeof first);
        wispi_feed_release(feed, b);
    }
    ck_assert_int_gt(flips, 150);
    ck_assert_int_lt(flips, 250);
    wispi_feed_batch *again = next_batch(feed); /* the next epoch crops otherwise */
    ck_assert_int_eq(again->index[0], 0);
    ck_assert_mem_ne(again->boxes, first, sizeof first);
    wispi_feed_destroy(feed);
}
END_TEST

/* --- holding --- */

START_TEST(held_batches_stay_as_they_are)
{
    uint64_t expected[STEPS * EPOCHS];
    straight(expected);
    for (int w = 0; w < WORKER_COUNTS; w++) {
        wispi_feed_options o = training(&plain_data, 8, worker_counts[w]);
        wispi_feed *feed = open_feed(&o);
        wispi_feed_batch *kept = next_batch(feed), *none = NULL;
        wisp_error err = {0};
        /* The first one is never given back while others come and go. */
        for (int i = 1; i < STEPS * EPOCHS; i++) {
            wispi_feed_batch *b = next_batch(feed);
            ck_assert_uint_eq(batch_hash(feed, b), expected[i]);
            ck_assert_int_eq(wispi_feed_next(feed, &none, &err), WISP_E_STATE);
            ck_assert_ptr_null(none);
            wispi_feed_release(feed, b);
            wispi_feed_release(feed, b); /* twice does no harm */
        }
        wispi_feed_release(feed, NULL);
        seek(feed, 1, 2);
        wispi_feed_batch *b = next_batch(feed);
        ck_assert_uint_eq(batch_hash(feed, b), expected[STEPS + 2]);
        ck_assert_uint_eq(batch_hash(feed, kept), expected[0]);
        wispi_feed_destroy(feed);
    }
}
END_TEST

START_TEST(feeds_end_whenever_they_are_told)
{
    for (int round = 0; round < 60; round++) {
        wispi_feed_options o = training(&plain_data, 8, round % 8);
        wispi_feed *feed = open_feed(&o);
        uint64_t hash;
        if (round % 3 == 1)
            take_hashes(feed, &hash, 1);
        if (round % 3 == 2)
            next_batch(feed);
        wispi_feed_destroy(feed);
    }
    wispi_feed_destroy(NULL);
}
END_TEST

/* --- bad samples --- */

static struct {
    atomic_int lines;
    char last[4096];
    int per_index[5000];
} logged;

static void log_sink(void *user, int32_t level, const char *line)
{
    (void)user;
    const char *number = strstr(line, "apple-");
    if (level == WISP_LOG_WARNING && number) {
        logged.lines++;
        logged.per_index[atoi(number + strlen("apple-"))]++;
        snprintf(logged.last, sizeof logged.last, "%s", line);
    }
}

/* Five of 5,000 is exactly 0.1 %. */
static const fake_data some_bad = {.count = 5000,
                                   .n_classes = 2,
                                   .side = 8,
                                   .bad = {0, 17, 900, 901, 4999},
                                   .n_bad = 5,
                                   .status = WISP_E_DATA};

static void take_with_bad(int32_t workers, uint64_t hashes[20])
{
    memset(&logged, 0, sizeof logged);
    wispi_feed_options o = training(&some_bad, 500, workers);
    wispi_feed *feed = open_feed(&o);
    int seen[5000] = {0};
    for (int i = 0; i < 20; i++) {
        wispi_feed_batch *b = next_batch(feed);
        hashes[i] = batch_hash(feed, b);
        for (int64_t k = 0; k < b->size; k++)
            seen[b->index[k]]++;
        wispi_feed_release(feed, b);
    }
    ck_assert_int_eq(wispi_feed_bad_samples(feed), 5);
    ck_assert_int_eq(logged.lines, 5);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(seen[some_bad.bad[i]], 0);
        ck_assert_int_eq(logged.per_index[some_bad.bad[i]], 1);
    }
    ck_assert_ptr_nonnull(strstr(logged.last, "rotten apple"));
    int once_an_epoch = 0;
    for (int i = 0; i < 5000; i++)
        once_an_epoch += seen[i] == 2;
    ck_assert_int_ge(once_an_epoch, 4990); /* at most five stand in for others */
    wispi_feed_destroy(feed);
}

START_TEST(bad_samples_are_replaced)
{
    uint64_t expected[20], hashes[20];
    wispi_log_set_sink(log_sink, NULL);
    take_with_bad(0, expected);
    for (int w = 1; w < WORKER_COUNTS; w++) {
        take_with_bad(worker_counts[w], hashes);
        ck_assert_mem_eq(hashes, expected, sizeof hashes);
    }
    wispi_log_set_sink(NULL, NULL);
}
END_TEST

/* Takes batches until the feed fails, and checks that it goes on failing. */
static void expect_failure(const wispi_feed_options *options, wisp_status expected,
                           const char *words)
{
    wispi_feed *feed = open_feed(options);
    wispi_feed_batch *batch = NULL;
    wisp_error err = {0};
    wisp_status status = WISP_OK;
    for (int i = 0; i < 50 && status == WISP_OK; i++) {
        status = wispi_feed_next(feed, &batch, &err);
        if (status == WISP_OK)
            wispi_feed_release(feed, batch);
    }
    ck_assert_msg(status == expected && err.code == expected, "%s: %s", wisp_status_name(status),
                  err.message);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
    batch = NULL;
    ck_assert_int_eq(wispi_feed_next(feed, &batch, &err), expected);
    ck_assert_ptr_null(batch);
    ck_assert_int_eq(wispi_feed_next(feed, &batch, NULL), expected);
    seek(feed, 0, 0);
    ck_assert_int_eq(wispi_feed_next(feed, &batch, &err), expected);
    wispi_feed_destroy(feed);
}

START_TEST(too_many_bad_samples_end_the_run)
{
    wispi_log_set_sink(log_sink, NULL);
    for (int w = 0; w < WORKER_COUNTS; w++) {
        fake_data d = some_bad;
        d.count = 4999; /* four bad ones are left: below 0.1 % */
        d.n_bad = 4;
        uint64_t hashes[9];
        wispi_feed_options o = training(&d, 500, worker_counts[w]);
        wispi_feed *feed = open_feed(&o);
        take_hashes(feed, hashes, 9);
        wispi_feed_destroy(feed);
        d.count = 3999; /* four of 3,999 is more */
        expect_failure(&o, WISP_E_DATA, "4 of 3999 samples are unusable, more than 0.1 %");
        o.bad_share = 0.0011;
        feed = open_feed(&o);
        for (int i = 0; i < 3; i++)
            take_hashes(feed, hashes, 9);
        ck_assert_int_eq(wispi_feed_bad_samples(feed), 4);
        wispi_feed_destroy(feed);
        o.bad_share = 0;
        expect_failure(&o, WISP_E_DATA, "1 of 3999 samples are unusable, more than 0 %");
        d.count = 100;
        o.batch = 20;
        expect_failure(&o, WISP_E_DATA, "apple-");
    }
    wispi_log_set_sink(NULL, NULL);
}
END_TEST

START_TEST(other_failures_end_the_run)
{
    for (int w = 0; w < WORKER_COUNTS; w++) {
        fake_data d = some_bad;
        wispi_feed_options o = training(&d, 500, worker_counts[w]);
        d.status = WISP_E_IO;
        expect_failure(&o, WISP_E_IO, "rotten apple");
        d.silent = 1;
        expect_failure(&o, WISP_E_IO, wisp_status_text(WISP_E_IO));
        d = plain_data;
        o.batch = 8;
        d.wrong_label = 1;
        expect_failure(&o, WISP_E_PLUGIN, "label 5 of 5 classes");
        d.wrong_label = 0;
        d.wrong_memory = 1;
        expect_failure(&o, WISP_E_PLUGIN, "memory it was lent");
        d.wrong_memory = 0;
        d.wrong_bytes = 1;
        expect_failure(&o, WISP_E_PLUGIN, "do not fit");
        d.wrong_bytes = 0;
        fake_sampler s = {.wrong_size = 1};
        o.sampler_self = &s;
        expect_failure(&o, WISP_E_PLUGIN, "view 2 is not of group \"small\"");
        s = (fake_sampler){.wrong_box = 1};
        expect_failure(&o, WISP_E_PLUGIN, "has the box");
        s = (fake_sampler){.too_few = 1};
        expect_failure(&o, WISP_E_PLUGIN, "plan has 4 views");
    }
}
END_TEST

/* --- refusals --- */

static void refuse(const wispi_feed_options *options, wisp_status expected, const char *words)
{
    wispi_feed *feed = NULL;
    wisp_error err = {0};
    wisp_status status = wispi_feed_create(options, &feed, &err);
    ck_assert_msg(status == expected, "%s: %s", wisp_status_name(status), err.message);
    ck_assert_ptr_null(feed);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
}

START_TEST(impossible_feeds_are_refused)
{
    fake_data d = plain_data;
    wispi_feed_options o = training(&d, 54, 2), base = training(&d, 8, 2);
    refuse(&o, WISP_E_CONFIG, "run.batch = 54 is larger than the data set, which has 53 images");
    o = training(&d, 27, 2);
    o.world = 2;
    refuse(&o, WISP_E_CONFIG, "run.batch = 54 is larger");
    o = training(&d, 0, 2);
    refuse(&o, WISP_E_CONFIG, "a batch of 0 samples");
    o = base;
    o.rank = 1;
    refuse(&o, WISP_E_INVALID, "rank 1 of 1");
    o = base;
    o.dtype = WISP_I64;
    refuse(&o, WISP_E_DTYPE, "f32 or bf16");
    o = base;
    fake_sampler none = {.no_groups = 1};
    o.sampler_self = &none;
    refuse(&o, WISP_E_PLUGIN, "0 view groups");
    o = evaluation(&d, 8, 2);
    o.eval_size = 11;
    refuse(&o, WISP_E_INVALID, "crops 11 pixels out of a shorter side of 10");
    o = evaluation(&d, 8, 2);
    o.eval_size = 5000;
    refuse(&o, WISP_E_INVALID, "5000 x 5000");
    o = evaluation(&d, 8, 2);
    o.crop_scale[1] = 1.5;
    refuse(&o, WISP_E_INVALID, "crops of 0 to 1.5");
    d.count = 0;
    refuse(&base, WISP_E_DATA, "empty");
    o = evaluation(&d, 8, 0);
    refuse(&o, WISP_E_DATA, "empty");
}
END_TEST

/* Every allocation fails once; nothing leaks and the feed says so. */
START_TEST(survives_any_failing_allocation)
{
    for (int64_t nth = 1, reached = 1; reached && nth < 1000; nth++) {
        int64_t blocks = wispi_live_blocks();
        wispi_feed_options o = training(&plain_data, 8, 0);
        wispi_feed *feed = NULL;
        wispi_feed_batch *batch = NULL;
        wisp_error err = {0};
        wispi_fail_allocation(nth);
        wisp_status status = wispi_feed_create(&o, &feed, &err);
        if (status == WISP_OK)
            status = wispi_feed_next(feed, &batch, &err);
        reached = status != WISP_OK;
        ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "%s", err.message);
        ck_assert(!reached || err.message[0]);
        wispi_feed_destroy(feed);
        wispi_fail_allocation(-1);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 900);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feed");
    TCase *tests = tcase_create("feed");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, workers_do_not_matter);
    tcase_add_test(tests, turns_are_kept);
    tcase_add_test(tests, seek_equals_straight);
    tcase_add_test(tests, seek_refuses_what_is_not_there);
    tcase_add_test(tests, ranks_share_one_stream);
    tcase_add_test(tests, training_sees_every_sample_once);
    tcase_add_test(tests, evaluation_goes_in_order);
    tcase_add_test(tests, a_rank_may_get_nothing);
    tcase_add_test(tests, evaluation_views_are_normalised_and_placed);
    tcase_add_test(tests, plain_crops_keep_to_their_range);
    tcase_add_test(tests, held_batches_stay_as_they_are);
    tcase_add_test(tests, feeds_end_whenever_they_are_told);
    tcase_add_test(tests, bad_samples_are_replaced);
    tcase_add_test(tests, too_many_bad_samples_end_the_run);
    tcase_add_test(tests, other_failures_end_the_run);
    tcase_add_test(tests, impossible_feeds_are_refused);
    tcase_add_test(tests, survives_any_failing_allocation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
