/* cuda_plan.c - choosing an engine of cuDNN for a graph, and running it.
 *
 * Heuristics give engines with their settings, best first: mode A, then the fallbacks. Engines that
 * break the rules of the run are passed over, as are those whose plan cuDNN does not accept. */
#include "cuda_graph.h"
#include "cuda_tune.h"

enum { MOST_OF_MODE = 24, MOST_CONFIGS = 2 * MOST_OF_MODE };

/* The attributes for devices that are not here (cuDNN 9.8). */
#define ENGINEHEUR_DEVICEPROP ((cudnnBackendAttributeName_t)204)
#define EXECUTION_PLAN_DEVICEPROP ((cudnnBackendAttributeName_t)407)

typedef struct search {
    const cuda_graph *graph;
    const cuda_cudnn *dnn;
    const cuda_graph_rules *rules;
    cudnnBackendDescriptor_t configs[MOST_CONFIGS];
    int64_t n_configs;
    char reasons[700];
} search;

static void note(search *s, int64_t engine, const char *reason)
{
    const size_t used = strlen(s->reasons);
    snprintf(s->reasons + used, sizeof s->reasons - used, "%sengine %lld: %s", used ? "; " : "",
             (long long)engine, reason);
}

static void drop(const search *s, cudnnBackendDescriptor_t *part)
{
    if (*part)
        s->dnn->DestroyDescriptor(*part);
    *part = NULL;
}

/* --- heuristics --- */

static cudnnStatus_t ask(const search *s, cudnnBackendHeurMode_t mode,
                         cudnnBackendDescriptor_t heuristics)
{
    const cudnnBackendDescriptor_t absent = s->graph->absent_device;
    cudnnStatus_t status = s->dnn->SetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &s->graph->whole);
    if (!status)
        status = s->dnn->SetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE,
                                      1, &mode);
    if (!status && absent)
        status = s->dnn->SetAttribute(heuristics, ENGINEHEUR_DEVICEPROP,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &absent);
    return status ? status : s->dnn->Finalize(heuristics);
}

/* cuDNN fills in descriptors that its caller made. */
static int64_t take_answers(search *s, cudnnBackendDescriptor_t heuristics)
{
    cudnnBackendDescriptor_t *first = s->configs + s->n_configs;
    int64_t n_made = 0, n = 0;
    while (n_made < MOST_OF_MODE &&
           s->dnn->CreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &first[n_made]) ==
               CUDNN_STATUS_SUCCESS)
        n_made++;
    if (s->dnn->GetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                             CUDNN_TYPE_BACKEND_DESCRIPTOR, n_made, &n,
                             first) != CUDNN_STATUS_SUCCESS ||
        n < 0)
        n = 0;
    n = n < n_made ? n : n_made;
    while (n_made > n)
        drop(s, &first[--n_made]);
    return n;
}

static void ask_mode(search *s, cudnnBackendHeurMode_t mode)
{
    cudnnBackendDescriptor_t heuristics = NULL;
    cudnnStatus_t status =
        s->dnn->CreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics);
    if (!status)
        status = ask(s, mode, heuristics);
    if (!status)
        s->n_configs += take_answers(s, heuristics);
    else
        note(s, -1, s->dnn->GetErrorString(status));
    drop(s, &heuristics);
}

/* --- engines --- */

static const char *broken_rule(const search *s, cudnnBackendDescriptor_t engine)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = 0;
    if (s->dnn->GetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                             CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes) != CUDNN_STATUS_SUCCESS)
        return "does not say how it rounds";
    for (int64_t i = 0; i < n && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++) {
        const cudnnBackendNumericalNote_t is = notes[i];
        if (is == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC && s->rules->deterministic)
            return "not deterministic";
        if (is == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)
            return "sums in less than f32";
        if (!s->rules->strict_f32)
            continue;
        if (is == CUDNN_NUMERICAL_NOTE_TENSOR_CORE ||
            is == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)
            return "rounds f32";
        if (is == CUDNN_NUMERICAL_NOTE_FFT || is == CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6 ||
            is == CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13)
            return "transforms f32 with loss";
    }
    return NULL;
}

static cudnnStatus_t make_plan(const search *s, cuda_graph_choice *c)
{
    const cuda_device *device = s->graph->device;
    const cudnnBackendDescriptor_t absent = s->graph->absent_device;
    cudnnStatus_t status =
        s->dnn->CreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &c->plan);
    if (!status && absent)
        status = s->dnn->SetAttribute(c->plan, EXECUTION_PLAN_DEVICEPROP,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &absent);
    else if (!status)
        status = s->dnn->SetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE,
                                      1, &device->cudnn_handle);
    if (!status)
        status = s->dnn->SetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &c->config);
    return status ? status : s->dnn->Finalize(c->plan);
}

static const char *measure_plan(const search *s, cuda_graph_choice *c)
{
    int64_t bytes = 0, n = 0;
    const cudnnStatus_t status = s->dnn->GetAttribute(
        c->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n, &bytes);
    if (status != CUDNN_STATUS_SUCCESS || bytes < 0)
        return "does not say what workspace it needs";
    if ((uint64_t)bytes > s->rules->workspace_limit)
        return "needs too much workspace";
    c->workspace_bytes = (size_t)bytes;
    return NULL;
}

static void drop_choice(const search *s, cuda_graph_choice *c)
{
    drop(s, &c->plan);
    drop(s, &c->engine);
    drop(s, &c->config);
}

/* Makes a choice of one answer of the heuristics, which it owns from here on. 0: it is none. */
static int choose(search *s, cudnnBackendDescriptor_t *config, cuda_graph_choice *c)
{
    int64_t n = 0;
    const char *reason = NULL;
    *c = (cuda_graph_choice){.config = *config, .number = -1};
    *config = NULL;
    cudnnStatus_t status = s->dnn->CreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &c->engine);
    if (!status)
        status = s->dnn->GetAttribute(c->config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &c->engine);
    if (!status)
        status = s->dnn->GetAttribute(c->engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64,
                                      1, &n, &c->number);
    if (!status)
        reason = broken_rule(s, c->engine);
    if (!status && !reason)
        status = make_plan(s, c);
    if (status)
        reason = s->dnn->GetErrorString(status);
    if (!reason)
        reason = measure_plan(s, c);
    if (!reason)
        return 1;
    note(s, c->number, reason);
    drop_choice(s, c);
    return 0;
}

/* --- graphs --- */

static cudnnStatus_t make_whole(const search *s, cuda_graph *graph)
{
    cudnnStatus_t status =
        s->dnn->CreateDescriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &graph->whole);
    if (!status)
        status = s->dnn->SetAttribute(graph->whole, CUDNN_ATTR_OPERATIONGRAPH_OPS,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, graph->n_operations,
                                      graph->operations);
    if (!status && !graph->absent_device)
        status = s->dnn->SetAttribute(graph->whole, CUDNN_ATTR_OPERATIONGRAPH_HANDLE,
                                      CUDNN_TYPE_HANDLE, 1, &graph->device->cudnn_handle);
    return status ? status : s->dnn->Finalize(graph->whole);
}

/* --- the quickest --- */

typedef struct trial {
    cuda_graph *graph;
    const cuda_graph_choice *choices;
    cuda_tune_memory memory; /* of the graph's tensors, then the workspace */
    float value;
} trial;

static wisp_status run_choice(void *user, int32_t i, wisp_error *err)
{
    trial *t = user;
    int64_t ids[CUDA_GRAPH_TENSORS];
    void *data[CUDA_GRAPH_TENSORS];
    const int32_t n = t->graph->n_memory;
    for (int32_t k = 0; k < n; k++) {
        ids[k] = t->graph->memory[k].id;
        data[k] = t->graph->memory[k].is_value ? (void *)&t->value : t->memory.data[k];
    }
    t->graph->choice = t->choices[i];
    return cuda_graph_run(t->graph, n, ids, data, t->memory.data[n], err);
}

static wisp_status add_memory(trial *t, int32_t n_choices, wisp_error *err)
{
    const cuda_device *device = t->graph->device;
    size_t workspace = 0;
    for (int32_t i = 0; i < n_choices; i++)
        if (t->choices[i].workspace_bytes > workspace)
            workspace = t->choices[i].workspace_bytes;
    for (int32_t i = 0; i < t->graph->n_memory; i++)
        WISP_TRY(cuda_tune_add(device, &t->memory, t->graph->memory[i].bytes, err));
    return cuda_tune_add(device, &t->memory, workspace, err);
}

static int32_t time_choices(cuda_graph *graph, const cuda_graph_choice *choices, int32_t n)
{
    trial t = {.graph = graph, .choices = choices, .value = 1};
    wisp_error reason = {0};
    const int32_t best = add_memory(&t, n, &reason) == WISP_OK
                             ? cuda_tune_time(graph->device, n, run_choice, &t)
                             : -1;
    cuda_tune_release(graph->device, &t.memory);
    graph->choice = (cuda_graph_choice){.number = -1};
    return best;
}

/* Up to `most` choices; the rest of the answers stays. */
static int32_t take_choices(search *s, cuda_graph_choice *choices, int32_t most)
{
    int32_t n = 0;
    for (int64_t i = 0; i < s->n_configs && n < most; i++)
        n += s->configs[i] && choose(s, &s->configs[i], &choices[n]);
    return n;
}

/* Choices are told apart by their place in the order of the heuristics. */
static int take_quickest(search *s, cuda_graph *graph)
{
    cuda_graph_choice choices[CUDA_TUNE_CANDIDATES];
    const int32_t rules[] = {s->rules->deterministic, s->rules->strict_f32};
    const uint64_t key = cuda_tune_hash(graph->key, rules, sizeof rules);
    int32_t best = cuda_tune_find(graph->device, key);
    const int32_t known = best >= 0 && best < CUDA_TUNE_CANDIDATES;
    const int32_t n = take_choices(s, choices, known ? best + 1 : CUDA_TUNE_CANDIDATES);
    if (!known || n <= best) {
        best = n > 1 ? time_choices(graph, choices, n) : 0;
        if (n > 0 && best >= 0)
            cuda_tune_keep(graph->device, key, best);
        best = best < 0 ? 0 : best;
    }
    for (int32_t i = 0; i < n; i++)
        if (i != best)
            drop_choice(s, &choices[i]);
    if (n > 0)
        graph->choice = choices[best];
    return n > 0;
}

wisp_status cuda_graph_plan(cuda_graph *graph, const cuda_graph_rules *rules, wisp_error *err)
{
    search s = {.graph = graph, .dnn = graph->device->cudnn, .rules = rules};
    int found = 0;
    if (graph->status != WISP_OK)
        return wisp_fail(err, graph->status, "%s", graph->error.message);
    const cudnnStatus_t status = make_whole(&s, graph);
    if (status == CUDNN_STATUS_SUCCESS) {
        ask_mode(&s, CUDNN_HEUR_MODE_A);
        ask_mode(&s, CUDNN_HEUR_MODE_FALLBACK);
    } else {
        note(&s, -1, s.dnn->GetErrorString(status));
    }
    if (graph->device->autotune && !graph->absent_device)
        found = take_quickest(&s, graph);
    else
        found = take_choices(&s, &graph->choice, 1);
    for (int64_t i = 0; i < s.n_configs; i++)
        drop(&s, &s.configs[i]);
    if (found)
        return WISP_OK;
    return wisp_fail(err, WISP_E_UNSUPPORTED, "cuDNN has no engine for it%s%s",
                     *s.reasons ? ": " : ", and its heuristics name none", s.reasons);
}

wisp_status cuda_graph_run(const cuda_graph *graph, int32_t n, const int64_t *ids,
                           void *const *data, void *workspace, wisp_error *err)
{
    const cuda_device *device = graph->device;
    const cuda_cudnn *dnn = device->cudnn;
    void *work = graph->choice.workspace_bytes ? workspace : NULL;
    cudnnBackendDescriptor_t pack = NULL;
    cudnnStatus_t status = dnn->CreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (!status)
        status =
            dnn->SetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids);
    if (!status)
        status = dnn->SetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                                   n, data);
    if (!status)
        status = dnn->SetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                                   &work);
    if (!status)
        status = dnn->Finalize(pack);
    if (!status)
        status = dnn->Execute(device->cudnn_handle, graph->choice.plan, pack);
    if (pack)
        dnn->DestroyDescriptor(pack);
    if (!status)
        return WISP_OK;
    char text[300] = "";
    dnn->GetLastErrorString(text, sizeof text);
    return wisp_fail(err, WISP_E_DEVICE, "cuDNN: running: %s%s%s", dnn->GetErrorString(status),
                     *text ? ": " : "", text);
}
