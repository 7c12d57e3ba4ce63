/* Training steps against PyTorch: six steps of a small network and its moving average, with each
 * optimizer, parameter rules, clipping and a layer that gets no gradient in the first epoch. The
 * file comes from tests/golden/make_nn_golden.py. */
#include "model_fixture.h"

enum { STEPS = 6, PER_EPOCH = 2, BATCH = 5 };

typedef struct training {
    fixture f;
    wisp_module *student, *teacher, *backbone, *conv1, *bn1, *dw, *bn2, *head, *proto;
    wisp_scalar *momentum;
    wispi_variable x, labels;
    wispi_optimizer *optimizer;
    int drop;
    int32_t dtype; /* of activations */
    double tolerance;
} training;

typedef struct backbone_parts {
    wisp_module *conv1, *bn1, *dw, *bn2;
} backbone_parts;

static wisp_tensor *run_backbone(void *self, wisp_step *s, wisp_tensor *x)
{
    const backbone_parts *p = self;
    x = wisp_forward(s, p->bn1, wisp_forward(s, p->conv1, x));
    x = wisp_batch_norm_act(s, p->bn2, wisp_forward(s, p->dw, x), NULL, WISP_ACT_RELU6);
    return wisp_mean(s, x, 1u << 1 | 1u << 2, 0);
}

static wisp_module *build_network(wisp_build *b, const char *name, backbone_parts *p,
                                  wisp_module **proto)
{
    const wisp_conv2d_desc conv = {.in = 3, .out = 6, .kernel = 3, .stride = 1, .padding = 1};
    const wisp_conv2d_desc dw = {
        .in = 6, .out = 6, .kernel = 3, .stride = 2, .padding = 1, .groups = 6};
    const wisp_norm_desc bn1 = {.channels = 6, .activation = WISP_ACT_RELU}, bn2 = {.channels = 6};
    const wisp_mlp_desc head = {.dims = {6, 10, 4}, .n_dims = 3, .batch_norm = 1};
    const wisp_weight_norm_desc last = {4, 5, 1, 0};
    wisp_module *network = wisp_network(b, name);
    wisp_module *backbone = wisp_custom_layer(b, network, "backbone", p, run_backbone);
    p->conv1 = wisp_conv2d_layer(b, backbone, "conv1", &conv);
    p->bn1 = wisp_batch_norm_layer(b, backbone, "bn1", &bn1);
    p->dw = wisp_conv2d_layer(b, backbone, "dw", &dw);
    p->bn2 = wisp_batch_norm_layer(b, backbone, "bn2", &bn2);
    wisp_mlp(b, network, "head", &head);
    *proto = wisp_weight_norm_layer(b, network, "proto", &last);
    return network;
}

static void step(wisp_step *s, void *user)
{
    training *t = user;
    wisp_tensor *x = wisp_cast(s, wispi_step_variable(s, &t->x), t->dtype);
    wisp_tensor *logits = wisp_forward(s, t->student, x);
    wisp_tensor *loss = wisp_cross_entropy(s, logits, wispi_step_variable(s, &t->labels), 2.0);
    wisp_no_grad_begin(s);
    wisp_tensor *target = wisp_forward(s, t->teacher, x);
    wisp_metric(s, "teacher", wisp_mean(s, wisp_mul(s, target, target), 0, 0));
    wisp_no_grad_end(s);
    wisp_metric(s, "loss", loss);
    wispi_step_backward(s, loss);
    if (t->drop)
        wisp_drop_gradient(s, t->proto);
    wispi_optimizer_step(s, t->optimizer);
    wisp_ema_update(s, t->teacher, t->momentum);
}

static wisp_schedule cosine(double value, double end, double warmup_epochs)
{
    return (wisp_schedule){
        .kind = WISP_SCHEDULE_COSINE, .value = value, .end = end, .warmup_epochs = warmup_epochs};
}

static void build(training *t, const wispi_optimizer_config *config, double peak,
                  backbone_parts parts[2])
{
    const wisp_desc x = wisp_desc4(WISP_F32, BATCH, 8, 8, 3), labels = wisp_desc1(WISP_I64, BATCH);
    const wisp_schedule lr = cosine(peak, peak / 10, 1), decay = cosine(0.01, 0.1, 0),
                        momentum = cosine(0.9, 1, 0);
    fixture *f = &t->f;
    wisp_module *other;
    fixture_open(f, 7);
    t->student = build_network(f->b, "student", &parts[0], &t->proto);
    t->teacher = build_network(f->b, "teacher", &parts[1], &other);
    wisp_follow(f->b, t->teacher, t->student, NULL);
    wisp_new_scalar(f->b, "lr", &lr);
    wisp_new_scalar(f->b, "weight_decay", &decay);
    t->momentum = wisp_new_scalar(f->b, "momentum", &momentum);
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
    FIXTURE_OK(f, wispi_optimizer_create(f->model, config, &t->optimizer, &f->err));
    FIXTURE_OK(f, wispi_variable_init(f->device, &t->x, "x", &x, NULL, &f->err));
    FIXTURE_OK(f, wispi_variable_init(f->device, &t->labels, "labels", &labels, NULL, &f->err));
}

static void compare_metrics(training *t, wispi_program *program, const golden_file *g,
                            const char *kind, int64_t index)
{
    const wispi_metrics *metrics = wispi_model_metrics(t->f.model);
    double values[WISPI_MAX_METRICS];
    ck_assert_int_eq(metrics->n, 3);
    FIXTURE_OK(&t->f, wispi_metrics_read(metrics, program, values, &t->f.err));
    for (int32_t i = 0; i < metrics->n; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s/%s", kind, metrics->entries[i].name);
        golden_tensor want = golden_get(g, name);
        ck_assert_msg(want.count == STEPS, "no %s", name);
        fixture_near(name, &values[i], want.v + index, 1, 0.4 * t->tolerance);
        free(want.v);
    }
}

static void train(training *t, const golden_file *g, const char *kind)
{
    fixture *f = &t->f;
    char prefix[32];
    golden_tensor x = golden_get(g, "x"), labels = golden_get(g, "labels");
    wispi_program *program = NULL;
    ck_assert_int_eq(fixture_load(f, g, "init/"), 20);
    for (int64_t i = 0; i < STEPS; i++) {
        if (i % PER_EPOCH == 0) {
            t->drop = i < PER_EPOCH;
            wispi_program_destroy(program);
            program = fixture_record(f, step, t);
        }
        fixture_write(f, &t->x, x.v + i * (x.count / STEPS), x.count / STEPS);
        fixture_write(f, &t->labels, labels.v + i * BATCH, BATCH);
        fixture_run(f, program, step, t, i, PER_EPOCH, STEPS / PER_EPOCH);
        compare_metrics(t, program, g, kind, i);
    }
    snprintf(prefix, sizeof prefix, "%s/", kind);
    ck_assert_int_eq(fixture_compare(f, g, prefix, t->tolerance), 40);
    wispi_program_destroy(program);
    free(x.v);
    free(labels.v);
}

static void run_as(int32_t dtype, double tolerance, const char *kind, wispi_optimizer_config config,
                   double peak)
{
    static const wispi_optimizer_rule rules[] = {{"student.head.*", 0.5, 2}};
    training t;
    backbone_parts parts[2];
    golden_file g = golden_open(WISP_SOURCE_DIR "/tests/golden/nn/training.safetensors");
    memset(&t, 0, sizeof t);
    t.dtype = dtype;
    t.tolerance = tolerance;
    config.rules = rules;
    config.n_rules = 1;
    config.grad_norm = 1;
    build(&t, &config, peak, parts);
    train(&t, &g, kind);
    wispi_variable_fini(t.f.device, &t.x);
    wispi_variable_fini(t.f.device, &t.labels);
    wispi_optimizer_destroy(t.optimizer);
    fixture_close(&t.f);
    golden_close(&g);
}

static void run(const char *kind, wispi_optimizer_config config, double peak)
{
    run_as(WISP_F32, 5e-5, kind, config, peak);
}

START_TEST(sgd)
{
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_SGD);
    config.nesterov = 1;
    run("sgd", config, 0.1);
}
END_TEST

START_TEST(sgd_with_a_limit_on_the_norm_of_all)
{
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_SGD);
    config.nesterov = 1;
    config.clip = 0.5;
    run("sgd_clip", config, 0.1);
}
END_TEST

START_TEST(lars_with_a_limit_on_each_tensor)
{
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_LARS);
    config.clip = 0.3;
    config.clip_per_tensor = 1;
    run("lars", config, 4.0);
}
END_TEST

START_TEST(adamw)
{
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_ADAMW);
    config.eps = 1e-2;
    run("adamw", config, 0.01);
}
END_TEST

/* Activations of 8 bits, weights and statistics of 24: near, but not the same. */
START_TEST(sgd_in_bf16)
{
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_SGD);
    config.nesterov = 1;
    run_as(WISP_BF16, 0.1, "sgd", config, 0.1);
}
END_TEST

/* --- networks that learn beside the others --- */

enum { WITHOUT = 0, COUNTED = 1, APART = 2 }; /* a second network with a much larger gradient */

typedef struct beside {
    fixture f;
    wisp_module *net, *second;
    wispi_optimizer *optimizer;
} beside;

static void step_beside(wisp_step *s, void *user)
{
    beside *t = user;
    const wisp_desc desc = wisp_desc2(WISP_F32, 4, 2);
    wisp_tensor *x = wisp_full(s, &desc, 1.0);
    wisp_tensor *loss = wisp_sum(s, wisp_forward(s, t->net, x), 0, 0);
    if (t->second)
        loss =
            wisp_add(s, loss, wisp_scale(s, wisp_sum(s, wisp_forward(s, t->second, x), 0, 0), 100));
    wispi_step_backward(s, loss);
    wispi_optimizer_step(s, t->optimizer);
}

/* The weights of the first network and of the second after a step, and what was told as the norm.
 */
static void train_beside(int how, int per_tensor, double weights[6], double second[6], double *norm)
{
    static const wisp_linear_desc linear = {2, 3, 0, 0, {WISP_INIT_NORMAL, 0, 1}, {0, 0, 0}};
    const wisp_schedule lr = {.value = 0.125}, decay = {.value = 0};
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_SGD);
    beside t = {0};
    config.clip = 0.7;
    config.clip_per_tensor = per_tensor;
    config.grad_norm = 1;
    fixture_open(&t.f, 3);
    t.net = wisp_network(t.f.b, "net");
    wisp_linear_layer(t.f.b, t.net, "fc", &linear);
    if (how != WITHOUT) {
        t.second = wisp_network(t.f.b, "second");
        wisp_linear_layer(t.f.b, t.second, "fc", &linear);
    }
    if (how == APART)
        wispi_network_set_apart(t.second);
    wisp_new_scalar(t.f.b, "lr", &lr);
    wisp_new_scalar(t.f.b, "weight_decay", &decay);
    FIXTURE_OK(&t.f, wispi_model_finish(t.f.model, &t.f.err));
    FIXTURE_OK(&t.f, wispi_optimizer_create(t.f.model, &config, &t.optimizer, &t.f.err));
    wispi_program *program = fixture_record(&t.f, step_beside, &t);
    double *before = t.second ? fixture_read(&t.f, "second.fc.weight", NULL) : NULL;
    fixture_run(&t.f, program, step_beside, &t, 0, 1, 1);
    FIXTURE_OK(&t.f, wispi_metrics_read(wispi_model_metrics(t.f.model), program, norm, &t.f.err));
    double *after = fixture_read(&t.f, "net.fc.weight", NULL);
    memcpy(weights, after, 6 * sizeof *weights);
    free(after);
    after = t.second ? fixture_read(&t.f, "second.fc.weight", NULL) : NULL;
    for (int i = 0; after && i < 6; i++)
        second[i] = after[i] - before[i];
    free(before);
    free(after);
    wispi_program_destroy(program);
    wispi_optimizer_destroy(t.optimizer);
    fixture_close(&t.f);
}

START_TEST(a_network_apart_is_not_clipped_and_clips_nothing)
{
    double alone[6], counted[6], apart[6], second[6], norms[3];
    const int per_tensor = _i;
    train_beside(WITHOUT, per_tensor, alone, second, &norms[0]);
    train_beside(COUNTED, per_tensor, counted, second, &norms[1]);
    for (int i = 0; i < 6; i++)
        ck_assert_double_lt(fabs(second[i]), 0.125);
    train_beside(APART, per_tensor, apart, second, &norms[2]);
    ck_assert_mem_eq(apart, alone, sizeof alone);
    if (!per_tensor)
        ck_assert_mem_ne(counted, alone, sizeof alone);
    /* Each weight's gradient is the sum of four ones, times 100 in the second network. */
    ck_assert_double_eq_tol(norms[0], 4 * sqrt(6), 1e-5);
    ck_assert_double_eq_tol(norms[1], 400 * sqrt(6), 1);
    ck_assert_double_eq(norms[2], norms[0]);
    for (int i = 0; i < 6; i++)
        ck_assert_double_eq_tol(second[i], -400 * 0.125, 1e-4);
}
END_TEST

/* --- what is refused --- */

static fixture *open_small(fixture *f, int with_scalars)
{
    const wisp_schedule one = {.value = 1};
    const wisp_linear_desc linear = {2, 3, 1, 0, {0, 0, 0}, {0, 0, 0}};
    fixture_open(f, 1);
    wisp_linear_layer(f->b, wisp_network(f->b, "net"), "fc", &linear);
    if (with_scalars) {
        wisp_new_scalar(f->b, "lr", &one);
        wisp_new_scalar(f->b, "weight_decay", &one);
    }
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
    return f;
}

static const char *refused(fixture *f, const wispi_optimizer_config *config)
{
    wispi_optimizer *optimizer = NULL;
    ck_assert_int_ne(wispi_optimizer_create(f->model, config, &optimizer, &f->err), WISP_OK);
    ck_assert_ptr_null(optimizer);
    return f->err.message;
}

START_TEST(wrong_configurations_are_refused)
{
    fixture f;
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_SGD);
    const wispi_optimizer_rule rule = {"net.conv*", 1, 1};
    open_small(&f, 0);
    ck_assert_pstr_eq(refused(&f, &config), "optimizer: the model has no scheduled scalar \"lr\"");
    fixture_close(&f);
    open_small(&f, 1);
    config.rules = &rule;
    config.n_rules = 1;
    ck_assert_pstr_eq(refused(&f, &config),
                      "optimizer: the pattern \"net.conv*\" matches no trained parameter");
    config.n_rules = 0;
    config.clip = -1;
    ck_assert_ptr_nonnull(strstr(refused(&f, &config), "-1"));
    config.clip = 0;
    config.kind = 9;
    ck_assert_ptr_nonnull(strstr(refused(&f, &config), "no optimizer 9"));
    ck_assert_int_eq(wispi_model_tensor_count(f.model), 2);
    fixture_close(&f);
}
END_TEST

typedef struct small_step {
    fixture *f;
    wisp_module *net;
    wispi_optimizer *optimizer;
} small_step;

static void small(wisp_step *s, void *user)
{
    small_step *t = user;
    const wisp_desc x = wisp_desc2(WISP_F32, 4, 2);
    wisp_tensor *y = wisp_forward(s, t->net, wisp_full(s, &x, 1.0));
    wispi_step_backward(s, wisp_mean(s, y, 0, 0));
    wispi_optimizer_step(s, t->optimizer);
}

START_TEST(a_step_needs_a_refresh_and_a_clock)
{
    fixture f;
    small_step t = {open_small(&f, 1), wispi_model_network(f.model, "net"), NULL};
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_ADAMW);
    const wisp_clock clock = {0, 1, 0, 2, 2};
    wispi_program *program = NULL;
    FIXTURE_OK(&f, wispi_optimizer_create(f.model, &config, &t.optimizer, &f.err));
    FIXTURE_OK(&f, wispi_program_record(f.device, wispi_ops_table(), f.model, 0, small, &t,
                                        &program, &f.err));
    ck_assert_int_eq(wispi_program_run(program, small, &t, NULL, &f.err), WISP_E_STATE);
    ck_assert_ptr_nonnull(strstr(f.err.message, "wispi_model_refresh()"));
    FIXTURE_OK(&f, wispi_model_refresh(f.model, &f.err));
    ck_assert_int_eq(wispi_program_run(program, small, &t, NULL, &f.err), WISP_E_STATE);
    ck_assert_ptr_nonnull(strstr(f.err.message, "no clock"));
    FIXTURE_OK(&f, wispi_model_set_clock(f.model, &clock, &f.err));
    FIXTURE_OK(&f, wispi_program_run(program, small, &t, NULL, &f.err));
    wispi_program_destroy(program);
    wispi_optimizer_destroy(t.optimizer);
    fixture_close(&f);
}
END_TEST

START_TEST(moments_and_counts_are_tensors_of_the_model)
{
    static const char *const names[] = {"net.fc.weight",
                                        "net.fc.bias",
                                        "optimizer.first_moment.net.fc.weight",
                                        "optimizer.first_moment.net.fc.bias",
                                        "optimizer.second_moment.net.fc.weight",
                                        "optimizer.second_moment.net.fc.bias",
                                        "optimizer.updates.net"};
    fixture f;
    wispi_optimizer *optimizer = NULL;
    wispi_optimizer_config config = wispi_optimizer_defaults(WISPI_OPTIMIZER_ADAMW);
    open_small(&f, 1);
    FIXTURE_OK(&f, wispi_optimizer_create(f.model, &config, &optimizer, &f.err));
    ck_assert_int_eq(wispi_model_tensor_count(f.model), 7);
    for (int32_t i = 0; i < 7; i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(f.model, i);
        ck_assert_pstr_eq(t->name, names[i]);
        ck_assert_int_eq(t->role, i < 2 ? WISPI_ROLE_PARAMETER : WISPI_ROLE_OPTIMIZER);
        ck_assert_int_eq(t->trained, i < 2);
    }
    ck_assert_int_eq(wispi_model_tensor_at(f.model, 6)->desc->dtype, WISP_I64);
    wispi_optimizer_destroy(optimizer);
    ck_assert_int_eq(wispi_model_tensor_count(f.model), 2);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("optimizer");
    TCase *training_case = tcase_create("training"), *rest = tcase_create("setup");
    tcase_set_timeout(training_case, 60);
    tcase_set_timeout(rest, 60);
    tcase_add_test(training_case, sgd);
    tcase_add_test(training_case, sgd_in_bf16);
    tcase_add_test(training_case, sgd_with_a_limit_on_the_norm_of_all);
    tcase_add_test(training_case, lars_with_a_limit_on_each_tensor);
    tcase_add_test(training_case, adamw);
    tcase_add_loop_test(rest, a_network_apart_is_not_clipped_and_clips_nothing, 0, 2);
    tcase_add_test(rest, wrong_configurations_are_refused);
    tcase_add_test(rest, a_step_needs_a_refresh_and_a_clock);
    tcase_add_test(rest, moments_and_counts_are_tensors_of_the_model);
    suite_add_tcase(suite, training_case);
    suite_add_tcase(suite, rest);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
