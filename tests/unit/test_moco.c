/* What the moco plugin builds, refuses and does in a step, where it is known without another
 * program: published sizes and first values, ln(K + 1), which views are looked at, when the key
 * encoder and the queue move, how often running statistics do, and that shuffled keys come back in
 * order. */
#include "method_training.h"

#include "nn/schedule.h"

enum { B = TRAINING_BATCH, K = 40, D = 16 };

/* --- sizes --- */

typedef struct bench {
    built_plugins plugins;
    wispi_device *device;
    wispi_model *model;
    const wisp_method_v0 *method;
    void *self;
    wispi_batch batch;
} bench;

/* The method's build is left to the caller. */
static void open_bench(bench *b, const char *toml)
{
    memset(b, 0, sizeof *b);
    b->plugins = built_plugins_open(toml);
    b->device = built_device(&b->plugins, NULL);
    const wispi_instance *method = built_plugin(&b->plugins, "method", "method");
    b->method = method->plugin->descriptor->vtable;
    b->self = method->self;
    TRAINING_OK(wispi_batch_init(b->device, &b->batch, training_groups, 2, B, WISP_F32, 0, err));
    TRAINING_OK(wispi_model_create(b->device, 1, &b->model, err));
    wispi_model_set_backbone_maker(b->model, built_backbone, &b->plugins);
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
}

/* The caller frees it. */
static float *read_tensor(bench *b, const char *name, int64_t *count)
{
    const wispi_model_tensor *t = wispi_model_tensor_named(b->model, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    *count = wisp_desc_count(t->desc);
    float *values = malloc((size_t)*count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    TRAINING_OK(wispi_variable_read(b->device, t->variable, values, err));
    return values;
}

/* SSLight's check value of MobileNetV2, less its joint probe of 1000 classes; backbones of known
 * size and the head d -> 2048 -> 128. */
static const struct {
    const char *backbone;
    int64_t trained;
} published[] = {
    {"use = \"mobilenet_v2\"\n", 6390632 - 1281000},
    {"use = \"resnet\"\ndepth = 18\n", 11176512 + 2048 * (512 + 1) + 128 * (2048 + 1)},
    {"use = \"resnet\"\ndepth = 34\n", 21284672 + 2048 * (512 + 1) + 128 * (2048 + 1)},
};

START_TEST(encoders_have_their_published_size)
{
    char toml[128];
    bench b;
    snprintf(toml, sizeof toml, "[backbone]\n%s[method]\nuse = \"moco\"\n", published[_i].backbone);
    open_bench(&b, toml);
    TRAINING_OK(build(&b, err));
    TRAINING_OK(wispi_model_finish(b.model, err));
    const wisp_module *query = wispi_model_network(b.model, "encoder_q");
    const wisp_module *key = wispi_model_network(b.model, "encoder_k");
    ck_assert_int_eq(wispi_module_parameter_count(query, 1), published[_i].trained);
    ck_assert_int_eq(wispi_module_parameter_count(key, 1), 0);
    ck_assert_int_eq(wispi_module_parameter_count(key, 0), published[_i].trained);
    const wispi_model_tensor *queue = wispi_model_tensor_named(b.model, "state.queue");
    ck_assert_int_eq(queue->desc->shape[0], 65536);
    ck_assert_int_eq(queue->desc->shape[1], 128);
    close_bench(&b);
}
END_TEST

/* --- first values --- */

#define SMALL                                                                                      \
    "[backbone]\nuse = \"resnet\"\ndepth = 10\nwidth = 0.0625\nstem = \"cifar\"\n"                 \
    "[method]\nuse = \"moco\"\n"

START_TEST(the_head_and_the_queue_start_as_published)
{
    int64_t n;
    double mean = 0, square = 0, largest = 0, all = 0;
    bench b;
    open_bench(&b, SMALL "queue_length = 512\n");
    TRAINING_OK(build(&b, err));
    TRAINING_OK(wispi_model_finish(b.model, err));
    float *weight = read_tensor(&b, "encoder_q.head.mlp.2.weight", &n);
    ck_assert_int_eq(n, 128 * 2048);
    for (int64_t i = 0; i < n; i++) {
        mean += (double)weight[i] / (double)n;
        square += (double)weight[i] * (double)weight[i] / (double)n;
        largest = fmax(largest, fabs((double)weight[i]));
    }
    ck_assert_double_eq_tol(mean, 0, 2e-4);
    ck_assert_double_eq_tol(sqrt(square), 0.02, 2e-4);
    ck_assert_double_gt(largest, 0.08); /* a normal, and not cut short */
    free(weight);
    float *bias = read_tensor(&b, "encoder_q.head.mlp.0.bias", &n);
    for (int64_t i = 0; i < n; i++)
        ck_assert_float_eq(bias[i], 0);
    free(bias);
    float *queue = read_tensor(&b, "state.queue", &n);
    for (int64_t row = 0; row < 512; row++) {
        double length = 0;
        for (int64_t d = 0; d < 128; d++) {
            length += pow((double)queue[row * 128 + d], 2);
            all += (double)queue[row * 128 + d];
        }
        ck_assert_double_eq_tol(length, 1, 1e-6);
    }
    ck_assert_double_eq_tol(all / sqrt(512), 0, 5); /* in any direction: 5 standard deviations */
    free(queue);
    close_bench(&b);
}
END_TEST

START_TEST(the_key_encoder_starts_as_a_copy)
{
    int compared = 0;
    bench b;
    open_bench(&b, SMALL "queue_length = 64\n");
    TRAINING_OK(build(&b, err));
    TRAINING_OK(wispi_model_finish(b.model, err));
    for (int32_t i = 0; i < wispi_model_tensor_count(b.model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(b.model, i);
        char other[200];
        int64_t n, m;
        if (strncmp(t->name, "encoder_q.", 10) != 0)
            continue;
        snprintf(other, sizeof other, "encoder_k.%.160s", t->name + 10);
        float *ours = read_tensor(&b, t->name, &n), *theirs = read_tensor(&b, other, &m);
        ck_assert_int_eq(n, m);
        ck_assert_msg(memcmp(ours, theirs, (size_t)n * sizeof *ours) == 0, "%s differs", other);
        free(ours);
        free(theirs);
        compared++;
    }
    ck_assert_int_gt(compared, 40);
    ck_assert_str_eq(wispi_module_path(b.method->evaluated_network(b.self)), "encoder_q.backbone");
    close_bench(&b);
}
END_TEST

/* The published recipe; a temperature of 0.02 stood in its code for a while. */
START_TEST(the_defaults_are_published)
{
    static const char *const defaults[][2] = {
        {"temperature", "0.2"},      {"queue_length", "65536"}, {"key_momentum", "0.999"},
        {"out_dim", "128"},          {"hidden_dim", "2048"},    {"head_layers", "2"},
        {"head_batch_norm", "false"}};
    built_plugins p = built_plugins_open(SMALL);
    const wisp_descriptor *d = built_plugin(&p, "method", "method")->plugin->descriptor;
    size_t found = 0;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        for (uint32_t k = 0; k < (uint32_t)d->n_options; k++)
            if (strcmp(d->options[k].key, defaults[i][0]) == 0) {
                ck_assert_str_eq(d->options[k].default_value, defaults[i][1]);
                found++;
            }
    ck_assert_uint_eq(found, sizeof defaults / sizeof *defaults);
    built_plugins_close(&p);
}
END_TEST

/* A schedule from 0.996 to 1 is DINO's; MoCo's average moves alike in the whole run. */
START_TEST(the_key_momentum_is_constant)
{
    bench b;
    open_bench(&b, SMALL "queue_length = 64\n");
    TRAINING_OK(build(&b, err));
    const wisp_schedule *schedule = wispi_model_schedule(b.model, "key_momentum");
    ck_assert_ptr_nonnull(schedule);
    for (int64_t step = 0; step < 2000; step += 37) {
        const wisp_clock clock = {step / 10, 200, step, 2000, 10};
        ck_assert_double_eq(wispi_schedule_value(schedule, &clock), 0.999);
    }
    close_bench(&b);
}
END_TEST

/* --- what is refused --- */

static const struct {
    const char *option, *named;
    int32_t world_size;
    wisp_status status;
} sizes[] = {
    {"queue_length = 40\n", "", 1, WISP_OK},
    {"queue_length = 36\n", "queue_length", 1, WISP_E_CONFIG},
    {"queue_length = 4\n", "queue_length", 1, WISP_E_CONFIG}, /* shorter than the batch */
    {"queue_length = 40\n", "queue_length", 2, WISP_E_CONFIG},
    {"queue_length = 48\n", "", 2, WISP_OK},
    {"queue_length = 40\nbatch_norm_groups = 4\n", "", 1, WISP_OK},
    {"queue_length = 40\nbatch_norm_groups = 3\n", "batch_norm_groups", 1, WISP_E_CONFIG},
    {"queue_length = 40\nbatch_norm_groups = 16\n", "batch_norm_groups", 1, WISP_E_CONFIG},
    {"queue_length = 48\nbatch_norm_groups = 4\n", "", 2, WISP_OK},
    {"queue_length = 48\nbatch_norm_groups = 4\n", "4 cannot be shared out evenly to 3 ranks", 3,
     WISP_E_CONFIG},
    {"queue_length = 40\nlocal_views = false\npair_weights = [0.4, 0.6]\n", "pair_weights", 1,
     WISP_E_CONFIG},
    {"queue_length = 40\nlocal_views = false\npair_weights = [1.0, 0.0]\n", "", 1, WISP_OK},
    {"queue_length = 40\npair_weights = [0.4, 0.6]\n", "", 1, WISP_OK},
};

START_TEST(sizes_that_do_not_fit_are_refused)
{
    char toml[512];
    bench b;
    wisp_error err = {0};
    snprintf(toml, sizeof toml, "%s%s", SMALL, sizes[_i].option);
    open_bench(&b, toml);
    wispi_model_builder(b.model)->world_size = sizes[_i].world_size;
    ck_assert_int_eq(build(&b, &err), sizes[_i].status);
    ck_assert_msg(strstr(err.message, sizes[_i].named) != NULL, "%s", err.message);
    close_bench(&b);
}
END_TEST

static const char *const wrong_options[] = {
    "temperature = 0.0\n",    "head_layers = 0\n",          "head_layers = 8\n",
    "pair_weights = [0.4]\n", "batch_norm_groups = 0\n",    "key_momentum = 1.5\n",
    "queue_length = 0\n",     "pair_weights = [0.0, 0.0]\n"};

START_TEST(wrong_options_are_refused)
{
    char toml[512];
    snprintf(toml, sizeof toml, "%s%s", SMALL, wrong_options[_i]);
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

/* --- steps --- */

#define MOCO "use = \"moco\"\nout_dim = 16\nhidden_dim = 48\nqueue_length = 40\n"
#define STILL WISPI_OPTIMIZER_SGD, 0, 0, 0, 0, 0, 0 /* weights do not move */

static void put(training *t, const char *name, const float *values)
{
    const wispi_model_tensor *tensor = wispi_model_tensor_named(t->model, name);
    ck_assert_msg(tensor != NULL, "no tensor %s", name);
    TRAINING_OK(wispi_variable_write(t->device, tensor->variable, values, err));
}

static void put_view_pixels(training *t, int group, const char *formula, int64_t first_view,
                            int64_t n_views, double range)
{
    wispi_variable *views = &t->batch.views[group];
    const int64_t all = wisp_desc_count(&views->desc), view = all / training_groups[group].count;
    float *values = malloc((size_t)all * sizeof *values);
    ck_assert_ptr_nonnull(values);
    TRAINING_OK(wispi_variable_read(t->device, views, values, err));
    formula_uniform(formula, n_views * view, -range, range, values + first_view * view);
    TRAINING_OK(wispi_variable_write(t->device, views, values, err));
    free(values);
}

/* The recorded step once more, at the time of `step`, on whatever is in the batch. */
static double run_again(training *t, int64_t step)
{
    const wisp_clock clock = {0, TRAINING_EPOCHS, step, TRAINING_STEPS, TRAINING_STEPS_PER_EPOCH};
    TRAINING_OK(wispi_model_set_clock(t->model, &clock, err));
    TRAINING_OK(wispi_program_run(t->program, training_calls, t, NULL, err));
    return training_metric(t, "loss");
}

static int64_t cursor_of(training *t)
{
    const wispi_model_tensor *cursor = wispi_model_tensor_named(t->model, "state.queue.cursor");
    int64_t value = -1;
    ck_assert_ptr_nonnull(cursor);
    TRAINING_OK(wispi_variable_read(t->device, cursor->variable, &value, err));
    return value;
}

/* Both encoders answer everything with `bias`. */
static void answer_alike(training *t, const float bias[D])
{
    const float zeros[D * 48] = {0};
    put(t, "encoder_q.head.mlp.2.weight", zeros);
    put(t, "encoder_k.head.mlp.2.weight", zeros);
    put(t, "encoder_q.head.mlp.2.bias", bias);
    put(t, "encoder_k.head.mlp.2.bias", bias);
}

/* An encoder that knows nothing is as good as guessing among K + 1 keys. */
START_TEST(zero_outputs_cost_the_logarithm_of_all_keys)
{
    static const training_recipe r = {"", MOCO, STILL};
    const float zeros[D] = {0};
    training *t = training_open(&r, _i ? "cpu" : NULL);
    answer_alike(t, zeros);
    training_step(t, 0);
    ck_assert_double_eq_tol(training_metric(t, "loss"), log(K + 1), 1e-6);
    ck_assert_double_eq_tol(training_metric(t, "loss_global"), log(K + 1), 1e-6);
    ck_assert_double_eq_tol(training_metric(t, "loss_local"), log(K + 1), 1e-6);
    training_close(t);
}
END_TEST

/* log sum exp of the logits less that of the right key, when every query is u = (1, 0, ...). */
static double loss_against(const float *queue)
{
    double sum = exp(1 / 0.2);
    for (int i = 0; i < K; i++)
        sum += exp((double)queue[i * D] / 0.2);
    return log(sum) - 1 / 0.2;
}

/* The queue that a step is judged by does not hold the step's own keys; when it holds nothing but
 * keys of a collapsed encoder, the loss is ln(K + 1). */
START_TEST(keys_enter_the_queue_after_the_step)
{
    static const training_recipe r = {"", MOCO, STILL};
    const float bias[D] = {3};
    training *t = training_open(&r, _i ? "cpu" : NULL);
    answer_alike(t, bias);
    for (int64_t step = 0; step < 5; step++) {
        float *before = training_values(t, "state.queue", K * D);
        ck_assert_int_eq(cursor_of(t), B * step);
        training_step(t, step);
        ck_assert_double_eq_tol(training_metric(t, "loss"), loss_against(before), 1e-5);
        float *after = training_values(t, "state.queue", K * D);
        for (int i = 0; i < K * D; i++)
            if (i / D / B == step)
                ck_assert_float_eq_tol(after[i], i % D == 0 ? 1.0f : 0.0f, 1e-6f);
            else
                ck_assert_float_eq(after[i], before[i]);
        free(before);
        free(after);
    }
    ck_assert_int_eq(cursor_of(t), 0);
    training_step(t, 5);
    ck_assert_double_eq_tol(training_metric(t, "loss"), log(K + 1), 1e-5);
    training_close(t);
}
END_TEST

/* The average moves before it is used: towards the query encoder as the last step left it, not as
 * this step does. Parameters only. */
START_TEST(the_key_encoder_follows_one_step_behind)
{
    static const training_recipe r = {
        "", MOCO "key_momentum = 0.25\n", WISPI_OPTIMIZER_SGD, 0, 1e-3, 1e-3, 1e-3, 0, 0};
    static const char name[] = "backbone.layer4.0.conv1.weight";
    enum { COUNT = 32 * 16 * 9 };
    char query_name[64], key_name[64];
    training *t = training_open(&r, NULL);
    snprintf(query_name, sizeof query_name, "encoder_q.%s", name);
    snprintf(key_name, sizeof key_name, "encoder_k.%s", name);
    training_step(t, 0);
    float *query = training_values(t, query_name, COUNT),
          *key = training_values(t, key_name, COUNT);
    training_step(t, 1);
    float *now = training_values(t, key_name, COUNT);
    float *moved = training_values(t, query_name, COUNT);
    double largest = 0;
    for (int i = 0; i < COUNT; i++) {
        ck_assert_float_eq_tol(now[i], 0.25f * key[i] + 0.75f * query[i], 1e-7f);
        largest = fmax(largest, fabs((double)moved[i] - (double)query[i]));
    }
    ck_assert_double_gt(largest, 1e-5);
    free(query);
    free(key);
    free(now);
    free(moved);
    training_close(t);
}
END_TEST

/* Images of zeros leave the first convolution's outputs at 0, so each update takes a tenth off its
 * running mean: one by the key's view, two by the queries', which come in two sizes. */
static const struct {
    const char *toml;
    int query_updates, key_updates;
} updates[] = {
    {MOCO, 2, 1}, {MOCO "local_views = false\n", 1, 1}, {MOCO "batch_norm_groups = 4\n", 8, 4}};

START_TEST(each_encoder_keeps_statistics_of_its_own)
{
    const training_recipe r = {"", updates[_i].toml, STILL};
    const float start[4] = {1, -2, 3, 0.5f};
    training *t = training_open(&r, NULL);
    training_step(t, 0); /* records */
    put(t, "encoder_q.backbone.bn1.running_mean", start);
    put(t, "encoder_k.backbone.bn1.running_mean", start);
    put_view_pixels(t, 0, "black", 0, 2, 0);
    put_view_pixels(t, 1, "black", 0, 4, 0);
    run_again(t, 1);
    float *query = training_values(t, "encoder_q.backbone.bn1.running_mean", 4);
    float *key = training_values(t, "encoder_k.backbone.bn1.running_mean", 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_double_eq_tol((double)query[i],
                                (double)start[i] * pow(0.9, updates[_i].query_updates), 1e-6);
        ck_assert_double_eq_tol((double)key[i],
                                (double)start[i] * pow(0.9, updates[_i].key_updates), 1e-6);
    }
    free(query);
    free(key);
    training_close(t);
}
END_TEST

/* --- which views are looked at --- */

static double loss_with_other_pixels(training *t, const float *queue, int group, int64_t first_view,
                                     int64_t n_views)
{
    put(t, "state.queue", queue);
    put_view_pixels(t, group, "others", first_view, n_views, 2);
    return run_again(t, 0);
}

START_TEST(local_views_may_be_left_out)
{
    static const training_recipe with = {"", MOCO, STILL};
    static const training_recipe without = {"", MOCO "local_views = false\n", STILL};
    training *t = training_open(_i ? &with : &without, NULL);
    float *queue = training_values(t, "state.queue", K * D);
    training_step(t, 0);
    const double loss = training_metric(t, "loss");
    put(t, "state.queue", queue);
    ck_assert_double_eq(run_again(t, 0), loss);
    const double local = loss_with_other_pixels(t, queue, 1, 0, 4);
    ck_assert_msg(_i ? fabs(local - loss) > 1e-3 : local == loss, "%g, then %g", loss, local);
    ck_assert_msg(_i || loss == training_metric(t, "loss_global"), "%g", loss);
    const double query = loss_with_other_pixels(t, queue, 0, 1, 1);
    ck_assert_double_gt(fabs(query - local), 1e-3);
    ck_assert_double_gt(fabs(loss_with_other_pixels(t, queue, 0, 0, 1) - query), 1e-3);
    free(queue);
    training_close(t);
}
END_TEST

/* A probe beside MoCo learns from the second global view, the first that the query encoder sees. */
START_TEST(probes_see_the_second_global_view)
{
    static const training_recipe r = {"", MOCO, STILL};
    float seen[3][B * 32];
    training_glance g = {training_open(&r, NULL), NULL};
    wispi_program *program = NULL;
    training_set_views(g.t, 0);
    TRAINING_OK(wispi_program_record(g.t->device, wispi_ops_table(), g.t->model, 0,
                                     training_glance_calls, &g, &program, err));
    TRAINING_OK(wispi_model_refresh(g.t->model, err));
    const wisp_clock clock = {0, 1, 0, 1, 1};
    TRAINING_OK(wispi_model_set_clock(g.t->model, &clock, err));
    for (int i = 0; i < 3; i++) {
        if (i)
            put_view_pixels(g.t, 0, "others", i - 1, 1, 2);
        TRAINING_OK(wispi_program_run(program, training_glance_calls, &g, NULL, err));
        ck_assert_int_eq(wispi_tensor_desc(g.pooled)->shape[0], B);
        ck_assert_int_eq(wispi_tensor_desc(g.pooled)->shape[1], 32);
        TRAINING_OK(wispi_program_read(program, g.pooled, seen[i], err));
    }
    ck_assert_mem_eq(seen[0], seen[1], sizeof seen[0]);
    ck_assert_mem_ne(seen[0], seen[2], sizeof seen[0]);
    wispi_program_destroy(program);
    training_close(g.t);
}
END_TEST

/* --- shuffled keys --- */

/* The keys of one and the same batch at the time of `step`. */
static void keys_at(training *t, int64_t step, float keys[B * D])
{
    const int64_t cursor = cursor_of(t);
    run_again(t, step);
    float *queue = training_values(t, "state.queue", K * D);
    memcpy(keys, queue + cursor * D, B * D * sizeof *keys);
    free(queue);
}

static double apart(const float *a, const float *b)
{
    double largest = 0;
    for (int i = 0; i < B * D; i++)
        largest = fmax(largest, fabs((double)a[i] - (double)b[i]));
    return largest;
}

/* Parts of one image: a key depends on its image alone, so that any order must give the same keys,
 * each in its place. Parts of two: a key depends on which image shares its part, another one in
 * another step. One part: nothing is shuffled. */
static const struct {
    const char *toml;
    int depends_on_the_step;
} shuffles[] = {{MOCO "key_momentum = 1.0\n", 0},
                {MOCO "key_momentum = 1.0\nbatch_norm_groups = 8\n", 0},
                {MOCO "key_momentum = 1.0\nbatch_norm_groups = 4\n", 1}};

START_TEST(shuffled_keys_come_back_in_order)
{
    const training_recipe r = {"", shuffles[_i / 2].toml, STILL};
    float first[B * D], other[B * D], again[B * D];
    training *t = training_open(&r, _i % 2 ? "cpu" : NULL);
    training_step(t, 0);
    keys_at(t, 0, first);
    for (int64_t step = 1; step < 4; step++) {
        keys_at(t, step, other);
        const double far = apart(first, other);
        ck_assert_msg(shuffles[_i / 2].depends_on_the_step ? far > 1e-2 : far < 1e-5,
                      "keys of step %d are %g apart", (int)step, far);
    }
    keys_at(t, 0, again);
    ck_assert_mem_eq(first, again, sizeof first);
    double images = 0; /* and they are not all alike */
    for (int d = 0; d < D; d++)
        images = fmax(images, fabs((double)first[d] - (double)first[D + d]));
    ck_assert_double_gt(images, 1e-2);
    training_close(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("moco");
    TCase *tests = tcase_create("moco");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, encoders_have_their_published_size, 0,
                        sizeof published / sizeof *published);
    tcase_add_test(tests, the_head_and_the_queue_start_as_published);
    tcase_add_test(tests, the_key_encoder_starts_as_a_copy);
    tcase_add_test(tests, the_defaults_are_published);
    tcase_add_test(tests, the_key_momentum_is_constant);
    tcase_add_loop_test(tests, sizes_that_do_not_fit_are_refused, 0, sizeof sizes / sizeof *sizes);
    tcase_add_loop_test(tests, wrong_options_are_refused, 0,
                        sizeof wrong_options / sizeof *wrong_options);
    tcase_add_loop_test(tests, zero_outputs_cost_the_logarithm_of_all_keys, 0, 2);
    tcase_add_loop_test(tests, keys_enter_the_queue_after_the_step, 0, 2);
    tcase_add_test(tests, the_key_encoder_follows_one_step_behind);
    tcase_add_loop_test(tests, each_encoder_keeps_statistics_of_its_own, 0,
                        sizeof updates / sizeof *updates);
    tcase_add_loop_test(tests, local_views_may_be_left_out, 0, 2);
    tcase_add_test(tests, probes_see_the_second_global_view);
    tcase_add_loop_test(tests, shuffled_keys_come_back_in_order, 0,
                        2 * sizeof shuffles / sizeof *shuffles);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
