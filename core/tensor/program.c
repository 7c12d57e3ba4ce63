#include "tensor/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tensor/capture.h"
#include "tensor/memory_plan.h"
#include "tensor/program_parts.h"
#include "tensor/rank_calls.h"
#include "tensor/transfer.h"

typedef wispi_event event;

static wispi_program *program_of(wispi_step *step)
{
    return (wispi_program *)(void *)step;
}

/* --- recording --- */

static event *new_event(wispi_program *program, int32_t kind)
{
    if (program->n_events == program->event_capacity) {
        int32_t capacity = program->event_capacity ? 2 * program->event_capacity : 512;
        void *grown = wispi_grow(program->events, (size_t)program->n_events * sizeof(event),
                                 (size_t)capacity * sizeof(event));
        if (!grown) {
            wispi_step_fail(&program->step.plugin, WISP_E_NOMEM, "no memory to record the step");
            return NULL;
        }
        program->events = grown;
        program->event_capacity = capacity;
    }
    event *e = &program->events[program->n_events++];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    e->in_backward = program->step.in_backward;
    return e;
}

static void *keep_copy(wispi_program *program, const void *data, size_t bytes)
{
    void *copy = wispi_arena_alloc(program->arena, bytes ? bytes : 1);
    if (copy && bytes)
        memcpy(copy, data, bytes);
    return copy;
}

static wisp_status record_call(wispi_step *step, const wispi_op *op, const void *attrs,
                               wisp_tensor *const *in, int32_t n_in, wisp_tensor *const *out,
                               wisp_error *err)
{
    wispi_program *program = program_of(step);
    event *e = new_event(program, WISPI_EVENT_CALL);
    if (!e)
        return WISP_E_NOMEM;
    e->op = op;
    e->n_in = n_in;
    e->attrs = keep_copy(program, attrs, op->attrs_bytes);
    e->in = keep_copy(program, in, (size_t)n_in * sizeof *in);
    e->out = keep_copy(program, out, (size_t)op->n_out * sizeof *out);
    if (!e->attrs || !e->in || !e->out)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to record a call of %s", op->name);
    return WISP_OK;
}

static wisp_tensor *record_handle(wispi_program *program, int32_t kind, wisp_tensor *base,
                                  wispi_variable *variable, const wisp_desc *desc, int64_t offset)
{
    event *e = new_event(program, kind);
    wisp_tensor *tensor = e ? wispi_tensor_new(&program->step, desc) : NULL;
    wisp_tensor **slots = tensor ? wispi_arena_alloc(program->arena, 2 * sizeof *slots) : NULL;
    if (!slots) {
        wispi_step_fail(&program->step.plugin, WISP_E_NOMEM, "no memory to record a tensor");
        return NULL;
    }
    slots[0] = base;
    slots[1] = tensor;
    e->in = slots;
    e->out = slots + 1;
    e->variable = variable;
    e->offset = offset;
    return tensor;
}

/* --- replay --- */

static void diverged(wispi_program *program, const char *now)
{
    const event *e = program->cursor < program->n_events ? &program->events[program->cursor] : NULL;
    const char *was = !e                                ? "the end of the step"
                      : e->kind == WISPI_EVENT_CALL     ? e->op->name
                      : e->kind == WISPI_EVENT_ALIAS    ? "a reshape or slice"
                      : e->kind == WISPI_EVENT_VARIABLE ? e->variable->name
                      : e->kind == WISPI_EVENT_BACKWARD ? "backward"
                                                        : "the end of backward";
    wispi_step_fail(&program->step.plugin, WISP_E_STATE,
                    "call %d of the step was %s when it was recorded and is %s now (or has other "
                    "arguments): a step's calls may change only at the start of an epoch",
                    program->cursor, was, now);
}

static const event *expect(wispi_program *program, int32_t kind)
{
    if (program->cursor < program->n_events && program->events[program->cursor].kind == kind)
        return &program->events[program->cursor];
    return NULL;
}

static void *resolve(const wispi_program *program, const wisp_tensor *x)
{
    switch (x->kind) {
    case WISPI_TENSOR_PLANNED:
        return program->memory + x->plan_offset;
    case WISPI_TENSOR_VARIABLE:
        return x->variable->data;
    default:
        return (char *)resolve(program, x->base) + x->base_bytes;
    }
}

static wisp_kernel_arg argument(const wispi_program *program, const wisp_tensor *x)
{
    wisp_kernel_arg arg = {NULL, 0, 0};
    if (!x)
        return arg;
    arg.data = resolve(program, x);
    const wisp_tensor *whole = x;
    while (whole->kind == WISPI_TENSOR_ALIAS && whole->base_bytes == 0 &&
           wisp_desc_count(&whole->desc) == wisp_desc_count(&whole->base->desc))
        whole = whole->base;
    if (whole->kind == WISPI_TENSOR_VARIABLE) {
        arg.uid = whole->variable->uid;
        arg.version = *whole->variable->version;
    }
    return arg;
}

/* Smallest and largest value and the number of values that are not finite. */
static wisp_status value_range(wispi_program *program, const wisp_tensor *x, double range[2],
                               int64_t *n_bad, wisp_error *err)
{
    int64_t count = wisp_desc_count(&x->desc);
    void *raw = wispi_alloc((size_t)wisp_desc_bytes(&x->desc) + 1);
    double *values = wispi_alloc((size_t)(count + 1) * sizeof *values);
    wisp_status status =
        raw && values ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory to check");
    if (status == WISP_OK)
        status = wispi_device_sync(program->device, err);
    if (status == WISP_OK)
        status = wispi_device_read(program->device, raw, resolve(program, x),
                                   (size_t)wisp_desc_bytes(&x->desc), err);
    *n_bad = 0;
    range[0] = INFINITY;
    range[1] = -INFINITY;
    if (status == WISP_OK) {
        wispi_widen(values, raw, x->desc.dtype, count);
        for (int64_t i = 0; i < count; i++) {
            if (!isfinite(values[i])) {
                ++*n_bad;
                continue;
            }
            range[0] = fmin(range[0], values[i]);
            range[1] = fmax(range[1], values[i]);
        }
    }
    wispi_free(raw);
    wispi_free(values);
    return status;
}

static int is_floating(const wisp_tensor *x)
{
    return x && (x->desc.dtype == WISP_F32 || x->desc.dtype == WISP_BF16);
}

static wisp_status check_finite(wispi_program *program, const event *e, wisp_error *err)
{
    double range[2];
    int64_t n_bad = 0;
    char shape[96];
    for (int32_t i = 0; i < e->op->n_out; i++) {
        if (!is_floating(e->out[i]))
            continue;
        WISP_TRY(value_range(program, e->out[i], range, &n_bad, err));
        if (!n_bad)
            continue;
        char inputs[700] = "";
        size_t used = 0;
        for (int32_t k = 0; k < e->n_in && used < sizeof inputs; k++) {
            int64_t bad = 0;
            if (!is_floating(e->in[k]) ||
                value_range(program, e->in[k], range, &bad, err) != WISP_OK)
                continue;
            int n = snprintf(inputs + used, sizeof inputs - used, "%s%s in [%.4g, %.4g]",
                             used ? ", " : "", e->op->in_names[k], range[0], range[1]);
            if (n > 0)
                used += (size_t)n;
        }
        return wisp_fail(
            err, WISP_E_NONFINITE,
            "%s (call %d%s) is the first op whose result is not finite: %lld values of %s "
            "%s; its inputs were %s",
            e->op->name, program->cursor, e->in_backward ? ", backward" : "", (long long)n_bad,
            e->op->out_names[i], wispi_shape_text(&e->out[i]->desc, shape, sizeof shape),
            used ? inputs : "none");
    }
    return WISP_OK;
}

static wisp_status run_call(wispi_program *program, event *e, wisp_error *err)
{
    wisp_kernel_arg in[WISPI_MAX_IN], out[WISPI_MAX_OUT];
    memset(in, 0, sizeof in); /* what a call leaves out reads as absent */
    memset(out, 0, sizeof out);
    for (int32_t i = 0; i < e->n_in; i++)
        in[i] = argument(program, e->in[i]);
    for (int32_t i = 0; i < e->op->n_out; i++)
        out[i] = argument(program, e->out[i]);
    double start = program->options.profile ? wispi_seconds() : 0;
    wisp_status status =
        e->kernel->run(e->kernel, in, out, wispi_device_scratch_memory(program->device), err);
    if (program->options.profile) {
        if (status == WISP_OK)
            status = wispi_device_sync(program->device, err);
        e->seconds += wispi_seconds() - start;
        e->runs++;
    }
    for (int32_t i = 0; i < e->op->n_out; i++)
        if (e->out[i] && e->out[i]->kind == WISPI_TENSOR_VARIABLE)
            ++*e->out[i]->variable->version;
    if (status == WISP_OK && program->options.check_finite && e->op != &wispi_rank_start)
        status = check_finite(program, e, err);
    return status;
}

static wisp_status run_recorded(wispi_program *program, event *e, wisp_error *err)
{
    if (e->is_absorbed || e->is_late)
        return WISP_OK;
    if (!e->joint)
        return run_call(program, e, err);
    WISP_TRY(run_call(program, e->joint, err));
    for (event *late = program->events; late < e; late++)
        if (late->is_late)
            WISP_TRY(run_call(program, late, err));
    return WISP_OK;
}

static wisp_status carry_out(wispi_program *program, event *e, wisp_error *err)
{
    const wispi_ranks *ranks = program->step.ranks;
    WISP_TRY(run_recorded(program, e, err));
    for (event *then = e->then; then; then = then->then) {
        WISP_TRY(run_call(program, then, err));
        program->under_way += then->op == &wispi_rank_start ? 1 : -1;
    }
    if (program->under_way > 0 && ranks && ranks->comm->progress)
        return ranks->comm->progress(ranks->self, err);
    return WISP_OK;
}

static int same_call(const event *e, const wispi_op *op, const void *attrs, wisp_tensor *const *in,
                     int32_t n_in, wisp_tensor *const *out)
{
    if (e->op != op || e->n_in != n_in)
        return 0;
    if (op->attrs_bytes && memcmp(e->attrs, attrs, op->attrs_bytes) != 0)
        return 0;
    for (int32_t i = 0; i < n_in; i++)
        if (e->in[i] != in[i])
            return 0;
    for (int32_t i = 0; i < op->n_out; i++)
        if (out[i] && out[i] != e->out[i])
            return 0;
    return 1;
}

static int replay_call(wispi_step *step, const wispi_op *op, const void *attrs,
                       wisp_tensor *const *in, int32_t n_in, wisp_tensor **out)
{
    wispi_program *program = program_of(step);
    if (program->recording)
        return 0;
    event *e = program->cursor < program->n_events ? &program->events[program->cursor] : NULL;
    if (!e || e->kind != WISPI_EVENT_CALL || !same_call(e, op, attrs, in, n_in, out)) {
        diverged(program, op->name);
        return 0;
    }
    wisp_status status = carry_out(program, e, &step->error);
    if (status != WISP_OK) {
        step->status = status;
        return 0;
    }
    for (int32_t i = 0; i < op->n_out; i++)
        out[i] = e->out[i];
    program->cursor++;
    return 1;
}

static wisp_tensor *alias(wispi_step *step, wisp_tensor *base, const wisp_desc *desc,
                          int64_t offset, int wants_grad)
{
    wispi_program *program = program_of(step);
    if (!program->recording) {
        const event *e = expect(program, WISPI_EVENT_ALIAS);
        if (!e || e->in[0] != base || e->offset != offset ||
            memcmp(&e->out[0]->desc, desc, sizeof *desc) != 0) {
            diverged(program, "a reshape or slice");
            return NULL;
        }
        program->cursor++;
        return e->out[0];
    }
    wisp_tensor *tensor = record_handle(program, WISPI_EVENT_ALIAS, base, NULL, desc, offset);
    if (tensor) {
        tensor->kind = WISPI_TENSOR_ALIAS;
        tensor->base = base;
        tensor->base_bytes = offset;
        tensor->wants_grad = (uint8_t)wants_grad;
    }
    return tensor;
}

/* The program's tensor of a variable; each has one. */
static wisp_tensor *known_variable(const wispi_program *program, const wispi_variable *variable)
{
    for (int32_t i = 0; i < program->n_events; i++)
        if (program->events[i].kind == WISPI_EVENT_VARIABLE &&
            program->events[i].variable == variable)
            return program->events[i].out[0];
    return NULL;
}

static wisp_tensor *variable_tensor(wispi_step *step, wispi_variable *variable)
{
    wispi_program *program = program_of(step);
    if (!program->recording) {
        const event *e = expect(program, WISPI_EVENT_VARIABLE);
        if (!e || e->variable != variable) {
            diverged(program, variable->name);
            return NULL;
        }
        program->cursor++;
        return e->out[0];
    }
    wisp_tensor *known = known_variable(program, variable);
    wisp_tensor *tensor =
        record_handle(program, WISPI_EVENT_VARIABLE, NULL, variable, &variable->desc, 0);
    if (!tensor)
        return NULL;
    if (known) {
        program->events[program->n_events - 1].out[0] = known;
        return known;
    }
    tensor->kind = WISPI_TENSOR_VARIABLE;
    tensor->variable = variable;
    if (variable->grad) {
        tensor->wants_grad = 1;
        wisp_tensor *slot = wispi_tensor_new(step, &variable->grad->desc);
        if (slot) {
            slot->kind = WISPI_TENSOR_VARIABLE;
            slot->variable = variable->grad;
        }
        tensor->grad_slot = slot;
    }
    return tensor;
}

static int replay_backward(wispi_step *step, wisp_tensor *loss)
{
    wispi_program *program = program_of(step);
    if (program->recording) {
        wisp_tensor *in[1] = {loss};
        event *e = new_event(program, WISPI_EVENT_BACKWARD);
        if (e)
            e->in = keep_copy(program, in, sizeof in);
        return 0;
    }
    const event *begin = expect(program, WISPI_EVENT_BACKWARD);
    if (!begin || !begin->in || begin->in[0] != loss) {
        diverged(program, "backward");
        return 1;
    }
    for (program->cursor++; program->events[program->cursor].kind != WISPI_EVENT_BACKWARD_END;
         program->cursor++) {
        event *e = &program->events[program->cursor];
        if (e->kind != WISPI_EVENT_CALL)
            continue;
        wisp_status status = carry_out(program, e, &step->error);
        if (status != WISP_OK) {
            step->status = status;
            return 1;
        }
    }
    program->cursor++;
    return 1;
}

static void backward_done(wispi_step *step)
{
    new_event(program_of(step), WISPI_EVENT_BACKWARD_END);
}

static const wispi_engine program_engine = {replay_call,     record_call,     alias,
                                            variable_tensor, replay_backward, backward_done};

/* --- planning --- */

static wisp_tensor *storage_of(wisp_tensor *x)
{
    while (x && x->kind == WISPI_TENSOR_ALIAS)
        x = x->base;
    return x && x->kind == WISPI_TENSOR_PLANNED ? x : NULL;
}

static void touch(wisp_tensor *x, int32_t call)
{
    wisp_tensor *storage = storage_of(x);
    if (!storage)
        return;
    if (storage->first_call < 0)
        storage->first_call = call;
    if (call < storage->first_call)
        storage->first_call = call;
    if (call > storage->last_call)
        storage->last_call = call;
    if (x->keep)
        storage->keep = 1;
}

/* What is carried out for event i, and when; NULL: nothing. */
static const event *acting(const wispi_program *program, int32_t i, int32_t *when)
{
    const event *e = &program->events[i];
    *when = e->is_late ? program->joint_at : i;
    return e->is_absorbed ? NULL : e->joint ? e->joint : e;
}

static void find_lifetimes(wispi_program *program)
{
    for (int32_t i = 0; i < program->n_events; i++) {
        const event *e = &program->events[i];
        if (e->kind == WISPI_EVENT_ALIAS && e->out[0]->keep && storage_of(e->out[0]))
            storage_of(e->out[0])->keep = 1;
        int32_t when;
        e = e->kind == WISPI_EVENT_CALL ? acting(program, i, &when) : NULL;
        for (int32_t k = 0; e && k < e->n_in; k++)
            touch(e->in[k], when);
        for (int32_t k = 0; e && k < e->op->n_out; k++)
            touch(e->out[k], when);
    }
}

/* Every planned tensor, at the call that writes it first. */
static int32_t collect_storage(wispi_program *program, wisp_tensor **list)
{
    int32_t n = 0;
    for (int32_t i = 0; i < program->n_events; i++) {
        int32_t when;
        const event *e =
            program->events[i].kind == WISPI_EVENT_CALL ? acting(program, i, &when) : NULL;
        for (int32_t k = 0; e && k < e->op->n_out; k++) {
            wisp_tensor *x = e->out[k];
            if (x && x->kind == WISPI_TENSOR_PLANNED && x->first_call == when && !x->is_listed) {
                x->is_listed = 1;
                list[n++] = x;
            }
        }
    }
    return n;
}

static wisp_status plan_memory(wispi_program *program, wisp_error *err)
{
    size_t n_max = (size_t)(program->step.n_tensors ? program->step.n_tensors : 1);
    wisp_tensor **list = wispi_alloc(n_max * sizeof *list);
    wispi_plan_block *blocks = wispi_alloc(n_max * sizeof *blocks);
    wisp_status status = WISP_E_NOMEM;
    if (list && blocks) {
        find_lifetimes(program);
        int32_t n = collect_storage(program, list);
        for (int32_t i = 0; i < n; i++) {
            blocks[i].bytes = wisp_desc_bytes(&list[i]->desc);
            blocks[i].first = list[i]->first_call;
            blocks[i].last = list[i]->keep ? program->n_events : list[i]->last_call;
            program->facts.unplanned_bytes += blocks[i].bytes;
        }
        status = wispi_memory_plan(blocks, n, &program->facts.step_bytes, err);
        for (int32_t i = 0; status == WISP_OK && i < n; i++)
            list[i]->plan_offset = blocks[i].offset;
    }
    wispi_free(list);
    wispi_free(blocks);
    return status == WISP_E_NOMEM ? wisp_fail(err, status, "no memory to plan the step") : status;
}

/* --- kernels --- */

wisp_status wispi_program_bind(wispi_program *program, wispi_event *e, wisp_error *err)
{
    const wisp_desc *in[WISPI_MAX_IN], *out[WISPI_MAX_OUT];
    for (int32_t i = 0; i < e->n_in; i++)
        in[i] = e->in[i] ? &e->in[i]->desc : NULL;
    for (int32_t i = 0; i < e->op->n_out; i++)
        out[i] = e->out[i] ? &e->out[i]->desc : NULL;
    wisp_kernel_request request = {
        .struct_size = sizeof request,
        .n_in = e->n_in,
        .n_out = e->op->n_out,
        .deterministic = wispi_device_deterministic(program->device),
        .op = e->op->name,
        .attrs = e->attrs,
        .attrs_bytes = e->op->attrs_bytes,
        .in = in,
        .out = out,
    };
    WISP_TRY(wispi_device_kernel(program->device, e->op, &request, &e->kernel, err));
    if ((int64_t)e->kernel->scratch_bytes > program->facts.scratch_bytes)
        program->facts.scratch_bytes = (int64_t)e->kernel->scratch_bytes;
    return WISP_OK;
}

static wisp_status bind_kernels(wispi_program *program, wisp_error *err)
{
    for (int32_t i = 0; i < program->n_events; i++)
        for (event *e = &program->events[i]; e; e = e->then)
            if (e->kind == WISPI_EVENT_CALL)
                WISP_TRY(wispi_program_bind(program, e, err));
    program->bound = 1;
    return wispi_device_scratch(program->device, (size_t)program->facts.scratch_bytes, err);
}

static double call_macs(const event *e)
{
    const wisp_desc *in[WISPI_MAX_IN];
    wisp_desc out[WISPI_MAX_OUT];
    if (!e->op->macs)
        return 0;
    memset(out, 0, sizeof out);
    for (int32_t k = 0; k < e->n_in; k++)
        in[k] = e->in[k] ? &e->in[k]->desc : NULL;
    for (int32_t k = 0; k < e->op->n_out; k++)
        if (e->out[k])
            out[k] = e->out[k]->desc;
    return e->op->macs(e->attrs, in, out);
}

static void count_work(wispi_program *program)
{
    for (int32_t i = 0; i < program->n_events; i++) {
        const event *e = &program->events[i];
        if (e->kind != WISPI_EVENT_CALL)
            continue;
        program->facts.n_calls++;
        double macs = call_macs(e);
        program->facts.total_macs += macs;
        if (!e->in_backward)
            program->facts.forward_macs += macs;
    }
    program->facts.n_tensors = program->step.n_tensors;
}

static wisp_status finish_recording(wispi_program *program, uint32_t flags, wisp_error *err)
{
    if (!(flags & WISPI_RECORD_SHAPES_ONLY)) {
        wispi_program_join_update(program);
        WISP_TRY(wispi_program_cut_gradients(program, err));
    }
    WISP_TRY(plan_memory(program, err));
    count_work(program);
    if (flags & WISPI_RECORD_SHAPES_ONLY)
        return WISP_OK;
    return bind_kernels(program, err);
}

static wisp_status step_error(wispi_step *step, wisp_error *err)
{
    if (step->status != WISP_OK && err) {
        *err = step->error;
        err->code = step->status;
    }
    return step->status;
}

wisp_status wispi_program_record(wispi_device *device, const wisp_ops *ops, void *owner,
                                 uint32_t flags, wispi_step_fn fn, void *user, wispi_program **out,
                                 wisp_error *err)
{
    wispi_program *program = wispi_alloc(sizeof *program);
    wispi_arena *arena = wispi_arena_create(1 << 20);
    if (!program || !arena) {
        wispi_free(program);
        wispi_arena_destroy(arena);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a program");
    }
    program->device = device;
    program->joint_at = -1;
    program->arena = arena;
    wispi_step_init(&program->step, &program_engine, ops, arena, owner);
    program->recording = 1;
    fn(&program->step.plugin, user);
    program->recording = 0;
    wisp_status status = step_error(&program->step, err);
    if (status == WISP_OK)
        status = finish_recording(program, flags, err);
    if (status == WISP_OK)
        *out = program;
    else
        wispi_program_destroy(program);
    return status;
}

void wispi_program_destroy(wispi_program *program)
{
    if (!program)
        return;
    wispi_capture_drop(program);
    wispi_step_fini(&program->step);
    wispi_arena_destroy(program->arena);
    wispi_free(program->events);
    wispi_free(program);
}

wisp_status wispi_program_go(wispi_program *program, wispi_step_fn fn, void *user, wisp_error *err)
{
    program->cursor = 0;
    program->under_way = 0;
    program->step.status = WISP_OK;
    program->step.no_grad = 0;
    program->step.n_own_parts = 0;
    program->step.draws = 0;
    fn(&program->step.plugin, user);
    if (program->step.status == WISP_OK && program->cursor != program->n_events)
        diverged(program, "the end of the step");
    return step_error(&program->step, err);
}

static wisp_status repeat(wispi_program *program, wisp_error *err)
{
    program->under_way = 0;
    for (int32_t i = 0; i < program->n_events; i++)
        if (program->events[i].kind == WISPI_EVENT_CALL)
            WISP_TRY(carry_out(program, &program->events[i], err));
    return WISP_OK;
}

wisp_status wispi_program_run(wispi_program *program, wispi_step_fn fn, void *user,
                              const wispi_run_options *options, wisp_error *err)
{
    void *memory = NULL;
    wisp_status status;
    if (!program->bound)
        return wisp_fail(err, WISP_E_STATE, "the step was recorded for its shapes only");
    WISP_TRY(wispi_uploads_send(program->device, err));
    WISP_TRY(wispi_device_step_memory(program->device, (size_t)program->facts.step_bytes, &memory,
                                      &program->generation, err));
    program->memory = memory;
    program->options = options ? *options : (wispi_run_options){0, 0, 0};
    if (program->options.repeat)
        return repeat(program, err);
    if (wispi_capture_run(program, fn, user, &status, err))
        return status;
    return wispi_program_go(program, fn, user, err);
}

/* --- questions --- */

void wispi_step_keep(wisp_step *step, wisp_tensor *x)
{
    (void)step;
    if (x)
        x->keep = 1;
}

int wispi_step_is_recording(const wisp_step *step)
{
    const wispi_step *inner = (const wispi_step *)(const void *)step;
    return inner->engine == &program_engine &&
           ((const wispi_program *)(const void *)inner)->recording;
}

/* Where a kept tensor lies since the last run. */
static wisp_status locate(wispi_program *program, const wisp_tensor *x, void **place,
                          wisp_error *err)
{
    void *memory = NULL;
    uint64_t generation = 0;
    if (!program->memory)
        return wisp_fail(err, WISP_E_STATE, "the step has not run: there is nothing to read");
    WISP_TRY(wispi_device_step_memory(program->device, (size_t)program->facts.step_bytes, &memory,
                                      &generation, err));
    if (generation != program->generation)
        return wisp_fail(err, WISP_E_STATE,
                         "another step needed more memory since: read before it runs");
    *place = resolve(program, x);
    return WISP_OK;
}

wisp_status wispi_program_read(wispi_program *program, const wisp_tensor *x, void *values,
                               wisp_error *err)
{
    void *place = NULL;
    WISP_TRY(locate(program, x, &place, err));
    WISP_TRY(wispi_device_sync(program->device, err));
    return wispi_device_read(program->device, values, place, (size_t)wisp_desc_bytes(&x->desc),
                             err);
}

wisp_status wispi_program_download(wispi_program *program, const wisp_tensor *x, void *values,
                                   uint64_t *ticket, wisp_error *err)
{
    void *place = NULL;
    WISP_TRY(locate(program, x, &place, err));
    return wispi_device_download(program->device, values, place, (size_t)wisp_desc_bytes(&x->desc),
                                 ticket, err);
}

int wispi_step_has_grad(wisp_step *step, const wispi_variable *variable)
{
    if (wispi_step_of(step)->engine != &program_engine)
        return 0;
    const wisp_tensor *x = known_variable(program_of(wispi_step_of(step)), variable);
    return x && x->grad_written && !x->grad_dropped;
}

void wispi_step_drop_grad(wisp_step *step, const wispi_variable *variable)
{
    if (wispi_step_of(step)->engine != &program_engine)
        return;
    wispi_program *program = program_of(wispi_step_of(step));
    wisp_tensor *x = program->recording ? known_variable(program, variable) : NULL;
    if (x)
        x->grad_dropped = 1;
}

void wispi_program_facts_of(const wispi_program *program, wispi_program_facts *facts)
{
    *facts = program->facts;
}

void wispi_program_phases(const wispi_program *program, double seconds[3])
{
    int32_t phase = 0;
    seconds[0] = seconds[1] = seconds[2] = 0;
    for (int32_t i = 0; i < program->n_events; i++) {
        const event *e = &program->events[i];
        if (e->kind == WISPI_EVENT_BACKWARD)
            phase = 1;
        else if (e->kind == WISPI_EVENT_BACKWARD_END)
            phase = 2;
        seconds[phase] += e->joint ? e->joint->seconds : e->seconds;
        for (e = e->then; e; e = e->then)
            seconds[phase] += e->seconds;
    }
}

static double call_bytes(const event *e)
{
    double bytes = 0;
    for (int32_t i = 0; i < e->n_in; i++)
        bytes += e->in[i] ? (double)wisp_desc_bytes(&e->in[i]->desc) : 0;
    for (int32_t i = 0; i < e->op->n_out; i++)
        bytes += e->out[i] ? (double)wisp_desc_bytes(&e->out[i]->desc) : 0;
    return bytes;
}

static int slower_first(const void *a, const void *b)
{
    const wispi_profile_row *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static const wisp_desc *desc_of(const event *e, int32_t i)
{
    return i < e->n_in && e->in[i] ? &e->in[i]->desc : NULL;
}

static int same_desc(const wisp_desc *a, const wisp_desc *b)
{
    return a && b ? memcmp(a, b, sizeof *a) == 0 : a == b;
}

static int belongs(const wispi_profile_row *row, const event *e, int32_t by)
{
    if (strcmp(row->op, e->op->name) != 0)
        return 0;
    if (by == WISPI_PROFILE_OP)
        return 1;
    if (strcmp(row->implementation, e->kernel->implementation) != 0)
        return 0;
    return by == WISPI_PROFILE_IMPLEMENTATION ||
           (same_desc(row->in[0], desc_of(e, 0)) && same_desc(row->in[1], desc_of(e, 1)) &&
            same_desc(row->out, &e->out[0]->desc));
}

static void add_row(const event *e, int32_t by, wispi_profile_row *rows, int32_t *n, int32_t max)
{
    int32_t at = 0;
    if (!e || e->kind != WISPI_EVENT_CALL || !e->runs)
        return;
    while (at < *n && !belongs(&rows[at], e, by))
        at++;
    if (at == max)
        return;
    if (at == *n)
        rows[(*n)++] = (wispi_profile_row){.op = e->op->name,
                                           .implementation = e->kernel->implementation,
                                           .in = {desc_of(e, 0), desc_of(e, 1)},
                                           .out = &e->out[0]->desc};
    rows[at].calls += e->runs;
    rows[at].seconds += e->seconds;
    rows[at].macs += e->runs * call_macs(e);
    rows[at].bytes += e->runs * call_bytes(e);
}

int32_t wispi_program_profile(const wispi_program *program, int32_t by, wispi_profile_row *rows,
                              int32_t max)
{
    int32_t n = 0;
    for (int32_t i = 0; i < program->n_events; i++) {
        int32_t when;
        add_row(acting(program, i, &when), by, rows, &n, max);
        for (const event *then = program->events[i].then; then; then = then->then)
            add_row(then, by, rows, &n, max);
    }
    qsort(rows, (size_t)n, sizeof *rows, slower_first);
    return n;
}
