#include "report/sweep_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/comparison.h"
#include "train/json_number.h"
#include "report/pairing.h"
#include "report/verdict.h"

/* --- cells --- */

static json_t *cell_of(const wispi_study_results *results, int32_t arm, const wispi_run_result *r)
{
    const wispi_study *study = results->study;
    json_t *seeds = json_array();
    double sum = 0, squares = 0;
    int n = 0;
    for (int32_t i = 0; i < study->seeds.n; i++) {
        const wispi_run_data *run = wispi_study_results_at(results, arm, i);
        const wispi_run_result *own = run ? wispi_run_data_result(run, r->kind, r->metric) : NULL;
        if (!own)
            continue;
        sum += own->value;
        n++;
        json_array_append_new(seeds,
                              json_pack("{s:I, s:o}", "seed", (json_int_t)study->seeds.list[i],
                                        "value", wispi_json_number(own->value)));
    }
    const double mean = n ? sum / n : NAN;
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        const double value =
            json_number_value(json_object_get(json_array_get(seeds, i), "value")) - mean;
        squares += value * value;
    }
    return json_pack("{s:i, s:o, s:o, s:b, s:o}", "n", n, "mean", wispi_json_number(mean), "sd",
                     wispi_json_number(n > 1 ? sqrt(squares / (n - 1)) : NAN), "with_best", 0,
                     "seeds", seeds);
}

/* -1: there is none. Of what is called a loss or an error no cell is the best. */
static int best_of(const json_t *cells, const char *metric)
{
    int best = -1;
    double highest = 0;
    for (size_t i = 0; wispi_pairing_judges(metric) && i < json_array_size(cells); i++) {
        const json_t *mean = json_object_get(json_array_get(cells, i), "mean");
        if (!json_is_number(mean) || (best >= 0 && json_number_value(mean) <= highest))
            continue;
        best = (int)i;
        highest = json_number_value(mean);
    }
    return best;
}

/* --- which cells are told apart from the best one --- */

static void mark(json_t *cells, const wispi_compared_arm *arms, const int *cell_of_arm, int n_arms,
                 const json_t *comparison)
{
    const json_t *metrics = json_object_get(comparison, "metrics");
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        const json_t *m = json_array_get(metrics, i);
        const char *verdict = json_string_value(json_object_get(m, "verdict"));
        const char *arm = json_string_value(json_object_get(m, "arm"));
        if (!verdict || !arm || strcmp(verdict, WISPI_VERDICT_NONE) == 0)
            continue;
        for (int k = 1; k < n_arms; k++)
            if (strcmp(arms[k].name, arm) == 0)
                json_object_set_new(json_array_get(cells, (size_t)cell_of_arm[k]), "with_best",
                                    json_false());
    }
}

/* The best one against each other cell, corrected for their number. */
static wisp_status hold_against_best(const wispi_study_results *results, int best,
                                     const wispi_run_result *r, json_t *cells, wisp_error *err)
{
    const wispi_study *study = results->study;
    const size_t n = (size_t)study->arms.n, s = (size_t)study->seeds.n;
    wispi_compared_arm *arms = wispi_arena_array(study->arena, n, sizeof *arms);
    const wispi_run_data **runs = wispi_arena_array(study->arena, n * s, sizeof(wispi_run_data *));
    int *cell = wispi_arena_array(study->arena, n, sizeof *cell);
    json_t *comparison = NULL;
    if (!arms || !runs || !cell)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a sweep");
    for (int32_t i = 0, next = 1; i < study->arms.n; i++) {
        const int place = i == best ? 0 : next++;
        for (int32_t j = 0; j < study->seeds.n; j++)
            runs[(size_t)place * s + (size_t)j] = wispi_study_results_at(results, i, j);
        arms[place] = (wispi_compared_arm){study->arms.list[i].name, study->arms.list[i].title,
                                           runs + (size_t)place * s};
        cell[place] = i;
        json_t *own = json_array_get(cells, (size_t)i);
        json_object_set_new(own, "with_best",
                            json_boolean(json_is_number(json_object_get(own, "mean"))));
    }
    const wispi_comparison_request request = {.arms = arms,
                                              .n_arms = study->arms.n,
                                              .seeds = study->seeds.list,
                                              .n_seeds = study->seeds.n,
                                              .metrics = &r->metric,
                                              .n_metrics = 1,
                                              .source = r->kind,
                                              .without_pixels = 1};
    WISP_TRY(wispi_comparison_make(&request, &comparison, err));
    mark(cells, arms, cell, study->arms.n, comparison);
    json_decref(comparison);
    return WISP_OK;
}

static json_t *say_best(const char *name, int n_seeds, int n_others, int like_best)
{
    if (n_seeds < 2)
        return json_sprintf("%s has the highest value; one seed tells no cell from another", name);
    if (n_others == 0)
        return json_sprintf("%s alone has a value", name);
    if (like_best == 0)
        return json_sprintf("%s has the highest mean; %d seeds tell it from all others", name,
                            n_seeds);
    if (like_best == n_others)
        return json_sprintf("%s has the highest mean; %d seeds tell it from no other", name,
                            n_seeds);
    return json_sprintf("%s has the highest mean; %d of the other %d are not told apart from it by "
                        "%d seeds",
                        name, like_best, n_others, n_seeds);
}

static json_t *words(const wispi_study_results *results, int best, const json_t *cells)
{
    int like_best = 0, most = 0, others = 0;
    if (best < 0)
        return json_string("");
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const json_t *cell = json_array_get(cells, i);
        const int n = (int)json_integer_value(json_object_get(cell, "n"));
        most = n > most ? n : most;
        others += (int)i != best && json_is_number(json_object_get(cell, "mean"));
        like_best += (int)i != best && json_is_true(json_object_get(cell, "with_best"));
    }
    return say_best(results->study->arms.list[best].name, most, others, like_best);
}

/* --- metrics --- */

static wisp_status add_metric(const wispi_study_results *results, const wispi_run_result *r,
                              json_t *metrics, wisp_error *err)
{
    json_t *cells = json_array();
    for (int32_t arm = 0; arm < results->study->arms.n; arm++)
        json_array_append_new(cells, cell_of(results, arm, r));
    const int best = best_of(cells, r->metric);
    wisp_status status = best >= 0 ? hold_against_best(results, best, r, cells, err) : WISP_OK;
    if (status != WISP_OK) {
        json_decref(cells);
        return status;
    }
    json_array_append_new(metrics,
                          json_pack("{s:s, s:s, s:o, s:o, s:o}", "metric", r->metric, "source",
                                    r->kind, "best", best >= 0 ? json_integer(best) : json_null(),
                                    "words", words(results, best, cells), "cells", cells));
    return WISP_OK;
}

static wisp_status add_metrics(const wispi_study_results *results, const char *kind,
                               json_t *metrics, wisp_error *err)
{
    const wispi_run_data *first = NULL;
    for (int32_t i = 0; i < results->study->n_jobs && !first; i++)
        first = results->runs[i];
    for (int32_t i = 0; first && i < first->n_results; i++)
        if (strcmp(first->results[i].kind, kind) == 0)
            WISP_TRY(add_metric(results, &first->results[i], metrics, err));
    return WISP_OK;
}

static json_t *values_of(const wispi_axis *axis)
{
    json_t *values = json_array();
    for (int32_t i = 0; i < axis->n; i++)
        json_array_append_new(values, json_string(axis->values[i]));
    return values;
}

static json_t *cell_values(const wispi_grid *grid, int32_t cell)
{
    json_t *values = json_array();
    for (int32_t i = 0; i < grid->n_axes; i++)
        json_array_append_new(values,
                              json_string(grid->axes[i].values[wispi_grid_value(grid, cell, i)]));
    return values;
}

wisp_status wispi_sweep_make(const wispi_grid *grid, const wispi_study_results *results,
                             json_t **sweep, wisp_error *err)
{
    const wispi_study *study = results->study;
    json_t *keys = json_array(), *values = json_array(), *cells = json_array();
    json_t *metrics = json_array();
    for (int32_t i = 0; i < grid->n_axes; i++) {
        json_array_append_new(keys, json_string(grid->axes[i].key));
        json_array_append_new(values, values_of(&grid->axes[i]));
    }
    for (int32_t i = 0; i < grid->n_cells; i++)
        json_array_append_new(cells, json_pack("{s:s, s:o}", "name", study->arms.list[i].name,
                                               "values", cell_values(grid, i)));
    wisp_status status = add_metrics(results, "task", metrics, err);
    if (status == WISP_OK)
        status = add_metrics(results, "probe", metrics, err);
    json_t *made = json_pack("{s:o, s:o, s:o, s:b, s:o, s:o}", "keys", keys, "values", values,
                             "seeds", wispi_study_seeds_json(study), "complete",
                             wispi_study_count(study, WISPI_JOB_DONE) == study->n_jobs, "cells",
                             cells, "metrics", metrics);
    if (status == WISP_OK && !made)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for a sweep");
    if (status == WISP_OK)
        *sweep = made;
    else
        json_decref(made);
    return status;
}

/* --- words --- */

static void say_cell(wispi_text *out, const json_t *cell, int is_best)
{
    const json_t *mean = json_object_get(cell, "mean"), *sd = json_object_get(cell, "sd");
    const char *sign = is_best                                            ? " *"
                       : json_is_true(json_object_get(cell, "with_best")) ? " ~"
                                                                          : "";
    char spread[32] = "-", value[32] = "-";
    if (json_is_number(mean))
        snprintf(value, sizeof value, "%.2f", json_number_value(mean));
    if (json_is_number(sd))
        snprintf(spread, sizeof spread, "%.2f", json_number_value(sd));
    wispi_text_printf(out, "  %8s  %6s  %3d%s\n", value, spread,
                      (int)json_integer_value(json_object_get(cell, "n")), sign);
}

static int column(const wispi_axis *axis)
{
    size_t n = strlen(axis->short_key);
    for (int32_t i = 0; i < axis->n; i++)
        n = strlen(axis->values[i]) > n ? strlen(axis->values[i]) : n;
    return (int)n + 2;
}

static void say_metric(const wispi_grid *grid, const json_t *metric, wispi_text *out)
{
    const json_t *cells = json_object_get(metric, "cells"), *best = json_object_get(metric, "best");
    wispi_text_printf(out, "\n%s (%s)\n", json_string_value(json_object_get(metric, "metric")),
                      json_string_value(json_object_get(metric, "source")));
    for (int32_t i = 0; i < grid->n_axes; i++)
        wispi_text_printf(out, "%-*s", column(&grid->axes[i]), grid->axes[i].short_key);
    wispi_text_append(out, "      mean      sd    n\n");
    for (int32_t cell = 0; cell < grid->n_cells; cell++) {
        for (int32_t i = 0; i < grid->n_axes; i++)
            wispi_text_printf(out, "%-*s", column(&grid->axes[i]),
                              grid->axes[i].values[wispi_grid_value(grid, cell, i)]);
        say_cell(out, json_array_get(cells, (size_t)cell),
                 json_is_integer(best) && json_integer_value(best) == cell);
    }
    const char *words = json_string_value(json_object_get(metric, "words"));
    if (words && words[0])
        wispi_text_printf(out, "%s\n", words);
}

void wispi_sweep_say(const wispi_grid *grid, const json_t *sweep, wispi_text *out)
{
    const json_t *metrics = json_object_get(sweep, "metrics");
    for (size_t i = 0; i < json_array_size(metrics); i++)
        say_metric(grid, json_array_get(metrics, i), out);
    if (json_array_size(metrics) > 0)
        wispi_text_append(out, "\n* highest mean, which flatters: it was chosen by the same "
                               "numbers;  ~ not told apart from it\n");
}
