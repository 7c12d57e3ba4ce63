/* tape.c - calls of operations, and the reverse loop over them.
 *
 * Creation order is topological, so backward is one loop from the end. Contributions to a gradient
 * are summed when their tensor's turn comes: by then every rule that made one has returned, so a
 * tensor that was handed over only once may be summed into in place. */
#include "tensor/step.h"

#include <stdarg.h>
#include <string.h>

#include "base/memory.h"

extern const wispi_op_family wispi_op_fill;
extern const wispi_op_family wispi_op_copy;
extern const wispi_op_family wispi_op_binary;
extern const wispi_op_family wispi_op_slice;

void wispi_step_init(wispi_step *step, const wispi_engine *engine, const wisp_ops *ops,
                     wispi_arena *arena, void *owner)
{
    memset(step, 0, sizeof *step);
    step->plugin.ops = ops;
    step->engine = engine;
    step->arena = arena;
    step->owner = owner;
}

void wispi_step_fini(wispi_step *step)
{
    wispi_free(step->tape);
    step->tape = NULL;
    step->n_tape = step->tape_capacity = 0;
}

void wispi_step_fail(wisp_step *public_step, wisp_status code, const char *format, ...)
{
    wispi_step *step = wispi_step_of(public_step);
    if (step->status != WISP_OK)
        return;
    va_list args;
    va_start(args, format);
    step->status = code;
    step->error.code = code;
    vsnprintf(step->error.message, sizeof step->error.message, format, args);
    va_end(args);
}

wisp_tensor *wispi_tensor_new(wispi_step *step, const wisp_desc *desc)
{
    wisp_tensor *tensor = wispi_arena_alloc(step->arena, sizeof *tensor);
    if (!tensor) {
        wispi_step_fail(&step->plugin, WISP_E_NOMEM, "no memory for another tensor of the step");
        return NULL;
    }
    tensor->desc = *desc;
    tensor->id = step->n_tensors++;
    tensor->first_call = tensor->last_call = -1;
    return tensor;
}

const wisp_desc *wispi_tensor_desc(const wisp_tensor *tensor)
{
    return tensor ? &tensor->desc : NULL;
}

static void *copy_to_arena(wispi_step *step, const void *data, size_t bytes)
{
    void *copy = wispi_arena_alloc(step->arena, bytes ? bytes : 1);
    if (!copy)
        wispi_step_fail(&step->plugin, WISP_E_NOMEM, "no memory to record a call");
    else if (bytes)
        memcpy(copy, data, bytes);
    return copy;
}

static void record(wispi_step *step, const wispi_op *op, const void *attrs, wisp_tensor *const *in,
                   int32_t n_in, wisp_tensor *const *out, int32_t n_out)
{
    if (step->n_tape == step->tape_capacity) {
        int32_t capacity = step->tape_capacity ? 2 * step->tape_capacity : 256;
        void *grown = wispi_grow(step->tape, (size_t)step->n_tape * sizeof *step->tape,
                                 (size_t)capacity * sizeof *step->tape);
        if (!grown) {
            wispi_step_fail(&step->plugin, WISP_E_NOMEM, "no memory for the tape");
            return;
        }
        step->tape = grown;
        step->tape_capacity = capacity;
    }
    wispi_tape_entry entry = {op, NULL, NULL, NULL, n_in, n_out};
    entry.attrs = op ? copy_to_arena(step, attrs, op->attrs_bytes) : NULL;
    entry.in = copy_to_arena(step, in, (size_t)n_in * sizeof *in);
    entry.out = copy_to_arena(step, out, (size_t)n_out * sizeof *out);
    if (step->status == WISP_OK)
        step->tape[step->n_tape++] = entry;
}

static int any_wants_grad(const wispi_step *step, wisp_tensor *const *in, int32_t n_in)
{
    if (step->no_grad)
        return 0;
    for (int32_t i = 0; i < n_in; i++)
        if (in[i] && in[i]->wants_grad)
            return 1;
    return 0;
}

/* Makes the missing outputs and checks the presets. */
static wisp_status make_outputs(wispi_step *step, const wispi_op *op, const wisp_desc *inferred,
                                wisp_tensor **out)
{
    for (int32_t i = 0; i < op->n_out; i++) {
        if (inferred[i].dtype == 0) {
            out[i] = NULL;
        } else if (!out[i]) {
            out[i] = wispi_tensor_new(step, &inferred[i]);
            if (!out[i])
                return WISP_E_NOMEM;
        } else if (memcmp(&out[i]->desc, &inferred[i], sizeof inferred[i]) != 0) {
            char want[96], have[96];
            return wisp_fail(&step->error, WISP_E_SHAPE,
                             "%s: the destination for %s is %s %s, the result is %s %s", op->name,
                             op->out_names[i], wisp_dtype_name(out[i]->desc.dtype),
                             wispi_shape_text(&out[i]->desc, have, sizeof have),
                             wisp_dtype_name(inferred[i].dtype),
                             wispi_shape_text(&inferred[i], want, sizeof want));
        }
    }
    return WISP_OK;
}

static wisp_status judge(wispi_step *step, const wispi_op *op, const void *attrs,
                         wisp_tensor *const *in, int32_t n_in, wisp_tensor **out)
{
    const wisp_desc *descs[WISPI_MAX_IN] = {NULL};
    wisp_desc inferred[WISPI_MAX_OUT];
    memset(inferred, 0, sizeof inferred);
    if (n_in < op->min_in || n_in > op->max_in || n_in > WISPI_MAX_IN)
        return wisp_fail(&step->error, WISP_E_INVALID, "%s takes %d to %d arguments, not %d",
                         op->name, op->min_in, op->max_in, n_in);
    for (int32_t i = 0; i < n_in; i++)
        descs[i] = wispi_tensor_desc(in[i]);
    WISP_TRY(op->infer(attrs, descs, n_in, inferred, &step->error));
    return make_outputs(step, op, inferred, out);
}

void wispi_apply(wisp_step *public_step, const wispi_op *op, const void *attrs,
                 wisp_tensor *const *in, int32_t n_in, wisp_tensor **out)
{
    wispi_step *step = wispi_step_of(public_step);
    if (step->status == WISP_OK && step->engine->replay &&
        step->engine->replay(step, op, attrs, in, n_in, out))
        return;
    wisp_status status = step->status;
    if (status == WISP_OK) {
        status = judge(step, op, attrs, in, n_in, out);
        if (status == WISP_OK)
            status = step->engine->call(step, op, attrs, in, n_in, out, &step->error);
        if (step->status == WISP_OK)
            step->status = status;
    }
    if (step->status != WISP_OK) {
        for (int32_t i = 0; i < op->n_out; i++)
            out[i] = NULL;
        return;
    }
    if (op->gradient && any_wants_grad(step, in, n_in)) {
        for (int32_t i = 0; i < op->n_out; i++)
            if (out[i] && (out[i]->desc.dtype == WISP_F32 || out[i]->desc.dtype == WISP_BF16))
                out[i]->wants_grad = 1;
        record(step, op, attrs, in, n_in, out, op->n_out);
    }
}

wisp_tensor *wispi_apply1(wisp_step *step, const wispi_op *op, const void *attrs,
                          wisp_tensor *const *in, int32_t n_in)
{
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    wispi_apply(step, op, attrs, in, n_in, out);
    return out[0];
}

/* --- handles that share storage --- */

static wisp_tensor *alias(wispi_step *step, wisp_tensor *x, const wisp_desc *desc, int64_t offset,
                          int differentiable)
{
    if (step->status != WISP_OK || !x) {
        if (step->status == WISP_OK)
            wispi_step_fail(&step->plugin, WISP_E_INVALID, "a tensor argument is NULL");
        return NULL;
    }
    int wants = differentiable && !step->no_grad && x->wants_grad;
    int32_t before = step->n_tensors;
    wisp_tensor *y = step->engine->alias(step, x, desc, offset, wants);
    if (y && wants && step->n_tensors > before) {
        wisp_tensor *in[1] = {x}, *out[1] = {y};
        record(step, NULL, NULL, in, 1, out, 1);
    }
    return y;
}

wisp_tensor *wispi_reshape(wisp_step *public_step, wisp_tensor *x, const wisp_desc *desc)
{
    wispi_step *step = wispi_step_of(public_step);
    if (x && (wisp_desc_count(&x->desc) != wisp_desc_count(desc) || x->desc.dtype != desc->dtype)) {
        char from[96], to[96];
        wispi_step_fail(public_step, WISP_E_SHAPE, "reshape: %s %s does not fill %s %s",
                        wisp_dtype_name(x->desc.dtype),
                        wispi_shape_text(&x->desc, from, sizeof from), wisp_dtype_name(desc->dtype),
                        wispi_shape_text(desc, to, sizeof to));
    }
    return alias(step, x, desc, 0, 1);
}

wisp_tensor *wispi_leading_slice(wisp_step *public_step, wisp_tensor *x, int64_t start,
                                 int64_t length)
{
    wispi_step *step = wispi_step_of(public_step);
    if (!x || x->desc.rank < 1 || start < 0 || length < 0 || start > x->desc.shape[0] - length) {
        char text[96];
        wispi_step_fail(public_step, WISP_E_SHAPE, "slice: rows [%lld, %lld) are not in x %s",
                        (long long)start, (long long)(start + length),
                        x ? wispi_shape_text(&x->desc, text, sizeof text) : "(absent)");
        return NULL;
    }
    wisp_desc desc = x->desc;
    desc.shape[0] = length;
    int64_t row = x->desc.shape[0] ? wisp_desc_bytes(&x->desc) / x->desc.shape[0] : 0;
    return alias(step, x, &desc, start * row, 1);
}

wisp_tensor *wispi_stop_gradient(wisp_step *public_step, wisp_tensor *x)
{
    return alias(wispi_step_of(public_step), x, x ? &x->desc : NULL, 0, 0);
}

wisp_tensor *wispi_step_variable(wisp_step *public_step, wispi_variable *variable)
{
    wispi_step *step = wispi_step_of(public_step);
    return step->status == WISP_OK ? step->engine->variable(step, variable) : NULL;
}

/* --- gradients --- */

int wispi_grad_wants(const wispi_grad *grad, int32_t i)
{
    return i < grad->n_in && grad->in[i] && grad->in[i]->wants_grad;
}

wisp_tensor *wispi_grad_target(const wispi_grad *grad, int32_t i)
{
    wisp_tensor *x = i < grad->n_in ? grad->in[i] : NULL;
    if (!x || x->kind != WISPI_TENSOR_VARIABLE || x->grad_written)
        return NULL;
    return x->grad_slot;
}

wisp_tensor *wispi_grad_sum(const wispi_grad *grad, int32_t i)
{
    wisp_tensor *x = i < grad->n_in ? grad->in[i] : NULL;
    return x && x->kind == WISPI_TENSOR_VARIABLE && x->grad_written ? x->grad_slot : NULL;
}

static void give_to_variable(wispi_step *step, wisp_tensor *x, wisp_tensor *value)
{
    if (value == x->grad_slot) {
        x->grad_written = 1;
        return;
    }
    if (memcmp(&value->desc, &x->desc, sizeof x->desc) != 0)
        value = wispi_reshape(&step->plugin, value, &x->desc);
    wisp_tensor *out[WISPI_MAX_OUT] = {x->grad_slot};
    if (!x->grad_written) {
        wisp_tensor *in[1] = {value};
        wispi_apply(&step->plugin, wispi_op_copy.ops[0], NULL, in, 1, out);
    } else {
        wisp_tensor *in[2] = {value, x->grad_slot};
        wispi_apply(&step->plugin, wispi_op_copy.ops[1], NULL, in, 2, out);
    }
    x->grad_written = 1;
}

static void give(wispi_step *step, wisp_tensor *x, wisp_tensor *value)
{
    if (!x || !x->wants_grad || !value || step->status != WISP_OK)
        return;
    if (wisp_desc_count(&x->desc) != wisp_desc_count(&value->desc) ||
        x->desc.dtype != value->desc.dtype) {
        char want[96], have[96];
        wispi_step_fail(
            &step->plugin, WISP_E_INTERNAL, "gradient %s %s does not fit its tensor %s %s",
            wisp_dtype_name(value->desc.dtype), wispi_shape_text(&value->desc, have, sizeof have),
            wisp_dtype_name(x->desc.dtype), wispi_shape_text(&x->desc, want, sizeof want));
        return;
    }
    if (x->kind == WISPI_TENSOR_VARIABLE && x->grad_slot) {
        give_to_variable(step, x, value);
        return;
    }
    wispi_contribution *node = wispi_arena_alloc(step->arena, sizeof *node);
    if (!node) {
        wispi_step_fail(&step->plugin, WISP_E_NOMEM, "no memory for a gradient");
        return;
    }
    value->given++;
    node->value = value;
    node->next = x->contributions;
    x->contributions = node;
}

void wispi_grad_give(const wispi_grad *grad, int32_t i, wisp_tensor *value)
{
    if (i < grad->n_in)
        give(wispi_step_of(grad->step), grad->in[i], value);
}

/* An earlier sum goes into `value` in place when nobody else holds it, else into a new tensor. */
static wisp_tensor *sum_two(wispi_step *step, wisp_tensor *a, wisp_tensor *b)
{
    if (a->given == 1 && a->kind == WISPI_TENSOR_PLANNED) {
        wisp_tensor *swap = a;
        a = b;
        b = swap;
    }
    if (b->given == 1 && b->kind == WISPI_TENSOR_PLANNED) {
        wisp_tensor *in[2] = {a, b}, *out[WISPI_MAX_OUT] = {b};
        wispi_apply(&step->plugin, wispi_op_copy.ops[1], NULL, in, 2, out);
        return b;
    }
    wisp_binary_attrs attrs = {WISP_BINARY_ADD, 0};
    wisp_tensor *in[2] = {a, b};
    wisp_tensor *sum = wispi_apply1(&step->plugin, wispi_op_binary.ops[0], &attrs, in, 2);
    if (sum)
        sum->given = 1;
    return sum;
}

wisp_tensor *wispi_tensor_grad(wispi_step *step, wisp_tensor *x)
{
    if (x->kind == WISPI_TENSOR_VARIABLE && x->grad_slot)
        return x->grad_written ? x->grad_slot : NULL;
    for (wispi_contribution *node = x->contributions; node && step->status == WISP_OK;
         node = node->next) {
        wisp_tensor *value = node->value;
        if (memcmp(&value->desc, &x->desc, sizeof x->desc) != 0)
            value = wispi_reshape(&step->plugin, value, &x->desc);
        x->grad = x->grad && value ? sum_two(step, x->grad, value) : value;
    }
    x->contributions = NULL;
    return x->grad;
}

static void alias_gradient(wispi_step *step, const wispi_tape_entry *entry, wisp_tensor *dy)
{
    wisp_tensor *x = entry->in[0], *y = entry->out[0];
    if (wisp_desc_count(&x->desc) == wisp_desc_count(&y->desc)) {
        give(step, x,
             memcmp(&x->desc, &dy->desc, sizeof x->desc) == 0
                 ? dy
                 : wispi_reshape(&step->plugin, dy, &x->desc));
        return;
    }
    int64_t row = wisp_desc_bytes(&x->desc) / x->desc.shape[0];
    wisp_axis_attrs attrs = {y->base_bytes / row, x->desc.shape[0], 0, 0};
    wisp_tensor *in[1] = {dy};
    give(step, x, wispi_apply1(&step->plugin, wispi_op_slice.ops[1], &attrs, in, 1));
}

static void entry_gradient(wispi_step *step, const wispi_tape_entry *entry)
{
    wisp_tensor *dout[WISPI_MAX_OUT] = {NULL};
    int any = 0;
    for (int32_t i = 0; i < entry->n_out; i++) {
        if (entry->out[i] && entry->out[i]->wants_grad)
            dout[i] = wispi_tensor_grad(step, entry->out[i]);
        any |= dout[i] != NULL;
    }
    if (!any || step->status != WISP_OK)
        return;
    if (!entry->op) {
        alias_gradient(step, entry, dout[0]);
        return;
    }
    wispi_grad grad = {&step->plugin, entry->attrs, entry->in,   entry->out,
                       dout,          entry->n_in,  entry->n_out};
    wisp_status status = entry->op->gradient(&grad);
    if (status != WISP_OK)
        wispi_step_fail(&step->plugin, status, "the gradient of %s failed: %s", entry->op->name,
                        wisp_status_text(status));
}

void wispi_step_backward_from(wisp_step *public_step, wisp_tensor *const *y, wisp_tensor *const *dy,
                              int32_t n)
{
    wispi_step *step = wispi_step_of(public_step);
    step->no_grad++;
    step->in_backward = 1;
    for (int32_t i = 0; i < n; i++)
        give(step, y[i], dy[i]);
    for (int32_t i = step->n_tape - 1; i >= 0 && step->status == WISP_OK; i--)
        entry_gradient(step, &step->tape[i]);
    step->in_backward = 0;
    step->past_backward = 1;
    step->no_grad--;
    if (step->engine->backward_done)
        step->engine->backward_done(step);
}

void wispi_step_backward(wisp_step *public_step, wisp_tensor *loss)
{
    wispi_step *step = wispi_step_of(public_step);
    if (step->status != WISP_OK)
        return;
    if (step->engine->replay_backward && step->engine->replay_backward(step, loss))
        return;
    if (!loss || loss->desc.rank != 0 || loss->desc.dtype != WISP_F32) {
        char text[96];
        wispi_step_fail(public_step, WISP_E_SHAPE, "the loss must be a 0-d f32 tensor, not %s %s",
                        loss ? wisp_dtype_name(loss->desc.dtype) : "",
                        loss ? wispi_shape_text(&loss->desc, text, sizeof text) : "absent");
        return;
    }
    if (!loss->wants_grad) {
        wispi_step_fail(public_step, WISP_E_INVALID,
                        "the loss does not depend on any trainable parameter");
        return;
    }
    wisp_fill_attrs one = {loss->desc, 1.0};
    step->in_backward = 1;
    step->no_grad++;
    wisp_tensor *seed = wispi_apply1(public_step, wispi_op_fill.ops[0], &one, NULL, 0);
    step->no_grad--;
    wispi_step_backward_from(public_step, &loss, &seed, 1);
}
