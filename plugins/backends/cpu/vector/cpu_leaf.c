/* cpu_leaf.c - the small loops around convolutions, products and attention. */
#include "cpu_elementary.h"
#include "cpu_leaf.h"
#include "cpu_vector.h"

enum { COLUMN_TILE = 64, ROW_BLOCK = 128 };

/* Blocks of rows are summed in f32, the blocks in double. */
CPU_INLINE void column_sum_tile(const void *x, int64_t rows, int64_t columns, int64_t first,
                                int64_t width, double *sum, const int type)
{
    for (int64_t r0 = 0; r0 < rows; r0 += ROW_BLOCK) {
        float block[COLUMN_TILE] = {0};
        int64_t r1 = cpu_min(r0 + ROW_BLOCK, rows);
        for (int64_t r = r0; r < r1; r++) {
            const void *row = cpu_at_const(x, r * columns + first, type);
            CPU_SIMD
            for (int64_t c = 0; c < width; c++)
                block[c] += cpu_load(row, c, type);
        }
        for (int64_t c = 0; c < width; c++)
            sum[first + c] += block[c];
    }
}

CPU_INLINE void column_sum_typed(const void *x, int64_t rows, int64_t columns, double *sum,
                                 const int type)
{
    for (int64_t c = 0; c < columns; c++)
        sum[c] = 0;
    for (int64_t first = 0; first < columns; first += COLUMN_TILE) {
        if (columns - first >= COLUMN_TILE)
            column_sum_tile(x, rows, columns, first, COLUMN_TILE, sum, type);
        else
            column_sum_tile(x, rows, columns, first, columns - first, sum, type);
    }
}

static void column_sum(int32_t dtype, const void *x, int64_t rows, int64_t columns, double *sum)
{
    if (dtype == WISP_BF16)
        column_sum_typed(x, rows, columns, sum, WISP_BF16);
    else
        column_sum_typed(x, rows, columns, sum, WISP_F32);
}

static void copy_rows(int32_t dtype, const void *from, int64_t from_stride, void *to,
                      int64_t to_stride, int64_t rows, int64_t width)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(cpu_at(to, r * to_stride, dtype), cpu_at_const(from, r * from_stride, dtype),
               (size_t)(width * wisp_dtype_bytes(dtype)));
}

CPU_INLINE void store_rows_typed(const float *from, void *to, int64_t to_stride, int64_t rows,
                                 int64_t width, const int type)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *row = from + r * width;
        void *out = cpu_at(to, r * to_stride, type);
        CPU_SIMD
        for (int64_t c = 0; c < width; c++)
            cpu_store(out, c, row[c], type);
    }
}

static void store_rows(int32_t dtype, const float *from, void *to, int64_t to_stride, int64_t rows,
                       int64_t width)
{
    if (dtype == WISP_BF16)
        store_rows_typed(from, to, to_stride, rows, width, WISP_BF16);
    else
        store_rows_typed(from, to, to_stride, rows, width, WISP_F32);
}

CPU_INLINE void softmax_again_typed(const float *s, void *p, int64_t rows, int64_t width,
                                    float scale, const float *lse, const int type)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *row = s + r * width;
        void *out = cpu_at(p, r * width, type);
        float shift = lse[r];
        CPU_SIMD
        for (int64_t c = 0; c < width; c++)
            cpu_store(out, c, cpu_exp_low(scale * row[c] - shift), type);
    }
}

static void softmax_again(int32_t dtype, const float *s, void *p, int64_t rows, int64_t width,
                          float scale, const float *lse)
{
    if (dtype == WISP_BF16)
        softmax_again_typed(s, p, rows, width, scale, lse, WISP_BF16);
    else
        softmax_again_typed(s, p, rows, width, scale, lse, WISP_F32);
}

static void softmax_rows(int32_t dtype, const float *s, void *p, int64_t rows, int64_t width,
                         float scale, float *lse)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *row = s + r * width;
        float top = scale * row[0], sum = 0;
        CPU_SIMD_MAX(top)
        for (int64_t c = 0; c < width; c++)
            top = scale * row[c] > top ? scale * row[c] : top;
        CPU_SIMD_SUM(sum)
        for (int64_t c = 0; c < width; c++)
            sum += cpu_exp_low(scale * row[c] - top);
        lse[r] = top + cpu_log(sum);
    }
    softmax_again(dtype, s, p, rows, width, scale, lse);
}

CPU_INLINE void softmax_grad_typed(const void *p, const float *dp, void *ds, int64_t rows,
                                   int64_t width, float scale, const int type)
{
    for (int64_t r = 0; r < rows; r++) {
        const void *prob = cpu_at_const(p, r * width, type);
        const float *row = dp + r * width;
        void *out = cpu_at(ds, r * width, type);
        float mean = 0;
        CPU_SIMD_SUM(mean)
        for (int64_t c = 0; c < width; c++)
            mean += cpu_load(prob, c, type) * row[c];
        CPU_SIMD
        for (int64_t c = 0; c < width; c++)
            cpu_store(out, c, scale * cpu_load(prob, c, type) * (row[c] - mean), type);
    }
}

static void softmax_grad(int32_t dtype, const void *p, const float *dp, void *ds, int64_t rows,
                         int64_t width, float scale)
{
    if (dtype == WISP_BF16)
        softmax_grad_typed(p, dp, ds, rows, width, scale, WISP_BF16);
    else
        softmax_grad_typed(p, dp, ds, rows, width, scale, WISP_F32);
}

static void add(const float *x, float *sum, int64_t n)
{
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

#define LEAF_NAME(variant) CPU_PASTE2(leaf, variant)
const cpu_leaf LEAF_NAME(CPU_VARIANT) = {
    column_sum, copy_rows, store_rows, softmax_rows, softmax_again, softmax_grad, add,
};
