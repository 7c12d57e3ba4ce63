/* Gradients in buckets: cut so that they cover the block once, each on its way as soon as its
 * gradients are final and no sooner, while backward still runs. The other rank is made up: it has
 * twice this one's gradients. */
#include "model_fixture.h"
#include "nn/collective.h"
#include "nn/module.h"
#include "tensor/ranks.h"

enum { LAYERS = 5, DIM = 8, MOST = 64 };

typedef struct bucket {
    float *values;
    float sent[DIM * DIM * LAYERS * 4]; /* what was in them at the start */
    int64_t first, count;               /* in the block */
    int started, waited;                /* at which of all calls */
} bucket;

static struct {
    bucket buckets[MOST];
    const float *block;
    int n, clock, reduced;
} seen;

static wisp_status start(void *self, int32_t number, const void *in, void *out, int64_t count,
                         int32_t dtype, int32_t reduction, wisp_error *err)
{
    bucket *b = &seen.buckets[number];
    (void)self;
    (void)err;
    ck_assert_int_eq(number, seen.n);
    ck_assert_int_lt(number, MOST);
    ck_assert_ptr_eq(in, out);
    ck_assert_int_eq(dtype, WISP_F32);
    ck_assert_int_eq(reduction, WISP_REDUCE_OVER_RANKS_MEAN);
    ck_assert_int_le(count, (int64_t)WISP_COUNT(b->sent));
    b->values = out;
    b->first = b->values - seen.block;
    b->count = count;
    b->started = ++seen.clock;
    memcpy(b->sent, out, (size_t)count * sizeof *b->sent);
    seen.n++;
    return WISP_OK;
}

static wisp_status wait_for(void *self, int32_t number, wisp_error *err)
{
    bucket *b = &seen.buckets[number];
    (void)self;
    (void)err;
    ck_assert_int_gt(b->started, 0);
    ck_assert_int_eq(b->waited, 0);
    b->waited = ++seen.clock;
    ck_assert_mem_eq(b->values, b->sent, (size_t)b->count * sizeof *b->sent);
    for (int64_t i = 0; i < b->count; i++)
        b->values[i] *= 1.5f;
    return WISP_OK;
}

static wisp_status progress(void *self, wisp_error *err)
{
    (void)self;
    (void)err;
    seen.clock++;
    return WISP_OK;
}

static wisp_status all_reduce(void *self, void *data, int64_t count, int32_t dtype,
                              int32_t reduction, wisp_error *err)
{
    float *values = data;
    (void)self;
    (void)err;
    ck_assert(dtype == WISP_F32 && reduction == WISP_REDUCE_OVER_RANKS_MEAN);
    for (int64_t i = 0; i < count; i++)
        values[i] *= 1.5f;
    seen.reduced++;
    return WISP_OK;
}

static const wisp_comm_v0 comm = {.struct_size = sizeof comm,
                                  .all_reduce = all_reduce,
                                  .memory_kind = "host",
                                  .start_all_reduce = start,
                                  .wait = wait_for,
                                  .progress = progress};

typedef struct trial {
    fixture f;
    wispi_ranks ranks;
    wisp_module *net, *layers[LAYERS];
    wispi_variable x;
} trial;

/* The network twice, so that every gradient has two contributions. */
static void step(wisp_step *s, void *user)
{
    trial *t = user;
    wispi_step_join(s, &t->ranks);
    wisp_tensor *loss = NULL;
    for (int pass = 0; pass < 2; pass++) {
        wisp_tensor *y = wisp_scale(s, wispi_step_variable(s, &t->x), 1 + pass);
        for (int i = 0; i < LAYERS; i++)
            y = wisp_forward(s, t->layers[i], y);
        wisp_tensor *one = wisp_mean(s, wisp_mul(s, y, y), 0, 0);
        loss = loss ? wisp_add(s, loss, one) : one;
    }
    wispi_step_backward(s, loss);
    wispi_collective_gradient(s, &t->net->network->parameters);
}

/* One step with buckets of so many bytes; the gradients afterwards. */
static float *gradients(int64_t bucket_bytes, int64_t *count)
{
    const wisp_desc shape = wisp_desc2(WISP_F32, 3, DIM);
    const wisp_linear_desc layer = {.in = DIM, .out = DIM, .bias = 1};
    double values[3 * DIM];
    trial t;
    memset(&t, 0, sizeof t);
    memset(&seen, 0, sizeof seen);
    t.ranks = (wispi_ranks){.comm = &comm, .size = 2, .bucket_bytes = bucket_bytes};
    fixture_open(&t.f, 7);
    t.net = wisp_network(t.f.b, "net");
    for (int i = 0; i < LAYERS; i++) {
        char name[8];
        snprintf(name, sizeof name, "l%d", i);
        t.layers[i] = wisp_linear_layer(t.f.b, t.net, name, &layer);
    }
    FIXTURE_OK(&t.f, wispi_model_finish(t.f.model, &t.f.err));
    FIXTURE_OK(&t.f, wispi_variable_init(t.f.device, &t.x, "x", &shape, NULL, &t.f.err));
    for (int i = 0; i < 3 * DIM; i++)
        values[i] = 0.1 * i - 1;
    fixture_write(&t.f, &t.x, values, 3 * DIM);
    seen.block = t.net->network->parameters.gradient.data;
    wispi_program *program = fixture_record(&t.f, step, &t);
    fixture_run(&t.f, program, step, &t, 0, 1, 1);
    const wispi_store *store = &t.net->network->parameters;
    float *all = malloc((size_t)store->count * sizeof *all);
    ck_assert_ptr_nonnull(all);
    FIXTURE_OK(&t.f, wispi_variable_read(t.f.device, &store->gradient, all, &t.f.err));
    *count = store->count;
    wispi_program_destroy(program);
    wispi_variable_fini(t.f.device, &t.x);
    fixture_close(&t.f);
    return all;
}

/* bytes of a bucket, buckets that five layers of 8 * 8 + 8 values, padded to 80, make */
static const struct {
    int64_t bytes;
    int n;
} sizes[] = {{4, 2 * LAYERS}, {320, LAYERS}, {324, 4}, {1 << 20, 1}};

START_TEST(buckets_cover_the_block_once)
{
    int64_t count = 0, plain_count = 0, covered = 0;
    char *hits;
    float *plain = gradients(0, &plain_count);
    ck_assert_int_eq(seen.n, 0);
    ck_assert_int_eq(seen.reduced, 1);
    float *all = gradients(sizes[_i].bytes, &count);
    ck_assert_int_eq(seen.reduced, 0);
    ck_assert_int_eq(seen.n, sizes[_i].n);
    ck_assert_int_eq(count, plain_count);
    ck_assert_mem_eq(all, plain, (size_t)count * sizeof *all);
    hits = calloc((size_t)count, 1);
    ck_assert_ptr_nonnull(hits);
    for (int b = 0; b < seen.n; b++) {
        const int64_t first = seen.buckets[b].first;
        for (int64_t i = 0; i < seen.buckets[b].count; i++, covered++) {
            ck_assert_int_lt(first + i, count);
            ck_assert_int_eq(hits[first + i]++, 0);
        }
        ck_assert_int_gt(seen.buckets[b].waited, 0);
    }
    ck_assert_int_eq(covered, count);
    free(hits);
    free(plain);
    free(all);
}
END_TEST

/* All but the last one are on their way while backward still makes calls, the end of the block
 * first, and none is waited for before the last one has started. */
START_TEST(they_start_while_backward_runs)
{
    int64_t count = 0;
    free(gradients(320, &count));
    for (int b = 1; b < LAYERS; b++) {
        ck_assert_int_gt(seen.buckets[b].started, seen.buckets[b - 1].started + 1);
        ck_assert_int_lt(seen.buckets[b].first, seen.buckets[b - 1].first);
    }
    for (int b = 0; b < LAYERS; b++)
        ck_assert_int_gt(seen.buckets[b].waited, seen.buckets[LAYERS - 1].started);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gradient buckets");
    TCase *tests = tcase_create("gradient buckets");
    tcase_add_loop_test(tests, buckets_cover_the_block_once, 0, WISP_COUNT(sizes));
    tcase_add_test(tests, they_start_while_backward_runs);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
