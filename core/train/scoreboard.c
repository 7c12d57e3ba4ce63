#include "train/scoreboard.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct wispi_scoreboard {
    json_t *entries; /* [{"source", "step", "metric", "value", "protocol"}, ...] */
};

wispi_scoreboard *wispi_scoreboard_create(void)
{
    wispi_scoreboard *board = wispi_alloc(sizeof *board);
    if (board)
        board->entries = json_array();
    if (board && !board->entries) {
        wispi_free(board);
        return NULL;
    }
    return board;
}

void wispi_scoreboard_destroy(wispi_scoreboard *board)
{
    if (board)
        json_decref(board->entries);
    wispi_free(board);
}

wisp_status wispi_scoreboard_add(wispi_scoreboard *board, const char *source, int64_t step,
                                 const wispi_results *results, wisp_error *err)
{
    for (int32_t i = 0; i < results->n; i++) {
        const wispi_result *r = &results->list[i];
        json_t *entry =
            json_pack("{s:s, s:I, s:s, s:f, s:s}", "source", source, "step", (json_int_t)step,
                      "metric", r->metric, "value", r->value, "protocol", r->protocol);
        if (!entry || json_array_append_new(board->entries, entry) != 0)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for the results");
    }
    return WISP_OK;
}

char *wispi_scoreboard_dump(const wispi_scoreboard *board)
{
    return json_dumps(board->entries, JSON_REAL_PRECISION(17));
}

wisp_status wispi_scoreboard_load(wispi_scoreboard *board, const char *text, wisp_error *err)
{
    json_t *entries = json_loads(text, 0, NULL);
    if (!json_is_array(entries)) {
        json_decref(entries);
        return wisp_fail(err, WISP_E_CORRUPT, "the results in the checkpoint cannot be read");
    }
    json_decref(board->entries);
    board->entries = entries;
    return WISP_OK;
}

static const char *text_of(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));
    return text ? text : "";
}

void wispi_scoreboard_remove(wispi_scoreboard *board, const char *source)
{
    for (size_t i = json_array_size(board->entries); i-- > 0;)
        if (strcmp(text_of(json_array_get(board->entries, i), "source"), source) == 0)
            json_array_remove(board->entries, i);
}

/* Only what the tasks reported at the end is summed up. */
static int is_summed_up(const json_t *entry)
{
    return strcmp(text_of(entry, "source"), "trained") == 0;
}

static void one_line(const wispi_scoreboard *board, const char *metric, wispi_text *out)
{
    static const char *const sources[] = {"raw pixels", "untrained", "trained"};
    const char *separator = ": ";
    wispi_text_append(out, metric);
    for (size_t i = 0; i < WISP_COUNT(sources); i++) {
        size_t index;
        json_t *entry;
        json_array_foreach(board->entries, index, entry)
        {
            if (strcmp(text_of(entry, "metric"), metric) != 0 ||
                strcmp(text_of(entry, "source"), sources[i]) != 0)
                continue;
            wispi_text_printf(out, "%s%s %.1f %%", separator, sources[i],
                              json_number_value(json_object_get(entry, "value")));
            separator = ", ";
            break;
        }
    }
    wispi_text_append(out, "\n");
}

void wispi_scoreboard_summary(const wispi_scoreboard *board, wispi_text *out)
{
    for (size_t i = json_array_size(board->entries); i-- > 0;) {
        const json_t *entry = json_array_get(board->entries, i);
        if (is_summed_up(entry))
            one_line(board, text_of(entry, "metric"), out);
    }
}
