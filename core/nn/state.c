#include "nn/state.h"

#include <string.h>

#include "nn/op_call.h"
#include "tensor/program.h"

static wisp_tensor *whole(wisp_tensor *x)
{
    while (x && x->kind == WISPI_TENSOR_ALIAS)
        x = x->base;
    return x;
}

/* Backward may still want the old value of what an operation on the tape has used. */
static int is_on_tape(const wispi_step *step, const wispi_variable *variable)
{
    for (int32_t i = 0; i < step->n_tape; i++)
        for (int32_t k = 0; k < step->tape[i].n_in; k++) {
            const wisp_tensor *x = whole(step->tape[i].in[k]);
            if (x && x->variable == variable)
                return 1;
        }
    return 0;
}

static int may_change(wisp_step *s, const wisp_state *state)
{
    wispi_step *step = wispi_step_of(s);
    if (step->status == WISP_OK && !state)
        wispi_step_fail(s, WISP_E_INVALID, "the state is NULL");
    else if (step->status == WISP_OK && state->constant)
        wispi_step_fail(s, WISP_E_INVALID, "%s is a constant", state->name);
    else if (step->status == WISP_OK && wispi_step_is_recording(s) && !step->past_backward &&
             is_on_tape(step, state->variable))
        wispi_step_fail(s, WISP_E_STATE,
                        "state %s changes before backward, which needs the value that the loss was "
                        "computed with: change it in after_step",
                        state->name);
    return step->status == WISP_OK;
}

/* In the state's own type; shapes and integers are left to the operation to judge. */
static wisp_tensor *converted(wisp_step *s, const wisp_state *state, wisp_tensor *x)
{
    const int32_t dtype = state->variable->desc.dtype;
    const wisp_cast_attrs attrs = {dtype, 0};
    return wispi_tensor_desc(x)->dtype == dtype ? x
                                                : wispi_call1(s, WISPI_CALL_cast, &attrs, &x, 1);
}

wisp_tensor *wispi_state_value(wisp_step *s, const wisp_state *state)
{
    if (state)
        return wispi_step_variable(s, state->variable);
    wispi_step_fail(s, WISP_E_INVALID, "state_value: the state is NULL");
    return NULL;
}

void wispi_state_assign(wisp_step *s, wisp_state *state, wisp_tensor *x)
{
    if (!wispi_usable(s, "state_assign", x) || !may_change(s, state))
        return;
    wisp_no_grad_begin(s);
    wisp_tensor *value = converted(s, state, x);
    wisp_tensor *out[WISPI_MAX_OUT] = {wispi_step_variable(s, state->variable)};
    wispi_call(s, WISPI_CALL_copy, NULL, &value, 1, out);
    wisp_no_grad_end(s);
}

void wispi_state_lerp(wisp_step *s, wisp_state *state, wisp_tensor *x, wisp_tensor *momentum)
{
    if (!wispi_usable(s, "state_lerp", x) || !may_change(s, state))
        return;
    wisp_no_grad_begin(s);
    wisp_tensor *buffer = wispi_step_variable(s, state->variable);
    wisp_tensor *in[3] = {buffer, x, momentum}, *out[WISPI_MAX_OUT] = {buffer};
    wispi_call(s, WISPI_CALL_lerp, NULL, in, 3, out);
    wisp_no_grad_end(s);
}

void wispi_state_push(wisp_step *s, wisp_state *ring, wisp_state *cursor, wisp_tensor *rows)
{
    if (!wispi_usable(s, "state_push", rows) || !may_change(s, ring) || !may_change(s, cursor))
        return;
    wisp_no_grad_begin(s);
    wisp_tensor *out[WISPI_MAX_OUT] = {wispi_step_variable(s, ring->variable),
                                       wispi_step_variable(s, cursor->variable)};
    wisp_tensor *in[3] = {out[0], out[1], rows};
    wispi_call(s, WISPI_CALL_ring_write, NULL, in, 3, out);
    wisp_no_grad_end(s);
}
