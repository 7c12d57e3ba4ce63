/* gradient_buckets.c - gradients are averaged over the ranks while backward still runs.
 *
 * Recorded is one call after backward, which averages a network's whole block of gradients. The
 * record also tells which call is the last one to touch each parameter's gradient. So the block is
 * cut into buckets, from its end, where backward begins; each is on its way right after the last
 * call that touches one of its gradients, and in the place of the recorded call they are waited
 * for. Buckets cover the whole block. All ranks have recorded the same and start them in one order.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/program_parts.h"
#include "tensor/rank_calls.h"

/* Elements of the block, and the last event that touches them. */
typedef struct segment {
    int64_t first, end;
    int32_t last;
} segment;

typedef struct cut {
    wispi_program *program;
    wispi_event *average; /* the recorded call */
    int32_t at;           /* its place */
    segment *segments;    /* of gradients, then of buckets */
    int32_t n;
} cut;

/* Where a tensor lies in the block; 0: elsewhere. */
static int locate(const cut *c, const wisp_tensor *x, segment *where)
{
    const wispi_variable *block = c->average->out[0]->variable;
    while (x && x->kind == WISPI_TENSOR_ALIAS)
        x = x->base;
    if (!x || x->kind != WISPI_TENSOR_VARIABLE || x == c->average->out[0])
        return 0;
    const uintptr_t begin = (uintptr_t)block->data, data = (uintptr_t)x->variable->data;
    if (data < begin || data >= begin + (uintptr_t)wisp_desc_bytes(&block->desc))
        return 0;
    where->first = (int64_t)((data - begin) / sizeof(float));
    where->end = where->first + wisp_desc_count(&x->desc);
    return 1;
}

static void note(cut *c, wisp_tensor *const *list, int32_t n, int32_t event)
{
    segment where = {0, 0, event};
    for (int32_t i = 0; i < n; i++) {
        if (!list[i] || !locate(c, list[i], &where))
            continue;
        int32_t known = 0;
        while (known < c->n && c->segments[known].first != where.first)
            known++;
        c->segments[known] = where;
        c->n += known == c->n;
    }
}

static int later_first(const void *a, const void *b)
{
    const segment *x = a, *y = b;
    return (x->first < y->first) - (x->first > y->first);
}

static int sooner_done(const void *a, const void *b)
{
    const segment *x = a, *y = b;
    return x->last != y->last ? (x->last > y->last) - (x->last < y->last) : later_first(a, b);
}

/* Gradients in the order of the block -> buckets in the order in which they are done. */
static void gather(cut *c, int64_t least)
{
    int64_t end = wisp_desc_count(&c->average->out[0]->desc);
    int32_t n = 0, last = 0;
    qsort(c->segments, (size_t)c->n, sizeof *c->segments, later_first);
    for (int32_t i = 0; i < c->n; i++) {
        const segment s = c->segments[i];
        if (s.last > last)
            last = s.last;
        if (end - s.first < least && i + 1 < c->n)
            continue;
        c->segments[n++] = (segment){i + 1 < c->n ? s.first : 0, end, last};
        end = s.first;
        last = 0;
    }
    c->n = n;
    qsort(c->segments, (size_t)n, sizeof *c->segments, sooner_done);
}

/* --- calls --- */

static wispi_event *new_call(const cut *c, const wispi_op *op, const segment *bucket,
                             int32_t number)
{
    wispi_arena *arena = c->program->arena;
    wispi_event *e = wispi_arena_alloc(arena, sizeof *e);
    wispi_rank_attrs *attrs = wispi_arena_alloc(arena, sizeof *attrs);
    if (!e || !attrs)
        return NULL;
    memcpy(attrs, c->average->attrs, sizeof *attrs);
    attrs->number = number;
    attrs->first = bucket->first;
    attrs->count = bucket->end - bucket->first;
    *e = (wispi_event){.kind = WISPI_EVENT_CALL,
                       .op = op,
                       .attrs = attrs,
                       .in = c->average->in,
                       .out = c->average->out,
                       .n_in = 1};
    return e;
}

static void append(wispi_event *to, wispi_event *call)
{
    while (to->then)
        to = to->then;
    to->then = call;
}

static wisp_status add_calls(cut *c, wisp_error *err)
{
    wispi_program *p = c->program;
    for (int32_t i = 0; i < c->n; i++) {
        const segment *s = &c->segments[i];
        wispi_event *start = new_call(c, &wispi_rank_start, s, p->n_buckets);
        wispi_event *wait = new_call(c, &wispi_rank_wait, s, p->n_buckets++);
        if (!start || !wait)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for gradients in buckets");
        start->in_backward = p->events[s->last].in_backward;
        append(&p->events[s->last], start);
        append(c->average, wait);
    }
    c->average->is_absorbed = 1;
    return WISP_OK;
}

static wisp_status cut_block(wispi_program *p, int32_t at, wisp_error *err)
{
    cut c = {.program = p, .average = &p->events[at], .at = at};
    const wispi_rank_attrs *attrs = c.average->attrs;
    const wisp_comm_v0 *comm = attrs->ranks->comm;
    const int64_t least = attrs->ranks->bucket_bytes / (int64_t)sizeof(float);
    /* What is staged lies in the host's memory for one call only. */
    if (least < 1 || !comm->start_all_reduce || !comm->wait || !wispi_ranks_reach(p->device))
        return WISP_OK;
    c.segments = wispi_alloc((size_t)(p->step.n_tensors + 1) * sizeof *c.segments);
    if (!c.segments)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for gradients in buckets");
    for (int32_t i = 0; i < at; i++) {
        const wispi_event *e = &p->events[i];
        if (e->kind != WISPI_EVENT_CALL)
            continue;
        note(&c, e->in, e->n_in, i);
        note(&c, e->out, e->op->n_out, i);
    }
    gather(&c, least);
    wisp_status status = WISP_OK;
    if (c.n > 0 && p->n_buckets + c.n < WISP_REDUCTIONS_UNDER_WAY)
        status = add_calls(&c, err);
    wispi_free(c.segments);
    return status;
}

wisp_status wispi_program_cut_gradients(wispi_program *p, wisp_error *err)
{
    for (int32_t i = 0; i < p->n_events; i++)
        if (p->events[i].kind == WISPI_EVENT_CALL && p->events[i].op == &wispi_rank_average)
            WISP_TRY(cut_block(p, i, err));
    return WISP_OK;
}
