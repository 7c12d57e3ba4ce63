/* cpu_drop_path.c - drops a residual branch for whole samples; every backend draws the same bits.
 */
#include "wisp/rng.h"

#include "cpu_vector.h"

typedef struct drop_state {
    cpu_plan plan;
    int64_t samples, width, count;
    double p;
    int64_t stream;
    int32_t is_gradient, reserved;
} drop_state;

static void draw(const cpu_call *call, int64_t first, int64_t last)
{
    const drop_state *s = call->state;
    wisp_rng_key key;
    memcpy(key.k, call->in[1].data, sizeof key.k);
    float *keep = call->out[1].data;
    const uint64_t stream = (uint64_t)s->stream;
    for (int64_t n = first; n < last; n++) {
        const uint32_t counter[4] = {(uint32_t)(uint64_t)n, (uint32_t)((uint64_t)n >> 32),
                                     (uint32_t)stream, (uint32_t)(stream >> 32)};
        uint32_t block[4];
        wisp_philox(counter, key, block);
        const double u = (double)(block[0] >> 8) * (1.0 / 16777216.0);
        keep[n] = u < s->p ? 0.0f : (float)(1.0 / (1.0 - s->p));
    }
}

CPU_INLINE void scale_samples(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const drop_state *s = call->state;
    const float *keep = s->is_gradient ? call->in[1].data : call->out[1].data;
    const void *x = call->in[0].data;
    void *y = call->out[0].data;
    const int64_t end = cpu_min(last * CPU_BLOCK, s->count);
    for (int64_t at = first * CPU_BLOCK, next; at < end; at = next) {
        const int64_t sample = at / s->width;
        const float factor = keep[sample];
        next = cpu_min(end, (sample + 1) * s->width);
        CPU_SIMD
        for (int64_t i = at; i < next; i++)
            cpu_store(y, i, factor * cpu_load(x, i, type), type);
    }
}
CPU_TYPED(scale_samples)

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request,
                         wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *x = request->in[0];
    CPU_NEED(cpu_is_float(x) && request->out[0]->dtype == x->dtype, "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(drop_state), NULL, kernel, err));
    drop_state *s = (*kernel)->state;
    s->samples = x->shape[0];
    s->count = wisp_desc_count(x);
    s->width = s->samples ? s->count / s->samples : 0;
    return WISP_OK;
}

CPU_PREPARE(drop_path)
{
    const wisp_drop_path_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0];
    WISP_TRY(begin(device, request, kernel, err));
    drop_state *s = (*kernel)->state;
    s->p = attrs->p;
    s->stream = attrs->stream;
    cpu_plan_add(*kernel, draw, s->samples, 100.0 * (double)s->samples);
    cpu_plan_add(*kernel, CPU_PICK(scale_samples, x->dtype), cpu_blocks(s->count),
                 2.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}

CPU_PREPARE(drop_path_grad)
{
    const wisp_desc *dy = request->in[0];
    WISP_TRY(begin(device, request, kernel, err));
    drop_state *s = (*kernel)->state;
    s->is_gradient = 1;
    cpu_plan_add(*kernel, CPU_PICK(scale_samples, dy->dtype), cpu_blocks(s->count),
                 2.0 * (double)wisp_desc_bytes(dy));
    return WISP_OK;
}
