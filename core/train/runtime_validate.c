/* runtime_validate.c - wisp_runtime_validate: the conformance suite of ABI-20 on one file. */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "config/nearest.h"
#include "loader/trust.h"
#include "train/json_text.h"
#include "train/runtime_handle.h"
#include "train/validate_run.h"

static const char *const outcomes[] = {"pass", "fail", "skip"};
static const double usual_limit = 60;

/* --- what there is --- */

static json_t *describe_test(const wispi_validation *v)
{
    char kinds[128];
    wispi_validation_kinds(v, kinds, sizeof kinds);
    return json_pack("{s:s, s:s, s:s, s:s, s:s*}", "id", v->id, "kinds", kinds, "summary",
                     v->summary, "cure", v->cure, "rests_on", v->rests_on);
}

/* Takes `made` over. */
static wisp_status give_json(json_t *made, wispi_text *out, wisp_error *err)
{
    const wisp_status status = wispi_json_append(made, out, err);
    json_decref(made);
    return status;
}

static wisp_status list_tests(int32_t format, wispi_text *out, wisp_error *err)
{
    json_t *list = format == WISP_FORMAT_JSON ? json_array() : NULL;
    for (int32_t i = 0; i < wispi_n_validations; i++) {
        const wispi_validation *v = &wispi_validations[i];
        char kinds[128];
        wispi_validation_kinds(v, kinds, sizeof kinds);
        if (format == WISP_FORMAT_TEXT)
            wispi_text_printf(out, "%-29s %s (%s)\n", v->id, v->summary, kinds);
        else
            list = wispi_json_push(list, describe_test(v));
    }
    return format == WISP_FORMAT_JSON ? give_json(json_pack("{s:o}", "tests", list), out, err)
                                      : WISP_OK;
}

/* --- what came out --- */

/* Path, name and words are whatever bytes a file system or a plugin gave. */
static json_t *result_json(const wispi_validate_result *r)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:s, s:f}", "id", r->test->id, "plugin",
                     wispi_json_string(r->plugin), "outcome", outcomes[r->verdict.outcome], "words",
                     wispi_json_string(r->verdict.words), "cure",
                     r->verdict.outcome == WISPI_VERDICT_FAIL ? r->test->cure : "", "seconds",
                     r->seconds);
}

static wisp_status write_json(const char *path, const wispi_validate_results *all, wispi_text *out,
                              wisp_error *err)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < all->n; i++)
        list = wispi_json_push(list, result_json(&all->list[i]));
    return give_json(json_pack("{s:o, s:o, s:i, s:i, s:i}", "file", wispi_json_string(path),
                               "tests", list, "passed", (int)all->n_passed, "failed",
                               (int)all->n_failed, "skipped", (int)all->n_skipped),
                     out, err);
}

static void write_text(const char *path, const wispi_validate_results *all, wispi_text *out)
{
    const char *title = NULL;
    for (int32_t i = 0; i < all->n; i++) {
        const wispi_validate_result *r = &all->list[i];
        if (!title || strcmp(title, r->plugin) != 0)
            wispi_text_printf(out, "%s\n", r->plugin[0] ? r->plugin : path);
        title = r->plugin;
        wispi_text_printf(out, "  %-4s  %-29s %6.2f s%s%s\n", outcomes[r->verdict.outcome],
                          r->test->id, r->seconds, r->verdict.words[0] ? "  " : "",
                          r->verdict.words);
        if (r->verdict.outcome == WISPI_VERDICT_FAIL)
            wispi_text_printf(out, "        %s. What to do: %s\n", r->test->summary, r->test->cure);
    }
    wispi_text_printf(out, "%d passed, %d failed, %d skipped\n", all->n_passed, all->n_failed,
                      all->n_skipped);
}

static wisp_status check_only(const char *only, wisp_error *err)
{
    if (!only || wispi_validation_find(only))
        return WISP_OK;
    wispi_nearest nearest = wispi_nearest_begin(only);
    for (int32_t i = 0; i < wispi_n_validations; i++)
        wispi_nearest_offer(&nearest, wispi_validations[i].id);
    return wisp_fail(err, WISP_E_INVALID,
                     "there is no test \"%s\"; the nearest known one is \"%s\"", only,
                     nearest.found);
}

static wisp_status validate(wisp_runtime *runtime, const char *file, const wisp_validate_options *o,
                            int32_t format, wispi_text *out, int32_t *n_failed, wisp_error *err)
{
    wispi_validate_results all;
    const wispi_validate_request request = {
        .path = file,
        .overrides = o->overrides,
        .n_overrides = o->n_overrides,
        .only = o->only,
        .in_process = o->in_process,
        .time_limit = o->time_limit > 0 ? o->time_limit : usual_limit,
        .registry = runtime->registry,
        .stop = &runtime->stop,
    };
    runtime->stop = 0;
    if (access(file, R_OK) != 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "there is no file \"%s\" that can be read", file);
    if (!wispi_registry_allows_insecure(runtime->registry))
        WISP_TRY(wispi_trust_check(file, err));
    WISP_TRY(check_only(o->only, err));
    WISP_TRY(wispi_validate_file(&request, &all, err));
    wisp_status status = WISP_OK;
    if (all.n == 0)
        status = wisp_fail(err, WISP_E_INVALID, "the test \"%s\" is for none of the plugins in %s",
                           o->only ? o->only : "", file);
    else if (format == WISP_FORMAT_JSON)
        status = write_json(file, &all, out, err);
    else
        write_text(file, &all, out);
    *n_failed = all.n_failed;
    wispi_validate_results_free(&all);
    return status;
}

wisp_status wisp_runtime_validate(wisp_runtime *runtime, const char *file,
                                  const wisp_validate_options *given, int32_t format, char **text,
                                  int32_t *n_failed, wisp_error *err)
{
    wispi_text out = {0};
    wisp_validate_options options;
    wispi_read_sized(&options, sizeof options, given);
    *n_failed = 0;
    const wisp_status status = file ? validate(runtime, file, &options, format, &out, n_failed, err)
                                    : list_tests(format, &out, err);
    if (status == WISP_OK)
        return wispi_runtime_give(&out, text, err);
    wispi_text_free(&out);
    return status;
}
