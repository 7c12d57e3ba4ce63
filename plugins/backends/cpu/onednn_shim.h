/* onednn_shim.h - the only file pair that knows which oneDNN it is compiled against.
 *
 * oneDNN 2.x makes a primitive from an operation descriptor, 3.x straight from its arguments, and
 * memory descriptors became opaque between them. Here both look the same: plain layouts go in, a
 * primitive with its memory objects comes out. */
#ifndef CPU_ONEDNN_SHIM_H
#define CPU_ONEDNN_SHIM_H

#include <dnnl.h>

#include "cpu_onednn.h"

/* A memory descriptor that somebody else owns. */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t cpu_md;
#else
typedef const dnnl_memory_desc_t *cpu_md;
#endif

enum { CPU_PACK_CHAINS = 256 };

struct cpu_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct cpu_pack *packs[CPU_PACK_CHAINS]; /* see cpu_pack.c */
    int64_t pack_tick;
};

enum { CPU_LAYOUT_RANK = 5 };

/* An argument as a kernel wants it. strides[0] == 0: oneDNN chooses the format. */
typedef struct cpu_layout {
    int32_t dtype, rank;
    int64_t dims[CPU_LAYOUT_RANK];
    int64_t strides[CPU_LAYOUT_RANK];
} cpu_layout;

/* Row-major dimensions. */
cpu_layout cpu_layout_plain(int32_t dtype, int32_t rank, const int64_t *dims);
/* oneDNN's (N,C,H,W) view of a map that lies as (N,H,W,C). */
cpu_layout cpu_layout_map(const wisp_desc *map);
/* The last two dimensions change places; the memory stays. */
cpu_layout cpu_layout_transposed(cpu_layout layout);
/* The same sizes in a format (and type) that oneDNN likes best. */
cpu_layout cpu_layout_any(cpu_layout layout, int32_t dtype);

/* Arguments by their part in the forward pass; a gradient primitive gives or takes the gradient of
 * the same part. */
enum { CPU_SRC, CPU_WEIGHTS, CPU_BIAS, CPU_DST, CPU_SCRATCH, CPU_N_ROLES };

enum { CPU_FORWARD, CPU_BACKWARD_DATA, CPU_BACKWARD_WEIGHTS };

/* Zero is a valid empty value. Not for two threads at once, but copies made by
 * cpu_primitive_share are. */
typedef struct cpu_primitive {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[CPU_N_ROLES];
    dnnl_exec_arg_t args[CPU_N_ROLES];
    int32_t slot[CPU_N_ROLES]; /* role -> position in args, -1: not an argument */
    int32_t n_args;
    size_t scratch_bytes;
} cpu_primitive;

typedef struct cpu_window {
    int64_t stride[2], pad[2], dilation[2]; /* dilation 1: dense */
} cpu_window;

/* `weights` has rank 5 when there are groups. `bias` may be NULL. A refusal is
 * dnnl_unimplemented; nothing is left behind. */
dnnl_status_t cpu_make_convolution(cpu_device *device, int32_t pass, const cpu_layout *src,
                                   const cpu_layout *weights, const cpu_layout *bias,
                                   const cpu_layout *dst, const cpu_window *window,
                                   cpu_primitive *made);
dnnl_status_t cpu_make_inner_product(cpu_device *device, int32_t pass, const cpu_layout *src,
                                     const cpu_layout *weights, const cpu_layout *dst,
                                     cpu_primitive *made);
/* dst = alpha * src * weights + bias. */
dnnl_status_t cpu_make_matmul(cpu_device *device, const cpu_layout *src, const cpu_layout *weights,
                              const cpu_layout *bias, const cpu_layout *dst, double alpha,
                              cpu_primitive *made);
/* dst += src * weights. */
dnnl_status_t cpu_make_matmul_add(cpu_device *device, const cpu_layout *src,
                                  const cpu_layout *weights, const cpu_layout *dst,
                                  cpu_primitive *made);
/* From CPU_SRC to CPU_DST. Exactly one of a layout and a descriptor is given for either end. */
dnnl_status_t cpu_make_reorder(cpu_device *device, const cpu_layout *from, cpu_md from_md,
                               const cpu_layout *to, cpu_md to_md, cpu_primitive *made);
/* The same, but adds to what is there. */
dnnl_status_t cpu_make_reorder_add(cpu_device *device, const cpu_layout *from, cpu_md from_md,
                                   const cpu_layout *to, cpu_primitive *made);
void cpu_primitive_destroy(cpu_primitive *p);

/* The descriptor of an argument; lives as long as the primitive. */
cpu_md cpu_primitive_md(const cpu_primitive *p, int32_t role);
/* "brgconv:avx512_core_amx_bf16" */
const char *cpu_primitive_info(const cpu_primitive *p);
int cpu_md_is(cpu_md md, const cpu_layout *layout);

/* Gives an argument its data, or replaces its memory object by one that lives elsewhere. */
void cpu_primitive_bind(cpu_primitive *p, int32_t role, void *data);
void cpu_primitive_bind_memory(cpu_primitive *p, int32_t role, dnnl_memory_t memory);
/* `scratch` has scratch_bytes. */
wisp_status cpu_primitive_run(cpu_device *device, cpu_primitive *p, void *scratch, wisp_error *err);
/* The same from inside a parallel region, for a primitive made by cpu_begin_single ..
 * cpu_end_single. */
wisp_status cpu_primitive_run_single(cpu_device *device, cpu_primitive *p, void *scratch,
                                     wisp_error *err);
/* What is made between these runs on one thread. */
void cpu_begin_single(cpu_device *device);
void cpu_end_single(cpu_device *device);

/* A second set of memory objects around the same code, for another thread. */
dnnl_status_t cpu_primitive_share(cpu_device *device, const cpu_primitive *from, cpu_primitive *to);

/* Turns a failed status into the backend's refusal (or lack of memory). */
wisp_status cpu_onednn_fail(const wisp_kernel_request *request, dnnl_status_t status,
                            const char *what, wisp_error *err);

#endif
