/* cuda_flash.h - attention as graphs of cuDNN. */
#ifndef CUDA_FLASH_H
#define CUDA_FLASH_H

#include "cuda_attention.h"
#include "cuda_graph.h"

/* Tensors by id. FLASH_SCALE is a float in host memory. */
enum {
    FLASH_Q = 1,
    FLASH_K,
    FLASH_V,
    FLASH_Y,
    FLASH_LSE,
    FLASH_SCALE,
    FLASH_ONE, /* 1, in host memory */
    FLASH_DY,
    FLASH_DQ,
    FLASH_DK,
    FLASH_DV,
    FLASH_SUMS,  /* f32 (batch, heads, queries): dy . y */
    FLASH_DQ_SUM /* f32 (batch, heads, queries, width), 0 before */
};

/* q k' -> scaled -> softmax by its parts -> times v, and the logarithm of the sums. */
void cuda_flash_forward(cuda_graph *graph, const cuda_attention *a);

/* The gradient from what the forward pass kept. Where `ordered`, dq comes out of its product;
 * otherwise it is summed in FLASH_DQ_SUM, in any order. */
void cuda_flash_backward(cuda_graph *graph, const cuda_attention *a, int32_t ordered);

#endif
