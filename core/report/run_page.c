#include "report/run_page.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "report/config_changes.h"
#include "report/confusion_view.h"
#include "report/data_uri.h"
#include "train/json_number.h"
#include "report/run_data.h"
#include "report/run_pictures.h"
#include "report/view_sheet.h"
#include "train/json_text.h"
#include "train/run_folder.h"

/* A curve has no more points than this on a page: a screen has no more pixels. */
enum { MOST_POINTS = 2000 };

/* Plans that are counted, and source images that are shown. */
enum { PLANS = 2000, SHOWN = 3 };

/* What a run lacks is no reason to have no report. Lack of memory and being stopped are. */
static wisp_status tell(const wispi_report_request *request, const wispi_report_run *run,
                        const char *what, wisp_status status, const wisp_error *cause,
                        json_t *notes, wisp_error *err)
{
    if (status == WISP_OK)
        return WISP_OK;
    if (status == WISP_E_NOMEM || status == WISP_E_STOPPED)
        return wisp_fail(err, status, "%s", cause->message);
    wispi_text note = {0};
    wispi_text_printf(&note, "no %s: %s", what, cause->message);
    wispi_report_warn(request->warnings, "%s: the report shows no %s: %s", run->folder, what,
                      cause->message);
    const int is_kept =
        !note.failed && json_array_append_new(notes, wispi_json_string(note.data)) == 0;
    wispi_text_free(&note);
    return is_kept ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for a report");
}

/* --- curves and results --- */

/* Evenly thinned, the last point always there. */
static json_t *curve_json(const wispi_curve *curve)
{
    json_t *step = json_array(), *epoch = json_array(), *value = json_array();
    json_t *pixels = json_array();
    const int64_t shown = curve->n < MOST_POINTS ? curve->n : MOST_POINTS;
    int has_pixels = shown > 0;
    for (int64_t i = 0; i < shown; i++) {
        const int64_t at = shown > 1 ? i * (curve->n - 1) / (shown - 1) : 0;
        const wispi_curve_point *p = &curve->points[at];
        json_array_append_new(step, json_integer(p->step));
        json_array_append_new(epoch, json_real(p->epoch));
        json_array_append_new(value, wispi_json_number(p->value));
        json_array_append_new(pixels, wispi_json_number(p->pixels));
        has_pixels &= isfinite(p->pixels) != 0;
    }
    json_t *made = json_pack("{s:o, s:o, s:o, s:O*}", "step", step, "epoch", epoch, "value", value,
                             "pixels", has_pixels ? pixels : NULL);
    json_decref(pixels);
    return made;
}

static json_t *curves_json(const wispi_run_data *data)
{
    json_t *all = json_object();
    for (int32_t i = 0; i < data->n_curves; i++)
        json_object_set_new(all, data->curves[i].name, curve_json(&data->curves[i]));
    return all;
}

static json_t *results_json(const wispi_run_data *data)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < data->n_results; i++) {
        const wispi_run_result *r = &data->results[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o, s:f, s:O*}", "kind", r->kind, "metric",
                                        r->metric, "value", wispi_json_number(r->value), "epoch",
                                        r->epoch, "protocol", (json_t *)(uintptr_t)r->protocol));
    }
    return list;
}

/* --- views --- */

static wisp_status draw_views(const wispi_report_request *request, const wispi_report_run *run,
                              const wispi_experiment *experiment, json_t **views, wisp_error *err)
{
    const char *names[] = {run->label};
    const wispi_views_request wanted = {
        .experiments = &experiment, .names = names, .n = 1, .plans = PLANS, .stop = request->stop};
    wispi_views made = {0};
    uint8_t *png = NULL;
    size_t bytes = 0;
    wispi_text uri = {0};
    WISP_TRY(wispi_views_make(&wanted, &made, err));
    const wispi_sheet_request sheet = {
        .views = &made, .images = SHOWN, .small = 1, .stop = request->stop};
    wisp_status status = wispi_view_sheet_png(&sheet, &png, &bytes, err);
    if (status == WISP_OK)
        wispi_data_uri(&uri, "image/png", png, bytes);
    json_t *all = status == WISP_OK && !uri.failed ? json_pack("{s:s, s:o}", "sheet", uri.data,
                                                               "numbers", wispi_views_json(&made))
                                                   : NULL;
    if (status == WISP_OK && !all)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for the views");
    if (status == WISP_OK)
        *views = all;
    wispi_free(png);
    wispi_text_free(&uri);
    wispi_views_free(&made);
    return status;
}

static wisp_status make_views(const wispi_report_request *request, const wispi_report_run *run,
                              json_t **views, wisp_error *err)
{
    char path[WISPI_REPORT_PATH + 64];
    wispi_experiment *experiment = NULL;
    snprintf(path, sizeof path, "%.*s/config.toml", WISPI_REPORT_PATH, run->folder);
    WISP_TRY(wispi_experiment_load_views(request->registry, path, NULL, NULL, 0, &experiment, err));
    const wisp_status status = draw_views(request, run, experiment, views, err);
    wispi_experiment_destroy(experiment);
    return status;
}

/* --- all of it --- */

static wisp_status add_views(const wispi_report_request *request, const wispi_report_run *run,
                             json_t *page, json_t *notes, wisp_error *err)
{
    json_t *views = NULL;
    wisp_error cause = {0};
    const wisp_status status = make_views(request, run, &views, &cause);
    if (status == WISP_OK)
        json_object_set_new(page, "views", views);
    return tell(request, run, "views", status, &cause, notes, err);
}

static wisp_status add_changes(const wispi_report_request *request, const wispi_report_run *run,
                               const wispi_run_data *data, json_t *page, json_t *notes,
                               wisp_error *err)
{
    json_t *changes = NULL;
    wisp_error cause = {0};
    const wisp_status status =
        wispi_config_changes(request->registry, data->config, data->manifest, &changes, &cause);
    if (status == WISP_OK)
        json_object_set_new(page, "changes", changes);
    return tell(request, run, "list of changed settings", status, &cause, notes, err);
}

static wisp_status add_pictures(const wispi_report_request *request, const wispi_report_run *run,
                                json_t *pictures, json_t *notes, wisp_error *err)
{
    const wispi_pictures_request wanted = {
        request->registry, run->folder, request->images > 0 ? request->images : WISPI_REPORT_IMAGES,
        request->stop};
    json_t *made = NULL;
    wisp_error cause = {0};
    const wisp_status status = wispi_run_pictures(&wanted, &made, &cause);
    if (status == WISP_OK)
        json_object_update(pictures, made);
    json_decref(made);
    return tell(request, run, "pictures of what was learned", status, &cause, notes, err);
}

static wisp_status add_confusion(const wispi_report_request *request, const wispi_report_run *run,
                                 json_t *pictures, json_t *notes, wisp_error *err)
{
    json_t *view = NULL;
    wisp_error cause = {0};
    const wisp_status status = wispi_confusion_view(run->folder, &view, &cause);
    if (status == WISP_OK)
        json_object_set_new(pictures, "confusion", view);
    /* A run without labels has no such file. */
    return status == WISP_E_NOT_FOUND
               ? WISP_OK
               : tell(request, run, "confusion matrix", status, &cause, notes, err);
}

static wisp_status add_damage(const wispi_report_request *request, const wispi_run_data *data,
                              json_t *notes, wisp_error *err)
{
    size_t i;
    json_t *note;
    json_array_foreach(data->notes, i, note)
    {
        wispi_report_warn(request->warnings, "the report leaves out what is damaged: %s",
                          json_string_value(note));
        if (json_array_append(notes, note) != 0)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for a report");
    }
    return WISP_OK;
}

static wisp_status add_made(const wispi_report_request *request, const wispi_report_run *run,
                            const wispi_run_data *data, int with_pictures, json_t *page,
                            wisp_error *err)
{
    json_t *pictures = json_object(), *notes = json_array();
    wisp_status status = add_damage(request, data, notes, err);
    if (status == WISP_OK)
        status = add_confusion(request, run, pictures, notes, err);
    if (status == WISP_OK)
        status = add_changes(request, run, data, page, notes, err);
    if (status == WISP_OK && with_pictures)
        status = add_views(request, run, page, notes, err);
    if (status == WISP_OK && with_pictures)
        status = add_pictures(request, run, pictures, notes, err);
    if (json_object_size(pictures) > 0)
        json_object_set(page, "pictures", pictures);
    if (json_array_size(notes) > 0)
        json_object_set(page, "notes", notes);
    json_decref(pictures);
    json_decref(notes);
    return status;
}

static const char *state_of(const wispi_report_run *run, const wispi_run_data *data)
{
    if (data->is_done)
        return "done";
    return wispi_run_folder_is_locked(run->folder) ? "running" : "not finished";
}

static wisp_status tell_run(const wispi_report_run *run, const wispi_run_data *data, json_t **page,
                            wisp_error *err)
{
    json_t *made =
        json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:O*, s:O*}", "label",
                  wispi_json_string(run->label), "folder", wispi_json_string(run->folder), "state",
                  state_of(run, data), "curves", curves_json(data), "results", results_json(data),
                  "config", wispi_json_string(data->config_text), "environment", data->manifest,
                  "health", data->health);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a report");
    *page = made;
    return WISP_OK;
}

wisp_status wispi_run_page(const wispi_report_request *request, const wispi_report_run *run,
                           int with_pictures, json_t **page, wisp_error *err)
{
    wispi_run_data *data = NULL;
    json_t *made = NULL;
    WISP_TRY(wispi_run_data_read(run->folder, &data, err));
    wisp_status status = tell_run(run, data, &made, err);
    if (status == WISP_OK)
        status = add_made(request, run, data, with_pictures, made, err);
    wispi_run_data_free(data);
    if (status == WISP_OK)
        *page = made;
    else
        json_decref(made);
    return status;
}
