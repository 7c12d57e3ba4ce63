/* cpu_uniform.c - random numbers in [0, 1); every backend draws the same bits. */
#include "wisp/rng.h"

#include "cpu_vector.h"

typedef struct uniform_state {
    cpu_plan plan;
    int64_t count, stream;
} uniform_state;

static void draw(const cpu_call *call, int64_t first, int64_t last)
{
    const uniform_state *s = call->state;
    const uint64_t stream = (uint64_t)s->stream;
    const int64_t end = cpu_min(last * CPU_BLOCK, s->count);
    float *y = call->out[0].data;
    wisp_rng_key key;
    memcpy(key.k, call->in[0].data, sizeof key.k);
    for (int64_t i = first * CPU_BLOCK; i < end; i++) {
        const uint32_t counter[4] = {(uint32_t)(uint64_t)i, (uint32_t)((uint64_t)i >> 32),
                                     (uint32_t)stream, (uint32_t)(stream >> 32)};
        uint32_t block[4];
        wisp_philox(counter, key, block);
        y[i] = (float)(block[0] >> 8) * (1.0f / 16777216.0f);
    }
}

CPU_PREPARE(uniform)
{
    const wisp_uniform_attrs *attrs = request->attrs;
    WISP_TRY(cpu_plan_create(device, sizeof(uniform_state), NULL, kernel, err));
    uniform_state *s = (*kernel)->state;
    s->count = attrs->count;
    s->stream = attrs->stream;
    cpu_plan_add(*kernel, draw, cpu_blocks(s->count), 100.0 * (double)s->count);
    return WISP_OK;
}
