/* cpu_few_tiles.c - products with few rows on matrix tiles, fed with weights that are rounded as
 * they are read.
 *
 *   forward    tiles of w (16 o, 32 k) by pairs of k of x: y comes out transposed
 *   input      tiles of dy (16 m, 32 o) by pairs of o of w
 *   weights    tiles of dy transposed (16 o, 32 m) by pairs of m of x
 *
 * An operand in f32 is three in bf16: its rounding, that of what is left, and that of what is left
 * then. Six of the nine products of parts are summed; the others are below the last digit of f32.
 */
#include "cpu_few.h"

#ifdef CPU_CAN_FEW

#include <math.h>

#include "cpu_amx.h"

#define FEW_TARGET                                                                                 \
    __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

enum { TILE = 16, BLOCK = 32, TILE_VALUES = 512 /* of 16 bits */, SUM_VALUES = 256 /* f32 */ };
/* k of a strip of w in the first cache; rows and columns of a panel of w there. */
enum { STRIP = 1024, STRIP_PITCH = STRIP + BLOCK, PANEL_ROWS = 128, PANEL_TILES = 8 };
enum { PANEL_VALUES = PANEL_ROWS / BLOCK * PANEL_TILES * TILE_VALUES, PARTS = 3 };
/* Of x, what is used again and again stays in the second cache. */
enum { X_BYTES = 640 * 1024 };

/* Which parts are multiplied, the smallest products first. */
typedef struct couple {
    int a, b;
} couple;
static const couple couples[] = {{2, 0}, {1, 1}, {0, 2}, {1, 0}, {0, 1}, {0, 0}};
enum { COUPLES = 6 };

static int first_couple(const cpu_few *f)
{
    return f->parts == 1 ? COUPLES - 1 : 0;
}

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

/* 32 values, rounded: bf16 from f32. */
FEW_TARGET static __m512i round_32(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* 16 bf16 as f32. */
FEW_TARGET static __m512 widen_16(__m256i values)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16));
}

/* 32 values of f32 in parts. */
FEW_TARGET static void split_32(__m512 low, __m512 high, int64_t parts, __m512i *part)
{
    part[0] = round_32(low, high);
    for (int64_t i = 1; i < parts; i++) {
        low = _mm512_sub_ps(low, widen_16(_mm512_castsi512_si256(part[i - 1])));
        high = _mm512_sub_ps(high, widen_16(_mm512_extracti64x4_epi64(part[i - 1], 1)));
        part[i] = round_32(low, high);
    }
}

/* 32 activations in parts; zeros where there are none. */
FEW_TARGET static void load_32(const cpu_few *f, const void *from, int64_t at, int is_there,
                               __m512i *part)
{
    if (!is_there)
        for (int64_t i = 0; i < f->parts; i++)
            part[i] = _mm512_setzero_si512();
    else if (f->dtype == WISP_BF16)
        part[0] = _mm512_loadu_si512((const uint16_t *)from + at);
    else
        split_32(_mm512_loadu_ps((const float *)from + at),
                 _mm512_loadu_ps((const float *)from + at + TILE), f->parts, part);
}

/* --- Plan --- */

/* Columns of x that are used together. */
static int64_t columns_at_once(const cpu_few *f)
{
    const int64_t fitting = X_BYTES / (f->parts * 2 * up(f->rows, BLOCK)) / BLOCK * BLOCK;
    return fitting < 4 * BLOCK ? 4 * BLOCK : smallest(fitting, STRIP);
}

void cpu_few_plan_tiles(cpu_few *f, int64_t n_threads)
{
    const int64_t rows = up(f->rows, f->pass == CPU_FEW_WEIGHTS ? BLOCK : TILE);
    int64_t first = 0, second = 0, own = 0; /* values of 16 bits */
    if (f->pass == CPU_FEW_FORWARD) {
        first = f->parts * rows * f->k;
        second = rows * f->o * 2;
        own = f->parts * TILE * STRIP_PITCH;
    } else if (f->pass == CPU_FEW_INPUT) {
        first = f->parts * rows * (f->o + BLOCK);
        own = f->parts * PANEL_VALUES;
    } else {
        first = f->parts * rows * f->k;
        second = f->parts * rows * f->o;
        own = 4 * SUM_VALUES * 2;
    }
    f->second_at = cpu_align64((size_t)first * 2);
    f->threads_at = cpu_align64(f->second_at + (size_t)second * 2);
    f->thread_bytes = cpu_align64((size_t)own * 2);
    f->scratch_bytes = f->threads_at + (size_t)n_threads * f->thread_bytes;
}

/* --- forward --- */

/* x in tiles of pairs, [part][rows / 16][k / 32][16 pairs of k][16 m][2]. */
FEW_TARGET static void lay_forward(const cpu_few *f, const cpu_few_call *call, int64_t part,
                                   int64_t parts)
{
    const int64_t blocks = f->k / BLOCK, n = up(f->rows, TILE) / TILE * blocks;
    for (int64_t i = cpu_cut(n, parts, part); i < cpu_cut(n, parts, part + 1); i++) {
        const int64_t m = i / blocks * TILE, k = i % blocks * BLOCK;
        __m512i row[PARTS][TILE];
        for (int r = 0; r < TILE; r++) {
            __m512i values[PARTS];
            load_32(f, call->x, (m + r) * f->k + k, m + r < f->rows, values);
            for (int64_t p = 0; p < f->parts; p++)
                row[p][r] = values[p];
        }
        for (int64_t p = 0; p < f->parts; p++) {
            uint16_t *to = (uint16_t *)(void *)call->scratch + (p * n + i) * TILE_VALUES;
            cpu_amx_transpose16(row[p]);
            for (int r = 0; r < TILE; r++)
                _mm512_store_si512(to + r * BLOCK, row[p][r]);
        }
    }
}

/* 16 rows of w in parts; the strip that follows is fetched. */
FEW_TARGET static void round_strip(const float *w, int64_t pitch, int64_t n, const float *ahead,
                                   int64_t parts, uint16_t *strip)
{
    for (int64_t r = 0; r < TILE; r++)
        for (int64_t k = 0; k < n; k += BLOCK) {
            const float *from = w + r * pitch + k;
            __m512i part[PARTS];
            split_32(_mm512_loadu_ps(from), _mm512_loadu_ps(from + TILE), parts, part);
            for (int64_t p = 0; p < parts; p++)
                _mm512_store_si512(strip + (p * TILE + r) * STRIP_PITCH + k, part[p]);
            _mm_prefetch((const char *)(ahead + r * pitch + k), _MM_HINT_T1);
            _mm_prefetch((const char *)(ahead + r * pitch + k + TILE), _MM_HINT_T1);
        }
}

/* Sums 0 to 3 += a strip by up to 4 tiles of rows of x. */
FEW_TARGET static void multiply_whole(const uint16_t *strip, int64_t n, const uint16_t *x,
                                      int64_t x_pitch, int64_t tiles)
{
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
}

/* Sums 0 to 3 += the six products of three parts each of one tile a and up to 4 tiles b, in `steps`
 * of so many values each. Every tile is loaded once. */
FEW_TARGET static void multiply_parts(const uint16_t *a, int64_t a_bytes, int64_t a_part,
                                      int64_t a_step, int64_t steps, const uint16_t *b,
                                      int64_t b_pitch, int64_t b_part, int64_t b_step,
                                      int64_t tiles)
{
    for (int64_t i = 0; i < steps; i++, a += a_step, b += b_step) {
        _tile_loadd(4, a, a_bytes);
        _tile_loadd(5, a + a_part, a_bytes);
        _tile_loadd(6, a + 2 * a_part, a_bytes);
#define HIGH(t)                                                                                    \
    if (tiles > t) {                                                                               \
        _tile_loadd(7, b + t * b_pitch, 64);                                                       \
        _tile_dpbf16ps(t, 6, 7);                                                                   \
        _tile_dpbf16ps(t, 5, 7);                                                                   \
        _tile_dpbf16ps(t, 4, 7);                                                                   \
    }
#define MIDDLE(t)                                                                                  \
    if (tiles > t) {                                                                               \
        _tile_loadd(7, b + b_part + t * b_pitch, 64);                                              \
        _tile_dpbf16ps(t, 5, 7);                                                                   \
        _tile_dpbf16ps(t, 4, 7);                                                                   \
    }
#define LOW(t)                                                                                     \
    if (tiles > t) {                                                                               \
        _tile_loadd(7, b + 2 * b_part + t * b_pitch, 64);                                          \
        _tile_dpbf16ps(t, 4, 7);                                                                   \
    }
        HIGH(0)
        HIGH(1)
        HIGH(2)
        HIGH(3)
        MIDDLE(0)
        MIDDLE(1)
        MIDDLE(2)
        MIDDLE(3)
        LOW(0)
        LOW(1)
        LOW(2)
        LOW(3)
#undef HIGH
#undef MIDDLE
#undef LOW
    }
}

/* A strip by up to 4 tiles of rows; their sums lie one after the other. */
FEW_TARGET static void multiply_strip(const cpu_few *f, const uint16_t *strip, int64_t n,
                                      const uint16_t *x, float *sum, int64_t tiles, int fresh)
{
    const int64_t x_pitch = f->k * TILE, x_part = up(f->rows, TILE) * f->k;
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
    if (f->parts == 1)
        multiply_whole(strip, n, x, x_pitch, tiles);
    else
        multiply_parts(strip, STRIP_PITCH * 2, TILE * STRIP_PITCH, BLOCK, n / BLOCK, x, x_pitch,
                       x_part, TILE_VALUES, tiles);
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
                                   int64_t rows, void *y, int64_t at, int64_t pitch, int32_t dtype)
{
    __m512i row[TILE];
    const __m512 a = _mm512_loadu_ps(factor);
    const __m512 b = bias ? _mm512_loadu_ps(bias) : _mm512_setzero_ps();
    for (int r = 0; r < TILE; r++)
        row[r] = _mm512_load_si512(sum + r * TILE);
    cpu_amx_transpose16(row);
    for (int64_t m = 0; m < rows; m++) {
        const __m512 v = _mm512_fmadd_ps(_mm512_castsi512_ps(row[m]), a, b);
        if (dtype == WISP_F32)
            _mm512_storeu_ps((float *)y + at + m * pitch, v);
        else
            _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)y + at + m * pitch),
                                (__m256i)_mm512_cvtneps_pbh(v));
    }
}

/* What 16 outputs are multiplied by at the end; lengths of their rows of v from the squares. */
FEW_TARGET static void find_factors(const cpu_few *f, const cpu_few_call *call, int64_t o,
                                    float *factor)
{
    for (int64_t i = 0; i < TILE; i++) {
        factor[i] = 1.0f;
        if (f->is_normed) {
            call->norm[o + i] = sqrtf(call->norm[o + i]);
            factor[i] = call->gain[o + i] / call->norm[o + i];
        }
    }
}

/* Columns k .. k+n-1 of 16 rows of w. */
FEW_TARGET static void add_strip(const cpu_few *f, const cpu_few_call *call, int64_t o, int64_t k,
                                 int64_t n, const float *ahead, uint16_t *strip, float *sum)
{
    const int64_t tiles = up(f->rows, TILE) / TILE;
    const uint16_t *x = (const uint16_t *)(const void *)call->scratch;
    const float *w = call->w + o * f->k + k;
    round_strip(w, f->k, n, ahead, f->parts, strip);
    settle();
    for (int64_t t = 0; t < tiles; t += 4)
        multiply_strip(f, strip, n, x + (t * f->k + k) * TILE, sum + t * SUM_VALUES,
                       smallest(4, tiles - t), k == 0);
    settle();
    if (f->is_normed && k == 0)
        memset(call->norm + o, 0, TILE * sizeof(float));
    if (f->is_normed)
        cpu_few_add_squares(w, f->k, TILE, n, call->norm + o);
}

FEW_TARGET static void forward(const cpu_few *f, const cpu_few_call *call, char *own, int64_t first,
                               int64_t last)
{
    const int64_t rows = up(f->rows, TILE), columns = columns_at_once(f);
    float *sums = (float *)(void *)(call->scratch + f->second_at);
    for (int64_t k = 0; k < f->k; k += columns)
        for (int64_t o = first; o < last; o += TILE) {
            const int64_t n = smallest(columns, f->k - k);
            const float *here = call->w + o * f->k + k;
            const float *ahead = o + TILE < last ? here + TILE * f->k
                                 : k + n < f->k  ? call->w + first * f->k + k + n
                                                 : here;
            float factor[TILE], *sum = sums + o * rows;
            add_strip(f, call, o, k, n, ahead, (uint16_t *)(void *)own, sum);
            if (k + n < f->k)
                continue;
            find_factors(f, call, o, factor);
            for (int64_t m = 0; m < rows; m += TILE)
                finish_tile(sum + m * TILE, factor, call->bias ? call->bias + o : NULL,
                            smallest(TILE, f->rows - m), call->y, m * f->o + o, f->o, f->dtype);
        }
}

/* --- input --- */

/* dy in parts, with rows of zeros behind the last, and a pitch that spreads them over the cache. */
FEW_TARGET static void lay_input(const cpu_few *f, const cpu_few_call *call, int64_t part,
                                 int64_t parts)
{
    const int64_t n = up(f->rows, TILE), pitch = f->o + BLOCK;
    uint16_t *to = (uint16_t *)(void *)call->scratch;
    for (int64_t m = cpu_cut(n, parts, part); m < cpu_cut(n, parts, part + 1); m++)
        for (int64_t o = 0; o < f->o; o += BLOCK) {
            __m512i values[PARTS];
            load_32(f, call->dy, m * f->o + o, m < f->rows, values);
            for (int64_t p = 0; p < f->parts; p++)
                _mm512_storeu_si512(to + (p * n + m) * pitch + o, values[p]);
        }
}

/* Rows of w, times their factors, as pairs, [part][rows / 32][tiles][16 pairs of o][16 k][2]. */
FEW_TARGET static void round_panel(const float *w, const float *factor, int64_t pitch, int64_t rows,
                                   int64_t tiles, int64_t parts, uint16_t *panel)
{
    const __m512i weave =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512 one = _mm512_set1_ps(1.0f);
    for (int64_t r = 0; r < rows; r += 2) {
        uint16_t *to = panel + r / BLOCK * PANEL_TILES * TILE_VALUES + r % BLOCK * TILE;
        const __m512 even = factor ? _mm512_set1_ps(factor[r]) : one;
        const __m512 odd = factor ? _mm512_set1_ps(factor[r + 1]) : one;
        for (int64_t t = 0; t < tiles; t++) {
            const float *from = w + r * pitch + t * TILE;
            __m512i part[PARTS];
            split_32(_mm512_mul_ps(even, _mm512_loadu_ps(from)),
                     _mm512_mul_ps(odd, _mm512_loadu_ps(from + pitch)), parts, part);
            _mm_prefetch((const char *)(from + 8 * pitch), _MM_HINT_T0);
            _mm_prefetch((const char *)(from + 9 * pitch), _MM_HINT_T0);
            for (int64_t p = 0; p < parts; p++)
                _mm512_store_si512(to + p * PANEL_VALUES + t * TILE_VALUES,
                                   _mm512_permutexvar_epi16(weave, part[p]));
        }
    }
}

/* 16 or 32 rows of dx by 32 columns, += or = dy * panel. */
FEW_TARGET static void multiply_panel(const cpu_few *f, const uint16_t *dy, const uint16_t *panel,
                                      int64_t blocks, float *dx, int both, int fresh)
{
    const int64_t pitch = f->k, bytes = pitch * 4, dy_pitch = f->o + BLOCK;
    const int64_t dy_part = up(f->rows, TILE) * dy_pitch;
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
    for (int c = first_couple(f); c < COUPLES; c++)
        for (int64_t b = 0; b < blocks; b++) {
            const uint16_t *at =
                panel + couples[c].b * PANEL_VALUES + b * PANEL_TILES * TILE_VALUES;
            const uint16_t *from = dy + couples[c].a * dy_part + b * BLOCK;
            _tile_loadd(4, from, dy_pitch * 2);
            _tile_loadd(6, at, 64);
            _tile_loadd(7, at + TILE_VALUES, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            if (both) {
                _tile_loadd(5, from + TILE * dy_pitch, dy_pitch * 2);
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
            round_panel(call->w + o * f->k + k, factor ? factor + o : NULL, f->k, n, tiles,
                        f->parts, panel);
            settle();
            for (int64_t m = 0; m < rows; m += BLOCK)
                for (int64_t t = 0; t < tiles; t += 2)
                    multiply_panel(f, dy + m * dy_pitch + o, panel + t * TILE_VALUES, n / BLOCK,
                                   call->dx + m * f->k + k + t * TILE, m + TILE < rows, o == 0);
            settle();
        }
}

/* --- weights --- */

/* 32 rows of 32 columns of x as pairs of rows, or of dy transposed. */
FEW_TARGET static void lay_square(const cpu_few *f, const void *from, int64_t width, int64_t m,
                                  int64_t column, int is_x, int64_t pitch, uint16_t *to)
{
    __m512i low[PARTS][TILE], high[PARTS][TILE];
    for (int r = 0; r < TILE; r++) {
        __m512i a[PARTS], b[PARTS];
        load_32(f, from, (m + 2 * r) * width + column, m + 2 * r < f->rows, a);
        load_32(f, from, (m + 2 * r + 1) * width + column, m + 2 * r + 1 < f->rows, b);
        for (int64_t p = 0; p < f->parts; p++)
            cpu_amx_pair(a[p], b[p], &low[p][r], &high[p][r]);
    }
    for (int64_t p = 0; p < f->parts; p++, to += pitch) {
        if (!is_x) {
            cpu_amx_transpose16(low[p]);
            cpu_amx_transpose16(high[p]);
        }
        for (int r = 0; r < TILE; r++) {
            _mm512_store_si512(to + r * BLOCK, low[p][r]);
            _mm512_store_si512(to + TILE_VALUES + r * BLOCK, high[p][r]);
        }
    }
}

/* x as pairs of rows, [part][k / 32][rows / 32][2][16 pairs of m][16 k][2]; dy transposed,
 * [part][o / 32][rows / 32][2][16 o][32 m]. */
FEW_TARGET static void lay_weights(const cpu_few *f, const cpu_few_call *call, int64_t part,
                                   int64_t parts)
{
    const int64_t blocks = up(f->rows, BLOCK) / BLOCK;
    const int64_t nx = f->k / BLOCK * blocks, ny = f->o / BLOCK * blocks, n = nx + ny;
    uint16_t *x = (uint16_t *)(void *)call->scratch;
    uint16_t *dy = (uint16_t *)(void *)(call->scratch + f->second_at);
    for (int64_t i = cpu_cut(n, parts, part); i < cpu_cut(n, parts, part + 1); i++) {
        const int is_x = i < nx;
        const int64_t at = is_x ? i : i - nx, count = is_x ? nx : ny;
        lay_square(f, is_x ? call->x : call->dy, is_x ? f->k : f->o, at % blocks * BLOCK,
                   at / blocks * BLOCK, is_x, count * 2 * TILE_VALUES,
                   (is_x ? x : dy) + at * 2 * TILE_VALUES);
    }
}

/* The four tiles of (32 o, 32 k), over all rows. */
FEW_TARGET static void multiply_block(const cpu_few *f, const uint16_t *dy, const uint16_t *x,
                                      float *dw, int adds)
{
    const int64_t pitch = f->k, blocks = up(f->rows, BLOCK) / BLOCK;
    const int64_t x_part = blocks * BLOCK * f->k, dy_part = blocks * BLOCK * f->o;
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
    for (int c = first_couple(f); c < COUPLES; c++)
        for (int64_t b = 0; b < blocks; b++) {
            const uint16_t *a = dy + couples[c].a * dy_part + b * 2 * TILE_VALUES;
            const uint16_t *at = x + couples[c].b * x_part + b * 2 * TILE_VALUES;
            _tile_loadd(4, a, 64);
            _tile_loadd(5, a + TILE_VALUES, 64);
            _tile_loadd(6, at, 64);
            _tile_loadd(7, at + TILE_VALUES, 64);
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

FEW_TARGET static void weights_block(const cpu_few *f, const cpu_few_call *call, char *own,
                                     int64_t o, int64_t k)
{
    const int64_t step = up(f->rows, BLOCK) * BLOCK;
    const uint16_t *x = (const uint16_t *)(const void *)call->scratch;
    const uint16_t *dy = (const uint16_t *)(const void *)(call->scratch + f->second_at);
    float *dw = call->dw + o * BLOCK * f->k + k * BLOCK, *sum = (float *)(void *)own;
    multiply_block(f, dy + o * step, x + k * step, dw, call->adds);
    if (call->adds) {
        store_block(dw, f->k);
        return;
    }
    store_block(sum, BLOCK);
    settle();
    if (f->is_normed)
        turn_block(sum, call->w + o * BLOCK * f->k + k * BLOCK, f->k,
                   cpu_few_factors(f, call) + o * BLOCK, cpu_few_shares(f, call) + o * BLOCK);
    stream_block(sum, dw, f->k);
    settle();
}

FEW_TARGET static void weights(const cpu_few *f, const cpu_few_call *call, char *own, int64_t first,
                               int64_t last)
{
    const int64_t columns = columns_at_once(f) / BLOCK, n = f->k / BLOCK;
    const int64_t fits = f->parts * f->k * 2 * up(f->rows, BLOCK) <= X_BYTES;
    const int64_t at_once = fits ? n : columns;
    for (int64_t k = 0; k < n; k += at_once)
        for (int64_t o = first; o < last; o++)
            for (int64_t i = k; i < smallest(k + at_once, n); i++)
                weights_block(f, call, own, o, i);
    _mm_sfence();
}

/* --- Parts --- */

void cpu_few_lay_tiles(const cpu_few *f, const cpu_few_call *call, int64_t part, int64_t parts)
{
    if (f->pass == CPU_FEW_FORWARD)
        lay_forward(f, call, part, parts);
    else if (f->pass == CPU_FEW_INPUT)
        lay_input(f, call, part, parts);
    else
        lay_weights(f, call, part, parts);
}

void cpu_few_multiply_tiles(const cpu_few *f, const cpu_few_call *call, int64_t part, int64_t parts)
{
    char *own = call->scratch + f->threads_at + (size_t)part * f->thread_bytes;
    cpu_amx_begin();
    settle();
    if (f->pass == CPU_FEW_FORWARD)
        forward(f, call, own, TILE * cpu_cut(f->o / TILE, parts, part),
                TILE * cpu_cut(f->o / TILE, parts, part + 1));
    else if (f->pass == CPU_FEW_INPUT)
        input(f, call, own, BLOCK * cpu_cut(f->k / BLOCK, parts, part),
              BLOCK * cpu_cut(f->k / BLOCK, parts, part + 1));
    else
        weights(f, call, own, cpu_cut(f->o / BLOCK, parts, part),
                cpu_cut(f->o / BLOCK, parts, part + 1));
    settle();
    cpu_amx_end();
}

#endif
