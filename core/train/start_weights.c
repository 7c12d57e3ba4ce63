#include "train/start_weights.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "tensor/op.h"
#include "train/checkpoint.h"
#include "train/exchange.h"
#include "train/json_text.h"
#include "train/safetensors.h"
#include "train/session.h"

enum { NAME_BYTES = 800, SHOWN = 4 };

/* Names for a message: the first few, and how many there are. */
typedef struct name_list {
    int32_t n;
    char text[180];
} name_list;

/* One [[init]] table at work. */
typedef struct start {
    const wispi_session *session;
    const wispi_init_settings *settings;
    char title[32]; /* "init.0" */
    wispi_exchange names;
    wispi_safetensors *file;
    uint8_t *used; /* of each of the file's tensors: the model has a place for it */
    wispi_start_record *record;
} start;

/* --- messages --- */

static wispi_place place_of(const start *s, const char *key)
{
    const wispi_node *table = s->settings->node, *value = wispi_node_find(table, key);
    if (value)
        return value->place;
    return table ? table->place : (wispi_place){NULL, 0, 0};
}

static void add_name(name_list *list, const char *name)
{
    const size_t used = strlen(list->text);
    if (list->n++ < SHOWN)
        snprintf(list->text + used, sizeof list->text - used, "%s%s", used ? ", " : "", name);
}

static void add_list(char *text, size_t bytes, const char *what, const name_list *list)
{
    const size_t used = strlen(text);
    if (list->n == 0)
        return;
    snprintf(text + used, bytes - used, "%s%s: %s", used ? "; " : "", what, list->text);
    if (list->n > SHOWN)
        snprintf(text + strlen(text), bytes - strlen(text), " and %d more", list->n - SHOWN);
}

/* --- names --- */

/* What remains of `name` below `path`: "" for the path itself, NULL when it lies elsewhere. */
static const char *below(const char *name, const char *path)
{
    const size_t n = strlen(path);
    if (n == 0)
        return name;
    if (strncmp(name, path, n) != 0 || (name[n] != '.' && name[n] != '\0'))
        return NULL;
    return name[n] ? name + n + 1 : name + n;
}

static void join(char out[NAME_BYTES], const char *path, const char *rest)
{
    snprintf(out, NAME_BYTES, "%s%s%s", path, path[0] && rest[0] ? "." : "", rest);
}

static int is_skipped(const start *s, const char *rest)
{
    const char *const *patterns = s->settings->skip.items;
    for (int64_t i = 0; i < s->settings->skip.count; i++)
        if (fnmatch(patterns[i], rest, 0) == 0)
            return 1;
    return 0;
}

/* PyTorch counts the batches of a batch norm; nothing here depends on that count. */
static int is_batch_count(const char *name)
{
    static const char last[] = "num_batches_tracked";
    const size_t n = strlen(name), m = sizeof last - 1;
    return n >= m && strcmp(name + n - m, last) == 0;
}

/* Where the file has what the model has at `rest` below `into`; 0: its library has no such thing,
 * so the first value stays. */
static int name_there(const start *s, const char *rest, char out[NAME_BYTES])
{
    char theirs[WISPI_EXCHANGE_NAME];
    wispi_exchange_name(&s->names, rest, theirs);
    join(out, s->record->from, theirs);
    return theirs[0] != '\0' || rest[0] == '\0';
}

static int is_weight(const wispi_model_tensor *t)
{
    return t->role == WISPI_ROLE_PARAMETER || t->role == WISPI_ROLE_BUFFER;
}

/* Where the paths that the table leaves empty point. */
static wisp_status resolve_paths(start *s, wisp_error *err)
{
    const char *from = s->settings->from, *into = s->settings->into;
    if (!from[0] && s->names.own) {
        const char *evaluated = wispi_safetensors_text(s->file, WISPI_TEXT_EVALUATED);
        const char *format = wispi_safetensors_text(s->file, "format");
        if (evaluated)
            from = evaluated;
        else if (format && strcmp(format, WISPI_CHECKPOINT_FORMAT) == 0)
            return wispi_place_fail(
                place_of(s, "weights"), err, WISP_E_CONFIG, "add from = \"NETWORK.backbone\"",
                "%.300s does not say which of its networks is evaluated", s->record->file);
    }
    if (!into[0])
        into = wispi_module_path(s->session->evaluated);
    snprintf(s->record->from, sizeof s->record->from, "%s", from);
    snprintf(s->record->into, sizeof s->record->into, "%s", into);
    if (strcmp(s->record->from, from) != 0 || strcmp(s->record->into, into) != 0)
        return wispi_place_fail(place_of(s, "from"), err, WISP_E_CONFIG, NULL,
                                "%s: a path is too long", s->title);
    return WISP_OK;
}

/* --- comparing --- */

static int is_finite(const wispi_stored_tensor *tensor)
{
    const float *values = tensor->data;
    int finite = 1;
    if (tensor->desc.dtype != WISP_F32)
        return 1;
    for (int64_t i = 0; i < wisp_desc_count(&tensor->desc); i++)
        finite &= isfinite(values[i]) != 0;
    return finite;
}

typedef struct comparison {
    name_list missing, unused, misfit, broken;
    int32_t n_here, n_there;
} comparison;

static void note_misfit(comparison *c, const wispi_model_tensor *t,
                        const wispi_stored_tensor *found)
{
    char here[96], there[96], words[NAME_BYTES];
    snprintf(words, sizeof words, "%s is %s %s there and %s %s here", found->name,
             wisp_dtype_name(found->desc.dtype),
             wispi_shape_text(&found->desc, there, sizeof there), wisp_dtype_name(t->desc->dtype),
             wispi_shape_text(t->desc, here, sizeof here));
    add_name(&c->misfit, words);
}

static void compare_one(const start *s, const wispi_model_tensor *t, const char *rest,
                        comparison *c)
{
    char name[NAME_BYTES];
    if (!name_there(s, rest, name))
        return;
    const wispi_stored_tensor *found = wispi_safetensors_find(s->file, name);
    if (found)
        s->used[found - wispi_safetensors_at(s->file, 0)] = 1;
    if (!found)
        add_name(&c->missing, name);
    else if (memcmp(&found->desc, t->desc, sizeof *t->desc) != 0)
        note_misfit(c, t, found);
    else if (!is_finite(found))
        add_name(&c->broken, name);
    else
        s->record->n_tensors++;
}

static void compare_model(const start *s, comparison *c)
{
    const wispi_model *model = s->session->model;
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(model, i);
        const char *rest = is_weight(t) ? below(t->name, s->record->into) : NULL;
        c->n_here += rest != NULL;
        if (rest && !is_skipped(s, rest))
            compare_one(s, t, rest, c);
    }
}

static void compare_file(const start *s, comparison *c)
{
    for (int64_t i = 0; i < wispi_safetensors_count(s->file); i++) {
        const wispi_stored_tensor *stored = wispi_safetensors_at(s->file, i);
        const char *rest = below(stored->name, s->record->from);
        c->n_there += rest != NULL;
        if (rest && !s->used[i] && !is_skipped(s, rest) && !is_batch_count(rest) &&
            !wispi_exchange_is_classifier(&s->names, rest))
            add_name(&c->unused, stored->name);
    }
}

/* The first two parts of a name: "student.backbone". */
static void beginning_of(const char *name, char out[64])
{
    size_t n = strcspn(name, ".");
    n += name[n] ? 1 + strcspn(name + n + 1, ".") : 0;
    snprintf(out, 64, "%.*s", (int)(n < 63 ? n : 63), name);
}

static void add_beginning(name_list *list, const char *name, char former[64])
{
    char beginning[64];
    beginning_of(name, beginning);
    if (strcmp(beginning, former) != 0)
        add_name(list, beginning);
    memcpy(former, beginning, sizeof beginning);
}

static wisp_status nothing_here(const start *s, wisp_error *err)
{
    const wispi_model *model = s->session->model;
    name_list known = {0, ""};
    char former[64] = "", hint[300] = "";
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++)
        if (is_weight(wispi_model_tensor_at(model, i)))
            add_beginning(&known, wispi_model_tensor_at(model, i)->name, former);
    add_list(hint, sizeof hint, "there are", &known);
    return wispi_place_fail(place_of(s, "into"), err, WISP_E_CONFIG, hint,
                            "%s.into = \"%.200s\" names nothing that has weights", s->title,
                            s->record->into);
}

static wisp_status nothing_there(const start *s, wisp_error *err)
{
    name_list known = {0, ""};
    char former[64] = "", hint[300] = "";
    for (int64_t i = 0; i < wispi_safetensors_count(s->file); i++)
        add_beginning(&known, wispi_safetensors_at(s->file, i)->name, former);
    add_list(hint, sizeof hint, "it holds", &known);
    return wispi_place_fail(place_of(s, "from"), err, WISP_E_CONFIG, hint,
                            "%s: %.300s holds nothing below \"%.200s\"", s->title, s->record->file,
                            s->record->from);
}

static wisp_status report(const start *s, const comparison *c, wisp_error *err)
{
    char lists[560] = "";
    if (c->n_here == 0)
        return nothing_here(s, err);
    if (c->n_there == 0)
        return nothing_there(s, err);
    add_list(lists, sizeof lists, "missing there", &c->missing);
    add_list(lists, sizeof lists, "not used here", &c->unused);
    add_list(lists, sizeof lists, "of another kind", &c->misfit);
    add_list(lists, sizeof lists, "not finite", &c->broken);
    if (lists[0])
        return wispi_place_fail(
            place_of(s, "weights"), err, WISP_E_CONFIG,
            "from and into name the parts that belong together, format says whose names the file "
            "has, skip lists names to leave out",
            "%s: %.100s does not fit %.60s: %s", s->title, s->record->file, s->record->into, lists);
    if (s->record->n_tensors == 0)
        return wispi_place_fail(place_of(s, "skip"), err, WISP_E_CONFIG, NULL,
                                "%s: skip leaves nothing to load", s->title);
    return WISP_OK;
}

static wisp_status compare(start *s, wisp_error *err)
{
    comparison c;
    memset(&c, 0, sizeof c);
    s->used = wispi_alloc((size_t)wispi_safetensors_count(s->file) + 1);
    if (!s->used)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare %.300s", s->record->file);
    WISP_TRY(resolve_paths(s, err));
    s->record->n_tensors = 0;
    compare_model(s, &c);
    compare_file(s, &c);
    return report(s, &c, err);
}

/* --- loading --- */

static wisp_status write_tensors(const start *s, wisp_error *err)
{
    wispi_model *model = s->session->model;
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++) {
        const wispi_model_tensor *t = wispi_model_tensor_at(model, i);
        const char *rest = is_weight(t) ? below(t->name, s->record->into) : NULL;
        char name[NAME_BYTES];
        if (!rest || is_skipped(s, rest))
            continue;
        if (!name_there(s, rest, name))
            continue;
        WISP_TRY(wispi_variable_write(wispi_model_device(model), t->variable,
                                      wispi_safetensors_find(s->file, name)->data, err));
    }
    return WISP_OK;
}

/* `cause` is what a file's reader said, which knows no place. */
static wisp_status told_at(const start *s, wisp_status status, const wisp_error *cause,
                           wisp_error *err)
{
    return wispi_place_fail(place_of(s, "weights"), err, status, NULL, "%s: %s", s->title,
                            cause->message);
}

static wisp_status open_file(start *s, wisp_error *err)
{
    wispi_stored_run run;
    wisp_error cause = {0};
    wisp_status status = wispi_stored_run_find(s->settings->weights, &run, &cause);
    if (status == WISP_OK)
        status = wispi_safetensors_open(run.weights, run.is_folder, &s->file, &cause);
    if (status != WISP_OK)
        return told_at(s, status, &cause, err);
    snprintf(s->record->file, sizeof s->record->file, "%s", run.weights);
    status = wispi_file_hash(run.weights, &s->record->hash, &cause);
    return status == WISP_OK ? WISP_OK : told_at(s, status, &cause, err);
}

static wisp_status open_names(start *s, wisp_error *err)
{
    wisp_error cause = {0};
    wisp_status status = wispi_exchange_open(&s->session->experiment->backbone, s->settings->format,
                                             &s->names, &cause);
    return status == WISP_OK ? WISP_OK
                             : wispi_place_fail(place_of(s, "format"), err, status, NULL, "%s: %s",
                                                s->title, cause.message);
}

static wisp_status visit(wispi_session *session, int32_t index, int load, wisp_error *err)
{
    start s;
    memset(&s, 0, sizeof s);
    s.session = session;
    s.settings = &session->experiment->inits[index];
    s.record = &session->starts[index];
    if (s.settings->node)
        snprintf(s.title, sizeof s.title, "init.%d", (int)index);
    else
        snprintf(s.title, sizeof s.title, "import");
    WISP_TRY(open_names(&s, err));
    wisp_status status = open_file(&s, err);
    if (status == WISP_OK)
        status = compare(&s, err);
    if (status == WISP_OK && load)
        status = write_tensors(&s, err);
    wispi_free(s.used);
    wispi_safetensors_close(s.file);
    return status;
}

static wisp_status visit_all(wispi_session *session, int load, wisp_error *err)
{
    for (int32_t i = 0; i < session->experiment->n_inits; i++)
        WISP_TRY(visit(session, i, load, err));
    return WISP_OK;
}

wisp_status wispi_start_weights_check(wispi_session *session, wisp_error *err)
{
    const int32_t n = session->experiment->n_inits;
    if (n == 0)
        return WISP_OK;
    if (!session->starts)
        session->starts = wispi_alloc_array((size_t)n, sizeof *session->starts);
    if (!session->starts)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for [[init]]");
    WISP_TRY(visit_all(session, 0, err));
    session->n_starts = n;
    return WISP_OK;
}

/* Twice, because bringing followers up to date undoes what a table put into one of them. */
wisp_status wispi_start_weights_load(wispi_session *session, wisp_error *err)
{
    if (session->experiment->n_inits == 0)
        return WISP_OK;
    WISP_TRY(wispi_start_weights_check(session, err));
    WISP_TRY(visit_all(session, 1, err));
    WISP_TRY(wispi_model_copy_to_followers(session->model, err));
    return visit_all(session, 1, err);
}

json_t *wispi_start_records_json(const wispi_start_record *records, int32_t n)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < n; i++) {
        const wispi_start_record *r = &records[i];
        char hash[32];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->hash);
        json_t *entry = json_pack("{s:o, s:s, s:o, s:o, s:i}", "file", wispi_json_string(r->file),
                                  "hash", hash, "from", wispi_json_string(r->from), "into",
                                  wispi_json_string(r->into), "tensors", (int)r->n_tensors);
        if (json_array_append_new(list, entry) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

void wispi_start_record_say(const wispi_start_record *record, char *line, size_t bytes)
{
    snprintf(line, bytes, "begins with %d tensors of %s: %s%sinto %s", (int)record->n_tensors,
             record->file, record->from, record->from[0] ? " " : "", record->into);
}
