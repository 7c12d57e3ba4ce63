/* cuda_graph.h - cuDNN's graphs: tensors and operations are described, then an engine is chosen.
 *
 * A graph is built by calls that do nothing once one of them failed; cuda_graph_plan tells the
 * first failure. Everything that a graph made lives until cuda_graph_free, the plan included. */
#ifndef CUDA_GRAPH_H
#define CUDA_GRAPH_H

#include "cuda_device.h"
#include "wisp/kernels.h"

enum { CUDA_GRAPH_OPERATIONS = 20, CUDA_GRAPH_PARTS = 80, CUDA_GRAPH_TENSORS = 16 };

/* An engine of cuDNN with its settings, and what they make of a graph. */
typedef struct cuda_graph_choice {
    cudnnBackendDescriptor_t config, engine, plan;
    int64_t number;         /* cuDNN's of the engine */
    size_t workspace_bytes; /* of scratch, aligned to 256 */
} cuda_graph_choice;

/* What a run needs memory for. */
typedef struct cuda_graph_memory {
    int64_t id;
    size_t bytes;
    int32_t is_value;
} cuda_graph_memory;

typedef struct cuda_graph {
    cuda_device *device;
    cudnnBackendDescriptor_t absent_device; /* the device's, see cuda_device.h */
    cudnnBackendDescriptor_t operations[CUDA_GRAPH_OPERATIONS], parts[CUDA_GRAPH_PARTS];
    cudnnBackendDescriptor_t whole; /* the operations as cuDNN's graph */
    int32_t n_operations, n_parts;
    cuda_graph_memory memory[CUDA_GRAPH_TENSORS];
    int32_t n_memory;
    uint64_t key; /* of all that was described */
    wisp_status status;
    wisp_error error;
    cuda_graph_choice choice; /* after cuda_graph_plan */
} cuda_graph;

/* Up to 4 dimensions, in cuDNN's order (N,C,H,W) whatever the strides are. */
typedef struct cuda_graph_tensor {
    int64_t id; /* by which run finds its memory */
    int32_t dtype;
    int32_t rank;
    int64_t size[4], stride[4]; /* in elements */
    uint32_t alignment;         /* bytes */
    int32_t is_virtual;         /* between two operations: never in memory */
    int32_t is_value;           /* a number in host memory */
} cuda_graph_tensor;

typedef struct cuda_graph_rules {
    int32_t deterministic;
    int32_t strict_f32;     /* no engine that rounds f32 to less */
    size_t workspace_limit; /* bytes */
} cuda_graph_rules;

enum { CUDA_CONV_FORWARD, CUDA_CONV_INPUT, CUDA_CONV_WEIGHT };

void cuda_graph_begin(cuda_graph *graph, cuda_device *device);
void cuda_graph_free(cuda_graph *graph);

/* NULL after a failure; the other calls take that. */
cudnnBackendDescriptor_t cuda_graph_add_tensor(cuda_graph *graph, const cuda_graph_tensor *tensor);
/* y = conv(x, w), or x or w from the two others. */
void cuda_graph_add_conv(cuda_graph *graph, int32_t direction, const wisp_conv2d_attrs *attrs,
                         cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t w,
                         cudnnBackendDescriptor_t y);
/* y = mode(x, b), in f32; b NULL: mode takes one. RELU_FWD cuts off above `upper`. */
void cuda_graph_add_pointwise(cuda_graph *graph, cudnnPointwiseMode_t mode,
                              cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t b,
                              cudnnBackendDescriptor_t y, double upper);
/* Of each channel: sums of x and of its squares, f32. */
void cuda_graph_add_sums(cuda_graph *graph, cudnnBackendDescriptor_t x,
                         cudnnBackendDescriptor_t sum, cudnnBackendDescriptor_t squares);

/* c = a b, matrices in the last two of four dimensions, in f32. */
void cuda_graph_add_product(cuda_graph *graph, cudnnBackendDescriptor_t a,
                            cudnnBackendDescriptor_t b, cudnnBackendDescriptor_t c);
/* Over the dimensions that y has no more, in f32. */
void cuda_graph_add_reduction(cuda_graph *graph, cudnnReduceTensorOp_t mode,
                              cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t y);
/* The same memory seen otherwise. */
void cuda_graph_add_view(cuda_graph *graph, cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t y);

/* Chooses the first engine, in the order of cuDNN's heuristics, that obeys the rules and whose plan
 * cuDNN accepts. WISP_E_UNSUPPORTED with what became of each. [main] */
wisp_status cuda_graph_plan(cuda_graph *graph, const cuda_graph_rules *rules, wisp_error *err);

/* data[i] is the memory of the tensor whose id is ids[i]. [main] */
wisp_status cuda_graph_run(const cuda_graph *graph, int32_t n, const int64_t *ids,
                           void *const *data, void *workspace, wisp_error *err);

/* For files that add operations of their own: a descriptor that the graph keeps, its attributes,
 * and its end, after which it is an operation where `is_operation`. */
cudnnBackendDescriptor_t cuda_graph_part(cuda_graph *graph, cudnnBackendDescriptorType_t type);
void cuda_graph_set(cuda_graph *graph, cudnnBackendDescriptor_t part,
                    cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n,
                    const void *values);
void cuda_graph_set_part(cuda_graph *graph, cudnnBackendDescriptor_t part,
                         cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value);
void cuda_graph_close(cuda_graph *graph, cudnnBackendDescriptor_t part, int is_operation);

#endif
