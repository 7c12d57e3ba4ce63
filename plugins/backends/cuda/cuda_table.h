/* cuda_table.h - how a file of kernels announces what it has.
 *
 * Every file of kernels exports one table `cuda_<file>_kernels`, ended by a NULL op, and one line
 * in CUDA_KERNEL_TABLES below. The tables are asked in that order and each table from its top, so a
 * fast kernel with conditions stands before a general one. The first prepare that succeeds wins; a
 * prepare that returns WISP_E_UNSUPPORTED passes the request on, and its reason is kept. */
#ifndef CUDA_TABLE_H
#define CUDA_TABLE_H

#include "wisp/backend.h"

struct cuda_device;

typedef struct cuda_kernel_entry {
    const char *op;
    wisp_status (*prepare)(struct cuda_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err);
} cuda_kernel_entry;

/* X(file): one line a file. */
#define CUDA_KERNEL_TABLES(X)                                                                      \
    X(copy)                                                                                        \
    X(depthwise)                                                                                   \
    X(views)                                                                                       \
    X(linear)                                                                                      \
    X(normed_linear)                                                                               \
    X(matmul)                                                                                      \
    X(unary)                                                                                       \
    X(binary)                                                                                      \
    X(cast)                                                                                        \
    X(draw)                                                                                        \
    X(reduce)                                                                                      \
    X(rows_move)                                                                                   \
    X(permute)                                                                                     \
    X(updates)                                                                                     \
    X(ring)                                                                                        \
    X(pooling)                                                                                     \
    X(gather)                                                                                      \
    X(top_k)                                                                                       \
    X(resize)                                                                                      \
    X(batch_norm)                                                                                  \
    X(channel)                                                                                     \
    X(softmax)                                                                                     \
    X(layer_norm)                                                                                  \
    X(length)                                                                                      \
    X(pair_entropy)                                                                                \
    X(conv_fused)                                                                                  \
    X(flash)                                                                                       \
    X(conv_norm)                                                                                   \
    X(conv)                                                                                        \
    X(attention)

/* Asks the tables: for kernels that are made of others. */
wisp_status cuda_prepare(struct cuda_device *device, const wisp_kernel_request *request,
                         wisp_kernel **kernel, wisp_error *err);

#define CUDA_DECLARE_TABLE(file) extern const cuda_kernel_entry cuda_##file##_kernels[];
CUDA_KERNEL_TABLES(CUDA_DECLARE_TABLE)
#undef CUDA_DECLARE_TABLE

#endif
