/* cpu_gather.c - rows by index, of a table or of every sample's tokens, and the sums back.
 *
 * gather_rows is gather_tokens for one sample. An index that names no row gives NaN (0 in integer
 * tensors) and receives no gradient. The gradient first lists, for every row of x, the places that
 * took it, in their order; then each row of dx is summed by one thread and written once. */
#include "cpu_vector.h"

typedef struct gather_state {
    cpu_plan plan;
    int64_t samples, rows, taken; /* B, T, M */
    int64_t width;                /* elements of a row */
    int64_t bytes;                /* of a row */
    int32_t dtype, reserved;
} gather_state;

enum { TILE = 512 };

static void fill_missing(char *y, const gather_state *s)
{
    if (s->dtype == WISP_F32) {
        for (int64_t i = 0; i < s->width; i++)
            cpu_store(y, i, cpu_float_of_bits(0x7fc00000u), WISP_F32);
    } else if (s->dtype == WISP_BF16) {
        for (int64_t i = 0; i < s->width; i++)
            ((uint16_t *)y)[i] = 0x7fc0u;
    } else {
        memset(y, 0, (size_t)s->bytes);
    }
}

static void gather(const cpu_call *call, int64_t first, int64_t last)
{
    const gather_state *s = call->state;
    const char *x = call->in[0].data;
    const int64_t *index = call->in[1].data;
    char *y = call->out[0].data;
    for (int64_t u = first; u < last; u++) {
        const int64_t t = index[u], sample = u / s->taken;
        if (t >= 0 && t < s->rows)
            memcpy(y + u * s->bytes, x + (sample * s->rows + t) * s->bytes, (size_t)s->bytes);
        else
            fill_missing(y + u * s->bytes, s);
    }
}

static wisp_status prepare_gather(cpu_device *device, const wisp_kernel_request *request,
                                  int32_t batch, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *x = request->in[0], *index = request->in[1];
    WISP_TRY(cpu_plan_create(device, sizeof(gather_state), NULL, kernel, err));
    gather_state *s = (*kernel)->state;
    s->samples = batch ? x->shape[0] : 1;
    s->rows = x->shape[batch];
    s->taken = index->shape[batch];
    s->dtype = x->dtype;
    s->width = 1;
    for (int32_t d = batch + 1; d < x->rank; d++)
        s->width *= x->shape[d];
    s->bytes = s->width * wisp_dtype_bytes(x->dtype);
    const int64_t units = s->samples * s->taken;
    cpu_plan_add(*kernel, gather, units, 2.0 * (double)(units * s->bytes));
    return WISP_OK;
}

CPU_PREPARE(gather_rows)
{
    return prepare_gather(device, request, 0, kernel, err);
}

CPU_PREPARE(gather_tokens)
{
    return prepare_gather(device, request, 1, kernel, err);
}

/* Scratch: for every sample the first place of each row (T), and each place's next one (M); -1
 * ends a list. */
static int64_t *lists_of(const cpu_call *call, int64_t sample)
{
    const gather_state *s = call->state;
    return (int64_t *)call->scratch + sample * (s->rows + s->taken);
}

static void list_places(const cpu_call *call, int64_t first, int64_t last)
{
    const gather_state *s = call->state;
    for (int64_t b = first; b < last; b++) {
        int64_t *head = lists_of(call, b), *next = head + s->rows;
        const int64_t *index = (const int64_t *)call->in[1].data + b * s->taken;
        for (int64_t t = 0; t < s->rows; t++)
            head[t] = -1;
        for (int64_t m = s->taken - 1; m >= 0; m--) {
            if (index[m] < 0 || index[m] >= s->rows)
                continue;
            next[m] = head[index[m]];
            head[index[m]] = m;
        }
    }
}

CPU_INLINE void sum_places(const gather_state *s, const char *dy, int64_t place,
                           const int64_t *next, void *dx, const int type)
{
    float sum[TILE];
    for (int64_t c = 0; c < s->width; c += TILE) {
        const int64_t n = cpu_min(TILE, s->width - c);
        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int64_t m = place; m >= 0; m = next[m]) {
            const void *row = cpu_at_const(dy + m * s->bytes, c, type);
            CPU_SIMD
            for (int64_t i = 0; i < n; i++)
                sum[i] += cpu_load(row, i, type);
        }
        void *to = cpu_at(dx, c, type);
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            cpu_store(to, i, sum[i], type);
    }
}

CPU_INLINE void sum_rows(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const gather_state *s = call->state;
    for (int64_t u = first; u < last; u++) {
        const int64_t sample = u / s->rows;
        const int64_t *head = lists_of(call, sample), *next = head + s->rows;
        const char *dy = (const char *)call->in[0].data + sample * s->taken * s->bytes;
        char *dx = (char *)call->out[0].data + u * s->bytes;
        const int64_t place = head[u % s->rows];
        if (place < 0)
            memset(dx, 0, (size_t)s->bytes);
        else if (next[place] < 0)
            memcpy(dx, dy + place * s->bytes, (size_t)s->bytes);
        else
            sum_places(s, dy, place, next, dx, type);
    }
}
CPU_TYPED(sum_rows)

static wisp_status prepare_scatter(cpu_device *device, const wisp_kernel_request *request,
                                   int32_t batch, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *dx = request->out[0], *index = request->in[1];
    CPU_NEED(cpu_is_float(dx) && request->in[0]->dtype == dx->dtype, "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(gather_state), NULL, kernel, err));
    gather_state *s = (*kernel)->state;
    s->samples = batch ? dx->shape[0] : 1;
    s->rows = dx->shape[batch];
    s->taken = index->shape[batch];
    s->dtype = dx->dtype;
    s->width = 1;
    for (int32_t d = batch + 1; d < dx->rank; d++)
        s->width *= dx->shape[d];
    s->bytes = s->width * wisp_dtype_bytes(dx->dtype);
    const int64_t entries = s->samples * (s->rows + s->taken);
    (*kernel)->scratch_bytes = (size_t)entries * sizeof(int64_t);
    cpu_plan_add(*kernel, list_places, s->samples, 8.0 * (double)entries);
    cpu_plan_add(*kernel, CPU_PICK(sum_rows, dx->dtype), s->samples * s->rows,
                 2.0 * (double)wisp_desc_bytes(dx));
    return WISP_OK;
}

CPU_PREPARE(gather_rows_grad)
{
    return prepare_scatter(device, request, 0, kernel, err);
}

CPU_PREPARE(gather_tokens_grad)
{
    return prepare_scatter(device, request, 1, kernel, err);
}
