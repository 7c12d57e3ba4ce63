/* cpu_clip.c - norms of parameter segments, and gradients scaled down to a limit. */
#include <math.h>

#include "cpu_row_sums.h"
#include "cpu_segments.h"

typedef struct clip_state {
    cpu_plan plan;
    cpu_segments segments;
    wisp_clip_attrs attrs;
} clip_state;

static wisp_status begin(cpu_device *device, const wisp_kernel_request *request,
                         wisp_kernel **kernel, wisp_error *err)
{
    CPU_NEED(request->in[0]->dtype == WISP_F32, "needs f32");
    WISP_TRY(cpu_plan_create(device, sizeof(clip_state), NULL, kernel, err));
    clip_state *s = (*kernel)->state;
    s->segments = cpu_segments_of(wisp_desc_count(request->in[0]), -1, request->in[1]);
    (*kernel)->scratch_bytes = cpu_segments_bytes(&s->segments);
    return WISP_OK;
}

static void list(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const clip_state *s = call->state;
    cpu_segments_list(call, &s->segments, call->in[1].data);
}

static void measure(const cpu_call *call, int64_t first, int64_t last)
{
    int64_t n;
    cpu_block *block = cpu_segments_share(call, first, last, &n);
    for (int64_t i = 0; i < n; i++, block++) {
        const float *x = (const float *)call->in[0].data + block->offset;
        block->a = cpu_row_dot(x, x, block->count, WISP_F32, WISP_F32);
    }
}

static void finish(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const clip_state *s = call->state;
    int64_t *n_blocks;
    const cpu_block *block = cpu_segments_blocks(call, &n_blocks), *end = block + *n_blocks;
    float *norms = call->out[0].data;
    for (int64_t i = 0; i < s->segments.n; i++) {
        double sum = 0;
        for (; block < end && block->segment == i; block++)
            sum += block->a;
        norms[i] = (float)sqrt(sum);
    }
}

CPU_PREPARE(segment_norms)
{
    WISP_TRY(begin(device, request, kernel, err));
    const clip_state *s = (*kernel)->state;
    cpu_plan_add(*kernel, list, 1, 0.0);
    cpu_plan_add(*kernel, measure, CPU_SEGMENT_SHARES, 4.0 * (double)s->segments.store);
    cpu_plan_add(*kernel, finish, 1, 0.0);
    return WISP_OK;
}

/* One factor for every segment; 1 and more leave it alone. */
static void find_factors(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const clip_state *s = call->state;
    const int64_t *table = call->in[1].data;
    const float *norms = call->in[2].data;
    float *number = cpu_segments_numbers(call, &s->segments);
    double sum = 0;
    cpu_segments_list(call, &s->segments, table);
    for (int64_t i = 0; i < s->segments.n; i++)
        if (cpu_segment_count(&s->segments, table + 4 * i) > 0)
            sum += (double)norms[i] * (double)norms[i];
    for (int64_t i = 0; i < s->segments.n; i++) {
        const double norm = s->attrs.per_segment ? (double)norms[i] : sqrt(sum);
        number[4 * i] = (float)(s->attrs.limit / (norm + 1e-6));
    }
}

static void scale(const cpu_call *call, int64_t first, int64_t last)
{
    const clip_state *s = call->state;
    int64_t n;
    const cpu_block *block = cpu_segments_share(call, first, last, &n);
    const float *numbers = cpu_segments_numbers(call, &s->segments);
    for (int64_t b = 0; b < n; b++, block++) {
        float *grad = (float *)call->out[0].data + block->offset;
        const float factor = numbers[4 * block->segment];
        if (!(factor < 1.0f))
            continue;
        CPU_SIMD
        for (int64_t i = 0; i < block->count; i++)
            grad[i] *= factor;
    }
}

CPU_PREPARE(clip_segments)
{
    WISP_TRY(begin(device, request, kernel, err));
    clip_state *s = (*kernel)->state;
    memcpy(&s->attrs, request->attrs, sizeof s->attrs);
    cpu_plan_add(*kernel, find_factors, 1, 0.0);
    cpu_plan_add(*kernel, scale, CPU_SEGMENT_SHARES, 8.0 * (double)s->segments.store);
    return WISP_OK;
}
