/* cpu_pack.h - weights in the format and type that a primitive likes best.
 *
 * A packed copy belongs to the device and is shared by all its kernels that want the same storage
 * in the same format. It is made again only when the weights' version has changed; values without
 * a version are packed into the kernel's scratch in each call. */
#ifndef CPU_PACK_H
#define CPU_PACK_H

#include "onednn_shim.h"

typedef struct cpu_packer {
    cpu_primitive reorder;
    cpu_md to;            /* the consumer's descriptor: lives as long as the consumer */
    int32_t is_plain;     /* the consumer takes the weights as they are */
    int32_t by_data;      /* `to` has another shape than the consumer's view of the same bytes */
    size_t bytes;         /* one packed copy */
    size_t scratch_bytes; /* book this much, and hand it to bind or data */
} cpu_packer;

/* `from` describes the weights as the host stores them; `to` is what the consumer asks for. */
dnnl_status_t cpu_packer_create(cpu_device *device, const cpu_layout *from, cpu_md to,
                                cpu_packer *packer);
/* The copy lies as the caller says, for consumers that see it in several ways: as it is and
 * transposed, or in parts. */
dnnl_status_t cpu_packer_create_layout(cpu_device *device, const cpu_layout *from,
                                       const cpu_layout *to, cpu_packer *packer);
void cpu_packer_destroy(cpu_packer *packer);

/* Gives the consumer its weights. */
wisp_status cpu_packer_bind(cpu_device *device, cpu_packer *packer, const wisp_kernel_arg *weights,
                            cpu_primitive *consumer, void *scratch, wisp_error *err);

/* The address of the packed weights, for consumers that take parts of them. */
wisp_status cpu_packer_data(cpu_device *device, cpu_packer *packer, const wisp_kernel_arg *weights,
                            void *scratch, void **data, wisp_error *err);

/* Frees all packed copies of the device. */
void cpu_packs_free(cpu_device *device);

#endif
