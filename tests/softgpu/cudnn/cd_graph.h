/* An operation graph without descriptors: tensors by index, operations in an order in which they
 * can run. Flat, so that a launch can carry a copy of it and need no plan that lives on. */
#ifndef WISP_SOFT_CD_GRAPH_H
#define WISP_SOFT_CD_GRAPH_H

#include "cd_object.h"

enum { CD_TENSORS = 64, CD_NODES = 50, CD_INPUTS = 5, CD_OUTPUTS = 2 };

typedef struct {
    int64_t uid;
    int32_t type, n_dims;
    int64_t dims[CUDNN_DIM_MAX], strides[CUDNN_DIM_MAX];
    int64_t alignment;
    uint8_t is_virtual, by_value;
} cd_tensor;

typedef struct {
    int64_t n;
    int64_t pre[3], post[3], strides[3], dilations[3];
} cd_convolution;

typedef struct {
    double lower_clip, upper_clip, slope, elu_alpha, softplus_beta, swish_beta;
    int64_t axis;
} cd_activation;

typedef struct {
    int32_t kind; /* the operation's descriptor type */
    int32_t mode; /* of a pointwise operation, a reduction or a convolution */
    int32_t compute;
    int32_t in[CD_INPUTS], out[CD_OUTPUTS]; /* tensors, -1: none */
    double alpha, beta, padding;
    cd_convolution conv;
    cd_activation activation;
} cd_node;

/* Which input is which. */
enum { CD_X = 0, CD_W = 1, CD_DY = 0, CD_FILTER_X = 0, CD_FILTER_DY = 1 };
enum { CD_PW_X = 0, CD_PW_B = 1, CD_PW_T = 2 }; /* backward modes: dY is B's place */
enum { CD_A = 0, CD_B = 1, CD_M = 2, CD_N = 3, CD_K = 4 };
enum { CD_Q = 0, CD_KEYS = 1, CD_VALUES = 2, CD_SCALE = 3, CD_O = 0, CD_STATS = 1 };

typedef struct {
    int32_t n_tensors, n_nodes;
    cd_tensor tensors[CD_TENSORS];
    cd_node nodes[CD_NODES];
} cd_graph;

/* A finalized tensor descriptor as a value. */
void cd_tensor_of(const cd_object *object, cd_tensor *tensor);
cudnnStatus_t cd_check_tensor(const cd_object *object);

/* Appends an operation and the tensors that the graph does not have yet. */
cudnnStatus_t cd_add_node(cd_graph *graph, const cd_object *operation);

/* Do the node's tensors fit together? */
cudnnStatus_t cd_check_node(const cd_graph *graph, const cd_node *node);

/* The graph of an operation graph's operations, checked and in order. */
cudnnStatus_t cd_make_graph(const cd_object *object, cd_graph *graph);

int cd_pointwise_inputs(int mode); /* 1, 2 or 3; 0: no such mode */
int cd_is_backward(int mode);
int64_t cd_elements(const cd_tensor *tensor);
int64_t cd_extent(const cd_tensor *tensor); /* elements from the first to the last in memory */
size_t cd_element_bytes(int type);
int cd_groups(const cd_graph *graph, const cd_node *node); /* of a convolution */

/* The tensors of a convolution by their part in the forward pass. */
typedef struct {
    const cd_tensor *x, *w, *y;
} cd_parts;

cd_parts cd_convolution_parts(const cd_graph *graph, const cd_node *node);

#endif
