/* What the dino plugin builds and refuses: published sizes, first values, pair weights; the loss
 * when all outputs are alike and the first loss; and that neighbouring views of one size go through
 * a backbone together. */
#include "method_trial.h"

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
    bench *b = open_bench(toml, bench_views, 2);
    OK(build_bench(b, &err));
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

START_TEST(the_head_starts_as_published)
{
    bench *b = open_bench(small, bench_views, 2);
    OK(build_bench(b, &err));
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
    bench *b = open_bench(small, bench_views, 2);
    OK(build_bench(b, &err));
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

/* --- the first loss --- */

/* Outputs and their ln; the head of transformers has no batch norm and trains its gain. */
static const struct {
    const char *options;
    double plateau;
} plateaus[] = {
    {"out_dim = 4096\n", 8.317766},
    {"out_dim = 65536\nhead_batch_norm = false\ntrain_gain = true\n", 11.090355},
};

static bench *open_plateau(int i, int bottleneck)
{
    char toml[512];
    snprintf(toml, sizeof toml, "%spair_weights = [0.4, 0.6]\nbottleneck_dim = %d\n%s", small,
             bottleneck, plateaus[i].options);
    return open_trial(toml, WISP_F32);
}

/* Every row of the last layer becomes its first one. */
static void answer_alike(bench *b, const char *network)
{
    char name[96];
    int64_t n;
    snprintf(name, sizeof name, "%s.head.last_layer.weight_v", network);
    float *values = read_tensor(b, name, &n);
    const wispi_model_tensor *t = wispi_model_tensor_named(b->model, name);
    const int64_t width = t->desc->shape[1];
    for (int64_t i = width; i < n; i++)
        values[i] = values[i % width];
    OK(wispi_variable_write(b->device, t->variable, values, &err));
    free(values);
}

START_TEST(all_outputs_alike_lose_ln_of_their_number)
{
    double entropy = 0;
    bench *b = open_plateau(_i, 16);
    answer_alike(b, "student");
    answer_alike(b, "teacher");
    ck_assert_double_eq_tol(loss_of(b, 0, "teacher_entropy", &entropy), plateaus[_i].plateau, 1e-4);
    ck_assert_double_eq_tol(entropy, plateaus[_i].plateau, 1e-4);
    close_bench(b);
}
END_TEST

START_TEST(the_first_loss_is_near_that)
{
    double entropy = 0;
    bench *b = open_plateau(_i, 256);
    const double off = loss_of(b, 0, "teacher_entropy", &entropy) - plateaus[_i].plateau;
    ck_assert_msg(fabs(off) < 1 && fabs(off) > 1e-3, "the first loss is %g from the plateau", off);
    ck_assert_double_lt(entropy, plateaus[_i].plateau - 0.1);
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
    bench *b = open_bench(toml, bench_views, 1);
    wisp_error err = {0};
    ck_assert_int_eq(build_bench(b, &err), cases[_i].status);
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
    ck_assert_int_eq(judge_options(toml), WISP_E_CONFIG);
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
    OK(build_bench(b, &err));
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
    bench *b = open_bench(small, bench_views, 2);
    OK(build_bench(b, &err));
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
    tcase_add_loop_test(tests, all_outputs_alike_lose_ln_of_their_number, 0, 2);
    tcase_add_loop_test(tests, the_first_loss_is_near_that, 0, 2);
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
