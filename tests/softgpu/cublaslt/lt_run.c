/* The product itself, batch by batch, on the device. */
#include "lt_object.h"
#include "soft_gemm.h"
#include "soft_number.h"
#include <stdlib.h>
#include <string.h>

float lt_load(uint32_t type, const void *memory, int64_t i)
{
    return type == CUDA_R_16BF ? soft_of_bf16(((const uint16_t *)memory)[i])
                               : ((const float *)memory)[i];
}

void lt_store(uint32_t type, void *memory, int64_t i, float value)
{
    if (type == CUDA_R_16BF)
        ((uint16_t *)memory)[i] = soft_to_bf16(value);
    else
        ((float *)memory)[i] = value;
}

/* What the tensor cores make of an input in the faster compute types. */
static float as_computed(int32_t compute, float value)
{
    if (compute == CUBLAS_COMPUTE_32F_FAST_TF32)
        return soft_tf32(value);
    if (compute == CUBLAS_COMPUTE_32F_FAST_16BF)
        return soft_of_bf16(soft_to_bf16(value));
    return value;
}

/* One batch of a matrix, or of its transpose, row after row. */
void lt_read_matrix(const lt_problem *problem, const lt_layout *layout, const void *memory,
                    int64_t batch, int transpose, float *out)
{
    int64_t rows = (int64_t)layout->rows, cols = (int64_t)layout->cols;
    int row_major = layout->order == CUBLASLT_ORDER_ROW;
    int64_t row = row_major ? layout->ld : 1, col = row_major ? 1 : layout->ld;
    int64_t first = batch * layout->batch_stride;
    int64_t out_row = transpose ? 1 : cols, out_col = transpose ? rows : 1;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            out[i * out_row + j * out_col] = as_computed(
                problem->desc.compute, lt_load(layout->type, memory, first + i * row + j * col));
}

/* A kernel may leave anything in its workspace: whoever keeps something there shall lose it. */
static void spoil_workspace(const lt_launch *launch)
{
    if (launch->workspace_bytes)
        memset(launch->workspace, 0xa5, launch->workspace_bytes);
}

void lt_run(void *argument)
{
    const lt_launch *launch = argument;
    const lt_problem *p = &launch->problem;
    float alpha = launch->alpha, beta = launch->beta;
    if (launch->alpha_on_device) {
        memcpy(&alpha, launch->alpha_on_device, sizeof alpha);
        memcpy(&beta, launch->beta_on_device, sizeof beta);
    }
    spoil_workspace(launch);
    float *a = soft_scratch((size_t)(p->m * p->k) * sizeof *a);
    float *b = soft_scratch((size_t)(p->k * p->n) * sizeof *b);
    float *sums = soft_scratch((size_t)(p->m * p->n) * sizeof *sums);
    for (int64_t batch = 0; batch < p->d.batch; batch++) {
        lt_read_matrix(p, &p->a, launch->a, batch, p->desc.transa != CUBLAS_OP_N, a);
        lt_read_matrix(p, &p->b, launch->b, batch, p->desc.transb != CUBLAS_OP_N, b);
        soft_gemm(p->m, p->n, p->k, a, b, sums);
        lt_input_sums(launch, batch, a, b);
        lt_epilogue(launch, batch, sums, alpha, beta);
    }
    free(a);
    free(b);
    free(sums);
}
