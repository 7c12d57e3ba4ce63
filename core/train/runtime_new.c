/* runtime_new.c - wisp_runtime_new: the folder of a new plugin, and what to do in it. */
#include "base/memory.h"
#include "train/json_text.h"
#include "train/plugin_template.h"
#include "train/runtime_handle.h"

static void say(const wispi_new_plugin *plugin, const char *folder, wispi_text *out)
{
    wispi_text_printf(out, "%s holds a %s that builds and runs as it stands:\n\n", folder,
                      plugin->kind);
    wispi_text_printf(out, "  cd %s\n  make\n", folder);
    wispi_text_append(out, "  wisp run smoke.toml --plugin-path .\n\n");
    wispi_text_printf(out, "%s.c is where your idea goes, README.md says how to go on.\n",
                      plugin->name);
}

static json_t *files_of(const wispi_new_plugin *plugin)
{
    char name[100];
    json_t *files = json_array();
    for (const wispi_template_file *f = wispi_template_files; f->kind; f++) {
        if (wispi_template_applies(f, plugin, name, sizeof name) &&
            json_array_append_new(files, json_string(name)) != 0) {
            json_decref(files);
            return NULL;
        }
    }
    return files;
}

static wisp_status describe(const wispi_new_plugin *plugin, const char *folder, int32_t format,
                            char **text, wisp_error *err)
{
    wispi_text out = {0};
    if (format == WISP_FORMAT_JSON)
        return wispi_json_give(json_pack("{s:o, s:s, s:s, s:o}", "folder",
                                         wispi_json_string(folder), "kind", plugin->kind, "name",
                                         plugin->name, "files", files_of(plugin)),
                               text, err);
    say(plugin, folder, &out);
    return wispi_runtime_give(&out, text, err);
}

/* The text comes first: once the folder is there, nothing can fail any more. */
wisp_status wisp_runtime_new(wisp_runtime *runtime, const char *kind, const char *name,
                             const char *folder, int32_t format, char **text, wisp_error *err)
{
    const wispi_new_plugin plugin = {kind, name, folder};
    char *made = NULL;
    (void)runtime;
    WISP_TRY(wispi_new_plugin_check(&plugin, err));
    WISP_TRY(describe(&plugin, folder ? folder : name, format, &made, err));
    wisp_status status = wispi_new_plugin_write(&plugin, err);
    if (status == WISP_OK)
        *text = made;
    else
        wispi_free(made);
    return status;
}
