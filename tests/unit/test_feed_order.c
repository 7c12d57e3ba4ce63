/* test_feed_order.c - batches of a data set with an order of its own: as with the host's order,
 * they depend neither on workers nor on where a run begins nor on how many ranks share the work. */
#include "base/hash.h"
#include "data/feed.h"
#include "dataset_fixture.h"

/* --- a data set of shards, and a sampler --- */

static const char *const sources[] = {"tests/data/webdataset/train-*.tar",
                                      "tests/golden/webdataset/gz-*.tar.gz"};

enum { SAMPLES = 24, STEPS = 6, EPOCHS = 3, BATCHES = STEPS * EPOCHS, VIEWS = 3 };

static void copy_shards(int gz)
{
    char command[256];
    make_folder();
    snprintf(command, sizeof command, "cp %s %s", sources[gz], folder);
    ck_assert_int_eq(system(command), 0);
}

/* One process: its data set, its sampler and its feed. */
typedef struct process {
    set_under_test set;
    plugin_fixture sampler;
    wispi_feed *feed;
} process;

static wispi_feed_options options_of(process *p, int64_t batch, int32_t workers)
{
    const char *toml = "use = \"multicrop\"\n"
                       "global = { count = 2, size = 8, scale = [0.3, 1.0] }\n"
                       "local = { count = 1, size = 4, scale = [0.1, 0.3] }";
    open_set(&p->set, toml_of("webdataset", "shuffle = 9"));
    const wisp_sampler_v0 *sampler = plugin_fixture_open(&p->sampler, "sampler", toml);
    return (wispi_feed_options){.dataset = p->set.vtable,
                                .dataset_self = p->set.self,
                                .sampler = sampler,
                                .sampler_self = p->sampler.instance.self,
                                .seed = 11,
                                .batch = batch,
                                .world = 1,
                                .drop_last = 1,
                                .dtype = WISP_F32,
                                .std = {1, 1, 1},
                                .workers = workers};
}

static void start(process *p, const wispi_feed_options *o)
{
    wisp_error err = {0};
    ck_assert_msg(wispi_feed_create(o, &p->feed, &err) == WISP_OK, "%s", err.message);
}

static void begin(process *p, int64_t batch, int32_t workers)
{
    const wispi_feed_options o = options_of(p, batch, workers);
    start(p, &o);
}

static void end(process *p)
{
    wispi_feed_destroy(p->feed);
    plugin_fixture_close(&p->sampler);
    close_set(&p->set);
}

static wispi_feed_batch *next_batch(const process *p)
{
    wisp_error err = {0};
    wispi_feed_batch *batch = NULL;
    ck_assert_msg(wispi_feed_next(p->feed, &batch, &err) == WISP_OK, "%s", err.message);
    return batch;
}

/* Of sample k: its index, its label and its views. */
static uint64_t sample_hash(const wispi_feed_batch *b, int64_t k)
{
    static const int64_t sides[VIEWS] = {8, 8, 4};
    uint64_t hash = wispi_hash64(&b->index[k], sizeof b->index[k], 1);
    hash = wispi_hash64(&b->label[k], sizeof b->label[k], hash);
    for (int v = 0; v < VIEWS; v++) {
        const size_t values = (size_t)(sides[v] * sides[v] * 3);
        const float *group = b->groups[v == 2];
        const size_t at = ((size_t)(v % 2) * (size_t)b->size + (size_t)k) * values;
        hash = wispi_hash64(group + at, values * sizeof(float), hash);
    }
    return hash;
}

/* The stream of samples from where the feed stands. */
static void take(const process *p, uint64_t *hashes, int n_batches)
{
    for (int i = 0; i < n_batches; i++) {
        wispi_feed_batch *b = next_batch(p);
        for (int64_t k = 0; k < b->size; k++)
            *hashes++ = sample_hash(b, k);
        wispi_feed_release(p->feed, b);
    }
}

enum { STREAM = SAMPLES * EPOCHS };

static void straight(uint64_t hashes[STREAM])
{
    process p;
    begin(&p, 4, 0);
    ck_assert_int_eq(wispi_feed_steps_per_epoch(p.feed), STEPS);
    take(&p, hashes, BATCHES);
    end(&p);
}

/* --- the tests, each with plain and with compressed shards --- */

START_TEST(workers_do_not_matter)
{
    static const int32_t workers[] = {1, 2, 7};
    uint64_t expected[STREAM], hashes[STREAM];
    copy_shards(_i);
    straight(expected);
    for (int w = 0; w < 3; w++) {
        process p;
        begin(&p, 4, workers[w]);
        take(&p, hashes, BATCHES);
        ck_assert_mem_eq(hashes, expected, sizeof expected);
        end(&p);
    }
    remove_folder();
}
END_TEST

/* In the process that runs, and in a new one. */
START_TEST(a_run_may_begin_anywhere)
{
    uint64_t expected[STREAM], hashes[STREAM];
    wisp_error err = {0};
    copy_shards(_i);
    straight(expected);
    process old;
    begin(&old, 4, 2);
    for (int from = 0; from < BATCHES - 3; from++) {
        const int at = from * 7 % (BATCHES - 3);
        process new;
        begin(&new, 4, 2);
        process *both[] = {&old, &new};
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(wispi_feed_seek(both[i]->feed, at / STEPS, at % STEPS, &err), WISP_OK);
            take(both[i], hashes, 3);
            ck_assert_mem_eq(hashes, expected + 4 * at, 3 * 4 * sizeof *hashes);
        }
        end(&new);
    }
    end(&old);
    remove_folder();
}
END_TEST

static void compare_world(int32_t world, const uint64_t expected[STREAM])
{
    process parts[4];
    uint64_t hashes[STREAM], *to = hashes;
    for (int32_t rank = 0; rank < world; rank++) {
        wispi_feed_options o = options_of(&parts[rank], 4 / world, 1 + rank % 2);
        o.world = world;
        o.rank = rank;
        start(&parts[rank], &o);
    }
    for (int i = 0; i < BATCHES; i++)
        for (int32_t rank = 0; rank < world; rank++, to += 4 / world)
            take(&parts[rank], to, 1);
    ck_assert_mem_eq(hashes, expected, sizeof hashes);
    for (int32_t rank = 0; rank < world; rank++)
        end(&parts[rank]);
}

START_TEST(ranks_share_one_stream)
{
    uint64_t expected[STREAM];
    copy_shards(_i);
    straight(expected);
    compare_world(2, expected);
    compare_world(4, expected);
    remove_folder();
}
END_TEST

START_TEST(every_sample_once_an_epoch)
{
    process p;
    int64_t former[SAMPLES] = {0};
    int moved = 0;
    copy_shards(_i);
    begin(&p, 4, 2);
    for (int epoch = 0; epoch < 5; epoch++) {
        int seen[SAMPLES] = {0};
        for (int at = 0; at < SAMPLES; at += 4) {
            wispi_feed_batch *b = next_batch(&p);
            for (int k = 0; k < 4; k++) {
                seen[b->index[k]]++;
                moved += epoch > 0 && former[at + k] != b->index[k];
                former[at + k] = b->index[k];
            }
            wispi_feed_release(p.feed, b);
        }
        for (int i = 0; i < SAMPLES; i++)
            ck_assert_int_eq(seen[i], 1);
    }
    ck_assert_int_gt(moved, 4 * SAMPLES / 2);
    end(&p);
    remove_folder();
}
END_TEST

/* --- evaluation has the data set's order of storage, and a part of it the host's --- */

START_TEST(evaluation_and_parts_do_without)
{
    process p;
    copy_shards(_i);
    wispi_feed_options o = options_of(&p, 4, 2);
    o.subset = 20;
    start(&p, &o);
    for (int64_t at = 0; at < 20; at += 4) {
        wispi_feed_batch *b = next_batch(&p);
        for (int64_t k = 0; k < 4; k++)
            ck_assert_int_eq(b->index[k], wispi_order_at(11, 0, 20, at + k));
        wispi_feed_release(p.feed, b);
    }
    wispi_feed_destroy(p.feed);
    o.sampler = NULL;
    o.subset = 0;
    o.eval_resize = o.eval_size = 8;
    start(&p, &o);
    for (int64_t at = 0; at < SAMPLES; at += 4) {
        wispi_feed_batch *b = next_batch(&p);
        for (int64_t k = 0; k < 4; k++)
            ck_assert_int_eq(b->index[k], at + k);
        wispi_feed_release(p.feed, b);
    }
    end(&p);
    remove_folder();
}
END_TEST

/* --- orders that lie --- */

static int64_t lie;

static int64_t lying_order(const void *self, wisp_rng_key key, int64_t position)
{
    (void)self;
    (void)key;
    return position == 6 ? lie : position;
}

START_TEST(an_order_that_lies_is_refused)
{
    static const int64_t lies[] = {-1, SAMPLES, INT64_MAX, INT64_MIN};
    copy_shards(0);
    for (int i = 0; i < 4; i++) {
        for (int32_t workers = 0; workers < 3; workers++) {
            process p;
            wisp_error err = {0};
            wispi_feed_batch *batch = NULL;
            wispi_feed_options o = options_of(&p, 4, workers);
            wisp_dataset_v0 liar = *p.set.vtable;
            liar.order = lying_order;
            o.dataset = &liar;
            lie = lies[i];
            start(&p, &o);
            wisp_status status = WISP_OK;
            for (int step = 0; status == WISP_OK && step < 2; step++) {
                status = wispi_feed_next(p.feed, &batch, &err);
                if (status == WISP_OK)
                    wispi_feed_release(p.feed, batch);
            }
            ck_assert_int_eq(status, WISP_E_PLUGIN);
            ck_assert_ptr_nonnull(strstr(err.message, "the data set's own order names sample"));
            end(&p);
        }
    }
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feed_order");
    TCase *tests = tcase_create("feed_order");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, workers_do_not_matter, 0, 2);
    tcase_add_loop_test(tests, a_run_may_begin_anywhere, 0, 2);
    tcase_add_loop_test(tests, ranks_share_one_stream, 0, 2);
    tcase_add_loop_test(tests, every_sample_once_an_epoch, 0, 2);
    tcase_add_loop_test(tests, evaluation_and_parts_do_without, 0, 2);
    tcase_add_test(tests, an_order_that_lies_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
