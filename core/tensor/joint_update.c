/* joint_update.c - the update of AdamW, the moving average that follows it and the norms of its
 * gradient as one call.
 *
 * Each of the three is one pass over all parameters, and in small batches those passes are a good
 * part of a step. In the record they stand apart: the host's optimizer makes the norms and the
 * update, the method the average, some calls later. The joint call stands where the average stood.
 * What lies between and depends on the update or the norms (the norm that a metric shows) is
 * carried out right after it; where something cannot wait, all stays as it was recorded. */
#include <string.h>

#include "tensor/program_parts.h"

enum { N_UPDATE_IN = 9, N_UPDATE_OUT = 4, N_IN = 12 };

/* Events by index; norms may be -1. */
typedef struct joint {
    wispi_program *program;
    int32_t norms, update, average;
} joint;

static int is_named(const wispi_event *e, const char *name)
{
    return e->kind == WISPI_EVENT_CALL && !e->in_backward && strcmp(e->op->name, name) == 0;
}

/* The last such call before event `end` whose argument or result `is` what is looked for. */
static int32_t find_before(const wispi_program *program, int32_t end, const char *name,
                           int (*is)(const wispi_event *e, const wispi_event *of),
                           const wispi_event *of)
{
    for (int32_t i = end - 1; i >= 0; i--)
        if (is_named(&program->events[i], name) && is(&program->events[i], of))
            return i;
    return -1;
}

static int updates_source(const wispi_event *update, const wispi_event *average)
{
    return update->out[0] == average->in[1];
}

static int measures_gradient(const wispi_event *norms, const wispi_event *update)
{
    return norms->in[0] == update->in[1] && norms->in[1] == update->in[4];
}

/* --- Order --- */

static int same_memory(const wisp_tensor *a, const wisp_tensor *b)
{
    while (a && a->kind == WISPI_TENSOR_ALIAS)
        a = a->base;
    while (b && b->kind == WISPI_TENSOR_ALIAS)
        b = b->base;
    if (!a || !b || a == b || a->kind != WISPI_TENSOR_VARIABLE || b->kind != WISPI_TENSOR_VARIABLE)
        return a && a == b;
    const uintptr_t first_a = (uintptr_t)a->variable->data, first_b = (uintptr_t)b->variable->data;
    return first_a < first_b + (uintptr_t)wisp_desc_bytes(&b->desc) &&
           first_b < first_a + (uintptr_t)wisp_desc_bytes(&a->desc);
}

/* Does a list of tensors share memory with another? */
static int lists_meet(wisp_tensor *const *a, int32_t n_a, wisp_tensor *const *b, int32_t n_b)
{
    for (int32_t i = 0; i < n_a; i++)
        for (int32_t k = 0; k < n_b; k++)
            if (a[i] && b[k] && same_memory(a[i], b[k]))
                return 1;
    return 0;
}

/* Must these two keep their order? */
static int are_ordered(const wispi_event *a, const wispi_event *b)
{
    return lists_meet(a->out, a->op->n_out, b->in, b->n_in) ||
           lists_meet(a->out, a->op->n_out, b->out, b->op->n_out) ||
           lists_meet(a->in, a->n_in, b->out, b->op->n_out);
}

static int moves(const joint *j, int32_t i)
{
    return i == j->norms || i == j->update || j->program->events[i].is_late;
}

/* Marks what has to wait; 0: the average itself would have to. */
static int mark_late(const joint *j)
{
    wispi_event *events = j->program->events;
    const int32_t first = j->norms >= 0 ? j->norms : j->update;
    for (int32_t i = first + 1; i < j->average; i++) {
        if (i == j->update)
            continue;
        if (events[i].kind == WISPI_EVENT_BACKWARD || events[i].kind == WISPI_EVENT_BACKWARD_END)
            return 0;
        if (events[i].kind != WISPI_EVENT_CALL)
            continue;
        for (int32_t k = first; k < i && !events[i].is_late; k++)
            events[i].is_late = moves(j, k) && are_ordered(&events[k], &events[i]);
        /* The update itself moves, so it may not wait for what comes late. */
        if (events[i].is_late && (are_ordered(&events[i], &events[j->average]) ||
                                  (i < j->update && are_ordered(&events[i], &events[j->update]))))
            return 0;
    }
    return 1;
}

static void unmark(const joint *j)
{
    for (int32_t i = 0; i < j->average; i++)
        j->program->events[i].is_late = 0;
}

/* --- The call --- */

static wispi_event *make_call(const joint *j)
{
    wispi_program *p = j->program;
    const wispi_event *update = &p->events[j->update], *average = &p->events[j->average];
    wispi_event *made = wispi_arena_alloc(p->arena, sizeof *made);
    wisp_tensor **in = wispi_arena_alloc(p->arena, N_IN * sizeof *in);
    wisp_tensor **out = wispi_arena_alloc(p->arena, WISPI_MAX_OUT * sizeof *out);
    wisp_adamw_ema_attrs *attrs = wispi_arena_alloc(p->arena, sizeof *attrs);
    const wispi_op *op = wispi_op_find("adamw_ema_update");
    if (!made || !in || !out || !attrs || !op)
        return NULL;
    memcpy(&attrs->adamw, update->attrs, sizeof attrs->adamw);
    attrs->want_norms = j->norms >= 0;
    memcpy(in, update->in, N_UPDATE_IN * sizeof *in);
    in[N_UPDATE_IN] = average->in[0];
    in[N_UPDATE_IN + 1] = average->in[2];
    in[N_UPDATE_IN + 2] = average->in[3];
    memcpy(out, update->out, N_UPDATE_OUT * sizeof *out);
    out[N_UPDATE_OUT] = average->out[0];
    out[N_UPDATE_OUT + 1] = j->norms >= 0 ? p->events[j->norms].out[0] : NULL;
    *made = (wispi_event){
        .kind = WISPI_EVENT_CALL, .op = op, .attrs = attrs, .in = in, .n_in = N_IN, .out = out};
    return made;
}

/* A backend may lack the joint operation; a reference kernel in its place would be slower. */
static int is_served(const joint *j, wispi_event *made)
{
    wispi_event *update = &j->program->events[j->update];
    wisp_error unused;
    if (wispi_program_bind(j->program, update, &unused) != WISP_OK ||
        wispi_program_bind(j->program, made, &unused) != WISP_OK)
        return 0;
    return strcmp(made->kernel->implementation, "reference") != 0 ||
           strcmp(update->kernel->implementation, "reference") == 0;
}

static int join(const joint *j)
{
    wispi_event *made = mark_late(j) ? make_call(j) : NULL;
    if (!made || !is_served(j, made)) {
        unmark(j);
        return 0;
    }
    wispi_event *events = j->program->events;
    if (j->norms >= 0)
        events[j->norms].is_absorbed = 1;
    events[j->update].is_absorbed = 1;
    events[j->average].joint = made;
    j->program->joint_at = j->average;
    return 1;
}

void wispi_program_join_update(wispi_program *p)
{
    for (int32_t i = 0; i < p->n_events; i++) {
        if (!is_named(&p->events[i], "ema_update"))
            continue;
        joint j = {p, -1, -1, i};
        j.update = find_before(p, i, "adamw_update", updates_source, &p->events[i]);
        if (j.update < 0)
            continue;
        j.norms =
            find_before(p, j.update, "segment_norms", measures_gradient, &p->events[j.update]);
        if (join(&j))
            return;
        j.norms = -1;
        if (join(&j))
            return;
    }
}
