/* The heuristic: one algorithm for every problem that is taken. It wants a little workspace, does
 * without where the preference gives none, and remembers the alignments that it was chosen for. */
#include "lt_object.h"
#include <stdlib.h>
#include <string.h>

enum { WORKSPACE = 8192 };

/* The largest power of two that divides the address, at most 256; NULL counts as aligned. */
static uint32_t alignment_of(const void *address)
{
    uint32_t alignment = 256;
    while ((uintptr_t)address % alignment)
        alignment /= 2;
    return alignment;
}

void lt_choose(const lt_problem *problem, const lt_preference *preference,
               cublasLtMatmulHeuristicResult_t *result)
{
    _Static_assert(sizeof(lt_algo) <= sizeof(cublasLtMatmulAlgo_t), "fits");
    lt_algo algo = {.magic = LT_ALGO_MAGIC,
                    .epilogue = problem->desc.epilogue,
                    .workspace = preference->workspace < WORKSPACE ? 0 : WORKSPACE,
                    .align_a = preference->align_a,
                    .align_b = preference->align_b,
                    .align_c = preference->align_c,
                    .align_d = preference->align_d,
                    .align_bias = alignment_of(problem->desc.bias),
                    .align_aux = alignment_of(problem->desc.aux),
                    .m = (uint32_t)problem->m,
                    .n = (uint32_t)problem->n,
                    .k = (uint32_t)problem->k,
                    .batch = (uint32_t)problem->d.batch};
    memset(result, 0, sizeof *result);
    memcpy(&result->algo, &algo, sizeof algo);
    result->workspaceSize = algo.workspace;
    result->state = CUBLAS_STATUS_SUCCESS;
    result->wavesCount = 1;
}

/* SOFTGPU_LT_REFUSE holds bits of epilogues that this device shall have no kernels for, so that
 * callers' ways round can be tested: 0x300 refuses BGRADA and BGRADB. */
static int is_switched_off(uint32_t epilogue)
{
    const char *bits = getenv("SOFTGPU_LT_REFUSE");
    return bits && (strtoul(bits, NULL, 0) & epilogue) != 0;
}

SOFT_API cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
    cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
    cublasLtMatmulPreference_t preference, int room, cublasLtMatmulHeuristicResult_t results[],
    int *n)
{
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!c || !preference || !results || !n || room < 1)
        return CUBLAS_STATUS_INVALID_VALUE;
    *n = 0;
    lt_problem problem;
    cublasStatus_t status = lt_describe(desc, a, b, c, d, &problem);
    if (status)
        return status;
    if (is_switched_off(problem.desc.epilogue))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    lt_choose(&problem, (const lt_preference *)(const void *)preference, results);
    *n = 1;
    return CUBLAS_STATUS_SUCCESS;
}
