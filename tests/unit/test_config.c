/* test_config.c - TOML trees, extends, overrides, option tables, the form of every error, the
 * resolved text, and each allocation failing in turn. */
#include <check.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/nearest.h"
#include "config/options_fill.h"
#include "config/resolved.h"
#include "config/toml_parse.h"
#include "wisp/options.h"

/* The options of an imagined plugin, with one of each type. */
struct crop {
    int64_t count;
    wisp_list scale;
};

struct demo {
    int64_t dim;
    double momentum, rate;
    int32_t nesterov, kind;
    const char *name, *path;
    wisp_list sizes, words;
    struct crop global, local;
    int64_t old;
};

static const wisp_choice kinds[] = {
    {"cosine", "half a wave", 7, 0}, {"linear", "a line", 8, 0}, {NULL, NULL, 0, 0}};

static const wisp_option crop_options[] = {
    {.key = "count",
     .type = WISP_OPTION_I64,
     .offset = offsetof(struct crop, count),
     .default_value = "1",
     .min = 0,
     .max = 8,
     .help = "how many"},
    {.key = "scale",
     .type = WISP_OPTION_F64_LIST,
     .offset = offsetof(struct crop, scale),
     .default_value = "[0.25, 1.0]",
     .min = 0,
     .max = 1,
     .flags = WISP_OPTION_OPEN_MIN,
     .min_count = 2,
     .max_count = 2,
     .help = "area"},
};

static const wisp_option demo_options[] = {
    {.key = "dim",
     .type = WISP_OPTION_I64,
     .offset = offsetof(struct demo, dim),
     .min = 1,
     .max = 4096,
     .flags = WISP_OPTION_REQUIRED,
     .help = "width of the output"},
    {.key = "momentum",
     .type = WISP_OPTION_F64,
     .offset = offsetof(struct demo, momentum),
     .default_value = "0.9",
     .min = 0,
     .max = 1,
     .flags = WISP_OPTION_OPEN_MAX,
     .help = "inertia"},
    {.key = "rate",
     .type = WISP_OPTION_F64,
     .offset = offsetof(struct demo, rate),
     .default_value = "1e-6",
     .min = 0,
     .max = INFINITY,
     .help = "speed",
     .former = "lr"},
    {.key = "nesterov",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(struct demo, nesterov),
     .default_value = "true",
     .help = "look ahead"},
    {.key = "kind",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(struct demo, kind),
     .default_value = "\"cosine\"",
     .choices = kinds,
     .help = "shape"},
    {.key = "name",
     .type = WISP_OPTION_STRING,
     .offset = offsetof(struct demo, name),
     .default_value = "\"a \\\"b\\\" \\\\ \\t \\u0001\"",
     .help = "label"},
    {.key = "path",
     .type = WISP_OPTION_PATH,
     .offset = offsetof(struct demo, path),
     .help = "file"},
    {.key = "sizes",
     .type = WISP_OPTION_I64_LIST,
     .offset = offsetof(struct demo, sizes),
     .default_value = "[]",
     .min = 1,
     .max = 512,
     .max_count = 3,
     .unit = "px",
     .help = "sizes"},
    {.key = "words",
     .type = WISP_OPTION_STRING_LIST,
     .offset = offsetof(struct demo, words),
     .default_value = "[\"x\", \"y\"]",
     .help = "words"},
    {.key = "global",
     .type = WISP_OPTION_TABLE,
     .offset = offsetof(struct demo, global),
     .default_value = "{ count = 2 }",
     .help = "large crops",
     .table = crop_options,
     .n_table = WISP_COUNT(crop_options)},
    {.key = "local",
     .type = WISP_OPTION_TABLE,
     .offset = offsetof(struct demo, local),
     .help = "small crops",
     .table = crop_options,
     .n_table = WISP_COUNT(crop_options)},
    {.key = "old",
     .type = WISP_OPTION_I64,
     .offset = offsetof(struct demo, old),
     .default_value = "3",
     .flags = WISP_OPTION_DEPRECATED,
     .help = "use dim"},
};
enum { N_DEMO = WISP_COUNT(demo_options) };

static const char *const use_allowed[] = {"use", NULL};

static char warnings[2000];

static void keep_warning(void *user, int32_t level, const char *line)
{
    (void)user;
    ck_assert_int_eq(level, WISP_LOG_WARNING);
    snprintf(warnings + strlen(warnings), sizeof warnings - strlen(warnings), "%s\n", line);
}

static wispi_config *parse(const char *text)
{
    wispi_config *config = NULL;
    wisp_error err = {0};
    wisp_status status = wispi_config_parse_text("t.toml", text, NULL, 0, &config, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    return config;
}

static wisp_status fill_from(const wispi_config *config, struct demo *demo, wisp_error *err)
{
    memset(demo, 0, sizeof *demo);
    return wispi_options_fill(wispi_node_find(wispi_config_root(config), "demo"), "demo",
                              demo_options, N_DEMO, sizeof(wisp_option), demo,
                              wispi_config_arena(config), use_allowed, err);
}

/* --- trees ----------------------------------------------------------------------------------- */

static void check_place(const wispi_node *node, int key_line, int key_column, int line, int column)
{
    ck_assert_ptr_nonnull(node);
    ck_assert_int_eq(node->key_place.line, key_line);
    ck_assert_int_eq(node->key_place.column, key_column);
    ck_assert_int_eq(node->place.line, line);
    ck_assert_int_eq(node->place.column, column);
}

START_TEST(tree_keeps_order_and_places)
{
    wispi_config *config = parse("zeta = 1 # first\n"
                                 "[method]\n"
                                 "use = \"dïno\"\n"
                                 "  b = [1.5, true]\n"
                                 "a = {x = -16, \"y z\" = 'q'}\n"
                                 "[[probe]]\nk = 20\n"
                                 "[[probe]]\nk = 5\n");
    const wispi_node *root = wispi_config_root(config);
    ck_assert_str_eq(root->first->key, "zeta");
    ck_assert_str_eq(root->first->next->key, "method");
    ck_assert_str_eq(root->last->key, "probe");
    const wispi_node *method = wispi_node_find(root, "method");
    check_place(method, 2, 2, 2, 1);
    ck_assert_str_eq(wispi_node_find(method, "use")->string, "dïno");
    const wispi_node *b = wispi_node_find(method, "b");
    check_place(b, 4, 3, 4, 7);
    ck_assert_str_eq(b->place.source->name, "t.toml");
    ck_assert_int_eq(b->n_children, 2);
    ck_assert_double_eq(wispi_node_at(b, 0)->number, 1.5);
    check_place(wispi_node_at(b, 1), 4, 13, 4, 13);
    ck_assert_int_eq(wispi_node_at(b, 1)->type, WISPI_NODE_BOOL);
    ck_assert_int_eq(wispi_node_at(b, 1)->integer, 1);
    ck_assert_ptr_null(wispi_node_at(b, 2));
    ck_assert_ptr_null(wispi_node_at(b, -1));
    const wispi_node *a = wispi_node_find(method, "a");
    ck_assert_int_eq(wispi_node_find(a, "x")->integer, -16);
    ck_assert_str_eq(wispi_node_find(a, "y z")->string, "q");
    const wispi_node *probe = wispi_node_find(root, "probe");
    ck_assert_int_eq(probe->type, WISPI_NODE_ARRAY);
    ck_assert_int_eq(wispi_node_find(wispi_node_at(probe, 1), "k")->integer, 5);
    ck_assert_ptr_null(wispi_node_find(b, "k"));
    ck_assert_ptr_null(wispi_node_find(NULL, "k"));
    wispi_config_destroy(config);
    wispi_config_destroy(NULL);
}
END_TEST

/* text, the whole message that is expected. */
static const struct {
    const char *text, *message;
} bad_toml[] = {
    {"a = 1\nb = 1 2\n", "t.toml:2:7: Error while parsing key-value pair: expected a comment or "
                         "whitespace, saw '2'\n    b = 1 2\n          ^"},
    {"a = 1\na = 2\n", "t.toml:2:5: Error while parsing key-value pair: cannot redefine existing "
                       "integer 'a'\n    a = 2\n        ^"},
    {"x = \"ä\" !\n", "t.toml:1:9: Error while parsing key-value pair: expected a comment or "
                      "whitespace, saw '!'\n    x = \"ä\" !\n            ^"},
    {"\tx = \n", "t.toml:1:6: Error while parsing key-value pair: expected value, saw '\\n'\n"
                 "    \tx = \n    \t    ^"},
    {"d = 2024-01-02\n", "t.toml:1:5: dates and times are not used here\n    d = 2024-01-02\n"
                         "        ^\nput it in quotes if a text was meant"},
    {"s = \"a\\u0000b\"",
     "t.toml:1:5: a text with a NUL character\n    s = \"a\\u0000b\"\n        ^\n"
     "remove the \\u0000"},
    {"extends = 'x.toml'\n", "t.toml:1:1: only a file can extend another\n    extends = 'x.toml'\n"
                             "    ^"},
    {"a = \"\xff\"\n",
     "t.toml:1:5: Encountered invalid utf-8 sequence\n    a = \"\xff\"\n        ^"},
};

START_TEST(syntax_errors)
{
    for (size_t i = 0; i < sizeof bad_toml / sizeof *bad_toml; i++) {
        wispi_config *config = NULL;
        wisp_error err = {0};
        ck_assert_int_eq(
            wispi_config_parse_text("t.toml", bad_toml[i].text, NULL, 0, &config, &err),
            WISP_E_CONFIG);
        ck_assert_str_eq(err.message, bad_toml[i].message);
        ck_assert_ptr_null(config);
        ck_assert_int_eq(
            wispi_config_parse_text("t.toml", bad_toml[i].text, NULL, 0, &config, NULL),
            WISP_E_CONFIG);
    }
}
END_TEST

/* Text made of `before`, then `n` times `unit`, then `after`. */
static char *repeat(const char *before, const char *unit, size_t n, const char *after)
{
    wispi_text text = {0};
    wispi_text_append(&text, before);
    for (size_t i = 0; i < n; i++)
        wispi_text_append(&text, unit);
    wispi_text_append(&text, after);
    ck_assert_int_eq(text.failed, 0);
    return text.data;
}

static void refuse(char *text, const char *part)
{
    wispi_config *config = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_config_parse_text("t.toml", text, NULL, 0, &config, &err),
                     WISP_E_CONFIG);
    ck_assert_msg(strstr(err.message, part) != NULL, "\"%s\" lacks \"%s\"", err.message, part);
    wispi_free(text);
}

START_TEST(absurd_texts_are_refused)
{
    refuse(repeat("a", ".a", 300000, " = 1"), "t.toml:1:64: a key of more than 32 parts");
    refuse(repeat("a", ". \"a\"", 100000, " = 1"), "a key of more than 32 parts");
    refuse(repeat("[a", ".a", 300000, "]"), "a key of more than 32 parts");
    refuse(repeat("\n\na = ", "[", 100000, ""), "t.toml:3:37: more than 32 brackets inside");
    refuse(repeat("a = ", "{b=", 100000, ""), "more than 32 brackets inside");
    refuse(repeat("a = ", "{b.b.b.b=", 30, ""), "t.toml:1:");
    refuse(repeat("a = 1 #", "x", WISPI_TOML_MOST_BYTES, ""), "at most 1048576");
    refuse(repeat("a = \"", "x", 500000, ""), "t.toml:1:500006: ");
    wispi_free(repeat("", "", 0, ""));
    char *many_dots = repeat("a = \"", "...", 1000,
                             "\" # .........................\n"
                             "'b.b.b' = '''\n....................'''\n"
                             "c = [1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5,"
                             " 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5,"
                             " 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5,"
                             " 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]\n");
    wispi_config_destroy(parse(many_dots));
    wispi_free(many_dots);
}
END_TEST

START_TEST(long_lines_are_cut_around_the_column)
{
    char *text = repeat("a = [", "1, ", 100, "x]\n");
    wispi_config *config = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_config_parse_text("t.toml", text, NULL, 0, &config, &err),
                     WISP_E_CONFIG);
    const char *line = strchr(err.message, '\n') + 5, *under = strchr(line, '\n') + 5;
    ck_assert_ptr_nonnull(strstr(err.message, "t.toml:1:306: "));
    ck_assert_uint_lt((size_t)(under - line), 120);
    ck_assert_int_eq(line[strspn(under, " ")], 'x');
    wispi_free(text);
}
END_TEST

/* --- extends --------------------------------------------------------------------------------- */

static char folder[PATH_MAX];

static void make_folder(void)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/wisp-config-XXXXXX", temporary ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[PATH_MAX + 20];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *file(const char *name, const char *text)
{
    static char path[PATH_MAX];
    char above[PATH_MAX];
    wispi_path_join(path, sizeof path, folder, name);
    wispi_path_folder(above, sizeof above, path);
    ck_assert_int_eq(wispi_make_folders(above, NULL), WISP_OK);
    ck_assert_int_eq(wispi_file_replace(path, text, strlen(text), NULL), WISP_OK);
    return path;
}

START_TEST(extends_merges_and_keeps_origins)
{
    file("base/one.toml", "extends = \"../two.toml\"\n[m]\na = 1\nlist = [1, 2]\n");
    file("two.toml", "first = true\n[m]\na = 0\nb = 0\nlist = [9]\n[m.sub]\np = 1\nq = 1\n"
                     "[[probe]]\nk = 1\n[[probe]]\nk = 2\n");
    const char *path = file("exp.toml", "extends = \"base/one.toml\"\n[m]\nb = 2\n"
                                        "sub.q = 2\n[[probe]]\nk = 3\n");
    wispi_config *config = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_config_load(path, NULL, 0, &config, &err) == WISP_OK, "%s", err.message);
    const wispi_node *root = wispi_config_root(config);
    wispi_config *expected = parse("[m]\na=1\nb=2\nlist=[1,2]\nsub={p=1,q=2}\n[[probe]]\nk=3\n");
    wispi_node *first = wispi_node_find(root, "first");
    ck_assert_ptr_eq(root->first, first);
    ck_assert_ptr_eq(first->next, wispi_node_find(root, "m"));
    ck_assert(wispi_node_equal(wispi_node_find(root, "m"),
                               wispi_node_find(wispi_config_root(expected), "m")));
    ck_assert(wispi_node_equal(wispi_node_find(root, "probe"),
                               wispi_node_find(wispi_config_root(expected), "probe")));
    ck_assert_ptr_null(wispi_node_find(root, "extends"));
    const wispi_node *m = wispi_node_find(root, "m");
    ck_assert_ptr_nonnull(strstr(wispi_node_find(m, "a")->place.source->name, "/base/one.toml"));
    check_place(wispi_node_find(m, "a"), 3, 1, 3, 5);
    ck_assert_ptr_nonnull(strstr(wispi_node_find(m, "b")->place.source->name, "/exp.toml"));
    ck_assert_ptr_nonnull(
        strstr(wispi_node_find(wispi_node_find(m, "sub"), "p")->place.source->name, "/two.toml"));
    wispi_config_destroy(expected);
    wispi_config_destroy(config);
}
END_TEST

static void check_equals(const wispi_config *config, const char *text)
{
    wispi_config *expected = parse(text);
    ck_assert(wispi_node_equal(wispi_config_root(config), wispi_config_root(expected)));
    wispi_config_destroy(expected);
}

/* The keys of a table belong to the plugin that its `use` names. */
START_TEST(another_use_drops_the_former_keys)
{
    const char *overrides[] = {"s.use=third", "s.k=4"};
    wispi_config *config = NULL;
    wisp_error err = {0};
    file("base.toml", "[s]\nuse = 'old'\nsize = 1\nsub.p = 2\n");
    const char *path = file("same.toml", "extends = 'base.toml'\n[s]\nuse = 'old'\nrange = 3\n");
    ck_assert_msg(wispi_config_load(path, NULL, 0, &config, &err) == WISP_OK, "%s", err.message);
    check_equals(config, "[s]\nuse = 'old'\nsize = 1\nsub.p = 2\nrange = 3\n");
    wispi_config_destroy(config);
    path = file("other.toml", "extends = 'base.toml'\n[s]\nrange = 3\nuse = 'new'\n");
    ck_assert_msg(wispi_config_load(path, NULL, 0, &config, &err) == WISP_OK, "%s", err.message);
    check_equals(config, "[s]\nuse = 'new'\nrange = 3\n");
    wispi_config_destroy(config);
    ck_assert_msg(wispi_config_load(path, overrides, 2, &config, &err) == WISP_OK, "%s",
                  err.message);
    check_equals(config, "[s]\nuse = 'third'\nk = 4\n");
    wispi_config_destroy(config);
}
END_TEST

static void check_load_fails(const char *path, wisp_status status, const char *part)
{
    wispi_config *config = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_config_load(path, NULL, 0, &config, &err), status);
    ck_assert_msg(strstr(err.message, part) != NULL, "\"%s\" lacks \"%s\"", err.message, part);
    ck_assert_ptr_null(config);
}

START_TEST(extends_that_cannot_be)
{
    check_load_fails(file("none/x.toml", "\nextends = 'y.toml'\n"), WISP_E_CONFIG,
                     "/none/x.toml:2:11: ");
    check_load_fails(file("x.toml", "extends = 'y.toml'\n"), WISP_E_CONFIG,
                     "y.toml: cannot open: No such file or directory\n    extends = 'y.toml'\n"
                     "              ^\nthe path is taken from the folder of this file");
    check_load_fails(file("x.toml", "extends = ['y.toml']\n"), WISP_E_CONFIG,
                     "x.toml:1:11: extends must be a string, not an array");
    check_load_fails(file("x.toml", "extends = 'x.toml'\n"), WISP_E_CONFIG, "x.toml:1:11: ");
    check_load_fails(file("x.toml", "extends = './x.toml'\n"), WISP_E_CONFIG, "extends itself");
    file("z.toml", "extends = 'x.toml'\n");
    check_load_fails(file("x.toml", "a = 1\nextends = 'z.toml'\n"), WISP_E_CONFIG, "z.toml:1:11: ");
    for (int i = 0; i < 20; i++) {
        char name[40], text[40];
        snprintf(name, sizeof name, "deep%d.toml", i);
        snprintf(text, sizeof text, "extends = 'deep%d.toml'\n", i + 1);
        file(name, text);
    }
    char path[PATH_MAX];
    wispi_path_join(path, sizeof path, folder, "deep0.toml");
    check_load_fails(path, WISP_E_CONFIG, "more than 16 files extend each other");
    check_load_fails("nowhere.toml", WISP_E_NOT_FOUND, "nowhere.toml: cannot open");
    check_load_fails(folder, WISP_E_INVALID, "a folder; give the name of a file");
    file("broken.toml", "\n[a\n");
    check_load_fails(file("x.toml", "extends = 'broken.toml'\n"), WISP_E_CONFIG,
                     "/broken.toml:2:3: ");
}
END_TEST

/* --- overrides ------------------------------------------------------------------------------- */

static const char *const overridden =
    "[method]\nuse = 'dino'\nout_dim = 4096\n[[probe]]\nuse = 'knn'\nk = 20\n[[probe]]\n"
    "use = 'linear'\n[sampler]\nglobal = { count = 2, size = 224 }\n";

START_TEST(overrides_change_values)
{
    static const char *const list[] = {"method.out_dim=65536",
                                       "sampler.use=sslight",
                                       "probe.0.k=5",
                                       "probe.0={use = 'knn', k = 5}",
                                       "sampler.global={ size=96 }",
                                       "data.path=../data/x-1.0",
                                       "method.w=[0.4, 0.6] ",
                                       "method.flag=true",
                                       "method.t=-0.5e-3",
                                       "a.b.c=\"x = y # z\"",
                                       "run.note='two words'",
                                       "probe.1={use = 'none'}",
                                       "data.path2=/mnt/2020/x",
                                       "flat = nano"};
    wispi_config *config = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_config_parse_text("t.toml", overridden, list, WISP_COUNT(list), &config,
                                          &err) == WISP_OK,
                  "%s", err.message);
    wispi_config *expected =
        parse("[method]\nuse = 'dino'\nout_dim = 65536\nw=[0.4,0.6]\nflag=true\nt=-0.0005\n"
              "[[probe]]\nuse = 'knn'\nk = 5\n[[probe]]\nuse = 'none'\n"
              "[sampler]\nuse='sslight'\nglobal = { count = 2, size = 96 }\n"
              "[data]\npath='../data/x-1.0'\npath2='/mnt/2020/x'\n[a]\nb.c='x = y # z'\n"
              "[run]\nnote='two words'\n");
    wispi_node *flat =
        wispi_node_remove((wispi_node *)(uintptr_t)wispi_config_root(config), "flat");
    ck_assert_str_eq(flat->string, "nano");
    ck_assert(wispi_node_equal(wispi_config_root(config), wispi_config_root(expected)));
    const wispi_node *method = wispi_node_find(wispi_config_root(config), "method");
    const wispi_node *dim = wispi_node_find(method, "out_dim");
    check_place(dim, 1, 8, 1, 16);
    ck_assert_str_eq(dim->place.source->name, "override");
    ck_assert_str_eq(dim->place.source->text, "method.out_dim=65536");
    wispi_config_destroy(expected);
    wispi_config_destroy(config);
}
END_TEST

/* override, column, the first words of the message. */
static const struct {
    const char *override;
    int column;
    const char *message;
} bad_overrides[] = {
    {"method.out_dim", 15, "an override without a \"=\""},
    {"", 1, "an override without a \"=\""},
    {"=5", 1, "an override without a key"},
    {"method.out_dim=", 16, "an override without a value"},
    {"method.out_dim =  ", 17, "an override without a value"},
    {"method.=5", 8, "a key of letters, digits, _ and - was expected here"},
    {".method=5", 1, "a key of letters, digits, _ and - was expected here"},
    {"method..x=5", 8, "a key of letters, digits, _ and - was expected here"},
    {"met hod.x=5", 5, "a key of letters, digits, _ and - was expected here"},
    {"\"a\".x=5", 1, "a key of letters, digits, _ and - was expected here"},
    {"method.use.x=5", 8, "\"use\" is a string; there is nothing below it"},
    {"probe.2.k=5", 7, "there is no entry 2; the array has 2, counted from 0"},
    {"probe.99999999999999999999.k=5", 7, "\"99999999999999999999\" is not the number"},
    {"probe.x.k=5", 7, "\"x\" is not the number of an entry of an array"},
    {"probe.2={}", 7, "there is no entry 2; the array has 2, counted from 0"},
    {"method.out_dim=12x", 18, "Error while parsing"},
    {"method.out_dim=[1, 2", 21, "Error while parsing"},
    {"method.use=two words", 13, "Error while parsing"},
    {"method.use=1999-01-01", 12, "dates and times are not used here"},
    {"method.use=\"a\" b = 2", 16, "Error while parsing"},
};

START_TEST(overrides_that_cannot_be)
{
    for (size_t i = 0; i < sizeof bad_overrides / sizeof *bad_overrides; i++) {
        wispi_config *config = NULL;
        wisp_error err = {0};
        char expected[300];
        const char *text = bad_overrides[i].override;
        ck_assert_int_eq(wispi_config_parse_text("t.toml", overridden, &text, 1, &config, &err),
                         WISP_E_CONFIG);
        snprintf(expected, sizeof expected, "override:1:%d: %s", bad_overrides[i].column,
                 bad_overrides[i].message);
        ck_assert_msg(strncmp(err.message, expected, strlen(expected)) == 0,
                      "\"%s\"\nexpected \"%s\"", err.message, expected);
        snprintf(expected, sizeof expected, "\n    %s\n    %*s^", text, bad_overrides[i].column - 1,
                 "");
        ck_assert_msg(strstr(err.message, expected) != NULL, "\"%s\" lacks \"%s\"", err.message,
                      expected);
        ck_assert_ptr_null(config);
    }
    char *long_one = repeat("a=", "x", 5000, "");
    const char *const others[] = {"a=1\nb=2", long_one};
    for (int i = 0; i < 2; i++) {
        wispi_config *config = NULL;
        ck_assert_int_eq(wispi_config_parse_text("t", "", &others[i], 1, &config, NULL),
                         WISP_E_CONFIG);
    }
    wispi_free(long_one);
}
END_TEST

/* --- option tables --------------------------------------------------------------------------- */

START_TEST(defaults_fill_everything)
{
    wispi_config *config = parse("[demo]\nuse = 'demo'\ndim = 64\n");
    struct demo demo;
    wisp_error err = {0};
    ck_assert_msg(fill_from(config, &demo, &err) == WISP_OK, "%s", err.message);
    ck_assert_int_eq(demo.dim, 64);
    ck_assert_double_eq(demo.momentum, 0.9);
    ck_assert_double_eq(demo.rate, 1e-6);
    ck_assert_int_eq(demo.nesterov, 1);
    ck_assert_int_eq(demo.kind, 7);
    ck_assert_str_eq(demo.name, "a \"b\" \\ \t \x01");
    ck_assert_ptr_null(demo.path);
    ck_assert_int_eq(demo.sizes.count, 0);
    ck_assert_int_eq(demo.words.count, 2);
    ck_assert_str_eq(((const char *const *)demo.words.items)[1], "y");
    ck_assert_int_eq(demo.global.count, 2);
    ck_assert_int_eq(demo.local.count, 1);
    ck_assert_double_eq(((const double *)demo.global.scale.items)[0], 0.25);
    ck_assert_int_eq(demo.old, 3);
    wispi_config_destroy(config);
}
END_TEST

START_TEST(given_values_are_taken)
{
    wispi_config *config =
        parse("[demo]\ndim = 4096\nmomentum = 0\nrate = 2\nnesterov = false\nkind = 'linear'\n"
              "name = ''\npath = 'p/q'\nsizes = [512, 1]\nwords = []\nglobal = {scale = [1, 0.5]}\n"
              "[demo.local]\ncount = 8\n");
    struct demo demo;
    wisp_error err = {0};
    ck_assert_msg(fill_from(config, &demo, &err) == WISP_OK, "%s", err.message);
    ck_assert_int_eq(demo.dim, 4096);
    ck_assert_double_eq(demo.momentum, 0);
    ck_assert_double_eq(demo.rate, 2);
    ck_assert_int_eq(demo.nesterov, 0);
    ck_assert_int_eq(demo.kind, 8);
    ck_assert_str_eq(demo.name, "");
    ck_assert_str_eq(demo.path, "p/q");
    ck_assert_int_eq(demo.sizes.count, 2);
    ck_assert_int_eq(((const int64_t *)demo.sizes.items)[0], 512);
    ck_assert_int_eq(demo.words.count, 0);
    ck_assert_int_eq(demo.global.count, 2); /* from the default of the enclosing table */
    ck_assert_double_eq(((const double *)demo.global.scale.items)[1], 0.5);
    ck_assert_int_eq(demo.local.count, 8);
    wispi_config_destroy(config);
}
END_TEST

/* What stands in [demo], line and column, message, a part of the hint. */
static const struct {
    const char *text;
    int line, column;
    const char *message, *hint;
} bad_options[] = {
    {"dmi = 3", 2, 1, "unknown key \"dmi\" in [demo]", "nearest known key: dim"},
    {"dim=1\n  mometum = 3", 3, 3, "unknown key \"mometum\" in [demo]",
     "nearest known key: momentum"},
    {"usee = 'x'", 2, 1, "unknown key \"usee\" in [demo]", "nearest known key: use"},
    {"dim=1\nglobal={cuont=1}", 3, 9, "unknown key \"cuont\" in [demo.global]",
     "nearest known key: count"},
    {"momentum = 0.5", 1, 1, "demo.dim is required",
     "add to [demo] a line dim = ... (integer in [1, 4096]): width of the output"},
    {"dim = 1.0", 2, 7, "demo.dim must be an integer, not a float",
     "dim: integer in [1, 4096] (width of the output)"},
    {"dim = \"1\"", 2, 7, "demo.dim must be an integer, not a string", "dim: integer"},
    {"dim = true", 2, 7, "demo.dim must be an integer, not a boolean", "dim: integer"},
    {"dim = 0", 2, 7, "demo.dim is out of range: 0", "in [1, 4096]"},
    {"dim = 4097", 2, 7, "demo.dim is out of range: 4097", "in [1, 4096]"},
    {"dim = [1]", 2, 7, "demo.dim must be an integer, not an array", "dim: integer"},
    {"dim = 1\nmomentum = 1", 3, 12, "demo.momentum is out of range: 1",
     "momentum: number in [0, 1); default 0.9 (inertia)"},
    {"dim = 1\nmomentum = -1e-9", 3, 12, "demo.momentum is out of range: -1.0000000000000001e-09",
     "[0, 1)"},
    {"dim = 1\nmomentum = nan", 3, 12, "demo.momentum must be a finite number", "number"},
    {"dim = 1\nrate = inf", 3, 8, "demo.rate must be a finite number", "number of at least 0"},
    {"dim = 1\nrate = 9007199254740993", 3, 8, "demo.rate must be a number, not an integer", ""},
    {"dim = 1\nrate = '1'", 3, 8, "demo.rate must be a number, not a string", "number"},
    {"dim = 1\nnesterov = 1", 3, 12, "demo.nesterov must be a boolean, not an integer",
     "true or false"},
    {"dim = 1\nkind = 'cosin'", 3, 8,
     "demo.kind has no choice \"cosin\"; nearest known choice: cosine", "one of: cosine, linear"},
    {"dim = 1\nkind = 7", 3, 8, "demo.kind must be a string, not an integer", "one of:"},
    {"dim = 1\nname = 7", 3, 8, "demo.name must be a string, not an integer", "name: string"},
    {"dim = 1\npath = {}", 3, 8, "demo.path must be a string, not a table", "path: path"},
    {"dim = 1\nsizes = 224", 3, 9, "demo.sizes must be a list of integers, not an integer",
     "list of integers in [1, 512], 0 to 3 items, px"},
    {"dim = 1\nsizes = [1, 2, 3, 4]", 3, 9, "demo.sizes has the wrong number of items: 4",
     "0 to 3 items"},
    {"dim = 1\nsizes = [1, 2.0]", 3, 13, "demo.sizes must be an integer, not a float", ""},
    {"dim = 1\nsizes = [1, 0]", 3, 13, "demo.sizes is out of range: 0", "[1, 512]"},
    {"dim = 1\nwords = ['a', 1]", 3, 15, "demo.words must be a string, not an integer", ""},
    {"dim = 1\n[demo.global]\nscale = [0, 1]", 4, 10, "demo.global.scale is out of range: 0",
     "(0, 1], 2 items"},
    {"dim = 1\n[demo.global]\nscale = [0.5]", 4, 9,
     "demo.global.scale has the wrong number of items: 1", "2 items"},
    {"dim = 1\nlocal = 3", 3, 9, "demo.local must be a table, not an integer", "table"},
    {"dim = 1\nlr = 1.0\nrate = 2.0", 3, 1,
     "\"lr\" is the former name of \"rate\", which is given too", "remove this line"},
};

START_TEST(wrong_options)
{
    for (size_t i = 0; i < sizeof bad_options / sizeof *bad_options; i++) {
        char text[300], place[40];
        struct demo demo;
        wisp_error err = {0};
        snprintf(text, sizeof text, "[demo]\n%s\n", bad_options[i].text);
        wispi_config *config = parse(text);
        ck_assert_msg(fill_from(config, &demo, &err) == WISP_E_CONFIG, "accepted: %s", text);
        int length = snprintf(place, sizeof place, "t.toml:%d:%d: ", bad_options[i].line,
                              bad_options[i].column);
        ck_assert_msg(strncmp(err.message, place, (size_t)length) == 0, "\"%s\" lacks \"%s\"",
                      err.message, place);
        const char *rest = err.message + length;
        size_t n = strlen(bad_options[i].message);
        ck_assert_msg(strncmp(rest, bad_options[i].message, n) == 0 && rest[n] == '\n',
                      "\"%s\"\nexpected \"%s\"", rest, bad_options[i].message);
        ck_assert_msg(strstr(rest, bad_options[i].hint) != NULL, "\"%s\" lacks \"%s\"", rest,
                      bad_options[i].hint);
        wispi_config_destroy(config);
    }
}
END_TEST

START_TEST(one_message_in_full)
{
    wispi_config *config = parse("[demo]\nuse = \"demo\"\ndim = 3\nmomentun = 0.5 # é\n");
    struct demo demo;
    wisp_error err = {0};
    fill_from(config, &demo, &err);
    ck_assert_str_eq(err.message, "t.toml:4:1: unknown key \"momentun\" in [demo]\n"
                                  "    momentun = 0.5 # é\n"
                                  "    ^\n"
                                  "nearest known key: momentum");
    wispi_config_destroy(config);
    config = parse("demo = 3\n");
    ck_assert_int_eq(fill_from(config, &demo, &err), WISP_E_CONFIG);
    ck_assert_str_eq(err.message, "t.toml:1:8: demo must be a table, not an integer\n"
                                  "    demo = 3\n           ^\nwrite it as a [table]");
    wispi_config_destroy(config);
    config = parse("");
    ck_assert_int_eq(fill_from(config, &demo, &err), WISP_E_CONFIG);
    ck_assert_str_eq(err.message, "demo.dim is required\nadd to [demo] a line dim = ... (integer in"
                                  " [1, 4096]): width of the output");
    wispi_config_destroy(config);
}
END_TEST

START_TEST(old_names_warn)
{
    wispi_log_set_sink(keep_warning, NULL);
    wispi_config *config = parse("[demo]\ndim = 1\nlr = 0.5\nold = 4\n");
    struct demo demo;
    warnings[0] = 0;
    ck_assert_int_eq(fill_from(config, &demo, NULL), WISP_OK);
    ck_assert_double_eq(demo.rate, 0.5);
    ck_assert_int_eq(demo.old, 4);
    ck_assert_str_eq(warnings, "t.toml:3:1: demo.lr is now called rate\n"
                               "t.toml:4:1: demo.old is deprecated: use dim\n");
    wispi_config_destroy(config);
    config = parse("[demo]\ndim = 1\nold = 3\n"); /* its default: what a resolved file says */
    warnings[0] = 0;
    ck_assert_int_eq(fill_from(config, &demo, NULL), WISP_OK);
    ck_assert_str_eq(warnings, "");
    wispi_config_destroy(config);
    wispi_log_set_sink(NULL, NULL);
}
END_TEST

/* A plugin built against a later header has longer entries (ABI-4). */
START_TEST(entries_are_found_by_their_stride)
{
    struct longer {
        wisp_option option;
        uint64_t unknown[3];
    } longer[N_DEMO];
    memset(longer, 0xEE, sizeof longer);
    for (int i = 0; i < N_DEMO - 3; i++) /* without the nested ones, whose entries stay short */
        longer[i].option = demo_options[i];
    struct demo demo = {0};
    wisp_error err = {0};
    wispi_config *config = parse("dim = 5\nkind = 'linear'\nwords = ['z']\n");
    ck_assert_msg(wispi_options_fill(wispi_config_root(config), "demo", &longer[0].option,
                                     N_DEMO - 3, sizeof longer[0], &demo,
                                     wispi_config_arena(config), NULL, &err) == WISP_OK,
                  "%s", err.message);
    ck_assert_int_eq(demo.dim, 5);
    ck_assert_int_eq(demo.kind, 8);
    ck_assert_str_eq(((const char *const *)demo.words.items)[0], "z");
    wispi_config_destroy(config);
}
END_TEST

/* --- tables that no plugin may have ---------------------------------------------------------- */

static void check_plugin_fault(wisp_option option, const char *part)
{
    wisp_error err = {0};
    option.offset = 0;
    wisp_option table[2] = {demo_options[1], option};
    wisp_status status = wispi_options_check("bad", table, 2, sizeof(wisp_option), &err);
    ck_assert_msg(status == WISP_E_PLUGIN, "\"%s\": %s %s", part, wisp_status_name(status),
                  err.message);
    ck_assert_int_eq(err.code, WISP_E_PLUGIN);
    ck_assert_msg(strstr(err.message, part) != NULL, "\"%s\" lacks \"%s\"", err.message, part);
    /* A user who does not give the option meets the same fault; nothing crashes. */
    struct demo demo = {0};
    wispi_config *config = parse("");
    ck_assert_int_eq(wispi_options_fill(wispi_config_root(config), "bad", table, 2,
                                        sizeof(wisp_option), &demo, wispi_config_arena(config),
                                        NULL, &err),
                     WISP_E_PLUGIN);
    wispi_config_destroy(config);
}

START_TEST(faulty_plugin_tables)
{
    const wisp_option good = {
        .key = "x", .type = WISP_OPTION_I64, .default_value = "1", .help = "help"};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_options_check("good", &good, 1, sizeof good, &err), WISP_OK);
    ck_assert_int_eq(wispi_options_check("demo", demo_options, N_DEMO, sizeof good, &err), WISP_OK);
    ck_assert_int_eq(wispi_options_check("none", NULL, 0, 0, &err), WISP_OK);
    ck_assert_int_eq(wispi_options_check("short", &good, 1, 16, &err), WISP_E_PLUGIN);
    ck_assert_int_eq(wispi_options_check("null", NULL, 1, sizeof good, &err), WISP_E_PLUGIN);
    wisp_option bad = good;
    bad.key = NULL;
    check_plugin_fault(bad, "option 1 of the plugin's table has the key \"\"");
    bad.key = "use";
    check_plugin_fault(bad, "has the key \"use\"");
    bad.key = "Upper";
    check_plugin_fault(bad, "[a-z0-9_]+");
    bad.key = "momentum";
    check_plugin_fault(bad,
                       "bad.momentum: the plugin's option table gives it the name of an earlier");
    bad = good;
    bad.help = "";
    check_plugin_fault(bad, "no help line");
    bad = good;
    bad.type = 0;
    check_plugin_fault(bad, "a type that this host does not know");
    bad.type = 99;
    check_plugin_fault(bad, "a type that this host does not know");
    bad = good;
    bad.min = 2;
    check_plugin_fault(bad, "max below min");
    bad = good;
    bad.flags = WISP_OPTION_OPEN_MIN;
    check_plugin_fault(bad, "open bound without bounds");
    bad.flags = WISP_OPTION_REQUIRED;
    check_plugin_fault(bad, "REQUIRED and a default");
    bad = good;
    bad.default_value = NULL;
    check_plugin_fault(bad, "neither a default nor REQUIRED");
    bad.default_value = "[1";
    check_plugin_fault(bad, "default of bad.x:1:7: Error while parsing");
    bad.default_value = "1\ny = 2";
    check_plugin_fault(bad, "more than one value");
    bad.default_value = "1.0";
    check_plugin_fault(bad, "default of bad.x:1:5: bad.x must be an integer, not a float");
    bad.default_value = "11";
    bad.min = 1;
    bad.max = 10;
    check_plugin_fault(bad, "bad.x is out of range: 11");
    bad = good;
    bad.type = WISP_OPTION_ENUM;
    check_plugin_fault(bad, "no choices");
    bad.choices = kinds;
    bad.default_value = "\"liner\"";
    check_plugin_fault(bad, "nearest known choice: linear");
    bad = good;
    bad.type = WISP_OPTION_I64_LIST;
    bad.default_value = "[1]";
    bad.min_count = 3;
    bad.max_count = 2;
    check_plugin_fault(bad, "max_count below min_count");
    bad.max_count = 3;
    check_plugin_fault(bad, "wrong number of items");
    bad = good;
    bad.type = WISP_OPTION_TABLE;
    bad.default_value = NULL;
    check_plugin_fault(bad, "no nested options");
    bad.table = crop_options;
    bad.n_table = 2;
    bad.default_value = "{ cuont = 1 }";
    check_plugin_fault(bad, "unknown key \"cuont\" in [bad.x]");
    bad.default_value = "3";
    check_plugin_fault(bad, "bad.x must be a table, not an integer");
    bad.default_value = "{ count = 9 }";
    check_plugin_fault(bad, "bad.x.count is out of range: 9");
    bad.default_value = NULL;
    bad.table = &bad; /* endless */
    bad.n_table = 1;
    check_plugin_fault(bad, "nests deeper than 4");
}
END_TEST

/* --- resolved text --------------------------------------------------------------------------- */

static void write_resolved(const struct demo *demo, wispi_text *text)
{
    wispi_resolved_table(text, "demo", "demo", demo_options, N_DEMO, sizeof(wisp_option), demo);
    wispi_resolved_array_table(text, "probe", NULL, demo_options, N_DEMO, sizeof(wisp_option),
                               demo);
    wispi_resolved_array_table(text, "probe", "two", demo_options, N_DEMO, sizeof(wisp_option),
                               demo);
    ck_assert_int_eq(text->failed, 0);
}

static void fill_again(const char *text, wispi_text *again)
{
    wispi_config *config = parse(text);
    struct demo demo;
    wisp_error err = {0};
    ck_assert_msg(fill_from(config, &demo, &err) == WISP_OK, "%s", err.message);
    const wispi_node *probes = wispi_node_find(wispi_config_root(config), "probe");
    if (probes) {
        ck_assert_int_eq(probes->n_children, 2);
        struct demo probe = {0};
        ck_assert_int_eq(wispi_options_fill(wispi_node_at(probes, 1), "probe", demo_options, N_DEMO,
                                            sizeof(wisp_option), &probe, wispi_config_arena(config),
                                            use_allowed, &err),
                         WISP_OK);
        wispi_text a = {0}, b = {0};
        write_resolved(&demo, &a);
        write_resolved(&probe, &b);
        ck_assert_str_eq(a.data, b.data);
        wispi_text_free(&a);
        wispi_text_free(&b);
    }
    write_resolved(&demo, again);
    wispi_config_destroy(config);
}

START_TEST(resolved_text_gives_itself_again)
{
    wispi_text first = {0}, second = {0};
    fill_again("[demo]\ndim = 7\nrate = 0.1\nmomentum = 0.30000000000000004\nsizes = [3, 4]\n"
               "path = 'C:\\x\\é'\nlocal = { scale = [1e-300, 0.3333333333333333] }\n",
               &first);
    ck_assert_ptr_nonnull(strstr(first.data,
                                 "[demo]\nuse = \"demo\"\ndim = 7\nmomentum = 0.30000000000000004\n"
                                 "rate = 0.1\nnesterov = true\nkind = \"cosine\"\n"
                                 "name = \"a \\\"b\\\" \\\\ \\u0009 \\u0001\"\n"
                                 "path = \"C:\\\\x\\\\é\"\nsizes = [3, 4]\nwords = [\"x\", \"y\"]\n"
                                 "old = 3\n\n[demo.global]\ncount = 2\nscale = [0.25, 1.0]\n\n"
                                 "[demo.local]\ncount = 1\nscale = [1e-300, 0.333333333333333"));
    ck_assert_ptr_nonnull(strstr(first.data, "\n[[probe]]\ndim = 7\n"));
    ck_assert_ptr_nonnull(strstr(first.data, "\n[[probe]]\nuse = \"two\"\ndim = 7\n"));
    ck_assert_ptr_nonnull(strstr(first.data, "\n[probe.global]\n"));
    fill_again(first.data, &second);
    ck_assert_str_eq(first.data, second.data);
    wispi_text_free(&first);
    wispi_text_free(&second);
}
END_TEST

START_TEST(numbers_parse_back_to_themselves)
{
    static const double special[] = {
        0.0,   -0.0,    1.0,         -1.0, 0.1,  1e22,   1e-6,    5e-324,
        1e300, 1.0 / 3, 123456789.0, 1e15, 1e16, 2.5e-8, 65536.0, -1.7976931348623157e308};
    uint64_t bits = 1;
    for (int i = 0; i < 3000; i++) {
        double number = special[i % 16];
        if (i >= 16) {
            bits = bits * 6364136223846793005u + 1442695040888963407u;
            memcpy(&number, &bits, sizeof number);
        }
        if (!isfinite(number))
            continue;
        wispi_text text = {0};
        wispi_text_append(&text, "x = ");
        wispi_resolved_number(&text, number);
        wispi_config *config = parse(text.data);
        const wispi_node *node = wispi_config_root(config)->first;
        ck_assert_msg(node->type == WISPI_NODE_FLOAT, "%s is no float", text.data);
        ck_assert_msg(memcmp(&node->number, &number, sizeof number) == 0, "%a became %s", number,
                      text.data);
        wispi_config_destroy(config);
        wispi_text_free(&text);
    }
}
END_TEST

/* --- smaller things -------------------------------------------------------------------------- */

START_TEST(edit_distance)
{
    ck_assert_int_eq(wispi_edit_distance("", ""), 0);
    ck_assert_int_eq(wispi_edit_distance("abc", ""), 3);
    ck_assert_int_eq(wispi_edit_distance("", "abcd"), 4);
    ck_assert_int_eq(wispi_edit_distance("kitten", "sitting"), 3);
    ck_assert_int_eq(wispi_edit_distance("saturday", "sunday"), 3);
    ck_assert_int_eq(wispi_edit_distance("count", "cuont"), 1);
    ck_assert_int_eq(wispi_edit_distance("lr_per_256", "lr_per256"), 1);
    char a[200], b[200];
    memset(a, 'a', 199);
    memset(b, 'b', 199);
    a[199] = b[199] = 0;
    ck_assert_int_eq(wispi_edit_distance(a, b), 63);
    wispi_nearest best = wispi_nearest_begin("cosin");
    ck_assert_ptr_null(best.found);
    wispi_nearest_offer(&best, "linear");
    wispi_nearest_offer(&best, "cosine");
    wispi_nearest_offer(&best, "cosinx");
    ck_assert_str_eq(best.found, "cosine");
}
END_TEST

START_TEST(use_and_known_keys)
{
    wispi_config *config = parse("[a]\nuse='x'\n[b]\nk=1\n[c]\nuse=3\n[d]\nuse=''\n");
    const wispi_node *root = wispi_config_root(config);
    const char *use = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_node_use(wispi_node_find(root, "a"), "a", &use, &err), WISP_OK);
    ck_assert_str_eq(use, "x");
    ck_assert_int_eq(wispi_node_use(wispi_node_find(root, "b"), "b", &use, &err), WISP_E_CONFIG);
    ck_assert_ptr_eq(strstr(err.message, "t.toml:3:1: [b] does not say which plugin"), err.message);
    ck_assert_int_eq(wispi_node_use(wispi_node_find(root, "c"), "c", &use, &err), WISP_E_CONFIG);
    ck_assert_ptr_eq(strstr(err.message, "t.toml:6:5: c.use must be a string"), err.message);
    ck_assert_int_eq(wispi_node_use(wispi_node_find(root, "d"), "d", &use, &err), WISP_E_CONFIG);
    ck_assert_int_eq(wispi_node_use(NULL, "e", &use, &err), WISP_E_CONFIG);
    ck_assert_str_eq(err.message, "[e] does not say which plugin to use\n"
                                  "add a line such as: use = \"name\"");
    static const char *const known[] = {"a", "b", "d", "sampler", NULL};
    ck_assert_int_eq(wispi_node_check_keys(root, "", known, &err), WISP_E_CONFIG);
    ck_assert_ptr_eq(strstr(err.message, "t.toml:5:2: unknown key \"c\"\n"), err.message);
    ck_assert_ptr_nonnull(strstr(err.message, "nearest known key: a"));
    static const char *const more[] = {"a", "b", "c", "d", NULL};
    ck_assert_int_eq(wispi_node_check_keys(root, "", more, &err), WISP_OK);
    wispi_config_destroy(config);
}
END_TEST

/* --- no memory ------------------------------------------------------------------------------- */

/* Loads a chain of files, applies overrides, fills, writes: WISP_OK when all went well. */
static wisp_status whole_way(const char *path, wisp_error *err)
{
    static const char *const overrides[] = {"demo.dim=5", "demo.global={count=3}", "new.x=word"};
    wispi_config *config = NULL;
    WISP_TRY(wispi_config_load(path, overrides, 3, &config, err));
    struct demo demo;
    wisp_status status = fill_from(config, &demo, err);
    if (status == WISP_OK)
        status = wispi_options_check("demo", demo_options, N_DEMO, sizeof(wisp_option), err);
    if (status == WISP_OK) {
        wispi_text text = {0};
        wispi_resolved_table(&text, "demo", NULL, demo_options, N_DEMO, sizeof(wisp_option), &demo);
        if (text.failed)
            status = wisp_fail(err, WISP_E_NOMEM, "no memory for the text");
        wispi_text_free(&text);
    }
    wispi_config_destroy(config);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    file("base.toml", "[demo]\nname = 'n'\nsizes = [1, 2]\nlocal = {count = 3}\n");
    char *filler = repeat("extends = 'base.toml'\n# ", "filling ", 30000, "\n");
    const char *path = file("exp.toml", filler); /* large, so that the arena has to grow */
    wispi_free(filler);
    int64_t blocks = wispi_live_blocks(), nth = 0, made;
    int failures = 0;
    do {
        wisp_error err = {0};
        int64_t before = wispi_allocation_count();
        wispi_fail_allocation(++nth);
        wisp_status status = whole_way(path, &err);
        wispi_fail_allocation(-1);
        made = wispi_allocation_count() - before;
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        if (status == WISP_OK) /* nothing failed, or an arena made do with a smaller block */
            continue;
        failures++;
        ck_assert_msg(status == WISP_E_NOMEM, "allocation %d: %s %s", (int)nth,
                      wisp_status_name(status), err.message);
        ck_assert_int_eq(err.code, WISP_E_NOMEM);
        ck_assert_ptr_nonnull(strstr(err.message, "no memory"));
    } while (made >= nth);
    ck_assert_int_ge(failures, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests, tree_keeps_order_and_places);
    tcase_add_test(tests, syntax_errors);
    tcase_add_test(tests, absurd_texts_are_refused);
    tcase_add_test(tests, long_lines_are_cut_around_the_column);
    tcase_add_test(tests, extends_merges_and_keeps_origins);
    tcase_add_test(tests, another_use_drops_the_former_keys);
    tcase_add_test(tests, extends_that_cannot_be);
    tcase_add_test(tests, overrides_change_values);
    tcase_add_test(tests, overrides_that_cannot_be);
    tcase_add_test(tests, defaults_fill_everything);
    tcase_add_test(tests, given_values_are_taken);
    tcase_add_test(tests, wrong_options);
    tcase_add_test(tests, one_message_in_full);
    tcase_add_test(tests, old_names_warn);
    tcase_add_test(tests, entries_are_found_by_their_stride);
    tcase_add_test(tests, faulty_plugin_tables);
    tcase_add_test(tests, resolved_text_gives_itself_again);
    tcase_add_test(tests, numbers_parse_back_to_themselves);
    tcase_add_test(tests, edit_distance);
    tcase_add_test(tests, use_and_known_keys);
    tcase_add_test(tests, any_allocation_may_fail);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
