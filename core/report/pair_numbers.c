#include "report/pair_numbers.h"

#include <string.h>

static int is_final(const wispi_run_result *r)
{
    return strcmp(r->kind, "task") == 0 || strcmp(r->kind, "probe") == 0;
}

static json_t *pair(const wispi_study_results *results, const wispi_run_result *r, int32_t arm,
                    int32_t seed, double *difference)
{
    const wispi_run_result *a =
        wispi_run_data_result(wispi_study_results_at(results, 0, seed), r->kind, r->metric);
    const wispi_run_result *b =
        wispi_run_data_result(wispi_study_results_at(results, arm, seed), r->kind, r->metric);
    if (!a || !b)
        return NULL;
    *difference = b->value - a->value;
    return json_pack("{s:I, s:f, s:f}", "seed", (json_int_t)results->study->seeds.list[seed], "a",
                     a->value, "b", b->value);
}

static json_t *metric(const wispi_study_results *results, const wispi_run_result *r, int32_t arm,
                      wispi_text *table)
{
    const wispi_study *study = results->study;
    json_t *pairs = json_array();
    double sum = 0;
    for (int32_t seed = 0; seed < study->seeds.n; seed++) {
        double difference = 0;
        if (!wispi_study_seed_is_done(study, seed))
            continue;
        json_t *made = pair(results, r, arm, seed, &difference);
        if (made && json_array_append_new(pairs, made) == 0)
            sum += difference;
    }
    const size_t n = json_array_size(pairs);
    if (n > 0)
        wispi_text_printf(table, "%-8s %-24s %s - A  %+.3f  (%d pairs)\n", r->kind, r->metric,
                          study->arms.list[arm].name, sum / (double)n, (int)n);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:f}", "metric", r->metric, "source", r->kind,
                     "basis", "equal epochs", "arm", study->arms.list[arm].name, "against",
                     study->arms.list[0].name, "pairs", pairs, "mean", n ? sum / (double)n : 0.0);
}

static const wispi_run_data *first_done(const wispi_study_results *results)
{
    for (int32_t seed = 0; seed < results->study->seeds.n; seed++)
        if (wispi_study_seed_is_done(results->study, seed))
            return wispi_study_results_at(results, 0, seed);
    return NULL;
}

wisp_status wispi_pair_numbers(const wispi_study_results *results, json_t **comparison,
                               wispi_text *table, wisp_error *err)
{
    const wispi_run_data *first = first_done(results);
    json_t *metrics = json_array();
    for (int32_t i = 0; first && i < first->n_results; i++)
        for (int32_t arm = 1; is_final(&first->results[i]) && arm < results->study->arms.n; arm++)
            json_array_append_new(metrics, metric(results, &first->results[i], arm, table));
    *comparison = json_pack("{s:o, s:o, s:o}", "arms", wispi_study_arms_json(results->study),
                            "seeds", wispi_study_seeds_json(results->study), "metrics", metrics);
    return *comparison ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for a comparison");
}
