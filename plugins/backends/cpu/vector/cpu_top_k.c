/* cpu_top_k.c - the k largest of each row, largest first; of equal ones the lower index first.
 *
 * Most blocks of a long row hold nothing that is larger than the k-th found so far: one comparison
 * with the block's maximum passes them by. */
#include <math.h>

#include "cpu_vector.h"

enum { BLOCK = 256, GROUP = 16 };

typedef struct top_state {
    cpu_plan plan;
    int64_t n, k;
} top_state;

/* Puts v behind those that are not smaller; the list never grows beyond k. */
static int64_t insert(float *values, int64_t *index, int64_t found, int64_t k, float v, int64_t i)
{
    int64_t at = found, low = 0;
    if (found && !(values[found - 1] < v))
        low = found;
    while (low < at) {
        const int64_t middle = low + (at - low) / 2;
        if (values[middle] < v)
            at = middle;
        else
            low = middle + 1;
    }
    if (at == k)
        return found;
    found += found < k;
    memmove(values + at + 1, values + at, (size_t)(found - 1 - at) * sizeof *values);
    memmove(index + at + 1, index + at, (size_t)(found - 1 - at) * sizeof *index);
    values[at] = v;
    index[at] = i;
    return found;
}

CPU_INLINE float block_max(const void *x, int64_t n, const int type)
{
    float max = -INFINITY;
    CPU_SIMD_MAX(max)
    for (int64_t i = 0; i < n; i++) {
        const float v = cpu_load(x, i, type);
        max = v > max ? v : max;
    }
    return max;
}

/* The state of one row. */
typedef struct found_list {
    float *values;
    int64_t *index;
    int64_t n, k;
} found_list;

/* Offers elements first .. last-1 of a row, by groups of which most hold nothing new either. */
CPU_INLINE void offer(found_list *found, const void *x, int64_t first, int64_t last, const int type)
{
    for (int64_t at = first; at < last; at += GROUP) {
        const int64_t end = cpu_min(at + GROUP, last);
        if (found->n == found->k && end - at == GROUP &&
            !(block_max(cpu_at_const(x, at, type), GROUP, type) > found->values[found->k - 1]))
            continue;
        for (int64_t i = at; i < end; i++)
            found->n =
                insert(found->values, found->index, found->n, found->k, cpu_load(x, i, type), i);
    }
}

CPU_INLINE void top_rows(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const top_state *s = call->state;
    for (int64_t r = first; r < last; r++) {
        const void *x = cpu_at_const(call->in[0].data, r * s->n, type);
        void *out = cpu_at(call->out[0].data, r * s->k, type);
        found_list found = {(float *)call->scratch + r * s->k,
                            (int64_t *)call->out[1].data + r * s->k, 0, s->k};
        for (int64_t at = 0; at < s->n; at += BLOCK) {
            const int64_t end = cpu_min(at + BLOCK, s->n);
            const float max = block_max(cpu_at_const(x, at, type), end - at, type);
            if (found.n < s->k || max > found.values[s->k - 1])
                offer(&found, x, at, end, type);
        }
        for (int64_t i = 0; i < s->k; i++)
            cpu_store(out, i, found.values[i], type);
    }
}
CPU_TYPED(top_rows)

CPU_PREPARE(top_k)
{
    const wisp_top_k_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0];
    CPU_NEED(cpu_is_float(x), "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(top_state), NULL, kernel, err));
    top_state *s = (*kernel)->state;
    s->n = x->shape[1];
    s->k = attrs->k;
    (*kernel)->scratch_bytes = (size_t)(x->shape[0] * s->k) * sizeof(float);
    cpu_plan_add(*kernel, CPU_PICK(top_rows, x->dtype), x->shape[0],
                 2.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}
