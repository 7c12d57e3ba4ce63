/* kernel_table.h - how a file of kernels announces what it has.
 *
 * Every file of kernels exports one table `cpu_<file>_kernels`, ended by a NULL op, and one line in
 * CPU_KERNEL_TABLES below. The tables are asked in that order and each table from its top, so a
 * fast kernel with conditions stands before a general one. The first prepare that succeeds wins; a
 * prepare that returns WISP_E_UNSUPPORTED passes the request on, and its reason is kept. */
#ifndef CPU_KERNEL_TABLE_H
#define CPU_KERNEL_TABLE_H

#include "wisp/backend.h"

struct cpu_device;

typedef struct cpu_kernel_entry {
    const char *op;
    wisp_status (*prepare)(struct cpu_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err);
} cpu_kernel_entry;

/* X(file): one line a file. */
#define CPU_KERNEL_TABLES(X)                                                                       \
    X(conv_tiles)                                                                                  \
    X(conv_tiles_weights)                                                                          \
    X(conv_few)                                                                                    \
    X(conv_small)                                                                                  \
    X(conv_amx)                                                                                    \
    X(conv)                                                                                        \
    X(linear_amx)                                                                                  \
    X(linear_act)                                                                                  \
    X(linear_few) X(linear) X(matmul) X(attention_amx) X(attention) X(conv_norm_amx) X(vector)

/* Asks the tables: for kernels that are made of others. */
wisp_status cpu_prepare(struct cpu_device *device, const wisp_kernel_request *request,
                        wisp_kernel **kernel, wisp_error *err);

#define CPU_DECLARE_TABLE(file) extern const cpu_kernel_entry cpu_##file##_kernels[];
CPU_KERNEL_TABLES(CPU_DECLARE_TABLE)
#undef CPU_DECLARE_TABLE

#endif
