/* runtime_inspect.c - wisp_runtime_inspect: everything about a plugin, told by its own descriptor
 * and option table. */
#include "train/runtime_handle.h"

#include "config/option_table.h"
#include "loader/gate.h"
#include "train/inspect_json.h"

/* Is it "kind/name", and not a path? */
static int names_a_plugin(const char *what, char kind[32], const char **name)
{
    size_t n = strspn(what, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (n == 0 || n >= 32 || what[n] != '/' || strchr(what + n + 1, '/') || strstr(what, ".so"))
        return 0;
    snprintf(kind, 32, "%.*s", (int)n, what);
    *name = what + n + 1;
    return 1;
}

static wisp_status find(wisp_runtime *runtime, const char *what, const wispi_plugin **plugin,
                        int *whole_file, wisp_error *err)
{
    char kind[32];
    const char *name;
    *whole_file = !names_a_plugin(what, kind, &name);
    if (!*whole_file)
        return wispi_registry_load(runtime->registry, kind, name, plugin, err);
    if (!strchr(what, '/') && !strstr(what, ".so"))
        return wisp_fail(err, WISP_E_INVALID,
                         "\"%s\" is neither KIND/NAME, such as method/dino, nor a file, such as "
                         "./wisp-method-dino.so",
                         what);
    return wispi_registry_load_file(runtime->registry, what, NULL, plugin, err);
}

/* Breaks `body` into lines of at most 88 columns. */
static void add_paragraph(wispi_text *out, const char *indent, const char *body)
{
    size_t column = 0;
    while (*body) {
        size_t word = strcspn(body, " \n");
        if (word && column && column + 1 + word > 88) {
            wispi_text_append(out, "\n");
            column = 0;
        }
        if (word) {
            wispi_text_append(out, column ? " " : indent);
            wispi_text_append_bytes(out, body, word);
            column += word + 1;
        }
        body += word + (body[word] != '\0');
    }
    wispi_text_append(out, "\n");
}

static void add_facts(wispi_text *out, const wispi_plugin *plugin)
{
    const wisp_descriptor *d = plugin->descriptor;
    wispi_text_printf(out, "%s %s - %s\n\n", plugin->title, d->version, d->summary);
    add_paragraph(out, "", d->doc);
    wispi_text_append(out, "\n");
    if (d->reference)
        wispi_text_printf(out, "reference  %s\n", d->reference);
    wispi_text_printf(out, "license    %s\n", d->license);
    wispi_text_printf(out, "file       %s\n", plugin->path);
    wispi_text_printf(out, "hash       %016llx\n", (unsigned long long)plugin->file_hash);
    wispi_text_printf(out, "ABI        %u.%u, kind %s\n", (unsigned)plugin->abi_major,
                      (unsigned)plugin->abi_minor, d->kind);
    const char *between = "flags      ";
    for (const wispi_flag_name *f = wispi_flag_names; f->name; f++) {
        if (d->flags & f->flag) {
            wispi_text_printf(out, "%s%s", between, f->name);
            between = ", ";
        }
    }
    wispi_text_append(out, between[0] == ',' ? "\n" : "");
    for (const char *const *id = d->requires_ids; id && *id; id++)
        wispi_text_printf(out, "requires   %s\n", *id);
}

static void add_choices(wispi_text *out, const wisp_option *option)
{
    if (option->type != WISP_OPTION_ENUM)
        return;
    for (const wisp_choice *choice = option->choices; choice->name; choice++)
        wispi_text_printf(out, "      %-14s %s\n", choice->name, choice->help ? choice->help : "");
}

static void add_options(wispi_text *out, wispi_option_table table, const char *prefix)
{
    for (uint64_t i = 0; i < table.n; i++) {
        const wisp_option option = wispi_option_at(table, i);
        char path[256], takes[2000];
        if (option.flags & WISP_OPTION_HIDDEN)
            continue;
        snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "." : "", option.key);
        wispi_option_describe(&option, takes, sizeof takes);
        wispi_text_printf(out, "  %-27s %s%s%s\n", path, takes,
                          option.flags & WISP_OPTION_REQUIRED ? "; required" : "",
                          option.flags & WISP_OPTION_DEPRECATED ? "; deprecated" : "");
        wispi_text_printf(out, "      %s\n", option.help);
        if (option.former)
            wispi_text_printf(out, "      formerly called %s\n", option.former);
        add_choices(out, &option);
        if (option.type == WISP_OPTION_TABLE)
            add_options(out, wispi_option_nested(table, &option), path);
    }
}

static void add_plugin(wispi_text *out, const wispi_plugin *plugin)
{
    const wisp_descriptor *d = plugin->descriptor;
    const wispi_option_table table = {d->options, d->n_options, d->option_size};
    add_facts(out, plugin);
    wispi_text_append(out, d->n_options ? "\noptions\n" : "\nno options\n");
    add_options(out, table, "");
}

wisp_status wisp_runtime_inspect(wisp_runtime *runtime, const char *what, int32_t format,
                                 char **text, wisp_error *err)
{
    const wispi_plugin *plugin = NULL;
    int whole_file;
    wispi_text out = {0};
    WISP_TRY(find(runtime, what, &plugin, &whole_file, err));
    if (format == WISP_FORMAT_JSON)
        return wispi_inspect_json(plugin, whole_file, text, err);
    for (const wispi_plugin *p = plugin; p; p = whole_file ? p->next : NULL) {
        if (p != plugin)
            wispi_text_append(&out, "\n");
        add_plugin(&out, p);
    }
    return wispi_runtime_give(&out, text, err);
}
