/* cpu_conv_tiles_panel.c - lays out panels of weights, a square of 16 outputs n by 32 channels k at
 * a time.
 *
 * Taps lie side by side in the weights, but tiles want outputs side by side. Where the channels k
 * are neighbours in memory, a square is transposed into vectors of 16 outputs, [k][tap][16 n];
 * elsewhere they are gathered tap by tap. */
#include "cpu_conv_tiles_panel.h"

#include "cpu_conv_tiles_step.h"

#ifdef CPU_CAN_AMX

enum { TILE = CPU_TILES_TILE, BLOCK = CPU_TILES_BLOCK, VALUES = CPU_TILES_VALUES };
enum { SORTED = 9 /* taps of the largest window that is sorted as a whole */ };

/* A square in memory: how many k and n of it there are. */
typedef struct square {
    const float *at;
    int64_t k, n;
} square;

static int lies_along_k(const cpu_tiles_weights *w)
{
    return w->k_stride < w->n_stride;
}

CPU_PARTS_INLINE void sort(const cpu_tiles_weights *w, const square *q, float *sorted)
{
    for (int64_t f = 0; f < BLOCK * w->window; f += TILE) {
        const __mmask16 mask = cpu_parts_mask(q->k * w->window - f);
        __m512i row[TILE];
        for (int64_t r = 0; r < TILE; r++)
            row[r] = r < q->n ? _mm512_maskz_loadu_epi32(mask, q->at + r * w->n_stride + f)
                              : _mm512_setzero_si512();
        cpu_amx_transpose16(row);
        for (int64_t r = 0; r < TILE; r++)
            _mm512_store_si512(sorted + (f + r) * TILE, row[r]);
    }
}

/* One tap: [k][16 n]. */
CPU_PARTS_INLINE void gather_tap(const cpu_tiles_weights *w, const square *q, int32_t tap,
                                 float *sorted)
{
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i index = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)w->n_stride));
    for (int64_t k = 0; k < BLOCK; k++) {
        const __mmask16 mask = k < q->k ? cpu_parts_mask(q->n) : 0;
        const float *at = q->at + (mask ? k * w->k_stride + tap : 0);
        _mm512_store_ps(sorted + k * TILE,
                        _mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, index, at, 4));
    }
}

/* 32 vectors, `stride` values apart, in parts and pairs. */
CPU_PARTS_INLINE void lay_step(const float *sorted, int64_t stride, uint16_t *to)
{
    for (int64_t i = 0; i < BLOCK; i += 2, sorted += 2 * stride) {
        __m512i part[CPU_PARTS_F32];
        cpu_tiles_split(_mm512_load_ps(sorted), _mm512_load_ps(sorted + stride), part);
        for (int p = 0; p < CPU_PARTS_F32; p++)
            _mm512_store_si512(to + p * 2 * VALUES + i * TILE, cpu_tiles_weave(part[p]));
    }
}

/* Asks for a part of the square that comes next. */
static void fetch(const cpu_tiles_weights *w, const float *from, int64_t part, int64_t parts)
{
    const int along_k = lies_along_k(w);
    const int64_t rows = along_k ? TILE : BLOCK, stride = along_k ? w->n_stride : w->k_stride;
    const int64_t length = (along_k ? BLOCK : TILE) * w->window;
    for (int64_t r = rows * part / parts; r < rows * (part + 1) / parts; r++)
        for (int64_t i = 0; i < length + TILE; i += TILE)
            _mm_prefetch((const char *)(from + r * stride + i), _MM_HINT_T0);
}

/* One square of a panel, to its half of each step. */
CPU_PARTS_INLINE void lay_square(const cpu_tiles *t, const cpu_tiles_weights *w, const square *q,
                                 const float *ahead, int64_t block, uint16_t *to)
{
    _Alignas(64) float sorted[BLOCK * SORTED * TILE];
    const int at_once = lies_along_k(w) && w->window <= SORTED;
    if (at_once)
        sort(w, q, sorted);
    for (int32_t i = 0; i < t->n_bars; i++)
        for (int32_t j = 0; j < t->bars[i].count; j++) {
            const int32_t first = t->bars[i].first, tap = t->taps[first + j].index;
            const int64_t step = first * t->k_blocks + block * t->bars[i].count + j;
            fetch(w, ahead, first + j, t->n_taps);
            if (!at_once)
                gather_tap(w, q, tap, sorted);
            lay_step(sorted + (at_once ? tap * TILE : 0), (at_once ? w->window : 1) * TILE,
                     to + step * CPU_TILES_STEP);
        }
}

CPU_PARTS_TARGET void cpu_tiles_lay_panel(const cpu_tiles *t, const cpu_tiles_weights *w,
                                          const float *data, int64_t panel, uint16_t *to)
{
    for (int64_t i = 0; i < 2 * t->k_blocks; i++) {
        const int64_t n = panel * BLOCK + i % 2 * TILE, k = i / 2 * BLOCK;
        const int64_t next_n = panel * BLOCK + (i + 1) % 2 * TILE, next_k = (i + 1) / 2 * BLOCK;
        const int has_next = next_n < t->to.c && next_k < t->from.c;
        const square q = {data + (n < t->to.c ? n * w->n_stride + k * w->k_stride : 0),
                          t->from.c - k, t->to.c - n};
        const float *ahead = has_next ? data + next_n * w->n_stride + next_k * w->k_stride : q.at;
        lay_square(t, w, &q, ahead, i / 2, to + i % 2 * VALUES);
    }
}

void cpu_tiles_weights_plan(const int64_t *shape, int is_gradient, cpu_tiles_weights *w)
{
    w->window = (int32_t)(shape[2] * shape[3]);
    w->k_stride = is_gradient ? shape[1] * w->window : w->window;
    w->n_stride = is_gradient ? w->window : shape[1] * w->window;
}

#endif
