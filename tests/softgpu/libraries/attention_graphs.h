/* attention_graphs.h - tests only: attention and its gradient as graphs, the way cuDNN's frontend
 * composes them, for heads of bf16 in a packed row of queries, keys and values. */
#ifndef WISP_TESTS_ATTENTION_GRAPHS_H
#define WISP_TESTS_ATTENTION_GRAPHS_H

#include "cudnn_fixture.h"

typedef struct {
    int64_t heads, rows, features;
} attention_shape;

enum {
    AT_Q = 1,
    AT_K,
    AT_V,
    AT_O,
    AT_STATS,
    AT_SCALE,
    AT_DO,
    AT_DQ,
    AT_DK,
    AT_DV,
    AT_ONE,
    AT_ROWS,
    AT_SUMS,
    AT_VIRTUAL = 100
};

/* Heads side by side in rows of `row` numbers; turned: the transposed view. */
static inline dn_tensor at_heads(int64_t uid, const attention_shape *s, int64_t row, int turned)
{
    dn_tensor t = {.uid = uid,
                   .type = CUDNN_DATA_BFLOAT16,
                   .dims = {1, s->heads, s->rows, s->features},
                   .strides = {s->rows * row, s->features, row, 1}};
    if (turned) {
        t.dims[2] = s->features, t.dims[3] = s->rows;
        t.strides[2] = 1, t.strides[3] = row;
    }
    return t;
}

static inline dn_tensor at_scores(int64_t uid, const attention_shape *s, int type, int turned)
{
    dn_tensor t = {.uid = uid,
                   .type = type,
                   .dims = {1, s->heads, s->rows, s->rows},
                   .strides = {s->heads * s->rows * s->rows, s->rows * s->rows, s->rows, 1},
                   .is_virtual = 1};
    if (turned)
        t.strides[2] = 1, t.strides[3] = s->rows;
    return t;
}

static inline dn_tensor at_rows(int64_t uid, const attention_shape *s, int is_virtual)
{
    return (dn_tensor){.uid = uid,
                       .type = CUDNN_DATA_FLOAT,
                       .dims = {1, s->heads, s->rows, 1},
                       .strides = {s->heads * s->rows, s->rows, 1, 1},
                       .is_virtual = is_virtual};
}

static inline dn_tensor at_scalar(int64_t uid)
{
    return (dn_tensor){.uid = uid,
                       .type = CUDNN_DATA_FLOAT,
                       .dims = {1, 1, 1, 1},
                       .strides = {1, 1, 1, 1},
                       .by_value = 1};
}

static inline cudnnBackendDescriptor_t at_matmul(const dn_tensor *a, const dn_tensor *b,
                                                 const dn_tensor *c)
{
    cudnnBackendDescriptor_t matmul = dn_make(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    dn_set_int(matmul, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    DN_OK(cudnnBackendFinalize(matmul));
    cudnnBackendDescriptor_t operation = dn_make(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    dn_set_child(operation, CUDNN_ATTR_OPERATION_MATMUL_DESC, matmul);
    dn_set_child(operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC, dn_make_tensor(a));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC, dn_make_tensor(b));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC, dn_make_tensor(c));
    DN_OK(cudnnBackendFinalize(operation));
    return operation;
}

static inline cudnnBackendDescriptor_t at_reduction(int mode, const dn_tensor *x,
                                                    const dn_tensor *y)
{
    cudnnBackendDescriptor_t reduction = dn_make(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    dn_set_int(reduction, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, mode);
    dn_set_int(reduction, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    DN_OK(cudnnBackendFinalize(reduction));
    cudnnBackendDescriptor_t operation = dn_make(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    dn_set_child(operation, CUDNN_ATTR_OPERATION_REDUCTION_DESC, reduction);
    dn_set_child(operation, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, dn_make_tensor(x));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, dn_make_tensor(y));
    DN_OK(cudnnBackendFinalize(operation));
    return operation;
}

static inline cudnnBackendDescriptor_t at_reshape(const dn_tensor *x, const dn_tensor *y)
{
    cudnnBackendDescriptor_t operation = dn_make(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    dn_set_child(operation, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, dn_make_tensor(x));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, dn_make_tensor(y));
    DN_OK(cudnnBackendFinalize(operation));
    return operation;
}

/* One operation: Q, K, V and the scale give O and the statistics. */
static inline cudnnBackendDescriptor_t at_whole(const attention_shape *s, int64_t row)
{
    cudnnBackendDescriptor_t operation = dn_make(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    dn_tensor q = at_heads(AT_Q, s, row, 0), k = at_heads(AT_K, s, row, 0);
    dn_tensor v = at_heads(AT_V, s, row, 0), o = at_heads(AT_O, s, s->heads * s->features, 0);
    dn_tensor scale = at_scalar(AT_SCALE), stats = at_rows(AT_STATS, s, 0);
    dn_set_child(operation, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, dn_make_tensor(&q));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, dn_make_tensor(&k));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, dn_make_tensor(&v));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, dn_make_tensor(&o));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, dn_make_tensor(&scale));
    dn_set_child(operation, CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, dn_make_tensor(&stats));
    DN_OK(cudnnBackendFinalize(operation));
    return dn_make_graph(&operation, 1);
}

/* The parts: scores, scale, softmax, values, statistics. */
static inline cudnnBackendDescriptor_t at_forward(const attention_shape *s, int64_t row)
{
    dn_tensor q = at_heads(AT_Q, s, row, 0), kt = at_heads(AT_K, s, row, 1);
    dn_tensor v = at_heads(AT_V, s, row, 0), o = at_heads(AT_O, s, s->heads * s->features, 0);
    dn_tensor scale = at_scalar(AT_SCALE), stats = at_rows(AT_STATS, s, 0), t[5], rows[3];
    for (int i = 0; i < 5; i++)
        t[i] = at_scores(AT_VIRTUAL + i, s, i == 4 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT, 0);
    for (int i = 0; i < 3; i++)
        rows[i] = at_rows(AT_VIRTUAL + 10 + i, s, 1);
    cudnnBackendDescriptor_t operations[] = {
        at_matmul(&q, &kt, &t[0]),
        dn_make_pointwise(CUDNN_POINTWISE_MUL, &t[0], &scale, &t[1]),
        at_reduction(CUDNN_REDUCE_TENSOR_MAX, &t[1], &rows[0]),
        dn_make_pointwise(CUDNN_POINTWISE_SUB, &t[1], &rows[0], &t[2]),
        dn_make_pointwise(CUDNN_POINTWISE_EXP, &t[2], NULL, &t[3]),
        at_reduction(CUDNN_REDUCE_TENSOR_ADD, &t[3], &rows[1]),
        dn_make_pointwise(CUDNN_POINTWISE_LOG, &rows[1], NULL, &rows[2]),
        dn_make_pointwise(CUDNN_POINTWISE_ADD, &rows[0], &rows[2], &stats),
        dn_make_pointwise(CUDNN_POINTWISE_DIV, &t[3], &rows[1], &t[4]),
        at_matmul(&t[4], &v, &o),
    };
    return dn_make_graph(operations, sizeof operations / sizeof *operations);
}

/* The gradient. With sums of its own dQ is summed in floats and then copied. */
static inline cudnnBackendDescriptor_t at_backward(const attention_shape *s, int64_t row,
                                                   int own_sums)
{
    int64_t plain = s->heads * s->features;
    dn_tensor q = at_heads(AT_Q, s, row, 0), kt = at_heads(AT_K, s, row, 1);
    dn_tensor vt = at_heads(AT_V, s, row, 1), o = at_heads(AT_O, s, plain, 0);
    dn_tensor d_o = at_heads(AT_DO, s, plain, 0), dq = at_heads(AT_DQ, s, row, 0);
    dn_tensor dk = at_heads(AT_DK, s, row, 0), dv = at_heads(AT_DV, s, row, 0);
    dn_tensor scale = at_scalar(AT_SCALE), one = at_scalar(AT_ONE), stats = at_rows(AT_STATS, s, 0);
    dn_tensor products = at_heads(AT_VIRTUAL + 20, s, plain, 0),
              sum = at_rows(AT_VIRTUAL + 21, s, 1);
    dn_tensor row_sums = at_rows(AT_ROWS, s, 0), t[8], pt, dst, k,
              sums = at_heads(AT_SUMS, s, plain, 0);
    products.type = sums.type = CUDNN_DATA_FLOAT;
    products.is_virtual = 1;
    for (int i = 0; i < 8; i++)
        t[i] = at_scores(AT_VIRTUAL + i, s, CUDNN_DATA_FLOAT, 0);
    pt = at_scores(AT_VIRTUAL + 30, s, CUDNN_DATA_BFLOAT16, 1);
    dst = at_scores(AT_VIRTUAL + 31, s, CUDNN_DATA_BFLOAT16, 1);
    k = at_heads(AT_VIRTUAL + 32, s, row, 0);
    k.is_virtual = 1;
    cudnnBackendDescriptor_t operations[] = {
        dn_make_pointwise(CUDNN_POINTWISE_MUL, &d_o, &o, &products),
        at_reduction(CUDNN_REDUCE_TENSOR_ADD, &products, &sum),
        dn_make_pointwise(CUDNN_POINTWISE_MUL, &sum, &one, &row_sums),
        at_matmul(&q, &kt, &t[0]),
        dn_make_pointwise(CUDNN_POINTWISE_MUL, &t[0], &scale, &t[1]),
        dn_make_pointwise(CUDNN_POINTWISE_SUB, &t[1], &stats, &t[2]),
        dn_make_pointwise(CUDNN_POINTWISE_EXP, &t[2], NULL, &t[3]),
        at_reshape(&t[3], &pt),
        at_matmul(&pt, &d_o, &dv),
        at_matmul(&d_o, &vt, &t[4]),
        dn_make_pointwise(CUDNN_POINTWISE_SUB, &t[4], &row_sums, &t[5]),
        dn_make_pointwise(CUDNN_POINTWISE_MUL, &t[5], &t[3], &t[6]),
        dn_make_pointwise(CUDNN_POINTWISE_MUL, &t[6], &scale, &t[7]),
        at_reshape(&t[7], &dst),
        at_matmul(&dst, &q, &dk),
        at_reshape(&kt, &k),
        at_matmul(&t[7], &k, own_sums ? &sums : &dq),
        own_sums ? dn_make_pointwise(CUDNN_POINTWISE_IDENTITY, &sums, NULL, &dq) : NULL,
    };
    return dn_make_graph(operations, sizeof operations / sizeof *operations - !own_sums);
}

#endif
