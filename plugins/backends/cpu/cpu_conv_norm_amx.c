/* cpu_conv_norm_amx.c - conv_norm in bf16 on processors with matrix tiles, where a result pixel is
 * one product of a line with the weights: windows of one pixel, and windows over few channels,
 * which are gathered as a line.
 *
 * The same walk as vector/cpu_conv_norm_point.c: blocks of pixels that fit the second cache, chunks
 * of blocks with sums of their own. Products are made 32 pixels by 32 channels at a time, and what
 * follows a product is done while it is in the first cache. For dw the pixels of one map become
 * lines of a channel and those of the other pairs, as in cpu_conv_amx.c. */
#include <omp.h>

#include "cpu_amx.h"
#include "kernel_table.h"
#include "vector/cpu_conv_norm.h"
#include "vector/cpu_moments.h"

#ifdef CPU_CAN_AMX

#define TARGET                                                                                     \
    __attribute__((                                                                                \
        target("amx-tile,amx-bf16,avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

enum { BLOCK = 32, TILE = BLOCK * BLOCK };
enum { BLOCK_BYTES = 512 * 1024, MAX_PIXELS = 512, CHUNK_ROWS = 1024, MIN_CHUNKS = 4 };
enum { MAX_CHUNKS = 64 };

typedef struct amx_point {
    wisp_conv2d_attrs conv;
    int64_t h, w, c, ho, wo, kh, kw;
    int64_t rows, k, o, kp, op;      /* pixels of y; line, channels of y, and rounded up to 32 */
    int64_t block, n_blocks, chunks; /* pixels of a block */
    int64_t reach_at, chunk_at, chunk_bytes, sums_bytes; /* in scratch; weights are at 0 */
    int64_t thread_at, thread_bytes;
    int64_t dy_at, lines_at, pairs_at, pitch; /* in a thread's part; lines of x are at 0 */
    int64_t line_blocks, pair_blocks;
    int32_t activation, gathers, swaps; /* swaps: lines of dw are those of k */
    int32_t has_y, wants_x, wants_w, wants_stats;
} amx_point;

/* One running call on one thread. */
typedef struct worker {
    const amx_point *s;
    const wisp_kernel_arg *in, *out;
    char *scratch, *own; /* the thread's part */
    cpu_reading read;
    int64_t thread, n_threads;
} worker;

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static char *chunk_part(const worker *w, int64_t chunk)
{
    return w->scratch + w->s->chunk_at + chunk * w->s->chunk_bytes;
}

/* --- Vectors of 16 channels --- */

TARGET static inline __mmask16 lanes(int64_t n)
{
    return (__mmask16)(n >= 16 ? 0xffff : n > 0 ? (1u << n) - 1 : 0);
}

TARGET static inline __m512 widen(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

TARGET static inline __m512 load(const uint16_t *p, __mmask16 m)
{
    return widen(_mm256_maskz_loadu_epi16(m, p));
}

TARGET static inline __m256i narrow(__m512 v)
{
    return (__m256i)_mm512_cvtneps_pbh(v);
}

TARGET static inline void store(uint16_t *p, __mmask16 m, __m512 v)
{
    _mm256_mask_storeu_epi16(p, m, narrow(v));
}

/* One pixel of x, as cpu_read_pixel has it. The constant comes first, so that a NaN stays. */
TARGET static inline void read_pixel(const cpu_reading *r, const uint16_t *x, int64_t n,
                                     uint16_t *to)
{
    if (!r->scale) {
        memcpy(to, x, (size_t)n * sizeof *to);
        return;
    }
    const __m512 low = _mm512_set1_ps(r->low), high = _mm512_set1_ps(r->high);
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);
        const __m512 scale = _mm512_maskz_loadu_ps(m, r->scale + i);
        const __m512 v =
            _mm512_fmadd_ps(load(x + i, m), scale, _mm512_maskz_loadu_ps(m, r->shift + i));
        store(to + i, m, _mm512_min_ps(high, _mm512_max_ps(low, v)));
    }
}

/* dy has the precision of bf16 already, and what is added to it may be less than half of its last
 * place in every pixel. Rounding to nearest would lose that, and with it what keeps the sum of the
 * result at zero. So it is rounded up or down in proportion, by a sequence that fills the range of
 * what is cut off evenly from pixel to pixel. */
TARGET static inline __m512i dither_of(int64_t pixel)
{
    const __m512i lane = _mm512_set_epi32(61440, 28672, 45056, 12288, 53248, 20480, 36864, 4096,
                                          57344, 24576, 40960, 8192, 49152, 16384, 32768, 0);
    const __m512i sum = _mm512_add_epi32(lane, _mm512_set1_epi32((int)(pixel * 40503 & 0xffff)));
    return _mm512_and_si512(sum, _mm512_set1_epi32(0xffff));
}

TARGET static inline void reach_pixel(const uint16_t *dy, const uint16_t *y, const float *flat,
                                      const float *slope, int64_t n, int64_t pixel, uint16_t *to)
{
    if (!y) {
        memcpy(to, dy, (size_t)n * sizeof *to);
        return;
    }
    const __m512i dither = dither_of(pixel);
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);
        const __m512 v = _mm512_fmadd_ps(load(y + i, m), _mm512_maskz_loadu_ps(m, slope + i),
                                         _mm512_maskz_loadu_ps(m, flat + i));
        const __m512i bits = _mm512_castps_si512(_mm512_add_ps(load(dy + i, m), v));
        const __m512i cut = _mm512_srli_epi32(_mm512_add_epi32(bits, dither), 16);
        _mm256_mask_storeu_epi16(to + i, m, _mm512_cvtepi32_epi16(cut));
    }
}

/* --- Lines of x --- */

static int64_t place_in_weights(const amx_point *s, int64_t i)
{
    return i % s->c * s->kh * s->kw + i / s->c;
}

/* One row of a window: its pixels lie side by side where none is outside of the map. */
TARGET static void gather_row(const worker *w, const uint16_t *row, int64_t at, uint16_t *to)
{
    const amx_point *s = w->s;
    const int64_t step = s->conv.dilation_w, n = s->kw * s->c;
    if (step == 1 && at >= 0 && at + s->kw <= s->w && !w->read.scale) {
        for (int64_t i = 0; i < n; i += 16) {
            const __mmask16 m = lanes(n - i);
            _mm256_mask_storeu_epi16(to + i, m, _mm256_maskz_loadu_epi16(m, row + at * s->c + i));
        }
        return;
    }
    for (int64_t kx = 0; kx < s->kw; kx++, at += step, to += s->c)
        if (at < 0 || at >= s->w)
            memset(to, 0, (size_t)s->c * sizeof *to);
        else
            read_pixel(&w->read, row + at * s->c, s->c, to);
}

TARGET static void gather(const worker *w, int64_t row, uint16_t *to)
{
    const amx_point *s = w->s;
    const wisp_conv2d_attrs *a = &s->conv;
    const uint16_t *x = w->in[CPU_FWD_X].data;
    const int64_t n = row / (s->ho * s->wo), i = row / s->wo % s->ho, j = row % s->wo;
    for (int64_t ky = 0; ky < s->kh; ky++, to += s->kw * s->c) {
        const int64_t y = i * a->stride_h - a->pad_h + ky * a->dilation_h;
        if (y < 0 || y >= s->h)
            memset(to, 0, (size_t)(s->kw * s->c) * sizeof *to);
        else
            gather_row(w, x + (n * s->h + y) * s->w * s->c, j * a->stride_w - a->pad_w, to);
    }
}

/* `w->in` begins with x here. Rows of the block past the last pixel become zeros. */
TARGET static void read_lines(const worker *w, int64_t first, int64_t n, uint16_t *to)
{
    const amx_point *s = w->s;
    const uint16_t *x = w->in[CPU_FWD_X].data;
    for (int64_t p = 0; p < n; p++)
        if (s->gathers)
            gather(w, first + p, to + p * s->kp);
        else
            read_pixel(&w->read, x + (first + p) * s->c, s->c, to + p * s->kp);
    memset(to + n * s->kp, 0, (size_t)((round_up(n, BLOCK) - n) * s->kp) * sizeof *to);
}

/* --- Weights: blocks of 32 columns, in pairs of rows --- */

static void pack_forward(const worker *w)
{
    const amx_point *s = w->s;
    const float *weights = w->in[CPU_FWD_W].data;
    const int64_t n = s->op / BLOCK;
    for (int64_t b = cpu_cut(n, w->n_threads, w->thread);
         b < cpu_cut(n, w->n_threads, w->thread + 1); b++) {
        uint16_t *to = (uint16_t *)w->scratch + b * BLOCK * s->kp;
        memset(to, 0, (size_t)(BLOCK * s->kp) * sizeof *to);
        for (int64_t o = b * BLOCK; o < cpu_min((b + 1) * BLOCK, s->o); o++)
            for (int64_t k = 0; k < s->k; k++)
                to[k / 2 * 64 + o % BLOCK * 2 + k % 2] =
                    cpu_to_bf16(weights[o * s->k + place_in_weights(s, k)]);
    }
}

/* Only windows of one pixel pass a gradient on: k is c. */
static void pack_grad(const worker *w, const float *weights)
{
    const amx_point *s = w->s;
    const int64_t n = s->kp / BLOCK;
    for (int64_t b = cpu_cut(n, w->n_threads, w->thread);
         b < cpu_cut(n, w->n_threads, w->thread + 1); b++) {
        uint16_t *to = (uint16_t *)w->scratch + b * BLOCK * s->op;
        const int64_t first = b * BLOCK, width = cpu_min(BLOCK, s->c - first);
        memset(to, 0, (size_t)(BLOCK * s->op) * sizeof *to);
        for (int64_t o = 0; o < s->o; o++)
            for (int64_t c = 0; c < width; c++)
                to[o / 2 * 64 + c * 2 + o % 2] = cpu_to_bf16(weights[o * s->c + first + c]);
    }
}

/* --- conv_norm --- */

/* 16 channels of up to 32 finished pixels to y, and their moments. */
TARGET static void finish_y(const amx_point *s, const float *tile, uint16_t *y, int64_t o,
                            int64_t n, const cpu_moments *m, int is_first)
{
    const __mmask16 mask = lanes(s->o - o);
    if (is_first) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t p = 0; p < n; p++)
            sum = _mm512_add_ps(sum, _mm512_load_ps(tile + p * BLOCK));
        _mm512_storeu_ps(m->shift + o, _mm512_mul_ps(sum, _mm512_set1_ps(1.0f / (float)n)));
    }
    const __m512 shift = _mm512_loadu_ps(m->shift + o);
    __m512 d = _mm512_loadu_ps(m->d + o), dd = _mm512_loadu_ps(m->dd + o);
    for (int64_t p = 0; p < n; p++) {
        const __m256i h = narrow(_mm512_load_ps(tile + p * BLOCK));
        const __m512 e = _mm512_sub_ps(widen(h), shift);
        _mm256_mask_storeu_epi16(y + p * s->o + o, mask, h);
        d = _mm512_add_ps(d, e);
        dd = _mm512_fmadd_ps(e, e, dd);
    }
    _mm512_storeu_ps(m->d + o, d);
    _mm512_storeu_ps(m->dd + o, dd);
}

TARGET static void forward_block(const worker *w, int64_t first, int64_t n, const cpu_moments *m,
                                 int is_first)
{
    const amx_point *s = w->s;
    const uint16_t *weights = (const uint16_t *)w->scratch;
    uint16_t *lines = (uint16_t *)w->own, *y = (uint16_t *)w->out[0].data + first * s->o;
    float tile[TILE] __attribute__((aligned(64)));
    read_lines(w, first, n, lines);
    cpu_amx_fence();
    for (int64_t p = 0; p < n; p += BLOCK)
        for (int64_t o = 0; o < s->op; o += BLOCK) {
            cpu_amx_product(lines + p * s->kp, s->kp * 2, weights + o * s->kp, s->kp, tile, 1);
            for (int64_t half = 0; half < BLOCK && o + half < s->o; half += 16)
                finish_y(s, tile + half, y + p * s->o, o + half, cpu_min(BLOCK, n - p), m,
                         is_first && p == 0);
        }
    cpu_moments_close(m, s->op, n);
}

static void finish_stats(const worker *w)
{
    const amx_point *s = w->s;
    float *mean = w->out[1].data, *var = w->out[2].data;
    for (int64_t i = cpu_cut(s->o, w->n_threads, w->thread);
         i < cpu_cut(s->o, w->n_threads, w->thread + 1); i++)
        cpu_moments_finish(chunk_part(w, 0), s->chunks, s->chunk_bytes, s->op, 1, s->rows, i,
                           &mean[i], &var[i]);
}

static worker begin(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                    const wisp_kernel_arg *out, void *scratch)
{
    const amx_point *s = kernel->state;
    worker w = {s, in, out, scratch, NULL, {NULL, NULL, 0, 0}, 0, 0};
    w.thread = omp_get_thread_num();
    w.n_threads = omp_get_num_threads();
    w.own = w.scratch + s->thread_at + w.thread * s->thread_bytes;
    memset(w.own, 0, (size_t)s->thread_bytes);
    return w;
}

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const amx_point *s = kernel->state;
    (void)err;
#pragma omp parallel num_threads(cpu_kernel_device(kernel)->n_threads)
    {
        worker w = begin(kernel, in, out, scratch);
        w.read = cpu_reading_of(s->activation, &in[CPU_FWD_SCALE]);
        pack_forward(&w);
#pragma omp barrier
        cpu_amx_begin();
        for (int64_t chunk = cpu_cut(s->chunks, w.n_threads, w.thread);
             chunk < cpu_cut(s->chunks, w.n_threads, w.thread + 1); chunk++) {
            const cpu_moments m = cpu_moments_at(chunk_part(&w, chunk), s->op);
            const int64_t from = cpu_cut(s->n_blocks, s->chunks, chunk);
            const int64_t to = cpu_cut(s->n_blocks, s->chunks, chunk + 1);
            memset(m.sum, 0, (size_t)s->chunk_bytes);
            for (int64_t b = from; b < to; b++)
                forward_block(&w, b * s->block, cpu_min(s->block, s->rows - b * s->block), &m,
                              b == from);
        }
        cpu_amx_end();
#pragma omp barrier
        if (s->wants_stats)
            finish_stats(&w);
    }
    return WISP_OK;
}

/* --- conv_norm_grad --- */

/* 16 channels of up to 32 pixels: from what arrives behind the activation to dx. */
TARGET static void finish_dx(const worker *w, const float *tile, int64_t first, int64_t c,
                             int64_t n, const cpu_scale_sums *sums)
{
    const int64_t channels = w->s->c;
    const __mmask16 m = lanes(channels - c);
    const uint16_t *x = (const uint16_t *)w->in[CPU_GRAD_X].data + first * channels + c;
    uint16_t *dx = (uint16_t *)w->out[0].data + first * channels + c;
    if (!w->read.scale) {
        for (int64_t p = 0; p < n; p++)
            store(dx + p * channels, m, _mm512_load_ps(tile + p * BLOCK));
        return;
    }
    const __m512 scale = _mm512_maskz_loadu_ps(m, w->read.scale + c);
    const __m512 shift = _mm512_maskz_loadu_ps(m, w->read.shift + c);
    const __m512 low = _mm512_set1_ps(w->read.low), high = _mm512_set1_ps(w->read.high);
    __m512 dscale = _mm512_maskz_loadu_ps(m, sums->dscale + c);
    __m512 dshift = _mm512_maskz_loadu_ps(m, sums->dshift + c);
    for (int64_t p = 0; p < n; p++) {
        const __m512 value = load(x + p * channels, m), v = _mm512_fmadd_ps(value, scale, shift);
        const __mmask16 passes =
            _mm512_cmp_ps_mask(v, low, _CMP_GT_OQ) & _mm512_cmp_ps_mask(v, high, _CMP_LT_OQ);
        const __m512 d = _mm512_maskz_loadu_ps(passes, tile + p * BLOCK);
        dscale = _mm512_fmadd_ps(d, value, dscale);
        dshift = _mm512_add_ps(dshift, d);
        store(dx + p * channels, m, _mm512_mul_ps(d, scale));
    }
    _mm512_mask_storeu_ps(sums->dscale + c, m, dscale);
    _mm512_mask_storeu_ps(sums->dshift + c, m, dshift);
}

TARGET static void read_reach(const worker *w, int64_t first, int64_t n, uint16_t *to)
{
    const amx_point *s = w->s;
    const float *flat = (const float *)(w->scratch + s->reach_at), *slope = flat + s->o;
    const uint16_t *dy = (const uint16_t *)w->in[CPU_GRAD_DY].data + first * s->o;
    const uint16_t *y = s->has_y ? (const uint16_t *)w->in[CPU_GRAD_Y].data + first * s->o : NULL;
    for (int64_t p = 0; p < n; p++)
        reach_pixel(dy + p * s->o, y ? y + p * s->o : NULL, flat, slope, s->o, first + p,
                    to + p * s->op);
    memset(to + n * s->op, 0, (size_t)((round_up(n, BLOCK) - n) * s->op) * sizeof *to);
}

/* 32 pixels by 32 channels become 32 lines. */
TARGET static void make_lines(const uint16_t *from, int64_t width, uint16_t *to, int64_t pitch)
{
    __m512i low[16], high[16];
    for (int i = 0; i < 16; i++)
        cpu_amx_pair(_mm512_loadu_si512(from + 2 * i * width),
                     _mm512_loadu_si512(from + (2 * i + 1) * width), &low[i], &high[i]);
    cpu_amx_transpose16(low);
    cpu_amx_transpose16(high);
    for (int i = 0; i < 16; i++) {
        _mm512_storeu_si512(to + i * pitch, low[i]);
        _mm512_storeu_si512(to + (i + 16) * pitch, high[i]);
    }
}

TARGET static void make_pairs(const uint16_t *from, int64_t width, uint16_t *to)
{
    for (int i = 0; i < BLOCK; i += 2) {
        __m512i low, high;
        cpu_amx_pair(_mm512_loadu_si512(from + i * width),
                     _mm512_loadu_si512(from + (i + 1) * width), &low, &high);
        _mm512_storeu_si512(to + i * BLOCK, low);
        _mm512_storeu_si512(to + i * BLOCK + BLOCK, high);
    }
}

/* dw += dy' a over a block, in tiles of 32 by 32. */
TARGET static void add_weights(const worker *w, const uint16_t *x, const uint16_t *dy, int64_t n,
                               float *dw, int is_first)
{
    const amx_point *s = w->s;
    const uint16_t *left = s->swaps ? x : dy, *right = s->swaps ? dy : x;
    const int64_t left_width = s->swaps ? s->kp : s->op, right_width = s->swaps ? s->op : s->kp;
    uint16_t *lines = (uint16_t *)(w->own + s->lines_at),
             *pairs = (uint16_t *)(w->own + s->pairs_at);
    n = round_up(n, BLOCK);
    for (int64_t p = 0; p < n; p += BLOCK) {
        for (int64_t b = 0; b < s->line_blocks; b++)
            make_lines(left + p * left_width + b * BLOCK, left_width,
                       lines + b * BLOCK * s->pitch + p, s->pitch);
        for (int64_t b = 0; b < s->pair_blocks; b++)
            make_pairs(right + p * right_width + b * BLOCK, right_width,
                       pairs + (b * s->block + p) * BLOCK);
    }
    cpu_amx_fence();
    for (int64_t i = 0; i < s->line_blocks; i++)
        for (int64_t j = 0; j < s->pair_blocks; j++)
            cpu_amx_product(lines + i * BLOCK * s->pitch, s->pitch * 2,
                            pairs + j * s->block * BLOCK, n, dw + (i * s->pair_blocks + j) * TILE,
                            is_first);
}

TARGET static void grad_block(const worker *w, int64_t first, int64_t n, char *part, int is_first)
{
    const amx_point *s = w->s;
    const cpu_scale_sums sums = cpu_scale_sums_at(part, s->c);
    const uint16_t *weights = (const uint16_t *)w->scratch;
    uint16_t *x = (uint16_t *)w->own, *dy = (uint16_t *)(w->own + s->dy_at);
    float tile[TILE] __attribute__((aligned(64)));
    read_reach(w, first, n, dy);
    if (s->wants_w) {
        worker reader = *w;
        reader.in += CPU_GRAD_X;
        read_lines(&reader, first, n, x);
        add_weights(w, x, dy, n, (float *)(part + s->sums_bytes), is_first);
    }
    if (!s->wants_x)
        return;
    cpu_amx_fence();
    for (int64_t p = 0; p < n; p += BLOCK)
        for (int64_t c = 0; c < s->kp; c += BLOCK) {
            cpu_amx_product(dy + p * s->op, s->op * 2, weights + c * s->op, s->op, tile, 1);
            for (int64_t half = 0; half < BLOCK && c + half < s->c; half += 16)
                finish_dx(w, tile + half, first + p, c + half, cpu_min(BLOCK, n - p), &sums);
        }
    cpu_scale_sums_close(&sums, s->c);
}

/* Tiles of all chunks are added in the first one's place, then go to dw. */
static void finish_weights(const worker *w)
{
    const amx_point *s = w->s;
    const int64_t n = s->line_blocks * s->pair_blocks;
    float *dw = w->out[3].data, *sum = (float *)(chunk_part(w, 0) + s->sums_bytes);
    for (int64_t t = cpu_cut(n, w->n_threads, w->thread);
         t < cpu_cut(n, w->n_threads, w->thread + 1); t++) {
        float *restrict to = sum + t * TILE;
        for (int64_t chunk = 1; chunk < s->chunks; chunk++) {
            const float *restrict from = (float *)(chunk_part(w, chunk) + s->sums_bytes) + t * TILE;
            CPU_SIMD
            for (int64_t i = 0; i < TILE; i++)
                to[i] += from[i];
        }
        const int64_t left = t / s->pair_blocks * BLOCK, right = t % s->pair_blocks * BLOCK;
        for (int64_t i = 0; i < TILE; i++) {
            const int64_t a = left + i / BLOCK, b = right + i % BLOCK;
            const int64_t o = s->swaps ? b : a, k = s->swaps ? a : b;
            if (o < s->o && k < s->k)
                dw[o * s->k + place_in_weights(s, k)] = to[i];
        }
    }
}

static void finish_scale(const worker *w)
{
    const amx_point *s = w->s;
    float *dscale = w->out[1].data, *dshift = w->out[2].data;
    for (int64_t c = cpu_cut(s->c, w->n_threads, w->thread);
         c < cpu_cut(s->c, w->n_threads, w->thread + 1); c++) {
        double scale = 0, shift = 0;
        for (int64_t i = 0; i < s->chunks; i++) {
            const cpu_scale_sums sums = cpu_scale_sums_at(chunk_part(w, i), s->c);
            scale += sums.scale[c];
            shift += sums.shift[c];
        }
        dscale[c] = (float)scale;
        dshift[c] = (float)shift;
    }
}

static void prepare_grad(const worker *w)
{
    const amx_point *s = w->s;
    const cpu_call call = {s, w->in, w->out, w->scratch};
    float *flat = (float *)(w->scratch + s->reach_at);
    if (s->wants_x)
        pack_grad(w, w->in[CPU_GRAD_W].data);
    if (s->has_y && w->thread == 0)
        cpu_reach_expand(&call, s->o, s->rows, flat, flat + s->o);
}

static wisp_status run_grad(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const amx_point *s = kernel->state;
    (void)err;
#pragma omp parallel num_threads(cpu_kernel_device(kernel)->n_threads)
    {
        worker w = begin(kernel, in, out, scratch);
        w.read = cpu_reading_of(s->activation, &in[CPU_GRAD_SCALE]);
        prepare_grad(&w);
#pragma omp barrier
        cpu_amx_begin();
        for (int64_t chunk = cpu_cut(s->chunks, w.n_threads, w.thread);
             chunk < cpu_cut(s->chunks, w.n_threads, w.thread + 1); chunk++) {
            const int64_t from = cpu_cut(s->n_blocks, s->chunks, chunk);
            const int64_t to = cpu_cut(s->n_blocks, s->chunks, chunk + 1);
            memset(chunk_part(&w, chunk), 0, (size_t)s->sums_bytes);
            for (int64_t b = from; b < to; b++)
                grad_block(&w, b * s->block, cpu_min(s->block, s->rows - b * s->block),
                           chunk_part(&w, chunk), b == from);
        }
        cpu_amx_end();
#pragma omp barrier
        if (s->wants_w)
            finish_weights(&w);
        if (s->wants_x && w.read.scale)
            finish_scale(&w);
    }
    return WISP_OK;
}

/* --- Prepare --- */

static wisp_status judge(const cpu_device *device, const wisp_kernel_request *request, int32_t x_at,
                         wisp_error *err)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    if (!device->has_amx)
        return wisp_refuse(request, err, "the own kernel needs AMX");
    if (request->in[x_at]->dtype != WISP_BF16)
        return wisp_refuse(request, err, "the own kernel needs bf16");
    if (attrs->conv.groups != 1)
        return wisp_refuse(request, err, "the own kernel knows no groups");
    return WISP_OK;
}

static void plan(amx_point *s, const wisp_kernel_request *request, int32_t x_at, const wisp_desc *y,
                 int64_t bytes_a_pixel)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[x_at], *w = request->in[x_at + 3];
    s->conv = attrs->conv;
    s->activation = attrs->activation;
    s->h = x->shape[1], s->w = x->shape[2], s->c = x->shape[3];
    s->ho = y->shape[1], s->wo = y->shape[2], s->o = y->shape[3];
    s->kh = w->shape[2], s->kw = w->shape[3];
    s->rows = cpu_rows(y);
    s->k = s->c * s->kh * s->kw;
    s->kp = round_up(s->k, BLOCK);
    s->op = round_up(s->o, BLOCK);
    s->gathers = s->kh * s->kw > 1 || s->conv.stride_h > 1 || s->conv.stride_w > 1 ||
                 s->conv.pad_h > 0 || s->conv.pad_w > 0;
    s->block = BLOCK_BYTES / (bytes_a_pixel * (s->kp + s->op)) / BLOCK * BLOCK;
    s->block = cpu_max(BLOCK, cpu_min(s->block, MAX_PIXELS));
    s->n_blocks = cpu_ceil_div(s->rows, s->block);
    s->chunks = cpu_max(MIN_CHUNKS, cpu_min(s->rows / CHUNK_ROWS, MAX_CHUNKS));
    s->chunks = cpu_min(s->chunks, s->n_blocks);
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(judge(device, request, CPU_FWD_X, err));
    WISP_TRY(cpu_kernel_create(device, "amx", run_forward, sizeof(amx_point), NULL, kernel, err));
    amx_point *s = (*kernel)->state;
    plan(s, request, CPU_FWD_X, request->out[0], 2);
    s->wants_stats = cpu_out(request, 1) != NULL;
    s->chunk_at = s->kp * s->op * 2;
    s->chunk_bytes = cpu_moments_bytes(s->op);
    s->thread_at = s->chunk_at + s->chunks * s->chunk_bytes;
    s->thread_bytes = s->block * s->kp * 2;
    (*kernel)->scratch_bytes = (size_t)(s->thread_at + device->n_threads * s->thread_bytes);
    return WISP_OK;
}

static void plan_grad(amx_point *s)
{
    s->swaps = s->kp < s->op;
    s->line_blocks = (s->swaps ? s->kp : s->op) / BLOCK;
    s->pair_blocks = (s->swaps ? s->op : s->kp) / BLOCK;
    s->pitch =
        (s->block / BLOCK | 1) * BLOCK; /* in cache lines odd: rows of a tile do not collide */
    s->reach_at = s->wants_x ? s->kp * s->op * 2 : 0;
    s->chunk_at = s->reach_at + (int64_t)cpu_align64((size_t)s->o * 2 * sizeof(float));
    s->sums_bytes = cpu_scale_sums_bytes(s->c);
    s->chunk_bytes = s->sums_bytes + (s->wants_w ? s->kp * s->op * (int64_t)sizeof(float) : 0);
    s->thread_at = s->chunk_at + s->chunks * s->chunk_bytes;
    s->dy_at = s->block * s->kp * 2;
    s->lines_at = s->dy_at + s->block * s->op * 2;
    s->pairs_at = s->lines_at + s->line_blocks * BLOCK * s->pitch * 2;
    s->thread_bytes = s->pairs_at + s->pair_blocks * BLOCK * s->block * 2;
}

static wisp_status prepare_gradient(cpu_device *device, const wisp_kernel_request *request,
                                    wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    WISP_TRY(judge(device, request, CPU_GRAD_X, err));
    WISP_TRY(cpu_kernel_create(device, "amx", run_grad, sizeof(amx_point), NULL, kernel, err));
    amx_point *s = (*kernel)->state;
    plan(s, request, CPU_GRAD_X, request->in[CPU_GRAD_DY], 4);
    s->wants_x = (attrs->want_grads & WISP_CONV_NORM_INPUT) != 0;
    s->wants_w = (attrs->want_grads & WISP_CONV_NORM_WEIGHT) != 0;
    s->has_y = cpu_in(request, CPU_GRAD_Y) != NULL;
    if (s->wants_x && s->gathers) {
        (*kernel)->release(*kernel);
        return wisp_refuse(request, err, "only windows of one pixel have a gradient for x");
    }
    plan_grad(s);
    (*kernel)->scratch_bytes = (size_t)(s->thread_at + device->n_threads * s->thread_bytes);
    return WISP_OK;
}

const cpu_kernel_entry cpu_conv_norm_amx_kernels[] = {
    {"conv_norm", prepare_forward},
    {"conv_norm_grad", prepare_gradient},
    {NULL, NULL},
};

#else

const cpu_kernel_entry cpu_conv_norm_amx_kernels[] = {{NULL, NULL}};

#endif
