/* The matrix product of the software device's libraries: tiles of four rows and eight columns whose
 * sums stay in registers. */
#include "soft_gemm.h"

enum { ROWS = 4, COLUMNS = 8 };

static void tile(int64_t n, int64_t k, const float *restrict a, const float *restrict b,
                 float *restrict c)
{
    float sum[ROWS][COLUMNS] = {{0}};
    for (int64_t p = 0; p < k; p++)
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < COLUMNS; j++)
                sum[r][j] += a[r * k + p] * b[p * n + j];
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < COLUMNS; j++)
            c[r * n + j] = sum[r][j];
}

static void edge(int64_t rows, int64_t columns, int64_t n, int64_t k, const float *restrict a,
                 const float *restrict b, float *restrict c)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < columns; j++)
            c[r * n + j] = 0;
        for (int64_t p = 0; p < k; p++)
            for (int64_t j = 0; j < columns; j++)
                c[r * n + j] += a[r * k + p] * b[p * n + j];
    }
}

void soft_gemm(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c)
{
    for (int64_t i = 0; i < m; i += ROWS) {
        int64_t rows = m - i < ROWS ? m - i : ROWS;
        int64_t j = 0;
        for (; rows == ROWS && j + COLUMNS <= n; j += COLUMNS)
            tile(n, k, a + i * k, b + j, c + i * n + j);
        if (j < n)
            edge(rows, n - j, n, k, a + i * k, b + j, c + i * n + j);
    }
}
