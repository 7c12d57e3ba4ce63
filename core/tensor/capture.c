#include "tensor/capture.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "tensor/device_parts.h"
#include "tensor/program_parts.h"

enum { MOST_DROPS = 3 };

/* Every variable that the program reads or writes, gradients among them, perhaps more than once. */
static void each_variable(wispi_program *p, void (*visit)(wispi_program *p, wispi_variable *v))
{
    for (int32_t i = 0; i < p->n_events; i++) {
        wispi_variable *v = p->events[i].variable;
        if (p->events[i].kind != WISPI_EVENT_VARIABLE)
            continue;
        visit(p, v);
        if (v->grad)
            visit(p, v->grad);
    }
}

/* --- what a graph depends on --- */

static void collect_address(wispi_program *p, wispi_variable *v)
{
    wispi_graph *g = &p->graph;
    if (g->addresses)
        g->addresses[g->n_addresses] = v->data;
    g->n_addresses++;
}

static void compare_address(wispi_program *p, wispi_variable *v)
{
    wispi_graph *g = &p->graph;
    g->is_stale |= g->addresses[g->n_addresses++] != v->data;
}

static wisp_status remember_addresses(wispi_program *p, wisp_error *err)
{
    wispi_graph *g = &p->graph;
    g->generation = p->generation;
    g->scratch = wispi_device_scratch_memory(p->device);
    g->n_addresses = 0;
    each_variable(p, collect_address);
    g->addresses = wispi_alloc_array((size_t)g->n_addresses + 1, sizeof *g->addresses);
    if (!g->addresses)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a graph's addresses");
    g->n_addresses = 0;
    each_variable(p, collect_address);
    return WISP_OK;
}

static int is_current(wispi_program *p)
{
    wispi_graph *g = &p->graph;
    g->n_addresses = 0;
    g->is_stale =
        g->generation != p->generation || g->scratch != wispi_device_scratch_memory(p->device);
    each_variable(p, compare_address);
    return !g->is_stale;
}

void wispi_capture_drop(wispi_program *p)
{
    wispi_graph *g = &p->graph;
    if (g->handle)
        p->device->backend->graph_release(p->device->handle, g->handle);
    wispi_free(g->addresses);
    g->handle = NULL;
    g->addresses = NULL;
}

/* --- versions --- */

static void count_change(wispi_program *p, wispi_variable *v)
{
    (void)p;
    ++*v->version;
}

static void count_results(const wispi_event *e)
{
    for (int32_t k = 0; k < e->op->n_out; k++)
        if (e->out[k] && e->out[k]->kind == WISPI_TENSOR_VARIABLE)
            ++*e->out[k]->variable->version;
}

/* A launch changes what a run call by call would have changed. */
static void count_changes(wispi_program *p)
{
    for (int32_t i = 0; i < p->n_events; i++) {
        const wispi_event *e = &p->events[i];
        if (e->kind != WISPI_EVENT_CALL)
            continue;
        if (!e->is_absorbed)
            count_results(e->joint ? e->joint : e);
        for (e = e->then; e; e = e->then)
            count_results(e);
    }
}

/* --- making one --- */

static int needs_host(const wispi_program *p, const wispi_event *e)
{
    return e->kind == WISPI_EVENT_CALL && (wispi_kernel_is_staged(e->kernel) ||
                                           (e->op->host_kernel && !p->device->ranks_on_device));
}

/* An operation for which the host's hand is needed between the calls; NULL: there is none. */
static const char *obstacle(const wispi_program *p)
{
    for (int32_t i = 0; i < p->n_events; i++)
        for (const wispi_event *e = &p->events[i]; e; e = e->then)
            if (needs_host(p, e))
                return e->op->name;
    return NULL;
}

static void refuse(wispi_program *p, const char *reason)
{
    p->device->captures = 0;
    wispi_log(WISP_LOG_WARNING, "steps are not replayed as a graph, they run call by call: %s",
              reason);
}

/* Whether a kernel skips work for a version that it has seen becomes a part of the graph: to be on
 * the safe side, it has seen none. */
static wisp_status capture(wispi_program *p, wispi_step_fn fn, void *user, wisp_error *err)
{
    const wisp_backend_v0 *b = p->device->backend;
    void *handle = NULL;
    wisp_error unused;
    WISP_TRY(remember_addresses(p, err));
    WISP_TRY(b->capture_begin(p->device->handle, err));
    each_variable(p, count_change);
    wisp_status status = wispi_program_go(p, fn, user, err);
    const wisp_status ended =
        b->capture_end(p->device->handle, &handle, status == WISP_OK ? err : &unused);
    if (status == WISP_OK)
        status = ended;
    if (status == WISP_OK)
        p->graph.handle = handle;
    else if (ended == WISP_OK)
        b->graph_release(p->device->handle, handle);
    return status;
}

static int make_graph(wispi_program *p, wispi_step_fn fn, void *user)
{
    wisp_error cause = {0};
    const char *op = obstacle(p);
    if (op) {
        char reason[200];
        snprintf(reason, sizeof reason, "%s goes by way of the host", op);
        refuse(p, reason);
        return 0;
    }
    if (capture(p, fn, user, &cause) == WISP_OK)
        return 1;
    wispi_capture_drop(p);
    refuse(p, cause.message);
    return 0;
}

/* --- running --- */

static int is_ready(wispi_program *p, wispi_step_fn fn, void *user, int *is_new)
{
    wispi_graph *g = &p->graph;
    *is_new = 0;
    if (!p->device->captures || p->options.check_finite || p->options.profile)
        return 0;
    if (g->handle && is_current(p))
        return 1;
    if (g->handle) {
        wispi_capture_drop(p);
        if (++g->n_drops > MOST_DROPS)
            refuse(p, "the memory of its variables changes from run to run");
        return 0;
    }
    if (g->n_runs++ == 0)
        return 0;
    *is_new = make_graph(p, fn, user);
    return *is_new;
}

int wispi_capture_run(wispi_program *p, wispi_step_fn fn, void *user, wisp_status *status,
                      wisp_error *err)
{
    int is_new;
    if (!is_ready(p, fn, user, &is_new))
        return 0;
    *status = p->device->backend->graph_launch(p->device->handle, p->graph.handle, err);
    if (!is_new)
        count_changes(p);
    return 1;
}
