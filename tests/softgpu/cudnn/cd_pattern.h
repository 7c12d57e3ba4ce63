/* Following a graph's tensors backwards, for patterns that are recognised by who made what. */
#ifndef WISP_SOFT_CD_PATTERN_H
#define WISP_SOFT_CD_PATTERN_H

#include "cd_engine.h"

/* The operation that wrote a tensor, of this kind and mode (-1: any mode); NULL: another. Counts
 * what it found in *used. A NULL node, or an input that is not set, gives NULL. */
const cd_node *cd_maker(const cd_graph *graph, int32_t tensor, int kind, int mode, int *used);

static inline int32_t cd_input(const cd_node *node, int i)
{
    return node ? node->in[i] : -1;
}

#define CD_POINTWISE CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR
#define CD_MATMUL CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR
#define CD_REDUCTION CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR
#define CD_RESHAPE CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR

/* Skips factors that are single values: scale and the like. */
int32_t cd_without_scale(const cd_graph *graph, int32_t tensor, int *used);

/* Why a tensor is no Q, K, V, O of fused attention; NULL: it is. Its
 * features lie along dimension `feature`, which must be packed. */
const char *cd_wrong_heads(const cd_graph *graph, int32_t tensor, int feature);

/* Virtual and of this type. */
int cd_is_inner(const cd_graph *graph, int32_t tensor, int type);

/* One float for each row of Q, in memory, row after row. */
int cd_is_row_value(const cd_graph *graph, int32_t tensor, const cd_tensor *q);

int cd_choose_attention_forward(const cd_graph *graph, cd_choice *choice);
int cd_choose_attention_backward(const cd_graph *graph, cd_choice *choice);
int cd_choose_attention_whole(const cd_graph *graph, cd_choice *choice);

#endif
