/* cpu_onednn.c - opens oneDNN for a device. */
#include "cpu_pack.h"

static int isa_covers(dnnl_cpu_isa_t isa, dnnl_cpu_isa_t part)
{
    return ((unsigned)isa & (unsigned)part) == (unsigned)part;
}

const char *cpu_onednn_isa_name(void)
{
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    if (isa_covers(isa, dnnl_cpu_isa_avx512_core_amx))
        return "AVX-512 with AMX";
    if (isa_covers(isa, dnnl_cpu_isa_avx512_core_bf16))
        return "AVX-512 with BF16";
    if (isa_covers(isa, dnnl_cpu_isa_avx512_core))
        return "AVX-512";
    if (isa_covers(isa, dnnl_cpu_isa_avx2))
        return "AVX2";
    return "baseline";
}

int32_t cpu_onednn_has_bf16(void)
{
    return isa_covers(dnnl_get_effective_cpu_isa(), dnnl_cpu_isa_avx512_core_bf16);
}

/* oneDNN names AMX only after the system has granted it to this process. */
int32_t cpu_onednn_has_amx(void)
{
    return isa_covers(dnnl_get_effective_cpu_isa(), dnnl_cpu_isa_avx512_core_amx);
}

wisp_status cpu_onednn_open(cpu_device *device, wisp_error *err)
{
    struct cpu_onednn *o = cpu_alloc(device, sizeof *o);
    if (!o)
        return wisp_fail(err, WISP_E_NOMEM, "backend cpu: no memory for oneDNN's engine");
    device->onednn = o;
    if (dnnl_engine_create(&o->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags) != dnnl_success)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "backend cpu: oneDNN gives no engine here");
    return WISP_OK;
}

void cpu_onednn_close(cpu_device *device)
{
    struct cpu_onednn *o = device->onednn;
    if (!o)
        return;
    cpu_packs_free(device);
    if (o->stream)
        dnnl_stream_destroy(o->stream);
    if (o->engine)
        dnnl_engine_destroy(o->engine);
    cpu_free(device, o);
    device->onednn = NULL;
}
