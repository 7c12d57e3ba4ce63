/* runtime_compare.c - compare of wisp/runtime.h. */
#include <string.h>

#include "report/comparison.h"
#include "report/config_difference.h"
#include "report/study_call.h"
#include "report/study_results.h"
#include "train/json_text.h"

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for a comparison");
}

/* --- what is compared --- */

typedef struct subject {
    json_t *differences, *warnings;
    const char **metrics; /* these alone; NULL: all */
    int32_t n_metrics;
} subject;

/* "k_nn_top_1,linear_top_1" */
static wisp_status read_metrics(const char *text, wispi_arena *arena, subject *s, wisp_error *err)
{
    const char **made = wispi_arena_array(arena, strlen(text) + 1, sizeof *made);
    int32_t count = 0;
    if (!made)
        return no_memory(err);
    for (const char *p = text;; p++) {
        const size_t length = strcspn(p, ",");
        if (length == 0)
            return wisp_fail(err, WISP_E_CONFIG,
                             "--metrics %.200s: write names as they are in metrics.jsonl, such as "
                             "k_nn_top_1,k_nn_top_5",
                             text);
        made[count] = wispi_arena_printf(arena, "%.*s", (int)length, p);
        if (!made[count++])
            return no_memory(err);
        p += length;
        if (!*p)
            break;
    }
    s->metrics = made;
    s->n_metrics = count;
    return WISP_OK;
}

static wisp_status find_differences(const wispi_study *study, json_t **differences, wisp_error *err)
{
    const char **texts = wispi_arena_array(study->arena, (size_t)study->arms.n, sizeof *texts);
    if (!texts)
        return no_memory(err);
    for (int32_t i = 0; i < study->arms.n; i++)
        texts[i] = study->arms.list[i].resolved;
    return wispi_config_differences(texts, study->arms.n, differences, err);
}

static void warn_of_seeds(const wispi_study *study, json_t *warnings)
{
    const wispi_arms *arms = &study->arms;
    for (int32_t i = 1; i < arms->n; i++)
        if (arms->list[i].file_seed != arms->list[0].file_seed) {
            json_array_append_new(
                warnings, json_string("the files have different run.seed, which do not count: "
                                      "each arm is run with the seeds of --seeds"));
            break;
        }
    for (int32_t i = 0; i < arms->n; i++)
        if (arms->list[i].seed_offset != arms->list[0].seed_offset) {
            json_array_append_new(warnings,
                                  json_string("--seed-offset: the arms of a pair share no "
                                              "randomness, so pairing takes no noise away"));
            break;
        }
}

static wisp_status read_subject(const wispi_study *study, subject *s, wisp_error *err)
{
    WISP_TRY(find_differences(study, &s->differences, err));
    s->warnings = wispi_config_warnings(s->differences);
    if (!s->warnings)
        return no_memory(err);
    warn_of_seeds(study, s->warnings);
    return WISP_OK;
}

static int are_equal(const json_t *differences, int32_t a, int32_t b)
{
    for (size_t i = 0; i < json_array_size(differences); i++) {
        const json_t *values = json_object_get(json_array_get(differences, i), "values");
        if (!json_equal(json_array_get(values, (size_t)a), json_array_get(values, (size_t)b)))
            return 0;
    }
    return 1;
}

static void say_equal_arms(const wispi_study *study, const json_t *differences, wispi_text *out)
{
    for (int32_t i = 0; i < study->arms.n; i++)
        for (int32_t j = i + 1; j < study->arms.n; j++)
            if (are_equal(differences, i, j))
                wispi_text_printf(out, "%s and %s are the same experiment: %s\n",
                                  study->arms.list[i].name, study->arms.list[j].name,
                                  study->arms.list[i].seed_offset == study->arms.list[j].seed_offset
                                      ? "their runs will be equal to the last bit"
                                      : "what differs between them is chance");
}

static void say_subject(const wispi_study *study, const subject *s, wispi_text *out)
{
    const char *names[WISPI_MOST_LETTERS];
    for (int32_t i = 0; i < study->arms.n; i++) {
        names[i] = study->arms.list[i].name;
        wispi_text_printf(out, "%s  %s\n", names[i], study->arms.list[i].title);
    }
    wispi_text_append(out, "\n");
    if (json_array_size(s->differences) > 0)
        wispi_config_differences_say(s->differences, names, study->arms.n, out);
    say_equal_arms(study, s->differences, out);
    for (size_t i = 0; i < json_array_size(s->warnings); i++)
        wispi_text_printf(out, "caution: %s\n", json_string_value(json_array_get(s->warnings, i)));
}

/* --- what came out --- */

static wisp_status list_arms(const wispi_study_results *results, const wispi_compared_arm **out,
                             wisp_error *err)
{
    const wispi_study *study = results->study;
    const size_t n = (size_t)study->arms.n, s = (size_t)study->seeds.n;
    wispi_compared_arm *arms = wispi_arena_array(study->arena, n, sizeof *arms);
    const wispi_run_data **runs = wispi_arena_array(study->arena, n * s, sizeof(wispi_run_data *));
    if (!arms || !runs)
        return no_memory(err);
    for (int32_t i = 0; i < study->arms.n; i++) {
        for (int32_t j = 0; j < study->seeds.n; j++)
            runs[(size_t)i * s + (size_t)j] = wispi_study_results_at(results, i, j);
        arms[i] = (wispi_compared_arm){study->arms.list[i].name, study->arms.list[i].title,
                                       runs + (size_t)i * s};
    }
    *out = arms;
    return WISP_OK;
}

static wisp_status request_comparison(const wispi_study_call *call, const subject *s,
                                      const wispi_study_results *results, json_t **comparison,
                                      wisp_error *err)
{
    const wispi_study *study = &call->study;
    wispi_comparison_request request = {.n_arms = study->arms.n,
                                        .seeds = study->seeds.list,
                                        .n_seeds = study->seeds.n,
                                        .differences = s->differences,
                                        .metrics = s->metrics,
                                        .n_metrics = s->n_metrics};
    WISP_TRY(list_arms(results, &request.arms, err));
    return wispi_comparison_make(&request, comparison, err);
}

static wisp_status make_comparison(const wispi_study_call *call, const subject *s,
                                   json_t **comparison, wispi_text *text, wisp_error *err)
{
    wispi_study_results results = {0};
    WISP_TRY(wispi_study_results_read(&call->study, &results, err));
    json_t *json = NULL;
    wisp_status status = request_comparison(call, s, &results, &json, err);
    if (status == WISP_OK)
        status = wispi_comparison_text(json, text, err);
    if (status == WISP_OK && json_object_set(json, "warnings", s->warnings) != 0)
        status = no_memory(err);
    if (status == WISP_OK)
        *comparison = json;
    else
        json_decref(json);
    wispi_study_results_free(&results);
    return status;
}

static wisp_status conclude(wispi_study_call *call, void *user, wispi_text *out, wisp_error *err)
{
    const subject *s = user;
    json_t *comparison = NULL;
    wispi_text table = {0};
    wisp_status status = make_comparison(call, s, &comparison, &table, err);
    if (status == WISP_OK)
        status = wispi_study_write_json(&call->study, "comparison.json", comparison, err);
    if (status == WISP_OK && call->format == WISP_FORMAT_JSON)
        status = wispi_json_append(comparison, out, err);
    else if (status == WISP_OK && table.data)
        wispi_text_printf(out, "\n%s", table.data);
    json_decref(comparison);
    wispi_text_free(&table);
    return status;
}

/* --- the call --- */

static wisp_status work(wispi_study_call *call, subject *s, wispi_text *out,
                        wisp_study_outcome *outcome, wisp_error *err)
{
    wispi_text words = {0};
    WISP_TRY(read_subject(&call->study, s, err));
    say_subject(&call->study, s, &words);
    const wisp_status status = wispi_study_call_work(call, &words, conclude, s, out, outcome, err);
    wispi_text_free(&words);
    return status;
}

/* "multicrop-vs-sslight"; "exp-compare" where one file has several arms. */
static const char *usual_name(const wispi_arms *arms, wispi_arena *arena)
{
    const char *name = wispi_file_stem(arms->list[0].path, arena);
    for (int32_t i = 1; i < arms->n && name; i++) {
        const char *other = wispi_file_stem(arms->list[i].path, arena);
        if (arms->list[i].path == arms->list[0].path)
            return wispi_arena_printf(arena, "%s-compare", name);
        name = other ? wispi_arena_printf(arena, "%s-vs-%s", name, other) : NULL;
    }
    return name;
}

static wisp_status compare(wispi_study_call *call, const char *const *arguments, int32_t n,
                           wispi_text *out, wisp_study_outcome *outcome, wisp_error *err)
{
    wispi_arms arms;
    subject s = {0};
    WISP_TRY(wispi_arms_parse(arguments, n, call->arena, &arms, err));
    if (call->options.seed_offset)
        WISP_TRY(wispi_arms_offset_seeds(&arms, call->options.seed_offset, err));
    if (call->options.metrics)
        WISP_TRY(read_metrics(call->options.metrics, call->arena, &s, err));
    const char *name = usual_name(&arms, call->arena);
    if (!name)
        return no_memory(err);
    WISP_TRY(wispi_study_call_open(call, &arms, "5", name, err));
    const wisp_status status = work(call, &s, out, outcome, err);
    json_decref(s.differences);
    json_decref(s.warnings);
    return status;
}

wisp_status wisp_runtime_compare(wisp_runtime *runtime, const char *const *arguments,
                                 int32_t n_arguments, const wisp_study_options *options,
                                 int32_t format, char **text, wisp_study_outcome *outcome,
                                 wisp_error *err)
{
    const wispi_study_verb verb = {compare, arguments, n_arguments};
    return wispi_study_call_make(runtime, &verb, options, format, text, outcome, err);
}
