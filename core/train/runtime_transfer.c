/* runtime_transfer.c - export and import of wisp/runtime.h. */
#include "base/memory.h"
#include "train/json_text.h"
#include "train/runtime_handle.h"
#include "train/trainer.h"
#include "train/weights_export.h"

static json_t *or_null(const char *text)
{
    return text[0] ? wispi_json_string(text) : json_null();
}

/* --- export --- */

static void export_text(const wispi_export_request *r, const wispi_export_facts *f, wispi_text *out)
{
    wispi_text_printf(out, "%s: %d tensors of %s, %s", r->file, (int)f->n_tensors, f->weights,
                      f->path);
    if (f->n_left)
        wispi_text_printf(out, "; %d more that %s has no place for", (int)f->n_left, r->library);
    wispi_text_append(out, "\n");
    if (!f->model[0])
        return;
    wispi_text_printf(out, "\nmodel = %s\n", f->model);
    if (f->headless[0])
        wispi_text_printf(out, "%s\n", f->headless);
    wispi_text_printf(out, "model.load_state_dict(safetensors.torch.load_file(\"%s\"))\n", r->file);
}

static json_t *export_json(const wispi_export_request *r, const wispi_export_facts *f)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:I, s:o, s:o}", "file",
                     wispi_json_string(r->file), "weights", wispi_json_string(f->weights),
                     "network", wispi_json_string(f->path), "names", wispi_json_string(r->library),
                     "tensors", (int)f->n_tensors, "left_out", (int)f->n_left, "classes",
                     (json_int_t)f->classes, "model", or_null(f->model), "headless",
                     or_null(f->headless));
}

wisp_status wisp_runtime_export(wisp_runtime *runtime, const char *weights, const char *file,
                                const wisp_export_options *options, int32_t format, char **text,
                                wisp_error *err)
{
    wisp_export_options o;
    wispi_read_sized(&o, sizeof o, options);
    const wispi_export_request request = {weights, file, o.names ? o.names : "wisp", o.network,
                                          o.classifier};
    wispi_export_facts facts;
    wispi_text out = {0};
    WISP_TRY(wispi_weights_export(runtime->registry, &request, &facts, err));
    if (format == WISP_FORMAT_JSON)
        return wispi_json_give(export_json(&request, &facts), text, err);
    export_text(&request, &facts, &out);
    return wispi_runtime_give(&out, text, err);
}

/* --- import --- */

static wisp_status begin(wispi_experiment *x, const char *file, const wisp_import_options *options,
                         wispi_begun *begun, wisp_error *err)
{
    if (x->n_inits == WISPI_MAX_INITS)
        return wisp_fail(err, WISP_E_CONFIG, "the experiment has %d [[init]] tables already",
                         WISPI_MAX_INITS);
    x->inits[x->n_inits++] =
        (wispi_init_settings){.weights = file,
                              .format = options->names ? options->names : "wisp",
                              .from = options->from ? options->from : "",
                              .into = options->into ? options->into : ""};
    return wispi_train_begin(x, begun, err);
}

static wisp_status give_begun(const wispi_begun *b, int32_t format, char **text, wisp_error *err)
{
    wispi_text out = {0};
    if (format == WISP_FORMAT_JSON)
        return wispi_json_give(json_pack("{s:o, s:o}", "folder", wispi_json_string(b->folder),
                                         "init", wispi_start_records_json(&b->start, 1)),
                               text, err);
    wispi_text_printf(&out, "%d tensors of %s into %s\nrun folder: %s\n", (int)b->start.n_tensors,
                      b->start.file, b->start.into, b->folder);
    return wispi_runtime_give(&out, text, err);
}

wisp_status wisp_runtime_import(wisp_runtime *runtime, const char *file,
                                const wisp_experiment_source *source,
                                const wisp_import_options *options, int32_t format, char **text,
                                wisp_error *err)
{
    wispi_experiment *experiment = NULL;
    wisp_import_options o;
    wispi_read_sized(&o, sizeof o, options);
    WISP_TRY(wispi_experiment_load(runtime->registry, source->path, source->overrides,
                                   source->n_overrides, &experiment, err));
    wispi_begun *begun = wispi_alloc(sizeof *begun);
    wisp_status status = begun ? begin(experiment, file, &o, begun, err)
                               : wisp_fail(err, WISP_E_NOMEM, "no memory to begin a run");
    if (status == WISP_OK)
        status = give_begun(begun, format, text, err);
    wispi_free(begun);
    wispi_experiment_destroy(experiment);
    return status;
}
