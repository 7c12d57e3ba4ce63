/* cpu_few_f32.c - products with few rows in f32: tiles of 24 sums in registers.
 */
#include "cpu_few.h"

#ifdef CPU_CAN_FEW

#include <immintrin.h>
#include <math.h>

#define FEW_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define FEW_INLINE FEW_TARGET __attribute__((always_inline)) static inline

enum { LANES = 16, DOT_OUTPUTS = 4, MAX_TILE = 6 };
/* Rows of w that are read together, in pieces of so many columns. */
enum { DOT_ROWS = 32, DOT_PIECE = 1024 };
/* Rows of w in one sum: few are read faster, many save additions where there
 * are many sums. */
enum { SUM_ROWS = 32, LONG_SUM_ROWS = 128, ROWS_WORTH_LONG = 32, TILES_WORTH_COPYING = 3 };
/* What stays in the second cache of all rows of x while it is used for one row
 * of dw after another. */
enum { X_BYTES = 512 * 1024 };

static int64_t smallest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Tiles of nearly equal height, none above MAX_TILE. */
static int64_t tiles_of(int64_t rows)
{
    return (rows + MAX_TILE - 1) / MAX_TILE;
}

/* --- forward --- */

/* The four sums of four vectors. */
FEW_INLINE __m128 sums_of(__m512 a, __m512 b, __m512 c, __m512 d)
{
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512d x = _mm512_castps_pd(ab), y = _mm512_castps_pd(cd);
    const __m512 s = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                                   _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

/* Rows of x by four rows of w, of which `fetch` rows at `ahead` come next.
 * `start` is what the sums begin with; NULL: what y holds. */
FEW_INLINE void dot_tile(const float *x, const float *w, const float *ahead, int64_t fetch,
                         int64_t pitch, int64_t n, const float *start, float *y, int64_t y_pitch,
                         const int rows)
{
    __m512 sum[MAX_TILE][DOT_OUTPUTS];
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int j = 0; j < DOT_OUTPUTS; j++)
            sum[m][j] = _mm512_setzero_ps();
    for (int64_t k = 0; k < n; k += LANES) {
        __m512 v[DOT_OUTPUTS];
#pragma GCC unroll 4
        for (int j = 0; j < DOT_OUTPUTS; j++)
            v[j] = _mm512_loadu_ps(w + j * pitch + k);
        for (int64_t j = 0; j < fetch; j++)
            _mm_prefetch((const char *)(ahead + j * pitch + k), _MM_HINT_T1);
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            const __m512 a = _mm512_loadu_ps(x + m * pitch + k);
#pragma GCC unroll 4
            for (int j = 0; j < DOT_OUTPUTS; j++)
                sum[m][j] = _mm512_fmadd_ps(a, v[j], sum[m][j]);
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++) {
        const __m128 s = sums_of(sum[m][0], sum[m][1], sum[m][2], sum[m][3]);
        const __m128 first = start ? _mm_loadu_ps(start) : _mm_loadu_ps(y + m * y_pitch);
        _mm_storeu_ps(y + m * y_pitch, _mm_add_ps(first, s));
    }
}

FEW_TARGET static void dot_rows(const float *x, const float *w, const float *ahead, int64_t fetch,
                                int64_t pitch, int64_t n, const float *start, float *y,
                                int64_t y_pitch, int64_t rows)
{
    switch (rows) {
#define CASE(r)                                                                                    \
    case r:                                                                                        \
        dot_tile(x, w, ahead, fetch, pitch, n, start, y, y_pitch, r);                              \
        break;
        /* clang-format off */
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
        /* clang-format on */
#undef CASE
            default : break;
    }
}

FEW_TARGET void cpu_few_add_squares(const float *w, int64_t pitch, int64_t rows, int64_t n,
                                    float *sum)
{
    for (int64_t r = 0; r < rows; r += DOT_OUTPUTS) {
        const float *at = w + r * pitch;
        __m512 square[DOT_OUTPUTS];
        for (int j = 0; j < DOT_OUTPUTS; j++)
            square[j] = _mm512_setzero_ps();
        for (int64_t k = 0; k < n; k += LANES)
#pragma GCC unroll 4
            for (int j = 0; j < DOT_OUTPUTS; j++) {
                const __m512 v = _mm512_loadu_ps(at + j * pitch + k);
                square[j] = _mm512_fmadd_ps(v, v, square[j]);
            }
        const __m128 s = sums_of(square[0], square[1], square[2], square[3]);
        _mm_storeu_ps(sum + r, _mm_add_ps(_mm_loadu_ps(sum + r), s));
    }
}

/* Columns k .. k+n-1 of rows o .. end-1 of w by all of x; `ahead` is where the
 * next such piece is.
 */
FEW_TARGET static void dot_piece(const cpu_few *f, const cpu_few_call *call, int64_t o, int64_t end,
                                 int64_t k, int64_t n, const float *ahead)
{
    static const float zeros[DOT_OUTPUTS];
    const int64_t n_tiles = tiles_of(f->rows);
    for (int64_t t = 0; t < n_tiles; t++) {
        const int64_t m = cpu_cut(f->rows, n_tiles, t);
        const int64_t rows = cpu_cut(f->rows, n_tiles, t + 1) - m;
        const int64_t share = cpu_cut(DOT_OUTPUTS, n_tiles, t);
        const int64_t fetch = cpu_cut(DOT_OUTPUTS, n_tiles, t + 1) - share;
        for (int64_t i = o; i < end; i += DOT_OUTPUTS)
            dot_rows((const float *)call->x + m * f->k + k, call->w + i * f->k + k,
                     ahead ? ahead + (i - o + share) * f->k : NULL, ahead ? fetch : 0, f->k, n,
                     k            ? NULL
                     : call->bias ? call->bias + i
                                  : zeros,
                     (float *)call->y + m * f->o + i, f->o, rows);
    }
}

/* Lengths of rows of v from their squares, and y times the factors. */
static void finish_rows(const cpu_few *f, const cpu_few_call *call, int64_t o, int64_t end,
                        const float *squares)
{
    float factor[DOT_ROWS];
    for (int64_t i = o; i < end; i++) {
        call->norm[i] = sqrtf(squares[i - o]);
        factor[i - o] = call->gain[i] / call->norm[i];
    }
    for (int64_t m = 0; m < f->rows; m++)
        for (int64_t i = o; i < end; i++)
            ((float *)call->y)[m * f->o + i] *= factor[i - o];
}

FEW_TARGET static void forward(const cpu_few *f, const cpu_few_call *call, int64_t first,
                               int64_t last)
{
    for (int64_t o = first; o < last; o += DOT_ROWS) {
        float squares[DOT_ROWS] = {0};
        for (int64_t k = 0; k < f->k; k += DOT_PIECE) {
            const int64_t end = smallest(o + DOT_ROWS, last), n = smallest(DOT_PIECE, f->k - k);
            const float *ahead = k + n < f->k ? call->w + o * f->k + k + n
                                 : end < last ? call->w + end * f->k
                                              : NULL;
            dot_piece(f, call, o, end, k, n, ahead);
            if (f->is_normed)
                cpu_few_add_squares(call->w + o * f->k + k, f->k, end - o, n, squares);
        }
        if (f->is_normed)
            finish_rows(f, call, o, smallest(o + DOT_ROWS, last), squares);
    }
}

/* --- input --- */

/* The lines of the rows of w that come next, to be fetched one after the other.
 */
typedef struct fetcher {
    const char *at, *row_end;
    int64_t row_bytes, pitch_bytes, left;
} fetcher;

FEW_INLINE void fetch_lines(fetcher *f, int64_t n)
{
    for (int64_t i = 0; i < n && f->left > 0; i++, f->left--) {
        _mm_prefetch(f->at, _MM_HINT_T1);
        f->at += 64;
        if (f->at >= f->row_end) {
            f->at += f->pitch_bytes - f->row_bytes;
            f->row_end += f->pitch_bytes;
        }
    }
}

/* Rows of dx by `vectors` vectors of columns, over n rows of w. */
FEW_INLINE void input_tile(const float *dy, int64_t dy_pitch, const float *w, int64_t w_pitch,
                           int64_t n, float *dx, int64_t pitch, int fresh, fetcher *ahead,
                           int64_t fetch, const int rows, const int vectors)
{
    __m512 sum[MAX_TILE][8];
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            sum[m][j] = _mm512_setzero_ps();
    for (int64_t o = 0; o < n; o++) {
        __m512 v[8];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            v[j] = _mm512_loadu_ps(w + o * w_pitch + j * LANES);
        fetch_lines(ahead, fetch);
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            const __m512 a = _mm512_set1_ps(dy[m * dy_pitch + o]);
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++)
                sum[m][j] = _mm512_fmadd_ps(a, v[j], sum[m][j]);
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) {
            float *to = dx + m * pitch + j * LANES;
            _mm512_storeu_ps(to, fresh ? sum[m][j] : _mm512_add_ps(_mm512_loadu_ps(to), sum[m][j]));
        }
}

/* dy and dx of the tile's first row, w and dx of its first column. */
typedef struct input_place {
    const float *dy, *w;
    float *dx;
    int64_t o_pitch, w_pitch, k_pitch, n, fetch;
    int32_t fresh;
} input_place;

/* Columns of n rows of w, side by side: rows that lie far apart fall on each
 * other in the cache. */
FEW_TARGET static void copy_panel(const float *w, int64_t pitch, int64_t n, int64_t vectors,
                                  float *panel)
{
    for (int64_t o = 0; o < n; o++)
        for (int64_t j = 0; j < vectors; j++)
            _mm512_store_ps(panel + (o * vectors + j) * LANES,
                            _mm512_loadu_ps(w + o * pitch + j * LANES));
}

FEW_TARGET static void input_rows(const input_place *p, fetcher *ahead, int64_t rows,
                                  int64_t vectors)
{
    switch (10 * vectors + rows) {
#define CASE(v, r)                                                                                 \
    case 10 * v + r:                                                                               \
        input_tile(p->dy, p->o_pitch, p->w, p->w_pitch, p->n, p->dx, p->k_pitch, p->fresh, ahead,  \
                   p->fetch, r, v);                                                                \
        break;
        /* clang-format off */
        CASE(8, 1) CASE(8, 2) CASE(8, 3)
        CASE(4, 1) CASE(4, 2) CASE(4, 3) CASE(4, 4) CASE(4, 5) CASE(4, 6)
        CASE(1, 1) CASE(1, 2) CASE(1, 3) CASE(1, 4) CASE(1, 5) CASE(1, 6)
        /* clang-format on */
#undef CASE
                default : break;
    }
}

FEW_TARGET static void input(const cpu_few *f, const cpu_few_call *call, int64_t first,
                             int64_t last)
{
    const int64_t n_tiles = tiles_of(f->rows), wide = f->rows <= MAX_TILE / 2 ? 8 : 4;
    const int64_t bytes = (last - first) * (int64_t)sizeof(float);
    const float *dy =
        f->is_normed ? (const float *)(const void *)(call->scratch + f->scaled_at) : call->dy;
    const int64_t block = f->rows > ROWS_WORTH_LONG ? LONG_SUM_ROWS : SUM_ROWS;
    float panel[LONG_SUM_ROWS * 4 * LANES] __attribute__((aligned(64)));
    for (int64_t o = 0; o < f->o; o += block) {
        const int64_t n = smallest(block, f->o - o);
        const char *next = (const char *)(call->w + (o + n) * f->k + first);
        fetcher ahead = {next, next + bytes, bytes, f->k * (int64_t)sizeof(float),
                         o + n < f->o ? smallest(block, f->o - o - n) * bytes / 64 : 0};
        for (int64_t k = first, vectors; k < last; k += vectors * LANES) {
            vectors = last - k >= wide * LANES ? wide : 1;
            const float *w = call->w + o * f->k + k;
            if (n_tiles >= TILES_WORTH_COPYING)
                copy_panel(w, f->k, n, vectors, panel);
            for (int64_t t = 0; t < n_tiles; t++) {
                const int64_t m = cpu_cut(f->rows, n_tiles, t);
                const input_place p = {dy + m * f->o + o,
                                       n_tiles >= TILES_WORTH_COPYING ? panel : w,
                                       call->dx + m * f->k + k,
                                       f->o,
                                       n_tiles >= TILES_WORTH_COPYING ? vectors * LANES : f->k,
                                       f->k,
                                       n,
                                       (vectors + n_tiles - 1) / n_tiles,
                                       o == 0};
                input_rows(&p, &ahead, cpu_cut(f->rows, n_tiles, t + 1) - m, vectors);
            }
        }
    }
}

/* --- weights --- */

/* How a tile of dw ends. */
enum { STORED, STREAMED, ADDED };

/* Normed: rows of v, their factors and shares. */
typedef struct normed_rows {
    const float *v, *factor, *share;
} normed_rows;

/* Rows of dw by `vectors` vectors of columns. */
FEW_INLINE void weight_tile(const float *x, int64_t pitch, const float *dy, int64_t dy_pitch,
                            int64_t n, const normed_rows *normed, int64_t k, float *dw, int ends,
                            const int rows, const int vectors)
{
    __m512 sum[MAX_TILE][4];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            sum[i][j] =
                ends == ADDED ? _mm512_loadu_ps(dw + i * pitch + j * LANES) : _mm512_setzero_ps();
    for (int64_t m = 0; m < n; m++) {
        __m512 v[4];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            v[j] = _mm512_loadu_ps(x + m * pitch + j * LANES);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            const __m512 a = _mm512_set1_ps(dy[m * dy_pitch + i]);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                sum[i][j] = _mm512_fmadd_ps(a, v[j], sum[i][j]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            if (normed->v) {
                const __m512 v = _mm512_loadu_ps(normed->v + i * pitch + k + j * LANES);
                sum[i][j] =
                    _mm512_fnmadd_ps(_mm512_set1_ps(normed->share[i]), v,
                                     _mm512_mul_ps(_mm512_set1_ps(normed->factor[i]), sum[i][j]));
            }
            if (ends == STREAMED)
                _mm512_stream_ps(dw + i * pitch + j * LANES, sum[i][j]);
            else
                _mm512_storeu_ps(dw + i * pitch + j * LANES, sum[i][j]);
        }
}

/* Columns first .. last-1 of a few rows of dw. */
FEW_TARGET static void weight_rows(const cpu_few *f, const cpu_few_call *call, int64_t o,
                                   int64_t rows, int64_t first, int64_t last, int ends)
{
    const float *x = call->x, *dy = (const float *)call->dy + o;
    float *dw = call->dw + o * f->k;
    normed_rows normed = {NULL, NULL, NULL};
    if (f->is_normed)
        normed = (normed_rows){call->w + o * f->k, cpu_few_factors(f, call) + o,
                               cpu_few_shares(f, call) + o};
    for (int64_t k = first, width; k < last; k += width) {
        width = last - k >= 4 * LANES ? 4 * LANES : LANES;
        switch (rows) {
#define CASE(r)                                                                                    \
    case r:                                                                                        \
        if (width == LANES)                                                                        \
            weight_tile(x + k, f->k, dy, f->o, f->rows, &normed, k, dw + k, ends, r, 1);           \
        else                                                                                       \
            weight_tile(x + k, f->k, dy, f->o, f->rows, &normed, k, dw + k, ends, r, 4);           \
        break;
            /* clang-format off */
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
            /* clang-format on */
#undef CASE
                default : break;
        }
    }
}

FEW_TARGET static void weights(const cpu_few *f, const cpu_few_call *call, int64_t first,
                               int64_t last)
{
    const int ends = call->adds ? ADDED : (uintptr_t)call->dw % 64 == 0 ? STREAMED : STORED;
    const int64_t fitting = X_BYTES / 4 / f->rows / (4 * LANES) * (4 * LANES);
    const int64_t columns = fitting > 4 * LANES ? fitting : 4 * LANES;
    for (int64_t k = 0; k < f->k; k += columns)
        for (int64_t o = first; o < last; o += MAX_TILE)
            weight_rows(f, call, o, smallest(MAX_TILE, last - o), k, smallest(k + columns, f->k),
                        ends);
    _mm_sfence();
}

/* --- Parts --- */

void cpu_few_multiply_f32(const cpu_few *f, const cpu_few_call *call, int64_t part, int64_t parts)
{
    if (f->pass == CPU_FEW_FORWARD)
        forward(f, call, DOT_OUTPUTS * cpu_cut(f->o / DOT_OUTPUTS, parts, part),
                DOT_OUTPUTS * cpu_cut(f->o / DOT_OUTPUTS, parts, part + 1));
    else if (f->pass == CPU_FEW_INPUT)
        input(f, call, 32 * cpu_cut(f->k / 32, parts, part),
              32 * cpu_cut(f->k / 32, parts, part + 1));
    else
        weights(f, call, cpu_cut(f->o, parts, part), cpu_cut(f->o, parts, part + 1));
}

#endif
