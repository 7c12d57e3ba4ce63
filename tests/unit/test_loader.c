/* The loader against plugins that misbehave on purpose (tests/bad): what is refused and in which
 * words, what is found where, and what becomes of a table of the TOML. */
#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fenv.h>
#include <float.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bad/good_options.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/resolved.h"
#include "loader/containment.h"
#include "loader/gate.h"
#include "loader/host_table.h"
#include "loader/registry.h"
#include "loader/search.h"
#include "wisp/comm.h"
#include "wisp/method.h"

#define BAD WISP_BUILD_DIR "/tests/bad"

static wispi_text logged;

static void keep_line(void *user, int32_t level, const char *line)
{
    (void)user;
    wispi_text_printf(&logged, "%d %s\n", level, line);
}

static wispi_registry *registry;

static wispi_registry *open_registry(const char *a, const char *b)
{
    const char *const folders[] = {a, b, NULL};
    const wispi_registry_options options = {folders, 1, 0};
    wispi_registry *made = NULL;
    wisp_error err = {0};
    wisp_status status = wispi_registry_create(&options, wispi_host_table(), &made, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    return made;
}

static void begin(void)
{
    wispi_log_set_sink(keep_line, NULL);
    registry = open_registry(BAD, NULL);
}

static void end(void)
{
    wispi_registry_destroy(registry);
    wispi_text_free(&logged);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}

static void expect(const char *where, const char *got, const char *wanted)
{
    ck_assert_msg(got && strstr(got, wanted), "%s: \"%s\" does not say \"%s\"", where, got, wanted);
}

/* --- the gate --- */

static const struct refusal {
    const char *name, *message;
    wisp_status status;
} refusals[] = {
    {"text", "not a shared object", WISP_E_ABI},
    {"empty", "not a shared object", WISP_E_ABI},
    {"not_there", "No such file", WISP_E_NOT_FOUND},
    {"no_entry", "does not export wisp_plugin_entry", WISP_E_ABI},
    {"unresolved", "function_that_is_nowhere", WISP_E_ABI},
    {"entry_null", "its entry returned nothing", WISP_E_ABI},
    {"magic", "wrong magic", WISP_E_ABI},
    {"abi_major", "built for plugin ABI 1.1, this host offers 0.1", WISP_E_ABI},
    {"abi_minor", "built for plugin ABI 0.2, this host offers 0.1", WISP_E_ABI},
    {"blank_summary", "bad_blank_summary: the mandatory field `summary` is blank", WISP_E_ABI},
    {"kind", "no plugin kind \"wisp.teapot/0\"", WISP_E_ABI},
    {"name", "name must be made of a-z, 0-9 and _", WISP_E_ABI},
    {"descriptor_size", "a descriptor is missing or too short", WISP_E_ABI},
    {"no_vtable", "it has no vtable", WISP_E_ABI},
    {"vtable_size", "the struct_size of its vtable is 0", WISP_E_ABI},
    {"no_step", "its vtable lacks the mandatory step", WISP_E_ABI},
    {"no_destroy", "create without destroy", WISP_E_ABI},
    {"default", "200", WISP_E_ABI},
    {"no_help", "bad_no_help.k: the plugin's option table gives it no help line", WISP_E_ABI},
    {"overlap", "the options \"first\" and \"second\" overlap", WISP_E_ABI},
    {"offset", "an option lies outside of its config struct of 12 bytes", WISP_E_ABI},
    {"init", "this processor has no quantum unit", WISP_E_UNSUPPORTED},
};

START_TEST(bad_files_are_refused_in_plain_words)
{
    const struct refusal *r = &refusals[_i];
    char path[512];
    wisp_error err = {0};
    const wispi_plugin *plugin = (const void *)&err;
    snprintf(path, sizeof path, "%s/wisp-method-bad_%s.so", BAD, r->name);
    wisp_status status = wispi_registry_load_file(registry, path, NULL, &plugin, &err);
    ck_assert_msg(status == r->status, "%s: %s", r->name, wisp_status_name(status));
    ck_assert_int_eq(err.code, status);
    ck_assert_ptr_eq(plugin, &err);
    expect(r->name, err.message, r->message);
    if (strcmp(r->name, "init") == 0) {
        ck_assert_str_eq(err.plugin, "method/bad_init");
        ck_assert_str_eq(err.function, "init");
    } else {
        expect("the file's name", err.message, path);
    }
    /* One bad plugin does not harm others. */
    ck_assert_int_eq(wispi_registry_load(registry, "method", "good_instance", &plugin, &err),
                     WISP_OK);
}
END_TEST

START_TEST(a_pipe_or_folder_is_no_plugin)
{
    char folder[] = "/tmp/wisp-loader-XXXXXX", pipe_path[64];
    const wispi_plugin *plugin = NULL;
    wisp_error err = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe.so", folder);
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    ck_assert_int_eq(wispi_registry_load_file(registry, pipe_path, NULL, &plugin, &err),
                     WISP_E_ABI);
    ck_assert_int_eq(wispi_registry_load_file(registry, folder, NULL, &plugin, &err), WISP_E_ABI);
    unlink(pipe_path);
    rmdir(folder);
}
END_TEST

START_TEST(what_is_loaded_is_described)
{
    const wispi_plugin *plugin = NULL, *again = NULL;
    wisp_error err = {0};
    uint64_t hash = 0;
    ck_assert_int_eq(wispi_registry_load(registry, "method", "good_options", &plugin, &err),
                     WISP_OK);
    ck_assert_str_eq(plugin->kind, "method");
    ck_assert_str_eq(plugin->title, "method/good_options");
    ck_assert_str_eq(plugin->path, BAD "/wisp-method-good_options.so");
    ck_assert_ptr_null(plugin->next);
    ck_assert_uint_eq(plugin->abi_major, WISP_ABI_MAJOR);
    ck_assert_uint_eq(plugin->abi_minor, WISP_ABI_MINOR);
    ck_assert_int_eq(wispi_file_hash(plugin->path, &hash, &err), WISP_OK);
    ck_assert_uint_eq(plugin->file_hash, hash);
    ck_assert_int_eq(wispi_registry_load(registry, "method", "good_options", &again, &err),
                     WISP_OK);
    ck_assert_ptr_eq(plugin, again);
    ck_assert_int_eq(wispi_registry_load_file(registry, plugin->path, "sampler", &again, &err),
                     WISP_E_CONFIG);
    expect("other kind", err.message, "holds method/good_options, but a sampler is needed");
}
END_TEST

START_TEST(libraries_begin_once_and_end_in_reverse)
{
    const wispi_plugin *plugin = NULL;
    wisp_error err = {0};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(wispi_registry_load(registry, "method", "good_options", &plugin, &err),
                         WISP_OK);
        ck_assert_int_eq(wispi_registry_load(registry, "method", "good_instance", &plugin, &err),
                         WISP_OK);
    }
    wispi_registry_destroy(registry);
    registry = NULL;
    ck_assert_str_eq(logged.data, "2 method/good_options: init options\n"
                                  "2 method/good_instance: init instance\n"
                                  "2 method/good_instance: fini instance\n"
                                  "2 method/good_options: fini options\n");
}
END_TEST

static int is_loaded(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, BAD "/wisp-method-%s.so", name);
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (library)
        dlclose(library); /* one more reference was taken */
    return library != NULL;
}

/* ABI-14: what was let in stays, even behind the registry's end; what was refused goes. */
START_TEST(only_a_refused_library_is_closed)
{
    const wispi_plugin *plugin = NULL;
    wisp_error err = {0};
    ck_assert(!is_loaded("good_options") && !is_loaded("bad_magic"));
    ck_assert_int_eq(wispi_registry_load(registry, "method", "good_options", &plugin, &err),
                     WISP_OK);
    ck_assert_int_eq(wispi_registry_load(registry, "method", "bad_magic", &plugin, &err),
                     WISP_E_ABI);
    ck_assert(is_loaded("good_options") && !is_loaded("bad_magic"));
    wispi_registry_destroy(registry);
    registry = NULL;
    ck_assert(is_loaded("good_options"));
}
END_TEST

START_TEST(a_file_may_hold_several_plugins)
{
    const wispi_plugin *first = NULL, *second = NULL, *found = NULL;
    const char *path = BAD "/wisp-method-good_pair.so";
    wisp_error err = {0};
    ck_assert_int_eq(wispi_registry_load_file(registry, path, NULL, &first, &err), WISP_OK);
    ck_assert_str_eq(first->title, "method/good_pair");
    ck_assert_int_eq(wispi_registry_load_file(registry, path, "sampler", &second, &err), WISP_OK);
    ck_assert_str_eq(second->title, "sampler/good_second");
    ck_assert_ptr_eq(first->next, second);
    ck_assert_ptr_null(second->next);
    /* Once its file is loaded, a plugin is known by name. */
    ck_assert_int_eq(wispi_registry_load(registry, "sampler", "good_second", &found, &err),
                     WISP_OK);
    ck_assert_ptr_eq(found, second);
}
END_TEST

/* --- finding --- */

static void copy_plugin(const char *name, const char *folder, char *to, size_t bytes)
{
    char from[512];
    uint8_t *data = NULL;
    size_t n = 0;
    snprintf(from, sizeof from, "%s/wisp-method-%s.so", BAD, name);
    snprintf(to, bytes, "%s/wisp-method-%s.so", folder, name);
    ck_assert_int_eq(wispi_file_read(from, 1 << 26, &data, &n, NULL), WISP_OK);
    ck_assert_int_eq(wispi_file_replace(to, data, n, NULL), WISP_OK);
    wispi_free(data);
}

typedef struct seen {
    wispi_text lines;
    int32_t n_good, n_bad;
} seen;

static void see(void *user, const wispi_listed *listed)
{
    seen *s = user;
    wispi_text_printf(&s->lines, "%s/%s %s%s\n", listed->kind, listed->name,
                      listed->shadowed ? "shadowed " : "",
                      listed->error[0] ? listed->error : listed->summary);
    if (listed->error[0])
        s->n_bad++;
    else
        s->n_good++;
}

START_TEST(the_first_folder_wins_and_shadows_are_told)
{
    char folder[] = "/tmp/wisp-loader-XXXXXX", copy[128];
    const wispi_plugin *plugin = NULL;
    wisp_error err = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    copy_plugin("good_instance", folder, copy, sizeof copy);
    wispi_registry *both = open_registry(folder, BAD);
    wispi_log_set_level(WISP_LOG_DEBUG);
    ck_assert_int_eq(wispi_registry_load(both, "method", "good_instance", &plugin, &err), WISP_OK);
    wispi_log_set_level(WISP_LOG_INFO);
    ck_assert_str_eq(plugin->path, copy);
    char told[600];
    snprintf(told, sizeof told, "%s/wisp-method-good_instance.so is shadowed by %s", BAD, copy);
    expect("log", logged.data, told);
    wispi_registry_destroy(both);

    seen s = {0};
    wispi_registry *twice = open_registry(folder, folder);
    ck_assert_int_eq(wispi_registry_scan(twice, "method", see, &s, &err), WISP_OK);
    ck_assert_int_eq(s.n_good, 1); /* one folder under two names is one folder */
    wispi_text_free(&s.lines);
    wispi_registry_destroy(twice);
    unlink(copy);
    rmdir(folder);
}
END_TEST

START_TEST(one_file_under_two_names_is_loaded_once)
{
    char folder[] = "/tmp/wisp-loader-XXXXXX", copy[128], other[128];
    const wispi_plugin *a = NULL, *b = NULL;
    wisp_error err = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    copy_plugin("good_instance", folder, copy, sizeof copy);
    snprintf(other, sizeof other, "%s/wisp-method-alias.so", folder);
    ck_assert_int_eq(symlink(copy, other), 0);
    ck_assert_int_eq(wispi_registry_load_file(registry, copy, NULL, &a, &err), WISP_OK);
    ck_assert_int_eq(wispi_registry_load_file(registry, other, NULL, &b, &err), WISP_OK);
    ck_assert_ptr_eq(a, b);
    ck_assert_str_eq(logged.data, "2 method/good_instance: init instance\n");
    unlink(other);
    unlink(copy);
    rmdir(folder);
}
END_TEST

START_TEST(a_bare_file_name_is_taken_from_here)
{
    const wispi_plugin *plugin = NULL;
    wisp_error err = {0};
    char here[1024];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(chdir(BAD), 0);
    wisp_status status =
        wispi_registry_load_file(registry, "wisp-method-good_instance.so", NULL, &plugin, &err);
    ck_assert_int_eq(chdir(here), 0);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
}
END_TEST

START_TEST(an_unknown_name_brings_folders_and_the_nearest)
{
    const wispi_plugin *plugin = (const void *)&registry;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_registry_load(registry, "method", "good_option", &plugin, &err),
                     WISP_E_NOT_FOUND);
    ck_assert_ptr_eq(plugin, &registry);
    expect("folders", err.message, BAD);
    expect("nearest", err.message, "nearest known name: good_options");
    ck_assert_int_eq(wispi_registry_load(registry, "methd", "x", &plugin, &err), WISP_E_INVALID);
    expect("kind", err.message, "nearest known one is \"method\"");
    ck_assert_int_eq(wispi_registry_load(registry, "method", "bad_promise", &plugin, &err),
                     WISP_E_ABI);
    expect("promise", err.message, "holds method/kept, not method/bad_promise");
}
END_TEST

/* With elevated privileges the variable is not read at all: test cli.trust. */
START_TEST(the_environment_adds_folders_unless_it_is_ignored)
{
    const wispi_registry_options ignoring = {NULL, 1, 0};
    const wispi_plugin *plugin = NULL;
    wispi_registry *r = NULL;
    wisp_error err = {0};
    setenv("WISP_PLUGIN_PATH", "/nowhere::" BAD, 1);
    ck_assert_int_eq(wispi_registry_create(NULL, wispi_host_table(), &r, &err), WISP_OK);
    ck_assert_int_eq(wispi_registry_load(r, "method", "good_options", &plugin, &err), WISP_OK);
    wispi_registry_destroy(r);
    ck_assert_int_eq(wispi_registry_create(&ignoring, wispi_host_table(), &r, &err), WISP_OK);
    ck_assert_int_eq(wispi_registry_load(r, "method", "good_options", &plugin, &err),
                     WISP_E_NOT_FOUND);
    wispi_registry_destroy(r);
    unsetenv("WISP_PLUGIN_PATH");
}
END_TEST

START_TEST(only_plugin_files_have_plugin_names)
{
    char kind[32], name[128];
    ck_assert_int_eq(wispi_plugin_file_name("wisp-method-dino.so", kind, name), 1);
    ck_assert_str_eq(kind, "method");
    ck_assert_str_eq(name, "dino");
    static const char *const others[] = {"",
                                         "wisp-",
                                         "wisp-.so",
                                         "libwisp.so",
                                         "wisp-method.so",
                                         "wisp-method-dino.so.1",
                                         "wisp-method-dino.o",
                                         "wisp-an_absurdly_long_kind_of_plugin_name-x.so"};
    for (size_t i = 0; i < WISP_COUNT(others); i++)
        ck_assert_msg(!wispi_plugin_file_name(others[i], kind, name), "%s", others[i]);
}
END_TEST

/* --- listing --- */

static int32_t count_files(void)
{
    char kind[32], name[128];
    int32_t n = 0;
    DIR *folder = opendir(BAD);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        n += wispi_plugin_file_name(entry->d_name, kind, name);
    closedir(folder);
    return n;
}

START_TEST(a_scan_survives_and_names_every_file)
{
    seen s = {0};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_registry_scan(registry, NULL, see, &s, &err), WISP_OK);
    ck_assert_int_eq(s.n_good + s.n_bad, count_files());
    static const char *const lines[] = {
        "method/good_options a plugin for tests\n",
        "method/good_instance a plugin for tests\n",
        "method/bad_create a plugin for tests\n", /* listing creates nothing */
        "wisp-method-bad_entry_crash.so: crashed while it was loaded (Segmentation fault)",
        "wisp-method-bad_entry_exit.so: ended the process while it was loaded (exit status",
        "wisp-method-bad_entry_loop.so: did not load within 5 seconds",
        "wisp-method-bad_promise.so: holds method/kept, not method/bad_promise",
    };
    for (size_t i = 0; i < WISP_COUNT(lines); i++)
        expect("scan", s.lines.data, lines[i]);
    for (size_t i = 0; i < WISP_COUNT(refusals); i++) {
        char title[64];
        snprintf(title, sizeof title, "method/bad_%s ", refusals[i].name);
        if (strcmp(refusals[i].name, "not_there") != 0)
            expect("scan", s.lines.data, title);
        if (refusals[i].status == WISP_E_ABI)
            expect("scan", s.lines.data, refusals[i].message);
    }
    wispi_text_free(&s.lines);
    ck_assert_ptr_null(logged.data); /* init is not called in this process */
}
END_TEST

START_TEST(a_scan_of_an_unknown_kind_is_refused)
{
    seen s = {0};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_registry_scan(registry, "backbon", see, &s, &err), WISP_E_INVALID);
    expect("kind", err.message, "nearest known one is \"backbone\"");
    ck_assert_int_eq(s.n_good + s.n_bad, 0);
    ck_assert_int_eq(wispi_registry_scan(registry, "backbone", see, &s, &err), WISP_OK);
    expect("backbones", s.lines.data, "backbone/");
    ck_assert_ptr_null(strstr(s.lines.data, "method/"));
    wispi_text_free(&s.lines);
}
END_TEST

/* --- instances --- */

static wisp_status create(const char *toml, wispi_config **config, wispi_instance *instance,
                          wisp_error *err)
{
    memset(err, 0, sizeof *err);
    ck_assert_int_eq(wispi_config_parse_text("exp.toml", toml, NULL, 0, config, err), WISP_OK);
    return wispi_instance_create(registry, "method",
                                 wispi_node_find(wispi_config_root(*config), "method"), "method",
                                 wispi_config_arena(*config), instance, err);
}

static const struct failure {
    const char *toml, *place, *message, *function;
    wisp_status status;
} failures[] = {
    {"[method]\nuse = \"good_optoins\"\n", "exp.toml:2:7:", "nearest known name: good_options", "",
     WISP_E_NOT_FOUND},
    {"[method]\nuse = \"bad_abi_major\"\n", "exp.toml:2:7:", "built for plugin ABI 1.1", "",
     WISP_E_ABI},
    {"[method]\nuse = \"./no/such/file.so\"\n", "exp.toml:2:7:", "No such file", "",
     WISP_E_NOT_FOUND},
    {"[method]\ncount = 1\n", "exp.toml:1:", "use", "", WISP_E_CONFIG},
    {"[method]\nuse = \"bad_requires\"\n", "exp.toml:2:7:",
     "method/bad_requires requires the extension \"wisp.crystal_ball/7\"", "", WISP_E_ABI},
    {"a = 1\n[method]\nuse = \"bad_create\"\n",
     "exp.toml:2:1:", "the moon is not full: wait for it", "create", WISP_E_UNSUPPORTED},
    {"[method]\nuse = \"bad_create_silent\"\n",
     "exp.toml:1:1:", "input/output error (the plugin gave no message)", "create", WISP_E_IO},
    {"[method]\nuse = \"bad_check\"\n", "exp.toml:1:1:", "low must be below high", "check",
     WISP_E_CONFIG},
    {"[method]\nuse = \"bad_init\"\n", "exp.toml:2:7:", "no quantum unit", "init",
     WISP_E_UNSUPPORTED},
    {"[method]\nuse = \"good_options\"\n", "exp.toml:1:", "count", "", WISP_E_CONFIG},
    {"[method]\nuse = \"good_options\"\ncont = 5\n", "exp.toml:3:1:", "count", "", WISP_E_CONFIG},
    {"[method]\nuse = \"good_options\"\ncount = 1.0\n", "exp.toml:3:9:", "integer", "",
     WISP_E_CONFIG},
    {"[method]\nuse = \"good_options\"\ncount = 101\n", "exp.toml:3:9:", "100", "", WISP_E_CONFIG},
    {"[method]\nuse = \"good_options\"\ncount = 1\ncolour = \"gren\"\n", "exp.toml:4:10:", "red",
     "", WISP_E_CONFIG},
    {"[method]\nuse = \"good_options\"\ncount = 1\ninner.low = 1.0\n",
     "exp.toml:4:13:", "out of range", "", WISP_E_CONFIG},
    {"[method]\nuse = \"good_options\"\ncount = 1\ninner.low = 0.8\n",
     "exp.toml:1:1:", "inner.low = 0.8 is not below inner.high = 0.75", "check", WISP_E_CONFIG},
};

START_TEST(a_failing_instance_tells_place_plugin_and_function)
{
    const struct failure *f = &failures[_i];
    wispi_config *config = NULL;
    wispi_instance instance, untouched;
    wisp_error err;
    memset(&instance, 0x5a, sizeof instance);
    memcpy(&untouched, &instance, sizeof instance);
    wisp_status status = create(f->toml, &config, &instance, &err);
    ck_assert_msg(status == f->status, "%s: %s: %s", f->toml, wisp_status_name(status),
                  err.message);
    ck_assert_int_eq(err.code, status);
    ck_assert_msg(strncmp(err.message, f->place, strlen(f->place)) == 0, "%s", err.message);
    expect(f->toml, err.message, f->message);
    ck_assert_str_eq(err.function, f->function);
    ck_assert_int_eq(err.plugin[0] != '\0', f->function[0] != '\0');
    ck_assert_int_eq(memcmp(&instance, &untouched, sizeof instance), 0);
    wispi_config_destroy(config);
}
END_TEST

static const char full_table[] = "[method]\n"
                                 "use = \"good_options\"\n"
                                 "on = false\n"
                                 "count = 7\n"
                                 "rate = 2\n"
                                 "word = \"caf\\u00e9 \\\"x\\\"\"\n"
                                 "place = \"data/a b\"\n"
                                 "colour = \"blue\"\n"
                                 "inner = { low = 0.1, top = 0.3 }\n"
                                 "sizes = [9, 8, 7]\n"
                                 "weights = [0.1, 1]\n"
                                 "words = []\n";

static void check_full(const good_options *o)
{
    ck_assert_int_eq(o->on, 0);
    ck_assert_int_eq(o->count, 7);
    ck_assert_double_eq(o->rate, 2.0);
    ck_assert_str_eq(o->word, "caf\xc3\xa9 \"x\"");
    ck_assert_str_eq(o->place, "data/a b");
    ck_assert_int_eq(o->colour, COLOUR_BLUE);
    ck_assert_double_eq(o->inner.low, 0.1);
    ck_assert_double_eq(o->inner.high, 0.3);
    ck_assert_int_eq(o->sizes.count, 3);
    ck_assert_int_eq(((const int64_t *)o->sizes.items)[2], 7);
    ck_assert_int_eq(o->weights.count, 2);
    ck_assert_double_eq(((const double *)o->weights.items)[0], 0.1);
    ck_assert_int_eq(o->words.count, 0);
}

START_TEST(a_table_fills_the_config_struct)
{
    wispi_config *config = NULL;
    wispi_instance instance = {0};
    wisp_error err;
    wisp_status status = create(full_table, &config, &instance, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    ck_assert_ptr_eq(instance.self, instance.config); /* no create: the config is the instance */
    ck_assert_str_eq(instance.table_path, "method");
    check_full(instance.config);
    expect("former name", logged.data, "inner.top is now called high");

    wispi_text resolved = {0};
    const wisp_descriptor *d = instance.plugin->descriptor;
    wispi_resolved_table(&resolved, "method", d->name, d->options, d->n_options, d->option_size,
                         instance.config);
    wispi_instance_destroy(&instance);
    wispi_config_destroy(config);
    status = create(resolved.data, &config, &instance, &err);
    ck_assert_msg(status == WISP_OK, "%s\n%s", err.message, resolved.data);
    check_full(instance.config);
    wispi_instance_destroy(&instance);
    wispi_config_destroy(config);
    wispi_text_free(&resolved);
}
END_TEST

START_TEST(what_a_table_leaves_out_has_its_default)
{
    wispi_config *config = NULL;
    wispi_instance instance = {0};
    wisp_error err;
    wisp_status status =
        create("[method]\nuse = \"good_options\"\ncount = 1\n", &config, &instance, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    const good_options *o = instance.config;
    ck_assert_int_eq(o->on, 1);
    ck_assert_double_eq(o->rate, 0.5);
    ck_assert_str_eq(o->word, "none");
    ck_assert_ptr_null(o->place);
    ck_assert_int_eq(o->colour, COLOUR_RED);
    ck_assert_double_eq(o->inner.high, 0.75);
    ck_assert_int_eq(o->sizes.count, 2);
    ck_assert_str_eq(((const char *const *)o->words.items)[0], "a");
    wispi_instance_destroy(&instance);
    wispi_config_destroy(config);
}
END_TEST

START_TEST(a_plugin_may_be_named_by_its_file)
{
    wispi_config *config = NULL;
    wispi_instance instance = {0}, second = {0};
    wisp_error err;
    wisp_status status = create("[method]\nuse = \"" BAD "/wisp-method-good_instance.so\"\n",
                                &config, &instance, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    expect("log", logged.data, "0 plugin method/good_instance misbehaves: created");
    ck_assert_int_eq(wispi_instance_again(registry, &instance, &second, &err), WISP_OK);
    ck_assert_ptr_ne(instance.self, second.self);
    ck_assert_ptr_eq(instance.config, second.config);
    wispi_instance_destroy(&second);
    wispi_instance_destroy(&second); /* a zeroed one is accepted */
    wispi_instance_destroy(&instance);
    wispi_config_destroy(config);
}
END_TEST

/* Each allocation on the way fails once; what was there stays, and nothing leaks. */
START_TEST(lack_of_memory_is_an_error_each_time)
{
    static const char *const tables[] = {full_table, "[method]\nuse = \"good_instance\"\n"};
    for (size_t t = 0; t < WISP_COUNT(tables); t++) {
        wispi_config *config = NULL;
        wisp_error err = {0};
        int32_t n_failed = 0;
        for (int64_t nth = 1;; nth++) {
            wispi_registry_destroy(registry);
            registry = NULL;
            wispi_text_free(&logged);
            int64_t blocks = wispi_live_blocks();
            wispi_instance instance = {0};
            registry = open_registry(BAD, NULL);
            ck_assert_int_eq(wispi_config_parse_text("exp.toml", tables[t], NULL, 0, &config, &err),
                             WISP_OK);
            const wispi_node *table = wispi_node_find(wispi_config_root(config), "method");
            wispi_log_set_sink(NULL, NULL);
            wispi_log_set_level(WISP_LOG_ERROR - 1);
            wispi_fail_allocation(nth);
            wisp_status status = wispi_instance_create(registry, "method", table, "method",
                                                       wispi_config_arena(config), &instance, &err);
            wispi_fail_allocation(-1);
            wispi_log_set_level(WISP_LOG_INFO);
            wispi_log_set_sink(keep_line, NULL);
            ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "allocation %d: %s",
                          (int)nth, err.message);
            n_failed += status == WISP_E_NOMEM;
            wispi_instance_destroy(&instance);
            wispi_config_destroy(config);
            wispi_registry_destroy(registry);
            registry = NULL;
            wispi_text_free(&logged);
            ck_assert_int_eq(wispi_live_blocks(), blocks);
            registry = open_registry(BAD, NULL);
            if (status == WISP_OK)
                break;
        }
        ck_assert_int_ge(n_failed, 3);
    }
}
END_TEST

/* --- static plugins and extensions --- */

static const wisp_bundle *bundle_of(const char *name)
{
    char path[512];
    wisp_plugin_entry_fn entry;
    snprintf(path, sizeof path, "%s/wisp-method-%s.so", BAD, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    void *symbol = dlsym(library, WISP_ENTRY_SYMBOL);
    memcpy(&entry, &symbol, sizeof entry);
    return entry();
}

START_TEST(a_linked_in_bundle_is_judged_and_found_too)
{
    const wispi_plugin *plugin = NULL;
    wisp_error err = {0};
    wispi_registry *r = open_registry(NULL, NULL);
    ck_assert_int_eq(wispi_registry_add_static(r, bundle_of("bad_magic"), &err), WISP_E_ABI);
    ck_assert_int_eq(wispi_registry_add_static(r, bundle_of("good_options"), &err), WISP_OK);
    ck_assert_int_eq(wispi_registry_load(r, "method", "good_options", &plugin, &err), WISP_OK);
    ck_assert_str_eq(plugin->path, "");
    wispi_registry_destroy(r);
}
END_TEST

/* What is refused and needs no file: a good bundle with one thing changed. */
typedef struct odd {
    const char *words;
    wisp_descriptor descriptor;
    wisp_method_v0 method;
    wisp_comm_v0 comm;
} odd;

static wisp_status some_phase(void *self, int32_t index, wisp_error *err)
{
    (void)self, (void)index, (void)err;
    return WISP_OK;
}

static void a_phase_for_a_step(odd *o)
{
    o->words = "lacks the mandatory step";
    o->method.step = NULL;
    o->method.phase = some_phase;
}

static void a_state_that_nobody_saves(odd *o)
{
    o->words = "WISP_FLAG_STATEFUL";
    o->descriptor.flags |= WISP_FLAG_STATEFUL;
}

static void memory_of_no_kind(odd *o)
{
    /* Functions that are there and never called. */
    uintptr_t somewhere = (uintptr_t)some_phase;
    for (size_t at = offsetof(wisp_comm_v0, open); at < sizeof o->comm; at += sizeof somewhere)
        memcpy((char *)&o->comm + at, &somewhere, sizeof somewhere);
    o->words = "lacks the mandatory memory_kind";
    o->comm.struct_size = sizeof o->comm;
    o->comm.memory_kind = NULL;
    o->descriptor.kind = WISP_KIND_COMM;
    o->descriptor.vtable = &o->comm;
}

static const char name_of_48[] = "a23456789012345678901234567890123456789012345678";
static const char name_of_49[] = "a234567890123456789012345678901234567890123456789";

static void a_name_of_48(odd *o)
{
    o->words = NULL; /* is taken */
    o->descriptor.name = name_of_48;
}

static void a_name_of_49(odd *o)
{
    o->words = "at most 48";
    o->descriptor.name = name_of_49;
}

static void (*const oddities[])(odd *) = {a_phase_for_a_step, a_state_that_nobody_saves,
                                          memory_of_no_kind, a_name_of_48, a_name_of_49};

START_TEST(what_the_host_could_not_serve_is_refused)
{
    const wisp_bundle *good = bundle_of("good_instance");
    odd o = {.descriptor = *good->descriptors[0]};
    o.method = *(const wisp_method_v0 *)o.descriptor.vtable;
    o.descriptor.vtable = &o.method;
    const wisp_descriptor *const list[] = {&o.descriptor};
    wisp_bundle bundle = *good;
    wisp_error err = {0};
    bundle.descriptors = list;
    bundle.n_descriptors = 1;
    oddities[_i](&o);
    const wisp_status status = wispi_gate_judge("odd.so", &bundle, &err);
    ck_assert_msg(status == (o.words ? WISP_E_ABI : WISP_OK), "%s", err.message);
    if (o.words)
        expect("the gate", err.message, o.words);
}
END_TEST

START_TEST(extensions_are_found_by_id)
{
    static const int table = 1, newer = 2;
    const wisp_host *host = wispi_host_table();
    wisp_error err = {0};
    ck_assert_ptr_null(host->get_extension(host, "wisp.test/0"));
    ck_assert_ptr_null(host->get_extension(host, NULL));
    ck_assert_int_eq(wispi_provide_extension("wisp.test/0", &table, &err), WISP_OK);
    ck_assert_ptr_eq(host->get_extension(host, "wisp.test/0"), &table);
    ck_assert_ptr_null(host->get_extension(host, "wisp.test/0x"));
    ck_assert_ptr_null(host->get_extension(host, "wisp.test/"));
    ck_assert_int_eq(wispi_provide_extension("wisp.test/0", &newer, &err), WISP_OK);
    ck_assert_ptr_eq(host->get_extension(host, "wisp.test/0"), &newer);
}
END_TEST

/* --- containment --- */

/* Runs `body` in a child with the fault handler; returns what it wrote to standard error. */
static void watch_child(void (*body)(void), char *said, size_t bytes, int *status)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        wispi_install_fault_handler();
        body();
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; used + 1 < bytes && (n = read(ends[0], said + used, bytes - 1 - used)) > 0;)
        used += (size_t)n;
    said[used] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, status, 0), pid);
}

static void crash_while_loading(void)
{
    const wispi_plugin *plugin = NULL;
    wispi_registry_load(registry, "method", "bad_entry_crash", &plugin, NULL);
}

static void crash_in_create(void)
{
    wispi_config *config = NULL;
    wispi_instance instance = {0};
    wisp_error err;
    create("[method]\nuse = \"bad_create_crash\"\n", &config, &instance, &err);
}

static void crash_in_host(void)
{
    raise(SIGSEGV);
}

START_TEST(a_crash_names_the_culprit_and_stays_a_crash)
{
    char said[2000];
    int status = 0;
    watch_child(crash_while_loading, said, sizeof said, &status);
    expect("loading", said, "inside plugin " BAD "/wisp-method-bad_entry_crash.so");
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    watch_child(crash_in_create, said, sizeof said, &status);
    expect("create", said, "inside plugin method/bad_create_crash, function create");
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    watch_child(crash_in_host, said, sizeof said, &status);
    expect("host", said, "in the host, outside any plugin");
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}
END_TEST

START_TEST(marks_nest)
{
    const wisp_descriptor d = {.name = "a"};
    const wispi_plugin outer = {.descriptor = &d, .kind = "method", .title = "method/a"};
    const wispi_plugin inner = {.descriptor = &d, .kind = "task", .title = "task/a"};
    const wispi_mark before = wispi_mark_enter(&outer, "step");
    int seen_inside = 0;
    WISPI_VISIT(&inner, "evaluate",
                seen_inside = strcmp(wispi_mark_current().plugin, "task/a") == 0);
    ck_assert_str_eq(wispi_mark_current().plugin, "method/a");
    ck_assert_str_eq(wispi_mark_current().function, "step");
    wispi_mark_leave(before);
    ck_assert_int_eq(seen_inside, 1);
    ck_assert_ptr_null(wispi_mark_current().plugin);
}
END_TEST

/* --- floating point (ABI-16) --- */

static int denormals_live(void)
{
    volatile float small = FLT_MIN;
    volatile float half = small / 2;
    return half > 0;
}

START_TEST(opening_plugins_leaves_floating_point_alone)
{
    const char *folder = WISP_BUILD_DIR "/plugins";
    char kind[32], name[128], path[1024];
    int32_t n = 0;
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    for (struct dirent *entry; (entry = readdir(entries));) {
        fenv_t before, after;
        if (!wispi_plugin_file_name(entry->d_name, kind, name))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        memset(&before, 0, sizeof before);
        memset(&after, 0, sizeof after);
        ck_assert_int_eq(fegetenv(&before), 0);
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        ck_assert_msg(library != NULL, "%s", dlerror());
        ck_assert_int_eq(fegetenv(&after), 0);
#if defined(__x86_64__)
        /* Rounding, masks, flush to zero, denormals are zero; not the sticky flags. */
        ck_assert_msg((before.__mxcsr & 0xffc0u) == (after.__mxcsr & 0xffc0u), "%s", path);
#endif
        ck_assert_msg(denormals_live(), "%s", path);
        n++;
    }
    closedir(entries);
    ck_assert_int_ge(n, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader");
    TCase *cases = tcase_create("loader");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_loop_test(cases, bad_files_are_refused_in_plain_words, 0, WISP_COUNT(refusals));
    tcase_add_test(cases, a_pipe_or_folder_is_no_plugin);
    tcase_add_test(cases, what_is_loaded_is_described);
    tcase_add_test(cases, libraries_begin_once_and_end_in_reverse);
    tcase_add_test(cases, only_a_refused_library_is_closed);
    tcase_add_test(cases, a_file_may_hold_several_plugins);
    tcase_add_test(cases, the_first_folder_wins_and_shadows_are_told);
    tcase_add_test(cases, one_file_under_two_names_is_loaded_once);
    tcase_add_test(cases, a_bare_file_name_is_taken_from_here);
    tcase_add_test(cases, an_unknown_name_brings_folders_and_the_nearest);
    tcase_add_test(cases, the_environment_adds_folders_unless_it_is_ignored);
    tcase_add_test(cases, only_plugin_files_have_plugin_names);
    tcase_add_test(cases, a_scan_survives_and_names_every_file);
    tcase_add_test(cases, a_scan_of_an_unknown_kind_is_refused);
    tcase_add_loop_test(cases, a_failing_instance_tells_place_plugin_and_function, 0,
                        WISP_COUNT(failures));
    tcase_add_test(cases, a_table_fills_the_config_struct);
    tcase_add_test(cases, what_a_table_leaves_out_has_its_default);
    tcase_add_test(cases, a_plugin_may_be_named_by_its_file);
    tcase_add_test(cases, lack_of_memory_is_an_error_each_time);
    tcase_add_test(cases, a_linked_in_bundle_is_judged_and_found_too);
    tcase_add_loop_test(cases, what_the_host_could_not_serve_is_refused, 0, WISP_COUNT(oddities));
    tcase_add_test(cases, extensions_are_found_by_id);
    tcase_add_test(cases, a_crash_names_the_culprit_and_stays_a_crash);
    tcase_add_test(cases, marks_nest);
    tcase_add_test(cases, opening_plugins_leaves_floating_point_alone);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
