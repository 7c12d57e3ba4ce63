/* test_feed_pace.c - where a feed's time goes, and how far it works ahead. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "data/feed.h"
#include "data/feed_depth.h"

enum { SIDE = 8, COUNT = 64, BATCH = 8, STEPS = COUNT / BATCH };

/* A data set and a sampler that take their time, for one sample in `every` more of it. */
typedef struct slow_parts {
    int32_t read_us, plan_us;
    int32_t every, late_us;
} slow_parts;

static int64_t data_count(const void *self)
{
    (void)self;
    return COUNT;
}

static int32_t data_classes(const void *self)
{
    (void)self;
    return 0;
}

static int32_t data_label(const void *self, int64_t index)
{
    (void)self, (void)index;
    return -1;
}

static wisp_status data_read(const void *self, int64_t index, wisp_sample_sink *sink,
                             wisp_sample *sample, wisp_error *err)
{
    const slow_parts *s = self;
    uint8_t *rgb = sink->reserve(sink, SIDE * SIDE * 3);
    if (!rgb)
        return wisp_fail(err, WISP_E_NOMEM, "no memory");
    usleep((useconds_t)(s->every && index % s->every == 0 ? s->late_us : s->read_us));
    memset(rgb, (int)index, SIDE * SIDE * 3);
    *sample = (wisp_sample){.form = WISP_SAMPLE_RGB8,
                            .width = SIDE,
                            .height = SIDE,
                            .data = rgb,
                            .bytes = SIDE * SIDE * 3};
    return WISP_OK;
}

static const wisp_dataset_v0 dataset = {.struct_size = sizeof dataset,
                                        .count = data_count,
                                        .n_classes = data_classes,
                                        .label = data_label,
                                        .read = data_read};

static wisp_status sampler_groups(const void *self, wisp_view_group *groups, int32_t *n,
                                  wisp_error *err)
{
    (void)self, (void)err;
    groups[0] = (wisp_view_group){"only", 1, SIDE, SIDE, 0};
    *n = 1;
    return WISP_OK;
}

static wisp_status sampler_plan(const void *self, const wisp_view_source *source,
                                wisp_view_plan *plan, wisp_error *err)
{
    const slow_parts *s = self;
    (void)err;
    usleep((useconds_t)s->plan_us);
    wisp_view_spec *view = wisp_plan_add(plan);
    view->out_w = view->out_h = SIDE;
    view->box = (wisp_box){0, 0, source->width, source->height};
    return WISP_OK;
}

static const wisp_sampler_v0 sampler = {
    .struct_size = sizeof sampler, .groups = sampler_groups, .plan = sampler_plan};

static wispi_feed_options feed_of(const slow_parts *s, int32_t workers)
{
    return (wispi_feed_options){.dataset = &dataset,
                                .dataset_self = s,
                                .sampler = &sampler,
                                .sampler_self = s,
                                .seed = 1,
                                .batch = BATCH,
                                .world = 1,
                                .drop_last = 1,
                                .dtype = WISP_F32,
                                .std = {1, 1, 1},
                                .workers = workers};
}

static wispi_feed *open_feed(const wispi_feed_options *options)
{
    wispi_feed *feed = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_feed_create(options, &feed, &err) == WISP_OK, "%s", err.message);
    return feed;
}

static void take(wispi_feed *feed, int64_t n)
{
    wispi_feed_batch *batch = NULL;
    wisp_error err = {0};
    for (int64_t i = 0; i < n; i++) {
        ck_assert_msg(wispi_feed_next(feed, &batch, &err) == WISP_OK, "%s", err.message);
        wispi_feed_release(feed, batch);
    }
}

/* The waiting of the last `n` of all batches by a consumer that works on each of them for a while.
 */
static double consume(wispi_feed *feed, int64_t batches, int64_t n, int32_t work_us)
{
    double waited = 0;
    for (int64_t i = 0; i < batches; i++) {
        wispi_feed_batch *batch = NULL;
        wisp_error err = {0};
        ck_assert_msg(wispi_feed_next(feed, &batch, &err) == WISP_OK, "%s", err.message);
        waited += i >= batches - n ? batch->wait_seconds : 0;
        usleep((useconds_t)work_us);
        wispi_feed_release(feed, batch);
    }
    return waited;
}

static double sum(const wispi_view_clock *times)
{
    double seconds = 0;
    for (int32_t i = 0; i < WISPI_PHASES; i++) {
        ck_assert_double_ge(times->seconds[i], 0);
        seconds += times->seconds[i];
    }
    return seconds;
}

/* Sleep is booked where it happens, and nobody's time is counted twice. */
START_TEST(time_is_booked_by_phase)
{
    static const slow_parts slow = {2000, 1000, 0, 0};
    for (int32_t workers = 0; workers < 4; workers++) {
        wispi_feed_options o = feed_of(&slow, workers);
        o.timed = 1;
        const double begun = wispi_seconds();
        wispi_feed *feed = open_feed(&o);
        take(feed, STEPS);
        wispi_view_clock times;
        wispi_feed_times(feed, &times);
        const double passed = wispi_seconds() - begun;
        ck_assert_int_ge(times.samples, COUNT);
        const double n = (double)times.samples;
        ck_assert_double_ge(times.seconds[WISPI_PHASE_READ], 2e-3 * n);
        ck_assert_double_ge(times.seconds[WISPI_PHASE_PLAN], 1e-3 * n);
        ck_assert_double_eq(times.seconds[WISPI_PHASE_DECODE], 0);
        ck_assert_double_gt(times.seconds[WISPI_PHASE_RESAMPLE], 0);
        ck_assert_double_gt(times.seconds[WISPI_PHASE_NORMALISE], 0);
        ck_assert_double_le(sum(&times), passed * (workers ? workers : 1));
        wispi_feed_destroy(feed);
    }
}
END_TEST

START_TEST(nobody_times_unasked)
{
    static const slow_parts quick = {0, 0, 0, 0};
    for (int32_t workers = 0; workers < 2; workers++) {
        wispi_feed_options o = feed_of(&quick, workers);
        wispi_feed *feed = open_feed(&o);
        take(feed, STEPS);
        wispi_view_clock times;
        wispi_feed_times(feed, &times);
        ck_assert_int_eq(times.samples, 0);
        ck_assert_double_eq(sum(&times), 0);
        wispi_feed_destroy(feed);
    }
}
END_TEST

/* What the progress line calls data wait: all of the time where views are slow, none of it where
 * the consumer is. */
START_TEST(waiting_is_the_consumer_s)
{
    static const slow_parts slow = {2000, 0, 0, 0}, quick = {100, 0, 0, 0};
    for (int32_t workers = 0; workers < 3; workers++) {
        wispi_feed_options o = feed_of(&slow, workers);
        wispi_feed *feed = open_feed(&o);
        const double begun = wispi_seconds();
        const double waited = consume(feed, STEPS, STEPS, 0), passed = wispi_seconds() - begun;
        ck_assert_double_ge(waited, 0.8 * passed);
        ck_assert_double_le(waited, passed);
        wispi_feed_destroy(feed);
    }
    wispi_feed_options o = feed_of(&quick, 1);
    wispi_feed *feed = open_feed(&o);
    ck_assert_double_le(consume(feed, 3 * STEPS, 2 * STEPS, 20000), 0.2 * 2 * STEPS * 0.02);
    wispi_feed_destroy(feed);
}
END_TEST

/* --- how far ahead --- */

/* One sample in 32 takes as long as four steps; on average two workers need half of a step. The
 * machine may be busy with other things: three attempts. */
START_TEST(late_samples_are_caught_up_with)
{
    static const slow_parts jittery = {200, 0, 32, 40000};
    double fixed = 0, measured = 0;
    int32_t ahead = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        wispi_feed_options o = feed_of(&jittery, 2);
        o.prefetch = WISPI_DEPTH_FIRST;
        wispi_feed *feed = open_feed(&o);
        fixed = consume(feed, 100, 40, 10000);
        ck_assert_int_eq(wispi_feed_ahead(feed), WISPI_DEPTH_FIRST);
        wispi_feed_destroy(feed);
        o.prefetch = 0;
        feed = open_feed(&o);
        measured = consume(feed, 100, 40, 10000);
        ahead = wispi_feed_ahead(feed);
        wispi_feed_destroy(feed);
        if (ahead > WISPI_DEPTH_FIRST && measured < 0.5 * fixed)
            return;
    }
    ck_abort_msg("waited %g s with two batches ahead, %g s with %d", fixed, measured, ahead);
}
END_TEST

START_TEST(depth_keeps_to_its_memory)
{
    static const slow_parts jittery = {200, 0, 32, 40000};
    wispi_feed_options o = feed_of(&jittery, 2);
    o.memory_limit = 1;
    wispi_feed *feed = open_feed(&o);
    consume(feed, 40, 1, 10000);
    ck_assert_int_eq(wispi_feed_ahead(feed), WISPI_DEPTH_FIRST);
    wispi_feed_destroy(feed);
}
END_TEST

/* Batches every second; a late one came 0.2 s late. Returns how often a slot more was asked for. */
static int judge(int n, int (*is_late)(int), int (*is_idle)(int))
{
    wispi_feed_depth depth;
    double now = 1;
    int asked = 0;
    wispi_feed_depth_begin(&depth);
    for (int i = 0; i < n; i++, now += 1) {
        if (is_idle(i))
            wispi_feed_depth_idle(&depth);
        asked += wispi_feed_depth_take(&depth, now, is_late(i) ? 0.2 : 0);
    }
    return asked;
}

static int always(int i)
{
    return i >= 0;
}
static int never(int i)
{
    return i < 0;
}
static int seldom(int i)
{
    return i % 10 == 3;
}
static int once(int i)
{
    return i == 30;
}

START_TEST(only_what_helps_is_asked_for)
{
    ck_assert_int_eq(judge(640, never, always), 0);  /* the consumer is slow */
    ck_assert_int_eq(judge(640, always, never), 0);  /* the workers are slow */
    ck_assert_int_eq(judge(640, always, once), 0);   /* ... and rested once, as in an evaluation */
    ck_assert_int_gt(judge(640, seldom, always), 1); /* enough on average */
    ck_assert_int_gt(judge(640, always, always), 1); /* more workers than samples in the slots */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feed_pace");
    TCase *tests = tcase_create("pace");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, time_is_booked_by_phase);
    tcase_add_test(tests, nobody_times_unasked);
    tcase_add_test(tests, waiting_is_the_consumer_s);
    tcase_add_test(tests, late_samples_are_caught_up_with);
    tcase_add_test(tests, depth_keeps_to_its_memory);
    tcase_add_test(tests, only_what_helps_is_asked_for);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
