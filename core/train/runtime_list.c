/* runtime_list.c - wisp_runtime_list: the plugins that are found, usable or not. */
#include "train/runtime_handle.h"
#include "train/json_text.h"

typedef struct listing {
    wispi_text text;
    json_t *rows; /* array; NULL for text, or when memory ran out */
    int32_t n;
} listing;

static void add_text(void *user, const wispi_listed *listed)
{
    listing *l = user;
    char title[192];
    snprintf(title, sizeof title, "%s/%s", listed->kind, listed->name);
    l->n++;
    if (listed->error[0])
        /* The first line is enough here; inspect and --json tell the rest. */
        wispi_text_printf(&l->text, "%-26s unusable: %.*s\n", title,
                          (int)strcspn(listed->error, "\n"), listed->error);
    else if (listed->shadowed)
        wispi_text_printf(&l->text, "%-26s %-8s shadowed by the line above: %s\n", title,
                          listed->version, listed->path);
    else
        wispi_text_printf(&l->text, "%-26s %-8s %s\n", title, listed->version, listed->summary);
}

static void add_json(void *user, const wispi_listed *listed)
{
    listing *l = user;
    int bad = listed->error[0] != '\0';
    json_t *row = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "kind", wispi_json_string(listed->kind), "name",
        wispi_json_string(listed->name), "version", wispi_json_string(bad ? NULL : listed->version),
        "summary", wispi_json_string(bad ? NULL : listed->summary), "path",
        wispi_json_string(listed->path), "shadowed", listed->shadowed, "error",
        wispi_json_string(bad ? listed->error : NULL));
    if (l->rows && (!row || json_array_append_new(l->rows, row) != 0)) {
        json_decref(l->rows);
        l->rows = NULL;
    }
}

wisp_status wisp_runtime_list(wisp_runtime *runtime, const char *kind, int32_t format, char **text,
                              wisp_error *err)
{
    listing l = {0};
    int json = format == WISP_FORMAT_JSON;
    l.rows = json ? json_array() : NULL;
    wisp_status status =
        wispi_registry_scan(runtime->registry, kind, json ? add_json : add_text, &l, err);
    if (status != WISP_OK) {
        wispi_text_free(&l.text);
        json_decref(l.rows);
        return status;
    }
    if (json)
        return wispi_json_give(l.rows ? json_pack("{s:o}", "plugins", l.rows) : NULL, text, err);
    if (l.n == 0)
        wispi_text_append(&l.text, "no plugins found: name a folder that holds some with "
                                   "--plugin-path or WISP_PLUGIN_PATH\n");
    return wispi_runtime_give(&l.text, text, err);
}
