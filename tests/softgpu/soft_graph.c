/* soft_graph.c - graphs: the work of a capture, and its launches. */
#include "soft_driver.h"

#include <stdlib.h>

enum { GRAPH = 0x64aff, EXEC = 0x64e8ec };

/* Shared by a graph and what was instantiated from it. */
typedef struct nodes {
    int references;
    soft_works works;
} nodes;

struct CUgraph_st {
    uint32_t magic;
    nodes *nodes;
    struct CUgraph_st *next;
};

struct CUgraphExec_st {
    uint32_t magic;
    nodes *nodes;
    struct CUgraphExec_st *next;
};

/* Handles stay for ever, so that an old one is known as such. */
static CUgraph graphs;
static CUgraphExec execs;

static void release(nodes *n)
{
    if (--n->references > 0)
        return;
    soft_works_free(&n->works);
    free(n);
}

/* Takes the works over when it succeeds. */
CUresult soft_graph_make(soft_works *works, CUgraph *graph)
{
    CUgraph made = calloc(1, sizeof *made);
    nodes *n = calloc(1, sizeof *n);
    if (made == NULL || n == NULL) {
        free(made);
        free(n);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *n = (nodes){1, {works->first, works->end, works->n}};
    *works = (soft_works){0};
    *made = (struct CUgraph_st){GRAPH, n, graphs};
    graphs = made;
    *graph = made;
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph)
{
    CUresult result = soft_enter();
    soft_trace("cuGraphDestroy");
    if (result == CUDA_SUCCESS && (graph == NULL || graph->magic != GRAPH))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS) {
        release(graph->nodes);
        graph->magic = 0;
        graph->nodes = NULL;
    }
    return soft_leave(result);
}

static CUresult instantiate(CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
    if (exec == NULL || flags > 15)
        return CUDA_ERROR_INVALID_VALUE;
    if (graph == NULL || graph->magic != GRAPH)
        return CUDA_ERROR_INVALID_HANDLE;
    CUgraphExec made = calloc(1, sizeof *made);
    if (made == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    graph->nodes->references++;
    *made = (struct CUgraphExec_st){EXEC, graph->nodes, execs};
    execs = made;
    *exec = made;
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
    CUresult result = soft_enter();
    soft_trace("cuGraphInstantiate nodes=%lld",
               graph != NULL && graph->magic == GRAPH ? (long long)graph->nodes->works.n : -1);
    if (result == CUDA_SUCCESS)
        result = soft_forbid_in_capture();
    if (result == CUDA_SUCCESS)
        result = instantiate(exec, graph, flags);
    return soft_leave(result);
}

static CUgraphExec known_exec(CUgraphExec exec)
{
    return exec != NULL && exec->magic == EXEC ? exec : NULL;
}

static CUresult run_graph(void *args)
{
    const CUgraphExec *exec = args;
    CUresult result = CUDA_SUCCESS;
    soft_memory_open();
    for (soft_work *w = (*exec)->nodes->works.first; result == CUDA_SUCCESS && w != NULL;
         w = w->next)
        result = w->run(w->args);
    soft_memory_close();
    return result;
}

static CUresult launch(CUgraphExec exec, CUstream stream)
{
    if (exec == NULL || soft_stream(stream) == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (soft_stream(stream)->capture != NULL)
        return soft_capture_spoil(soft_stream(stream)->capture, CUDA_ERROR_NOT_SUPPORTED);
    return soft_submit(stream, "graph", run_graph, &exec, sizeof exec);
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
    CUresult result = soft_enter();
    CUstream to = soft_stream(stream);
    soft_trace("cuGraphLaunch stream=%d nodes=%lld", to != NULL ? to->number : -1,
               known_exec(exec) != NULL ? (long long)exec->nodes->works.n : -1);
    if (result == CUDA_SUCCESS)
        result = launch(known_exec(exec), stream);
    return soft_leave(result);
}

CUresult cuGraphExecDestroy(CUgraphExec exec)
{
    CUresult result = soft_enter();
    soft_trace("cuGraphExecDestroy");
    if (result == CUDA_SUCCESS && known_exec(exec) == NULL)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS)
        result = soft_streams_run_all();
    if (result == CUDA_SUCCESS) {
        release(exec->nodes);
        exec->magic = 0;
        exec->nodes = NULL;
    }
    return soft_leave(result);
}
