/* test_view_maker.c - views of photographs made by a device of a feed's plans, or normalised by it,
 * against those that the feed makes itself, under two samplers and as evaluation views.
 * WISP_TEST_DEVICE names the device, WISP_TEST_PHOTOS a folder of other photographs. */
#include <math.h>

#include "built_plugin.h"
#include "chosen_device.h"
#include "data/feed.h"
#include "tensor/transfer.h"
#include "train/view_maker.h"

static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};

enum { BATCH = 5, STEPS = 3 };

struct pair {
    wispi_feed *host, *plans;
    wispi_view_maker *maker;
    wispi_variable views[WISP_MAX_VIEW_GROUPS];
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups;
    int64_t values, differ;
    double largest; /* levels of 255 */
};

enum { AS_VIEWS, AS_PLANS, AS_BYTES };

static wispi_feed *open_feed(const wispi_instance *data, const wispi_instance *sampler, int how)
{
    wispi_feed_options o = {.dataset = data->plugin->descriptor->vtable,
                            .dataset_self = data->self,
                            .seed = 5,
                            .batch = BATCH,
                            .world = 1,
                            .dtype = WISP_F32,
                            .eval_resize = 40,
                            .eval_size = 32,
                            .workers = how == AS_VIEWS ? 0 : 3,
                            .as_plans = how != AS_VIEWS,
                            .as_bytes = how == AS_BYTES};
    wisp_error err = {0};
    wispi_feed *feed = NULL;
    if (sampler) {
        o.sampler = sampler->plugin->descriptor->vtable;
        o.sampler_self = sampler->self;
    }
    memcpy(o.mean, mean, sizeof mean);
    memcpy(o.std, std, sizeof std);
    ck_assert_msg(wispi_feed_create(&o, &feed, &err) == WISP_OK, "%s", err.message);
    return feed;
}

static void open_maker(struct pair *p, wispi_device *device)
{
    wispi_view_maker_options o = {.device = device,
                                  .groups = p->groups,
                                  .n_groups = p->n_groups,
                                  .batch = BATCH,
                                  .dtype = WISP_F32};
    wisp_error err = {0};
    memcpy(o.mean, mean, sizeof mean);
    memcpy(o.std, std, sizeof std);
    ck_assert_msg(wispi_view_maker_create(&o, &p->maker, &err) == WISP_OK, "%s", err.message);
    for (int32_t g = 0; g < p->n_groups; g++) {
        const wisp_view_group *group = &p->groups[g];
        const wisp_desc desc =
            wisp_desc4(WISP_F32, group->count * BATCH, group->height, group->width, 3);
        ck_assert_int_eq(wispi_variable_init(device, &p->views[g], "views", &desc, NULL, NULL),
                         WISP_OK);
    }
}

static void compare_group(struct pair *p, wispi_device *device, const wispi_feed_batch *batch,
                          int32_t g)
{
    const wisp_view_group *group = &p->groups[g];
    const int64_t n = group->count * batch->size * group->width * group->height * 3;
    float *made = malloc((size_t)n * sizeof *made);
    const float *wanted = batch->groups[g];
    ck_assert_int_eq(
        wispi_device_read(device, made, p->views[g].data, (size_t)n * sizeof *made, NULL), WISP_OK);
    for (int64_t i = 0; i < n; i++) {
        const double levels = fabs((double)made[i] - (double)wanted[i]) * (double)std[i % 3] * 255;
        if (!(levels <= p->largest)) /* NaN counts too */
            p->largest = levels;
        p->differ += made[i] != wanted[i];
    }
    p->values += n;
    free(made);
}

static void compare_batch(struct pair *p, wispi_device *device)
{
    wispi_feed_batch *host = NULL, *plans = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_feed_next(p->host, &host, &err) == WISP_OK, "%s", err.message);
    ck_assert_msg(wispi_feed_next(p->plans, &plans, &err) == WISP_OK, "%s", err.message);
    ck_assert_ptr_null(plans->groups[0]);
    ck_assert_int_eq(host->size, plans->size);
    ck_assert_mem_eq(host->index, plans->index, (size_t)host->size * sizeof *host->index);
    ck_assert_msg(wispi_view_maker_run(p->maker, plans, p->views, &err) == WISP_OK, "%s",
                  err.message);
    for (int32_t g = 0; g < p->n_groups; g++)
        compare_group(p, device, host, g);
    ck_assert_int_eq(wispi_device_sync(wispi_view_maker_device(p->maker), NULL), WISP_OK);
    wispi_feed_release(p->host, host);
    wispi_feed_release(p->plans, plans);
}

static void close_pair(struct pair *p, wispi_device *device)
{
    wispi_view_maker_destroy(p->maker);
    for (int32_t g = 0; g < p->n_groups; g++)
        wispi_variable_fini(device, &p->views[g]);
    wispi_feed_destroy(p->host);
    wispi_feed_destroy(p->plans);
}

/* `sampler` is its table; NULL: evaluation views. */
static void compare_how(const char *name, const char *sampler, int how)
{
    const char *photos = getenv("WISP_TEST_PHOTOS");
    char toml[2048];
    snprintf(toml, sizeof toml, "[data]\nuse = \"image_folder\"\npath = \"%s\"\n%s",
             photos ? photos : WISP_SOURCE_DIR "/tests/data/image_folder", sampler ? sampler : "");
    built_plugins plugins = built_plugins_open(toml);
    chosen_device chosen = chosen_device_open();
    const wispi_instance *data = built_plugin(&plugins, "dataset", "data");
    const wispi_instance *draws = sampler ? built_plugin(&plugins, "sampler", "sampler") : NULL;
    struct pair p = {.host = open_feed(data, draws, AS_VIEWS),
                     .plans = open_feed(data, draws, how)};
    p.n_groups = wispi_feed_groups(p.plans, p.groups);
    open_maker(&p, chosen.device);
    for (int step = 0; step < STEPS; step++)
        compare_batch(&p, chosen.device);
    printf("%s%s: %lld values, %lld differ, by %.2g levels at most\n", name,
           how == AS_BYTES ? " as bytes" : "", (long long)p.values, (long long)p.differ, p.largest);
    ck_assert_double_le(p.largest, how == AS_BYTES ? 0.0 : 1.0);
    ck_assert_int_gt(p.values, 0);
    close_pair(&p, chosen.device);
    chosen_device_close(&chosen);
    built_plugins_close(&plugins);
}

static void compare(const char *name, const char *sampler)
{
    compare_how(name, sampler, AS_PLANS);
    compare_how(name, sampler, AS_BYTES);
}

/* Sizes of real recipes where photographs of a real size are named. */
static void compare_crops(const char *use, const char *small, const char *real)
{
    char toml[512];
    snprintf(toml, sizeof toml, "[sampler]\nuse = \"%s\"\n%s\n", use,
             getenv("WISP_TEST_PHOTOS") ? real : small);
    compare(use, toml);
}

START_TEST(multicrop_is_the_hosts)
{
    compare_crops("multicrop",
                  "global = { count = 2, size = 48, blur = [1.0, 0.5], solarize = [0.5] }\n"
                  "local = { count = 3, size = 20 }",
                  "global = { count = 2, size = 224, blur = [1.0, 0.1], solarize = [0.0, 0.2] }\n"
                  "local = { count = 6, size = 96 }");
}
END_TEST

START_TEST(sslight_is_the_hosts)
{
    compare_crops("sslight",
                  "size_multiple = 4\nglobal = { count = 2, size = 40 }\nlocal = { count = 2 }",
                  "global = { count = 2, size = 224 }\nlocal = { count = 6 }");
}
END_TEST

START_TEST(scaled_decoding_is_the_hosts)
{
    compare_crops("multicrop",
                  "scaled_decode = true\nglobal = { count = 2, size = 6, scale = [0.5, 1.0] }\n"
                  "local = { count = 2, size = 3, scale = [0.3, 0.6] }",
                  "scaled_decode = true\nglobal = { count = 2, size = 96 }\n"
                  "local = { count = 0 }");
}
END_TEST

START_TEST(evaluation_is_the_hosts)
{
    compare("evaluation", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view maker");
    TCase *tests = tcase_create("views");
    tcase_set_timeout(tests, 250);
    tcase_add_test(tests, multicrop_is_the_hosts);
    tcase_add_test(tests, sslight_is_the_hosts);
    tcase_add_test(tests, scaled_decoding_is_the_hosts);
    tcase_add_test(tests, evaluation_is_the_hosts);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
