/* cublasLtMatmul: checks what a real call could only find out by faulting, and hands the product to
 * the device. */
#include "lt_object.h"
#include <string.h>

static const char call[] = "cublasLtMatmul";

static cublasStatus_t refuse(const char *why)
{
    soft_say("%s: %s", call, why);
    return CUBLAS_STATUS_INVALID_VALUE;
}

static int aligned(const void *address, uint64_t alignment)
{
    return (uintptr_t)address % (alignment ? alignment : 1) == 0;
}

/* An algorithm is good for the problem and the alignments it was chosen for. */
static cublasStatus_t check_algo(const lt_algo *algo, const lt_launch *l)
{
    const lt_problem *p = &l->problem;
    if (algo->magic != LT_ALGO_MAGIC || algo->epilogue != p->desc.epilogue ||
        algo->m != (uint32_t)p->m || algo->n != (uint32_t)p->n || algo->k != (uint32_t)p->k ||
        algo->batch != (uint32_t)p->d.batch)
        return refuse("the algorithm was chosen for another problem");
    if (!aligned(l->a, algo->align_a) || !aligned(l->b, algo->align_b) ||
        !aligned(l->c, algo->align_c) || !aligned(l->d, algo->align_d))
        return refuse("a matrix is less aligned than the preference promised");
    if (!aligned(p->desc.bias, algo->align_bias) || !aligned(p->desc.aux, algo->align_aux))
        return refuse(
            "bias or auxiliary buffer are less aligned than when the algorithm was chosen");
    if (l->workspace_bytes < algo->workspace)
        return refuse("less workspace than the algorithm needs");
    return CUBLAS_STATUS_SUCCESS;
}

static size_t vector_bytes(const lt_problem *p)
{
    int64_t n = p->desc.epilogue == CUBLASLT_EPILOGUE_BGRADB ? p->n : p->m;
    return (size_t)(n + (p->d.batch - 1) * p->desc.bias_stride) * lt_element_bytes(p->d.type);
}

static size_t aux_bytes(const lt_problem *p)
{
    int64_t elements = (p->n - 1) * p->desc.aux_ld + p->m + (p->d.batch - 1) * p->desc.aux_stride;
    if (p->desc.epilogue & (CUBLASLT_EPILOGUE_RELU | 8))
        return (size_t)(elements + 7) / 8;
    return (size_t)elements * lt_element_bytes(p->d.type);
}

static int has_vector(uint32_t epilogue)
{
    return (epilogue & (CUBLASLT_EPILOGUE_BIAS | 16 | 256 | 512)) != 0;
}

static cublasStatus_t check_memory(const soft_device *device, const lt_launch *l, int reads_c)
{
    const lt_problem *p = &l->problem;
    int good = soft_device_has(device, call, "A", l->a, lt_layout_bytes(&p->a)) &&
               soft_device_has(device, call, "B", l->b, lt_layout_bytes(&p->b)) &&
               (!reads_c || soft_device_has(device, call, "C", l->c, lt_layout_bytes(&p->c))) &&
               soft_device_has(device, call, "D", l->d, lt_layout_bytes(&p->d));
    if (good && has_vector(p->desc.epilogue))
        good = soft_device_has(device, call, "the bias", p->desc.bias, vector_bytes(p));
    if (good && p->desc.epilogue & 128)
        good = soft_device_has(device, call, "the auxiliary buffer", p->desc.aux, aux_bytes(p));
    if (good && l->workspace_bytes)
        good = soft_device_has(device, call, "the workspace", l->workspace, l->workspace_bytes);
    return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

static void take_scalars(lt_launch *l, const void *alpha, const void *beta)
{
    if (l->problem.desc.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE) {
        l->alpha_on_device = alpha;
        l->beta_on_device = beta;
    } else {
        memcpy(&l->alpha, alpha, sizeof l->alpha);
        memcpy(&l->beta, beta, sizeof l->beta);
    }
}

SOFT_API cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                       const void *alpha, const void *a,
                                       cublasLtMatrixLayout_t a_layout, const void *b,
                                       cublasLtMatrixLayout_t b_layout, const void *beta,
                                       const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                                       cublasLtMatrixLayout_t d_layout,
                                       const cublasLtMatmulAlgo_t *algo, void *workspace,
                                       size_t workspace_bytes, cudaStream_t stream)
{
    const soft_device *device = soft_device_open();
    if (!handle || !device)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    lt_launch l = {
        .a = a, .b = b, .c = c, .d = d, .workspace = workspace, .workspace_bytes = workspace_bytes};
    cublasStatus_t status = lt_describe(desc, a_layout, b_layout, c_layout, d_layout, &l.problem);
    if (status)
        return status;
    if (!alpha || !a || !b || !beta || !c || !d || (workspace_bytes && !workspace))
        return refuse("an argument is NULL");
    if (!aligned(workspace, 256))
        return refuse("the workspace is not aligned to 256 bytes");
    if (c == d && l.problem.c.ld != l.problem.d.ld)
        return refuse("in place, but C and D have different leading dimensions");
    take_scalars(&l, alpha, beta);
    cublasLtMatmulHeuristicResult_t chosen;
    if (!algo) {
        lt_preference standard = {.workspace = workspace_bytes};
        lt_choose(&l.problem, &standard, &chosen);
        algo = &chosen.algo;
    }
    lt_algo inside;
    memcpy(&inside, algo, sizeof inside);
    status = check_algo(&inside, &l);
    l.workspace_bytes = inside.workspace;
    if (!status)
        status = check_memory(device, &l, l.alpha_on_device || l.beta != 0);
    if (!status && device->enqueue(stream, lt_run, &l, sizeof l, call))
        status = CUBLAS_STATUS_EXECUTION_FAILED;
    return status;
}
