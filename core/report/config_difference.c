#include "report/config_difference.h"

#include <string.h>

#include "base/memory.h"
#include "config/config.h"
#include "config/resolved.h"

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for what differs");
}

/* --- a tree as keys and values --- */

static void write_node(wispi_text *out, const wispi_node *node)
{
    const int is_table = node->type == WISPI_NODE_TABLE;
    switch (node->type) {
    case WISPI_NODE_STRING:
        wispi_resolved_string(out, node->string);
        break;
    case WISPI_NODE_INTEGER:
        wispi_text_printf(out, "%lld", (long long)node->integer);
        break;
    case WISPI_NODE_FLOAT:
        wispi_resolved_number(out, node->number);
        break;
    case WISPI_NODE_BOOL:
        wispi_text_append(out, node->integer ? "true" : "false");
        break;
    default:
        wispi_text_append(out, is_table ? "{" : "[");
        for (const wispi_node *child = node->first; child; child = child->next) {
            wispi_text_append(out, child == node->first ? "" : ", ");
            if (is_table)
                wispi_text_printf(out, "%s = ", child->key);
            write_node(out, child);
        }
        wispi_text_append(out, is_table ? "}" : "]");
        break;
    }
}

static int is_array_of_tables(const wispi_node *node)
{
    return node->type == WISPI_NODE_ARRAY && node->first && node->first->type == WISPI_NODE_TABLE;
}

static int add_value(json_t *values, const char *key, const wispi_node *node)
{
    wispi_text text = {0};
    write_node(&text, node);
    const int failed = text.failed || json_object_set_new(values, key, json_string(text.data)) != 0;
    wispi_text_free(&text);
    return failed ? -1 : 0;
}

/* "sampler.local.count" -> "6"; entries of an array of tables are counted from 0. */
static int flatten(const wispi_node *parent, const char *path, json_t *values)
{
    int failed = 0, at = 0;
    for (const wispi_node *node = parent->first; node && !failed; node = node->next, at++) {
        wispi_text key = {0};
        wispi_text_append(&key, path);
        wispi_text_append(&key, path[0] ? "." : "");
        if (node->key)
            wispi_text_append(&key, node->key);
        else
            wispi_text_printf(&key, "%d", at);
        if (key.failed)
            failed = -1;
        else if (node->type == WISPI_NODE_TABLE || is_array_of_tables(node))
            failed = flatten(node, key.data, values);
        else
            failed = add_value(values, key.data, node);
        wispi_text_free(&key);
    }
    return failed;
}

static wisp_status read_values(const char *text, json_t **values, wisp_error *err)
{
    wispi_config *config = NULL;
    WISP_TRY(wispi_config_parse_text("a resolved experiment", text, NULL, 0, &config, err));
    json_t *made = json_object();
    const int failed = !made || flatten(wispi_config_root(config), "", made) != 0;
    wispi_config_destroy(config);
    if (failed) {
        json_decref(made);
        return no_memory(err);
    }
    *values = made;
    return WISP_OK;
}

/* --- comparing --- */

static int says_where(const char *key)
{
    static const char *const keys[] = {"run.name", "run.seed", "run.out", "run.resume"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return 1;
    return 0;
}

static int is_same(const json_t *sets, const char *key)
{
    const json_t *first = json_object_get(json_array_get(sets, 0), key);
    for (size_t i = 1; i < json_array_size(sets); i++) {
        const json_t *other = json_object_get(json_array_get(sets, i), key);
        if (!first != !other || (first && !json_equal(first, other)))
            return 0;
    }
    return 1;
}

static int add_difference(json_t *differences, const json_t *sets, const char *key)
{
    json_t *values = json_array();
    for (size_t i = 0; i < json_array_size(sets); i++) {
        json_t *value = json_object_get(json_array_get(sets, i), key);
        json_array_append_new(values, value ? json_incref(value) : json_null());
    }
    return json_array_append_new(differences,
                                 json_pack("{s:s, s:o}", "key", key, "values", values));
}

/* Keys in the order in which the first experiment that has them has them. */
static int collect(const json_t *sets, json_t *differences)
{
    for (size_t i = 0; i < json_array_size(sets); i++) {
        const char *key;
        json_t *value;
        json_object_foreach(json_array_get(sets, i), key, value)
        {
            int seen = says_where(key);
            for (size_t j = 0; j < i && !seen; j++)
                seen = json_object_get(json_array_get(sets, j), key) != NULL;
            if (!seen && !is_same(sets, key) && add_difference(differences, sets, key) != 0)
                return -1;
        }
    }
    return 0;
}

wisp_status wispi_config_differences(const char *const *texts, int32_t n, json_t **out,
                                     wisp_error *err)
{
    json_t *sets = json_array(), *differences = json_array();
    wisp_status status = sets && differences ? WISP_OK : no_memory(err);
    for (int32_t i = 0; status == WISP_OK && i < n; i++) {
        json_t *values = NULL;
        status = read_values(texts[i], &values, err);
        if (status == WISP_OK && json_array_append_new(sets, values) != 0)
            status = no_memory(err);
    }
    if (status == WISP_OK && collect(sets, differences) != 0)
        status = no_memory(err);
    json_decref(sets);
    if (status == WISP_OK)
        *out = differences;
    else
        json_decref(differences);
    return status;
}

/* --- words --- */

enum { LONGEST = 36 };

static void say_value(wispi_text *out, const char *value, int column)
{
    const int n = (int)strlen(value);
    if (n > LONGEST)
        wispi_text_printf(out, "  %.*s...", LONGEST - 3, value);
    else
        wispi_text_printf(out, "  %s", value);
    const int shown = n > LONGEST ? LONGEST : n;
    if (column > shown)
        wispi_text_printf(out, "%*s", column - shown, "");
}

static const char *value_at(const json_t *difference, int32_t arm)
{
    const char *value =
        json_string_value(json_array_get(json_object_get(difference, "values"), (size_t)arm));
    return value ? value : "-";
}

static int widest(const json_t *differences, int32_t arm, const char *name)
{
    size_t most = strlen(name);
    for (size_t i = 0; i < json_array_size(differences); i++) {
        const size_t n = strlen(value_at(json_array_get(differences, i), arm));
        most = n > most ? n : most;
    }
    return most > LONGEST ? LONGEST : (int)most;
}

void wispi_config_differences_say(const json_t *differences, const char *const *names, int32_t n,
                                  wispi_text *out)
{
    int keys = 12;
    for (size_t i = 0; i < json_array_size(differences); i++) {
        const int k =
            (int)json_string_length(json_object_get(json_array_get(differences, i), "key"));
        keys = k > keys ? k : keys;
    }
    wispi_text_printf(out, "%-*s", keys, "what differs");
    for (int32_t arm = 0; arm < n; arm++)
        say_value(out, names[arm], arm + 1 < n ? widest(differences, arm, names[arm]) : 0);
    wispi_text_append(out, "\n");
    for (size_t i = 0; i < json_array_size(differences); i++) {
        const json_t *d = json_array_get(differences, i);
        wispi_text_printf(out, "%-*s", keys, json_string_value(json_object_get(d, "key")));
        for (int32_t arm = 0; arm < n; arm++)
            say_value(out, value_at(d, arm),
                      arm + 1 < n ? widest(differences, arm, names[arm]) : 0);
        wispi_text_append(out, "\n");
    }
}

/* --- warnings --- */

static const struct {
    const char *prefix, *words;
} doubts[] = {
    {"test.", "the arms are judged by different test images"},
    {"data.", "the arms see different training images"},
    {"task.", "the tasks that judge the arms are not the same"},
    {"probe.", "the probes that judge the arms are not the same"},
    {"input.", "the arms' images are prepared in different ways for evaluation"},
    {"run.epochs", "the arms train for different numbers of epochs"},
    {"run.steps", "the arms train for different numbers of steps"},
    {"run.batch", "the arms' batches are of different sizes: other numbers of steps an epoch"},
    {"run.device", "the arms compute on different devices: other last bits"},
    {"run.threads", "the arms compute on different numbers of threads: other last bits"},
    {"run.probe_epochs", "the probes are evaluated at different epochs"},
};

json_t *wispi_config_warnings(const json_t *differences)
{
    json_t *warnings = json_array();
    for (size_t k = 0; k < sizeof doubts / sizeof *doubts; k++)
        for (size_t i = 0; i < json_array_size(differences); i++) {
            const char *key =
                json_string_value(json_object_get(json_array_get(differences, i), "key"));
            if (strncmp(key, doubts[k].prefix, strlen(doubts[k].prefix)) != 0)
                continue;
            json_array_append_new(warnings, json_sprintf("%s (%s)", doubts[k].words, key));
            break;
        }
    return warnings;
}
