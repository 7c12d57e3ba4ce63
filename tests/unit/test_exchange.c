/* test_exchange.c - what backbones are called in torchvision and timm, against lists that these
 * libraries made (tests/golden/transfer); export of crafted runs, want of memory included. */
#include <sys/stat.h>
#include <unistd.h>

#include "backbone_bench.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/exchange.h"
#include "train/safetensors.h"
#include "train/weights_export.h"

enum { LINE = 256, MOST_LINES = 1000 };

/* --- names and shapes --- */

typedef char text_line[LINE];

typedef struct line_list {
    text_line *lines;
    int n;
} line_list;

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void put_line(line_list *list, const char *name, const wisp_desc *desc)
{
    char shape[96] = "scalar";
    ck_assert_int_lt(list->n, MOST_LINES);
    for (int32_t i = 0, used = 0; i < desc->rank; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%lld", i ? "x" : "",
                         (long long)desc->shape[i]);
    snprintf(list->lines[list->n++], LINE, "%.140s %s %s", name, wisp_dtype_name(desc->dtype),
             shape);
}

/* As wispi_weights_export() adds them. */
static void put_count(line_list *list, const char *name)
{
    static const char mean[] = "running_mean";
    const wisp_desc scalar = wisp_desc0(WISP_I64);
    char count[WISPI_EXCHANGE_NAME];
    if (!formula_ends(name, mean))
        return;
    snprintf(count, sizeof count, "%.*snum_batches_tracked",
             (int)(strlen(name) - (sizeof mean - 1)), name);
    put_line(list, count, &scalar);
}

static line_list names_of(const backbone_bench *b, const wispi_exchange *names)
{
    line_list list = {calloc(MOST_LINES, sizeof *list.lines), 0};
    ck_assert_ptr_nonnull(list.lines);
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(b->model, i);
        char name[WISPI_EXCHANGE_NAME];
        if (strncmp(t->name, "net.backbone.", 13) != 0)
            continue;
        wispi_exchange_name(names, t->name + 13, name);
        if (!name[0])
            continue;
        put_line(&list, name, t->desc);
        put_count(&list, name);
    }
    qsort(list.lines, (size_t)list.n, sizeof *list.lines, by_text);
    return list;
}

static void same_as_file(const line_list *list, const char *file, const char *classifier)
{
    char path[300], line[LINE + 2], want[LINE];
    snprintf(path, sizeof path, WISP_SOURCE_DIR "/tests/golden/transfer/%s.txt", file);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    snprintf(want, sizeof want, "# classifier: %s\n", classifier);
    ck_assert_str_eq(line, want);
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        ck_assert_msg(n < list->n, "%s: %s is missing", file, line);
        ck_assert_msg(strcmp(line, list->lines[n]) == 0, "%s: %s, here %s", file, line,
                      list->lines[n]);
        n++;
    }
    ck_assert_int_eq(n, list->n);
    fclose(f);
}

static const struct {
    const char *options, *library, *file, *model;
} libraries[] = {
    {"use = \"resnet\"", "torchvision", "torchvision_resnet18",
     "torchvision.models.resnet18(num_classes=5)"},
    {"use = \"resnet\"\ndepth = 34", "torchvision", "torchvision_resnet34", NULL},
    {"use = \"resnet\"\ndepth = 50", "torchvision", "torchvision_resnet50", NULL},
    {"use = \"resnet\"", "timm", "timm_resnet18", "timm.create_model(\"resnet18\", num_classes=5)"},
    {"use = \"resnet\"\ndepth = 34", "timm", "timm_resnet34", NULL},
    {"use = \"resnet\"\ndepth = 50", "timm", "timm_resnet50", NULL},
    {"use = \"mobilenet_v2\"", "torchvision", "torchvision_mobilenetv2_100",
     "torchvision.models.mobilenet_v2(width_mult=1, num_classes=5)"},
    {"use = \"mobilenet_v2\"\nwidth = 0.35", "torchvision", "torchvision_mobilenetv2_035",
     "torchvision.models.mobilenet_v2(width_mult=0.35, num_classes=5)"},
    {"use = \"mobilenet_v2\"\nwidth = 1.4", "torchvision", "torchvision_mobilenetv2_140", NULL},
    {"use = \"mobilenet_v2\"", "timm", "timm_mobilenetv2_100", NULL},
    {"use = \"mobilenet_v2\"\nwidth = 0.35", "timm", "timm_mobilenetv2_035",
     "timm.create_model(\"mobilenetv2_035\", num_classes=5)"},
    {"use = \"mobilenet_v2\"\nwidth = 1.4", "timm", "timm_mobilenetv2_140", NULL},
    {"use = \"vit\"", "timm", "timm_vit_tiny",
     "timm.create_model(\"vit_tiny_patch16_224\", num_classes=5)"},
    {"use = \"vit\"\nsize = \"small\"\nmask_token = true", "timm", "timm_vit_small",
     "timm.create_model(\"vit_small_patch16_224\", num_classes=5)"},
    {"use = \"vit\"", "torchvision", "torchvision_vit_tiny",
     "torchvision.models.vision_transformer.VisionTransformer(image_size=224, patch_size=16, "
     "num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768, num_classes=5)"},
    {"use = \"vit\"\nsize = \"small\"\nmask_token = true", "torchvision", "torchvision_vit_small",
     NULL},
};

START_TEST(names_and_shapes_are_those_of_the_libraries)
{
    const char *options = libraries[_i].options;
    backbone_bench *b = bench_open(options, NULL, 224, 1);
    const wispi_instance *backbone = &b->plugins.instances[b->plugins.n - 1];
    wispi_exchange names;
    char model[600];
    BENCH_OK(wispi_exchange_open(backbone, libraries[_i].library, &names, &err));
    line_list list = names_of(b, &names);
    same_as_file(&list, libraries[_i].file, names.facts.classifier);
    ck_assert_int_eq(names.facts.dim, wispi_module_backbone_info(b->backbone)->dim);
    wispi_exchange_model(&names, 5, model, sizeof model);
    if (libraries[_i].model)
        ck_assert_str_eq(model, libraries[_i].model);
    free(list.lines);
    bench_close(b);
}
END_TEST

/* Shapes do not tell these apart. */
static const struct {
    const char *options, *library, *ours, *theirs;
} pairs[] = {
    {"use = \"mobilenet_v2\"", "timm", "features.0.1.bias", "bn1.bias"},
    {"use = \"mobilenet_v2\"", "timm", "features.1.conv.0.1.weight", "blocks.0.0.bn1.weight"},
    {"use = \"mobilenet_v2\"", "timm", "features.1.conv.2.weight", "blocks.0.0.bn2.weight"},
    {"use = \"mobilenet_v2\"", "timm", "features.3.conv.0.1.running_var",
     "blocks.1.1.bn1.running_var"},
    {"use = \"mobilenet_v2\"", "timm", "features.3.conv.1.1.running_var",
     "blocks.1.1.bn2.running_var"},
    {"use = \"mobilenet_v2\"", "timm", "features.12.conv.1.1.bias", "blocks.4.1.bn2.bias"},
    {"use = \"mobilenet_v2\"", "timm", "features.17.conv.3.bias", "blocks.6.0.bn3.bias"},
    {"use = \"mobilenet_v2\"", "timm", "features.18.1.bias", "bn2.bias"},
    {"use = \"vit\"", "torchvision", "blocks.7.norm1.bias",
     "encoder.layers.encoder_layer_7.ln_1.bias"},
    {"use = \"vit\"", "torchvision", "blocks.11.norm2.weight",
     "encoder.layers.encoder_layer_11.ln_2.weight"},
    {"use = \"vit\"", "torchvision", "blocks.0.mlp.fc1.weight",
     "encoder.layers.encoder_layer_0.mlp.0.weight"},
    {"use = \"vit\"", "torchvision", "blocks.0.attn.qkv.bias",
     "encoder.layers.encoder_layer_0.self_attention.in_proj_bias"},
    {"use = \"vit\"", "torchvision", "norm.bias", "encoder.ln.bias"},
    {"use = \"vit\"", "torchvision", "mask_token", ""},
    {"use = \"vit\"", "timm", "mask_token", ""},
    {"use = \"vit\"", "wisp", "mask_token", "mask_token"},
};

/* The backbone is the first instance. */
static built_plugins open_backbone(const char *options)
{
    char toml[256];
    snprintf(toml, sizeof toml, "[backbone]\n%s\n", options);
    built_plugins p = built_plugins_open(toml);
    built_plugin(&p, "backbone", "backbone");
    return p;
}

START_TEST(tensors_of_one_shape_are_not_mixed_up)
{
    wispi_exchange names;
    char name[WISPI_EXCHANGE_NAME];
    built_plugins p = open_backbone(pairs[_i].options);
    BENCH_OK(wispi_exchange_open(&p.instances[0], pairs[_i].library, &names, &err));
    wispi_exchange_name(&names, pairs[_i].ours, name);
    ck_assert_str_eq(name, pairs[_i].theirs);
    built_plugins_close(&p);
}
END_TEST

static const struct {
    const char *options, *library, *words;
} refused[] = {
    {"use = \"resnet\"", "keras", "it knows those of: wisp, torchvision, timm"},
    {"use = \"resnet\"\nstem = \"cifar\"", "torchvision", "stem = \"cifar\""},
    {"use = \"resnet\"\nwidth = 0.5", "timm", "width = 0.5"},
    {"use = \"resnet\"\ndepth = 10", "timm", "depth = 10"},
    {"use = \"mobilenet_v2\"\nstem = \"cifar\"", "torchvision", "strides"},
    {"use = \"mobilenet_v2\"\nwidth = 0.6", "timm", "torchvision has all"},
    {"use = \"vit\"\nqkv_bias = false", "torchvision", "timm has"},
};

START_TEST(what_a_library_does_not_have_is_refused)
{
    wispi_exchange names;
    wisp_error err = {0};
    built_plugins p = open_backbone(refused[_i].options);
    ck_assert_int_eq(wispi_exchange_open(&p.instances[0], refused[_i].library, &names, &err),
                     WISP_E_CONFIG);
    ck_assert_msg(strstr(err.message, refused[_i].words) != NULL, "%s", err.message);
    built_plugins_close(&p);
}
END_TEST

START_TEST(a_beginning_of_a_name_is_replaced_once)
{
    static const wisp_renaming table[] = {{"a.", "long."}, {"a", "b"}, {"", "rest."}};
    char out[16] = "";
    const volatile size_t bytes = sizeof out; /* so that no compiler sees the last call's fault */
    ck_assert_int_eq(wisp_rename(table, 3, "a.a.x", out, bytes), 1);
    ck_assert_str_eq(out, "long.a.x");
    ck_assert_int_eq(wisp_rename(table, 2, "ax", out, bytes), 1); /* appends */
    ck_assert_str_eq(out, "long.a.xbx");
    ck_assert_int_eq(wisp_rename(table, 2, "c", out, bytes), 0);
    ck_assert_str_eq(out, "long.a.xbx");
    ck_assert_int_eq(wisp_rename(table, 3, "c.much.too.long", out, bytes), 1);
    ck_assert_str_eq(out, "long.a.xbxrest.");
}
END_TEST

/* --- export of a crafted run --- */

static char folder[64], run_folder[96], target[96];

static const float values[6] = {1, 2, 3, 4, 5, 6};

/* Enough of a run for export; what else a backbone has is not asked for. */
static void make_run(const char *toml)
{
    static const wispi_stored_tensor tensors[] = {
        {"student.backbone.bn1.running_mean", {WISP_F32, 1, {3}}, values},
        {"student.backbone.conv1.weight", {WISP_F32, 2, {2, 3}}, values},
        {"probe0.classifier.weight", {WISP_F32, 2, {1, 3}}, values},
        {"probe0.classifier.bias", {WISP_F32, 1, {1}}, values}};
    static const wispi_stored_text texts[] = {{"format", WISPI_CHECKPOINT_FORMAT},
                                              {WISPI_TEXT_EVALUATED, "student.backbone"}};
    char path[160];
    snprintf(folder, sizeof folder, "/tmp/wisp-exchange-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(run_folder, sizeof run_folder, "%s/run", folder);
    snprintf(target, sizeof target, "%s/target", folder);
    snprintf(path, sizeof path, "%s/checkpoints", run_folder);
    BENCH_OK(wispi_make_folders(path, &err));
    snprintf(path, sizeof path, "%s/config.toml", run_folder);
    BENCH_OK(wispi_file_replace(path, toml, strlen(toml), &err));
    snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", run_folder);
    BENCH_OK(wispi_safetensors_write(path, tensors, 4, texts, 2, &err));
}

static void remove_run(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static wisp_status export_run(built_plugins *p, wispi_export_facts *facts, wisp_error *err)
{
    const wispi_export_request request = {run_folder, target, "timm", NULL, NULL};
    return wispi_weights_export(p->registry, &request, facts, err);
}

START_TEST(a_batch_norm_gets_its_count)
{
    wispi_safetensors *file = NULL;
    wispi_export_facts facts;
    make_run("[backbone]\nuse = \"resnet\"\n");
    built_plugins p = built_plugins_open("");
    BENCH_OK(export_run(&p, &facts, &err));
    ck_assert_int_eq(facts.n_tensors, 3);
    BENCH_OK(wispi_safetensors_open(target, 1, &file, &err));
    const wispi_stored_tensor *count = wispi_safetensors_find(file, "bn1.num_batches_tracked");
    ck_assert_ptr_nonnull(count);
    ck_assert_int_eq(count->desc.rank, 0);
    ck_assert_int_eq(count->desc.dtype, WISP_I64);
    ck_assert_mem_eq(wispi_safetensors_find(file, "conv1.weight")->data, values, sizeof values);
    ck_assert_str_eq(wispi_safetensors_text(file, "wisp.names"), "timm");
    ck_assert_ptr_nonnull(strstr(wispi_safetensors_text(file, "wisp.input"), "0.485"));
    ck_assert_ptr_nonnull(strstr(wispi_safetensors_text(file, "wisp.toml"), "depth = 18"));
    wispi_safetensors_close(file);
    built_plugins_close(&p);
    remove_run();
}
END_TEST

START_TEST(runs_that_are_no_runs_are_refused)
{
    static const char *const tomls[] = {"",
                                        "[backbone]\n",
                                        "[backbone]\nuse = \"teapot\"\n",
                                        "[backbone]\nuse = \"resnet\"\ndepth = 19\n",
                                        "[backbone]\nuse = \"resnet\"\n[input]\nmean = 3\n",
                                        "[["};
    wispi_export_facts facts;
    wisp_error err = {0};
    make_run(tomls[_i]);
    built_plugins p = built_plugins_open("");
    ck_assert_int_ne(export_run(&p, &facts, &err), WISP_OK);
    ck_assert_msg(err.message[0] != '\0', "no reason is given");
    ck_assert_int_ne(access(target, F_OK), 0);
    built_plugins_close(&p);
    remove_run();
}
END_TEST

/* --- backbones of others --- */

static wisp_status toy_build(void *self, wisp_build *b, wisp_module *parent,
                             wisp_backbone_info *info, wisp_error *err)
{
    (void)self;
    (void)b;
    (void)parent;
    (void)info;
    return wisp_fail(err, WISP_E_UNSUPPORTED, "export builds nothing");
}

static void toy_forward(void *self, wisp_step *s, wisp_tensor *x, wisp_features *out)
{
    (void)self;
    (void)s;
    (void)x;
    (void)out;
}

static wisp_status toy_exchange(void *self, const char *library, wisp_exchange *out,
                                wisp_error *err)
{
    (void)self;
    (void)library;
    (void)err;
    memset(out->classifier, 'x', sizeof out->classifier); /* without an end */
    return WISP_OK;
}

static void toy_name(void *self, const char *library, const char *name, char *out, size_t bytes)
{
    (void)self;
    (void)library;
    (void)name;
    snprintf(out, bytes, "same");
}

static const char *const toy_libraries[] = {"timm", NULL};
static const wisp_backbone_v0 older = {.struct_size = offsetof(wisp_backbone_v0, libraries),
                                       .build = toy_build,
                                       .forward = toy_forward,
                                       .libraries = toy_libraries}; /* lies beyond its size */
static const wisp_backbone_v0 confused = {.struct_size = sizeof confused,
                                          .build = toy_build,
                                          .forward = toy_forward,
                                          .libraries = toy_libraries,
                                          .exchange = toy_exchange,
                                          .exchange_name = toy_name};

#define TOY                                                                                        \
    .struct_size = sizeof(wisp_descriptor), .option_size = sizeof(wisp_option),                    \
    .kind = WISP_KIND_BACKBONE, .version = "1", .summary = "a toy",                                \
    .doc = "Exists to be refused.", .license = "Apache-2.0"

static const wisp_descriptor toys[] = {{TOY, .name = "older", .vtable = &older},
                                       {TOY, .name = "confused", .vtable = &confused}};

static void refuses_toy(const char *use, wisp_status status, const char *words)
{
    static const wisp_descriptor *const list[] = {&toys[0], &toys[1]};
    static const wisp_bundle bundle = {{'w', 'i', 's', 'p', '\r', '\n', 0x1a, '\n'},
                                       sizeof(wisp_bundle),
                                       WISP_ABI_MAJOR,
                                       WISP_ABI_MINOR,
                                       list,
                                       2,
                                       NULL,
                                       NULL};
    char toml[64];
    wispi_export_facts facts;
    wisp_error err = {0};
    snprintf(toml, sizeof toml, "[backbone]\nuse = \"%s\"\n", use);
    make_run(toml);
    built_plugins p = built_plugins_open("");
    ck_assert_int_eq(wispi_registry_add_static(p.registry, &bundle, &err), WISP_OK);
    ck_assert_int_eq(export_run(&p, &facts, &err), status);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
    ck_assert_int_ne(access(target, F_OK), 0);
    built_plugins_close(&p);
    remove_run();
}

START_TEST(a_table_without_the_entries_knows_no_library)
{
    refuses_toy("older", WISP_E_CONFIG, "it knows those of: wisp");
}
END_TEST

START_TEST(two_tensors_of_one_name_are_refused)
{
    refuses_toy("confused", WISP_E_PLUGIN, "gives two tensors the name same");
}
END_TEST

/* Each allocation of an export fails once: an error, nothing written, nothing kept. */
START_TEST(export_survives_want_of_memory)
{
    wispi_export_facts facts;
    make_run("[backbone]\nuse = \"resnet\"\n");
    built_plugins p = built_plugins_open("");
    BENCH_OK(export_run(&p, &facts, &err)); /* the plugin is loaded from now on */
    unlink(target);
    wisp_status status = WISP_E_NOMEM;
    for (int64_t nth = 1; status != WISP_OK; nth++) {
        wisp_error err = {0};
        const int64_t before = wispi_live_blocks();
        wispi_fail_allocation(nth);
        status = export_run(&p, &facts, &err);
        wispi_fail_allocation(-1);
        ck_assert_int_eq(wispi_live_blocks(), before);
        ck_assert_int_lt(nth, 1000);
        if (status == WISP_OK)
            break;
        ck_assert_msg(status == WISP_E_NOMEM, "%lld: %s", (long long)nth, err.message);
        ck_assert_int_ne(access(target, F_OK), 0);
    }
    ck_assert_int_eq(access(target, F_OK), 0);
    built_plugins_close(&p);
    remove_run();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exchange");
    TCase *tests = tcase_create("exchange");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, names_and_shapes_are_those_of_the_libraries, 0,
                        (int)WISP_COUNT(libraries));
    tcase_add_loop_test(tests, tensors_of_one_shape_are_not_mixed_up, 0, (int)WISP_COUNT(pairs));
    tcase_add_loop_test(tests, what_a_library_does_not_have_is_refused, 0,
                        (int)WISP_COUNT(refused));
    tcase_add_test(tests, a_beginning_of_a_name_is_replaced_once);
    tcase_add_test(tests, a_batch_norm_gets_its_count);
    tcase_add_loop_test(tests, runs_that_are_no_runs_are_refused, 0, 6);
    tcase_add_test(tests, a_table_without_the_entries_knows_no_library);
    tcase_add_test(tests, two_tensors_of_one_name_are_refused);
    tcase_add_test(tests, export_survives_want_of_memory);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
