/* test_shared_draws.c - what two arms with the same seed have in common: the order of the data, and
 * of each view the draws that do not depend on how it is cut. */
#include "data/feed.h"
#include "dataset_fixture.h"
#include "sampler_fixture.h"

static const char *const multicrop = "use = \"multicrop\"\n"
                                     "global = { count = 2, size = 16, scale = [0.3, 1.0] }\n"
                                     "local = { count = 2, size = 8, scale = [0.05, 0.3] }\n";
static const char *const sslight = "use = \"sslight\"\n"
                                   "global = { count = 2, size = 16, scale = [0.3, 1.0] }\n"
                                   "local = { count = 2, scale = [0.05, 0.3] }\n";
static const char *const three_local = "use = \"multicrop\"\n"
                                       "global = { count = 2, size = 24, scale = [0.2, 0.9] }\n"
                                       "local = { count = 3, size = 8, scale = [0.05, 0.3] }\n";

enum { SAMPLES = 40, BATCH = 8, BATCHES = 10 /* two epochs */ };

/* --- the order of the data --- */

static void read_order(const char *toml, uint64_t seed, int32_t workers, int64_t *order)
{
    set_under_test set;
    sampler_under_test sampler;
    wispi_feed *feed = NULL;
    wisp_error err = {0};
    open_set(&set, "use = \"synthetic\"\ncount = 40\nsize = 32");
    open_sampler(&sampler, toml);
    const wispi_feed_options o = {.dataset = set.vtable,
                                  .dataset_self = set.self,
                                  .sampler = sampler.vtable,
                                  .sampler_self = sampler.fixture.instance.self,
                                  .seed = seed,
                                  .batch = BATCH,
                                  .world = 1,
                                  .drop_last = 1,
                                  .dtype = WISP_F32,
                                  .std = {1, 1, 1},
                                  .workers = workers};
    ck_assert_msg(wispi_feed_create(&o, &feed, &err) == WISP_OK, "%s", err.message);
    for (int b = 0; b < BATCHES; b++) {
        wispi_feed_batch *batch = NULL;
        ck_assert_msg(wispi_feed_next(feed, &batch, &err) == WISP_OK, "%s", err.message);
        memcpy(order + (size_t)b * BATCH, batch->index, BATCH * sizeof *order);
        wispi_feed_release(feed, batch);
    }
    wispi_feed_destroy(feed);
    plugin_fixture_close(&sampler.fixture);
    close_set(&set);
}

START_TEST(samplers_share_the_order)
{
    int64_t a[2 * SAMPLES], b[2 * SAMPLES], c[2 * SAMPLES], d[2 * SAMPLES];
    read_order(multicrop, 7, 0, a);
    read_order(sslight, 7, 2, b);
    read_order(three_local, 7, 1, c);
    read_order(multicrop, 8, 0, d);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_mem_eq(a, c, sizeof a);
    ck_assert(memcmp(a, d, sizeof a) != 0);
    ck_assert(memcmp(a, a + SAMPLES, SAMPLES * sizeof *a) != 0);
}
END_TEST

/* --- draws of a view --- */

static int same_chain(const wisp_view_spec *a, const wisp_view_spec *b)
{
    if (a->flip != b->flip || a->n_ops != b->n_ops)
        return 0;
    for (int32_t i = 0; i < a->n_ops; i++)
        if (a->ops[i].kind != b->ops[i].kind || memcmp(&a->ops[i], &b->ops[i], sizeof a->ops[i]))
            return 0;
    return 1;
}

static int same_box(const wisp_view_spec *a, const wisp_view_spec *b)
{
    return memcmp(&a->box, &b->box, sizeof a->box) == 0;
}

/* How many of 500 images have views 0 .. 3 with the same chain, and with the same boxes. */
static void count_same(const char *one, const char *two, int chains[4], int boxes[4])
{
    static wisp_view_plan a, b;
    sampler_under_test x, y;
    open_sampler(&x, one);
    open_sampler(&y, two);
    for (uint64_t n = 0; n < 500; n++) {
        draw_plan(&x, 500, 375, n, &a);
        draw_plan(&y, 500, 375, n, &b);
        for (int v = 0; v < 4; v++) {
            chains[v] += same_chain(&a.views[v], &b.views[v]);
            boxes[v] += same_box(&a.views[v], &b.views[v]);
        }
    }
    plugin_fixture_close(&x.fixture);
    plugin_fixture_close(&y.fixture);
}

START_TEST(views_share_what_does_not_depend_on_the_cut)
{
    int chains[4] = {0}, boxes[4] = {0};
    count_same(multicrop, sslight, chains, boxes);
    for (int v = 0; v < 4; v++)
        ck_assert_msg(chains[v] == 500 && boxes[v] == 500, "view %d: %d chains, %d boxes", v,
                      chains[v], boxes[v]);
}
END_TEST

START_TEST(another_size_and_a_view_more_leave_the_rest)
{
    int chains[4] = {0}, boxes[4] = {0};
    count_same(multicrop, three_local, chains, boxes);
    for (int v = 0; v < 4; v++)
        ck_assert_int_eq(chains[v], 500);
    ck_assert_int_lt(boxes[0], 100); /* of another scale */
    ck_assert_int_eq(boxes[2], 500);
    ck_assert_int_eq(boxes[3], 500);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared_draws");
    TCase *group = tcase_create("shared_draws");
    tcase_add_test(group, samplers_share_the_order);
    tcase_add_test(group, views_share_what_does_not_depend_on_the_cut);
    tcase_add_test(group, another_size_and_a_view_more_leave_the_rest);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
