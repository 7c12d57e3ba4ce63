/* The insides of cuBLASLt's opaque descriptors, and the one problem that they describe together. */
#ifndef WISP_SOFT_LT_OBJECT_H
#define WISP_SOFT_LT_OBJECT_H

#include "cublaslt.h"
#include "soft_client.h"

typedef struct {
    uint32_t type;
    int32_t order;
    uint64_t rows, cols;
    int64_t ld;
    int32_t batch;
    int64_t batch_stride, plane_offset;
} lt_layout;

typedef struct {
    int32_t compute, scale, pointer_mode, transa, transb, transc, fill;
    uint32_t epilogue;
    void *bias;
    int64_t bias_stride;
    void *aux;
    int64_t aux_ld, aux_stride, alpha_stride;
    int32_t sm_count, aux_type, bias_type;
    int8_t fast_accumulation;
} lt_desc;

typedef struct {
    uint32_t search, reductions;
    uint64_t workspace;
    uint32_t align_a, align_b, align_c, align_d;
    float waves;
    uint64_t implementations;
} lt_preference;

/* What an algorithm was chosen for: it takes nothing less aligned and no less workspace. */
typedef struct {
    uint32_t magic;
    uint32_t epilogue;
    uint64_t workspace;
    uint32_t align_a, align_b, align_c, align_d, align_bias, align_aux;
    uint32_t m, n, k, batch;
} lt_algo;

enum { LT_ALGO_MAGIC = 0x50f7a150 };

/* A checked product: d[m][n] of op(a)[m][k] and op(b)[k][n]. */
typedef struct {
    lt_desc desc;
    lt_layout a, b, c, d;
    int64_t m, n, k;
} lt_problem;

/* Fills *problem; the status is what cublasLtMatmul and the heuristic give for the descriptors. */
cublasStatus_t lt_describe(cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                           cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                           cublasLtMatrixLayout_t d, lt_problem *problem);

/* One algorithm for the problem under the preference, as the heuristic gives it. */
void lt_choose(const lt_problem *problem, const lt_preference *preference,
               cublasLtMatmulHeuristicResult_t *result);

/* Bytes of an element, and of a layout from its first element to its last in all batches. */
size_t lt_element_bytes(uint32_t type);
size_t lt_layout_bytes(const lt_layout *layout);

/* What a launch carries: everything that the arithmetic needs. */
typedef struct {
    lt_problem problem;
    const void *a, *b, *c;
    void *d;
    const void *alpha_on_device, *beta_on_device;
    float alpha, beta;
    void *workspace;
    uint64_t workspace_bytes;
} lt_launch;

void lt_run(void *launch);

/* The parts of one batch of a launch: sums of op(a) op(b), and what becomes of them in d. */
void lt_read_matrix(const lt_problem *problem, const lt_layout *layout, const void *memory,
                    int64_t batch, int transpose, float *out);
void lt_epilogue(const lt_launch *launch, int64_t batch, const float *sums, float alpha,
                 float beta);
void lt_input_sums(const lt_launch *launch, int64_t batch, const float *a, const float *b);
float lt_load(uint32_t type, const void *memory, int64_t i);
void lt_store(uint32_t type, void *memory, int64_t i, float value);

#endif
