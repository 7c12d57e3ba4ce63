/* What the dino plugin builds and refuses: published sizes, first values, pair weights; and that
 * neighbouring views of one size go through a backbone together. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "built_plugin.h"
#include "formula.h"
#include "nn/batch.h"
#include "tensor/program.h"
#include "tensor/step.h"
#include "wisp/sdk.h"

#define OK(expression)                                                                             \
    do {                                                                                           \
        wisp_error err = {0};                                                                      \
        wisp_status ok_status = (expression);                                                      \
        ck_assert_msg(ok_status == WISP_OK, "%s", err.message);                                    \
    } while (0)

typedef struct bench {
    built_plugins plugins;
    wispi_device *device;
    wispi_model *model;
    const wisp_method_v0 *method;
    void *self;
    wispi_batch batch;
} bench;

static const wisp_view_group multicrop[] = {{"global", 2, 16, 16, 0}, {"local", 4, 8, 8, 0}};

/* The method's build is left to the caller. */
static bench *open_bench(const char *toml, const wisp_view_group *groups, int32_t n_groups)
{
    const wispi_batch zero = {.parts = 0};
    bench *b = calloc(1, sizeof *b);
    ck_assert_ptr_nonnull(b);
    b->plugins = built_plugins_open(toml);
    b->device = built_device(&b->plugins, NULL);
    const wispi_instance *method = built_plugin(&b->plugins, "method", "method");
    b->method = method->plugin->descriptor->vtable;
    b->self = method->self;
    b->batch = zero;
    OK(wispi_batch_init(b->device, &b->batch, groups, n_groups, 2, WISP_F32, 0, &err));
    OK(wispi_model_create(b->device, 1, &b->model, &err));
    wispi_model_set_backbone_maker(b->model, built_backbone, &b->plugins);
    return b;
}

static wisp_status build(bench *b, wisp_error *err)
{
    wisp_status status =
        b->method->build(b->self, wispi_model_builder(b->model), &b->batch.plugin, err);
    return status == WISP_OK ? wispi_model_build_status(b->model, err) : status;
}

static void close_bench(bench *b)
{
    wispi_model_destroy(b->model);
    wispi_batch_fini(b->device, &b->batch);
    wispi_device_close(b->device);
    built_plugins_close(&b->plugins);
    free(b);
}

static float *read_tensor(bench *b, const char *name, int64_t *count)
{
    const wispi_model_tensor *t = wispi_model_tensor_named(b->model, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    *count = wisp_desc_count(t->desc);
    float *values = malloc((size_t)*count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    OK(wispi_variable_read(b->device, t->variable, values, &err));
    return values;
}

/* --- sizes --- */

/* Trained parameters that SSLight's check values name for DINO with a joint probe of 1000 classes,
 * less that probe: backbone and a head of 4096 outputs whose gain is frozen. */
static const struct {
    int depth;
    int64_t trained;
} published[] = {{18, 18517800 - 513000}, {34, 28625960 - 513000}};

START_TEST(the_student_has_its_published_size)
{
    char toml[128];
    snprintf(toml, sizeof toml,
             "[backbone]\nuse = \"resnet\"\ndepth = %d\n[method]\nuse = \"dino\"\n",
             published[_i].depth);
    bench *b = open_bench(toml, multicrop, 2);
    OK(build(b, &err));
    OK(wispi_model_finish(b->model, &err));
    const wisp_module *student = wispi_model_network(b->model, "student");
    const wisp_module *teacher = wispi_model_network(b->model, "teacher");
    ck_assert_int_eq(wispi_module_parameter_count(student, 1), published[_i].trained);
    ck_assert_int_eq(wispi_module_parameter_count(student, 0), published[_i].trained + 4096);
    ck_assert_int_eq(wispi_module_parameter_count(teacher, 1), 0);
    ck_assert_int_eq(wispi_module_parameter_count(teacher, 0), published[_i].trained + 4096);
    close_bench(b);
}
END_TEST

/* --- first values --- */

static const char small[] = "[backbone]\nuse = \"resnet\"\ndepth = 10\nwidth = 0.0625\n"
                            "stem = \"cifar\"\n[method]\nuse = \"dino\"\nhidden_dim = 512\n";

typedef struct spread {
    double mean, deviation, largest;
} spread;

static spread spread_of(bench *b, const char *name)
{
    int64_t n;
    float *values = read_tensor(b, name, &n);
    spread s = {0, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        s.mean += (double)values[i] / (double)n;
        s.largest = fmax(s.largest, fabs((double)values[i]));
    }
    for (int64_t i = 0; i < n; i++)
        s.deviation += pow((double)values[i] - s.mean, 2) / (double)n;
    s.deviation = sqrt(s.deviation);
    free(values);
    return s;
}

START_TEST(the_head_starts_as_published)
{
    bench *b = open_bench(small, multicrop, 2);
    OK(build(b, &err));
    OK(wispi_model_finish(b->model, &err));
    const spread weight = spread_of(b, "student.head.mlp.3.weight");
    ck_assert_double_eq_tol(weight.mean, 0, 2e-4);
    ck_assert_double_eq_tol(weight.deviation, 0.02, 2e-4);
    ck_assert_double_gt(weight.largest, 0.08); /* a normal, and not cut short */
    ck_assert_double_eq(spread_of(b, "student.head.mlp.3.bias").largest, 0);
    const spread v = spread_of(b, "student.head.last_layer.weight_v");
    ck_assert_double_eq_tol(v.largest, 1.0 / 16, 1e-5);
    ck_assert_double_eq_tol(v.deviation, 1.0 / 16 / sqrt(3), 1e-4);
    const spread g = spread_of(b, "student.head.last_layer.weight_g");
    ck_assert_double_eq(g.mean, 1);
    ck_assert_double_eq(g.deviation, 0);
    ck_assert_double_eq(spread_of(b, "state.centre").largest, 0);
    close_bench(b);
}
END_TEST

START_TEST(the_teacher_starts_as_a_copy)
{
    int compared = 0;
    bench *b = open_bench(small, multicrop, 2);
    OK(build(b, &err));
    OK(wispi_model_finish(b->model, &err));
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(b->model, i);
        char other[200];
        int64_t n, m;
        if (strncmp(t->name, "student.", 8) != 0)
            continue;
        snprintf(other, sizeof other, "teacher.%.160s", t->name + 8);
        float *ours = read_tensor(b, t->name, &n), *theirs = read_tensor(b, other, &m);
        ck_assert_int_eq(n, m);
        ck_assert_msg(memcmp(ours, theirs, (size_t)n * sizeof *ours) == 0, "%s differs", other);
        free(ours);
        free(theirs);
        compared++;
    }
    ck_assert_int_gt(compared, 50);
    ck_assert_str_eq(wispi_module_path(b->method->evaluated_network(b->self)), "student.backbone");
    close_bench(b);
}
END_TEST

/* --- pair weights --- */

START_TEST(a_weight_for_missing_views_is_refused)
{
    static const struct {
        const char *option;
        wisp_status status;
    } cases[] = {{"", WISP_OK},
                 {"pair_weights = [1.0, 0.0]\n", WISP_OK},
                 {"pair_weights = [0.4, 0.6]\n", WISP_E_CONFIG}};
    char toml[512];
    snprintf(toml, sizeof toml, "%s%s", small, cases[_i].option);
    bench *b = open_bench(toml, multicrop, 1);
    wisp_error err = {0};
    ck_assert_int_eq(build(b, &err), cases[_i].status);
    ck_assert(cases[_i].status == WISP_OK || strstr(err.message, "pair_weights") != NULL);
    close_bench(b);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    static const char *const wrong[] = {"pair_weights = [0.4]\n", "pair_weights = [0.0, 0.0]\n",
                                        "pair_weights = [0.2, 0.2, 0.6]\n",
                                        "student_temperature = 0.0\n", "out_dim = 1\n"};
    char toml[512];
    snprintf(toml, sizeof toml, "%s%s", small, wrong[_i]);
    built_plugins p = built_plugins_open(toml);
    wispi_instance instance;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_instance_create(p.registry, "method",
                                           wispi_node_find(wispi_config_root(p.config), "method"),
                                           "method", wispi_config_arena(p.config), &instance, &err),
                     WISP_E_CONFIG);
    built_plugins_close(&p);
}
END_TEST

/* --- views of one size --- */

enum { VIEWS = 4, IMAGES = 2, SIDE = 8, DIM = 32 };

typedef struct embedding {
    bench *b;
    wisp_module *backbone;
    wisp_tensor *out;
    int32_t first, count;
} embedding;

static void embed(wisp_step *s, void *user)
{
    embedding *e = user;
    wisp_no_grad_begin(s);
    e->out = wisp_embed_views(s, e->backbone, &e->b->batch.plugin, e->first, e->count);
    wisp_no_grad_end(s);
    if (e->out)
        wispi_step_keep(s, e->out);
}

/* The embeddings of the same VIEWS views in train mode, however they are grouped. */
static void embed_in_groups(const wisp_view_group *groups, int32_t n_groups,
                            float out[VIEWS * IMAGES * DIM])
{
    const int64_t view = IMAGES * SIDE * SIDE * 3;
    float *pixels = malloc((size_t)(VIEWS * view) * sizeof *pixels);
    ck_assert_ptr_nonnull(pixels);
    formula_uniform("pixels", VIEWS * view, -2, 2, pixels);
    bench *b = open_bench(small, groups, n_groups);
    OK(build(b, &err));
    OK(wispi_model_finish(b->model, &err));
    const float *next = pixels;
    for (int32_t g = 0; g < n_groups; g++) {
        OK(wispi_variable_write(b->device, &b->batch.views[g], next, &err));
        next += groups[g].count * view;
    }
    embedding e = {b, b->method->evaluated_network(b->self), NULL, 0, VIEWS};
    wispi_program *program = NULL;
    OK(wispi_program_record(b->device, wispi_ops_table(), b->model, 0, embed, &e, &program, &err));
    OK(wispi_program_run(program, embed, &e, NULL, &err));
    ck_assert_int_eq(wispi_tensor_desc(e.out)->shape[0], VIEWS * IMAGES);
    ck_assert_int_eq(wispi_tensor_desc(e.out)->shape[1], DIM);
    OK(wispi_program_read(program, e.out, out, &err));
    wispi_program_destroy(program);
    close_bench(b);
    free(pixels);
}

START_TEST(neighbouring_views_of_one_size_go_together)
{
    static const wisp_view_group one[] = {{"global", VIEWS, SIDE, SIDE, 0}};
    static const wisp_view_group two[] = {{"global", 3, SIDE, SIDE, 0},
                                          {"local", 1, SIDE, SIDE, 0}};
    float together[VIEWS * IMAGES * DIM], grouped[VIEWS * IMAGES * DIM];
    embed_in_groups(one, 1, together);
    embed_in_groups(two, 2, grouped);
    ck_assert_mem_eq(together, grouped, sizeof together);
    double largest = 0;
    for (int i = 0; i < VIEWS * IMAGES * DIM; i++)
        largest = fmax(largest, fabs((double)together[i]));
    ck_assert_double_gt(largest, 0.1);
}
END_TEST

START_TEST(views_that_are_not_there_are_refused)
{
    bench *b = open_bench(small, multicrop, 2);
    OK(build(b, &err));
    OK(wispi_model_finish(b->model, &err));
    embedding e = {b, b->method->evaluated_network(b->self), NULL, 3, 4};
    wispi_program *program = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_program_record(b->device, wispi_ops_table(), b->model,
                                          WISPI_RECORD_SHAPES_ONLY, embed, &e, &program, &err),
                     WISP_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "views 3 to 6"));
    close_bench(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dino");
    TCase *tests = tcase_create("dino");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, the_student_has_its_published_size, 0, 2);
    tcase_add_test(tests, the_head_starts_as_published);
    tcase_add_test(tests, the_teacher_starts_as_a_copy);
    tcase_add_loop_test(tests, a_weight_for_missing_views_is_refused, 0, 3);
    tcase_add_loop_test(tests, wrong_options_are_refused, 0, 5);
    tcase_add_test(tests, neighbouring_views_of_one_size_go_together);
    tcase_add_test(tests, views_that_are_not_there_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
