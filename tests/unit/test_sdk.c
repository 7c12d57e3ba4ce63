/* The services of wisp/sdk.h. The first part is a whole method, written as a plugin would write it:
 * SimSiam, trained three steps and compared with PyTorch (tests/golden/make_nn_golden.py). */
#include "model_fixture.h"

#include "wisp/sdk.h"

/* --- SimSiam (Chen and He 2021) --- */

typedef struct simsiam {
    wisp_module *encoder, *conv, *projector, *predictor;
} simsiam;

static wisp_tensor *encode(void *self, wisp_step *s, wisp_tensor *x)
{
    const simsiam *m = self;
    wisp_tensor *map = wisp_relu(s, wisp_forward(s, m->conv, x));
    return wisp_forward(s, m->projector, wisp_mean(s, map, 1u << 1 | 1u << 2, 0));
}

static wisp_status build(void *self, wisp_build *b, const wisp_batch *batch, wisp_error *err)
{
    simsiam *m = self;
    const wisp_conv2d_desc conv = {.in = 3, .out = 8, .kernel = 3, .stride = 1, .padding = 1};
    wisp_module *predictor = wisp_network(b, "predictor");
    (void)batch;
    (void)err;
    m->encoder = wisp_custom_layer(b, wisp_network(b, "net"), "encoder", m, encode);
    m->conv = wisp_conv2d_layer(b, m->encoder, "conv", &conv);
    m->projector = wisp_projection_head(b, m->encoder, "projector", 8, 12, 12, 2, 1, 2);
    m->predictor = wisp_projection_head(b, predictor, "mlp", 12, 6, 12, 2, 1, 0);
    return WISP_OK;
}

static wisp_tensor *step(void *self, wisp_step *s, const wisp_batch *batch)
{
    simsiam *m = self;
    wisp_tensor *z[2], *p[2];
    for (int v = 0; v < 2; v++) { /* one call a view: batch norm sees one view at a time */
        z[v] = wisp_forward(s, m->encoder, wisp_view(s, batch, v));
        p[v] = wisp_forward(s, m->predictor, z[v]);
    }
    wisp_tensor *a = wisp_mean_cosine(s, p[0], wisp_stop_gradient(s, z[1]));
    wisp_tensor *b = wisp_mean_cosine(s, p[1], wisp_stop_gradient(s, z[0]));
    return wisp_scale(s, wisp_add(s, a, b), -0.5);
}

static wisp_module *evaluated_network(void *self)
{
    return ((simsiam *)self)->encoder;
}

static const wisp_method_v0 method = {
    .struct_size = sizeof(wisp_method_v0),
    .build = build,
    .step = step,
    .evaluated_network = evaluated_network,
};

/* --- the host's part --- */

typedef struct host {
    simsiam self;
    wispi_batch batch;
    wispi_optimizer *optimizer;
} host;

static void host_step(wisp_step *s, void *user)
{
    host *h = user;
    wisp_tensor *loss = method.step(&h->self, s, &h->batch.plugin);
    wisp_metric(s, "loss", loss);
    wispi_step_backward(s, loss);
    wispi_optimizer_step(s, h->optimizer);
}

/* The network of the file has no name of its own: "encoder.conv.weight". */
static int32_t each_tensor(fixture *f, const golden_file *g, const char *prefix, int compare)
{
    int32_t found = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(f->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(f->model, i);
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix,
                 t->name + (strncmp(t->name, "net.", 4) == 0 ? 4 : 0));
        golden_tensor value = golden_get(g, name);
        if (value.desc.dtype && compare) {
            double *got = fixture_read(f, t->name, NULL);
            fixture_near(name, got, value.v, value.count, 5e-5);
            free(got);
        } else if (value.desc.dtype) {
            fixture_write(f, t->variable, value.v, value.count);
        }
        found += value.desc.dtype != 0;
        free(value.v);
    }
    return found;
}

static void open_simsiam(fixture *f, host *h)
{
    const wisp_view_group views = {"global", 2, 6, 6, 0};
    const wisp_schedule lr = {.value = 0.05}, decay = {.value = 0};
    const wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_SGD);
    fixture_open(f, 1);
    memset(h, 0, sizeof *h);
    FIXTURE_OK(f, wispi_batch_init(f->device, &h->batch, &views, 1, 5, WISP_F32, 0, &f->err));
    FIXTURE_OK(f, method.build(&h->self, f->b, &h->batch.plugin, &f->err));
    wisp_new_scalar(f->b, "lr", &lr);
    wisp_new_scalar(f->b, "weight_decay", &decay);
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
    FIXTURE_OK(f, wispi_optimizer_create(f->model, &config, &h->optimizer, &f->err));
}

START_TEST(simsiam_trains_as_in_pytorch)
{
    golden_file g = golden_open(WISP_SOURCE_DIR "/tests/golden/nn/simsiam.safetensors");
    golden_tensor x = golden_get(&g, "x"), loss = golden_get(&g, "loss");
    fixture f;
    host h;
    open_simsiam(&f, &h);
    ck_assert_int_eq(each_tensor(&f, &g, "init/", 0), 16);
    wispi_program *program = fixture_record(&f, host_step, &h);
    for (int64_t i = 0; i < 3; i++) {
        double out[WISPI_MAX_METRICS];
        fixture_write(&f, &h.batch.views[0], x.v + i * (x.count / 3), x.count / 3);
        fixture_run(&f, program, host_step, &h, i, 3, 1);
        FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, out, &f.err));
        fixture_near("loss", out, loss.v + i, 1, 1e-5);
    }
    ck_assert_int_eq(each_tensor(&f, &g, "end/", 1), 16);
    ck_assert_ptr_eq(method.evaluated_network(&h.self), h.self.encoder);
    wispi_program_destroy(program);
    wispi_optimizer_destroy(h.optimizer);
    wispi_batch_fini(f.device, &h.batch);
    fixture_close(&f);
    free(x.v);
    free(loss.v);
    golden_close(&g);
}
END_TEST

/* --- pairs of views --- */

typedef struct published {
    int32_t targets, n_global, views;
    double alpha, beta, gg, gl;
} published;

START_TEST(pair_weights_are_the_published_ones)
{
    static const published table[] = {{2, 2, 8, 0.4, 0.6, 0.2, 0.05},
                                      {2, 2, 12, 0.4, 0.6, 0.2, 0.03},
                                      {1, 2, 8, 0.4, 0.6, 0.4, 0.1},
                                      {2, 2, 8, 1.0 / 7, 6.0 / 7, 1.0 / 14, 1.0 / 14},
                                      {1, 2, 8, 1.0 / 7, 6.0 / 7, 1.0 / 7, 1.0 / 7},
                                      {2, 2, 2, 1, 0, 0.5, 0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const published *p = &table[i];
        float w[2 * 12];
        wisp_pair_weights_fill(w, p->targets, p->views, p->n_global, p->alpha, p->beta);
        for (int32_t g = 0; g < p->targets; g++)
            for (int32_t v = 0; v < p->views; v++)
                ck_assert_float_eq_tol(w[g * p->views + v],
                                       v == g ? 0 : (float)(v < p->n_global ? p->gg : p->gl),
                                       1e-7f);
    }
}
END_TEST

START_TEST(equal_pair_weights_sum_to_one)
{
    float w[2 * 8], sum = 0;
    wisp_pair_weights_equal(w, 2, 8);
    for (int i = 0; i < 16; i++)
        sum += w[i];
    ck_assert_float_eq_tol(sum, 1, 1e-6f);
    ck_assert_float_eq(w[0], 0);
    ck_assert_float_eq(w[9], 0);
    ck_assert_float_eq(w[1], w[8]);
    ck_assert_float_eq_tol(w[1], 1.0f / 14, 1e-8f);
}
END_TEST

/* --- Sinkhorn, centre, queue --- */

typedef struct services {
    wispi_variable scores;
    wisp_state *centre;
    wisp_queue queue;
    wisp_tensor *q;
} services;

static void services_step(wisp_step *s, void *user)
{
    services *t = user;
    wisp_tensor *scores = wispi_step_variable(s, &t->scores);
    t->q = wisp_sinkhorn(s, scores, 0.05, 3);
    wispi_step_keep(s, t->q);
    wisp_centre_update(s, t->centre, scores, 0.9);
    wisp_metric(s, "queue", wisp_sum(s, wisp_queue_rows(s, &t->queue), 0, 0));
    wisp_queue_push(s, &t->queue, scores);
}

START_TEST(assignments_centre_and_queue)
{
    golden_file g = golden_open(WISP_SOURCE_DIR "/tests/golden/nn/sinkhorn.safetensors");
    golden_tensor scores = golden_get(&g, "scores"), want = golden_get(&g, "q");
    const wisp_init zeros = {WISP_INIT_ZEROS, 0, 0};
    fixture f;
    services t;
    float raw[35];
    double q[35], sum = 0, mean = 0, out[WISPI_MAX_METRICS];
    memset(&t, 0, sizeof t);
    fixture_open(&f, 1);
    t.centre = wisp_centre_build(f.b, "centre", 5);
    t.queue = wisp_queue_build(f.b, "queue", 9, 5, &zeros);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    FIXTURE_OK(&f, wispi_variable_init(f.device, &t.scores, "scores", &scores.desc, NULL, &f.err));
    fixture_write(&f, &t.scores, scores.v, 35);
    wispi_program *program = fixture_record(&f, services_step, &t);
    fixture_run(&f, program, services_step, &t, 0, 2, 1);
    FIXTURE_OK(&f, wispi_program_read(program, t.q, raw, &f.err));
    wispi_widen(q, raw, WISP_F32, 35);
    fixture_near("assignments", q, want.v, 35, 2e-6);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, out, &f.err));
    ck_assert_double_eq(out[0], 0); /* what was there before the push */
    fixture_run(&f, program, services_step, &t, 1, 2, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, out, &f.err));
    for (int i = 0; i < 35; i++)
        sum += scores.v[i];
    ck_assert_double_eq_tol(out[0], sum, 1e-5);
    for (int i = 0; i < 7; i++)
        mean += scores.v[5 * i] / 7;
    ck_assert_double_eq_tol(fixture_first(&f, "state.centre"), 0.19 * mean, 1e-7);
    ck_assert_double_eq(fixture_first(&f, "state.queue.cursor"), 14 % 9);
    wispi_program_destroy(program);
    wispi_variable_fini(f.device, &t.scores);
    fixture_close(&f);
    free(scores.v);
    free(want.v);
    golden_close(&g);
}
END_TEST

/* --- samples that weigh differently, and a queue that fills --- */

enum { SAMPLES = 7, PROTOTYPES = 5 };

typedef struct weighing {
    wispi_variable scores, weights;
    int32_t copies; /* of the samples, one below the other */
    wisp_tensor *q;
} weighing;

static void weighing_step(wisp_step *s, void *user)
{
    weighing *w = user;
    wisp_tensor *copies[3], *scores = wispi_step_variable(s, &w->scores);
    for (int i = 0; i < 3; i++)
        copies[i] = scores;
    wisp_tensor *all = wisp_concat(s, copies, w->copies, 0);
    w->q = wisp_sinkhorn_weighted(s, all, wispi_step_variable(s, &w->weights), 0.05, 3);
    wispi_step_keep(s, w->q);
}

/* Assignments of the first `rows` of `copies` times the samples of the golden file. */
static void weighed(const golden_tensor *scores, int32_t copies, const double *weights, double *q)
{
    const int64_t rows = (int64_t)copies * SAMPLES;
    const wisp_desc column = wisp_desc2(WISP_F32, rows, 1);
    float raw[3 * SAMPLES * PROTOTYPES];
    fixture f;
    weighing w;
    memset(&w, 0, sizeof w);
    w.copies = copies;
    fixture_open(&f, 1);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    FIXTURE_OK(&f, wispi_variable_init(f.device, &w.scores, "scores", &scores->desc, NULL, &f.err));
    FIXTURE_OK(&f, wispi_variable_init(f.device, &w.weights, "weights", &column, NULL, &f.err));
    fixture_write(&f, &w.scores, scores->v, scores->count);
    fixture_write(&f, &w.weights, weights, rows);
    wispi_program *program = fixture_record(&f, weighing_step, &w);
    fixture_run(&f, program, weighing_step, &w, 0, 1, 1);
    FIXTURE_OK(&f, wispi_program_read(program, w.q, raw, &f.err));
    wispi_widen(q, raw, WISP_F32, rows * PROTOTYPES);
    wispi_program_destroy(program);
    wispi_variable_fini(f.device, &w.scores);
    wispi_variable_fini(f.device, &w.weights);
    fixture_close(&f);
}

/* Copies that count nothing, and copies that share a weight, change no assignment: a queue that is
 * not yet full, and one that all ranks hold. */
START_TEST(weights_are_shares_of_samples)
{
    static const double shares[3][3] = {{1, 0, 0}, {0.5, 0.5, 0}, {0.25, 0.5, 0.25}};
    golden_file g = golden_open(WISP_SOURCE_DIR "/tests/golden/nn/sinkhorn.safetensors");
    golden_tensor scores = golden_get(&g, "scores"), want = golden_get(&g, "q");
    double weights[3 * SAMPLES], q[3 * SAMPLES * PROTOTYPES];
    for (int i = 0; i < 3 * SAMPLES; i++)
        weights[i] = shares[_i][i / SAMPLES];
    weighed(&scores, 3, weights, q);
    for (int copy = 0; copy < 3; copy++)
        fixture_near("assignments", q + copy * want.count, want.v, want.count, 2e-6);
    for (int i = 0; i < SAMPLES; i++)
        weights[i] = i % 2;
    weighed(&scores, 1, weights, q);
    ck_assert_double_gt(fabs(q[0] - want.v[0]) + fabs(q[PROTOTYPES] - want.v[PROTOTYPES]), 1e-4);
    free(scores.v);
    free(want.v);
    golden_close(&g);
}
END_TEST

static void filling_step(wisp_step *s, void *user)
{
    services *t = user;
    wisp_metric(s, "full", wisp_queue_is_full(s, &t->queue));
    wisp_queue_push(s, &t->queue, wispi_step_variable(s, &t->scores));
}

/* Nine rows, four at a time, one recording: full after the third time, and for good. */
START_TEST(a_queue_says_when_it_is_full)
{
    static const double tiny[8] = {-1e-9, 0, 3e-9, 0, 1e-9, 0, 0, -1e-9};
    const wisp_init zeros = {WISP_INIT_ZEROS, 0, 0};
    const wisp_desc rows = wisp_desc2(WISP_F32, 4, 2);
    double out[WISPI_MAX_METRICS];
    fixture f;
    services t;
    memset(&t, 0, sizeof t);
    fixture_open(&f, 1);
    t.queue = wisp_queue_build(f.b, "queue", 9, 2, &zeros);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    FIXTURE_OK(&f, wispi_variable_init(f.device, &t.scores, "rows", &rows, NULL, &f.err));
    fixture_write(&f, &t.scores, tiny, 8);
    wispi_program *program = fixture_record(&f, filling_step, &t);
    for (int64_t i = 0; i < 7; i++) {
        fixture_run(&f, program, filling_step, &t, i, 7, 1);
        FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, out, &f.err));
        ck_assert_double_eq(out[0], i < 3 ? 0 : 1);
    }
    wispi_program_destroy(program);
    wispi_variable_fini(f.device, &t.scores);
    fixture_close(&f);
}
END_TEST

/* --- heads --- */

START_TEST(the_head_of_dino_has_its_published_size)
{
    const wisp_dino_head_desc desc = {1280, 2048, 256, 4096, 1, 0};
    fixture f;
    wisp_module *last = NULL;
    fixture_open(&f, 1);
    wisp_module *net = wisp_network(f.b, "student");
    wisp_module *head = wisp_dino_head(f.b, net, "head", &desc, &last);
    ck_assert_int_eq(wisp_output_dim(f.b, head), 4096);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    /* whole model 11,906,024 less backbone 2,223,872 and probe 1,281,000; the gain is frozen */
    ck_assert_int_eq(wispi_module_parameter_count(head, 1), 11906024 - 2223872 - 1281000);
    ck_assert_int_eq(wispi_module_parameter_count(last, 0), 4096 * 256 + 4096);
    ck_assert_ptr_nonnull(wispi_model_tensor_named(f.model, "student.head.mlp.6.weight"));
    ck_assert_ptr_nonnull(wispi_model_tensor_named(f.model, "student.head.last_layer.weight_v"));
    fixture_close(&f);
}
END_TEST

START_TEST(a_head_without_layers_is_refused)
{
    fixture f;
    fixture_open(&f, 1);
    ck_assert_ptr_null(
        wisp_projection_head(f.b, wisp_network(f.b, "net"), "head", 8, 8, 8, 0, 0, 0));
    ck_assert_int_eq(wispi_model_finish(f.model, &f.err), WISP_E_INVALID);
    ck_assert_pstr_eq(f.err.message, "a projection head has 1 to 7 layers");
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sdk");
    TCase *tests = tcase_create("sdk");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, simsiam_trains_as_in_pytorch);
    tcase_add_test(tests, pair_weights_are_the_published_ones);
    tcase_add_test(tests, equal_pair_weights_sum_to_one);
    tcase_add_test(tests, assignments_centre_and_queue);
    tcase_add_loop_test(tests, weights_are_shares_of_samples, 0, 3);
    tcase_add_test(tests, a_queue_says_when_it_is_full);
    tcase_add_test(tests, the_head_of_dino_has_its_published_size);
    tcase_add_test(tests, a_head_without_layers_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
