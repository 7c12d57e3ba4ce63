/* Chains of convolutions and batch norms against the same layers called one by one, whose values
 * and gradients are compared with PyTorch elsewhere: links that conv_norm serves beside links that
 * it does not, in training, with frozen statistics and in evaluation. */
#include "model_fixture.h"

#include "nn/module.h"

enum { N_LINKS = 6 };

/* Grouped 1x1, dense 3x3 and a stride in 1x1 are links that are not served. */
static const struct {
    int in, out, kernel, stride, padding, groups;
    int32_t activation;
} links[N_LINKS] = {
    {3, 6, 3, 2, 1, 1, WISP_ACT_RELU6}, {6, 6, 1, 1, 0, 1, WISP_ACT_RELU},
    {6, 6, 3, 1, 1, 6, WISP_ACT_RELU6}, {6, 6, 3, 1, 1, 1, WISP_ACT_RELU},
    {6, 6, 1, 1, 0, 2, WISP_ACT_RELU6}, {6, 6, 1, 1, 0, 1, WISP_ACT_NONE},
};

typedef struct chain {
    wisp_module *net, *conv[N_LINKS], *bn[N_LINKS];
    wispi_variable x;
    int is_chained, backward;
} chain;

static wisp_tensor *chained(wisp_step *s, const chain *c, wisp_tensor *x)
{
    wisp_lazy_map y = {.map = x};
    wisp_conv_norm(s, c->conv[0], c->bn[0], &y, links[0].activation, &y);
    wisp_tensor *first = wisp_settle(s, &y, NULL);
    y = (wisp_lazy_map){.map = first};
    for (int i = 1; i < N_LINKS; i++)
        wisp_conv_norm(s, c->conv[i], c->bn[i], &y, links[i].activation, &y);
    return wisp_settle(s, &y, first);
}

static wisp_tensor *one_by_one(wisp_step *s, const chain *c, wisp_tensor *x)
{
    wisp_tensor *first = NULL;
    for (int i = 0; i < N_LINKS; i++) {
        x = wisp_batch_norm_act(s, c->bn[i], wisp_forward(s, c->conv[i], x),
                                i == N_LINKS - 1 ? first : NULL, links[i].activation);
        first = i == 0 ? x : first;
    }
    return x;
}

static void chain_step(wisp_step *s, void *user)
{
    chain *c = user;
    wisp_tensor *x = wispi_step_variable(s, &c->x);
    wisp_tensor *y = c->is_chained ? chained(s, c, x) : one_by_one(s, c, x);
    wisp_tensor *loss = wisp_mean(s, wisp_mul(s, y, wisp_mul(s, y, y)), 0, 0);
    wisp_metric(s, "out", loss);
    if (c->backward)
        wispi_step_backward(s, loss);
}

static void open_chain(fixture *f, chain *c, int is_chained, const wisp_freeze_desc *freeze)
{
    const wisp_desc x = wisp_desc4(WISP_F32, 3, 7, 6, 3);
    double values[3 * 7 * 6 * 3];
    fixture_open(f, 5);
    memset(c, 0, sizeof *c);
    c->net = wisp_network(f->b, "net");
    for (int i = 0; i < N_LINKS; i++) {
        const wisp_conv2d_desc conv = {.in = links[i].in,
                                       .out = links[i].out,
                                       .kernel = links[i].kernel,
                                       .stride = links[i].stride,
                                       .padding = links[i].padding,
                                       .groups = links[i].groups};
        const wisp_norm_desc norm = {.channels = links[i].out};
        char name[2][16];
        snprintf(name[0], sizeof name[0], "conv%d", i);
        snprintf(name[1], sizeof name[1], "bn%d", i);
        c->conv[i] = wisp_conv2d_layer(f->b, c->net, name[0], &conv);
        c->bn[i] = wisp_batch_norm_layer(f->b, c->net, name[1], &norm);
    }
    if (freeze)
        wisp_freeze(f->b, c->net, freeze);
    FIXTURE_OK(f, wispi_model_finish(f->model, &f->err));
    FIXTURE_OK(f, wispi_variable_init(f->device, &c->x, "x", &x, NULL, &f->err));
    for (int i = 0; i < 3 * 7 * 6 * 3; i++)
        values[i] = sin(1.7 * i) + 0.3 * cos(0.31 * i * i);
    fixture_write(f, &c->x, values, 3 * 7 * 6 * 3);
    c->is_chained = is_chained;
    c->backward = !freeze || !freeze->gradient;
}

static double run_chain(fixture *f, chain *c)
{
    double out[WISPI_MAX_METRICS];
    wispi_program *program = fixture_record(f, chain_step, c);
    fixture_run(f, program, chain_step, c, 0, 1, 1);
    FIXTURE_OK(f, wispi_metrics_read(wispi_model_metrics(f->model), program, out, &f->err));
    wispi_program_destroy(program);
    return out[0];
}

static void close_chain(fixture *f, chain *c)
{
    wispi_variable_fini(f->device, &c->x);
    fixture_close(f);
}

static void compare_variables(fixture *f, fixture *g, const char *name, const wispi_variable *a,
                              const wispi_variable *b)
{
    const int64_t n = wisp_desc_count(&a->desc);
    float *got = malloc((size_t)n * sizeof *got), *want = malloc((size_t)n * sizeof *want);
    double *wide = malloc((size_t)n * 2 * sizeof *wide);
    ck_assert(got && want && wide);
    FIXTURE_OK(f, wispi_variable_read(f->device, a, got, &f->err));
    FIXTURE_OK(g, wispi_variable_read(g->device, b, want, &g->err));
    wispi_widen(wide, got, WISP_F32, n);
    wispi_widen(wide + n, want, WISP_F32, n);
    fixture_near(name, wide, wide + n, n, 2e-5);
    free(got);
    free(want);
    free(wide);
}

/* Parameters' gradients and running statistics. */
static int compare_models(fixture *f, fixture *g, int gradients)
{
    int compared = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(f->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(f->model, i);
        const wispi_variable *a = t->variable, *b = fixture_variable(g, t->name);
        if (t->role == WISPI_ROLE_BUFFER)
            compare_variables(f, g, t->name, a, b);
        else if (t->role == WISPI_ROLE_PARAMETER && gradients)
            compare_variables(f, g, t->name, a->grad, b->grad);
        else
            continue;
        compared++;
    }
    return compared;
}

static const wisp_freeze_desc freezes[] = {
    {0, 0, 0, 0}, /* trains */
    {0, 1, 0, 0}, /* normalises with running statistics */
    {0, 0, 1, 0}, /* leaves them as they are */
    {1, 0, 0, 0}, /* is not trained */
};

START_TEST(a_chain_is_its_layers)
{
    fixture f, g;
    chain c, d;
    open_chain(&f, &c, 1, &freezes[_i]);
    open_chain(&g, &d, 0, &freezes[_i]);
    const double got = run_chain(&f, &c), want = run_chain(&g, &d);
    ck_assert_double_eq_tol(got, want, 1e-5 * fabs(want));
    /* weight, gamma and beta of each link; mean and variance of each */
    ck_assert_int_eq(compare_models(&f, &g, c.backward), (c.backward ? 5 : 2) * N_LINKS);
    close_chain(&f, &c);
    close_chain(&g, &d);
}
END_TEST

START_TEST(evaluation_reads_running_statistics)
{
    fixture f, g;
    chain c, d;
    open_chain(&f, &c, 1, &freezes[3]);
    open_chain(&g, &d, 0, &freezes[3]);
    run_chain(&f, &c); /* moves them */
    run_chain(&g, &d);
    wispi_model_set_eval(f.model, 1);
    wispi_model_set_eval(g.model, 1);
    const double got = run_chain(&f, &c), want = run_chain(&g, &d);
    ck_assert_double_eq_tol(got, want, 1e-5 * fabs(want));
    close_chain(&f, &c);
    close_chain(&g, &d);
}
END_TEST

static void misuse_step(wisp_step *s, void *user)
{
    chain *c = user;
    wisp_lazy_map y = {.map = wispi_step_variable(s, &c->x)};
    wisp_conv_norm(s, c->bn[0], c->conv[0], &y, WISP_ACT_NONE, &y);
    wisp_settle(s, &y, NULL);
}

START_TEST(misuse_is_explained)
{
    fixture f;
    chain c;
    open_chain(&f, &c, 1, NULL);
    const char *message = fixture_refused(&f, misuse_step, &c);
    ck_assert_msg(strstr(message, "needs a convolution and a batch norm layer") != NULL, "%s",
                  message);
    close_chain(&f, &c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv_chain");
    TCase *tests = tcase_create("conv_chain");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_chain_is_its_layers, 0, 4);
    tcase_add_test(tests, evaluation_reads_running_statistics);
    tcase_add_test(tests, misuse_is_explained);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
