/* double_engine.c - calls of operations, carried out at once in double. */
#include "tensor/double_engine.h"

#include <string.h>

static double *new_values(wispi_step *step, const wisp_desc *desc)
{
    double *values =
        wispi_arena_array(step->arena, (size_t)wisp_desc_count(desc) + 1, sizeof *values);
    if (!values)
        wispi_step_fail(&step->plugin, WISP_E_NOMEM, "no memory for the values of a tensor");
    return values;
}

static int is_input(const wisp_tensor *tensor, wisp_tensor *const *in, int32_t n_in)
{
    for (int32_t i = 0; i < n_in; i++)
        if (in[i] && in[i]->values == tensor->values)
            return 1;
    return 0;
}

/* Outputs begin at zero, and where they share memory with an input with its value. */
static wisp_status begin_output(wispi_step *step, wisp_tensor *const *in, int32_t n_in,
                                wisp_tensor *out, wispi_ref *ref)
{
    *ref = (wispi_ref){NULL, 0, NULL};
    if (!out)
        return WISP_OK;
    const int64_t count = wisp_desc_count(&out->desc);
    if (!out->values)
        out->values = new_values(step, &out->desc);
    else if (count && !is_input(out, in, n_in))
        memset(out->values, 0, (size_t)count * sizeof *out->values);
    *ref = (wispi_ref){&out->desc, count, out->values};
    return out->values ? WISP_OK : WISP_E_NOMEM;
}

static wispi_double_engine *engine_of(wispi_step *step)
{
    return (wispi_double_engine *)(void *)step;
}

/* --- what is held fixed --- */

/* The first step keeps the values, later ones get them back. */
static wisp_status hold(wispi_step *step, double *values, int64_t count, wisp_error *err)
{
    wispi_double_hold *h = engine_of(step)->hold;
    const size_t bytes = (size_t)count * sizeof *values;
    if (h->is_kept) {
        const wispi_held_values *kept = h->cursor;
        if (!kept || kept->count != count)
            return wisp_fail(err, WISP_E_STATE, "the step's calls are others than those before");
        memcpy(values, kept->values, bytes);
        h->cursor = kept->next;
        return WISP_OK;
    }
    wispi_held_values *kept = wispi_arena_alloc(h->arena, sizeof *kept);
    double *copy = wispi_arena_array(h->arena, (size_t)count + 1, sizeof *copy);
    if (!kept || !copy)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the values that are held");
    memcpy(copy, values, bytes);
    *kept = (wispi_held_values){copy, count, NULL};
    *(h->last ? &h->last->next : &h->first) = kept;
    h->last = kept;
    return WISP_OK;
}

static int passes_gradient(const wispi_step *step, const wispi_op *op, wisp_tensor *const *in,
                           int32_t n_in)
{
    if (step->in_statistics)
        return 1;
    for (int32_t i = 0; i < n_in && op->gradient && !step->no_grad; i++)
        if (in[i] && in[i]->wants_grad)
            return 1;
    return 0;
}

/* A parameter that is written to is one from then on, so it is not put back: the caller moves it
 * from where the first step has left it. */
static wisp_status hold_outputs(wispi_step *step, const wispi_op *op, wisp_tensor *const *out,
                                wisp_error *err)
{
    for (int32_t i = 0; i < op->n_out; i++) {
        if (!out[i] || out[i]->grad_slot)
            continue;
        if (!out[i]->values)
            out[i]->values = new_values(step, &out[i]->desc);
        if (!out[i]->values)
            return WISP_E_NOMEM;
        WISP_TRY(hold(step, out[i]->values, wisp_desc_count(&out[i]->desc), err));
    }
    return WISP_OK;
}

/* --- calls --- */

static wisp_status call(wispi_step *step, const wispi_op *op, const void *attrs,
                        wisp_tensor *const *in, int32_t n_in, wisp_tensor *const *out,
                        wisp_error *err)
{
    wispi_ref ins[WISPI_MAX_IN], outs[WISPI_MAX_OUT];
    memset(ins, 0, sizeof ins);
    memset(outs, 0, sizeof outs);
    for (int32_t i = 0; i < n_in; i++)
        if (in[i])
            ins[i] = (wispi_ref){&in[i]->desc, wisp_desc_count(&in[i]->desc), in[i]->values};
    if (!op->reference)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "%s has no reference kernel", op->name);
    const wispi_double_hold *h = engine_of(step)->hold;
    const int is_held = h && !passes_gradient(step, op, in, n_in);
    if (is_held && h->is_kept)
        return hold_outputs(step, op, out, err);
    for (int32_t i = 0; i < op->n_out; i++)
        WISP_TRY(begin_output(step, in, n_in, out[i], &outs[i]));
    op->reference(attrs, ins, n_in, outs);
    return is_held ? hold_outputs(step, op, out, err) : WISP_OK;
}

static wisp_tensor *alias(wispi_step *step, wisp_tensor *base, const wisp_desc *desc,
                          int64_t offset, int wants_grad)
{
    wisp_tensor *tensor = wispi_tensor_new(step, desc);
    if (!tensor)
        return NULL;
    tensor->kind = WISPI_TENSOR_ALIAS;
    tensor->wants_grad = wants_grad != 0;
    tensor->base = base;
    tensor->base_bytes = offset;
    tensor->values = base->values + offset / wisp_dtype_bytes(desc->dtype);
    if (!engine_of(step)->hold || !base->wants_grad || wants_grad || step->in_statistics)
        return tensor;
    const double *own = tensor->values;
    tensor->values = new_values(step, desc);
    if (!tensor->values)
        return NULL;
    memcpy(tensor->values, own, (size_t)wisp_desc_count(desc) * sizeof *own);
    if (hold(step, tensor->values, wisp_desc_count(desc), &step->error) == WISP_OK)
        return tensor;
    wispi_step_fail(&step->plugin, WISP_E_NOMEM, "no memory for the values that are held");
    return NULL;
}

static wisp_tensor *variable_tensor(wispi_step *step, wispi_variable *variable)
{
    wisp_tensor *tensor = wispi_tensor_new(step, &variable->desc);
    if (!tensor)
        return NULL;
    tensor->kind = WISPI_TENSOR_VARIABLE;
    tensor->variable = variable;
    const wispi_double_engine *engine = engine_of(step);
    tensor->values = engine->values_of ? engine->values_of(engine->user, variable) : variable->data;
    return tensor->values ? tensor : NULL;
}

static wisp_tensor *variable(wispi_step *step, wispi_variable *wanted)
{
    wispi_double_engine *engine = engine_of(step);
    for (wispi_double_variable *node = engine->variables; node; node = node->next)
        if (node->variable == wanted)
            return node->tensor;
    wispi_double_variable *node = wispi_arena_alloc(step->arena, sizeof *node);
    wisp_tensor *tensor = variable_tensor(step, wanted);
    if (tensor && wanted->grad) {
        tensor->wants_grad = 1;
        tensor->grad_slot = variable_tensor(step, wanted->grad);
    }
    if (!node || !tensor || (wanted->grad && !tensor->grad_slot)) {
        wispi_step_fail(&step->plugin, WISP_E_NOMEM, "no memory for a variable of the step");
        return NULL;
    }
    *node = (wispi_double_variable){wanted, tensor, engine->variables};
    engine->variables = node;
    return tensor;
}

static const wispi_engine double_calls = {
    .call = call,
    .alias = alias,
    .variable = variable,
};

void wispi_double_begin(wispi_double_engine *engine, const wisp_ops *ops, wispi_arena *arena)
{
    wispi_step_init(&engine->step, &double_calls, ops, arena, NULL);
    engine->variables = NULL;
    engine->values_of = NULL;
    engine->user = NULL;
    engine->hold = NULL;
}

void wispi_double_end(wispi_double_engine *engine)
{
    wispi_step_fini(&engine->step);
}

wisp_tensor *wispi_double_tensor(wispi_double_engine *engine, const wisp_desc *desc,
                                 const double *values, int wants_grad)
{
    wisp_tensor *tensor = wispi_tensor_new(&engine->step, desc);
    if (!tensor)
        return NULL;
    tensor->values = new_values(&engine->step, desc);
    if (!tensor->values)
        return NULL;
    const int64_t count = wisp_desc_count(desc);
    if (values && count)
        memcpy(tensor->values, values, (size_t)count * sizeof *values);
    tensor->wants_grad = wants_grad != 0;
    return tensor;
}
