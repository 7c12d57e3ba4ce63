#include "train/checkpoint.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "train/safetensors.h"

enum { PATH_BYTES = 1200, FACTS_BYTES = 700 + 44 * (WISPI_HEALTH_SIGNS + 1) };

static void checkpoint_path(char *path, const char *folder, const char *name)
{
    snprintf(path, PATH_BYTES, "%s/checkpoints/%s.safetensors", folder, name);
}

/* --- writing --- */

/* A list: whether the run has warned, then two numbers for each sign. */
static void health_text(char *text, size_t bytes, const wispi_health_state *health)
{
    size_t n = (size_t)snprintf(text, bytes, "%d", health->was_told);
    for (int32_t i = 0; i < health->n && n < bytes; i++)
        n += (size_t)snprintf(text + n, bytes - n, ", %lld, %lld",
                              (long long)health->stays[i].since, (long long)health->stays[i].count);
}

static void facts_text(char *text, const wispi_checkpoint_facts *facts)
{
    char health[44 * (WISPI_HEALTH_SIGNS + 1)];
    health_text(health, sizeof health, &facts->health);
    const wispi_metric_log_position *p = &facts->position;
    snprintf(
        text, FACTS_BYTES,
        "{\"step\": %lld, \"pixels\": %lld, \"seconds\": %.17g, \"best\": %.17g, \"has_best\": %d, "
        "\"probes_due\": %d, \"tasks_step\": %lld, \"fingerprint\": \"%016llx\", "
        "\"metrics_bytes\": %lld, \"events_bytes\": %lld, \"timing_bytes\": %lld, "
        "\"events_name\": \"%s\", \"health\": [%s]}",
        (long long)facts->step, (long long)facts->pixels, facts->seconds,
        isnan(facts->best) ? 0.0 : facts->best, !isnan(facts->best), facts->probes_due,
        (long long)facts->tasks_step, (unsigned long long)facts->fingerprint,
        (long long)p->metrics_bytes, (long long)p->events_bytes, (long long)p->timing_bytes,
        p->events_name, health);
}

/* Weights that are not finite are lost: nobody can go on from them. */
static wisp_status check_weights(const wispi_stored_tensor *stored, const wispi_model_tensor *t,
                                 int64_t step, wisp_error *err)
{
    if (t->desc->dtype != WISP_F32 ||
        (t->role != WISPI_ROLE_PARAMETER && t->role != WISPI_ROLE_BUFFER))
        return WISP_OK;
    const float *values = stored->data;
    int64_t n = wisp_desc_count(t->desc);
    int finite = 1;
    for (int64_t i = 0; i < n; i++)
        finite &= isfinite(values[i]) != 0;
    if (finite)
        return WISP_OK;
    return wisp_fail(err, WISP_E_NONFINITE,
                     "%s is not finite after step %lld: training stops, the last checkpoint stays "
                     "as it is. Run again with --check-finite to see which operation it was; a "
                     "smaller learning rate or gradient clipping is the usual cure",
                     t->name, (long long)step);
}

/* Copies every tensor to the host where the device's memory is not visible there. */
static wisp_status gather(const wispi_model *model, wispi_stored_tensor *tensors, void **copies,
                          wisp_error *err)
{
    wispi_device *device = wispi_model_device(model);
    WISP_TRY(wispi_device_sync(device, err));
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(model, i);
        tensors[i] = (wispi_stored_tensor){t->name, *t->desc, t->variable->data};
        if (wispi_device_host_visible(device))
            continue;
        copies[i] = wispi_alloc((size_t)wisp_desc_bytes(t->desc) + 1);
        if (!copies[i])
            return wisp_fail(err, WISP_E_NOMEM, "no memory to write %s to a checkpoint", t->name);
        WISP_TRY(wispi_variable_read(device, t->variable, copies[i], err));
        tensors[i].data = copies[i];
    }
    return WISP_OK;
}

wisp_status wispi_checkpoint_write(const char *folder, const char *name, const wispi_model *model,
                                   const wispi_checkpoint_facts *facts, wisp_error *err)
{
    char path[PATH_BYTES], text[FACTS_BYTES];
    int32_t n = wispi_model_tensor_count(model);
    wispi_stored_tensor *tensors = wispi_alloc_array((size_t)n + 1, sizeof *tensors);
    void **copies = wispi_alloc_array((size_t)n + 1, sizeof *copies);
    wisp_status status = tensors && copies
                             ? gather(model, tensors, copies, err)
                             : wisp_fail(err, WISP_E_NOMEM, "no memory for a checkpoint");
    for (int32_t i = 0; i < n && status == WISP_OK; i++)
        status = check_weights(&tensors[i], wispi_model_tensor_at(model, i), facts->step, err);
    if (status == WISP_OK) {
        facts_text(text, facts);
        wispi_stored_text texts[5] = {{"format", WISPI_CHECKPOINT_FORMAT},
                                      {"wisp.version", WISP_VERSION},
                                      {"wisp.facts", text}};
        int64_t n_texts = 3;
        if (facts->evaluated)
            texts[n_texts++] = (wispi_stored_text){WISPI_TEXT_EVALUATED, facts->evaluated};
        if (facts->results)
            texts[n_texts++] = (wispi_stored_text){"wisp.results", facts->results};
        checkpoint_path(path, folder, name);
        status = wispi_safetensors_write(path, tensors, n, texts, n_texts, err);
    }
    for (int32_t i = 0; copies && i < n; i++)
        wispi_free(copies[i]);
    wispi_free(copies);
    wispi_free(tensors);
    return status;
}

/* A second name for a file, put in place by a rename, so that whatever was called `to` is whole at
 * every moment. */
static wisp_status name_again(const char *from, const char *to, wisp_error *err)
{
    char fresh[PATH_BYTES + 8];
    snprintf(fresh, sizeof fresh, "%s.new", to);
    unlink(fresh);
    if (link(from, fresh) != 0)
        return errno == ENOENT ? wisp_fail(err, WISP_E_NOT_FOUND, "there is no %s", from)
                               : wisp_fail(err, WISP_E_UNSUPPORTED, "%s", strerror(errno));
    if (rename(fresh, to) != 0)
        return wisp_fail(err, WISP_E_IO, "%s: %s", to, strerror(errno));
    unlink(fresh); /* it is still there when both were names of the same file already */
    return WISP_OK;
}

/* One of the two is whole at every moment. */
static wisp_status keep_previous(const char *folder, wisp_error *err)
{
    char last[PATH_BYTES], previous[PATH_BYTES];
    wisp_error cause = {0};
    checkpoint_path(last, folder, "last");
    checkpoint_path(previous, folder, "previous");
    const wisp_status status = name_again(last, previous, &cause);
    if (status == WISP_OK || status == WISP_E_NOT_FOUND)
        return WISP_OK;
    /* A file system without links: for a moment only `previous` is there. */
    if (status == WISP_E_UNSUPPORTED && rename(last, previous) == 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_IO, "%s: %s", last, cause.message);
}

/* A file system without links has copies instead. */
static wisp_status name_or_copy(const char *folder, const char *from, const char *to,
                                wisp_error *err)
{
    char source[PATH_BYTES], target[PATH_BYTES];
    uint8_t *data = NULL;
    size_t n = 0;
    checkpoint_path(source, folder, from);
    checkpoint_path(target, folder, to);
    wisp_status status = name_again(source, target, err);
    if (status != WISP_E_UNSUPPORTED)
        return status;
    WISP_TRY(wispi_file_read(source, SIZE_MAX / 2, &data, &n, err));
    status = wispi_file_replace(target, data, n, err);
    wispi_free(data);
    return status;
}

wisp_status wispi_checkpoint_keep_healthy(const char *folder, wisp_error *err)
{
    return name_or_copy(folder, "last", "healthy", err);
}

wisp_status wispi_checkpoint_advance(const char *folder, const wispi_model *model,
                                     const wispi_checkpoint_facts *facts, wisp_error *err)
{
    char next[PATH_BYTES], last[PATH_BYTES];
    wisp_error cause = {0};
    checkpoint_path(next, folder, "next");
    checkpoint_path(last, folder, "last");
    wisp_status status = wispi_checkpoint_write(folder, "next", model, facts, &cause);
    if (status == WISP_OK)
        status = keep_previous(folder, &cause);
    if (status == WISP_OK)
        status = wispi_file_rename(next, last, &cause);
    if (status == WISP_E_IO)
        return wisp_fail(err, status,
                         "%s. The checkpoint before stays as it is: make room or mend the disk, "
                         "then the same command goes on from there",
                         cause.message);
    return status == WISP_OK ? WISP_OK : wisp_fail(err, status, "%s", cause.message);
}

/* --- reading --- */

static int64_t integer_of(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

/* The file's hash is right, so what cannot be read is not damaged. */
static wisp_status load_facts(const char *path, const wispi_safetensors *file, json_t **object,
                              wisp_error *err)
{
    const char *text = wispi_safetensors_text(file, "wisp.facts");
    const char *format = wispi_safetensors_text(file, "format");
    if (!text || !format || strcmp(format, WISPI_CHECKPOINT_FORMAT) != 0)
        return wisp_fail(err, WISP_E_CORRUPT, "%s: not a checkpoint of this version of wisp", path);
    *object = json_loads(text, 0, NULL);
    return *object ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its facts", path);
}

static void read_health(const json_t *list, wispi_health_state *health)
{
    const size_t n = json_array_size(list) / 2;
    health->was_told = json_integer_value(json_array_get(list, 0)) != 0;
    health->n = (int32_t)(n < WISPI_HEALTH_SIGNS ? n : WISPI_HEALTH_SIGNS);
    for (size_t i = 0; i < (size_t)health->n; i++) {
        health->stays[i].since = json_integer_value(json_array_get(list, 1 + 2 * i));
        health->stays[i].count = json_integer_value(json_array_get(list, 2 + 2 * i));
    }
}

static wisp_status read_facts(const char *path, const wispi_safetensors *file,
                              wispi_checkpoint_facts *facts, wisp_error *err)
{
    json_t *object = NULL;
    WISP_TRY(load_facts(path, file, &object, err));
    memset(facts, 0, sizeof *facts);
    facts->step = integer_of(object, "step");
    facts->pixels = integer_of(object, "pixels");
    facts->seconds = json_number_value(json_object_get(object, "seconds"));
    facts->best =
        integer_of(object, "has_best") ? json_number_value(json_object_get(object, "best")) : NAN;
    facts->probes_due = (int32_t)integer_of(object, "probes_due");
    facts->tasks_step = integer_of(object, "tasks_step");
    const char *fingerprint = json_string_value(json_object_get(object, "fingerprint"));
    facts->fingerprint = fingerprint ? strtoull(fingerprint, NULL, 16) : 0;
    facts->position.metrics_bytes = integer_of(object, "metrics_bytes");
    facts->position.events_bytes = integer_of(object, "events_bytes");
    facts->position.timing_bytes = integer_of(object, "timing_bytes");
    const char *events = json_string_value(json_object_get(object, "events_name"));
    snprintf(facts->position.events_name, sizeof facts->position.events_name, "%s",
             events ? events : "");
    read_health(json_object_get(object, "health"), &facts->health);
    const char *results = wispi_safetensors_text(file, "wisp.results");
    facts->results = results ? strdup(results) : NULL;
    json_decref(object);
    if (results && !facts->results)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its results", path);
    return WISP_OK;
}

static wisp_status check_tensor(const char *path, const wispi_safetensors *file,
                                const wispi_model_tensor *wanted, const wispi_stored_tensor **found,
                                wisp_error *err)
{
    char have[96], want[96];
    *found = wispi_safetensors_find(file, wanted->name);
    if (!*found)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "%s: it holds no tensor %s: it was written by another configuration", path,
                         wanted->name);
    if (memcmp(&(*found)->desc, wanted->desc, sizeof *wanted->desc) != 0)
        return wisp_fail(
            err, WISP_E_CORRUPT,
            "%s: %s is %s %s there and %s %s here: it was written by another configuration", path,
            wanted->name, wisp_dtype_name((*found)->desc.dtype),
            wispi_shape_text(&(*found)->desc, have, sizeof have),
            wisp_dtype_name(wanted->desc->dtype),
            wispi_shape_text(wanted->desc, want, sizeof want));
    return WISP_OK;
}

static int is_weight(const wispi_model_tensor *tensor)
{
    return tensor->role == WISPI_ROLE_PARAMETER || tensor->role == WISPI_ROLE_BUFFER;
}

static int is_below(const wispi_model_tensor *tensor, const wisp_module *module)
{
    const char *path = wispi_module_path(module);
    size_t n = strlen(path);
    return is_weight(tensor) && strncmp(tensor->name, path, n) == 0 && tensor->name[n] == '.';
}

enum { LOAD_ALL = 0, LOAD_WEIGHTS = 1 };

/* All are checked before the first is written: a file that does not fit changes nothing. `only`
 * NULL: everything, or all weights. */
static wisp_status load_tensors(const char *path, const wispi_safetensors *file, wispi_model *model,
                                int what, const wisp_module *only, wisp_error *err)
{
    const wispi_stored_tensor *found = NULL;
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < wispi_model_tensor_count(model); i++) {
            const wispi_model_tensor *t = wispi_model_tensor_at(model, i);
            if ((only && !is_below(t, only)) || (what == LOAD_WEIGHTS && !is_weight(t)))
                continue;
            WISP_TRY(check_tensor(path, file, t, &found, err));
            if (pass == 1)
                WISP_TRY(
                    wispi_variable_write(wispi_model_device(model), t->variable, found->data, err));
        }
    }
    return WISP_OK;
}

static wisp_status facts_of(const char *folder, const char *name, wispi_checkpoint_facts *facts,
                            wisp_error *err)
{
    char path[PATH_BYTES];
    wispi_safetensors *file = NULL;
    wispi_checkpoint_facts read;
    checkpoint_path(path, folder, name);
    WISP_TRY(wispi_safetensors_open(path, 1, &file, err));
    wisp_status status = read_facts(path, file, &read, err);
    if (status == WISP_OK)
        *facts = read;
    wispi_safetensors_close(file);
    return status;
}

wisp_status wispi_checkpoint_read_facts(const char *folder, wispi_checkpoint_facts *facts,
                                        wisp_error *err)
{
    return facts_of(folder, "last", facts, err);
}

/* The last one goes last: until then it can be gone on from as ever. */
wisp_status wispi_checkpoint_return_to_healthy(const char *folder, int64_t *step, wisp_error *err)
{
    wispi_checkpoint_facts facts;
    WISP_TRY(facts_of(folder, "healthy", &facts, err));
    free(facts.results);
    WISP_TRY(name_or_copy(folder, "healthy", "previous", err));
    WISP_TRY(name_or_copy(folder, "healthy", "last", err));
    *step = facts.step;
    return WISP_OK;
}

static wisp_status resume_from(const char *folder, const char *name, wispi_model *model,
                               wispi_checkpoint_facts *facts, wisp_error *err)
{
    char path[PATH_BYTES];
    wispi_safetensors *file = NULL;
    wispi_checkpoint_facts read;
    checkpoint_path(path, folder, name);
    WISP_TRY(wispi_safetensors_open(path, 1, &file, err));
    wisp_status status = read_facts(path, file, &read, err);
    if (status == WISP_OK) {
        status = load_tensors(path, file, model, LOAD_ALL, NULL, err);
        if (status == WISP_OK)
            *facts = read;
        else
            free(read.results);
    }
    wispi_safetensors_close(file);
    return status;
}

/* Only what is wrong with the file itself makes the one before it the better choice. */
static int is_refused(wisp_status status)
{
    return status == WISP_E_CORRUPT || status == WISP_E_IO;
}

/* A refused file must never become the previous one. It stays under another name, for whoever wants
 * to know what happened. */
static wisp_status set_aside(const char *folder, const wisp_error *why, wisp_error *err)
{
    char last[PATH_BYTES], refused[PATH_BYTES];
    checkpoint_path(last, folder, "last");
    checkpoint_path(refused, folder, "refused");
    if (rename(last, refused) != 0)
        return wisp_fail(err, WISP_E_IO, "cannot rename %s: %s", last, strerror(errno));
    wispi_log(WISP_LOG_WARNING,
              "the last checkpoint is refused and renamed to refused.safetensors, the one before "
              "it is used: %s",
              why->message);
    return WISP_OK;
}

wisp_status wispi_checkpoint_resume(const char *folder, wispi_model *model,
                                    wispi_checkpoint_facts *facts, wisp_error *err)
{
    wisp_error first = {0}, second = {0};
    wisp_status status = resume_from(folder, "last", model, facts, &first);
    if (status == WISP_OK)
        return WISP_OK;
    if (status == WISP_E_NOT_FOUND)
        return resume_from(folder, "previous", model, facts, err);
    if (!is_refused(status))
        return wisp_fail(err, status, "%s", first.message);
    if (resume_from(folder, "previous", model, facts, &second) == WISP_OK)
        return set_aside(folder, &first, err);
    return wisp_fail(err, WISP_E_CORRUPT,
                     "no checkpoint can be used: %.500s; and the one before it: %.500s. Both stay "
                     "as they are: put a good copy in their place, or change run.name to start "
                     "anew",
                     first.message, second.message);
}

wisp_status wispi_checkpoint_load_weights(const char *path, wispi_model *model,
                                          const wisp_module *module, wisp_error *err)
{
    wispi_safetensors *file = NULL;
    WISP_TRY(wispi_safetensors_open(path, 0, &file, err));
    wisp_status status = load_tensors(path, file, model, LOAD_WEIGHTS, module, err);
    wispi_safetensors_close(file);
    return status;
}
