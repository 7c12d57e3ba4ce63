/* cpu_conv_tiles_weights.c - gradient of a convolution's f32 weights on matrix tiles.
 *
 *   dw[o, c, tap] = sum over output pixels p of dy[p, o] * x[p moved by tap, c]
 *
 * x lies as cpu_conv_tiles.h says, but two positions side by side, which is a right matrix: a group
 * of images is even, so taps move by whole pairs. dy lies in lines of an output channel, 32
 * positions each, a left matrix. A square of 32 x 32 channels is summed, tap by tap, in the order
 * of the pixels. The squares are cut into slices, one a thread; each slice lays out for itself what
 * its squares need. */
#include <omp.h>

#include "cpu_bias_grad.h"
#include "cpu_conv_tiles.h"
#include "cpu_conv_tiles_step.h"
#include "cpu_empty.h"
#include "kernel_table.h"

#ifdef CPU_CAN_AMX

enum { PARTS = CPU_PARTS_F32, TILE = CPU_TILES_TILE, BLOCK = CPU_TILES_BLOCK };
enum { SQUARE = BLOCK * BLOCK, PIECE_BYTES = 900 * 1024 };
/* With fewer, weights are better written as they lie: see cpu_conv_few.c. */
enum { MIN_PIXELS = 48 };
enum { WOVEN_TAPS = 9, STREAMED_VALUES = 512 * 1024 };

typedef struct weights_conv {
    cpu_tiles t;
    cpu_bias_grad bias;
    int64_t row_steps, steps; /* of 32 positions: in a row of outputs, in a piece */
    int64_t squares, units;   /* a unit is a square, or a tap of one */
    int64_t n_slices;
    size_t lines_at, square_at, slices_at,
        slice_bytes; /* in scratch; sums of all squares are at 0 */
    int32_t has_bias, adds;
    int32_t by_tap;  /* units are taps, for want of squares */
    int32_t at_once; /* there is one piece: a square is put away when it is summed */
    int32_t streams; /* dw is large and goes past the caches */
    int32_t order[WOVEN_TAPS][WOVEN_TAPS][TILE]; /* see put_woven */
} weights_conv;

typedef struct weights_call {
    const float *x, *dy;
    float *dw;
    char *scratch;
} weights_call;

/* What a slice needs: units, and the blocks of channels that they are of. */
typedef struct slice {
    int64_t first, last, first_o, last_o, first_c, last_c;
    uint16_t *x, *lines;
    float *square;
} slice;

static slice slice_at(const weights_conv *s, char *scratch, int64_t i)
{
    const int64_t taps = s->by_tap ? s->t.n_taps : 1, c = s->t.k_blocks;
    slice it = {.first = cpu_cut(s->units, s->n_slices, i),
                .last = cpu_cut(s->units, s->n_slices, i + 1)};
    const int64_t first = it.first / taps, last = (it.last + taps - 1) / taps;
    it.first_o = first / c, it.last_o = (last + c - 1) / c;
    it.first_c = it.last_o - it.first_o == 1 ? first % c : 0;
    it.last_c = it.last_o - it.first_o == 1 ? (last - 1) % c + 1 : c;
    char *at = scratch + s->slices_at + (size_t)i * s->slice_bytes;
    it.x = (uint16_t *)(void *)at;
    it.lines = (uint16_t *)(void *)(at + s->lines_at);
    it.square = (float *)(void *)(at + s->square_at);
    return it;
}

/* --- Layouts --- */

/* A pixel, or no pixel. */
typedef struct pixel {
    const float *at;
    __mmask16 is_there;
} pixel;

CPU_PARTS_INLINE __m512 load(pixel p, int64_t channel, __mmask16 mask)
{
    return _mm512_maskz_loadu_ps(mask & p.is_there, p.at + channel);
}

static pixel pixel_of(const cpu_tiles_map *map, const float *data, int64_t image, int64_t y,
                      int64_t x, int is_there)
{
    if (!is_there || y < 0 || y >= map->h || x < 0 || x >= map->w)
        return (pixel){data, 0};
    return (pixel){data + ((image * map->h + y) * map->w + x) * map->c, 0xffff};
}

/* Channels of two pixels, taken in turn. */
CPU_PARTS_INLINE void lay_pair(const cpu_tiles *t, const slice *it, pixel even, pixel odd,
                               uint16_t *to)
{
    for (int64_t c = it->first_c * BLOCK; c < it->last_c * BLOCK; c += TILE) {
        const __mmask16 mask = cpu_parts_mask(t->from.c - c);
        __m512i part[PARTS];
        cpu_tiles_split(load(even, c, mask), load(odd, c, mask), part);
        for (int p = 0; p < PARTS; p++)
            _mm512_store_si512(to + c / BLOCK * t->block + p * t->part + c % BLOCK * 2,
                               cpu_tiles_weave(part[p]));
    }
}

/* The source of a piece; what follows it is met by zeros of dy and must be numbers. */
CPU_PARTS_TARGET static void lay_x(const cpu_tiles *t, const slice *it,
                                   const cpu_tiles_piece *piece, const float *x)
{
    const int64_t rows = cpu_tiles_rows(t, piece);
    const int64_t first = piece->first * t->row_step + t->min_row;
    const int64_t end = (piece->group + 1) * t->group;
    uint16_t *to = it->x;
    for (int64_t y = first; y < first + rows; y++)
        for (int64_t i = 0; i < t->planes * t->columns; i++) {
            const int64_t plane = i < t->columns ? 0 : i / t->columns;
            const int64_t z = (i - plane * t->columns + t->min_column) * t->planes + plane;
            for (int64_t n = end - t->group; n < end; n += 2, to += 2 * BLOCK)
                lay_pair(t, it, pixel_of(&t->from, x, n, y, z, n < t->n),
                         pixel_of(&t->from, x, n + 1, y, z, n + 1 < t->n), to);
        }
    for (int64_t c = it->first_c; c < it->last_c; c++)
        memset(it->x + c * t->block + PARTS * t->part, 0, CPU_TILES_SLACK * sizeof *it->x);
}

/* 32 positions of 16 output channels, as lines. */
CPU_PARTS_INLINE void lay_lines(const pixel *from, int64_t channel, __mmask16 mask, int64_t part,
                                uint16_t *to)
{
    __m512i block[PARTS][TILE];
    for (int i = 0; i < TILE; i++) {
        __m512i values[PARTS];
        cpu_tiles_split(load(from[2 * i], channel, mask), load(from[2 * i + 1], channel, mask),
                        values);
        for (int p = 0; p < PARTS; p++)
            block[p][i] = cpu_tiles_weave(values[p]);
    }
    for (int p = 0; p < PARTS; p++) {
        cpu_amx_transpose16(block[p]);
        for (int i = 0; i < TILE; i++)
            _mm512_store_si512(to + p * part + i * BLOCK, block[p][i]);
    }
}

/* Positions i * 32 .. i * 32 + 31 of a row of outputs. */
static void find_pixels(const weights_conv *s, const cpu_tiles_piece *piece, int64_t row, int64_t i,
                        const float *dy, pixel *from)
{
    const cpu_tiles *t = &s->t;
    int64_t column = i * BLOCK / t->group, n = i * BLOCK % t->group;
    for (int64_t k = 0; k < BLOCK; k++) {
        const int64_t image = piece->group * t->group + n;
        from[k] = pixel_of(&t->to, dy, image, row, column, image < t->n);
        if (++n == t->group)
            n = 0, column++;
    }
}

CPU_PARTS_TARGET static void lay_dy(const weights_conv *s, const slice *it,
                                    const cpu_tiles_piece *piece, const float *dy)
{
    const int64_t part = s->steps * SQUARE;
    uint16_t *to = it->lines;
    for (int64_t row = piece->first; row < piece->last; row++)
        for (int64_t i = 0; i < s->row_steps; i++, to += SQUARE) {
            pixel from[BLOCK];
            find_pixels(s, piece, row, i, dy, from);
            for (int64_t o = it->first_o; o < it->last_o; o++)
                for (int64_t half = 0; half < BLOCK; half += TILE)
                    lay_lines(from, o * BLOCK + half, cpu_parts_mask(s->t.to.c - o * BLOCK - half),
                              part, to + (o - it->first_o) * PARTS * part + half * BLOCK);
        }
}

/* --- Product --- */

/* sum (32 o, 32 c) = one tap of a piece. */
CPU_PARTS_INLINE void multiply_tap(const weights_conv *s, const cpu_tiles_piece *piece,
                                   const cpu_tiles_tap *tap, const uint16_t *lines,
                                   const uint16_t *x, float *sum)
{
    const cpu_tiles *t = &s->t;
    const int64_t row = t->row_step * t->planes * t->columns * t->group;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t r = piece->first; r < piece->last; r++) {
        const int64_t y = r * t->row_step + tap->row;
        if (y < 0 || y >= t->from.h)
            continue;
        const uint16_t *a = lines + (r - piece->first) * s->row_steps * SQUARE;
        const uint16_t *b = x + ((r - piece->first) * row + tap->shift) * BLOCK;
        for (int64_t i = 0; i < s->row_steps; i++, a += SQUARE, b += BLOCK * BLOCK)
            cpu_tiles_step(a, a + SQUARE / 2, s->steps * SQUARE, b, b + BLOCK, t->part, 128);
    }
    _tile_stored(0, sum, 128);
    _tile_stored(1, sum + 16, 128);
    _tile_stored(2, sum + 512, 128);
    _tile_stored(3, sum + 528, 128);
}

/* Pieces are added up outside of the tiles: a long sum loses less in parts. */
CPU_PARTS_INLINE void add_taps(const float *from, int64_t n, float *sum)
{
    for (int64_t i = 0; i < n * SQUARE; i += TILE)
        _mm512_store_ps(sum + i, _mm512_add_ps(_mm512_load_ps(sum + i), _mm512_load_ps(from + i)));
}

/* --- dw --- */

CPU_PARTS_INLINE void put_vector(const weights_conv *s, __m512 v, __mmask16 mask, float *dw)
{
    if (s->adds)
        v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, dw));
    if (s->streams && mask == 0xffff && (uintptr_t)dw % 64 == 0)
        _mm512_stream_ps(dw, v);
    else
        _mm512_mask_storeu_ps(dw, mask, v);
}

/* 16 channels of one output: a vector for each tap, woven into the order of dw. `order` says which
 * values of the vectors so far, and which of the next one, stand where. */
CPU_PARTS_INLINE void put_woven(const weights_conv *s, const float *sum, int64_t channels,
                                float *dw)
{
    const int32_t taps = s->t.n_taps;
    for (int32_t j = 0; j < taps; j++) {
        __m512 v = _mm512_load_ps(sum);
        for (int32_t i = 1; i < taps; i++)
            v = _mm512_permutex2var_ps(v, _mm512_loadu_si512(s->order[j][i]),
                                       _mm512_load_ps(sum + (int64_t)i * SQUARE));
        put_vector(s, v, cpu_parts_mask(channels * taps - j * TILE), dw + j * TILE);
    }
}

/* The same for large windows, value by value. */
static void put_values(const weights_conv *s, const float *sum, int64_t channels, float *dw)
{
    for (int64_t c = 0; c < channels; c++)
        for (int32_t i = 0; i < s->t.n_taps; i++, dw++)
            *dw = sum[(int64_t)i * SQUARE + c] + (s->adds ? *dw : 0.0f);
}

CPU_PARTS_TARGET static void put_square(const weights_conv *s, int64_t square, const float *sum,
                                        float *dw)
{
    const cpu_tiles *t = &s->t;
    const int64_t o = square / t->k_blocks * BLOCK, c = square % t->k_blocks * BLOCK;
    for (int64_t i = 0; i < BLOCK && o + i < t->to.c; i++)
        for (int64_t half = 0; half < BLOCK && c + half < t->from.c; half += TILE) {
            const int64_t left = t->from.c - c - half, channels = left < TILE ? left : TILE;
            float *to = dw + ((o + i) * t->from.c + c + half) * t->n_taps;
            if (t->n_taps <= WOVEN_TAPS)
                put_woven(s, sum + i * BLOCK + half, channels, to);
            else
                put_values(s, sum + i * BLOCK + half, channels, to);
        }
    if (s->streams)
        _mm_sfence();
}

/* --- Run --- */

static float *sum_of(const weights_conv *s, const weights_call *call, int64_t square)
{
    return (float *)(void *)call->scratch + square * s->t.n_taps * SQUARE;
}

CPU_PARTS_TARGET static void multiply_unit(const weights_conv *s, const weights_call *call,
                                           const slice *it, const cpu_tiles_piece *piece,
                                           int64_t unit, int fresh)
{
    const cpu_tiles *t = &s->t;
    const int64_t square = s->by_tap ? unit / t->n_taps : unit;
    const int64_t first = s->by_tap ? unit % t->n_taps : 0;
    const int64_t o = square / t->k_blocks - it->first_o, c = square % t->k_blocks;
    const uint16_t *lines = it->lines + o * PARTS * s->steps * SQUARE;
    const int64_t n = s->by_tap ? 1 : t->n_taps;
    float *total = sum_of(s, call, square) + first * SQUARE;
    float *sum = s->at_once || !fresh ? it->square : total;
    for (int64_t i = 0; i < n; i++)
        multiply_tap(s, piece, &t->taps[first + i], lines, it->x + c * t->block, sum + i * SQUARE);
    cpu_amx_fence();
    if (s->at_once)
        put_square(s, square, sum, call->dw);
    else if (!fresh)
        add_taps(sum, n, total);
    cpu_amx_fence();
}

static void run_slice(const weights_conv *s, const weights_call *call, int64_t i)
{
    const slice it = slice_at(s, call->scratch, i);
    if (it.first == it.last)
        return;
    cpu_amx_begin();
    for (int64_t p = 0; p < cpu_tiles_pieces(&s->t); p++) {
        const cpu_tiles_piece piece = cpu_tiles_piece_at(&s->t, p);
        lay_x(&s->t, &it, &piece, call->x);
        lay_dy(s, &it, &piece, call->dy);
        cpu_amx_fence();
        for (int64_t u = it.first; u < it.last; u++)
            multiply_unit(s, call, &it, &piece, u, p == 0);
    }
    cpu_amx_end();
}

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const cpu_device *device = cpu_kernel_device(kernel);
    const weights_conv *s = kernel->state;
    const weights_call call = {in[0].data, in[1].data, out[0].data, scratch};
#pragma omp parallel num_threads(device->n_threads)
    {
#pragma omp for schedule(static, 1)
        for (int64_t i = 0; i < s->n_slices; i++)
            run_slice(s, &call, i);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < (s->at_once ? 0 : s->squares); i++)
            put_square(s, i, sum_of(s, &call, i), call.dw);
    }
    if (s->has_bias)
        cpu_bias_grad_run(device, &s->bias, in[1].data, out[1].data, scratch);
    return WISP_OK;
}

/* --- Prepare --- */

/* Value k of dw is of tap k % taps and channel k / taps. */
static void plan_order(weights_conv *s)
{
    const int32_t taps = s->t.n_taps;
    for (int32_t k = 0; taps <= WOVEN_TAPS && k < taps * TILE; k++)
        for (int32_t i = 0; i < taps; i++) {
            int32_t *order = &s->order[k / TILE][i][k % TILE];
            *order = i == k % taps ? TILE + k / taps : k % TILE;
            if (i == 1 && k % taps == 0)
                *order = k / taps;
        }
}

static void plan_slices(weights_conv *s, int32_t n_threads)
{
    const cpu_tiles *t = &s->t;
    s->squares = t->panels * t->k_blocks;
    s->by_tap = s->squares < 4 * n_threads && s->squares % n_threads != 0;
    s->units = s->by_tap ? s->squares * t->n_taps : s->squares;
    s->n_slices = n_threads;
    s->at_once = !s->by_tap && cpu_tiles_pieces(t) == 1;
    s->row_steps = (t->phases[0].columns * t->group + BLOCK - 1) / BLOCK;
    s->steps = s->row_steps * t->band;
    plan_order(s);
}

static size_t plan_scratch(weights_conv *s)
{
    const size_t square = (size_t)(s->t.n_taps * SQUARE) * sizeof(float);
    int64_t most = 0;
    for (int64_t i = 0; i < s->n_slices; i++) {
        const slice it = slice_at(s, NULL, i);
        most = it.last_o - it.first_o > most ? it.last_o - it.first_o : most;
    }
    s->slices_at = s->at_once ? 0 : (size_t)s->squares * square;
    s->slice_bytes = cpu_tiles_bytes(&s->t);
    s->lines_at = cpu_book(&s->slice_bytes, (size_t)(most * PARTS * s->steps * SQUARE) * 2);
    s->square_at = cpu_book(&s->slice_bytes, square);
    return s->slices_at + s->slice_bytes * (size_t)s->n_slices;
}

static wisp_status prepare(cpu_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    cpu_tiles t;
    WISP_TRY(cpu_tiles_judge(device, request, request->in[0], request->out[0], request->in[1],
                             MIN_PIXELS, err));
    const char *refusal = cpu_tiles_plan(a, request->in[0]->shape, request->out[0]->shape,
                                         request->in[1]->shape, CPU_TILES_WEIGHTS, PIECE_BYTES, &t);
    if (refusal)
        return wisp_refuse(request, err, "%s", refusal);
    WISP_TRY(
        cpu_kernel_create(device, "tiles:3xbf16", run, sizeof(weights_conv), NULL, kernel, err));
    weights_conv *s = (*kernel)->state;
    s->t = t;
    s->adds = request->n_in > 2 && request->in[2];
    s->streams = !s->adds && wisp_desc_count(request->out[0]) > STREAMED_VALUES;
    plan_slices(s, device->n_threads);
    (*kernel)->scratch_bytes = plan_scratch(s);
    s->has_bias = a->want_bias && request->n_out > 1 && request->out[1] && request->out[1]->dtype;
    if (s->has_bias)
        cpu_bias_grad_plan(device, request->in[1], &s->bias);
    if (s->bias.scratch_bytes > (*kernel)->scratch_bytes)
        (*kernel)->scratch_bytes = s->bias.scratch_bytes;
    return WISP_OK;
}

const cpu_kernel_entry cpu_conv_tiles_weights_kernels[] = {
    {"conv2d_grad_weight", prepare},
    {NULL, NULL},
};

#else

const cpu_kernel_entry cpu_conv_tiles_weights_kernels[] = {{NULL, NULL}};

#endif
