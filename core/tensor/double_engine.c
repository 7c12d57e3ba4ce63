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
    for (int32_t i = 0; i < op->n_out; i++)
        WISP_TRY(begin_output(step, in, n_in, out[i], &outs[i]));
    if (!op->reference)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "%s has no reference kernel", op->name);
    op->reference(attrs, ins, n_in, outs);
    return WISP_OK;
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
    return tensor;
}

static wisp_tensor *variable_tensor(wispi_step *step, wispi_variable *variable)
{
    wisp_tensor *tensor = wispi_tensor_new(step, &variable->desc);
    if (!tensor)
        return NULL;
    tensor->kind = WISPI_TENSOR_VARIABLE;
    tensor->variable = variable;
    tensor->values = variable->data;
    return tensor;
}

static wisp_tensor *variable(wispi_step *step, wispi_variable *wanted)
{
    wispi_double_engine *engine = step->owner;
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
    wispi_step_init(&engine->step, &double_calls, ops, arena, engine);
    engine->variables = NULL;
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
