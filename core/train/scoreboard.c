#include "train/scoreboard.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct wispi_scoreboard {
    json_t *entries; /* [{"source", "epoch", "step", "metric", "value", "protocol"}, ...] */
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

wisp_status wispi_scoreboard_add(wispi_scoreboard *board, const char *source,
                                 const wisp_clock *clock, const wispi_results *results,
                                 wisp_error *err)
{
    for (int32_t i = 0; i < results->n; i++) {
        const wispi_result *r = &results->list[i];
        json_t *entry = json_pack("{s:s, s:I, s:I, s:s, s:f, s:s}", "source", source, "epoch",
                                  (json_int_t)clock->epoch, "step", (json_int_t)clock->step,
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

/* --- probes over the run --- */

static int is_probe(const json_t *entry, const char *metric)
{
    return strcmp(text_of(entry, "source"), "probe") == 0 &&
           strcmp(text_of(entry, "metric"), metric) == 0;
}

static double value_of(const json_t *entry)
{
    return json_number_value(json_object_get(entry, "value"));
}

/* The first entry of each metric stands for it. */
static const char *metric_at(const wispi_scoreboard *board, int32_t index)
{
    for (size_t i = 0; i < json_array_size(board->entries); i++) {
        const json_t *entry = json_array_get(board->entries, i);
        const char *metric = text_of(entry, "metric");
        size_t first = 0;
        while (!is_probe(json_array_get(board->entries, first), metric) && first < i)
            first++;
        if (first == i && is_probe(entry, metric) && index-- == 0)
            return metric;
    }
    return NULL;
}

static const json_t *best_of(const wispi_scoreboard *board, const char *metric)
{
    const json_t *best = NULL;
    for (size_t i = 0; i < json_array_size(board->entries); i++) {
        const json_t *entry = json_array_get(board->entries, i);
        if (is_probe(entry, metric) && (!best || value_of(entry) > value_of(best)))
            best = entry;
    }
    return best;
}

static const json_t *entry_at(const wispi_scoreboard *board, const char *metric, json_int_t step)
{
    const json_t *found = NULL;
    for (size_t i = 0; i < json_array_size(board->entries); i++) {
        const json_t *entry = json_array_get(board->entries, i);
        if (is_probe(entry, metric) &&
            (step < 0 || json_integer_value(json_object_get(entry, "step")) == step))
            found = entry;
    }
    return found;
}

/* "... top-5" goes with "... top-1". */
static const json_t *best_epoch_of(const wispi_scoreboard *board, const char *metric)
{
    char leader[WISPI_TASK_NAME + WISPI_METRIC_NAME];
    const size_t n = strlen(metric);
    snprintf(leader, sizeof leader, "%s", metric);
    if (n < sizeof leader && n > 6 && strcmp(leader + n - 6, " top-5") == 0)
        leader[n - 1] = '1';
    const json_t *best = best_of(board, leader);
    if (!best)
        return best_of(board, metric);
    return entry_at(board, metric, json_integer_value(json_object_get(best, "step")));
}

int wispi_scoreboard_probe(const wispi_scoreboard *board, int32_t index, wispi_probe_record *out)
{
    const char *metric = metric_at(board, index);
    const json_t *last = metric ? entry_at(board, metric, -1) : NULL;
    const json_t *best = metric ? best_epoch_of(board, metric) : NULL;
    if (!last || !best)
        return 0;
    *out = (wispi_probe_record){
        .metric = metric,
        .protocol = text_of(best, "protocol"),
        .last = value_of(last),
        .best = value_of(best),
        .last_epoch = json_integer_value(json_object_get(last, "epoch")),
        .best_epoch = json_integer_value(json_object_get(best, "epoch")),
        .best_step = json_integer_value(json_object_get(best, "step")),
    };
    return 1;
}

static void sum_up_probes(const wispi_scoreboard *board, wispi_text *out)
{
    wispi_probe_record r;
    for (int32_t i = 0; wispi_scoreboard_probe(board, i, &r); i++)
        wispi_text_printf(out, "%s: last epoch %.2f %%, best epoch %.2f %% (epoch %lld of %lld)\n",
                          r.metric, r.last, r.best, (long long)r.best_epoch,
                          (long long)r.last_epoch);
}

/* --- the summary --- */

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
    sum_up_probes(board, out);
    for (size_t i = json_array_size(board->entries); i-- > 0;) {
        const json_t *entry = json_array_get(board->entries, i);
        if (is_summed_up(entry))
            one_line(board, text_of(entry, "metric"), out);
    }
}
