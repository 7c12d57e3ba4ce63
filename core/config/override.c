/* override.c - parses and applies one `key=value`. */
#include "config/override.h"

#include <string.h>

#include "base/text.h"
#include "config/toml_parse.h"

static const char *const SYNTAX = "write it as key=value, for example method.out_dim=4096";

struct override {
    const wispi_source *source;
    const char *value; /* in the source, behind the '=' */
    const char *word;  /* the value without leading spaces */
    wispi_arena *arena;
    wisp_error *err;
};

static wispi_place place_of(const struct override *o, const char *p)
{
    wispi_place place = {o->source, 1, (int32_t)(p - o->source->text) + 1};
    return place;
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_key_byte(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Names of plugins and files need no quotes; what could be a number or a boolean is TOML. */
static int is_bare_word(const char *text)
{
    static const char *const toml_words[] = {"true", "false", "inf", "nan"};
    for (size_t i = 0; i < sizeof toml_words / sizeof *toml_words; i++)
        if (strcmp(text, toml_words[i]) == 0)
            return 0;
    if (!is_letter(text[0]) && !strchr("_/.~", text[0]))
        return 0;
    for (; *text; text++)
        if (!is_key_byte(*text) && !strchr("/.~:@+", *text))
            return 0;
    return 1;
}

static wisp_status no_memory(const struct override *o)
{
    return wisp_fail(o->err, WISP_E_NOMEM, "no memory for the override %.200s", o->source->text);
}

/* The value is parsed as `v   = value`, padded so that its columns are those of the override. */
static wisp_status parse_value(const struct override *o, wispi_node *node)
{
    wispi_text line = {0};
    wispi_text_printf(&line, "%-*s%s", (int)(o->value - 1 - o->source->text), "v", o->value - 1);
    if (line.failed)
        return no_memory(o);
    wispi_node *root = NULL;
    wisp_status status =
        wispi_toml_parse_as(o->source, line.data, line.length,
                            "put a text in quotes: 'key=\"a text\"'", o->arena, &root, o->err);
    wispi_text_free(&line);
    WISP_TRY(status);
    const char *key = node->key;
    wispi_place key_place = node->key_place;
    *node = *root->first;
    node->key = key;
    node->key_place = key_place;
    return WISP_OK;
}

static wisp_status make_value(const struct override *o, wispi_node *node)
{
    node->place = place_of(o, o->word);
    if (!is_bare_word(o->word))
        return parse_value(o, node);
    node->type = WISPI_NODE_STRING;
    node->string = o->word;
    return WISP_OK;
}

static wisp_status find_entry(const struct override *o, wispi_node *array, const char *key,
                              const char *at, wispi_node **found)
{
    int64_t index = 0;
    for (const char *p = key; *p; p++) {
        if (*p < '0' || *p > '9' || index > INT32_MAX)
            return wispi_place_fail(place_of(o, at), o->err, WISP_E_CONFIG,
                                    "give the number of an entry; the first is 0",
                                    "\"%.80s\" is not the number of an entry of an array", key);
        index = index * 10 + (*p - '0');
    }
    *found = wispi_node_at(array, index);
    if (*found)
        return WISP_OK;
    return wispi_place_fail(
        place_of(o, at), o->err, WISP_E_CONFIG, "an override changes entries, it does not add any",
        "there is no entry %.80s; the array has %d, counted from 0", key, (int)array->n_children);
}

/* One step down the path to a table or an array; a table is made where nothing stands. */
static wisp_status step_down(const struct override *o, wispi_node *parent, const char *key,
                             const char *at, wispi_node **down)
{
    if (parent->type == WISPI_NODE_ARRAY)
        return find_entry(o, parent, key, at, down);
    wispi_node *child = wispi_node_find(parent, key);
    if (!child) {
        child = wispi_arena_alloc(o->arena, sizeof *child);
        if (!child)
            return no_memory(o);
        child->type = WISPI_NODE_TABLE;
        child->key = key;
        child->place = child->key_place = place_of(o, at);
        wispi_node_append(parent, child);
    }
    *down = child;
    return WISP_OK;
}

static wisp_status set_value(const struct override *o, wispi_node *parent, const char *key,
                             const char *at)
{
    wispi_node *node = wispi_arena_alloc(o->arena, sizeof *node);
    if (!node)
        return no_memory(o);
    node->key = key;
    node->key_place = place_of(o, at);
    WISP_TRY(make_value(o, node));
    if (parent->type == WISPI_NODE_TABLE) {
        wispi_node_merge(parent, node);
        return WISP_OK;
    }
    wispi_node *entry = NULL;
    WISP_TRY(find_entry(o, parent, key, at, &entry));
    node->key = NULL;
    node->next = entry->next;
    *entry = *node;
    return WISP_OK;
}

/* The key at `p` and where it ends, or an error that points at what is no key. */
static wisp_status read_key(const struct override *o, const char *p, const char **key,
                            const char **end)
{
    const char *q = p;
    while (is_key_byte(*q))
        q++;
    size_t length = (size_t)(q - p);
    while (*q == ' ')
        q++;
    if (length == 0 || (*q != '.' && *q != '='))
        return wispi_place_fail(place_of(o, q), o->err, WISP_E_CONFIG, SYNTAX,
                                "a key of letters, digits, _ and - was expected here");
    *key = wispi_arena_printf(o->arena, "%.*s", (int)length, p);
    *end = q;
    return *key ? WISP_OK : no_memory(o);
}

static wisp_status walk(const struct override *o, wispi_node *root)
{
    wispi_node *parent = root;
    const char *p = o->source->text;
    for (;;) {
        const char *key = NULL, *end = NULL;
        WISP_TRY(read_key(o, p, &key, &end));
        if (*end == '=')
            return set_value(o, parent, key, p);
        wispi_node *down = NULL;
        WISP_TRY(step_down(o, parent, key, p, &down));
        if (down->type != WISPI_NODE_TABLE && down->type != WISPI_NODE_ARRAY)
            return wispi_place_fail(place_of(o, p), o->err, WISP_E_CONFIG, SYNTAX,
                                    "\"%.80s\" is %s; there is nothing below it", key,
                                    wispi_node_type_name(down->type));
        parent = down;
        p = end + 1;
    }
}

wisp_status wispi_override_apply(wispi_node *root, const char *text, wispi_arena *arena,
                                 wisp_error *err)
{
    size_t n = strlen(text);
    if (n > 4096)
        return wisp_fail(err, WISP_E_CONFIG, "override \"%.60s...\": longer than 4096 bytes", text);
    struct override o = {wispi_toml_source("override", text, n, arena), NULL, NULL, arena, err};
    if (!o.source)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the override %.200s", text);
    const char *equals = strchr(o.source->text, '=');
    if (!equals || equals == o.source->text)
        return wispi_place_fail(place_of(&o, equals ? equals : o.source->text + n), err,
                                WISP_E_CONFIG, SYNTAX, "an override without a %s",
                                equals ? "key" : "\"=\"");
    o.value = equals + 1;
    o.word = o.value + strspn(o.value, " ");
    if (!*o.word)
        return wispi_place_fail(place_of(&o, o.value), err, WISP_E_CONFIG, SYNTAX,
                                "an override without a value");
    if (strchr(text, '\n'))
        return wisp_fail(err, WISP_E_CONFIG, "override \"%.60s...\": it must be one line", text);
    return walk(&o, root);
}
