/* cpu_few_bf16.c - products with few rows in bf16: matrix tiles, fed with weights that are rounded
 * as they are read.
 *
 *   forward    tiles of w (16 o, 32 k) by pairs of k of x: y comes out transposed
 *   input      tiles of dy (16 m, 32 o) by pairs of o of w
 *   weights    tiles of dy transposed (16 o, 32 m) by pairs of m of x */
#include "cpu_few.h"

#ifdef CPU_CAN_FEW

#include <math.h>

#include "cpu_amx.h"

#define FEW_TARGET                                                                                 \
    __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

enum { TILE = 16, BLOCK = 32, TILE_VALUES = 512 /* of 16 bits */, SUM_VALUES = 256 /* f32 */ };
/* k of a strip of w in the first cache; rows and columns of a panel of w there. */
enum { STRIP = 1024, STRIP_PITCH = STRIP + BLOCK, PANEL_ROWS = 128, PANEL_TILES = 8 };

static int64_t smallest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* What tile instructions read is in memory from here on, and what they wrote can be read. */
static inline void settle(void)
{
    __asm__ volatile("" ::: "memory");
}

FEW_TARGET static __m512i load_pairs(const uint16_t *from, int is_there)
{
    return is_there ? _mm512_loadu_si512(from) : _mm512_setzero_si512();
}

FEW_TARGET static __m512i round_32(const float *from)
{
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16), _mm512_loadu_ps(from));
}

/* --- Plan --- */

void cpu_few_plan_bf16(cpu_few *f, int64_t n_threads)
{
    const int64_t rows = up(f->rows, f->pass == CPU_FEW_WEIGHTS ? BLOCK : TILE);
    size_t first = 0, second = 0, own = 0;
    if (f->pass == CPU_FEW_FORWARD) {
        first = (size_t)(rows * f->k) * 2;
        own = (size_t)(TILE * STRIP_PITCH) * 2 + (size_t)(rows / TILE * SUM_VALUES) * 4;
    } else if (f->pass == CPU_FEW_INPUT) {
        first = (size_t)(rows * (f->o + BLOCK)) * 2;
        own = (size_t)(PANEL_ROWS / BLOCK * PANEL_TILES * TILE_VALUES) * 2;
    } else {
        first = (size_t)(rows * f->k) * 2;
        second = (size_t)(rows * f->o) * 2;
        own = (size_t)(4 * SUM_VALUES) * 4;
    }
    f->second_at = cpu_align64(first);
    f->threads_at = cpu_align64(f->second_at + second);
    f->thread_bytes = cpu_align64(own);
    f->scratch_bytes = f->threads_at + (size_t)n_threads * f->thread_bytes;
}

/* --- forward --- */

/* x in tiles of pairs, [rows / 16][k / 32][16 pairs of k][16 m][2]. */
FEW_TARGET static void lay_forward(const cpu_few *f, const cpu_few_call *call, int64_t part,
                                   int64_t parts)
{
    const int64_t blocks = f->k / BLOCK, n = up(f->rows, TILE) / TILE * blocks;
    const uint16_t *x = call->x;
    for (int64_t i = cpu_few_cut(n, parts, part); i < cpu_few_cut(n, parts, part + 1); i++) {
        const int64_t m = i / blocks * TILE, k = i % blocks * BLOCK;
        __m512i row[TILE];
        for (int r = 0; r < TILE; r++)
            row[r] = load_pairs(x + (m + r) * f->k + k, m + r < f->rows);
        cpu_amx_transpose16(row);
        uint16_t *to = (uint16_t *)call->scratch + i * TILE_VALUES;
        for (int r = 0; r < TILE; r++)
            _mm512_store_si512(to + r * BLOCK, row[r]);
    }
}

/* 16 rows of w, rounded; the strip that follows is fetched. */
FEW_TARGET static void round_strip(const float *w, int64_t pitch, int64_t n, const float *ahead,
                                   uint16_t *strip)
{
    for (int64_t r = 0; r < TILE; r++)
        for (int64_t k = 0; k < n; k += BLOCK) {
            _mm512_store_si512(strip + r * STRIP_PITCH + k, round_32(w + r * pitch + k));
            _mm_prefetch((const char *)(ahead + r * pitch + k), _MM_HINT_T1);
            _mm_prefetch((const char *)(ahead + r * pitch + k + 16), _MM_HINT_T1);
        }
}

/* A strip by up to 4 tiles of rows; their sums lie one after the other. */
FEW_TARGET static void multiply_strip(const uint16_t *strip, int64_t n, const uint16_t *x,
                                      int64_t x_pitch, float *sum, int64_t tiles, int fresh)
{
    if (fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sum, 64);
        _tile_loadd(1, sum + (tiles > 1 ? SUM_VALUES : 0), 64);
        _tile_loadd(2, sum + (tiles > 2 ? 2 * SUM_VALUES : 0), 64);
        _tile_loadd(3, sum + (tiles > 3 ? 3 * SUM_VALUES : 0), 64);
    }
    for (int64_t k = 0; k < n; k += BLOCK) {
        const uint16_t *at = x + k * TILE;
        _tile_loadd(4, strip + k, STRIP_PITCH * 2);
        _tile_loadd(5, at, 64);
        _tile_dpbf16ps(0, 4, 5);
        if (tiles > 1) {
            _tile_loadd(6, at + x_pitch, 64);
            _tile_dpbf16ps(1, 4, 6);
        }
        if (tiles > 2) {
            _tile_loadd(7, at + 2 * x_pitch, 64);
            _tile_dpbf16ps(2, 4, 7);
        }
        if (tiles > 3) {
            _tile_loadd(5, at + 3 * x_pitch, 64);
            _tile_dpbf16ps(3, 4, 5);
        }
    }
    _tile_stored(0, sum, 64);
    if (tiles > 1)
        _tile_stored(1, sum + SUM_VALUES, 64);
    if (tiles > 2)
        _tile_stored(2, sum + 2 * SUM_VALUES, 64);
    if (tiles > 3)
        _tile_stored(3, sum + 3 * SUM_VALUES, 64);
}

/* A tile of sums, (16 o, 16 m), to its place in y: times the factors, plus the bias. */
FEW_TARGET static void finish_tile(const float *sum, const float *factor, const float *bias,
                                   int64_t rows, uint16_t *y, int64_t pitch)
{
    __m512i row[TILE];
    const __m512 a = _mm512_loadu_ps(factor);
    const __m512 b = bias ? _mm512_loadu_ps(bias) : _mm512_setzero_ps();
    for (int r = 0; r < TILE; r++)
        row[r] = _mm512_load_si512(sum + r * TILE);
    cpu_amx_transpose16(row);
    for (int64_t m = 0; m < rows; m++)
        _mm256_storeu_si256(
            (__m256i *)(void *)(y + m * pitch),
            (__m256i)_mm512_cvtneps_pbh(_mm512_fmadd_ps(_mm512_castsi512_ps(row[m]), a, b)));
}

FEW_TARGET static void forward(const cpu_few *f, const cpu_few_call *call, char *own, int64_t first,
                               int64_t last)
{
    const int64_t tiles = up(f->rows, TILE) / TILE, x_pitch = f->k * TILE;
    const uint16_t *x = (const uint16_t *)call->scratch;
    uint16_t *strip = (uint16_t *)own;
    float *sum = (float *)(own + (size_t)(TILE * STRIP_PITCH) * 2);
    for (int64_t o = first; o < last; o += TILE) {
        float squares[TILE] = {0}, factor[TILE];
        for (int64_t k = 0; k < f->k; k += STRIP) {
            const int64_t n = smallest(STRIP, f->k - k);
            const float *w = call->w + o * f->k + k;
            const float *ahead = k + n < f->k      ? w + n
                                 : o + TILE < last ? call->w + (o + TILE) * f->k
                                                   : w;
            round_strip(w, f->k, n, ahead, strip);
            settle();
            for (int64_t t = 0; t < tiles; t += 4)
                multiply_strip(strip, n, x + t * x_pitch + k * TILE, x_pitch, sum + t * SUM_VALUES,
                               smallest(4, tiles - t), k == 0);
            settle();
            if (f->is_normed)
                cpu_few_add_squares(w, f->k, TILE, n, squares);
        }
        for (int64_t i = 0; i < TILE; i++) {
            factor[i] = 1.0f;
            if (f->is_normed) {
                call->norm[o + i] = sqrtf(squares[i]);
                factor[i] = call->gain[o + i] / call->norm[o + i];
            }
        }
        for (int64_t t = 0; t < tiles; t++)
            finish_tile(sum + t * SUM_VALUES, factor, call->bias ? call->bias + o : NULL,
                        smallest(TILE, f->rows - t * TILE),
                        (uint16_t *)call->y + t * TILE * f->o + o, f->o);
    }
}

/* --- input --- */

/* dy with rows of zeros behind the last, and a pitch that spreads them over the cache. */
static void lay_input(const cpu_few *f, const cpu_few_call *call, int64_t part, int64_t parts)
{
    const int64_t n = up(f->rows, TILE);
    uint16_t *to = (uint16_t *)call->scratch;
    for (int64_t m = cpu_few_cut(n, parts, part); m < cpu_few_cut(n, parts, part + 1); m++)
        if (m < f->rows)
            memcpy(to + m * (f->o + BLOCK), (const uint16_t *)call->dy + m * f->o,
                   (size_t)f->o * 2);
        else
            memset(to + m * (f->o + BLOCK), 0, (size_t)f->o * 2);
}

/* Rows of w, times their factors, as pairs, [rows / 32][tiles][16 pairs of o][16 k][2]. */
FEW_TARGET static void round_panel(const float *w, const float *factor, int64_t pitch, int64_t rows,
                                   int64_t tiles, uint16_t *panel)
{
    const __m512i weave =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (int64_t r = 0; r < rows; r += 2) {
        uint16_t *to = panel + r / BLOCK * PANEL_TILES * TILE_VALUES + r % BLOCK * TILE;
        const __m512 one = _mm512_set1_ps(1.0f);
        const __m512 even = factor ? _mm512_set1_ps(factor[r]) : one;
        const __m512 odd = factor ? _mm512_set1_ps(factor[r + 1]) : one;
        for (int64_t t = 0; t < tiles; t++) {
            const float *from = w + r * pitch + t * TILE;
            const __m512i both =
                (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(odd, _mm512_loadu_ps(from + pitch)),
                                             _mm512_mul_ps(even, _mm512_loadu_ps(from)));
            _mm_prefetch((const char *)(from + 8 * pitch), _MM_HINT_T0);
            _mm_prefetch((const char *)(from + 9 * pitch), _MM_HINT_T0);
            _mm512_store_si512(to + t * TILE_VALUES, _mm512_permutexvar_epi16(weave, both));
        }
    }
}

/* 16 or 32 rows of dx by 32 columns, += or = dy * panel. */
FEW_TARGET static void multiply_panel(const uint16_t *dy, int64_t dy_pitch, const uint16_t *panel,
                                      int64_t blocks, float *dx, int64_t pitch, int both, int fresh)
{
    const int64_t bytes = pitch * 4;
    float *low = both ? dx + TILE * pitch : dx;
    if (fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, dx, bytes);
        _tile_loadd(1, dx + TILE, bytes);
        _tile_loadd(2, low, bytes);
        _tile_loadd(3, low + TILE, bytes);
    }
    for (int64_t b = 0; b < blocks; b++) {
        const uint16_t *at = panel + b * PANEL_TILES * TILE_VALUES;
        _tile_loadd(4, dy + b * BLOCK, dy_pitch * 2);
        _tile_loadd(6, at, 64);
        _tile_loadd(7, at + TILE_VALUES, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (both) {
            _tile_loadd(5, dy + TILE * dy_pitch + b * BLOCK, dy_pitch * 2);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, dx, bytes);
    _tile_stored(1, dx + TILE, bytes);
    if (both) {
        _tile_stored(2, low, bytes);
        _tile_stored(3, low + TILE, bytes);
    }
}

FEW_TARGET static void input(const cpu_few *f, const cpu_few_call *call, char *own, int64_t first,
                             int64_t last)
{
    const int64_t rows = up(f->rows, TILE), dy_pitch = f->o + BLOCK;
    const uint16_t *dy = (const uint16_t *)call->scratch;
    uint16_t *panel = (uint16_t *)own;
    const float *factor = f->is_normed ? cpu_few_factors(f, call) : NULL;
    for (int64_t o = 0; o < f->o; o += PANEL_ROWS)
        for (int64_t k = first; k < last; k += PANEL_TILES * TILE) {
            const int64_t n = smallest(PANEL_ROWS, f->o - o);
            const int64_t tiles = smallest(PANEL_TILES, (last - k) / TILE);
            round_panel(call->w + o * f->k + k, factor ? factor + o : NULL, f->k, n, tiles, panel);
            settle();
            for (int64_t m = 0; m < rows; m += BLOCK)
                for (int64_t t = 0; t < tiles; t += 2)
                    multiply_panel(dy + m * dy_pitch + o, dy_pitch, panel + t * TILE_VALUES,
                                   n / BLOCK, call->dx + m * f->k + k + t * TILE, f->k,
                                   m + TILE < rows, o == 0);
            settle();
        }
}

/* --- weights --- */

/* x as pairs of rows, [k / 32][rows / 32][2][16 pairs of m][16 k][2]; dy transposed,
 * [o / 32][rows / 32][2][16 o][32 m]. */
FEW_TARGET static void lay_weights(const cpu_few *f, const cpu_few_call *call, int64_t part,
                                   int64_t parts)
{
    const int64_t blocks = up(f->rows, BLOCK) / BLOCK;
    const int64_t nx = f->k / BLOCK * blocks, n = nx + f->o / BLOCK * blocks;
    for (int64_t i = cpu_few_cut(n, parts, part); i < cpu_few_cut(n, parts, part + 1); i++) {
        const int is_x = i < nx;
        const int64_t at = is_x ? i : i - nx, m = at % blocks * BLOCK;
        const int64_t width = is_x ? f->k : f->o;
        const uint16_t *from =
            (const uint16_t *)(is_x ? call->x : call->dy) + m * width + at / blocks * BLOCK;
        uint16_t *to =
            (uint16_t *)(call->scratch + (is_x ? 0 : f->second_at)) + at * 2 * TILE_VALUES;
        __m512i low[TILE], high[TILE];
        for (int r = 0; r < TILE; r++)
            cpu_amx_pair(load_pairs(from + 2 * r * width, m + 2 * r < f->rows),
                         load_pairs(from + (2 * r + 1) * width, m + 2 * r + 1 < f->rows), &low[r],
                         &high[r]);
        if (!is_x) {
            cpu_amx_transpose16(low);
            cpu_amx_transpose16(high);
        }
        for (int r = 0; r < TILE; r++) {
            _mm512_store_si512(to + r * BLOCK, low[r]);
            _mm512_store_si512(to + TILE_VALUES + r * BLOCK, high[r]);
        }
    }
}

/* The four tiles of (32 o, 32 k), over all rows. */
FEW_TARGET static void multiply_block(const uint16_t *dy, const uint16_t *x, int64_t blocks,
                                      float *dw, int64_t pitch, int adds)
{
    if (adds) {
        _tile_loadd(0, dw, pitch * 4);
        _tile_loadd(1, dw + TILE, pitch * 4);
        _tile_loadd(2, dw + TILE * pitch, pitch * 4);
        _tile_loadd(3, dw + TILE * pitch + TILE, pitch * 4);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t b = 0; b < blocks; b++) {
        _tile_loadd(4, dy + b * 2 * TILE_VALUES, 64);
        _tile_loadd(5, dy + b * 2 * TILE_VALUES + TILE_VALUES, 64);
        _tile_loadd(6, x + b * 2 * TILE_VALUES, 64);
        _tile_loadd(7, x + b * 2 * TILE_VALUES + TILE_VALUES, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

FEW_TARGET static void store_block(float *dw, int64_t pitch)
{
    _tile_stored(0, dw, pitch * 4);
    _tile_stored(1, dw + TILE, pitch * 4);
    _tile_stored(2, dw + TILE * pitch, pitch * 4);
    _tile_stored(3, dw + TILE * pitch + TILE, pitch * 4);
}

/* Normed: what the sums are in the gradient of v. */
FEW_TARGET static void turn_block(float *sum, const float *v, int64_t pitch, const float *factor,
                                  const float *share)
{
    for (int64_t r = 0; r < BLOCK; r++)
        for (int64_t k = 0; k < BLOCK; k += TILE) {
            float *at = sum + r * BLOCK + k;
            const __m512 scaled = _mm512_mul_ps(_mm512_set1_ps(factor[r]), _mm512_load_ps(at));
            _mm512_store_ps(at, _mm512_fnmadd_ps(_mm512_set1_ps(share[r]),
                                                 _mm512_loadu_ps(v + r * pitch + k), scaled));
        }
}

/* Past the caches, where the place allows it: nobody reads dw soon. */
FEW_TARGET static void stream_block(const float *sum, float *dw, int64_t pitch)
{
    if ((uintptr_t)dw % 64 != 0) {
        for (int64_t r = 0; r < BLOCK; r++)
            memcpy(dw + r * pitch, sum + r * BLOCK, BLOCK * sizeof *sum);
        return;
    }
    for (int64_t r = 0; r < BLOCK; r++) {
        _mm512_stream_ps(dw + r * pitch, _mm512_load_ps(sum + r * BLOCK));
        _mm512_stream_ps(dw + r * pitch + TILE, _mm512_load_ps(sum + r * BLOCK + TILE));
    }
}

FEW_TARGET static void weights(const cpu_few *f, const cpu_few_call *call, char *own, int64_t first,
                               int64_t last)
{
    const int64_t blocks = up(f->rows, BLOCK) / BLOCK, step = blocks * 2 * TILE_VALUES;
    const uint16_t *x = (const uint16_t *)call->scratch;
    const uint16_t *dy = (const uint16_t *)(call->scratch + f->second_at);
    for (int64_t o = first; o < last; o++)
        for (int64_t k = 0; k < f->k / BLOCK; k++) {
            float *dw = call->dw + o * BLOCK * f->k + k * BLOCK;
            multiply_block(dy + o * step, x + k * step, blocks, dw, f->k, call->adds);
            if (call->adds) {
                store_block(dw, f->k);
                continue;
            }
            store_block((float *)own, BLOCK);
            settle();
            if (f->is_normed)
                turn_block((float *)own, call->w + o * BLOCK * f->k + k * BLOCK, f->k,
                           cpu_few_factors(f, call) + o * BLOCK,
                           cpu_few_shares(f, call) + o * BLOCK);
            stream_block((const float *)own, dw, f->k);
            settle();
        }
    _mm_sfence();
}

/* --- Parts --- */

void cpu_few_lay_bf16(const cpu_few *f, const cpu_few_call *call, int64_t part, int64_t parts)
{
    if (f->pass == CPU_FEW_FORWARD)
        lay_forward(f, call, part, parts);
    else if (f->pass == CPU_FEW_INPUT)
        lay_input(f, call, part, parts);
    else
        lay_weights(f, call, part, parts);
}

void cpu_few_multiply_bf16(const cpu_few *f, const cpu_few_call *call, int64_t part, int64_t parts)
{
    char *own = call->scratch + f->threads_at + (size_t)part * f->thread_bytes;
    cpu_amx_begin();
    settle();
    if (f->pass == CPU_FEW_FORWARD)
        forward(f, call, own, TILE * cpu_few_cut(f->o / TILE, parts, part),
                TILE * cpu_few_cut(f->o / TILE, parts, part + 1));
    else if (f->pass == CPU_FEW_INPUT)
        input(f, call, own, BLOCK * cpu_few_cut(f->k / BLOCK, parts, part),
              BLOCK * cpu_few_cut(f->k / BLOCK, parts, part + 1));
    else
        weights(f, call, own, cpu_few_cut(f->o / BLOCK, parts, part),
                cpu_few_cut(f->o / BLOCK, parts, part + 1));
    settle();
    cpu_amx_end();
}

#endif
