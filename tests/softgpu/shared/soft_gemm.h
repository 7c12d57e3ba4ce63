/* c[m][n] = a[m][k] * b[k][n], rows one after another, sums in float in the order of k. */
#ifndef WISP_SOFT_GEMM_H
#define WISP_SOFT_GEMM_H

#include <stdint.h>

void soft_gemm(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c);

#endif
