#include "report/run_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "report/jsonl.h"
#include "train/checkpoint.h"
#include "train/json_text.h"
#include "train/run_folder.h"

enum {
    PATH_BYTES = 1200,
    MOST_CURVES = 4096,
    LONGEST_NAME = 256,
    MOST_MANIFEST_BYTES = 16 * 1024 * 1024
};

/* --- curves --- */

static wispi_curve *find_curve(const wispi_run_data *data, const char *name)
{
    for (int32_t i = 0; i < data->n_curves; i++)
        if (strcmp(data->curves[i].name, name) == 0)
            return &data->curves[i];
    return NULL;
}

static wisp_status no_memory(const wispi_jsonl_place *place, wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its numbers", place->path);
}

static wisp_status add_curve(wispi_run_data *data, const char *name, const wispi_jsonl_place *place,
                             wispi_curve **curve, wisp_error *err)
{
    const size_t n = (size_t)data->n_curves, size = sizeof *data->curves;
    if (n == MOST_CURVES)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "%s:%lld: more than %d numbers have names of their "
                         "own",
                         place->path, (long long)place->line, MOST_CURVES);
    if ((n & (n - 1)) == 0) { /* room for 1, 2, 4 ... */
        wispi_curve *more = wispi_grow(data->curves, n * size, (n ? 2 * n : 1) * size);
        if (!more)
            return no_memory(place, err);
        data->curves = more;
    }
    wispi_curve *added = &data->curves[n];
    memset(added, 0, size);
    added->name = wispi_copy_text(name);
    if (!added->name)
        return no_memory(place, err);
    data->n_curves++;
    *curve = added;
    return WISP_OK;
}

static wisp_status add_point(wispi_curve *curve, const wispi_curve_point *point,
                             const wispi_jsonl_place *place, wisp_error *err)
{
    const wispi_curve_point *last = curve->n ? &curve->points[curve->n - 1] : NULL;
    if (last && point->step < last->step)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "%s:%lld: %s at step %lld comes after step %lld: these are not the lines "
                         "of one run",
                         place->path, (long long)place->line, curve->name, (long long)point->step,
                         (long long)last->step);
    if (last && point->step == last->step)
        curve->n--; /* judged again, which replaces it */
    if (curve->n == curve->capacity) {
        const int64_t room = curve->capacity ? 2 * curve->capacity : 16;
        void *more = wispi_grow(curve->points, (size_t)curve->capacity * sizeof *point,
                                (size_t)room * sizeof *point);
        if (!more)
            return no_memory(place, err);
        curve->points = more;
        curve->capacity = room;
    }
    curve->points[curve->n++] = *point;
    return WISP_OK;
}

static double number_of(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static wisp_status add_value(wispi_run_data *data, const char *kind, const char *key,
                             const wispi_curve_point *point, json_t *protocol,
                             const wispi_jsonl_place *place, wisp_error *err)
{
    char name[LONGEST_NAME];
    if (snprintf(name, sizeof name, "%s/%s", kind, key) >= (int)sizeof name)
        return wisp_fail(err, WISP_E_CORRUPT, "%s:%lld: a name of more than %d bytes", place->path,
                         (long long)place->line, LONGEST_NAME - 1);
    wispi_curve *curve = find_curve(data, name);
    if (!curve)
        WISP_TRY(add_curve(data, name, place, &curve, err));
    WISP_TRY(add_point(curve, point, place, err));
    json_decref(curve->protocol);
    curve->protocol = json_is_object(protocol) ? json_incref(protocol) : NULL;
    return WISP_OK;
}

static int is_value(const char *key, const json_t *value)
{
    static const char *const others[] = {"kind", "epoch", "step", "pixels", "protocol"};
    for (size_t i = 0; i < WISP_COUNT(others); i++)
        if (strcmp(key, others[i]) == 0)
            return 0;
    return json_is_number(value) || json_is_null(value);
}

static wisp_status take_position(const json_t *object, const char *key, int64_t *out,
                                 const wispi_jsonl_place *place, wisp_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return wisp_fail(err, WISP_E_CORRUPT, "%s:%lld: \"%s\" must be a whole number from 0 on",
                         place->path, (long long)place->line, key);
    *out = json_integer_value(value);
    return WISP_OK;
}

static wisp_status take_line(wispi_run_data *data, const char *kind, json_t *object,
                             const wispi_jsonl_place *place, wisp_error *err)
{
    const char *key;
    json_t *value;
    int64_t epoch = 0;
    wispi_curve_point point = {.pixels = number_of(json_object_get(object, "pixels"))};
    WISP_TRY(take_position(object, "step", &point.step, place, err));
    WISP_TRY(take_position(object, "epoch", &epoch, place, err));
    point.epoch = (double)epoch;
    json_object_foreach(object, key, value)
    {
        point.value = number_of(value);
        if (is_value(key, value))
            WISP_TRY(add_value(data, kind, key, &point, json_object_get(object, "protocol"), place,
                               err));
    }
    return WISP_OK;
}

static wisp_status keep_health(wispi_run_data *data, json_t *object, const wispi_jsonl_place *place,
                               wisp_error *err)
{
    if (!data->health)
        data->health = json_array();
    return json_array_append(data->health, object) == 0 ? WISP_OK : no_memory(place, err);
}

static wisp_status take_metric_line(void *user, json_t *object, const wispi_jsonl_place *place,
                                    wisp_error *err)
{
    wispi_run_data *data = user;
    const char *kind = json_string_value(json_object_get(object, "kind"));
    if (!kind)
        return wisp_fail(err, WISP_E_CORRUPT, "%s:%lld: the line has no \"kind\"", place->path,
                         (long long)place->line);
    /* Both stand behind everything else, so a later line means that the run has gone on. */
    data->is_done = strcmp(kind, "task") == 0 || strcmp(kind, "best_probe") == 0;
    if (strcmp(kind, "health") == 0)
        WISP_TRY(keep_health(data, object, place, err));
    return take_line(data, kind, object, place, err);
}

static wisp_status take_timing_line(void *user, json_t *object, const wispi_jsonl_place *place,
                                    wisp_error *err)
{
    return take_line(user, "timing", object, place, err);
}

/* --- results --- */

static int is_result(const wispi_curve *curve, const char **kind)
{
    static const char *const kinds[] = {"raw_pixels", "untrained", "probe", "best_probe", "task"};
    for (size_t i = 0; i < WISP_COUNT(kinds); i++) {
        const size_t n = strlen(kinds[i]);
        if (strncmp(curve->name, kinds[i], n) == 0 && curve->name[n] == '/') {
            *kind = kinds[i];
            return 1;
        }
    }
    return 0;
}

static wisp_status find_results(wispi_run_data *data, wisp_error *err)
{
    const char *kind;
    data->results = wispi_alloc_array((size_t)data->n_curves, sizeof *data->results);
    if (!data->results)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its results", data->folder);
    for (int32_t i = 0; i < data->n_curves; i++) {
        const wispi_curve *curve = &data->curves[i];
        const wispi_curve_point *last = &curve->points[curve->n - 1];
        if (is_result(curve, &kind))
            data->results[data->n_results++] =
                (wispi_run_result){kind,        curve->name + strlen(kind) + 1,
                                   last->step,  last->epoch,
                                   last->value, curve->protocol};
    }
    return WISP_OK;
}

/* A run without probes and tasks leaves no line at its end; its checkpoint knows. While it goes on
 * that is not opened: it may be large, and a live page asks every second. */
static int ends_unsaid(const wispi_run_data *data)
{
    wispi_checkpoint_facts facts = {0};
    wisp_error ignored;
    if (data->n_results > 0 || data->is_damaged || wispi_run_folder_is_locked(data->folder))
        return 0;
    if (wispi_checkpoint_read_facts(data->folder, &facts, &ignored) != WISP_OK)
        return 0;
    free(facts.results);
    return facts.step > 0 && facts.tasks_step == facts.step;
}

/* --- the folder --- */

static wisp_status join(const wispi_run_data *data, const char *name, char path[PATH_BYTES],
                        wisp_error *err)
{
    if (wispi_path_join(path, PATH_BYTES, data->folder, name) != WISP_OK)
        return wisp_fail(err, WISP_E_INVALID, "%.200s...: the path is too long", data->folder);
    return WISP_OK;
}

static int64_t integer_or(const wispi_node *table, const char *key, int64_t otherwise)
{
    const wispi_node *node = wispi_node_find(table, key);
    return node && node->type == WISPI_NODE_INTEGER ? node->integer : otherwise;
}

static wisp_status read_config(wispi_run_data *data, wisp_error *err)
{
    char path[PATH_BYTES];
    uint8_t *text = NULL;
    size_t n = 0;
    WISP_TRY(join(data, "config.toml", path, err));
    wisp_status status = wispi_file_read(path, 1 << 20, &text, &n, err);
    if (status == WISP_E_NOT_FOUND)
        return wisp_fail(err, status, "%.900s: not a run folder: it has no config.toml",
                         data->folder);
    WISP_TRY(status);
    data->config_text = (char *)text;
    WISP_TRY(wispi_config_parse_text(path, data->config_text, NULL, 0, &data->config, err));
    const wispi_node *run = wispi_node_find(wispi_config_root(data->config), "run");
    const wispi_node *name = wispi_node_find(run, "name");
    data->name = wispi_copy_text(name && name->type == WISPI_NODE_STRING ? name->string : "");
    data->seed = integer_or(run, "seed", 0);
    data->epochs = integer_or(run, "epochs", 0);
    data->batch = integer_or(run, "batch", 0);
    return data->name ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "%s: no memory for it", path);
}

static wisp_status read_manifest(wispi_run_data *data, wisp_error *err)
{
    char path[PATH_BYTES];
    uint8_t *text = NULL;
    size_t n = 0;
    json_error_t why;
    WISP_TRY(join(data, "manifest.json", path, err));
    wisp_status status = wispi_file_read(path, MOST_MANIFEST_BYTES, &text, &n, err);
    if (status == WISP_E_NOT_FOUND)
        return WISP_OK;
    WISP_TRY(status);
    data->manifest = json_loadb((const char *)text, n, 0, &why);
    wispi_free(text);
    if (!data->manifest)
        return wisp_fail(err, WISP_E_CORRUPT, "%s:%d: %.200s", path, why.line, why.text);
    if (json_is_object(data->manifest))
        return WISP_OK;
    json_decref(data->manifest);
    data->manifest = NULL;
    return wisp_fail(err, WISP_E_CORRUPT, "%s: not a JSON object", path);
}

static wisp_status read_lines(wispi_run_data *data, const char *name, wispi_jsonl_visit visit,
                              wisp_error *err)
{
    char path[PATH_BYTES];
    WISP_TRY(join(data, name, path, err));
    return wispi_jsonl_read(path, visit, data, err);
}

/* A file that is damaged costs what it would have told, and not the run. */
static wisp_status pass_over(wispi_run_data *data, wisp_status status, const wisp_error *cause,
                             wisp_error *err)
{
    if (status == WISP_OK)
        return WISP_OK;
    if (status == WISP_E_NOMEM ||
        json_array_append_new(data->notes, wispi_json_string(cause->message)) != 0)
        return wisp_fail(err, WISP_E_NOMEM, "%.900s: no memory for it", data->folder);
    return WISP_OK;
}

static wisp_status read_metrics(wispi_run_data *data, wisp_error *err)
{
    wisp_error cause = {0};
    const wisp_status status = read_lines(data, "metrics.jsonl", take_metric_line, &cause);
    data->is_damaged = status != WISP_OK;
    data->is_done &= !data->is_damaged;
    return pass_over(data, status, &cause, err);
}

/* Epochs as the lines have them are whole, and those of evaluations rounded up. */
static void place_points(wispi_run_data *data)
{
    const json_t *steps = json_object_get(data->manifest, "steps_per_epoch");
    const double of_epoch = (double)json_integer_value(steps);
    for (int32_t i = 0; of_epoch > 0 && i < data->n_curves; i++)
        for (int64_t k = 0; k < data->curves[i].n; k++)
            data->curves[i].points[k].epoch = (double)data->curves[i].points[k].step / of_epoch;
}

static wisp_status read_all(wispi_run_data *data, wisp_error *err)
{
    wisp_error cause = {0};
    data->notes = json_array();
    WISP_TRY(read_config(data, err));
    WISP_TRY(pass_over(data, read_manifest(data, &cause), &cause, err));
    WISP_TRY(read_metrics(data, err));
    WISP_TRY(
        pass_over(data, read_lines(data, "timing.jsonl", take_timing_line, &cause), &cause, err));
    place_points(data);
    WISP_TRY(find_results(data, err));
    data->is_done = data->is_done || ends_unsaid(data);
    return WISP_OK;
}

wisp_status wispi_run_data_read(const char *folder, wispi_run_data **data, wisp_error *err)
{
    wispi_run_data *made = wispi_alloc(sizeof *made);
    if (made)
        made->folder = wispi_copy_text(folder);
    wisp_status status = made && made->folder
                             ? read_all(made, err)
                             : wisp_fail(err, WISP_E_NOMEM, "no memory to read a run");
    if (status == WISP_OK)
        *data = made;
    else
        wispi_run_data_free(made);
    return status;
}

void wispi_run_data_free(wispi_run_data *data)
{
    if (!data)
        return;
    for (int32_t i = 0; i < data->n_curves; i++) {
        wispi_free(data->curves[i].name);
        wispi_free(data->curves[i].points);
        json_decref(data->curves[i].protocol);
    }
    wispi_free(data->curves);
    wispi_free(data->results);
    json_decref(data->health);
    json_decref(data->manifest);
    json_decref(data->notes);
    wispi_config_destroy(data->config);
    wispi_free(data->config_text);
    wispi_free(data->name);
    wispi_free(data->folder);
    wispi_free(data);
}

const wispi_curve *wispi_run_data_curve(const wispi_run_data *data, const char *name)
{
    return find_curve(data, name);
}

const wispi_run_result *wispi_run_data_result(const wispi_run_data *data, const char *kind,
                                              const char *metric)
{
    for (int32_t i = 0; i < data->n_results; i++)
        if (strcmp(data->results[i].kind, kind) == 0 &&
            strcmp(data->results[i].metric, metric) == 0)
            return &data->results[i];
    return NULL;
}

double wispi_run_data_minutes(const wispi_run_data *data, int64_t step)
{
    const wispi_curve *curve = find_curve(data, "timing/minutes");
    for (int64_t i = 0; curve && i < curve->n; i++)
        if (curve->points[i].step == step)
            return curve->points[i].value;
    return NAN;
}
