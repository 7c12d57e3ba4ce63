/* Modules, networks and their roles, states, batches, metrics: what the two public tables do. What
 * training steps compute is compared with PyTorch in test_optimizer.c and test_sdk.c. */
#include "model_fixture.h"

#include "nn/module.h"

/* --- building --- */

static const wisp_linear_desc linear_2_3 = {2, 3, 1, 0, {0, 0, 0}, {0, 0, 0}};

START_TEST(paths_are_those_of_torch)
{
    static const char *const names[] = {"student.head.mlp.0.weight",
                                        "student.head.mlp.0.bias",
                                        "student.head.mlp.1.weight",
                                        "student.head.mlp.1.bias",
                                        "student.head.mlp.3.weight",
                                        "student.head.mlp.3.bias",
                                        "student.head.mlp.4.weight",
                                        "student.head.mlp.4.bias",
                                        "student.head.mlp.6.weight",
                                        "student.head.mlp.6.bias",
                                        "student.head.last_layer.weight_g",
                                        "student.head.last_layer.weight_v",
                                        "student.cls_token",
                                        "student.head.mlp.1.running_mean",
                                        "student.head.mlp.1.running_var",
                                        "student.head.mlp.4.running_mean",
                                        "student.head.mlp.4.running_var"};
    const wisp_mlp_desc mlp = {.dims = {8, 16, 16, 4}, .n_dims = 4, .batch_norm = 1};
    const wisp_weight_norm_desc last = {4, 9, 0, 0};
    const wisp_desc token = wisp_desc3(WISP_F32, 1, 1, 4);
    const wisp_init normal = {WISP_INIT_NORMAL, 0, 0.02};
    fixture f;
    fixture_open(&f, 1);
    wisp_module *student = wisp_network(f.b, "student");
    wisp_module *head = wisp_group(f.b, student, "head");
    wisp_mlp(f.b, head, "mlp", &mlp);
    ck_assert_int_eq(wisp_output_dim(f.b, head), 4);
    wisp_weight_norm_layer(f.b, head, "last_layer", &last);
    ck_assert_int_eq(wisp_output_dim(f.b, student), 9);
    wisp_parameter(f.b, student, "cls_token", &token, &normal, 0);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    ck_assert_int_eq(wispi_model_tensor_count(f.model), 17);
    for (int32_t i = 0; i < 17; i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(f.model, i);
        ck_assert_pstr_eq(t->name, names[i]);
        ck_assert_int_eq(t->role, i < 13 ? WISPI_ROLE_PARAMETER : WISPI_ROLE_BUFFER);
    }
    ck_assert_int_eq(wispi_model_tensor_named(f.model, "student.head.last_layer.weight_g")->trained,
                     0);
    ck_assert_int_eq(wispi_model_tensor_named(f.model, "student.cls_token")->trained, 1);
    const int64_t all = 8 * 16 + 16 + 32 + 16 * 16 + 16 + 32 + 16 * 4 + 4 + 9 + 9 * 4 + 4;
    ck_assert_int_eq(wispi_module_parameter_count(student, 0), all);
    ck_assert_int_eq(wispi_module_parameter_count(student, 1), all - 9);
    ck_assert_int_eq(wispi_module_parameter_count(head, 0), all - 4);
    fixture_close(&f);
}
END_TEST

/* Two networks that share a path, built in another order and beside other things. */
static void build_variant(fixture *f, uint64_t seed, int variant)
{
    fixture_open(f, seed);
    wisp_module *net = wisp_network(f->b, "net");
    if (variant)
        wisp_linear_layer(f->b, net, "extra", &linear_2_3);
    wisp_module *fc = wisp_group(f->b, net, "fc");
    if (variant)
        wisp_linear_layer(f->b, fc, "b", &linear_2_3);
    wisp_linear_layer(f->b, fc, "a", &linear_2_3);
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
}

START_TEST(first_values_depend_on_seed_and_path_alone)
{
    fixture a, b, c;
    build_variant(&a, 5, 0);
    build_variant(&b, 5, 1);
    build_variant(&c, 6, 0);
    double *va = fixture_read(&a, "net.fc.a.weight", NULL);
    double *vb = fixture_read(&b, "net.fc.a.weight", NULL);
    double *vc = fixture_read(&c, "net.fc.a.weight", NULL);
    double *other = fixture_read(&b, "net.fc.b.weight", NULL);
    for (int i = 0; i < 6; i++) {
        ck_assert_double_eq(va[i], vb[i]);
        ck_assert_double_ne(va[i], vc[i]);
        ck_assert_double_ne(va[i], other[i]);
    }
    free(va);
    free(vb);
    free(vc);
    free(other);
    fixture_close(&a);
    fixture_close(&b);
    fixture_close(&c);
}
END_TEST

/* Mean, standard deviation and largest magnitude. */
static void moments(const double *v, int64_t n, double m[3])
{
    m[0] = m[1] = m[2] = 0;
    for (int64_t i = 0; i < n; i++)
        m[0] += v[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        m[1] += (v[i] - m[0]) * (v[i] - m[0]) / (double)n;
        m[2] = fmax(m[2], fabs(v[i]));
    }
    m[1] = sqrt(m[1]);
}

static void check_moments(fixture *f, const char *name, double deviation, double bound)
{
    int64_t n = 0;
    double *v = fixture_read(f, name, &n), m[3];
    moments(v, n, m);
    free(v);
    ck_assert_msg(fabs(m[0]) < 4 * deviation / sqrt((double)n), "%s: mean %g", name, m[0]);
    ck_assert_msg(fabs(m[1] / deviation - 1) < 3 / sqrt((double)n), "%s: deviation %g, not %g",
                  name, m[1], deviation);
    ck_assert_msg(m[2] <= bound, "%s: largest %g", name, m[2]);
}

START_TEST(first_values_have_the_asked_distribution)
{
    const wisp_linear_desc usual = {.in = 100, .out = 90, .bias = 1};
    const wisp_linear_desc dino = {
        .in = 100, .out = 90, .bias = 1, .weight = {WISP_INIT_NORMAL, 0, 0.02}};
    const wisp_conv2d_desc conv = {.in = 8, .out = 32, .kernel = 3, .stride = 1, .bias = 1};
    const wisp_conv2d_desc dw = {.in = 900, .out = 900, .kernel = 3, .stride = 1, .groups = 900};
    const wisp_desc table = wisp_desc2(WISP_F32, 70, 80);
    const wisp_init cut = {WISP_INIT_TRUNCATED_NORMAL, 0, 0.5}, flat = {WISP_INIT_UNIFORM, 0, 0.3};
    fixture f;
    fixture_open(&f, 11);
    wisp_module *net = wisp_network(f.b, "n");
    wisp_linear_layer(f.b, net, "usual", &usual);
    wisp_linear_layer(f.b, net, "dino", &dino);
    wisp_conv2d_layer(f.b, net, "conv", &conv);
    wisp_conv2d_layer(f.b, net, "dw", &dw);
    wisp_parameter(f.b, net, "cut", &table, &cut, 0);
    wisp_parameter(f.b, net, "flat", &table, &flat, 0);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    check_moments(&f, "n.usual.weight", 0.1 / sqrt(3), 0.1);
    check_moments(&f, "n.usual.bias", 0.1 / sqrt(3), 0.1);
    check_moments(&f, "n.dino.weight", 0.02, 0.12);
    ck_assert_double_eq(fixture_first(&f, "n.dino.bias"), 0);
    check_moments(&f, "n.conv.weight", sqrt(2.0 / (32 * 9)), 1);
    ck_assert_double_eq(fixture_first(&f, "n.conv.bias"), 0);
    check_moments(&f, "n.dw.weight", sqrt(2.0 / (900 * 9)), 1);
    check_moments(&f, "n.cut", 0.5 * 0.8796, 1); /* deviation of a normal cut at 2 */
    check_moments(&f, "n.flat", 0.3 / sqrt(3), 0.3);
    fixture_close(&f);
}
END_TEST

/* Whoever builds a layer, and whether before or after; parameters of other kinds stay. */
START_TEST(a_method_may_override_first_values)
{
    const wisp_init_override o = {{WISP_INIT_NORMAL, 0, 0.5}, {WISP_INIT_CONSTANT, 0, 3}, 1, 0};
    const wisp_conv2d_desc conv = {.in = 8,
                                   .out = 32,
                                   .kernel = 3,
                                   .stride = 1,
                                   .bias = 1,
                                   .weight = {WISP_INIT_LINEAR_DEFAULT, 0, 0}};
    const wisp_norm_desc norm = {.channels = 2, .zero_gamma = 1},
                         bare = {.channels = 2, .affine = -1};
    const wisp_desc table = wisp_desc2(WISP_F32, 2, 2);
    const wisp_init seven = {WISP_INIT_CONSTANT, 0, 7};
    fixture f;
    fixture_open(&f, 11);
    wisp_module *a = wisp_network(f.b, "a");
    wisp_linear_layer(f.b, a, "fc", &linear_2_3);
    wisp_override_init(f.b, &o);
    wisp_module *net = wisp_network(f.b, "b");
    wisp_linear_layer(f.b, net, "fc", &linear_2_3);
    wisp_conv2d_layer(f.b, net, "conv", &conv);
    wisp_batch_norm_layer(f.b, net, "bn", &norm);
    wisp_batch_norm_layer(f.b, net, "bare", &bare);
    wisp_layer_norm_layer(f.b, net, "ln", &norm);
    wisp_parameter(f.b, net, "p", &table, &seven, 0);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    ck_assert_double_eq(fixture_first(&f, "a.fc.weight"), 3);
    ck_assert_double_eq(fixture_first(&f, "a.fc.bias"), 0);
    ck_assert_double_eq(fixture_first(&f, "b.fc.weight"), 3);
    ck_assert_double_eq(fixture_first(&f, "b.fc.bias"), 0);
    check_moments(&f, "b.conv.weight", 0.5, 3);
    ck_assert_double_ne(fixture_first(&f, "b.conv.bias"), 0);
    ck_assert_double_eq(fixture_first(&f, "b.bn.weight"), 1);
    ck_assert_double_eq(fixture_first(&f, "b.ln.weight"), 0);
    ck_assert_double_eq(fixture_first(&f, "b.p"), 7);
    fixture_close(&f);
}
END_TEST

/* The message that finish returns. */
static const char *finish_refused(fixture *f)
{
    memset(&f->err, 0, sizeof f->err);
    ck_assert_int_ne(wispi_model_finish(f->model, &f->err), WISP_OK);
    return f->err.message;
}

static void refused(void (*build)(wisp_build *b), const char *message)
{
    fixture f;
    fixture_open(&f, 1);
    build(f.b);
    ck_assert_pstr_eq(finish_refused(&f), message);
    fixture_close(&f);
}

static void two_of_a_name(wisp_build *b)
{
    wisp_module *net = wisp_network(b, "net");
    wisp_linear_layer(b, net, "fc", &linear_2_3);
    ck_assert_ptr_null(wisp_linear_layer(b, net, "fc", &linear_2_3));
    ck_assert_ptr_null(wisp_group(b, net, "later")); /* the first error sticks */
    wisp_build_fail(b, WISP_E_CONFIG, "a later error");
}

static void below_a_layer(wisp_build *b)
{
    wisp_module *fc = wisp_linear_layer(b, wisp_network(b, "net"), "fc", &linear_2_3);
    wisp_group(b, fc, "x");
}

static void bad_name(wisp_build *b)
{
    wisp_group(b, wisp_network(b, "net"), "a b");
}

static void no_parent(wisp_build *b)
{
    wisp_linear_layer(b, NULL, "fc", &linear_2_3);
}

static void dots_collide(wisp_build *b)
{
    const wisp_desc one = wisp_desc1(WISP_F32, 1);
    const wisp_init zeros = {0, 0, 0};
    wisp_module *net = wisp_network(b, "net");
    wisp_parameter(b, net, "a.b", &one, &zeros, 0);
    wisp_parameter(b, wisp_group(b, net, "a"), "b", &one, &zeros, 0);
}

static void follower_without_partner(wisp_build *b)
{
    wisp_module *student = wisp_network(b, "student"), *teacher = wisp_network(b, "teacher");
    wisp_linear_layer(b, student, "fc", &linear_2_3);
    wisp_linear_layer(b, teacher, "fc", &linear_2_3);
    wisp_linear_layer(b, teacher, "extra", &linear_2_3);
    wisp_follow(b, teacher, student, NULL);
}

static void follower_of_another_shape(wisp_build *b)
{
    const wisp_linear_desc wide = {2, 4, 1, 0, {0, 0, 0}, {0, 0, 0}};
    wisp_module *student = wisp_network(b, "student"), *teacher = wisp_network(b, "teacher");
    wisp_linear_layer(b, student, "fc", &wide);
    wisp_linear_layer(b, teacher, "fc", &linear_2_3);
    wisp_follow(b, teacher, student, NULL);
}

static void no_such_convolution(wisp_build *b)
{
    const wisp_conv2d_desc conv = {.in = 6, .out = 6, .kernel = 3, .stride = 1, .groups = 4};
    wisp_conv2d_layer(b, wisp_network(b, "net"), "conv", &conv);
}

static void no_backbone(wisp_build *b)
{
    wisp_backbone(b, wisp_network(b, "net"), "backbone");
}

static void integer_state_drawn(wisp_build *b)
{
    const wisp_desc one = wisp_desc1(WISP_I64, 1);
    const wisp_init normal = {WISP_INIT_NORMAL, 0, 1};
    wisp_new_state(b, "count", &one, &normal);
}

static void no_such_override(wisp_build *b)
{
    const wisp_init_override o = {{0, 0, 0}, {WISP_INIT_NORMAL, 0, (double)INFINITY}, 0, 0};
    wisp_override_init(b, &o);
}

static void no_such_sign(wisp_build *b)
{
    const wisp_collapse_sign sign = {sizeof sign, 0, (double)INFINITY, 1, "a", "b"};
    wisp_collapse_at(b, "loss", &sign);
}

static void silent_sign(wisp_build *b)
{
    const wisp_collapse_sign sign = {sizeof sign, 0, 1, 1, "a", NULL};
    wisp_collapse_at(b, "loss", &sign);
}

static void too_many_signs(wisp_build *b)
{
    const wisp_collapse_sign sign = {sizeof sign, 0, 1, 1, "a", "b"};
    for (int i = 0; i < 17; i++)
        wisp_collapse_at(b, "loss", &sign);
}

static void long_path(wisp_build *b)
{
    char name[90];
    memset(name, 'x', sizeof name);
    name[89] = '\0';
    wisp_group(b, wisp_group(b, wisp_network(b, "net"), name), name);
}

START_TEST(wrong_networks_are_refused_by_name)
{
    refused(two_of_a_name, "net has two modules called fc: rename one");
    refused(below_a_layer, "module x: net.fc is a layer and has no modules below it");
    refused(bad_name, "module \"a b\": a name has 1 to 99 letters, digits, '_', '-' or inner dots");
    refused(no_parent, "module fc: its parent is NULL");
    refused(dots_collide, "two tensors have the name net.a.b: rename one");
    refused(follower_without_partner, "teacher follows student, but teacher.extra.weight has no "
                                      "partner student.extra.weight: build both alike, or exclude "
                                      "it");
    refused(follower_of_another_shape,
            "teacher.fc.weight (3,2) follows student.fc.weight (4,2): build both alike, or exclude "
            "it");
    refused(no_such_convolution,
            "net.conv: no convolution has 6 to 6 channels, kernel 3, stride 1, "
            "padding 0, 4 groups");
    refused(no_backbone, "net.backbone: this run has no backbone: add a [backbone] table");
    refused(integer_state_drawn, "count: integers begin as zeros or a constant");
    refused(no_such_override,
            "override_init: linear layers: the initialisation's value is not finite");
    refused(no_such_sign, "collapse_at of loss: value inf within 1; both must be finite, within at "
                          "least 0");
    refused(silent_sign, "collapse_at of loss: say what it means and what to change");
    refused(too_many_signs, "collapse_at of loss: a run has at most 16 of them");
}
END_TEST

START_TEST(a_path_that_is_too_long_is_refused)
{
    fixture f;
    fixture_open(&f, 1);
    long_path(f.b);
    ck_assert_ptr_nonnull(strstr(finish_refused(&f), "is too long: shorten names"));
    fixture_close(&f);
}
END_TEST

/* --- roles --- */

typedef struct roles {
    wisp_module *net, *bn, *fc;
    wispi_variable x;
    int backward;
} roles;

static void roles_step(wisp_step *s, void *user)
{
    roles *r = user;
    wisp_tensor *y = wisp_forward(s, r->net, wispi_step_variable(s, &r->x));
    wisp_tensor *mean = wisp_mean(s, wisp_mul(s, y, y), 0, 0);
    wisp_metric(s, "out", mean);
    if (r->backward)
        wispi_step_backward(s, mean);
}

static void open_roles(fixture *f, roles *r, const wisp_freeze_desc *freeze_bn,
                       const wisp_freeze_desc *freeze_fc)
{
    const wisp_norm_desc norm = {.channels = 2};
    const wisp_desc x = wisp_desc2(WISP_F32, 4, 2);
    const double values[8] = {1, 2, 3, 5, -1, 0, 2, 9};
    fixture_open(f, 3);
    memset(r, 0, sizeof *r);
    r->net = wisp_network(f->b, "net");
    r->bn = wisp_batch_norm_layer(f->b, r->net, "bn", &norm);
    r->fc = wisp_linear_layer(f->b, r->net, "fc", &linear_2_3);
    r->backward = 1;
    if (freeze_bn)
        wisp_freeze(f->b, r->bn, freeze_bn);
    if (freeze_fc)
        wisp_freeze(f->b, r->fc, freeze_fc);
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
    FIXTURE_OK(f, wispi_variable_init(f->device, &r->x, "x", &x, NULL, &f->err));
    fixture_write(f, &r->x, values, 8);
}

static double run_roles(fixture *f, roles *r)
{
    double out[WISPI_MAX_METRICS];
    wispi_program *program = fixture_record(f, roles_step, r);
    fixture_run(f, program, roles_step, r, 0, 1, 1);
    FIXTURE_OK(f, wispi_metrics_read(wispi_model_metrics(f->model), program, out, &f->err));
    wispi_program_destroy(program);
    return out[0];
}

static void close_roles(fixture *f, roles *r)
{
    wispi_variable_fini(f->device, &r->x);
    fixture_close(f);
}

START_TEST(batch_norm_moves_its_running_statistics)
{
    fixture f;
    roles r;
    open_roles(&f, &r, NULL, NULL);
    run_roles(&f, &r);
    /* mean (1.25, 4); unbiased variance (8.75, 46) / 3 */
    double *mean = fixture_read(&f, "net.bn.running_mean", NULL);
    double *var = fixture_read(&f, "net.bn.running_var", NULL);
    ck_assert_double_eq_tol(mean[0], 0.125, 1e-6);
    ck_assert_double_eq_tol(mean[1], 0.4, 1e-6);
    ck_assert_double_eq_tol(var[0], 0.9 + 0.1 * 8.75 / 3, 1e-6);
    ck_assert_double_eq_tol(var[1], 0.9 + 0.1 * 46 / 3, 1e-6);
    free(mean);
    free(var);
    close_roles(&f, &r);
}
END_TEST

START_TEST(each_freeze_switch_does_its_own_thing)
{
    const wisp_freeze_desc fixed = {0, 0, 1, 0}, eval = {0, 1, 0, 0}, gradient = {1, 0, 0, 0};
    fixture f;
    roles r;
    open_roles(&f, &r, NULL, NULL);
    const double trained = run_roles(&f, &r);
    close_roles(&f, &r);

    open_roles(&f, &r, &fixed, NULL);
    ck_assert_double_eq(run_roles(&f, &r), trained); /* normalised by the batch all the same */
    ck_assert_double_eq(fixture_first(&f, "net.bn.running_mean"), 0);
    close_roles(&f, &r);

    open_roles(&f, &r, &eval, NULL);
    ck_assert_double_ne(run_roles(&f, &r), trained);
    ck_assert_double_eq(fixture_first(&f, "net.bn.running_mean"), 0);
    close_roles(&f, &r);

    open_roles(&f, &r, NULL, &gradient);
    ck_assert_double_eq(run_roles(&f, &r), trained);
    ck_assert_int_eq(wispi_model_tensor_named(f.model, "net.fc.weight")->trained, 0);
    ck_assert_int_eq(wispi_model_tensor_named(f.model, "net.bn.weight")->trained, 1);
    close_roles(&f, &r);

    open_roles(&f, &r, &gradient, &gradient);
    r.backward = 1;
    ck_assert_pstr_eq(fixture_refused(&f, roles_step, &r),
                      "the loss does not depend on any trainable parameter");
    close_roles(&f, &r);
}
END_TEST

START_TEST(evaluation_uses_running_statistics)
{
    fixture f, g;
    roles r, q;
    const wisp_freeze_desc eval = {0, 1, 0, 0};
    open_roles(&f, &r, NULL, NULL);
    open_roles(&g, &q, &eval, NULL);
    wispi_model_set_eval(f.model, 1);
    ck_assert_double_eq(run_roles(&f, &r), run_roles(&g, &q));
    ck_assert_double_eq(fixture_first(&f, "net.bn.running_mean"), 0);
    wispi_model_set_eval(f.model, 0);
    run_roles(&f, &r);
    ck_assert_double_ne(fixture_first(&f, "net.bn.running_mean"), 0);
    close_roles(&f, &r);
    close_roles(&g, &q);
}
END_TEST

/* --- followers --- */

typedef struct pair {
    wisp_module *student, *teacher;
    wisp_scalar *momentum;
} pair;

static void follow_step(wisp_step *s, void *user)
{
    pair *p = user;
    wisp_ema_update(s, p->teacher, p->momentum);
}

static void open_pair(fixture *f, pair *p, const wisp_follow_desc *desc)
{
    const wisp_norm_desc norm = {.channels = 3};
    const wisp_schedule m = {.value = 0.75};
    wisp_module *nets[2];
    fixture_open(f, 2);
    for (int i = 0; i < 2; i++) {
        nets[i] = wisp_network(f->b, i ? "teacher" : "student");
        wisp_linear_layer(f->b, nets[i], "fc", &linear_2_3);
        wisp_batch_norm_layer(f->b, nets[i], "bn", &norm);
        if (i && desc && desc->exclude)
            wisp_linear_layer(f->b, nets[i], "predictor", &linear_2_3);
    }
    wisp_follow(f->b, nets[1], nets[0], desc);
    p->student = nets[0];
    p->teacher = nets[1];
    p->momentum = wisp_new_scalar(f->b, "m", &m);
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
}

static void put_first(fixture *f, const char *name, double value)
{
    int64_t n = 0;
    double *v = fixture_read(f, name, &n);
    v[0] = value;
    fixture_write(f, fixture_variable(f, name), v, n);
    free(v);
}

START_TEST(a_follower_starts_as_a_copy_and_averages)
{
    fixture f;
    pair p;
    open_pair(&f, &p, NULL);
    double *a = fixture_read(&f, "student.fc.weight", NULL);
    double *b = fixture_read(&f, "teacher.fc.weight", NULL);
    for (int i = 0; i < 6; i++)
        ck_assert_double_eq(a[i], b[i]);
    ck_assert_int_eq(wispi_model_tensor_named(f.model, "teacher.fc.weight")->trained, 0);
    put_first(&f, "student.fc.weight", 8);
    put_first(&f, "teacher.fc.weight", 4);
    put_first(&f, "student.bn.running_mean", 8);
    wispi_program *program = fixture_record(&f, follow_step, &p);
    fixture_run(&f, program, follow_step, &p, 0, 1, 1);
    ck_assert_double_eq(fixture_first(&f, "teacher.fc.weight"), 5);
    ck_assert_double_eq(fixture_first(&f, "student.fc.weight"), 8);
    ck_assert_double_eq(fixture_first(&f, "teacher.bn.running_mean"), 0);
    FIXTURE_OK(&f, wispi_model_copy_to_followers(f.model, &f.err));
    ck_assert_double_eq(fixture_first(&f, "teacher.fc.weight"), 8);
    ck_assert_double_eq(fixture_first(&f, "teacher.bn.running_mean"), 8);
    wispi_program_destroy(program);
    free(a);
    free(b);
    fixture_close(&f);
}
END_TEST

START_TEST(buffers_are_averaged_when_asked)
{
    const wisp_follow_desc desc = {NULL, 1, 0};
    fixture f;
    pair p;
    open_pair(&f, &p, &desc);
    put_first(&f, "student.bn.running_mean", 8);
    wispi_program *program = fixture_record(&f, follow_step, &p);
    fixture_run(&f, program, follow_step, &p, 0, 1, 1);
    ck_assert_double_eq(fixture_first(&f, "teacher.bn.running_mean"), 2);
    wispi_program_destroy(program);
    fixture_close(&f);
}
END_TEST

START_TEST(excluded_parameters_stay_their_own)
{
    static const char *const exclude[] = {"predictor", NULL};
    const wisp_follow_desc desc = {exclude, 0, 0};
    fixture f;
    pair p;
    open_pair(&f, &p, &desc);
    const double first = fixture_first(&f, "teacher.predictor.weight");
    wispi_program *program = fixture_record(&f, follow_step, &p);
    fixture_run(&f, program, follow_step, &p, 0, 1, 1);
    ck_assert_double_eq(fixture_first(&f, "teacher.predictor.weight"), first);
    p.teacher = p.student;
    ck_assert_pstr_eq(fixture_refused(&f, follow_step, &p),
                      "ema_update: student is not a network that follows another: call "
                      "wisp_follow() in build");
    wispi_program_destroy(program);
    fixture_close(&f);
}
END_TEST

/* --- random numbers --- */

static void draw_step(wisp_step *s, void *user)
{
    (void)user;
    wisp_metric(s, "first", wisp_mean(s, wisp_uniform(s, 5), 0, 0));
    wisp_metric(s, "second", wisp_mean(s, wisp_uniform(s, 5), 0, 0));
}

START_TEST(draws_differ_by_call_and_step)
{
    fixture f;
    double a[WISPI_MAX_METRICS], b[WISPI_MAX_METRICS], again[WISPI_MAX_METRICS];
    fixture_open(&f, 2);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    wispi_program *program = fixture_record(&f, draw_step, NULL);
    fixture_run(&f, program, draw_step, NULL, 0, 9, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, a, &f.err));
    fixture_run(&f, program, draw_step, NULL, 1, 9, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, b, &f.err));
    fixture_run(&f, program, draw_step, NULL, 0, 9, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, again, &f.err));
    ck_assert_double_ne(a[0], a[1]);
    ck_assert_double_ne(a[0], b[0]);
    ck_assert_double_ne(a[1], b[1]);
    ck_assert_double_eq(a[0], again[0]);
    ck_assert_double_eq(a[1], again[1]);
    wispi_program_destroy(program);
    fixture_close(&f);
}
END_TEST

/* --- drop path --- */

static wisp_tensor *dropping(void *self, wisp_step *s, wisp_tensor *x)
{
    (void)self;
    return wisp_drop_path(s, x, 0.5);
}

static void drop_step(wisp_step *s, void *user)
{
    wisp_module **nets = user;
    static const char *const names[] = {"student", "teacher"};
    const wisp_desc x = wisp_desc2(WISP_F32, 64, 2);
    for (int i = 0; i < 2; i++) {
        wisp_tensor *y = wisp_forward(s, nets[i], wisp_full(s, &x, 1));
        wisp_metric(s, names[i], wisp_mean(s, y, 0, 0));
    }
}

START_TEST(drop_path_is_for_trained_networks_in_training)
{
    fixture f;
    wisp_module *nets[2];
    double a[WISPI_MAX_METRICS], b[WISPI_MAX_METRICS];
    fixture_open(&f, 2);
    for (int i = 0; i < 2; i++) {
        nets[i] = wisp_network(f.b, i ? "teacher" : "student");
        wisp_custom_layer(f.b, nets[i], "drop", NULL, dropping);
    }
    wisp_follow(f.b, nets[1], nets[0], NULL);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    wispi_program *program = fixture_record(&f, drop_step, nets);
    fixture_run(&f, program, drop_step, nets, 0, 9, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, a, &f.err));
    fixture_run(&f, program, drop_step, nets, 1, 9, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, b, &f.err));
    ck_assert_double_ne(a[0], 1);
    ck_assert_double_ne(a[0], b[0]); /* the next step draws anew ... */
    ck_assert_double_eq(a[1], 1);
    fixture_run(&f, program, drop_step, nets, 0, 9, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, b, &f.err));
    ck_assert_double_eq(a[0], b[0]); /* ... and the same step draws the same */
    wispi_program_destroy(program);
    wispi_model_set_eval(f.model, 1);
    program = fixture_record(&f, drop_step, nets);
    fixture_run(&f, program, drop_step, nets, 0, 9, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, b, &f.err));
    ck_assert_double_eq(b[0], 1);
    wispi_program_destroy(program);
    fixture_close(&f);
}
END_TEST

/* --- states --- */

typedef struct states {
    wisp_state *a, *ring, *cursor, *fixed;
    wisp_module *net;
    int what;
} states;

static void state_step(wisp_step *s, void *user)
{
    states *t = user;
    const wisp_desc two = wisp_desc1(WISP_F32, 2), rows = wisp_desc2(WISP_F32, 2, 2);
    wisp_state_lerp(s, t->a, wisp_full(s, &two, 4), wisp_constant(s, 0.75));
    wisp_state_push(s, t->ring, t->cursor, wisp_full(s, &rows, 7));
    wisp_metric(s, "fixed", wisp_sum(s, wisp_state_value(s, t->fixed), 0, 0));
}

static void wrong_state_step(wisp_step *s, void *user)
{
    states *t = user;
    const wisp_desc two = wisp_desc2(WISP_F32, 4, 2);
    if (t->what == 0)
        wisp_state_assign(s, t->fixed, wisp_state_value(s, t->a));
    if (t->what == 1)
        wisp_state_assign(s, NULL, wisp_state_value(s, t->a));
    if (t->what < 2)
        return;
    wisp_tensor *y = wisp_forward(s, t->net, wisp_full(s, &two, 1));
    wisp_tensor *loss = wisp_mean(s, wisp_matmul(s, y, wisp_state_value(s, t->ring), 0, 0), 0, 0);
    const wisp_desc rows = wisp_desc2(WISP_F32, 2, 2);
    if (t->what == 2) /* matmul's gradient needs the ring */
        wisp_state_push(s, t->ring, t->cursor, wisp_full(s, &rows, 7));
    wispi_step_backward(s, loss);
    if (t->what == 3)
        wisp_state_push(s, t->ring, t->cursor, wisp_full(s, &rows, 7));
}

static void open_states(fixture *f, states *t)
{
    const wisp_desc two = wisp_desc1(WISP_F32, 2), ring = wisp_desc2(WISP_F32, 3, 2),
                    place = wisp_desc0(WISP_I64);
    const wisp_init one = {WISP_INIT_CONSTANT, 0, 1}, unit = {WISP_INIT_UNIT_ROWS, 0, 0},
                    start = {WISP_INIT_CONSTANT, 0, 2};
    const float fixed[2] = {2.5f, 3};
    fixture_open(f, 4);
    memset(t, 0, sizeof *t);
    t->a = wisp_new_state(f->b, "a", &two, &one);
    t->ring = wisp_new_state(f->b, "ring", &ring, &unit);
    t->cursor = wisp_new_state(f->b, "cursor", &place, &start);
    t->fixed = wisp_new_constant(f->b, "fixed", &two, fixed);
    t->net = wisp_network(f->b, "net");
    wisp_linear_layer(f->b, t->net, "fc", &linear_2_3);
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
}

START_TEST(states_change_in_place)
{
    fixture f;
    states t;
    double metric[WISPI_MAX_METRICS];
    open_states(&f, &t);
    double *ring = fixture_read(&f, "state.ring", NULL);
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq_tol(hypot(ring[2 * i], ring[2 * i + 1]), 1, 1e-6);
    const double kept = ring[2];
    free(ring);
    wispi_program *program = fixture_record(&f, state_step, &t);
    fixture_run(&f, program, state_step, &t, 0, 2, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, metric, &f.err));
    ck_assert_double_eq(metric[0], 5.5);
    ck_assert_double_eq(fixture_first(&f, "state.a"), 1.75);
    ring = fixture_read(&f, "state.ring", NULL);
    ck_assert_double_eq(ring[0], 7); /* row 2, then row 0 */
    ck_assert_double_eq(ring[2], kept);
    ck_assert_double_eq(ring[4], 7);
    ck_assert_double_eq(fixture_first(&f, "state.cursor"), 1);
    free(ring);
    ck_assert_ptr_null(wispi_model_tensor_named(f.model, "state.fixed")); /* not in checkpoints */
    ck_assert_int_eq(wispi_model_tensor_named(f.model, "state.cursor")->role, WISPI_ROLE_STATE);
    wispi_program_destroy(program);
    fixture_close(&f);
}
END_TEST

START_TEST(wrong_changes_of_states_are_refused)
{
    fixture f;
    states t;
    open_states(&f, &t);
    ck_assert_pstr_eq(fixture_refused(&f, wrong_state_step, &t), "fixed is a constant");
    t.what = 1;
    ck_assert_pstr_eq(fixture_refused(&f, wrong_state_step, &t), "the state is NULL");
    t.what = 2;
    ck_assert_pstr_eq(fixture_refused(&f, wrong_state_step, &t),
                      "state ring changes before backward, which needs the value that the loss was "
                      "computed with: change it in after_step");
    t.what = 3;
    wispi_program_destroy(fixture_record(&f, wrong_state_step, &t));
    fixture_close(&f);
}
END_TEST

/* --- batches --- */

typedef struct batch_user {
    wispi_batch batch;
    int first, count;
    const char *part;
} batch_user;

static void batch_step(wisp_step *s, void *user)
{
    batch_user *u = user;
    wisp_tensor *x = u->part ? wisp_cast(s, wisp_batch_part(s, &u->batch.plugin, u->part), WISP_F32)
                             : wisp_views(s, &u->batch.plugin, u->first, u->count);
    wisp_metric(s, "sum", wisp_sum(s, x, 0, 0));
    wisp_metric(s, "rows", wisp_constant(s, (double)wisp_shape_of(s, x)->shape[0]));
}

static void open_batch(fixture *f, batch_user *u, uint32_t parts)
{
    const wisp_view_group groups[2] = {{"global", 2, 2, 2, 0}, {"local", 3, 1, 1, 0}};
    double global[2 * 2 * 4 * 3], local[3 * 2 * 3];
    fixture_open(f, 1);
    memset(u, 0, sizeof *u);
    FIXTURE_OK(f, wispi_batch_init(f->device, &u->batch, groups, 2, 2, WISP_F32, parts, &f->err));
    for (int i = 0; i < 48; i++)
        global[i] = i < 24 ? 1 : 10; /* view 0, view 1 */
    for (int i = 0; i < 18; i++)
        local[i] = i / 6 + 100; /* views 2, 3, 4 */
    fixture_write(f, &u->batch.views[0], global, 48);
    fixture_write(f, &u->batch.views[1], local, 18);
}

static void check_views(fixture *f, batch_user *u, int first, int count, double sum, double rows)
{
    double out[WISPI_MAX_METRICS];
    u->first = first;
    u->count = count;
    wispi_program *program = fixture_record(f, batch_step, u);
    fixture_run(f, program, batch_step, u, 0, 1, 1);
    FIXTURE_OK(f, wispi_metrics_read(wispi_model_metrics(f->model), program, out, &f->err));
    ck_assert_double_eq(out[0], sum);
    ck_assert_double_eq(out[1], rows);
    wispi_program_destroy(program);
}

START_TEST(views_are_slices_of_their_group)
{
    fixture f;
    batch_user u;
    open_batch(&f, &u, 0);
    ck_assert_int_eq(u.batch.plugin.n_views, 5);
    check_views(&f, &u, 0, 1, 24, 2);
    check_views(&f, &u, 1, 1, 240, 2);
    check_views(&f, &u, 0, 2, 264, 4);
    check_views(&f, &u, 3, 1, 606, 2);
    check_views(&f, &u, 3, 2, 606 + 612, 4);
    u.first = 1;
    ck_assert_pstr_eq(fixture_refused(&f, batch_step, &u),
                      "views 1 to 2 are not in one group of equal size; the batch has 5 views in 2 "
                      "groups");
    u.first = 5;
    u.count = 1;
    ck_assert_ptr_nonnull(strstr(fixture_refused(&f, batch_step, &u), "views 5 to 5"));
    wispi_batch_fini(f.device, &u.batch);
    fixture_close(&f);
}
END_TEST

START_TEST(parts_are_there_when_asked_for)
{
    const double index[2] = {5, 7};
    fixture f;
    batch_user u;
    open_batch(&f, &u, WISP_NEED_INDEX);
    fixture_write(&f, &u.batch.index, index, 2);
    u.part = "index";
    check_views(&f, &u, 0, 0, 12, 2);
    u.part = "label";
    ck_assert_pstr_eq(fixture_refused(&f, batch_step, &u),
                      "batch part \"label\": ask for it with WISP_NEED_LABELS in requirements");
    u.part = "caption";
    ck_assert_pstr_eq(fixture_refused(&f, batch_step, &u),
                      "batch part \"caption\" does not exist; there are index, boxes, flip, label");
    wispi_batch_fini(f.device, &u.batch);
    fixture_close(&f);
}
END_TEST

START_TEST(two_batches_take_turns)
{
    fixture f;
    batch_user u;
    wispi_batch ahead;
    double out[WISPI_MAX_METRICS], ones[48];
    open_batch(&f, &u, WISP_NEED_INDEX | WISP_NEED_BOXES | WISP_NEED_LABELS);
    FIXTURE_OK(&f, wispi_batch_init(f.device, &ahead, u.batch.plugin.groups, 2, 2, WISP_F32,
                                    u.batch.parts, &f.err));
    for (int i = 0; i < 48; i++)
        ones[i] = 1;
    fixture_write(&f, &ahead.views[0], ones, 48);
    u.count = 2;
    wispi_program *program = fixture_record(&f, batch_step, &u);
    fixture_run(&f, program, batch_step, &u, 0, 1, 1);
    wispi_batch_swap(&u.batch, &ahead);
    fixture_run(&f, program, batch_step, &u, 0, 1, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, out, &f.err));
    ck_assert_double_eq(out[0], 48);
    wispi_program_destroy(program);
    wispi_batch_fini(f.device, &ahead);
    wispi_batch_fini(f.device, &u.batch);
    fixture_close(&f);
}
END_TEST

/* --- steps --- */

static void misuse(wisp_step *s, void *user)
{
    states *t = user;
    const wisp_desc three = wisp_desc2(WISP_F32, 4, 3);
    wisp_tensor *x = wisp_full(s, &three, 1), *out[1] = {NULL};
    switch (t->what) {
    case 0:
        wisp_forward(s, t->net, x); /* takes 2 values */
        break;
    case 1:
        wisp_metric(s, "m", x);
        break;
    case 2:
        wisp_apply(s, "no_such_op", NULL, 0, &x, 1, out, 1);
        break;
    case 3:
        wisp_forward(s, NULL, x);
        break;
    case 4:
        wisp_relu(s, NULL);
        break;
    case 5:
        wisp_drop_gradient(s, NULL);
        break;
    case 6:
        wisp_clip_gradient(s, t->net, -1, 0);
        break;
    default:
        wisp_no_grad_end(s);
    }
}

START_TEST(misuse_is_explained)
{
    static const char *const messages[] = {
        "linear: x is (4,3), w is (3,2), bias is (3): inner sizes 3 and 2 differ (in net.fc)",
        "metric m must be a 0-d f32 tensor, not f32 (4,3): reduce it",
        "apply: there is no operation called no_such_op",
        "forward: the module is NULL",
        "unary: x is missing",
        "drop_gradient: the module is NULL",
        "clip_gradient: net has no trained parameters, or the limit -1 is not positive",
        "no_grad_end without a no_grad_begin"};
    fixture f;
    states t;
    open_states(&f, &t);
    for (t.what = 0; t.what < 8; t.what++)
        ck_assert_pstr_eq(fixture_refused(&f, misuse, &t), messages[t.what]);
    fixture_close(&f);
}
END_TEST

static void by_name(wisp_step *s, void *user)
{
    const wisp_desc desc = wisp_desc1(WISP_F32, 2);
    const wisp_unary_attrs attrs = {0, 0, WISP_UNARY_SQUARE, 0};
    wisp_tensor *x = wisp_full(s, &desc, 3), *y = NULL;
    (void)user;
    wisp_apply(s, "unary", &attrs, sizeof attrs, &x, 1, &y, 1);
    wisp_metric(s, "sum", wisp_sum(s, y, 0, 0));
}

START_TEST(operations_can_be_called_by_name)
{
    double out[WISPI_MAX_METRICS];
    fixture f;
    fixture_open(&f, 1);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    wispi_program *program = fixture_record(&f, by_name, NULL);
    fixture_run(&f, program, by_name, NULL, 0, 1, 1);
    FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, out, &f.err));
    ck_assert_double_eq(out[0], 18);
    wispi_program_destroy(program);
    fixture_close(&f);
}
END_TEST

/* Every entry of the two tables is filled in. */
START_TEST(tables_are_complete)
{
    void (*const *ops)(void);
    const wisp_ops *table = wispi_ops_table();
    const wisp_builder *builder = &wispi_builder_table;
    ck_assert_uint_eq(table->struct_size, sizeof *table);
    ck_assert_uint_eq(builder->struct_size, sizeof *builder);
    for (size_t at = 8; at < sizeof *table; at += sizeof ops) {
        memcpy(&ops, (const char *)table + at, sizeof ops);
        ck_assert_msg(ops != NULL, "operation %zu is missing", at / 8 - 1);
    }
    for (size_t at = 8; at < sizeof *builder; at += sizeof ops) {
        memcpy(&ops, (const char *)builder + at, sizeof ops);
        ck_assert_msg(ops != NULL, "builder function %zu is missing", at / 8 - 1);
    }
}
END_TEST

/* The tables of a host that was built before the last function of each. */
static void too_old(wisp_step *s, void *user)
{
    wisp_ops older = *s->ops;
    (void)user;
    older.struct_size = offsetof(wisp_ops, own_statistics_begin);
    s->ops = &older;
    ck_assert_int_eq(wisp_world_rank(s), 0);
    wisp_own_statistics_begin(s, 0, 1);
    s->ops = wispi_ops_table();
}

START_TEST(what_an_older_host_lacks_is_told_by_name)
{
    static const wisp_collapse_sign sign = {sizeof sign, 0, 0, 1, "meaning", "remedy"};
    fixture f;
    fixture_open(&f, 1);
    ck_assert_ptr_nonnull(strstr(fixture_refused(&f, too_old, NULL),
                                 "own_statistics_begin, for which this host is too old"));
    wisp_builder older = *f.b->table;
    older.struct_size = offsetof(wisp_builder, collapse_at);
    f.b->table = &older;
    wisp_override_init(f.b, &(const wisp_init_override){0});
    FIXTURE_OK(&f, wispi_model_build_status(f.model, &f.err));
    wisp_collapse_at(f.b, "loss", &sign);
    ck_assert_int_eq(wispi_model_build_status(f.model, &f.err), WISP_E_ABI);
    ck_assert_ptr_nonnull(strstr(f.err.message, "wisp_collapse_at()"));
    fixture_close(&f);
}
END_TEST

/* --- backbones --- */

typedef struct toy {
    wisp_module *fc;
    int released;
} toy;

static wisp_status toy_build(void *self, wisp_build *b, wisp_module *parent,
                             wisp_backbone_info *info, wisp_error *err)
{
    toy *t = self;
    (void)err;
    t->fc = wisp_linear_layer(b, parent, "fc", &linear_2_3);
    info->dim = 3;
    info->taps = WISP_TAP_STAGES;
    return WISP_OK;
}

static void toy_forward(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out)
{
    const toy *t = self;
    out->pooled = wisp_forward(s, t->fc, x);
    if (out->taps & WISP_TAP_STAGES)
        out->stages[out->n_stages++] = x;
}

static const wisp_backbone_v0 toy_vtable = {
    .struct_size = sizeof toy_vtable, .build = toy_build, .forward = toy_forward};

static void toy_release(void *self)
{
    ((toy *)self)->released++;
}

static wisp_status make_toy(void *user, const char *path, wispi_backbone_instance *instance,
                            wisp_error *err)
{
    if (!user)
        return wisp_fail(err, WISP_E_NOT_FOUND, "%s: no toy today", path);
    *instance = (wispi_backbone_instance){&toy_vtable, user, toy_release};
    return WISP_OK;
}

typedef struct toy_user {
    wisp_module *net, *backbone;
    uint32_t taps;
    int use_mask;
    uint32_t size; /* 0: all */
} toy_user;

static void toy_step(wisp_step *s, void *user)
{
    toy_user *u = user;
    const wisp_desc x = wisp_desc2(WISP_F32, 4, 2);
    wisp_features out;
    memset(&out, 0, sizeof out);
    out.struct_size = u->size ? u->size : sizeof out;
    out.n_blocks = -7; /* beyond what a shorter one has, nothing is written */
    out.taps = u->taps;
    wisp_tensor *in = wisp_full(s, &x, 1);
    out.mask = u->use_mask ? in : NULL;
    wisp_tensor *pooled = wisp_forward_features(s, u->net, in, &out);
    ck_assert_ptr_eq(pooled, out.pooled);
    ck_assert(!pooled || u->size || out.n_stages == (u->taps == WISP_TAP_STAGES));
    ck_assert(!pooled || out.n_blocks == (u->size ? -7 : 0));
    ck_assert(!pooled || wisp_shape_of(s, wisp_forward(s, u->backbone, in))->shape[1] == 3);
}

START_TEST(backbones_are_made_for_each_network)
{
    fixture f;
    toy t = {NULL, 0};
    toy_user u = {NULL, NULL, 0, 0, 0};
    fixture_open(&f, 1);
    wispi_model_set_backbone_maker(f.model, make_toy, &t);
    u.net = wisp_network(f.b, "net");
    u.backbone = wisp_backbone(f.b, u.net, "backbone");
    ck_assert_int_eq(wisp_output_dim(f.b, u.backbone), 3);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    ck_assert_ptr_nonnull(wispi_model_tensor_named(f.model, "net.backbone.fc.weight"));
    ck_assert_int_eq(wispi_module_backbone_info(u.backbone)->dim, 3);
    ck_assert_ptr_null(wispi_module_backbone_info(u.net));
    wispi_program_destroy(fixture_record(&f, toy_step, &u));
    u.taps = WISP_TAP_STAGES;
    wispi_program_destroy(fixture_record(&f, toy_step, &u));
    u.taps = WISP_TAP_STAGES | WISP_TAP_BLOCKS;
    ck_assert_pstr_eq(fixture_refused(&f, toy_step, &u),
                      "net.backbone: the backbone has no tap \"blocks\"");
    u.taps = 1u << 20;
    ck_assert_ptr_nonnull(strstr(fixture_refused(&f, toy_step, &u), "this host does not know"));
    u.taps = 0;
    u.use_mask = 1;
    ck_assert_ptr_nonnull(strstr(fixture_refused(&f, toy_step, &u), "no tokens that could be"));
    u.use_mask = 0;
    u.size = offsetof(wisp_features, map); /* who was built when there was less */
    wispi_program_destroy(fixture_record(&f, toy_step, &u));
    u.size = 8;
    ck_assert_ptr_nonnull(strstr(fixture_refused(&f, toy_step, &u), "struct_size is 8"));
    ck_assert_int_eq(t.released, 0);
    fixture_close(&f);
    ck_assert_int_eq(t.released, 1);

    fixture_open(&f, 1);
    wispi_model_set_backbone_maker(f.model, make_toy, NULL);
    ck_assert_ptr_null(wisp_backbone(f.b, wisp_network(f.b, "net"), "backbone"));
    ck_assert_pstr_eq(finish_refused(&f), "net.backbone: no toy today");
    fixture_close(&f);
}
END_TEST

/* --- failing allocations --- */

/* Builds, finishes and records; whatever fails leaves nothing behind. */
static wisp_status all_of_it(fixture *f, toy *t)
{
    const wisp_schedule m = {.value = 0.5};
    const wisp_mlp_desc mlp = {.dims = {3, 4, 2}, .n_dims = 3, .batch_norm = 1};
    const wisp_desc ring = wisp_desc2(WISP_F32, 3, 2);
    wisp_module *nets[2];
    for (int i = 0; i < 2; i++) {
        nets[i] = wisp_network(f->b, i ? "teacher" : "student");
        wisp_backbone(f->b, nets[i], "backbone");
        wisp_mlp(f->b, nets[i], "head", &mlp);
    }
    wisp_follow(f->b, nets[1], nets[0], NULL);
    wisp_new_scalar(f->b, "m", &m);
    wisp_new_state(f->b, "ring", &ring, NULL);
    (void)t;
    return wispi_model_finish(f->model, &f->err);
}

START_TEST(every_allocation_may_fail)
{
    const int64_t before = wispi_live_blocks();
    int failures = 0, done = 0;
    for (int64_t nth = 1; !done; nth++) {
        const wispi_device_options options = {1, 1, 0};
        toy t = {NULL, 0};
        fixture f;
        memset(&f, 0, sizeof f);
        wispi_fail_allocation(nth);
        wisp_status status = wispi_device_open(NULL, NULL, 0, &options, &f.device, &f.err);
        if (status == WISP_OK)
            status = wispi_model_create(f.device, 1, &f.model, &f.err);
        if (status == WISP_OK) {
            f.b = wispi_model_builder(f.model);
            wispi_model_set_backbone_maker(f.model, make_toy, &t);
            status = all_of_it(&f, &t);
        }
        wispi_fail_allocation(-1);
        done = status == WISP_OK;
        failures += !done;
        ck_assert_msg(done || status == WISP_E_NOMEM, "allocation %lld: %s %s", (long long)nth,
                      wisp_status_name(status), f.err.message);
        fixture_close(&f);
        ck_assert_int_eq(wispi_live_blocks(), before);
    }
    ck_assert_int_gt(failures, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nn");
    TCase *tests = tcase_create("nn");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, paths_are_those_of_torch);
    tcase_add_test(tests, first_values_depend_on_seed_and_path_alone);
    tcase_add_test(tests, first_values_have_the_asked_distribution);
    tcase_add_test(tests, a_method_may_override_first_values);
    tcase_add_test(tests, wrong_networks_are_refused_by_name);
    tcase_add_test(tests, a_path_that_is_too_long_is_refused);
    tcase_add_test(tests, batch_norm_moves_its_running_statistics);
    tcase_add_test(tests, each_freeze_switch_does_its_own_thing);
    tcase_add_test(tests, evaluation_uses_running_statistics);
    tcase_add_test(tests, a_follower_starts_as_a_copy_and_averages);
    tcase_add_test(tests, buffers_are_averaged_when_asked);
    tcase_add_test(tests, excluded_parameters_stay_their_own);
    tcase_add_test(tests, draws_differ_by_call_and_step);
    tcase_add_test(tests, drop_path_is_for_trained_networks_in_training);
    tcase_add_test(tests, states_change_in_place);
    tcase_add_test(tests, wrong_changes_of_states_are_refused);
    tcase_add_test(tests, views_are_slices_of_their_group);
    tcase_add_test(tests, parts_are_there_when_asked_for);
    tcase_add_test(tests, two_batches_take_turns);
    tcase_add_test(tests, misuse_is_explained);
    tcase_add_test(tests, operations_can_be_called_by_name);
    tcase_add_test(tests, tables_are_complete);
    tcase_add_test(tests, what_an_older_host_lacks_is_told_by_name);
    tcase_add_test(tests, backbones_are_made_for_each_network);
    tcase_add_test(tests, every_allocation_may_fail);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
