/* cpu_conv_norm_point.c - conv_norm where a result pixel is one product of a line with the weights:
 * windows of one pixel, and windows over few channels, which are gathered as a line.
 *
 * Pixels go through in blocks that fit the second cache: read and activate, multiply, measure. So
 * each map is read or written once. Chunks of blocks have sums of their own, and their number is
 * given by the shapes, so results do not depend on the number of threads. */
#include <omp.h>

#include "cpu_conv_norm.h"
#include "cpu_moments.h"
#include "cpu_tile.h"

enum { BLOCK_BYTES = 320 * 1024, BLOCK_UNIT = 24, MAX_BLOCK = 480, MAX_CHUNKS = 64 };
enum { WEIGHT_ROWS = 120, CHUNK_ROWS = 1024, MIN_CHUNKS = 4 };

typedef struct point_state {
    cpu_plan plan;
    wisp_conv2d_attrs conv;
    int64_t h, w, c, ho, wo, kh, kw;
    int64_t rows, k, o;              /* pixels of y, length of a line, channels of y */
    int64_t block, n_blocks, chunks; /* pixels of a block */
    int64_t fold;                    /* of the moments */
    int64_t chunk_at, chunk_bytes;   /* in scratch; weights are at 0 */
    int64_t thread_at, thread_bytes;
    int64_t reach_at, sums_bytes; /* gradient: flat and slope; sums before dw in a chunk */
    int64_t dw_rows, dw_columns, dw_pitch;
    int32_t type, activation, gathers, swaps; /* swaps: dw is summed as (k,o) */
    int32_t has_y, wants_x, wants_w, wants_stats;
} point_state;

/* --- Plan --- */

static void plan_sizes(point_state *s, const wisp_kernel_request *request, int32_t x_at,
                       const wisp_desc *y)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[x_at], *w = request->in[x_at + 3];
    s->conv = attrs->conv;
    s->activation = attrs->activation;
    s->type = x->dtype;
    s->h = x->shape[1], s->w = x->shape[2], s->c = x->shape[3];
    s->ho = y->shape[1], s->wo = y->shape[2], s->o = y->shape[3];
    s->kh = w->shape[2], s->kw = w->shape[3];
    s->rows = cpu_rows(y);
    s->k = s->c * s->kh * s->kw;
    s->gathers = s->kh * s->kw > 1 || s->conv.stride_h > 1 || s->conv.stride_w > 1 ||
                 s->conv.pad_h > 0 || s->conv.pad_w > 0;
    s->fold = cpu_moments_fold(s->o);
}

/* Blocks for `floats` of scratch a pixel. A chunk has enough of them to be worth its sums. */
static void plan_blocks(point_state *s, int64_t floats)
{
    s->block = BLOCK_BYTES / 4 / floats / BLOCK_UNIT * BLOCK_UNIT;
    s->block = cpu_max(BLOCK_UNIT, cpu_min(s->block, MAX_BLOCK));
    s->n_blocks = cpu_ceil_div(s->rows, s->block);
    s->chunks = cpu_max(MIN_CHUNKS, cpu_min(s->rows / CHUNK_ROWS, MAX_CHUNKS));
    s->chunks = cpu_min(s->chunks, s->n_blocks);
}

static int64_t floats_bytes(int64_t n)
{
    return (int64_t)cpu_align64((size_t)n * sizeof(float) + 64); /* vectors may be read past n */
}

static char *thread_part(const cpu_call *call)
{
    const point_state *s = call->state;
    return call->scratch + s->thread_at + omp_get_thread_num() * s->thread_bytes;
}

static char *chunk_part(const cpu_call *call, int64_t chunk)
{
    const point_state *s = call->state;
    return call->scratch + s->chunk_at + chunk * s->chunk_bytes;
}

/* --- Lines --- */

/* Where element i of a line stands in one output channel's weights. */
static int64_t place_in_weights(const point_state *s, int64_t i)
{
    const int64_t c = i % s->c, tap = i / s->c;
    return c * s->kh * s->kw + tap;
}

/* One row of a window: its pixels lie side by side where none is outside of the map. */
CPU_INLINE void gather_row(const point_state *s, const cpu_reading *r, const void *row, int64_t at,
                           float *to, const int type)
{
    const int64_t step = s->conv.dilation_w;
    if (step == 1 && at >= 0 && at + s->kw <= s->w && !r->scale) {
        const void *from = cpu_at_const(row, at * s->c, type);
        for (int64_t i = 0; i < s->kw * s->c; i++)
            to[i] = cpu_load(from, i, type);
        return;
    }
    for (int64_t kx = 0; kx < s->kw; kx++, at += step, to += s->c)
        if (at < 0 || at >= s->w)
            memset(to, 0, (size_t)s->c * sizeof *to);
        else
            cpu_read_pixel(r, cpu_at_const(row, at * s->c, type), s->c, to, type);
}

/* The line of result pixel `row`: pixels of the window one after the other. */
CPU_INLINE void gather(const point_state *s, const cpu_reading *r, const void *x, int64_t row,
                       float *to, const int type)
{
    const wisp_conv2d_attrs *a = &s->conv;
    const int64_t n = row / (s->ho * s->wo), i = row / s->wo % s->ho, j = row % s->wo;
    for (int64_t ky = 0; ky < s->kh; ky++, to += s->kw * s->c) {
        const int64_t y = i * a->stride_h - a->pad_h + ky * a->dilation_h;
        if (y < 0 || y >= s->h)
            memset(to, 0, (size_t)(s->kw * s->c) * sizeof *to);
        else
            gather_row(s, r, cpu_at_const(x, (n * s->h + y) * s->w * s->c, type),
                       j * a->stride_w - a->pad_w, to, type);
    }
}

CPU_INLINE void read_lines(const point_state *s, const cpu_reading *r, const void *x, int64_t first,
                           int64_t n, float *to, const int type)
{
    if (s->gathers)
        for (int64_t p = 0; p < n; p++)
            gather(s, r, x, first + p, to + p * s->k, type);
    else
        for (int64_t p = 0; p < n; p++)
            cpu_read_pixel(r, cpu_at_const(x, (first + p) * s->c, type), s->c, to + p * s->k, type);
}

/* --- conv_norm --- */

static void pack_forward(const cpu_call *call, int64_t first, int64_t last)
{
    const point_state *s = call->state;
    const float *w = call->in[CPU_FWD_W].data;
    for (int64_t panel = first; panel < last; panel++) {
        float *to = (float *)call->scratch + cpu_panel_at(s->k, panel);
        const int64_t width = cpu_panel_width(s->o, panel), o = panel * CPU_PANEL;
        for (int64_t i = 0; i < width; i++)
            for (int64_t k = 0; k < s->k; k++)
                to[k * width + i] = o + i < s->o ? w[(o + i) * s->k + place_in_weights(s, k)] : 0;
    }
}

CPU_INLINE void forward_block(const cpu_call *call, const cpu_reading *r, int64_t first, int64_t n,
                              const cpu_moments *m, int seen, const int type)
{
    const point_state *s = call->state;
    const void *x = call->in[CPU_FWD_X].data;
    float *lines = (float *)thread_part(call), *sums = lines + s->block * s->k + 16;
    void *y = cpu_at(call->out[0].data, first * s->o, type);
    const int as_it_is = !s->gathers && !r->scale && type == WISP_F32;
    cpu_ahead ahead = {{NULL}, {NULL}, 0};
    const cpu_product p = {
        .rows = n,
        .columns = s->o,
        .n = s->k,
        .a = as_it_is ? (const float *)x + first * s->c : lines,
        .a_row = s->k,
        .a_step = 1,
        .b = (const float *)call->scratch,
        .c = sums,
        .c_row = s->o,
        .ahead = &ahead,
    };
    if (!s->gathers)
        cpu_ahead_add(&ahead, 0, x, (first + n) * s->c, s->block * s->c, s->rows * s->c, type);
    cpu_ahead_plan(&ahead, cpu_product_steps(n, s->o));
    if (!as_it_is)
        read_lines(s, r, x, first, n, lines, type);
    cpu_multiply(&p);
    if (type == WISP_BF16) {
        CPU_SIMD
        for (int64_t i = 0; i < n * s->o; i++)
            sums[i] = cpu_from_bf16(cpu_to_bf16(sums[i]));
    }
    if (s->wants_stats)
        cpu_moments_rows(m, sums, s->o, s->fold, n, seen, WISP_F32);
    cpu_stream(y, sums, n * s->o, type);
}

CPU_INLINE void forward_chunks(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const point_state *s = call->state;
    const cpu_reading r = cpu_reading_of(s->activation, &call->in[CPU_FWD_SCALE]);
    for (int64_t chunk = first; chunk < last; chunk++) {
        const cpu_moments m = cpu_moments_at(chunk_part(call, chunk), s->o * s->fold);
        const int64_t begin = cpu_cut(s->n_blocks, s->chunks, chunk);
        const int64_t end = cpu_cut(s->n_blocks, s->chunks, chunk + 1);
        memset(m.sum, 0, (size_t)s->chunk_bytes);
        for (int64_t b = begin; b < end; b++)
            forward_block(call, &r, b * s->block, cpu_min(s->block, s->rows - b * s->block), &m,
                          b > begin, type);
    }
    cpu_stream_end();
}
CPU_TYPED(forward_chunks)

static void finish_stats(const cpu_call *call, int64_t first, int64_t last)
{
    const point_state *s = call->state;
    float *mean = call->out[1].data, *var = call->out[2].data;
    for (int64_t i = first; i < last; i++)
        cpu_moments_finish(chunk_part(call, 0), s->chunks, s->chunk_bytes, s->o, s->fold, s->rows,
                           i, &mean[i], &var[i]);
}

CPU_PREPARE(conv_norm_point)
{
    const wisp_desc *y = request->out[0];
    WISP_TRY(cpu_plan_create(device, sizeof(point_state), NULL, kernel, err));
    point_state *s = (*kernel)->state;
    plan_sizes(s, request, CPU_FWD_X, y);
    plan_blocks(s, s->k + s->o);
    s->wants_stats = cpu_out(request, 1) != NULL;
    s->chunk_at = floats_bytes(cpu_panels_size(s->o, s->k));
    s->chunk_bytes = cpu_moments_bytes(s->o * s->fold);
    s->thread_at = s->chunk_at + s->chunks * s->chunk_bytes;
    s->thread_bytes = floats_bytes(s->block * s->k) + floats_bytes(s->block * s->o);
    (*kernel)->scratch_bytes = (size_t)(s->thread_at + device->n_threads * s->thread_bytes);
    cpu_plan_add(*kernel, pack_forward, cpu_ceil_div(s->o, CPU_PANEL),
                 16.0 * (double)(s->o * s->k));
    cpu_plan_add(*kernel, CPU_PICK(forward_chunks, s->type), s->chunks,
                 8.0 * (double)(s->rows * (s->k + s->o)));
    if (s->wants_stats)
        cpu_plan_add(*kernel, finish_stats, s->o, 24.0 * (double)(s->o * s->chunks));
    return WISP_OK;
}

/* --- conv_norm_grad --- */

/* Only windows of one pixel pass a gradient on: k is c. */
static void pack_grad(const cpu_call *call, int64_t first, int64_t last)
{
    const point_state *s = call->state;
    const float *w = call->in[CPU_GRAD_W].data;
    for (int64_t panel = first; panel < last; panel++) {
        float *to = (float *)call->scratch + cpu_panel_at(s->o, panel);
        const int64_t width = cpu_panel_width(s->c, panel), c = panel * CPU_PANEL;
        const int64_t n = cpu_min(width, s->c - c);
        for (int64_t o = 0; o < s->o; o++) {
            memset(to + o * width + n, 0, (size_t)(width - n) * sizeof *to);
            memcpy(to + o * width, w + o * s->c + c, (size_t)n * sizeof *to);
        }
    }
}

static void expand_reach(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const point_state *s = call->state;
    float *flat = (float *)(call->scratch + s->reach_at);
    cpu_reach_expand(call, s->o, s->rows, flat, flat + s->o);
}

/* dw += dy' a over n pixels. */
static void multiply_weights(const point_state *s, const float *reach, const float *lines,
                             int64_t n, float *dw, cpu_ahead *ahead)
{
    for (int64_t r = 0; r < n; r += WEIGHT_ROWS) {
        const float *left = s->swaps ? lines + r * s->k : reach + r * s->o;
        const float *right = s->swaps ? reach + r * s->o : lines + r * s->k;
        const cpu_product p = {
            .rows = s->dw_rows,
            .columns = s->dw_columns,
            .n = cpu_min(WEIGHT_ROWS, n - r),
            .a = left,
            .a_row = 1,
            .a_step = s->dw_rows,
            .b = right,
            .b_row = s->dw_columns,
            .c = dw,
            .c_row = s->dw_pitch,
            .adds = 1,
            .ahead = ahead,
        };
        cpu_multiply(&p);
    }
}

CPU_INLINE void return_block(const cpu_call *call, const cpu_reading *r, const float *reach,
                             int64_t first, int64_t n, float *back, const cpu_scale_sums *sums,
                             cpu_ahead *ahead, const int type)
{
    const point_state *s = call->state;
    const void *x = cpu_at_const(call->in[CPU_GRAD_X].data, first * s->c, type);
    void *dx = cpu_at(call->out[0].data, first * s->c, type);
    const cpu_product p = {
        .rows = n,
        .columns = s->c,
        .n = s->o,
        .a = reach,
        .a_row = s->o,
        .a_step = 1,
        .b = (const float *)call->scratch,
        .c = back,
        .c_row = s->c,
        .ahead = ahead,
    };
    cpu_multiply(&p);
    for (int64_t i = 0; i < n && r->scale; i++)
        cpu_return_pixel(r, back + i * s->c, cpu_at_const(x, i * s->c, type), s->c, sums->dscale,
                         sums->dshift, type);
    cpu_stream(dx, back, n * s->c, type);
    cpu_scale_sums_close(sums, s->c);
}

CPU_INLINE void read_reach(const cpu_call *call, int64_t first, int64_t n, float *reach,
                           const int type)
{
    const point_state *s = call->state;
    const float *flat = (const float *)(call->scratch + s->reach_at), *slope = flat + s->o;
    const void *dy = cpu_at_const(call->in[CPU_GRAD_DY].data, first * s->o, type);
    const void *y = s->has_y ? cpu_at_const(call->in[CPU_GRAD_Y].data, first * s->o, type) : NULL;
    for (int64_t i = 0; i < n; i++)
        cpu_reach_pixel(cpu_at_const(dy, i * s->o, type),
                        y ? cpu_at_const(y, i * s->o, type) : NULL, flat, slope, s->o,
                        reach + i * s->o, type);
}

/* What the block after this one will read. */
CPU_INLINE cpu_ahead next_block(const cpu_call *call, int64_t next, const int type)
{
    const point_state *s = call->state;
    cpu_ahead a = {{NULL}, {NULL}, 0};
    int64_t steps = 0;
    cpu_ahead_add(&a, 0, call->in[CPU_GRAD_DY].data, next * s->o, s->block * s->o, s->rows * s->o,
                  type);
    if (s->has_y)
        cpu_ahead_add(&a, 1, call->in[CPU_GRAD_Y].data, next * s->o, s->block * s->o,
                      s->rows * s->o, type);
    if (!s->gathers)
        cpu_ahead_add(&a, 2, call->in[CPU_GRAD_X].data, next * s->c, s->block * s->c,
                      s->rows * s->c, type);
    if (s->wants_w)
        steps += s->block / WEIGHT_ROWS * cpu_product_steps(s->dw_rows, s->dw_columns);
    if (s->wants_x)
        steps += cpu_product_steps(s->block, s->c);
    cpu_ahead_plan(&a, steps);
    return a;
}

CPU_INLINE void grad_block(const cpu_call *call, const cpu_reading *r, int64_t first, int64_t n,
                           const cpu_scale_sums *sums, float *dw, const int type)
{
    const point_state *s = call->state;
    float *reach = (float *)thread_part(call), *lines = reach + s->block * s->o + 16,
          *back = lines + s->block * s->k + 16;
    cpu_ahead ahead = next_block(call, first + n, type);
    read_reach(call, first, n, reach, type);
    if (s->wants_w) {
        read_lines(s, r, call->in[CPU_GRAD_X].data, first, n, lines, type);
        multiply_weights(s, reach, lines, n, dw, &ahead);
    }
    if (s->wants_x)
        return_block(call, r, reach, first, n, back, sums, &ahead, type);
}

CPU_INLINE void grad_chunks(const cpu_call *call, int64_t first, int64_t last, const int type)
{
    const point_state *s = call->state;
    const cpu_reading r = cpu_reading_of(s->activation, &call->in[CPU_GRAD_SCALE]);
    for (int64_t chunk = first; chunk < last; chunk++) {
        char *part = chunk_part(call, chunk);
        const cpu_scale_sums sums = cpu_scale_sums_at(part, s->c);
        const int64_t end = cpu_cut(s->n_blocks, s->chunks, chunk + 1);
        memset(part, 0, (size_t)s->chunk_bytes);
        for (int64_t b = cpu_cut(s->n_blocks, s->chunks, chunk); b < end; b++)
            grad_block(call, &r, b * s->block, cpu_min(s->block, s->rows - b * s->block), &sums,
                       (float *)(part + s->sums_bytes), type);
    }
    cpu_stream_end();
}
CPU_TYPED(grad_chunks)

enum { FINISH = 256 };

/* Sums `n` neighbours over all chunks. */
static void sum_chunks(const point_state *s, const float *from, int64_t n, double *sum)
{
    const int64_t stride = s->chunk_bytes / (int64_t)sizeof(float);
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = 0; i < s->chunks; i++, from += stride) {
        CPU_SIMD
        for (int64_t k = 0; k < n; k++)
            sum[k] += (double)from[k];
    }
}

/* Units are rows of dw as it was summed. */
static void finish_weights(const cpu_call *call, int64_t first, int64_t last)
{
    const point_state *s = call->state;
    const float *parts = (const float *)(chunk_part(call, 0) + s->sums_bytes);
    float *dw = call->out[3].data;
    double sum[FINISH];
    for (int64_t row = first; row < last; row++)
        for (int64_t n, at = 0; at < s->dw_columns; at += n) {
            n = cpu_min(FINISH, s->dw_columns - at);
            sum_chunks(s, parts + row * s->dw_pitch + at, n, sum);
            for (int64_t i = 0; i < n; i++) {
                const int64_t o = s->swaps ? at + i : row, k = s->swaps ? row : at + i;
                dw[o * s->k + place_in_weights(s, k)] = (float)sum[i];
            }
        }
}

/* Units are channels of x. */
static void finish_scale(const cpu_call *call, int64_t first, int64_t last)
{
    const point_state *s = call->state;
    float *dscale = call->out[1].data, *dshift = call->out[2].data;
    for (int64_t c = first; c < last; c++) {
        double scale = 0, shift = 0;
        for (int64_t i = 0; i < s->chunks; i++) {
            const cpu_scale_sums sums = cpu_scale_sums_at(chunk_part(call, i), s->c);
            scale += sums.scale[c];
            shift += sums.shift[c];
        }
        dscale[c] = (float)scale;
        dshift[c] = (float)shift;
    }
}

static void plan_weights(point_state *s)
{
    s->swaps = s->k < s->o && s->k < CPU_PANEL;
    s->dw_rows = s->swaps ? s->k : s->o;
    s->dw_columns = s->swaps ? s->o : s->k;
    s->dw_pitch = cpu_ceil_div(s->dw_columns, CPU_LANES) * CPU_LANES;
}

CPU_PREPARE(conv_norm_point_grad)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const int wants_x = (attrs->want_grads & WISP_CONV_NORM_INPUT) != 0;
    WISP_TRY(cpu_plan_create(device, sizeof(point_state), NULL, kernel, err));
    point_state *s = (*kernel)->state;
    plan_sizes(s, request, CPU_GRAD_X, request->in[CPU_GRAD_DY]);
    if (wants_x && s->gathers) {
        (*kernel)->release(*kernel);
        return wisp_refuse(request, err, "only windows of one pixel have a gradient for x");
    }
    plan_weights(s);
    s->wants_x = wants_x;
    s->wants_w = (attrs->want_grads & WISP_CONV_NORM_WEIGHT) != 0;
    s->has_y = cpu_in(request, CPU_GRAD_Y) != NULL;
    const int64_t dw_bytes = s->wants_w ? floats_bytes(s->dw_rows * s->dw_pitch) : 0;
    plan_blocks(s, s->o + s->k + s->c);
    s->reach_at = wants_x ? floats_bytes(cpu_panels_size(s->c, s->o)) : 0;
    s->chunk_at = s->reach_at + floats_bytes(2 * s->o);
    s->sums_bytes = cpu_scale_sums_bytes(s->c);
    s->chunk_bytes = s->sums_bytes + dw_bytes;
    s->thread_at = s->chunk_at + s->chunks * s->chunk_bytes;
    s->thread_bytes = floats_bytes(s->block * s->o) + floats_bytes(s->block * s->k) +
                      floats_bytes(s->block * s->c);
    (*kernel)->scratch_bytes = (size_t)(s->thread_at + device->n_threads * s->thread_bytes);
    if (wants_x)
        cpu_plan_add(*kernel, pack_grad, cpu_ceil_div(s->c, CPU_PANEL),
                     8.0 * (double)(s->o * s->c));
    if (s->has_y)
        cpu_plan_add(*kernel, expand_reach, 1, 0.0);
    cpu_plan_add(*kernel, CPU_PICK(grad_chunks, s->type), s->chunks,
                 16.0 * (double)(s->rows * (s->c + s->o)));
    if (s->wants_w)
        cpu_plan_add(*kernel, finish_weights, s->dw_rows, (double)(s->chunks * dw_bytes));
    if (cpu_out(request, 1))
        cpu_plan_add(*kernel, finish_scale, s->c, 16.0 * (double)(s->c * s->chunks));
    return WISP_OK;
}
