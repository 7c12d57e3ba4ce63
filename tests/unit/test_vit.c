/* The vision transformers against published sizes and against timm (tests/golden/vit_*.safetensors,
 * made by tests/golden/make_vit_golden.py; weights and images by formula). */
#include "backbone_bench.h"
#include "model_fixture.h"
#include "nn/module.h"

enum { CLASSES = 10, IMAGES = 2, MAX_DEPTH = 12, MAX_OUTPUTS = 5 + 2 * MAX_DEPTH };

/* What is asked of one forward. */
typedef struct vit_view {
    const char *name;
    int32_t height, width;
    int masked, kept, gradients;
} vit_view;

typedef struct bench {
    built_plugins plugins;
    wispi_device *device;
    wispi_model *model;
    wisp_module *net, *backbone, *head;
    wispi_batch batch;
    wisp_state *mask, *keep, *loss;
    vit_view view;
    int64_t tokens; /* that the forward gives */
    struct {
        char name[24];
        wisp_tensor *x;
    } out[MAX_OUTPUTS];
    int n_out;
} bench;

static void *room(int64_t count, size_t bytes)
{
    void *memory = calloc((size_t)count + 1, bytes);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* --- building --- */

static bench *open_device(const char *options, const char *backend)
{
    char toml[256];
    snprintf(toml, sizeof toml, "[backbone]\nuse = \"vit\"\n%s\n[cpu]\nuse = \"cpu\"\n", options);
    bench *b = room(1, sizeof *b);
    b->plugins = built_plugins_open(toml);
    b->device = built_device(&b->plugins, backend);
    BENCH_OK(wispi_model_create(b->device, 1, &b->model, &err));
    wispi_model_set_backbone_maker(b->model, built_backbone, &b->plugins);
    return b;
}

static void build_network(bench *b)
{
    wisp_build *build = wispi_model_builder(b->model);
    b->net = wisp_network(build, "net");
    b->backbone = wisp_backbone(build, b->net, "backbone");
    const wisp_linear_desc head = {
        .in = wisp_output_dim(build, b->backbone), .out = CLASSES, .bias = 1};
    b->head = wisp_linear_layer(build, b->net, "head", &head);
    BENCH_OK(wispi_model_build_status(b->model, &err));
}

static void open_batch(bench *b, int32_t height, int32_t width, int64_t images, int32_t dtype)
{
    wisp_view_group group = {"global", 1, width, height, 0};
    const wispi_batch zero = {.parts = 0};
    b->batch = zero;
    BENCH_OK(wispi_batch_init(b->device, &b->batch, &group, 1, images, dtype, 0, &err));
}

static void close_bench(bench *b)
{
    wispi_model_destroy(b->model);
    wispi_batch_fini(b->device, &b->batch);
    wispi_device_close(b->device);
    built_plugins_close(&b->plugins);
    free(b);
}

/* --- sizes --- */

static const struct {
    const char *options;
    int64_t parameters;
    double mmacs[3]; /* at 224, 128, 96 px */
} published[] = {
    {"size = \"tiny\"", 5524416, {1253.5, 374.0, 208.0}},
    {"size = \"small\"", 21665664, {0, 0, 0}},
    {"size = \"base\"", 85798656, {0, 0, 0}},
    {"size = \"tiny\"\nmask_token = true", 5524416 + 192, {0, 0, 0}},
    {"size = \"tiny\"\nqkv_bias = false", 5524416 - 12 * 576, {0, 0, 0}},
    /* ViT-B/32 of timm: 88,224,232 with a classifier of 1000 */
    {"size = \"base\"\npatch_size = 32", 88224232 - 769000, {0, 0, 0}},
    /* the tiny one with the heads of the light masked autoencoders: as many parameters */
    {"heads = 12", 5524416, {0, 0, 0}},
};

static void embed_only(wisp_step *s, void *user)
{
    bench *b = user;
    wisp_forward(s, b->backbone, wisp_view(s, &b->batch.plugin, 0));
}

static double count_mmacs(bench *b, int32_t size)
{
    wispi_program *program = NULL;
    wispi_program_facts facts;
    wispi_batch_fini(b->device, &b->batch);
    open_batch(b, size, size, 1, WISP_F32);
    BENCH_OK(wispi_program_record(b->device, wispi_ops_table(), b->model, WISPI_RECORD_SHAPES_ONLY,
                                  embed_only, b, &program, &err));
    wispi_program_facts_of(program, &facts);
    wispi_program_destroy(program);
    return facts.forward_macs / 1e6;
}

START_TEST(sizes_are_the_published_ones)
{
    static const int32_t sizes[3] = {224, 128, 96};
    bench *b = open_device(published[_i].options, NULL);
    build_network(b);
    ck_assert_int_eq(wispi_module_parameter_count(b->backbone, 0), published[_i].parameters);
    if (published[_i].mmacs[0] > 0) {
        BENCH_OK(wispi_model_finish(b->model, &err));
        ck_assert_int_eq(wispi_model_tensor_count(b->model), 152);
        for (int i = 0; i < 3; i++) {
            const double mmacs = count_mmacs(b, sizes[i]);
            ck_assert_msg(fabs(mmacs - published[_i].mmacs[i]) < 0.06, "at %d px: %.2f MMACs",
                          sizes[i], mmacs);
        }
    }
    close_bench(b);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    static const struct {
        const char *options, *says;
    } wrong[] = {{"size = \"huge\"", "huge"},
                 {"heads = 5", "heads"},
                 {"dim = 100", "dim"},
                 {"image_size = 225", "patch_size"},
                 {"depth = 65", "depth"},
                 {"drop_path = 1.0", "drop_path"},
                 {"norm_eps = 0.0", "norm_eps"},
                 {"patch_size = 0", "patch_size"},
                 {"mlp_ratio = 0.0", "mlp_ratio"}};
    ck_assert_int_lt(_i, sizeof wrong / sizeof *wrong);
    char options[96];
    snprintf(options, sizeof options, "use = \"vit\"\n%s", wrong[_i].options);
    bench_refuses(options, wrong[_i].says);
}
END_TEST

/* --- first values --- */

static const struct {
    const char *name;
    double mean, deviation, largest; /* largest 0: not bounded */
} started[] = {
    {"cls_token", 0, 0.02, 0},
    {"pos_embed", 0, 0.02, 0},
    {"mask_token", 0, 0, 0},
    {"patch_embed.proj.weight", 0, 0.020833, 0.036085}, /* 1 / sqrt(768), uniform */
    {"patch_embed.proj.bias", 0, 0.020833, 0.036085},
    {"blocks.0.norm1.weight", 1, 0, 0},
    {"blocks.0.norm1.bias", 0, 0, 0},
    {"blocks.3.attn.qkv.weight", 0, 0.02, 0},
    {"blocks.3.attn.qkv.bias", 0, 0, 0},
    {"blocks.11.mlp.fc2.weight", 0, 0.02, 0},
    {"blocks.11.mlp.fc2.bias", 0, 0, 0},
    {"norm.weight", 1, 0, 0},
};

static double *read_variable(const bench *b, const wispi_variable *variable, int64_t *count)
{
    *count = wisp_desc_count(&variable->desc);
    void *raw = room(wisp_desc_bytes(&variable->desc), 1);
    double *values = room(*count, sizeof *values);
    BENCH_OK(wispi_variable_read(b->device, variable, raw, &err));
    wispi_widen(values, raw, variable->desc.dtype, *count);
    free(raw);
    return values;
}

static void check_start(bench *b, int i)
{
    char name[64];
    int64_t n;
    double mean = 0, square = 0, largest = 0;
    snprintf(name, sizeof name, "net.backbone.%s", started[i].name);
    const wispi_model_tensor *t = wispi_model_tensor_named(b->model, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    double *values = read_variable(b, t->variable, &n);
    for (int64_t k = 0; k < n; k++) {
        mean += values[k] / (double)n;
        square += values[k] * values[k] / (double)n;
        largest = fmax(largest, fabs(values[k]));
    }
    const double deviation = sqrt(fmax(square - mean * mean, 0));
    const double noise = 1e-9 + 4 * started[i].deviation / sqrt((double)n);
    ck_assert_msg(fabs(mean - started[i].mean) <= noise, "%s: mean %g", name, mean);
    ck_assert_msg(fabs(deviation - started[i].deviation) <= noise, "%s: deviation %g", name,
                  deviation);
    ck_assert_msg(started[i].largest <= 0 || largest <= started[i].largest, "%s: up to %g", name,
                  largest);
    /* A normal distribution of this many values that never passes 2.5 deviations was cut. */
    ck_assert_msg(started[i].largest > 0 || n < 1000 || largest > 2.5 * started[i].deviation ||
                      started[i].deviation <= 0,
                  "%s: only up to %g", name, largest);
    free(values);
}

START_TEST(first_values_are_the_published_ones)
{
    bench *b = open_device("mask_token = true", NULL);
    build_network(b);
    BENCH_OK(wispi_model_finish(b->model, &err));
    for (size_t i = 0; i < sizeof started / sizeof *started; i++)
        check_start(b, (int)i);
    int norms = 0;
    for (wisp_module *m = b->backbone; m; m = wispi_module_after(b->backbone, m)) {
        norms += m->kind == WISPI_MODULE_LAYER_NORM;
        ck_assert(m->kind != WISPI_MODULE_LAYER_NORM || m->eps == 1e-6);
    }
    ck_assert_int_eq(norms, 25);
    close_bench(b);
}
END_TEST

/* --- drop path --- */

static wisp_ops spying;
static double dropped[2 * MAX_DEPTH];
static int n_dropped;

static wisp_tensor *spy_drop_path(wisp_step *s, wisp_tensor *x, double p)
{
    if (n_dropped < 2 * MAX_DEPTH)
        dropped[n_dropped] = p;
    n_dropped++;
    return wispi_ops_table()->drop_path(s, x, p);
}

static void record_spied(bench *b, int depth)
{
    wispi_program *program = NULL;
    spying = *wispi_ops_table();
    spying.drop_path = spy_drop_path;
    n_dropped = 0;
    BENCH_OK(wispi_program_record(b->device, &spying, b->model, WISPI_RECORD_SHAPES_ONLY,
                                  embed_only, b, &program, &err));
    wispi_program_destroy(program);
    ck_assert_int_eq(n_dropped, 2 * depth);
}

START_TEST(drop_path_rises_with_depth)
{
    bench *b = open_device("drop_path = 0.1\nimage_size = 32", NULL);
    build_network(b);
    BENCH_OK(wispi_model_finish(b->model, &err));
    open_batch(b, 32, 32, 1, WISP_F32);
    record_spied(b, 12);
    for (int i = 0; i < 24; i++)
        ck_assert_double_eq_tol(dropped[i], 0.1 * (i / 2) / 11, 1e-12);
    close_bench(b);
    b = open_device("drop_path = 0.1\nimage_size = 32\ndepth = 1", NULL);
    build_network(b);
    BENCH_OK(wispi_model_finish(b->model, &err));
    open_batch(b, 32, 32, 1, WISP_F32);
    record_spied(b, 1);
    ck_assert(dropped[0] == 0 && dropped[1] == 0);
    close_bench(b);
}
END_TEST

/* --- values --- */

/* The same as toy_mask() and toy_keep() of make_vit_golden.py. */
static void make_choices(bench *b, int64_t tokens)
{
    wisp_build *build = wispi_model_builder(b->model);
    const int64_t patches = tokens - 1, kept = 1 + patches / 2;
    float mask[IMAGES * 64];
    int64_t keep[IMAGES * 64];
    ck_assert_int_le(tokens, 64);
    for (int64_t n = 0; n < IMAGES; n++) {
        for (int64_t t = 0; t < tokens; t++)
            mask[n * tokens + t] = t == 0 || (5 * t + 3 * n) % 7 < 3; /* column 0 must not count */
        for (int64_t m = 0; m < kept; m++)
            keep[n * kept + m] = m ? 1 + (7 * (m - 1) + 5 * n) % patches : 0;
    }
    const wisp_desc mask_desc = wisp_desc2(WISP_F32, IMAGES, tokens);
    const wisp_desc keep_desc = wisp_desc2(WISP_I64, IMAGES, kept);
    b->mask = wisp_new_constant(build, "mask", &mask_desc, mask);
    b->keep = wisp_new_constant(build, "keep", &keep_desc, keep);
    b->tokens = b->view.kept ? kept : tokens;
}

static void make_loss(bench *b, int64_t dim)
{
    const wisp_desc desc = wisp_desc3(WISP_F32, IMAGES, b->tokens, dim);
    float *values = room(wisp_desc_count(&desc), sizeof *values);
    formula_uniform("loss", wisp_desc_count(&desc), -1, 1, values);
    b->loss = wisp_new_constant(wispi_model_builder(b->model), "loss", &desc, values);
    free(values);
}

static void set_weights(bench *b)
{
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(b->model, i);
        const int inside = strncmp(t->name, "net.backbone.", 13) == 0;
        float *values = room(wisp_desc_count(t->desc), sizeof *values);
        formula_parameter(t->name + (inside ? 13 : 4), t->desc, values);
        BENCH_OK(wispi_variable_write(b->device, t->variable, values, &err));
        free(values);
    }
}

static void set_images(bench *b)
{
    wispi_variable *views = &b->batch.views[0];
    const int64_t count = wisp_desc_count(&views->desc);
    float *values = room(count, sizeof *values);
    double *wide = room(count, sizeof *wide);
    void *raw = room(count, sizeof *values);
    formula_uniform("images", count, -2, 2, values);
    wispi_widen(wide, values, WISP_F32, count);
    wispi_narrow(raw, wide, views->desc.dtype, count);
    BENCH_OK(wispi_variable_write(b->device, views, raw, &err));
    free(values);
    free(wide);
    free(raw);
}

static bench *open_bench(const char *options, const char *backend, const vit_view *view,
                         int64_t patch_size, int32_t dtype)
{
    bench *b = open_device(options, backend);
    const int64_t patches = (view->height / patch_size) * (view->width / patch_size);
    b->view = *view;
    b->tokens = patches + 1;
    build_network(b);
    if (view->masked || view->kept)
        make_choices(b, patches + 1);
    if (view->gradients)
        make_loss(b, wisp_output_dim(wispi_model_builder(b->model), b->backbone));
    BENCH_OK(wispi_model_build_status(b->model, &err));
    BENCH_OK(wispi_model_finish(b->model, &err));
    open_batch(b, view->height, view->width, IMAGES, dtype);
    set_weights(b);
    set_images(b);
    return b;
}

static void give(bench *b, wisp_step *s, const char *name, int i, wisp_tensor *x)
{
    ck_assert_int_lt(b->n_out, MAX_OUTPUTS);
    if (i < 0)
        snprintf(b->out[b->n_out].name, sizeof b->out->name, "%s", name);
    else
        snprintf(b->out[b->n_out].name, sizeof b->out->name, "%s.%d", name, i);
    b->out[b->n_out++].x = x;
    wispi_step_keep(s, x);
}

static void forward(wisp_step *s, void *user)
{
    bench *b = user;
    wisp_features f;
    memset(&f, 0, sizeof f);
    f.struct_size = sizeof f;
    f.taps = WISP_TAP_TOKENS | WISP_TAP_BLOCKS | WISP_TAP_ATTENTION | WISP_TAP_CLASS_TOKENS;
    f.mask = b->view.masked ? wisp_state_value(s, b->mask) : NULL;
    f.keep_index = b->view.kept ? wisp_state_value(s, b->keep) : NULL;
    b->n_out = 0;
    wisp_tensor *pooled =
        wisp_forward_features(s, b->backbone, wisp_view(s, &b->batch.plugin, 0), &f);
    if (!pooled)
        return;
    wisp_tensor *logits = wisp_forward(s, b->head, pooled);
    give(b, s, "pooled", -1, pooled);
    give(b, s, "logits", -1, logits);
    give(b, s, "before_norm", -1, f.class_token_before_norm);
    give(b, s, "tokens", -1, f.tokens);
    for (int i = 0; i < f.n_blocks; i++) {
        give(b, s, "class_tokens", i, f.class_tokens[i]);
        give(b, s, "attention", i, f.attention[i]);
        ck_assert_int_eq(wisp_shape_of(s, f.blocks[i])->shape[1], b->tokens);
    }
    ck_assert((f.map == NULL) == (b->view.kept != 0));
    if (f.map)
        give(b, s, "map", -1, f.map);
    if (b->view.gradients) {
        wisp_tensor *squares = wisp_sum(s, wisp_mul(s, logits, logits), 0, 0);
        wisp_tensor *products =
            wisp_sum(s, wisp_mul(s, f.tokens, wisp_state_value(s, b->loss)), 0, 0);
        wispi_step_backward(s, wisp_add(s, squares, products));
    }
}

static wispi_program *run_forward(bench *b)
{
    wispi_program *program = NULL;
    BENCH_OK(wispi_program_record(b->device, wispi_ops_table(), b->model, 0, forward, b, &program,
                                  &err));
    BENCH_OK(wispi_model_refresh(b->model, &err));
    BENCH_OK(wispi_program_run(program, forward, b, NULL, &err));
    return program;
}

static double *read_out(bench *b, wispi_program *program, const char *name, int64_t *count)
{
    int i = 0;
    while (i < b->n_out && strcmp(b->out[i].name, name) != 0)
        i++;
    ck_assert_msg(i < b->n_out, "no output %s", name);
    const wisp_desc *desc = wispi_tensor_desc(b->out[i].x);
    *count = wisp_desc_count(desc);
    void *raw = room(wisp_desc_bytes(desc), 1);
    double *values = room(*count, sizeof *values);
    BENCH_OK(wispi_program_read(program, b->out[i].x, raw, &err));
    wispi_widen(values, raw, desc->dtype, *count);
    free(raw);
    return values;
}

/* Values [first, first + count) of what is stored as `key`. */
static void compare(const golden_file *g, const char *key, const double *got, int64_t first,
                    int64_t count, int64_t stored, double tolerance)
{
    golden_tensor want = golden_get(g, key);
    ck_assert_msg(want.v != NULL, "%s: no %s", g->path, key);
    ck_assert_msg(want.count == stored, "%s: %s has %lld values, not %lld", g->path, key,
                  (long long)want.count, (long long)stored);
    fixture_near(key, got, want.v + first, count, tolerance);
    free(want.v);
}

static void compare_out(bench *b, const golden_file *g, wispi_program *program, const char *name,
                        double tolerance)
{
    char key[64];
    int64_t count;
    double *values = read_out(b, program, name, &count);
    snprintf(key, sizeof key, "%s.%s", b->view.name, name);
    compare(g, key, values, 0, count, count, tolerance);
    free(values);
}

/* Output `name` of all blocks, which are stored as one tensor. */
static void compare_blocks(bench *b, const golden_file *g, wispi_program *program, const char *name,
                           int depth, double tolerance)
{
    char key[64], out[32];
    snprintf(key, sizeof key, "%s.%s", b->view.name, name);
    for (int i = 0; i < depth; i++) {
        int64_t count;
        snprintf(out, sizeof out, "%s.%d", name, i);
        double *values = read_out(b, program, out, &count);
        compare(g, key, values, i * count, count, depth * count, tolerance);
        free(values);
    }
}

/* The map is the tokens without the first. */
static void compare_map(bench *b, wispi_program *program)
{
    int64_t n_tokens, n_map;
    if (b->view.kept)
        return;
    double *tokens = read_out(b, program, "tokens", &n_tokens);
    double *map = read_out(b, program, "map", &n_map);
    const int64_t dim = n_tokens / IMAGES / b->tokens;
    ck_assert_int_eq(n_map, n_tokens - IMAGES * dim);
    for (int64_t n = 0; n < IMAGES; n++)
        ck_assert_mem_eq(map + n * (n_map / IMAGES), tokens + n * (n_tokens / IMAGES) + dim,
                         (size_t)(n_map / IMAGES) * sizeof *map);
    free(tokens);
    free(map);
}

/* --- vit_tiny_patch16_224 --- */

static const struct {
    vit_view view;
    const char *backend;
} tiny[] = {
    {{"224x224", 224, 224, 0, 0, 0}, "cpu"}, {{"128x128", 128, 128, 0, 0, 0}, "cpu"},
    {{"96x96", 96, 96, 0, 0, 0}, "cpu"},     {{"96x160", 96, 160, 0, 0, 0}, "cpu"},
    {{"96x96", 96, 96, 0, 0, 0}, NULL},
};

static void compare_projected(bench *b, const golden_file *g, wispi_program *program)
{
    int64_t count;
    char key[64];
    float weights[192];
    double *tokens = read_out(b, program, "tokens", &count);
    const int64_t rows = count / 192;
    formula_uniform("projection", 192, -1, 1, weights);
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t c = 0; c < 192; c++)
            sum += tokens[i * 192 + c] * (double)weights[c];
        tokens[i] = sum;
    }
    snprintf(key, sizeof key, "%s.projected", b->view.name);
    compare(g, key, tokens, 0, rows, rows, 1e-4);
    free(tokens);
}

/* The class tokens of the last four blocks side by side: what the published linear probe reads. */
static void compare_last_four(bench *b, const golden_file *g, wispi_program *program)
{
    double four[IMAGES * 4 * 192];
    char key[64];
    for (int i = 0; i < 4; i++) {
        int64_t count;
        snprintf(key, sizeof key, "class_tokens.%d", 8 + i);
        double *values = read_out(b, program, key, &count);
        for (int64_t n = 0; n < IMAGES; n++)
            memcpy(four + (n * 4 + i) * 192, values + n * 192, 192 * sizeof *values);
        free(values);
    }
    snprintf(key, sizeof key, "%s.last_four", b->view.name);
    compare(g, key, four, 0, IMAGES * 768, IMAGES * 768, 1e-4);
}

/* How the class token attends in the last block. */
static void compare_attention(bench *b, const golden_file *g, wispi_program *program)
{
    int64_t count;
    char key[64];
    double *values = read_out(b, program, "attention.11", &count);
    for (int64_t i = 0; i < IMAGES * 3; i++)
        memmove(values + i * b->tokens, values + i * b->tokens * b->tokens,
                (size_t)b->tokens * sizeof *values);
    snprintf(key, sizeof key, "%s.class_attention", b->view.name);
    compare(g, key, values, 0, IMAGES * 3 * b->tokens, IMAGES * 3 * b->tokens, 1e-4);
    free(values);
}

START_TEST(values_are_those_of_timm)
{
    golden_file g = golden_open("tests/golden/vit_tiny.safetensors");
    bench *b = open_bench("", tiny[_i].backend, &tiny[_i].view, 16, WISP_F32);
    wispi_model_set_eval(b->model, 1);
    wispi_program *program = run_forward(b);
    compare_out(b, &g, program, "pooled", 1e-4);
    compare_out(b, &g, program, "logits", 1e-4);
    compare_out(b, &g, program, "before_norm", 1e-4);
    compare_projected(b, &g, program);
    compare_last_four(b, &g, program);
    compare_attention(b, &g, program);
    wispi_program_destroy(program);
    close_bench(b);
    golden_close(&g);
}
END_TEST

/* --- a toy, with masks, choices and gradients --- */

#define TOY "dim = 16\ndepth = 3\nheads = 2\npatch_size = 8\nimage_size = 32\ndrop_path = 0.0\n"

static const vit_view toys[] = {{"whole", 32, 32, 0, 0, 0},
                                {"wide", 24, 48, 0, 0, 1},
                                {"masked", 32, 32, 1, 0, 0},
                                {"kept", 32, 32, 0, 1, 0},
                                {"both", 48, 24, 1, 1, 1}};

static void compare_gradients(bench *b, const golden_file *g)
{
    int compared = 0;
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(b->model, i);
        const int inside = strncmp(t->name, "net.backbone.", 13) == 0;
        char key[96];
        int64_t count;
        if (!t->variable->grad)
            continue;
        double *values = read_variable(b, t->variable->grad, &count);
        snprintf(key, sizeof key, "%s.grad.%s", b->view.name, t->name + (inside ? 13 : 4));
        compare(g, key, values, 0, count, count, 1e-4);
        compared++;
        free(values);
    }
    ck_assert_int_eq(compared, 2 + 2 + 3 * 12 + 2 + 2 + (b->view.masked ? 1 : 0));
}

static void compare_toy(const vit_view *view, const char *backend, int32_t dtype, double tolerance)
{
    golden_file g = golden_open("tests/golden/vit_toy.safetensors");
    bench *b = open_bench(view->masked ? TOY "mask_token = true" : TOY, backend, view, 8, dtype);
    wispi_program *program = run_forward(b);
    compare_out(b, &g, program, "pooled", tolerance);
    compare_out(b, &g, program, "logits", tolerance);
    compare_out(b, &g, program, "before_norm", tolerance);
    compare_out(b, &g, program, "tokens", tolerance);
    compare_blocks(b, &g, program, "class_tokens", 3, tolerance);
    compare_blocks(b, &g, program, "attention", 3, tolerance);
    compare_map(b, program);
    if (view->gradients && dtype == WISP_F32)
        compare_gradients(b, &g);
    wispi_program_destroy(program);
    close_bench(b);
    golden_close(&g);
}

START_TEST(toys_are_those_of_timm)
{
    const int n = sizeof toys / sizeof *toys;
    compare_toy(&toys[_i % n], _i < n ? NULL : "cpu", WISP_F32, 1e-4);
}
END_TEST

START_TEST(bf16_is_near)
{
    vit_view without = toys[_i];
    without.gradients = 0;
    compare_toy(&without, "cpu", WISP_BF16, 0.03);
}
END_TEST

/* Without a learned token the hidden patches are zeros: what they show does not matter. */
START_TEST(hidden_patches_are_not_seen)
{
    const vit_view masked = {"masked", 32, 32, 1, 0, 0};
    bench *b = open_bench(TOY, NULL, &masked, 8, WISP_F32);
    wispi_variable *views = &b->batch.views[0];
    const int64_t count = wisp_desc_count(&views->desc);
    float *pixels = room(count, sizeof *pixels);
    double *before, *after;
    int64_t n;
    wispi_program *program = run_forward(b);
    before = read_out(b, program, "tokens", &n);
    BENCH_OK(wispi_variable_read(b->device, views, pixels, &err));
    for (int64_t i = 0; i < count; i++) {
        const int64_t image = i / (32 * 32 * 3), y = i / (32 * 3) % 32, x = i / 3 % 32;
        const int64_t token = 1 + y / 8 * 4 + x / 8;
        if ((5 * token + 3 * image) % 7 < 3)
            pixels[i] = 5;
    }
    BENCH_OK(wispi_variable_write(b->device, views, pixels, &err));
    BENCH_OK(wispi_program_run(program, forward, b, NULL, &err));
    after = read_out(b, program, "tokens", &n);
    ck_assert_mem_eq(before, after, (size_t)n * sizeof *before);
    pixels[0] += 1; /* token 1 of the first image is shown */
    BENCH_OK(wispi_variable_write(b->device, views, pixels, &err));
    BENCH_OK(wispi_program_run(program, forward, b, NULL, &err));
    free(after);
    after = read_out(b, program, "tokens", &n);
    ck_assert_mem_ne(before, after, (size_t)n * sizeof *before);
    free(before);
    free(after);
    free(pixels);
    wispi_program_destroy(program);
    close_bench(b);
}
END_TEST

static void refuse(bench *b, const char *says)
{
    wispi_program *program = NULL;
    wisp_error err = {0};
    ck_assert_int_ne(
        wispi_program_record(b->device, wispi_ops_table(), b->model, 0, forward, b, &program, &err),
        WISP_OK);
    ck_assert_msg(strstr(err.message, says) && strstr(err.message, "net.backbone"), "%s",
                  err.message);
}

START_TEST(what_does_not_fit_is_refused)
{
    const vit_view masked = {"masked", 32, 32, 1, 0, 0};
    bench *b = open_bench(TOY, NULL, &masked, 8, WISP_F32);
    wispi_batch_fini(b->device, &b->batch);
    open_batch(b, 24, 32, IMAGES, WISP_F32); /* the mask is for 17 tokens, not for 13 */
    refuse(b, "reshape");
    wispi_batch_fini(b->device, &b->batch);
    open_batch(b, 7, 32, IMAGES, WISP_F32); /* less than a patch */
    refuse(b, "conv2d");
    close_bench(b);
}
END_TEST

int main(void)
{
    const int n_toys = sizeof toys / sizeof *toys;
    Suite *suite = suite_create("vit");
    TCase *tests = tcase_create("vit");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, sizes_are_the_published_ones, 0,
                        (int)(sizeof published / sizeof *published));
    tcase_add_loop_test(tests, wrong_options_are_refused, 0, 9);
    tcase_add_test(tests, first_values_are_the_published_ones);
    tcase_add_test(tests, drop_path_rises_with_depth);
    tcase_add_loop_test(tests, values_are_those_of_timm, 0, (int)(sizeof tiny / sizeof *tiny));
    tcase_add_loop_test(tests, toys_are_those_of_timm, 0, 2 * n_toys);
    tcase_add_loop_test(tests, bf16_is_near, 0, n_toys);
    tcase_add_test(tests, hidden_patches_are_not_seen);
    tcase_add_test(tests, what_does_not_fit_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
