/* runtime_sweep.c - sweep of wisp/runtime.h. */
#include "report/study_call.h"
#include "report/study_results.h"
#include "report/sweep_table.h"
#include "train/json_text.h"

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for a sweep");
}

static void say_grid(const wispi_grid *grid, wispi_text *out)
{
    wispi_text_printf(out, "%s\n\n", grid->path);
    for (int32_t i = 0; i < grid->n_axes; i++) {
        const wispi_axis *axis = &grid->axes[i];
        wispi_text_printf(out, "%s:", axis->key);
        for (int32_t j = 0; j < axis->n; j++)
            wispi_text_printf(out, "%s %s", j ? "," : "", axis->values[j]);
        wispi_text_append(out, "\n");
    }
}

static wisp_status write_sweep(wispi_study_call *call, const wispi_grid *grid, const json_t *sweep,
                               wispi_text *out, wisp_error *err)
{
    WISP_TRY(wispi_study_write_json(&call->study, "sweep.json", sweep, err));
    if (call->format == WISP_FORMAT_TEXT) {
        wispi_sweep_say(grid, sweep, out);
        return WISP_OK;
    }
    return wispi_json_append(sweep, out, err);
}

static wisp_status conclude(wispi_study_call *call, void *user, wispi_text *out, wisp_error *err)
{
    const wispi_grid *grid = user;
    wispi_study_results results = {0};
    json_t *sweep = NULL;
    WISP_TRY(wispi_study_results_read(&call->study, &results, err));
    wisp_status status = wispi_sweep_make(grid, &results, &sweep, err);
    if (status == WISP_OK)
        status = write_sweep(call, grid, sweep, out, err);
    json_decref(sweep);
    wispi_study_results_free(&results);
    return status;
}

static wisp_status sweep(wispi_study_call *call, const char *const *arguments, int32_t n,
                         wispi_text *out, wisp_study_outcome *outcome, wisp_error *err)
{
    wispi_grid grid = {0};
    wispi_arms arms = {0};
    wispi_text words = {0};
    if (call->options.seed_offset)
        return wisp_fail(err, WISP_E_CONFIG, "--seed-offset is for compare");
    WISP_TRY(wispi_grid_parse(arguments, n, call->arena, &grid, err));
    WISP_TRY(wispi_grid_arms(&grid, call->arena, &arms, err));
    const char *stem = wispi_file_stem(grid.path, call->arena);
    const char *name = stem ? wispi_arena_printf(call->arena, "%s-sweep", stem) : NULL;
    if (!name)
        return no_memory(err);
    WISP_TRY(wispi_study_call_open(call, &arms, "3", name, err));
    say_grid(&grid, &words);
    const wisp_status status =
        wispi_study_call_work(call, &words, conclude, &grid, out, outcome, err);
    wispi_text_free(&words);
    return status;
}

wisp_status wisp_runtime_sweep(wisp_runtime *runtime, const char *const *arguments,
                               int32_t n_arguments, const wisp_study_options *options,
                               int32_t format, char **text, wisp_study_outcome *outcome,
                               wisp_error *err)
{
    const wispi_study_verb verb = {sweep, arguments, n_arguments};
    return wispi_study_call_make(runtime, &verb, options, format, text, outcome, err);
}
