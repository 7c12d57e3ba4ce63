/* lt_fixture.h - tests only: one product through cuBLASLt's API, with everything that it takes. */
#ifndef WISP_TESTS_LT_FIXTURE_H
#define WISP_TESTS_LT_FIXTURE_H

#include "cublaslt.h"
#include "soft_memory_fixture.h"

enum { LT_WORKSPACE = 1 << 16 };

typedef struct {
    int64_t rows, cols, ld;
    int64_t batch_stride;
    int order, type;
    void *memory;
} lt_operand;

typedef struct {
    lt_operand a, b, c, d;
    int transa, transb, batch;
    int compute;
    uint32_t epilogue;
    void *bias, *aux;
    int64_t aux_ld;
    int bias_type;
    float alpha, beta;
    size_t workspace; /* bytes that the preference allows */
    size_t given;     /* bytes that the call gets */
} lt_case;

#define LT_OK(call) ck_assert_int_eq(call, CUBLAS_STATUS_SUCCESS)

static cublasLtHandle_t lt_handle;

static inline lt_case lt_plain(void)
{
    return (lt_case){.batch = 1,
                     .compute = CUBLAS_COMPUTE_32F,
                     .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                     .bias_type = -1,
                     .alpha = 1,
                     .workspace = LT_WORKSPACE,
                     .given = LT_WORKSPACE};
}

static inline cublasLtMatrixLayout_t lt_layout_of(const lt_operand *operand, int32_t batch)
{
    cublasLtMatrixLayout_t layout;
    int32_t order = operand->order;
    LT_OK(cublasLtMatrixLayoutCreate(&layout, (cudaDataType)operand->type, (uint64_t)operand->rows,
                                     (uint64_t)operand->cols, operand->ld));
    LT_OK(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, 4));
    LT_OK(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, 4));
    LT_OK(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                           &operand->batch_stride, 8));
    return layout;
}

static inline cublasLtMatmulDesc_t lt_desc_of(const lt_case *t)
{
    cublasLtMatmulDesc_t desc;
    int32_t a = t->transa, b = t->transb, bias_type = t->bias_type;
    LT_OK(cublasLtMatmulDescCreate(&desc, (cublasComputeType_t)t->compute, CUDA_R_32F));
    LT_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &a, 4));
    LT_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSB, &b, 4));
    LT_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &t->epilogue, 4));
    LT_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &t->bias, 8));
    LT_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, 4));
    LT_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &t->aux,
                                         8));
    LT_OK(
        cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &t->aux_ld, 8));
    return desc;
}

/* The heuristic's status, or with an algorithm the product's. */
static inline cublasStatus_t lt_multiply(const lt_case *t)
{
    cublasLtMatmulDesc_t desc = lt_desc_of(t);
    cublasLtMatrixLayout_t a = lt_layout_of(&t->a, t->batch), b = lt_layout_of(&t->b, t->batch);
    cublasLtMatrixLayout_t d = lt_layout_of(&t->d, t->batch);
    cublasLtMatrixLayout_t c = t->c.memory ? lt_layout_of(&t->c, t->batch) : d;
    cublasLtMatmulPreference_t preference;
    uint64_t workspace = t->workspace;
    cublasLtMatmulHeuristicResult_t result;
    int n = 0;
    void *room = soft_room(LT_WORKSPACE);
    LT_OK(cublasLtMatmulPreferenceCreate(&preference));
    LT_OK(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &workspace, 8));
    cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(lt_handle, desc, a, b, c, d, preference, 1, &result, &n);
    if (status == CUBLAS_STATUS_SUCCESS) {
        ck_assert_int_eq(n, 1);
        ck_assert_uint_le(result.workspaceSize, t->workspace);
        status = cublasLtMatmul(lt_handle, desc, &t->alpha, t->a.memory, a, t->b.memory, b,
                                &t->beta, t->c.memory ? t->c.memory : t->d.memory, c, t->d.memory,
                                d, &result.algo, t->given ? room : NULL, t->given, soft_stream);
    }
    if (c != d)
        LT_OK(cublasLtMatrixLayoutDestroy(c));
    LT_OK(cublasLtMatrixLayoutDestroy(a));
    LT_OK(cublasLtMatrixLayoutDestroy(b));
    LT_OK(cublasLtMatrixLayoutDestroy(d));
    LT_OK(cublasLtMatmulDescDestroy(desc));
    LT_OK(cublasLtMatmulPreferenceDestroy(preference));
    return status;
}

#endif
