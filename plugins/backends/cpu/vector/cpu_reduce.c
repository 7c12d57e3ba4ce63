/* cpu_reduce.c - sums, means and maxima over dimensions.
 *
 * Neighbouring dimensions of one fate are joined. What remains is nearly always (outer, reduced,
 * inner); that case runs in tiles of columns, or along rows when inner is 1, the reduced dimension
 * cut into chunks when there are too few results to keep the threads busy. Other patterns (kept and
 * reduced dimensions in alternation) take the general path, element by element. */
#include <math.h>

#include "cpu_row_sums.h"

enum { TILE = 512, FLUSH_ROWS = 64 };

typedef struct reduce_state {
    cpu_plan plan;
    int64_t outer, length, inner; /* x is (outer, length, inner) */
    int64_t chunks, tiles;
    double scale;
    int32_t is_max, reserved;
    /* the general path: joined dimensions, kept ones first */
    int32_t n_kept, n_reduced;
    int64_t size[WISP_MAX_RANK], stride[WISP_MAX_RANK];
    int64_t results;
} reduce_state;

/* Scratch: (outer, chunks, inner) partial results. */
static double *partial_of(const cpu_call *call, int64_t o, int64_t chunk)
{
    const reduce_state *s = call->state;
    return (double *)call->scratch + (o * s->chunks + chunk) * s->inner;
}

/* A NaN stays one. */
CPU_INLINE float larger(float v, float max)
{
    return ((v > max) | (v != v)) ? v : max;
}

CPU_INLINE double row_max(const void *x, int64_t n, const int type)
{
    float max = -INFINITY;
    int has_nan = 0;
    CPU_PRAGMA(omp simd reduction(max : max) reduction(| : has_nan))
    for (int64_t i = 0; i < n; i++) {
        const float v = cpu_load(x, i, type);
        max = v > max ? v : max;
        has_nan |= v != v;
    }
    return has_nan ? (double)NAN : (double)max;
}

CPU_INLINE void reduce_rows(const cpu_call *call, int64_t first, int64_t last, const int type,
                            const int is_max)
{
    const reduce_state *s = call->state;
    for (int64_t u = first; u < last; u++) {
        const int64_t o = u / s->chunks, chunk = u % s->chunks;
        const int64_t begin = cpu_cut(s->length, s->chunks, chunk);
        const int64_t end = cpu_cut(s->length, s->chunks, chunk + 1);
        const void *x = cpu_at_const(call->in[0].data, o * s->length + begin, type);
        *partial_of(call, o, chunk) =
            is_max ? row_max(x, end - begin, type) : cpu_row_sum(x, end - begin, type);
    }
}

/* Columns c .. c+n-1 of some rows into `result`. */
CPU_INLINE void reduce_tile(const void *x, int64_t rows, int64_t pitch, int64_t n,
                            double *restrict result, const int type, const int is_max)
{
    float tile[TILE];
    for (int64_t i = 0; i < n; i++)
        result[i] = is_max ? (double)-INFINITY : 0.0;
    for (int64_t r = 0; r < rows; r += FLUSH_ROWS) {
        const int64_t end = cpu_min(r + FLUSH_ROWS, rows);
        for (int64_t i = 0; i < n; i++)
            tile[i] = is_max ? -INFINITY : 0.0f;
        for (int64_t k = r; k < end; k++) {
            const void *row = cpu_at_const(x, k * pitch, type);
            CPU_SIMD
            for (int64_t i = 0; i < n; i++) {
                const float v = cpu_load(row, i, type);
                tile[i] = is_max ? larger(v, tile[i]) : tile[i] + v;
            }
        }
        CPU_SIMD
        for (int64_t i = 0; i < n; i++) {
            const double v = (double)tile[i];
            if (is_max)
                result[i] = ((v > result[i]) | (v != v)) ? v : result[i];
            else
                result[i] += v;
        }
    }
}

CPU_INLINE void reduce_columns(const cpu_call *call, int64_t first, int64_t last, const int type,
                               const int is_max)
{
    const reduce_state *s = call->state;
    for (int64_t u = first; u < last; u++) {
        const int64_t c = u % s->tiles * TILE, chunk = u / s->tiles % s->chunks;
        const int64_t o = u / s->tiles / s->chunks;
        const int64_t begin = cpu_cut(s->length, s->chunks, chunk);
        const int64_t end = cpu_cut(s->length, s->chunks, chunk + 1);
        const void *x =
            cpu_at_const(call->in[0].data, (o * s->length + begin) * s->inner + c, type);
        reduce_tile(x, end - begin, s->inner, cpu_min(TILE, s->inner - c),
                    partial_of(call, o, chunk) + c, type, is_max);
    }
}

CPU_INLINE void finish(const cpu_call *call, int64_t first, int64_t last, const int out_type)
{
    const reduce_state *s = call->state;
    for (int64_t i = first; i < last; i++) {
        const double *part = partial_of(call, i / s->inner, 0) + i % s->inner;
        double result = part[0];
        for (int64_t k = 1; k < s->chunks; k++) {
            const double v = part[k * s->inner];
            if (s->is_max)
                result = ((v > result) | (v != v)) ? v : result;
            else
                result += v;
        }
        cpu_store(call->out[0].data, i, (float)(result * s->scale), out_type);
    }
}
CPU_TYPED(finish)

/* --- The general path --- */

/* Offset in x of item `index` of dimensions from .. from+n-1 (as they stand in the state). */
static int64_t offset_of(const reduce_state *s, int32_t from, int32_t n, int64_t index)
{
    int64_t offset = 0;
    for (int32_t d = from + n - 1; d >= from; d--) {
        offset += index % s->size[d] * s->stride[d];
        index /= s->size[d];
    }
    return offset;
}

CPU_INLINE void reduce_any(const cpu_call *call, int64_t first, int64_t last, const int type,
                           const int out_type)
{
    const reduce_state *s = call->state;
    for (int64_t i = first; i < last; i++) {
        const void *x = cpu_at_const(call->in[0].data, offset_of(s, 0, s->n_kept, i), type);
        double sum = 0, max = (double)-INFINITY;
        for (int64_t r = 0; r < s->length; r++) {
            const double v = (double)cpu_load(x, offset_of(s, s->n_kept, s->n_reduced, r), type);
            sum += v;
            max = ((v > max) | (v != v)) ? v : max;
        }
        cpu_store(call->out[0].data, i, (float)(s->is_max ? max : sum * s->scale), out_type);
    }
}
CPU_TYPED2(reduce_any)

/* dx = dy where the first of the largest elements was, else 0. */
CPU_INLINE void return_max(const cpu_call *call, int64_t first, int64_t last, const int type,
                           const int dy_type)
{
    const reduce_state *s = call->state;
    for (int64_t i = first; i < last; i++) {
        const int64_t base = offset_of(s, 0, s->n_kept, i);
        const void *x = cpu_at_const(call->in[1].data, base, type);
        void *dx = cpu_at(call->out[0].data, base, type);
        int64_t best = 0;
        for (int64_t r = 0; r < s->length; r++) {
            const int64_t at = offset_of(s, s->n_kept, s->n_reduced, r);
            if (cpu_load(x, at, type) > cpu_load(x, best, type))
                best = at;
            cpu_store(dx, at, 0.0f, type);
        }
        cpu_store(dx, best, cpu_load(call->in[0].data, i, dy_type), type);
    }
}
CPU_TYPED2(return_max)

/* --- Plans --- */

#define DEFINE_REDUCE(name, body, is_max)                                                          \
    CPU_INLINE void name(const cpu_call *call, int64_t first, int64_t last, const int type)        \
    {                                                                                              \
        body(call, first, last, type, is_max);                                                     \
    }                                                                                              \
    CPU_TYPED(name)
DEFINE_REDUCE(sum_rows, reduce_rows, 0)
DEFINE_REDUCE(sum_columns, reduce_columns, 0)
DEFINE_REDUCE(max_rows, reduce_rows, 1)
DEFINE_REDUCE(max_columns, reduce_columns, 1)

/* Takes over the dimensions of one fate, joining neighbours; returns how many remain. */
static int32_t take_dimensions(reduce_state *s, const wisp_desc *x, uint32_t axes, int reduced,
                               int32_t from)
{
    int32_t n = 0;
    int64_t stride = 1, strides[WISP_MAX_RANK];
    for (int32_t d = x->rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= x->shape[d];
    }
    for (int32_t d = 0; d < x->rank; d++) {
        if ((int)(axes >> d & 1) != reduced || x->shape[d] == 1)
            continue;
        int32_t at = from + n - 1;
        if (n && s->stride[at] == strides[d] * x->shape[d]) {
            s->size[at] *= x->shape[d];
            s->stride[at] = strides[d];
            continue;
        }
        s->size[++at] = x->shape[d];
        s->stride[at] = strides[d];
        n++;
    }
    return n;
}

static int64_t product(const int64_t *size, int32_t n)
{
    int64_t count = 1;
    for (int32_t i = 0; i < n; i++)
        count *= size[i];
    return count;
}

/* 1 when x is (outer, length, inner). */
static int shape_up(reduce_state *s, const wisp_desc *x, uint32_t axes)
{
    s->n_kept = take_dimensions(s, x, axes, 0, 0);
    s->n_reduced = take_dimensions(s, x, axes, 1, s->n_kept);
    s->results = product(s->size, s->n_kept);
    s->length = product(s->size + s->n_kept, s->n_reduced);
    s->chunks = s->tiles = 1;
    if (s->n_reduced == 0) { /* nothing but dimensions of 1: copies */
        s->outer = 1;
        s->inner = s->results;
        return 1;
    }
    s->inner = s->stride[s->n_kept];
    s->outer = s->inner ? s->results / s->inner : 0;
    if (s->n_reduced > 1 || s->n_kept > 2)
        return 0;
    /* Kept dimensions lie before or behind the reduced one. */
    return s->n_kept < 2 || s->stride[1] == 1;
}

static void cut_work(reduce_state *s)
{
    s->tiles = s->inner > 1 ? cpu_ceil_div(s->inner, TILE) : 1;
    const int64_t width = s->inner > 1 ? cpu_min(s->inner, TILE) : 1;
    if (s->outer * s->tiles < 64)
        s->chunks = cpu_max(1, cpu_min(s->length * width / 16384, 64));
    s->chunks = cpu_max(1, cpu_min(s->chunks, s->length));
}

static wisp_status check(const wisp_kernel_request *request, const wisp_desc *x, const wisp_desc *y,
                         wisp_error *err)
{
    CPU_NEED(cpu_is_float(x) && cpu_is_float(y), "needs f32 or bf16");
    return WISP_OK;
}

CPU_PREPARE(reduce)
{
    const wisp_reduce_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *y = request->out[0];
    WISP_TRY(check(request, x, y, err));
    WISP_TRY(cpu_plan_create(device, sizeof(reduce_state), NULL, kernel, err));
    reduce_state *s = (*kernel)->state;
    const int simple = shape_up(s, x, attrs->axes);
    const double bytes = (double)wisp_desc_bytes(x);
    s->is_max = attrs->kind == WISP_REDUCE_MAX;
    s->scale = attrs->kind == WISP_REDUCE_MEAN ? 1.0 / (double)cpu_max(1, s->length) : 1.0;
    if (!simple || wisp_desc_count(x) == 0) {
        cpu_plan_add(*kernel, CPU_PICK2(reduce_any, x->dtype, y->dtype), s->results, 8.0 * bytes);
        return WISP_OK;
    }
    cut_work(s);
    (*kernel)->scratch_bytes = (size_t)(s->outer * s->chunks * s->inner) * sizeof(double);
    cpu_body body;
    if (s->inner == 1)
        body = s->is_max ? CPU_PICK(max_rows, x->dtype) : CPU_PICK(sum_rows, x->dtype);
    else
        body = s->is_max ? CPU_PICK(max_columns, x->dtype) : CPU_PICK(sum_columns, x->dtype);
    cpu_plan_add(*kernel, body, s->outer * s->chunks * s->tiles, bytes);
    cpu_plan_add(*kernel, CPU_PICK(finish, y->dtype), s->results,
                 8.0 * (double)(s->results * s->chunks));
    return WISP_OK;
}

CPU_PREPARE(reduce_max_grad)
{
    const wisp_reduce_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[0], *x = request->in[1];
    WISP_TRY(check(request, x, dy, err));
    WISP_TRY(cpu_plan_create(device, sizeof(reduce_state), NULL, kernel, err));
    reduce_state *s = (*kernel)->state;
    shape_up(s, x, attrs->axes);
    if (wisp_desc_count(x) > 0)
        cpu_plan_add(*kernel, CPU_PICK2(return_max, x->dtype, dy->dtype), s->results,
                     4.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}
