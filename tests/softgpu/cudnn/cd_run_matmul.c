/* Matrix products in batches. A batch dimension of A or B that is smaller than C's serves several
 * of C's in a row, as heads of attention share keys. */
#include "cd_run.h"
#include "soft_gemm.h"
#include "soft_number.h"
#include <stdlib.h>

/* Which matrix of an operand belongs to C's matrix of this index. */
static int64_t matrix_of(const cd_tensor *operand, const cd_tensor *c, int64_t i)
{
    int64_t at = 0, place[CUDNN_DIM_MAX];
    for (int d = c->n_dims - 3; d >= 0; d--) {
        place[d] = i % c->dims[d];
        i /= c->dims[d];
    }
    for (int d = 0; d < c->n_dims - 2; d++)
        at = at * operand->dims[d] + place[d] / (c->dims[d] / operand->dims[d]);
    return at;
}

static int64_t overridden(const cd_step *step, int input, int64_t batch, int64_t whole)
{
    return step->node->in[input] < 0 ? whole : (int64_t)step->in[input][batch];
}

/* Rows or columns of both operands from the last to the first: the same sums in another order. */
static void turn_sums(int64_t m, int64_t n, int64_t k, float *a, float *b)
{
    for (int64_t p = 0; p < k / 2; p++) {
        int64_t q = k - 1 - p;
        for (int64_t i = 0; i < m; i++) {
            float kept = a[i * k + p];
            a[i * k + p] = a[i * k + q];
            a[i * k + q] = kept;
        }
        for (int64_t j = 0; j < n; j++) {
            float kept = b[p * n + j];
            b[p * n + j] = b[q * n + j];
            b[q * n + j] = kept;
        }
    }
}

static void copy_inputs(const cd_step *step, const float *in, int64_t n, float *out)
{
    int cut = step->engine == CD_ENGINE_FUSION_TF32;
    for (int64_t i = 0; i < n; i++)
        out[i] = cut ? soft_tf32(in[i]) : in[i];
}

/* Beyond an override, k counts for nothing and m and n hold the padding value. */
static void cut_sums(const cd_step *step, float *a, int64_t m, int64_t k, int64_t batch)
{
    int64_t last_k = overridden(step, CD_K, batch, k);
    for (int64_t i = 0; i < m; i++)
        for (int64_t p = last_k; p < k; p++)
            a[i * k + p] = 0;
}

static void pad(const cd_step *step, float *c, int64_t m, int64_t n, int64_t batch)
{
    int64_t last_m = overridden(step, CD_M, batch, m), last_n = overridden(step, CD_N, batch, n);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            if (i >= last_m || j >= last_n)
                c[i * n + j] = (float)step->node->padding;
}

void cd_run_matmul(const cd_step *step)
{
    const cd_tensor *a = &step->graph->tensors[step->node->in[CD_A]];
    const cd_tensor *b = &step->graph->tensors[step->node->in[CD_B]];
    const cd_tensor *c = &step->graph->tensors[step->node->out[0]];
    int64_t m = c->dims[c->n_dims - 2], n = c->dims[c->n_dims - 1], k = a->dims[a->n_dims - 1];
    int64_t matrices = cd_elements(c) / (m * n), in_batch = matrices / c->dims[0];
    float *left = soft_scratch((size_t)(m * k) * sizeof *left);
    float *right = soft_scratch((size_t)(k * n) * sizeof *right);
    float *sums = soft_scratch((size_t)(m * n) * sizeof *sums);
    for (int64_t i = 0; i < matrices; i++) {
        copy_inputs(step, step->in[CD_A] + matrix_of(a, c, i) * m * k, m * k, left);
        copy_inputs(step, step->in[CD_B] + matrix_of(b, c, i) * k * n, k * n, right);
        cut_sums(step, left, m, k, i / in_batch);
        if (step->engine == CD_ENGINE_ATTENTION_UNORDERED && step->turn % 2)
            turn_sums(m, n, k, left, right);
        soft_gemm(m, n, k, left, right, sums);
        for (int64_t j = 0; j < m * n; j++)
            step->out[0][i * m * n + j] = sums[j] + (step->adds ? step->out[0][i * m * n + j] : 0);
        pad(step, step->out[0] + i * m * n, m, n, i / in_batch);
    }
    free(left);
    free(right);
    free(sums);
}
