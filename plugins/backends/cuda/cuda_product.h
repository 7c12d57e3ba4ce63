/* cuda_product.h - one product of matrices through cuBLASLt, in our order of elements.
 *
 *   d[b,m,n] = alpha * sum over k of a[b,m,k] * b[b,k,n]  (+ bias[n])
 *
 * cuBLASLt counts columns first: it is given the transposed product, d' = b' a'. */
#ifndef CUDA_PRODUCT_H
#define CUDA_PRODUCT_H

#include "cuda_device.h"

enum {
    CUDA_PRODUCT_ADD_BIAS = 1, /* bias, n values of d's type, is added to every row of d */
    CUDA_PRODUCT_SUM_A = 2     /* besides, sums of a over k, m values of d's type, are written */
};

typedef struct cuda_product_spec {
    int64_t batch, m, n, k;
    int32_t transpose_a, transpose_b; /* a is stored (k,m), b is stored (n,k) */
    int32_t in_dtype, out_dtype;
    int32_t vector; /* CUDA_PRODUCT_... or 0 */
    int32_t tf32;   /* factors in f32 may be rounded to TF32 */
    float alpha;
    uint32_t align_a, align_b, align_d; /* bytes that divide the addresses, at most 256 */
} cuda_product_spec;

typedef struct cuda_product {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulAlgo_t algo;
    size_t workspace_bytes; /* of scratch, aligned to 256 */
    float alpha;
} cuda_product;

/* Chooses the algorithm. WISP_E_UNSUPPORTED when cuBLASLt has none. `product` is zeroed before and
 * freed by the caller also after a failure. [main] */
wisp_status cuda_product_make(cuda_device *device, const cuda_product_spec *spec,
                              cuda_product *product, wisp_error *err);
void cuda_product_free(const cuda_device *device, cuda_product *product);

/* `vector` (aligned to 16 bytes) as the spec says, else NULL. [main] */
wisp_status cuda_product_run(const cuda_device *device, const cuda_product *product, const void *a,
                             const void *b, void *d, void *vector, void *workspace,
                             wisp_error *err);

#endif
