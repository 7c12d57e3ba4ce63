/* cuda_attention.h - what a request for attention is, whichever of its four operations. */
#ifndef CUDA_ATTENTION_H
#define CUDA_ATTENTION_H

#include "cuda_device.h"
#include "wisp/kernels.h"

/* Tokens of q, k, v and of their gradients lie `stride` elements apart; in a joint tensor k and v
 * begin `part` and 2 * `part` elements behind q, else `part` is 0 and they are arguments of their
 * own. */
typedef struct cuda_attention {
    int64_t batch, n_queries, n_keys, stride, y_stride, part;
    int32_t heads, width, dtype;
    float scale;
    uint32_t alignment; /* of every address, at most 16 */
} cuda_attention;

/* Where everything is in a call. */
typedef struct cuda_attention_memory {
    const void *q, *k, *v, *y, *dy;
    void *out, *dq, *dk, *dv;
    float *lse;
} cuda_attention_memory;

cuda_attention cuda_attention_of(const wisp_kernel_request *request);
cuda_attention_memory cuda_attention_find(const cuda_attention *a, int32_t is_gradient,
                                          const wisp_kernel_arg *in, const wisp_kernel_arg *out);

#endif
