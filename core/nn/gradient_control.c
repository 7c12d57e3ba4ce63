#include "nn/gradient_control.h"

#include <stdio.h>
#include <string.h>

#include "nn/op_call.h"
#include "tensor/program.h"

static int lies_below(const wisp_module *m, const wisp_module *top)
{
    while (m && m != top)
        m = m->parent;
    return m != NULL;
}

static int good_module(wisp_step *s, const char *function, const wisp_module *m)
{
    if (wispi_step_of(s)->status == WISP_OK && !m)
        wispi_step_fail(s, WISP_E_INVALID, "%s: the module is NULL", function);
    return wispi_step_of(s)->status == WISP_OK;
}

void wispi_drop_gradient(wisp_step *s, wisp_module *m)
{
    if (!good_module(s, "drop_gradient", m))
        return;
    for (wispi_slot *slot = m->network->parameters.first; slot; slot = slot->next)
        if (slot->variable.grad && lies_below(slot->module, m))
            wispi_step_drop_grad(s, &slot->variable);
}

/* --- clipping --- */

static int32_t count_below(const wisp_module *m)
{
    int32_t n = 0;
    for (const wispi_slot *slot = m->network->parameters.first; slot; slot = slot->next)
        n += slot->variable.grad && lies_below(slot->module, m);
    return n;
}

/* The table of the parameters below m; made at the first call and kept by the model. */
static wispi_segments *table_of(wisp_step *s, const wisp_module *m)
{
    wispi_model *model = wispi_model_of(s);
    wisp_error err = {0};
    char name[200];
    for (wispi_segments *table = model->tables; table; table = table->next)
        if (table->owner == m)
            return table;
    wispi_segments *made = NULL;
    snprintf(name, sizeof name, "clip.%s", m->path);
    wisp_status status = wispi_model_add_table(model, name, count_below(m), m, &made, &err);
    if (status != WISP_OK)
        wispi_step_fail(s, status, "%s", err.message);
    return made;
}

static void fill_table(wisp_step *s, const wisp_module *m, wispi_segments *table)
{
    int32_t row = 0;
    for (wispi_slot *slot = m->network->parameters.first; slot; slot = slot->next) {
        if (!slot->variable.grad || !lies_below(slot->module, m))
            continue;
        const int64_t active = wispi_step_has_grad(s, &slot->variable) ? WISP_SEGMENT_ACTIVE : 0;
        const wispi_segment value = {slot->offset, slot->count, active, 0};
        wispi_segments_set(table, row++, &value);
    }
}

void wispi_clip_gradient(wisp_step *s, wisp_module *m, double limit, int32_t per_tensor)
{
    if (!good_module(s, "clip_gradient", m))
        return;
    if (!(limit > 0) || !m->network->parameters.gradient.data || !count_below(m)) {
        wispi_step_fail(s, WISP_E_INVALID,
                        "clip_gradient: %s has no trained parameters, or the limit %g is not "
                        "positive",
                        m->path, limit);
        return;
    }
    wispi_segments *table = table_of(s, m);
    if (table && wispi_step_is_recording(s))
        fill_table(s, m, table);
    if (!table)
        return;
    wisp_clip_attrs attrs = {limit, per_tensor != 0, 0};
    wisp_tensor *gradient = wispi_step_variable(s, &m->network->parameters.gradient);
    wisp_tensor *in[3] = {gradient, wispi_segments_tensor(s, table), NULL};
    wisp_tensor *out[WISPI_MAX_OUT] = {gradient};
    wisp_no_grad_begin(s);
    in[2] = wispi_call1(s, WISPI_CALL_segment_norms, NULL, in, 2);
    wispi_call(s, WISPI_CALL_clip_segments, &attrs, in, 3, out);
    wisp_no_grad_end(s);
}

/* --- rows of a weight --- */

void wispi_normalize_rows(wisp_step *s, wisp_module *m, double eps)
{
    if (!good_module(s, "normalize_rows_of", m))
        return;
    if (!m->weight || m->weight->variable.desc.rank < 2) {
        wispi_step_fail(s, WISP_E_INVALID, "normalize_rows_of: %s has no weight with rows",
                        m->path);
        return;
    }
    const wisp_l2_normalize_attrs attrs = {eps > 0 ? eps : 1e-12};
    wisp_tensor *weight = wispi_step_variable(s, &m->weight->variable);
    wisp_tensor *out[WISPI_MAX_OUT] = {weight};
    wisp_no_grad_begin(s);
    wisp_tensor *rows = wispi_call1(s, WISPI_CALL_l2_normalize, &attrs, &weight, 1);
    wispi_call(s, WISPI_CALL_copy, NULL, &rows, 1, out);
    wisp_no_grad_end(s);
}
