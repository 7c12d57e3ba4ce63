/* test_feed_parts.c - a feed decodes only what its views show: the views must be those of whole
 * pictures under the same plans, with scaled decoding those of whole smaller pictures, for any
 * number of workers. And once warm it allocates nothing. */
#include "encoded_jpeg.h"

#include "base/memory.h"
#include "data/feed.h"
#include "data/sample_plan.h"
#include "image/decode.h"
#include "image/view_engine.h"
#include "wisp/crops.h"

enum { COUNT = ENCODED_KINDS, BATCH = 5, ORIENTATION = 6 };

/* --- a data set of encoded files --- */

typedef struct files {
    uint8_t *data[COUNT];
    size_t n[COUNT];
} files;

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

static wisp_status data_read(const void *self, int64_t index, wisp_sample_sink *sink,
                             wisp_sample *sample, wisp_error *err)
{
    const files *f = self;
    uint8_t *copy = sink->reserve(sink, f->n[index]);
    if (!copy)
        return wisp_fail(err, WISP_E_NOMEM, "no memory");
    memcpy(copy, f->data[index], f->n[index]);
    *sample = (wisp_sample){.form = WISP_SAMPLE_ENCODED, .data = copy, .bytes = f->n[index]};
    return WISP_OK;
}

static const wisp_dataset_v0 dataset = {.struct_size = sizeof dataset,
                                        .count = data_count,
                                        .n_classes = data_classes,
                                        .read = data_read};

/* Puts an EXIF segment with ORIENTATION behind the start marker. */
static uint8_t *with_orientation(uint8_t *data, size_t *n)
{
    static const uint8_t segment[] = {
        0xFF, 0xE1, 0,    34, 'E', 'x', 'i', 'f', 0, 0, 'I',         'I', 42, 0, 8, 0, 0, 0,
        1,    0,    0x12, 1,  3,   0,   1,   0,   0, 0, ORIENTATION, 0,   0,  0, 0, 0, 0, 0};
    uint8_t *longer = malloc(*n + sizeof segment);
    memcpy(longer, data, 2);
    memcpy(longer + 2, segment, sizeof segment);
    memcpy(longer + 2 + sizeof segment, data + 2, *n - 2);
    *n += sizeof segment;
    free(data);
    return longer;
}

static files make_files(void)
{
    files f;
    for (int i = 0; i < COUNT; i++) {
        f.data[i] = encoded_jpeg(&encoded_kinds[i], 150 + 7 * i, 260 - 9 * i, &f.n[i]);
        if (i % 3)
            f.data[i] = with_orientation(f.data[i], &f.n[i]);
    }
    return f;
}

static void free_files(files *f)
{
    for (int i = 0; i < COUNT; i++)
        free(f->data[i]);
}

/* --- a sampler of small crops --- */

static double small_scale[2] = {0.05, 0.6}, wide_ratio[2] = {0.5, 2.0};
static double sometimes[1] = {0.5}, sigmas[2] = {0.1, 2.0};

static wisp_crops crops_of(int scaled)
{
    const wisp_list scale = {2, small_scale}, p = {1, sometimes};
    return (wisp_crops){.global = {2, 24, scale, p, p},
                        .local = {3, 10, scale, p, p},
                        .ratio = {2, wide_ratio},
                        .photometry = {.blur_sigma = {2, sigmas},
                                       .blur_kind = WISP_PIXEL_BLUR,
                                       .flip = 0.5,
                                       .jitter = 0.5,
                                       .brightness = 0.4,
                                       .hue = 0.1},
                        .scaled_decode = scaled};
}

static wisp_status sampler_groups(const void *self, wisp_view_group *groups, int32_t *n,
                                  wisp_error *err)
{
    (void)err;
    wisp_crops_groups(self, groups, n);
    return WISP_OK;
}

static wisp_status sampler_plan(const void *self, const wisp_view_source *source,
                                wisp_view_plan *plan, wisp_error *err)
{
    return wisp_crops_plan(self, source, plan, err);
}

static const wisp_sampler_v0 sampler = {
    .struct_size = sizeof sampler, .groups = sampler_groups, .plan = sampler_plan};

static wispi_feed_options options_of(const files *f, const wisp_crops *crops, int upright,
                                     int workers)
{
    return (wispi_feed_options){.dataset = &dataset,
                                .dataset_self = f,
                                .sampler = &sampler,
                                .sampler_self = crops,
                                .seed = 11,
                                .batch = BATCH,
                                .world = 1,
                                .drop_last = 1,
                                .dtype = WISP_F32,
                                .mean = {0.5f, 0.4f, 0.3f},
                                .std = {0.2f, 0.25f, 0.3f},
                                .upright = upright,
                                .workers = workers};
}

static wispi_feed *open_feed(const wispi_feed_options *o)
{
    wispi_feed *feed = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_feed_create(o, &feed, &err) == WISP_OK, "%s", err.message);
    return feed;
}

/* --- views of whole pictures --- */

typedef struct oracle {
    const wispi_feed_options *options;
    const files *files;
    wispi_decoder *decoder;
    wispi_view_worker *worker;
    wispi_view_form form;
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups;
    int64_t views, smaller; /* compared; made of a smaller picture */
} oracle;

static oracle open_oracle(const wispi_feed_options *options, const wispi_feed *feed)
{
    oracle o = {.options = options, .files = options->dataset_self};
    o.n_groups = wispi_feed_groups(feed, o.groups);
    o.form.form = WISPI_VIEW_F32;
    memcpy(o.form.mean, options->mean, sizeof o.form.mean);
    memcpy(o.form.std, options->std, sizeof o.form.std);
    ck_assert_int_eq(wispi_decoder_create(&o.decoder, NULL), WISP_OK);
    ck_assert_int_eq(wispi_view_worker_create(&o.worker, NULL), WISP_OK);
    return o;
}

static void close_oracle(oracle *o)
{
    wispi_view_worker_destroy(o->worker);
    wispi_decoder_destroy(o->decoder);
}

static int32_t nearest(int32_t at, int shrink)
{
    return (int32_t)floor((double)at / shrink + 0.5);
}

static wisp_box scaled_box(wisp_box b, int shrink)
{
    const int32_t x = nearest(b.x, shrink), y = nearest(b.y, shrink);
    return (wisp_box){x, y, nearest(b.x + b.w, shrink) - x, nearest(b.y + b.h, shrink) - y};
}

/* The largest scale at which no view has to be enlarged. */
static int wanted_shrink(const wisp_view_plan *plan)
{
    for (int shrink = plan->flags & WISP_PLAN_SCALED_DECODE ? 8 : 1; shrink > 1; shrink /= 2) {
        int fits = 1;
        for (int32_t v = 0; v < plan->n_views; v++) {
            const wisp_box b = scaled_box(plan->views[v].box, shrink);
            fits &= b.w >= plan->views[v].out_w && b.h >= plan->views[v].out_h;
        }
        if (fits)
            return shrink;
    }
    return 1;
}

static void compare_view(oracle *o, const wispi_image *image, wisp_view_spec spec,
                         const float *made)
{
    const size_t bytes = wispi_view_bytes(spec.out_w, spec.out_h, WISPI_VIEW_F32);
    float *view = malloc(bytes);
    wisp_error err = {0};
    ck_assert_msg(wispi_view_run(o->worker, image, &spec, &o->form, view, &err) == WISP_OK, "%s",
                  err.message);
    ck_assert_mem_eq(made, view, bytes);
    free(view);
    o->views++;
}

/* Sample k of a batch. */
static void compare_sample(oracle *o, const wispi_feed_batch *batch, int64_t k)
{
    static wisp_view_plan plan;
    const int64_t index = batch->index[k];
    wispi_picture picture = {0, 0, 0};
    wispi_part whole;
    ck_assert_int_eq(wispi_decode_open(o->decoder, o->files->data[index], o->files->n[index],
                                       o->options->upright, &picture, NULL),
                     WISP_OK);
    ck_assert_int_eq(wispi_sample_plan(o->options, o->groups, o->n_groups, picture.width,
                                       picture.height, batch->epoch, index, &plan, NULL),
                     WISP_OK);
    const int shrink = wanted_shrink(&plan);
    const wisp_box all = {0, 0, (picture.width + shrink - 1) / shrink,
                          (picture.height + shrink - 1) / shrink};
    ck_assert_int_eq(wispi_decode_part(o->decoder, &all, shrink, &whole, NULL), WISP_OK);
    o->smaller += shrink > 1;
    for (int32_t v = 0, of_group = 0; v < plan.n_views; v++, of_group++) {
        wisp_view_spec spec = plan.views[v];
        of_group = v && plan.views[v - 1].group != spec.group ? 0 : of_group;
        const float *made = batch->groups[spec.group];
        const float *box = batch->boxes + (v * batch->size + k) * 4;
        ck_assert_int_eq((int)box[0], spec.box.x); /* in pixels of the source, whatever the scale */
        ck_assert_int_eq((int)box[2], spec.box.w);
        spec.box = scaled_box(spec.box, shrink);
        made += (of_group * batch->size + k) * spec.out_w * spec.out_h * 3;
        compare_view(o, &whole.image, spec, made);
    }
}

static wispi_feed_batch *next_batch(wispi_feed *feed)
{
    wispi_feed_batch *batch = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_feed_next(feed, &batch, &err) == WISP_OK, "%s", err.message);
    return batch;
}

static void compare_feed(int scaled, int upright, int workers)
{
    files f = make_files();
    const wisp_crops crops = crops_of(scaled);
    const wispi_feed_options options = options_of(&f, &crops, upright, workers);
    wispi_feed *feed = open_feed(&options);
    oracle o = open_oracle(&options, feed);
    for (int step = 0; step < 3 * COUNT / BATCH; step++) {
        wispi_feed_batch *batch = next_batch(feed);
        for (int64_t k = 0; k < batch->size; k++)
            compare_sample(&o, batch, k);
        wispi_feed_release(feed, batch);
    }
    ck_assert_int_eq(o.views, 3 * COUNT * 5);
    ck_assert(scaled ? o.smaller > COUNT / 2 : o.smaller == 0);
    close_oracle(&o);
    wispi_feed_destroy(feed);
    free_files(&f);
}

START_TEST(views_of_parts_are_those_of_wholes)
{
    compare_feed(0, 0, 0);
    compare_feed(0, 1, 3);
}
END_TEST

START_TEST(scaled_views_are_those_of_smaller_wholes)
{
    compare_feed(1, 0, 3);
    compare_feed(1, 1, 0);
}
END_TEST

static void take(wispi_feed *feed, int n)
{
    for (int i = 0; i < n; i++)
        wispi_feed_release(feed, next_batch(feed));
}

/* The second time over the same epochs, when all sizes have been seen. */
START_TEST(a_warm_feed_allocates_nothing)
{
    files f = make_files();
    const wisp_crops crops = crops_of(0);
    const wispi_feed_options options = options_of(&f, &crops, 1, 0);
    wispi_feed *feed = open_feed(&options);
    take(feed, 10 * COUNT / BATCH);
    ck_assert_int_eq(wispi_feed_seek(feed, 0, 0, NULL), WISP_OK);
    const int64_t settled = wispi_allocation_count();
    take(feed, 10 * COUNT / BATCH);
    ck_assert_int_eq(wispi_allocation_count(), settled);
    wispi_feed_destroy(feed);
    free_files(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feed_parts");
    TCase *tests = tcase_create("feed_parts");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, views_of_parts_are_those_of_wholes);
    tcase_add_test(tests, scaled_views_are_those_of_smaller_wholes);
    tcase_add_test(tests, a_warm_feed_allocates_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
