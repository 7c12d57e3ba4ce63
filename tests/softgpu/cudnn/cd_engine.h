/* Engines: which graphs they take, and what they say of themselves. */
#ifndef WISP_SOFT_CD_ENGINE_H
#define WISP_SOFT_CD_ENGINE_H

#include "cd_graph.h"

/* Numbers as CUDNN_ATTR_ENGINE_GLOBAL_INDEX gives them. */
enum {
    CD_ENGINE_PLAIN = 0,     /* the same bits every time, inputs as they are */
    CD_ENGINE_TF32 = 1,      /* float inputs are cut to TF32 */
    CD_ENGINE_UNORDERED = 2, /* sums in an order that differs from run to run */
    CD_ENGINE_FUSION = 3,    /* compiled for the graph */
    CD_ENGINE_FUSION_TF32 = 4,
    CD_ENGINE_ATTENTION = 5,
    CD_ENGINE_ATTENTION_UNORDERED = 6,
    CD_ENGINE_FUSSY = 7, /* the heuristic offers it and no plan of it can be finalized */
    CD_ENGINES = 8
};

typedef struct {
    int n;
    int engines[CD_ENGINES];
} cd_choice;

/* Engines for the graph, the fastest first. A pattern that no engine has is an error; a pattern
 * that none has for these types and layouts gives an empty choice. */
cudnnStatus_t cd_choose(const cd_graph *graph, cd_choice *choice);

/* One for each kind of pattern: 1 when the graph has the pattern, with the engines in *choice. */
int cd_choose_convolution(const cd_graph *graph, cd_choice *choice);
int cd_choose_pointwise(const cd_graph *graph, cd_choice *choice);
int cd_choose_matmul(const cd_graph *graph, cd_choice *choice);
int cd_choose_attention(const cd_graph *graph, cd_choice *choice);

/* What of a choice a mode of the heuristic gives. */
void cd_keep_for_mode(cd_choice *choice, int mode);

void cd_offer(cd_choice *choice, int engine);

/* A refusal that leaves the choice empty: remembers why, gives 1. */
int cd_decline(const char *why);

int cd_numerical_notes(int engine, int32_t notes[4]);
int cd_behavior_notes(int engine, int32_t notes[4]);
int64_t cd_workspace_bytes(const cd_graph *graph, int engine);

/* Packed with channels last, or first; a tensor may be both. */
int cd_is_nhwc(const cd_tensor *tensor);
int cd_is_nchw(const cd_tensor *tensor);

/* The pointwise operations of a graph: float arithmetic, factors of one, known types. */
int cd_are_plain_pointwise(const cd_graph *graph, int but);

typedef struct {
    cd_graph graph;
    int engine;
    int64_t workspace_bytes;
} cd_plan;

#endif
