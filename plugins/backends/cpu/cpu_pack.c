/* cpu_pack.c - the device's cache of packed weights. */
#include "cpu_pack.h"

#include <string.h>

typedef struct cpu_pack {
    struct cpu_pack *next;
    const void *source; /* with uid: one storage may hold several tensors */
    uint64_t uid, version;
    int64_t last_use; /* in ticks of the device */
    void *data;
    dnnl_memory_t memory;
} cpu_pack;

/* A copy that nobody asked for in so many calls belongs to a tensor that is gone. Dropping one too
 * early costs a repack. */
static const int64_t ticks_until_dropped = 200000;

dnnl_status_t cpu_packer_create(cpu_device *device, const cpu_layout *from, cpu_md to,
                                cpu_packer *packer)
{
    memset(packer, 0, sizeof *packer);
    packer->to = to;
    packer->is_plain = cpu_md_is(to, from);
    if (packer->is_plain)
        return dnnl_success;
    packer->bytes = dnnl_memory_desc_get_size(to);
    dnnl_status_t status = cpu_make_reorder(device, from, NULL, NULL, to, &packer->reorder);
    packer->scratch_bytes = cpu_align64(packer->bytes) + cpu_align64(packer->reorder.scratch_bytes);
    return status;
}

dnnl_status_t cpu_packer_create_layout(cpu_device *device, const cpu_layout *from,
                                       const cpu_layout *to, cpu_packer *packer)
{
    memset(packer, 0, sizeof *packer);
    packer->is_plain = memcmp(from, to, sizeof *from) == 0;
    if (packer->is_plain)
        return dnnl_success;
    dnnl_status_t status = cpu_make_reorder(device, from, NULL, to, NULL, &packer->reorder);
    if (status != dnnl_success)
        return status;
    packer->by_data = 1;
    packer->to = cpu_primitive_md(&packer->reorder, CPU_DST);
    packer->bytes = dnnl_memory_desc_get_size(packer->to);
    packer->scratch_bytes = cpu_align64(packer->bytes) + cpu_align64(packer->reorder.scratch_bytes);
    return dnnl_success;
}

void cpu_packer_destroy(cpu_packer *packer)
{
    cpu_primitive_destroy(&packer->reorder);
}

static cpu_pack **chain_of(cpu_device *device, uint64_t uid)
{
    return &device->onednn->packs[uid % CPU_PACK_CHAINS];
}

static int pack_is(const cpu_pack *pack, const wisp_kernel_arg *weights, cpu_md to)
{
    if (pack->uid != weights->uid || pack->source != weights->data)
        return 0;
    cpu_md own;
    return dnnl_memory_get_memory_desc(pack->memory, &own) == dnnl_success &&
           dnnl_memory_desc_equal(own, to);
}

static void pack_free(cpu_device *device, cpu_pack *pack)
{
    if (pack->memory)
        dnnl_memory_destroy(pack->memory);
    cpu_free(device, pack->data);
    cpu_free(device, pack);
}

static void drop_unused(cpu_device *device)
{
    int64_t oldest = device->onednn->pack_tick - ticks_until_dropped;
    for (int i = 0; i < CPU_PACK_CHAINS; i++)
        for (cpu_pack **link = &device->onednn->packs[i]; *link;) {
            cpu_pack *pack = *link;
            if (pack->last_use >= oldest) {
                link = &pack->next;
                continue;
            }
            *link = pack->next;
            pack_free(device, pack);
        }
}

void cpu_packs_free(cpu_device *device)
{
    device->onednn->pack_tick = INT64_MAX;
    drop_unused(device);
}

static wisp_status pack_create(cpu_device *device, const cpu_packer *packer,
                               const wisp_kernel_arg *weights, cpu_pack **made, wisp_error *err)
{
    drop_unused(device);
    cpu_pack *pack = cpu_alloc(device, sizeof *pack);
    if (pack)
        pack->data = cpu_alloc(device, packer->bytes);
    if (!pack || !pack->data ||
        dnnl_memory_create(&pack->memory, packer->to, device->onednn->engine, pack->data) !=
            dnnl_success) {
        if (pack)
            pack_free(device, pack);
        return wisp_fail(err, WISP_E_NOMEM, "backend cpu: no memory for packed weights (%zu bytes)",
                         packer->bytes);
    }
    pack->uid = weights->uid;
    pack->source = weights->data;
    cpu_pack **chain = chain_of(device, weights->uid);
    pack->next = *chain;
    *chain = pack;
    *made = pack;
    return WISP_OK;
}

static wisp_status repack(cpu_device *device, cpu_packer *packer, const wisp_kernel_arg *weights,
                          void *scratch, wisp_error *err)
{
    cpu_primitive_bind(&packer->reorder, CPU_SRC, weights->data);
    return cpu_primitive_run(device, &packer->reorder, scratch, err);
}

/* The device's copy, made anew where the weights have changed. */
static wisp_status find_pack(cpu_device *device, cpu_packer *packer, const wisp_kernel_arg *weights,
                             void *scratch, cpu_pack **found, wisp_error *err)
{
    cpu_pack *pack = *chain_of(device, weights->uid);
    while (pack && !pack_is(pack, weights, packer->to))
        pack = pack->next;
    if (!pack)
        WISP_TRY(pack_create(device, packer, weights, &pack, err));
    pack->last_use = device->onednn->pack_tick++;
    if (pack->version != weights->version) {
        pack->version = 0; /* not valid, should the packing fail */
        cpu_primitive_bind_memory(&packer->reorder, CPU_DST, pack->memory);
        WISP_TRY(
            repack(device, packer, weights, (char *)scratch + cpu_align64(packer->bytes), err));
        pack->version = weights->version;
    }
    *found = pack;
    return WISP_OK;
}

wisp_status cpu_packer_data(cpu_device *device, cpu_packer *packer, const wisp_kernel_arg *weights,
                            void *scratch, void **data, wisp_error *err)
{
    if (packer->is_plain) {
        *data = weights->data;
        return WISP_OK;
    }
    if (weights->version != 0) {
        cpu_pack *pack;
        WISP_TRY(find_pack(device, packer, weights, scratch, &pack, err));
        *data = pack->data;
        return WISP_OK;
    }
    cpu_primitive_bind(&packer->reorder, CPU_DST, scratch);
    WISP_TRY(repack(device, packer, weights, (char *)scratch + cpu_align64(packer->bytes), err));
    *data = scratch;
    return WISP_OK;
}

wisp_status cpu_packer_bind(cpu_device *device, cpu_packer *packer, const wisp_kernel_arg *weights,
                            cpu_primitive *consumer, void *scratch, wisp_error *err)
{
    if (weights->version != 0 && !packer->is_plain && !packer->by_data) {
        cpu_pack *pack;
        WISP_TRY(find_pack(device, packer, weights, scratch, &pack, err));
        cpu_primitive_bind_memory(consumer, CPU_WEIGHTS, pack->memory);
        return WISP_OK;
    }
    void *data;
    WISP_TRY(cpu_packer_data(device, packer, weights, scratch, &data, err));
    cpu_primitive_bind(consumer, CPU_WEIGHTS, data);
    return WISP_OK;
}
