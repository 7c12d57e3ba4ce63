/* cpu_conv_norm_depth.c - conv_norm with depthwise windows of 3x3 pixels.
 *
 * Rows of a map pass through a ring of three in the nearer caches, widened to f32, activated and
 * with a border of zeros. The forward pass reads rows of x so, the gradient rows of dy: it walks
 * over the rows of x and finds everything that a row of x needs, and everything that it adds to dw,
 * in the three rows of dy around it. Chunks of rows have sums of their own, and their number is
 * given by the shapes, so results do not depend on the number of threads. */
#include <omp.h>

#include "cpu_conv_norm.h"
#include "cpu_moments.h"
#include "cpu_stream.h"

enum { TAPS = 9, RING = 3, MAX_CHUNKS = 64, MIN_CHUNK_ROWS = 8, CLOSE_PIXELS = 128 };

typedef struct depth_state {
    cpu_plan plan;
    int64_t n, h, w, ho, wo, c, stride;
    int64_t wide; /* channels, rounded up to whole vectors */
    int64_t line; /* floats of a row in the ring */
    int64_t rows; /* to walk over: of y forward, of x backward; of all images */
    int64_t chunks, fold;
    int64_t reach_at, chunk_at, chunk_bytes, sums_bytes; /* in scratch; weights are at 0 */
    int64_t thread_at, thread_bytes, copy_at, out_at;    /* after the ring of a thread */
    int32_t type, activation, has_y, wants_x, wants_w, wants_stats;
} depth_state;

/* Three rows in f32 and one of zeros. */
typedef struct ring {
    float *rows[RING + 1];
    int64_t held[RING]; /* which rows they are, -1: none */
} ring;

/* --- Plan --- */

static int64_t floats_bytes(int64_t n)
{
    return (int64_t)cpu_align64((size_t)n * sizeof(float));
}

static void plan_sizes(depth_state *s, const wisp_kernel_request *request, int32_t x_at,
                       const wisp_desc *y)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[x_at];
    s->activation = attrs->activation;
    s->stride = attrs->conv.stride_h;
    s->type = x->dtype;
    s->n = x->shape[0], s->h = x->shape[1], s->w = x->shape[2], s->c = x->shape[3];
    s->ho = y->shape[1], s->wo = y->shape[2];
    s->wide = cpu_ceil_div(s->c, CPU_LANES) * CPU_LANES;
    s->fold = cpu_moments_fold(s->c);
}

/* `width`: pixels of a row in the ring. */
static void plan_rows(depth_state *s, int64_t rows, int64_t width)
{
    s->rows = s->n * rows;
    s->line = (width + 2) * s->wide;
    s->chunks = cpu_max(1, cpu_min(s->rows / MIN_CHUNK_ROWS, MAX_CHUNKS));
}

static ring begin_ring(const cpu_call *call)
{
    const depth_state *s = call->state;
    char *part = call->scratch + s->thread_at + omp_get_thread_num() * s->thread_bytes;
    ring r;
    memset(part, 0, (size_t)s->copy_at);
    for (int i = 0; i <= RING; i++)
        r.rows[i] = (float *)(part + i * floats_bytes(s->line));
    for (int i = 0; i < RING; i++)
        r.held[i] = -1;
    return r;
}

static float *after_ring(const ring *r, int64_t at)
{
    return (float *)((char *)r->rows[0] + at);
}

static char *chunk_part(const cpu_call *call, int64_t chunk)
{
    const depth_state *s = call->state;
    return call->scratch + s->chunk_at + chunk * s->chunk_bytes;
}

/* Weights (c,1,3,3) as [tap][channel]. */
static void pack(const depth_state *s, const float *w, float *to)
{
    memset(to, 0, (size_t)(TAPS * s->wide) * sizeof *to);
    for (int64_t c = 0; c < s->c; c++)
        for (int64_t t = 0; t < TAPS; t++)
            to[t * s->wide + c] = w[c * TAPS + t];
}

/* --- conv_norm --- */

static void pack_forward(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    pack(call->state, call->in[CPU_FWD_W].data, (float *)call->scratch);
}

/* Row i of image n of x; rows outside of the image are zeros. */
CPU_INLINE const float *row_of_x(const cpu_call *call, const cpu_reading *reading, ring *r,
                                 int64_t n, int64_t i, const int type)
{
    const depth_state *s = call->state;
    if (i < 0 || i >= s->h)
        return r->rows[RING];
    const int64_t row = n * s->h + i, slot = row % RING;
    float *to = r->rows[slot];
    if (r->held[slot] == row)
        return to;
    r->held[slot] = row;
    const void *x = cpu_at_const(call->in[CPU_FWD_X].data, row * s->w * s->c, type);
    for (int64_t j = 0; j < s->w; j++)
        cpu_read_pixel(reading, cpu_at_const(x, j * s->c, type), s->c, to + (j + 1) * s->wide,
                       type);
    return to;
}

/* One row of y from three rows of x. */
CPU_INLINE void window_row(const depth_state *s, const float *weights, const float *const *rows,
                           float *y, uintptr_t ahead, const int stride, const int type)
{
    const uintptr_t hop = (uintptr_t)(stride * stride * (type == WISP_BF16 ? 2 : 4) * CPU_LANES);
    for (int64_t c = 0; c < s->wide; c += CPU_LANES) {
        cpu_lanes w[TAPS];
        CPU_UNROLL
        for (int t = 0; t < TAPS; t++)
            w[t] = cpu_lanes_load(weights + t * s->wide + c);
        const float *a0 = rows[0] + c, *a1 = rows[1] + c, *a2 = rows[2] + c;
        const int64_t pixel = s->wide, step = stride * pixel;
        float *to = y + c;
        for (int64_t j = 0; j < s->wo; j++) {
            cpu_lanes upper = cpu_lanes_load(a0) * w[0], lower = cpu_lanes_load(a2) * w[6];
            upper += cpu_lanes_load(a0 + pixel) * w[1];
            lower += cpu_lanes_load(a2 + pixel) * w[7];
            upper += cpu_lanes_load(a0 + 2 * pixel) * w[2];
            lower += cpu_lanes_load(a2 + 2 * pixel) * w[8];
            upper += cpu_lanes_load(a1) * w[3];
            lower += cpu_lanes_load(a1 + pixel) * w[4];
            upper += cpu_lanes_load(a1 + 2 * pixel) * w[5];
            cpu_lanes_store(to, upper + lower);
            a0 += step, a1 += step, a2 += step;
            to += pixel;
            for (uintptr_t k = 0; k < hop; k += 64)
                __builtin_prefetch((const void *)(ahead + k), 0, 2);
            ahead += hop;
        }
    }
}

/* To the map, without the channels that fill up the last vector. */
CPU_INLINE void write_row(const depth_state *s, void *to, float *from, int64_t pixels,
                          const int type)
{
    for (int64_t j = 1; j < pixels && s->wide > s->c; j++)
        memmove(from + j * s->c, from + j * s->wide, (size_t)s->c * sizeof *from);
    cpu_stream(to, from, pixels * s->c, type);
}

CPU_INLINE void forward_row(const cpu_call *call, const cpu_reading *reading, ring *r, int64_t row,
                            const cpu_moments *m, int seen, const int type)
{
    const depth_state *s = call->state;
    const int64_t n = row / s->ho, i = row % s->ho * s->stride;
    const float *rows[3], *weights = (const float *)call->scratch;
    void *y = cpu_at(call->out[0].data, row * s->wo * s->c, type);
    float *to = after_ring(r, s->out_at);
    for (int k = 0; k < 3; k++)
        rows[k] = row_of_x(call, reading, r, n, i - 1 + k, type);
    const uintptr_t next =
        (uintptr_t)cpu_at_const(call->in[CPU_FWD_X].data, (n * s->h + i + 2) * s->w * s->c, type);
    if (s->stride == 1)
        window_row(s, weights, rows, to, next, 1, type);
    else
        window_row(s, weights, rows, to, next, 2, type);
    if (type == WISP_BF16) {
        CPU_SIMD
        for (int64_t k = 0; k < s->wo * s->wide; k++)
            to[k] = cpu_from_bf16(cpu_to_bf16(to[k]));
    }
    write_row(s, y, to, s->wo, type);
    if (s->wants_stats)
        cpu_moments_rows(m, to, s->c, s->fold, s->wo, seen, WISP_F32);
}

CPU_INLINE void forward_chunks(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const depth_state *s = call->state;
    const cpu_reading reading = cpu_reading_of(s->activation, &call->in[CPU_FWD_SCALE]);
    ring r = begin_ring(call);
    for (int64_t chunk = first; chunk < last; chunk++) {
        const cpu_moments m = cpu_moments_at(chunk_part(call, chunk), s->c * s->fold);
        const int64_t begin = cpu_cut(s->rows, s->chunks, chunk);
        const int64_t end = cpu_cut(s->rows, s->chunks, chunk + 1);
        memset(m.sum, 0, (size_t)s->chunk_bytes);
        for (int64_t row = begin; row < end; row++)
            forward_row(call, &reading, &r, row, &m, row > begin, type);
    }
    cpu_stream_end();
}
CPU_TYPED(forward_chunks)

static void finish_stats(const cpu_call *call, int64_t first, int64_t last)
{
    const depth_state *s = call->state;
    float *mean = call->out[1].data, *var = call->out[2].data;
    for (int64_t i = first; i < last; i++)
        cpu_moments_finish(chunk_part(call, 0), s->chunks, s->chunk_bytes, s->c, s->fold,
                           s->rows * s->wo, i, &mean[i], &var[i]);
}

CPU_PREPARE(conv_norm_depth)
{
    WISP_TRY(cpu_plan_create(device, sizeof(depth_state), NULL, kernel, err));
    depth_state *s = (*kernel)->state;
    plan_sizes(s, request, CPU_FWD_X, request->out[0]);
    plan_rows(s, s->ho, s->w);
    s->wants_stats = cpu_out(request, 1) != NULL;
    s->chunk_at = floats_bytes(TAPS * s->wide);
    s->chunk_bytes = cpu_moments_bytes(s->c * s->fold);
    s->thread_at = s->chunk_at + s->chunks * s->chunk_bytes;
    s->copy_at = s->out_at = (RING + 1) * floats_bytes(s->line);
    s->thread_bytes = s->out_at + floats_bytes(s->wo * s->wide);
    (*kernel)->scratch_bytes = (size_t)(s->thread_at + device->n_threads * s->thread_bytes);
    cpu_plan_add(*kernel, pack_forward, 1, 0.0);
    cpu_plan_add(*kernel, CPU_PICK(forward_chunks, s->type), s->chunks,
                 16.0 * (double)wisp_desc_count(request->in[CPU_FWD_X]));
    if (s->wants_stats)
        cpu_plan_add(*kernel, finish_stats, s->c, 24.0 * (double)(s->c * s->chunks));
    return WISP_OK;
}

/* --- conv_norm_grad --- */

static void prepare_grad(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const depth_state *s = call->state;
    float *flat = (float *)(call->scratch + s->reach_at);
    pack(s, call->in[CPU_GRAD_W].data, (float *)call->scratch);
    if (s->has_y)
        cpu_reach_expand(call, s->c, s->n * s->ho * s->wo, flat, flat + s->c);
}

/* Row i of image n of what reaches y. */
CPU_INLINE const float *row_of_dy(const cpu_call *call, ring *r, int64_t n, int64_t i,
                                  const int type)
{
    const depth_state *s = call->state;
    if (i < 0 || i >= s->ho)
        return r->rows[RING];
    const int64_t row = n * s->ho + i, slot = row % RING;
    float *to = r->rows[slot];
    if (r->held[slot] == row)
        return to;
    r->held[slot] = row;
    const float *flat = (const float *)(call->scratch + s->reach_at), *slope = flat + s->c;
    const void *dy = cpu_at_const(call->in[CPU_GRAD_DY].data, row * s->wo * s->c, type);
    const void *y =
        s->has_y ? cpu_at_const(call->in[CPU_GRAD_Y].data, row * s->wo * s->c, type) : NULL;
    for (int64_t j = 0; j < s->wo; j++)
        cpu_reach_pixel(cpu_at_const(dy, j * s->c, type),
                        y ? cpu_at_const(y, j * s->c, type) : NULL, flat, slope, s->c,
                        to + (j + 1) * s->wide, type);
    return to;
}

/* Pixels of a row of x that lie `step` apart, and the taps that reach them. */
typedef struct pixels {
    const float *x;
    float *back; /* what arrives at them */
    int64_t n, step;
    const float *dy[TAPS], *weights[TAPS];
    float *dw[TAPS];
    uintptr_t ahead[3], hop[3]; /* what the next rows will read */
} pixels;

CPU_INLINE void pass_taps(const pixels *p, int64_t wide, const int taps)
{
    uintptr_t ahead_x = p->ahead[0], ahead_dy = p->ahead[1], ahead_y = p->ahead[2];
    for (int64_t c = 0; c < wide; c += CPU_LANES) {
        cpu_lanes w[TAPS], dw[TAPS];
        const float *x = p->x + c, *dy[TAPS];
        float *back = p->back + c;
        CPU_UNROLL
        for (int t = 0; t < taps; t++) {
            w[t] = cpu_lanes_load(p->weights[t] + c);
            dw[t] = cpu_lanes_load(p->dw[t] + c);
            dy[t] = p->dy[t] + c;
        }
        for (int64_t j = 0; j < p->n; j++) {
            const cpu_lanes a = cpu_lanes_load(x + j * p->step);
            cpu_lanes sum = {0};
            CPU_UNROLL
            for (int t = 0; t < taps; t++) {
                const cpu_lanes d = cpu_lanes_load(dy[t] + j * wide);
                sum += d * w[t];
                dw[t] += d * a;
            }
            cpu_lanes_store(back + j * p->step, sum);
            __builtin_prefetch((const void *)ahead_x, 0, 2);
            __builtin_prefetch((const void *)ahead_dy, 0, 2);
            __builtin_prefetch((const void *)ahead_y, 0, 2);
            ahead_x += p->hop[0];
            ahead_dy += p->hop[1];
            ahead_y += p->hop[2];
        }
        CPU_UNROLL
        for (int t = 0; t < taps; t++)
            cpu_lanes_store(p->dw[t] + c, dw[t]);
    }
}

/* All that one row of x exchanges with dy. Tap (ky, kx) takes pixel (i, j) of x to pixel
 * ((i + 1 - ky) / stride, (j + 1 - kx) / stride) of y, where that is whole. */
/* For a phase of row i of image n. */
CPU_INLINE void look_ahead(const cpu_call *call, int64_t n, int64_t i, int64_t phase, pixels *p,
                           const int type)
{
    const depth_state *s = call->state;
    const int64_t bytes = type == WISP_BF16 ? 2 : 4, part = i % s->stride * s->stride + phase;
    const int64_t parts = s->stride * s->stride, line = bytes * CPU_LANES;
    const int64_t x = ((n * s->h + i + 1) * s->w + phase * s->w / s->stride) * s->c;
    const int64_t y = ((n * s->ho + i / s->stride + 2) * s->wo + part * s->wo / parts) * s->c;
    p->ahead[0] = (uintptr_t)cpu_at_const(call->in[CPU_GRAD_X].data, x, type);
    p->ahead[1] = (uintptr_t)cpu_at_const(call->in[CPU_GRAD_DY].data, y, type);
    p->ahead[2] = s->has_y ? (uintptr_t)cpu_at_const(call->in[CPU_GRAD_Y].data, y, type) : 0;
    p->hop[0] = (uintptr_t)line;
    p->hop[1] = (uintptr_t)(line / parts);
    p->hop[2] = s->has_y ? p->hop[1] : 0;
    if (!s->has_y)
        p->ahead[2] = p->ahead[1];
}

CPU_INLINE void exchange_row(const cpu_call *call, ring *r, int64_t n, int64_t i, const float *x,
                             float *back, float *dw, const int type)
{
    const depth_state *s = call->state;
    const float *weights = (const float *)call->scratch;
    for (int64_t phase = 0; phase < s->stride && phase < s->w; phase++) {
        pixels p = {.x = x + phase * s->wide,
                    .back = back + phase * s->wide,
                    .n = cpu_ceil_div(s->w - phase, s->stride),
                    .step = s->stride * s->wide};
        int taps = 0;
        look_ahead(call, n, i, phase, &p, type);
        for (int64_t t = 0; t < TAPS; t++) {
            const int64_t up = i + 1 - t / 3, left = phase + 1 - t % 3;
            if (up % s->stride != 0 || left % s->stride != 0)
                continue;
            const int64_t row = up < 0 ? -1 : up / s->stride;
            p.dy[taps] = row_of_dy(call, r, n, row, type) + (left / s->stride + 1) * s->wide;
            p.weights[taps] = weights + t * s->wide;
            p.dw[taps++] = dw + t * s->wide;
        }
        if (taps == 9)
            pass_taps(&p, s->wide, 9);
        else if (taps == 4)
            pass_taps(&p, s->wide, 4);
        else if (taps == 2)
            pass_taps(&p, s->wide, 2);
        else
            pass_taps(&p, s->wide, 1);
    }
}

CPU_INLINE void grad_row(const cpu_call *call, const cpu_reading *reading, ring *r, int64_t row,
                         char *part, const int type)
{
    const depth_state *s = call->state;
    const cpu_scale_sums sums = cpu_scale_sums_at(part, s->c);
    const void *x = cpu_at_const(call->in[CPU_GRAD_X].data, row * s->w * s->c, type);
    float *copy = after_ring(r, s->copy_at), *back = after_ring(r, s->out_at);
    for (int64_t j = 0; j < s->w; j++)
        cpu_read_pixel(reading, cpu_at_const(x, j * s->c, type), s->c, copy + j * s->wide, type);
    exchange_row(call, r, row / s->h, row % s->h, copy, back, (float *)(part + s->sums_bytes),
                 type);
    if (!s->wants_x)
        return;
    void *dx = cpu_at(call->out[0].data, row * s->w * s->c, type);
    for (int64_t j = 0; j < s->w && reading->scale; j++)
        cpu_return_pixel(reading, back + j * s->wide, cpu_at_const(x, j * s->c, type), s->c,
                         sums.dscale, sums.dshift, type);
    write_row(s, dx, back, s->w, type);
}

CPU_INLINE void grad_chunks(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const depth_state *s = call->state;
    const cpu_reading reading = cpu_reading_of(s->activation, &call->in[CPU_GRAD_SCALE]);
    const int64_t closes = cpu_max(1, CLOSE_PIXELS / s->w);
    ring r = begin_ring(call);
    for (int64_t chunk = first; chunk < last; chunk++) {
        char *part = chunk_part(call, chunk);
        const cpu_scale_sums sums = cpu_scale_sums_at(part, s->c);
        const int64_t end = cpu_cut(s->rows, s->chunks, chunk + 1);
        memset(part, 0, (size_t)s->chunk_bytes);
        for (int64_t row = cpu_cut(s->rows, s->chunks, chunk); row < end; row++) {
            grad_row(call, &reading, &r, row, part, type);
            if (row % closes == 0 || row + 1 == end)
                cpu_scale_sums_close(&sums, s->c);
        }
    }
    cpu_stream_end();
}
CPU_TYPED(grad_chunks)

/* Units are channels. */
static void finish_grad(const cpu_call *call, int64_t first, int64_t last)
{
    const depth_state *s = call->state;
    float *dscale = call->out[1].data, *dshift = call->out[2].data, *dw = call->out[3].data;
    for (int64_t c = first; c < last; c++) {
        double scale = 0, shift = 0, taps[TAPS] = {0};
        for (int64_t i = 0; i < s->chunks; i++) {
            char *part = chunk_part(call, i);
            const cpu_scale_sums sums = cpu_scale_sums_at(part, s->c);
            scale += sums.scale[c];
            shift += sums.shift[c];
            for (int64_t t = 0; t < TAPS; t++)
                taps[t] += (double)((const float *)(part + s->sums_bytes))[t * s->wide + c];
        }
        if (dscale)
            dscale[c] = (float)scale;
        if (dshift)
            dshift[c] = (float)shift;
        for (int64_t t = 0; t < TAPS && dw; t++)
            dw[c * TAPS + t] = (float)taps[t];
    }
}

CPU_PREPARE(conv_norm_depth_grad)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    WISP_TRY(cpu_plan_create(device, sizeof(depth_state), NULL, kernel, err));
    depth_state *s = (*kernel)->state;
    plan_sizes(s, request, CPU_GRAD_X, request->in[CPU_GRAD_DY]);
    plan_rows(s, s->h, s->wo);
    s->wants_x = (attrs->want_grads & WISP_CONV_NORM_INPUT) != 0;
    s->has_y = cpu_in(request, CPU_GRAD_Y) != NULL;
    s->reach_at = floats_bytes(TAPS * s->wide);
    s->chunk_at = s->reach_at + floats_bytes(2 * s->c);
    s->sums_bytes = cpu_scale_sums_bytes(s->c);
    s->chunk_bytes = s->sums_bytes + floats_bytes(TAPS * s->wide);
    s->thread_at = s->chunk_at + s->chunks * s->chunk_bytes;
    s->copy_at = (RING + 1) * floats_bytes(s->line);
    s->out_at = s->copy_at + floats_bytes(s->w * s->wide);
    s->thread_bytes = s->out_at + floats_bytes(s->w * s->wide);
    (*kernel)->scratch_bytes = (size_t)(s->thread_at + device->n_threads * s->thread_bytes);
    cpu_plan_add(*kernel, prepare_grad, 1, 0.0);
    cpu_plan_add(*kernel, CPU_PICK(grad_chunks, s->type), s->chunks,
                 24.0 * (double)wisp_desc_count(request->in[CPU_GRAD_X]));
    cpu_plan_add(*kernel, finish_grad, s->c, 24.0 * (double)(s->c * s->chunks));
    return WISP_OK;
}
