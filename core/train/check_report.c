#include "train/check_report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "train/json_text.h"
#include "wisp/runtime.h"

/* A forward pass of one image through the evaluated backbone. */
typedef struct probe_forward {
    wispi_session *session;
    wispi_variable image;
} probe_forward;

static void forward_once(wisp_step *step, void *user)
{
    probe_forward *p = user;
    wisp_no_grad_begin(step);
    wispi_step_keep(
        step, wisp_forward(step, p->session->evaluated, wispi_step_variable(step, &p->image)));
    wisp_no_grad_end(step);
}

static wisp_status backbone_macs(wispi_session *s, int64_t width, int64_t height, double *macs,
                                 wisp_error *err)
{
    static char unused[64];
    probe_forward p;
    memset(&p, 0, sizeof p);
    p.session = s;
    wisp_desc desc = wisp_desc4(WISP_F32, 1, height, width, 3);
    WISP_TRY(wispi_variable_init(s->device, &p.image, "image", &desc, unused, err));
    wispi_program *program = NULL;
    wispi_model_set_eval(s->model, 1);
    wisp_status status =
        wispi_program_record(s->device, wispi_ops_table(), s->model, WISPI_RECORD_SHAPES_ONLY,
                             forward_once, &p, &program, err);
    wispi_model_set_eval(s->model, 0);
    if (status == WISP_OK) {
        wispi_program_facts facts;
        wispi_program_facts_of(program, &facts);
        *macs = facts.forward_macs;
    }
    wispi_program_destroy(program);
    return status;
}

static int64_t trained_parameters(const wispi_session *s)
{
    int64_t n = 0;
    for (int32_t i = 0; i < wispi_model_network_count(s->model); i++)
        n += wispi_module_parameter_count(wispi_model_network_at(s->model, i), 1);
    return n;
}

static wisp_status views_json(wispi_session *s, json_t *list, wisp_error *err)
{
    for (int32_t g = 0; g < s->n_groups; g++) {
        const wisp_view_group *group = &s->groups[g];
        double macs = 0;
        WISP_TRY(backbone_macs(s, group->width, group->height, &macs, err));
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:i, s:i, s:I}", "group", group->name, "count",
                                        group->count, "width", group->width, "height",
                                        group->height, "backbone_macs", (json_int_t)macs));
    }
    return WISP_OK;
}

static json_t *backbone_json(const wispi_session *s, double macs)
{
    const wispi_experiment *x = s->experiment;
    wispi_module_census census;
    wispi_module_count(s->evaluated, &census);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
                     x->backbone.plugin->descriptor->name, "parameters",
                     (json_int_t)wispi_module_parameter_count(s->evaluated, 0), "tensors",
                     (json_int_t)census.tensors, "convolutions", (json_int_t)census.convolutions,
                     "batch_norms", (json_int_t)census.batch_norms, "norm_channels",
                     (json_int_t)census.norm_channels, "macs", (json_int_t)macs, "macs_at",
                     (json_int_t)x->input.eval_size, "dim", (json_int_t)s->embedding_dim);
}

static wisp_status collect(wispi_session *s, json_t **out, wisp_error *err)
{
    const wispi_experiment *x = s->experiment;
    double macs = 0;
    char views_in_words[512];
    json_t *views = json_array();
    wispi_program_facts facts;
    wisp_status status = backbone_macs(s, x->input.eval_size, x->input.eval_size, &macs, err);
    if (status == WISP_OK)
        status = views_json(s, views, err);
    if (status == WISP_OK)
        status = wispi_session_record(s, WISPI_RECORD_SHAPES_ONLY, err);
    if (status != WISP_OK) {
        json_decref(views);
        return status;
    }
    wispi_program_facts_of(s->whole.program, &facts);
    wispi_experiment_describe_sampler(x, views_in_words, sizeof views_in_words);
    int64_t stores = (int64_t)wispi_device_bytes(s->device);
    json_t *starts = wispi_start_records_json(s->starts, s->n_starts);
    *out = json_pack("{s:s, s:o, s:{s:s, s:I}, s:{s:s, s:o}, s:o, "
                     "s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:i}, s:o}",
                     "device", s->device_name, "backbone", backbone_json(s, macs), "method", "name",
                     x->method.plugin->descriptor->name, "trained_parameters",
                     (json_int_t)trained_parameters(s), "sampler", "name",
                     x->sampler.plugin->descriptor->name, "description",
                     wispi_json_string(views_in_words), "views", views, "run", "epochs",
                     (json_int_t)x->run.epochs, "steps_per_epoch", (json_int_t)s->steps_per_epoch,
                     "steps", (json_int_t)s->total_steps, "batch", (json_int_t)x->run.batch, "step",
                     "memory_bytes", (json_int_t)(stores + facts.step_bytes), "macs",
                     (json_int_t)facts.total_macs, "calls", (int)facts.n_calls, "init", starts);
    return *out ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for the report");
}

static double number(const json_t *report, const char *table, const char *key)
{
    return json_number_value(json_object_get(json_object_get(report, table), key));
}

static void as_text(const wispi_session *s, const json_t *report, wispi_text *out)
{
    wispi_text_printf(out, "\n# device: %s\n", s->device_name);
    wispi_text_printf(
        out, "# backbone: %.0f parameters, %.1f MMACs an image at %.0f px, embedding of %.0f\n",
        number(report, "backbone", "parameters"), number(report, "backbone", "macs") / 1e6,
        number(report, "backbone", "macs_at"), number(report, "backbone", "dim"));
    wispi_text_printf(
        out, "# backbone: %.0f tensors, %.0f convolutions, %.0f batch norms of %.0f channels\n",
        number(report, "backbone", "tensors"), number(report, "backbone", "convolutions"),
        number(report, "backbone", "batch_norms"), number(report, "backbone", "norm_channels"));
    for (int32_t i = 0; i < s->n_starts; i++)
        wispi_text_printf(out, "# init: %d tensors of %s into %s\n", (int)s->starts[i].n_tensors,
                          s->starts[i].file, s->starts[i].into);
    const json_t *sampler = json_object_get(report, "sampler");
    const char *words = json_string_value(json_object_get(sampler, "description"));
    if (words && words[0])
        wispi_text_printf(out, "# sampler: %s\n", words);
    size_t i;
    const json_t *view;
    json_array_foreach(json_object_get(report, "views"), i, view)
        wispi_text_printf(out, "# views: %lld %s of %lld px, %.1f MMACs each\n",
                          (long long)json_integer_value(json_object_get(view, "count")),
                          json_string_value(json_object_get(view, "group")),
                          (long long)json_integer_value(json_object_get(view, "width")),
                          json_number_value(json_object_get(view, "backbone_macs")) / 1e6);
    wispi_text_printf(out, "# method: %.0f trained parameters, probes included\n",
                      number(report, "method", "trained_parameters"));
    wispi_text_printf(out, "# run: %.0f epochs of %.0f steps of %.0f images\n",
                      number(report, "run", "epochs"), number(report, "run", "steps_per_epoch"),
                      number(report, "run", "batch"));
    wispi_text_printf(out, "# step: %.2f GMACs, %.0f operations, about %.0f MiB of device memory\n",
                      number(report, "step", "macs") / 1e9, number(report, "step", "calls"),
                      number(report, "step", "memory_bytes") / 1048576.0);
}

wisp_status wispi_check_report(wispi_session *s, int32_t format, wispi_text *out, wisp_error *err)
{
    json_t *report = NULL;
    wispi_text resolved = {0};
    WISP_TRY(collect(s, &report, err));
    wisp_status status = wispi_experiment_resolved(s->experiment, s->model, &resolved, err);
    if (status == WISP_OK && format == WISP_FORMAT_JSON) {
        json_object_set_new(report, "resolved", json_string(resolved.data));
        char *text = json_dumps(report, JSON_INDENT(2));
        wispi_text_append(out, text ? text : "");
        wispi_text_append(out, "\n");
        out->failed |= !text;
        free(text);
    } else if (status == WISP_OK) {
        wispi_text_append(out, resolved.data);
        as_text(s, report, out);
    }
    wispi_text_free(&resolved);
    json_decref(report);
    if (status == WISP_OK && out->failed)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for the report");
    return status;
}
