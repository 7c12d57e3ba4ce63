/* cpu_conv_tiles.c - f32 convolutions and the gradients of their inputs on matrix tiles.
 *
 * Each thread lays out pieces of the source in its own second cache and multiplies them with panels
 * of the weights, 32 outputs each. Where a single piece is the whole map, each thread lays out all
 * of it, and the panels are divided among them and made as they are needed; else all panels are
 * made first. */
#include <omp.h>

#include "cpu_conv_tiles_panel.h"
#include "cpu_conv_tiles_step.h"
#include "cpu_empty.h"
#include "kernel_table.h"

#ifdef CPU_CAN_AMX

enum { PARTS = CPU_PARTS_F32, TILE = CPU_TILES_TILE, BLOCK = CPU_TILES_BLOCK };
enum { VALUES = CPU_TILES_VALUES, STEP = CPU_TILES_STEP };
enum { PIECE_BYTES = 900 * 1024, WHOLE_BYTES = 2500 * 1024 };
/* With fewer output pixels, weights are better read as they lie: see cpu_conv_few.c. */
enum { MIN_PIXELS_FORWARD = 48, MIN_PIXELS_INPUT = 96 };
/* Weights that leave the second cache with every piece. */
enum { MANY_WEIGHTS = 1024 * 1024 };

typedef struct tile_conv {
    cpu_tiles t;
    cpu_tiles_weights w;
    int64_t panel; /* values */
    int32_t has_bias, is_whole;
    size_t threads_at, list_at, panel_at, thread_bytes; /* in scratch; all panels are at 0 */
} tile_conv;

typedef struct conv_call {
    const float *x, *w, *bias;
    float *y;
} conv_call;

/* --- Layouts --- */

/* One position: the channels of a pixel, or zeros. */
CPU_PARTS_INLINE void lay_pixel(const cpu_tiles *t, const float *from, uint16_t *to)
{
    for (int64_t b = 0; b < t->k_blocks; b++, to += t->block) {
        __m512i part[PARTS] = {_mm512_setzero_si512(), _mm512_setzero_si512(),
                               _mm512_setzero_si512()};
        const int64_t left = t->from.c - b * BLOCK;
        if (from)
            cpu_tiles_split(
                _mm512_maskz_loadu_ps(cpu_parts_mask(left), from + b * BLOCK),
                _mm512_maskz_loadu_ps(cpu_parts_mask(left - TILE), from + b * BLOCK + TILE), part);
        for (int p = 0; p < PARTS; p++)
            _mm512_store_si512(to + p * t->part, part[p]);
    }
}

/* One pixel of a group of images. */
CPU_PARTS_INLINE void lay_group(const cpu_tiles *t, int64_t group, const float *x, int64_t y,
                                int64_t z, uint16_t *to)
{
    const int64_t image = t->from.h * t->from.w * t->from.c;
    const int inside = y >= 0 && y < t->from.h && z >= 0 && z < t->from.w;
    const float *from = x + group * t->group * image + (y * t->from.w + z) * t->from.c;
    for (int64_t g = 0; g < t->group; g++)
        lay_pixel(t, inside && group * t->group + g < t->n ? from + g * image : NULL,
                  to + g * BLOCK);
}

/* The source of a piece. */
CPU_PARTS_TARGET static void lay_piece(const cpu_tiles *t, const cpu_tiles_piece *piece,
                                       const float *x, uint16_t *to)
{
    const int64_t rows = cpu_tiles_rows(t, piece);
    const int64_t first = piece->first * t->row_step + t->min_row;
    for (int64_t y = first; y < first + rows; y++)
        for (int64_t plane = 0; plane < t->planes; plane++)
            for (int64_t column = 0; column < t->columns; column++, to += t->group * BLOCK)
                lay_group(t, piece->group, x, y, (column + t->min_column) * t->planes + plane, to);
}

/* --- Product --- */

CPU_PARTS_INLINE void multiply_block(const cpu_tiles *t, const cpu_tiles_block *block,
                                     const uint16_t *source, const uint16_t *panel, float *sum)
{
    const cpu_tiles_bar *bar = &t->bars[block->phase->first_bar];
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int32_t i = 0; i < block->phase->n_bars; i++, bar++) {
        const uint64_t taps = block->taps >> bar->first & (~(uint64_t)0 >> (64 - bar->count));
        const uint16_t *b = panel + bar->first * t->k_blocks * STEP, *a = source;
        for (int64_t k = 0; taps && k < t->k_blocks; k++, a += t->block)
            for (int32_t j = 0; j < bar->count; j++, b += STEP) {
                const int64_t shift = t->taps[bar->first + j].shift;
                if (taps >> j & 1)
                    cpu_tiles_step(a + (block->at[0] + shift) * BLOCK,
                                   a + (block->at[1] + shift) * BLOCK, t->part, b, b + VALUES,
                                   2 * VALUES, 64);
            }
    }
    _tile_stored(0, sum, 128);
    _tile_stored(1, sum + 16, 128);
    _tile_stored(2, sum + 512, 128);
    _tile_stored(3, sum + 528, 128);
}

/* A finished tile to its places. */
CPU_PARTS_INLINE void store_tile(const cpu_tiles *t, const cpu_tiles_block *block, int which,
                                 int64_t group, int64_t panel, const float *sum,
                                 const conv_call *call)
{
    const cpu_tiles_phase *phase = block->phase;
    const int64_t left = t->to.c - panel * BLOCK;
    const __mmask16 low = cpu_parts_mask(left), high = cpu_parts_mask(left - TILE);
    const float *bias = call->bias ? call->bias + panel * BLOCK : NULL;
    const __m512 b0 = bias ? _mm512_maskz_loadu_ps(low, bias) : _mm512_setzero_ps();
    const __m512 b1 = bias ? _mm512_maskz_loadu_ps(high, bias + TILE) : _mm512_setzero_ps();
    int64_t column = block->first[which] / t->group, n = block->first[which] % t->group;
    const int64_t y = phase->row + block->row[which] * t->step_h;
    for (int i = 0; i < TILE && column < phase->columns; i++) {
        const int64_t image = group * t->group + n;
        const int64_t x = phase->column + column * t->step_w;
        float *to = call->y + ((image * t->to.h + y) * t->to.w + x) * t->to.c + panel * BLOCK;
        if (image < t->n) {
            _mm512_mask_storeu_ps(to, low, _mm512_add_ps(_mm512_load_ps(sum + i * BLOCK), b0));
            if (high)
                _mm512_mask_storeu_ps(to + TILE, high,
                                      _mm512_add_ps(_mm512_load_ps(sum + i * BLOCK + TILE), b1));
        }
        if (++n == t->group)
            n = 0, column++;
    }
}

CPU_PARTS_INLINE void store_block(const cpu_tiles *t, const cpu_tiles_block *block, int64_t group,
                                  int64_t panel, const float *sum, const conv_call *call)
{
    store_tile(t, block, 0, group, panel, sum, call);
    if (block->row[1] >= 0)
        store_tile(t, block, 1, group, panel, sum + TILE * BLOCK, call);
}

/* All blocks of a piece by one panel. A block is stored while the tiles are at the next one. */
CPU_PARTS_TARGET static void multiply_piece(const cpu_tiles *t, const cpu_tiles_piece *piece,
                                            const cpu_tiles_block *blocks, int64_t n,
                                            const uint16_t *source, const uint16_t *packed,
                                            int64_t panel, const conv_call *call)
{
    _Alignas(64) float sum[2][BLOCK * BLOCK];
    for (int64_t i = 0; i <= n; i++) {
        if (i < n)
            multiply_block(t, &blocks[i], source, packed, sum[i % 2]);
        if (i > 0)
            store_block(t, &blocks[i - 1], piece->group, panel, sum[(i - 1) % 2], call);
    }
}

/* --- Run --- */

/* One thread's memory. */
typedef struct conv_memory {
    uint16_t *source, *panel;
    cpu_tiles_block *blocks;
} conv_memory;

static conv_memory memory_of(const tile_conv *s, char *scratch, int64_t thread)
{
    char *at = scratch + s->threads_at + (size_t)thread * s->thread_bytes;
    return (conv_memory){(uint16_t *)(void *)at, (uint16_t *)(void *)(at + s->panel_at),
                         (cpu_tiles_block *)(void *)(at + s->list_at)};
}

/* One thread's panels of the only piece. */
CPU_PARTS_TARGET static void run_panels(const tile_conv *s, const conv_call *call, char *scratch,
                                        int64_t thread, int64_t n_threads)
{
    const conv_memory m = memory_of(s, scratch, thread);
    const cpu_tiles_piece piece = cpu_tiles_piece_at(&s->t, 0);
    const int64_t n = cpu_tiles_list(&s->t, &piece, m.blocks);
    lay_piece(&s->t, &piece, call->x, m.source);
    for (int64_t p = cpu_cut(s->t.panels, n_threads, thread);
         p < cpu_cut(s->t.panels, n_threads, thread + 1); p++) {
        cpu_tiles_lay_panel(&s->t, &s->w, call->w, p, m.panel);
        cpu_amx_fence();
        multiply_piece(&s->t, &piece, m.blocks, n, m.source, m.panel, p, call);
        cpu_amx_fence();
    }
}

CPU_PARTS_TARGET static void run_piece(const tile_conv *s, const conv_call *call, char *scratch,
                                       int64_t thread, int64_t i)
{
    const conv_memory m = memory_of(s, scratch, thread);
    const cpu_tiles_piece piece = cpu_tiles_piece_at(&s->t, i);
    const int64_t n = cpu_tiles_list(&s->t, &piece, m.blocks);
    lay_piece(&s->t, &piece, call->x, m.source);
    cpu_amx_fence();
    for (int64_t p = 0; p < s->t.panels; p++)
        multiply_piece(&s->t, &piece, m.blocks, n, m.source,
                       (const uint16_t *)(void *)scratch + p * s->panel, p, call);
    cpu_amx_fence();
}

static void run(const wisp_kernel *kernel, const conv_call *call, char *scratch)
{
    const tile_conv *s = kernel->state;
#pragma omp parallel num_threads(cpu_kernel_device(kernel)->n_threads)
    {
        const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
        cpu_amx_begin();
        if (s->is_whole) {
            run_panels(s, call, scratch, thread, threads);
        } else {
            for (int64_t p = cpu_cut(s->t.panels, threads, thread);
                 p < cpu_cut(s->t.panels, threads, thread + 1); p++)
                cpu_tiles_lay_panel(&s->t, &s->w, call->w, p,
                                    (uint16_t *)(void *)scratch + p * s->panel);
#pragma omp barrier
#pragma omp for schedule(dynamic, 1) nowait
            for (int64_t i = 0; i < cpu_tiles_pieces(&s->t); i++)
                run_piece(s, call, scratch, thread, i);
        }
        cpu_amx_end();
    }
}

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const tile_conv *s = kernel->state;
    const conv_call call = {in[0].data, in[1].data, s->has_bias ? in[2].data : NULL, out[0].data};
    run(kernel, &call, scratch);
    return WISP_OK;
}

static wisp_status run_grad_input(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const conv_call call = {in[0].data, in[1].data, NULL, out[0].data};
    run(kernel, &call, scratch);
    return WISP_OK;
}

/* --- Prepare --- */

static size_t plan_scratch(tile_conv *s, int32_t n_threads)
{
    size_t total = 0;
    s->panel = cpu_tiles_panel_values(&s->t);
    s->thread_bytes = cpu_tiles_bytes(&s->t);
    s->list_at = cpu_book(&s->thread_bytes, (size_t)s->t.max_blocks * sizeof(cpu_tiles_block));
    s->panel_at = cpu_book(&s->thread_bytes, s->is_whole ? (size_t)s->panel * 2 : 0);
    if (!s->is_whole)
        cpu_book(&total, (size_t)(s->t.panels * s->panel) * 2);
    s->threads_at = total;
    return total + s->thread_bytes * (size_t)n_threads;
}

/* `x`, `w` and `y` are those of the forward call. */
static wisp_status prepare(cpu_device *device, const wisp_kernel_request *request, int is_gradient,
                           const wisp_desc *x, const wisp_desc *w, const wisp_desc *y,
                           wisp_kernel **kernel, wisp_error *err)
{
    const int64_t least = is_gradient ? MIN_PIXELS_INPUT : MIN_PIXELS_FORWARD;
    WISP_TRY(cpu_tiles_judge(device, request, x, w, y, least, err));
    cpu_tiles t;
    const int pass = is_gradient ? CPU_TILES_INPUT : CPU_TILES_FORWARD;
    const char *refusal =
        cpu_tiles_plan(request->attrs, x->shape, w->shape, y->shape, pass, WHOLE_BYTES, &t);
    const int is_whole = !refusal && cpu_tiles_pieces(&t) == 1 && t.panels >= device->n_threads;
    if (!refusal && !is_whole)
        refusal =
            cpu_tiles_plan(request->attrs, x->shape, w->shape, y->shape, pass, PIECE_BYTES, &t);
    if (refusal)
        return wisp_refuse(request, err, "%s", refusal);
    WISP_TRY(cpu_kernel_create(device, "tiles:3xbf16", is_gradient ? run_grad_input : run_forward,
                               sizeof(tile_conv), NULL, kernel, err));
    tile_conv *s = (*kernel)->state;
    s->t = t;
    s->is_whole = is_whole;
    if (!is_whole && device->n_threads > 1)
        cpu_tiles_cut(&s->t,
                      (s->t.panels * cpu_tiles_panel_values(&s->t) * 2 > MANY_WEIGHTS ? 1 : 4) *
                          device->n_threads);
    cpu_tiles_weights_plan(w->shape, is_gradient, &s->w);
    s->has_bias = !is_gradient && request->n_in > 2 && request->in[2];
    (*kernel)->scratch_bytes = plan_scratch(s, device->n_threads);
    return WISP_OK;
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, 0, request->in[0], request->in[1], request->out[0], kernel,
                   err);
}

static wisp_status prepare_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, 1, request->out[0], request->in[1], request->in[0], kernel,
                   err);
}

const cpu_kernel_entry cpu_conv_tiles_kernels[] = {
    {"conv2d", prepare_forward},
    {"conv2d_grad_input", prepare_grad_input},
    {NULL, NULL},
};

#else

const cpu_kernel_entry cpu_conv_tiles_kernels[] = {{NULL, NULL}};

#endif
