/* cpu_attention_amx.c - self-attention and its gradient on matrix tiles, head by head.
 *
 * Forward, rows are queries: 32 of them meet all keys, and what the softmax leaves meets the
 * values; the sum of the row divides last. Backward, rows are keys: there the probabilities come
 * from lse and the mean of dp from dy * y, one number a column each, so nothing is summed along a
 * row, and the squares of p and ds are left matrices for dv and dk as they are. ds stays as a right
 * matrix until the end, for the transposed dq. Squares of 32 x 32 are as cpu_amx_parts.h makes
 * them. */
#include <math.h>
#include <omp.h>

#include "cpu_amx_parts.h"
#include "cpu_empty.h"
#include "kernel_table.h"
#include "vector/cpu_elementary.h"

#ifdef CPU_CAN_AMX

/* From square to square: not a power of two, lest a row's parts fall on each other in the cache. */
enum { SQUARE = 32, AREA = SQUARE * SQUARE + 16, MIN_TOKENS = 16, MAX_TOKENS = 1024 };
enum { MIN_WIDTH = 16, MAX_WIDTH = 128 };

static const float LN_2 = 0.693147181f, LOG2_E = 1.44269504f;

/* Offsets into one thread's scratch. */
typedef struct buffers {
    size_t k_right, v_right, q_right, dy_right, q_across, dy_across; /* right matrices */
    size_t left, other, p, ds, k_lines;                              /* left matrices */
    size_t scores, dp, ds_right, lse, mean, total;
} buffers;

typedef struct attention_state {
    buffers at;
    int64_t batch, tokens, heads, width, channels;
    int64_t t, d;             /* tokens and width in multiples of 32 */
    int64_t t_pitch, d_pitch; /* of left matrices */
    float scale, power;       /* of scores, and times log2(e): exp(scale s) = 2^(power s) */
    int32_t type, parts, n_threads;
} attention_state;

/* One head: its first q, k, v in qkv, and its first y. */
typedef struct head {
    const char *q, *k, *v, *y, *dy;
    char *out, *dq, *dk, *dv;
    float *lse;
    cpu_fetch *ahead; /* of the next sample */
} head;

static int64_t padded(int64_t n)
{
    return (n + SQUARE - 1) / SQUARE * SQUARE;
}

static int64_t pitch_of(int64_t width)
{
    return (width / SQUARE | 1) * SQUARE;
}

static cpu_parts_source source_of(const attention_state *s, const char *data, int64_t stride)
{
    const cpu_parts_source from = {data, stride, s->tokens, s->width, s->type, 0};
    return from;
}

/* Tokens as the columns of a right matrix, width as its k. */
CPU_PARTS_INLINE void lay_across(const attention_state *s, const char *data, int64_t stride,
                                 uint16_t *to, int parts)
{
    const cpu_parts_source from = source_of(s, data, stride);
    for (int64_t t = 0; t < s->t; t += SQUARE)
        cpu_parts_panel_transposed(&from, t, 0, s->d, parts, to + parts * t * s->d);
}

/* Tokens as the k of a right matrix, width as its columns. */
CPU_PARTS_INLINE void lay_right(const attention_state *s, const char *data, int64_t stride,
                                uint16_t *to, int parts)
{
    const cpu_parts_source from = source_of(s, data, stride);
    for (int64_t d = 0; d < s->d; d += SQUARE)
        cpu_parts_panel(&from, 0, d, s->t, s->t, parts, to + parts * d * s->t);
}

/* 32 tokens from `first` on as a left matrix. */
CPU_PARTS_INLINE void lay_left(const attention_state *s, const char *data, int64_t stride,
                               int64_t first, uint16_t *to, int parts)
{
    const cpu_parts_source from = source_of(s, data, stride);
    cpu_parts_rows(&from, first, SQUARE, s->d, parts, to, s->d_pitch);
}

/* Squares of a left block (k = width) times all columns of a right matrix. */
CPU_PARTS_INLINE void multiply_across(const attention_state *s, const uint16_t *left,
                                      const uint16_t *right, float *squares, int parts,
                                      cpu_fetch *ahead)
{
    for (int64_t t = 0; t < s->t; t += SQUARE)
        cpu_parts_product_ahead(left, s->d_pitch, SQUARE * s->d_pitch, right + parts * t * s->d,
                                s->d * SQUARE, s->d, parts, squares + t / SQUARE * AREA, 1, ahead);
}

/* Rows of 32 tokens (k = tokens) times a right matrix, each row times its factor, to a tensor. */
CPU_PARTS_INLINE void multiply_tokens(const attention_state *s, const uint16_t *left,
                                      const uint16_t *right, const float *factor, int64_t first,
                                      char *to, int64_t stride, int parts, cpu_fetch *ahead)
{
    _Alignas(64) float sum[AREA];
    const int64_t rows = s->tokens - first < SQUARE ? s->tokens - first : SQUARE;
    for (int64_t d = 0; d < s->d; d += SQUARE) {
        cpu_parts_product_ahead(left, s->t_pitch, SQUARE * s->t_pitch, right + parts * d * s->t,
                                s->t * SQUARE, s->t, parts, sum, 1, ahead);
        for (int64_t half = 0; half < SQUARE; half += 16) {
            const __mmask16 mask = cpu_parts_mask(s->width - d - half);
            for (int64_t r = 0; r < rows; r++) {
                __m512 v = _mm512_load_ps(sum + r * SQUARE + half);
                if (factor)
                    v = _mm512_mul_ps(v, _mm512_set1_ps(factor[r]));
                cpu_parts_store(to, (first + r) * stride + d + half, mask, v, s->type);
            }
        }
    }
}

/* --- Forward --- */

enum { AT_ONCE = 4 }; /* rows, so that none waits for the sums of another */

/* The largest of power * s of four rows from `r` on. */
CPU_PARTS_INLINE void find_largest(const attention_state *s, const float *squares, int64_t r,
                                   float *top)
{
    const __m512 power = _mm512_set1_ps(s->power);
    __m512 largest[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        largest[i] = _mm512_set1_ps(-INFINITY);
    for (int64_t c = 0; c < s->tokens; c += 16) {
        const float *at = squares + c / SQUARE * AREA + r * SQUARE + c % SQUARE;
        const __mmask16 mask = cpu_parts_mask(s->tokens - c);
        for (int i = 0; i < AT_ONCE; i++) {
            const __m512 v = _mm512_mul_ps(power, _mm512_load_ps(at + i * SQUARE));
            largest[i] = _mm512_mask_max_ps(largest[i], mask, largest[i], v);
        }
    }
    for (int i = 0; i < AT_ONCE; i++)
        top[r + i] = _mm512_reduce_max_ps(largest[i]);
}

/* 2^(power * score - shift) of sixteen scores, those that are there. */
CPU_PARTS_INLINE __m512 raise_scores(const attention_state *s, const float *score, __m512 shift,
                                     __mmask16 mask, int parts)
{
    const __m512 x = _mm512_fmsub_ps(_mm512_set1_ps(s->power), _mm512_load_ps(score), shift);
    return _mm512_maskz_mov_ps(mask, cpu_wide_exp2(x, parts == 1));
}

/* The powers of four rows to a left matrix, and their sums. */
CPU_PARTS_INLINE void raise_rows(const attention_state *s, const float *squares, int64_t r,
                                 const float *top, uint16_t *p, float *sum, int parts)
{
    __m512 total[AT_ONCE];
    __m512i row[CPU_PARTS_MAX];
    for (int i = 0; i < AT_ONCE; i++)
        total[i] = _mm512_setzero_ps();
    for (int64_t c = 0; c < s->t; c += SQUARE) {
        const float *at = squares + c / SQUARE * AREA + r * SQUARE;
        const __mmask32 mask = cpu_parts_mask32(s->tokens - c);
        for (int i = 0; i < AT_ONCE; i++) {
            const __m512 shift = _mm512_set1_ps(top[r + i]);
            const __m512 low = raise_scores(s, at + i * SQUARE, shift, (__mmask16)mask, parts);
            __m512 high = _mm512_setzero_ps();
            if (mask >> 16)
                high = raise_scores(s, at + i * SQUARE + 16, shift, (__mmask16)(mask >> 16), parts);
            total[i] = _mm512_add_ps(total[i], _mm512_add_ps(low, high));
            cpu_parts_merge(low, high, parts, row);
            for (int k = 0; k < parts; k++)
                _mm512_store_si512(p + (k * SQUARE + r + i) * s->t_pitch + c, row[k]);
        }
    }
    for (int i = 0; i < AT_ONCE; i++)
        sum[r + i] = _mm512_reduce_add_ps(total[i]);
}

CPU_PARTS_INLINE void forward_block(const attention_state *s, const head *h, char *mem,
                                    int64_t first, int parts)
{
    const buffers *b = &s->at;
    float sum[SQUARE] = {0}, top[SQUARE] = {0}, log_sum[SQUARE], inverse[SQUARE];
    const int64_t rows = s->tokens - first < SQUARE ? s->tokens - first : SQUARE;
    float *squares = (float *)(mem + b->scores);
    uint16_t *p = (uint16_t *)(mem + b->p), *left = (uint16_t *)(mem + b->left);
    lay_left(s, h->q, 3 * s->channels, first, left, parts);
    multiply_across(s, left, (uint16_t *)(mem + b->k_right), squares, parts, h->ahead);
    for (int64_t r = 0; r < rows; r += AT_ONCE) {
        find_largest(s, squares, r, top);
        raise_rows(s, squares, r, top, p, sum, parts);
    }
#pragma omp simd
    for (int64_t r = 0; r < SQUARE; r++) {
        log_sum[r] = LN_2 * top[r] + cpu_log(sum[r]);
        inverse[r] = 1.0f / sum[r];
    }
    memcpy(h->lse + first, log_sum, (size_t)rows * sizeof(float));
    multiply_tokens(s, p, (uint16_t *)(mem + b->v_right), inverse, first, h->out, s->channels,
                    parts, h->ahead);
}

CPU_PARTS_INLINE void forward_head(const attention_state *s, const head *h, char *mem, int parts)
{
    lay_across(s, h->k, 3 * s->channels, (uint16_t *)(mem + s->at.k_right), parts);
    lay_right(s, h->v, 3 * s->channels, (uint16_t *)(mem + s->at.v_right), parts);
    for (int64_t first = 0; first < s->tokens; first += SQUARE)
        forward_block(s, h, mem, first, parts);
}

/* --- Gradient --- */

/* lse in powers of two, and dy * y: what is subtracted from the scores and from dp of a query. */
CPU_PARTS_INLINE void lay_columns(const attention_state *s, const head *h, char *mem)
{
    float *lse = (float *)(mem + s->at.lse), *mean = (float *)(mem + s->at.mean);
    for (int64_t q = 0; q < s->t; q++) {
        __m512 total = _mm512_setzero_ps();
        for (int64_t c = 0; q < s->tokens && c < s->width; c += 16) {
            const __mmask16 mask = cpu_parts_mask(s->width - c);
            total =
                _mm512_fmadd_ps(cpu_parts_load(h->dy, q * s->channels + c, mask, s->type),
                                cpu_parts_load(h->y, q * s->channels + c, mask, s->type), total);
        }
        mean[q] = _mm512_reduce_add_ps(total);
        lse[q] = q < s->tokens ? LOG2_E * h->lse[q] : 0.0f;
    }
}

/* Sixteen queries: what is subtracted, and which of them there are. */
typedef struct queries {
    __m512 shift, mean;
    __mmask16 mask;
} queries;

CPU_PARTS_INLINE queries find_queries(const attention_state *s, const char *mem, int64_t c)
{
    const queries q = {_mm512_load_ps((const float *)(mem + s->at.lse) + c),
                       _mm512_load_ps((const float *)(mem + s->at.mean) + c),
                       cpu_parts_mask(s->tokens - c)};
    return q;
}

/* p and ds of sixteen queries and one key. */
typedef struct pair {
    __m512 p, ds;
} pair;

/* The score and dp are at `i`. */
CPU_PARTS_INLINE pair differentiate(const attention_state *s, const char *mem, const queries *q,
                                    int64_t i, int parts)
{
    const __m512 dp = _mm512_load_ps((const float *)(mem + s->at.dp) + i);
    pair v = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    if (!q->mask)
        return v;
    v.p = raise_scores(s, (const float *)(mem + s->at.scores) + i, q->shift, q->mask, parts);
    v.ds = _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(s->scale), v.p), _mm512_sub_ps(dp, q->mean));
    v.ds = _mm512_maskz_mov_ps(q->mask, v.ds);
    return v;
}

/* 32 queries of row r, the first and the second 16, to the left matrices p and ds. */
CPU_PARTS_INLINE void lay_row(const attention_state *s, char *mem, const pair *v, int64_t r,
                              int64_t c, int parts)
{
    __m512i p[CPU_PARTS_MAX], ds[CPU_PARTS_MAX];
    cpu_parts_merge(v[0].p, v[1].p, parts, p);
    cpu_parts_merge(v[0].ds, v[1].ds, parts, ds);
    for (int i = 0; i < parts; i++) {
        const int64_t at = (i * SQUARE + r) * s->t_pitch + c;
        _mm512_store_si512((uint16_t *)(mem + s->at.p) + at, p[i]);
        _mm512_store_si512((uint16_t *)(mem + s->at.ds) + at, ds[i]);
    }
}

/* ds of two keys, the i-th pair, and 32 queries to a panel. */
CPU_PARTS_INLINE void lay_pair(const attention_state *s, char *mem, pair v[2][2], int64_t i,
                               int64_t c, int parts)
{
    uint16_t *panel = (uint16_t *)(mem + s->at.ds_right) + c * parts * s->t;
    __m512i first[CPU_PARTS_MAX], second[CPU_PARTS_MAX];
    for (int half = 0; half < 2; half++) {
        cpu_parts_split(v[0][half].ds, parts, first);
        cpu_parts_split(v[1][half].ds, parts, second);
        for (int k = 0; k < parts; k++)
            _mm512_store_si512(panel + (k * s->t / 2 + i) * 64 + half * 32,
                               cpu_parts_pair(first[k], second[k]));
    }
}

/* p and ds of 32 keys as left matrices, and ds as rows `key` .. of right panels. */
CPU_PARTS_INLINE void lay_gradients(const attention_state *s, char *mem, int64_t key, int parts)
{
    const int64_t rows = s->tokens - key < SQUARE ? s->tokens - key : SQUARE;
    for (int64_t c = 0; c < s->t; c += SQUARE) {
        const queries q[2] = {find_queries(s, mem, c), find_queries(s, mem, c + 16)};
        for (int64_t i = 0; i < SQUARE / 2; i++) {
            pair v[2][2] = {{{_mm512_setzero_ps(), _mm512_setzero_ps()}}};
            for (int k = 0; k < 2; k++) {
                const int64_t r = cpu_parts_first(i, parts) + k * cpu_parts_apart(parts);
                const int64_t at = c / SQUARE * AREA + r * SQUARE;
                if (r >= rows)
                    continue;
                v[k][0] = differentiate(s, mem, &q[0], at, parts);
                v[k][1] = differentiate(s, mem, &q[1], at + 16, parts);
                lay_row(s, mem, v[k], r, c, parts);
            }
            lay_pair(s, mem, v, key / 2 + i, c, parts);
        }
    }
}

CPU_PARTS_INLINE void backward_block(const attention_state *s, const head *h, char *mem,
                                     int64_t key, int parts)
{
    const buffers *b = &s->at;
    const int64_t stride = 3 * s->channels;
    uint16_t *left = (uint16_t *)(mem + b->left), *other = (uint16_t *)(mem + b->other);
    lay_left(s, h->k, stride, key, left, parts);
    lay_left(s, h->v, stride, key, other, parts);
    multiply_across(s, left, (uint16_t *)(mem + b->q_across), (float *)(mem + b->scores), parts,
                    h->ahead);
    multiply_across(s, other, (uint16_t *)(mem + b->dy_across), (float *)(mem + b->dp), parts,
                    h->ahead);
    lay_gradients(s, mem, key, parts);
    multiply_tokens(s, (uint16_t *)(mem + b->p), (uint16_t *)(mem + b->dy_right), NULL, key, h->dv,
                    stride, parts, h->ahead);
    multiply_tokens(s, (uint16_t *)(mem + b->ds), (uint16_t *)(mem + b->q_right), NULL, key, h->dk,
                    stride, parts, h->ahead);
}

/* A square of the transposed dq, rows d .. of the width and columns t .. of the tokens. */
CPU_PARTS_INLINE void store_transposed(const attention_state *s, const float *sum, int64_t d,
                                       int64_t t, char *to)
{
    __m512i block[16];
    for (int64_t half_d = 0; half_d < SQUARE; half_d += 16)
        for (int64_t half_t = 0; half_t < SQUARE; half_t += 16) {
            for (int i = 0; i < 16; i++)
                block[i] = _mm512_load_si512(sum + (half_d + i) * SQUARE + half_t);
            cpu_amx_transpose16(block);
            const __mmask16 mask = cpu_parts_mask(s->width - d - half_d);
            for (int i = 0; i < 16 && t + half_t + i < s->tokens; i++)
                cpu_parts_store(to, (t + half_t + i) * 3 * s->channels + d + half_d, mask,
                                _mm512_castsi512_ps(block[i]), s->type);
        }
}

CPU_PARTS_INLINE void gradient_of_q(const attention_state *s, const head *h, char *mem, int parts)
{
    _Alignas(64) float sum[AREA];
    const cpu_parts_source k = source_of(s, h->k, 3 * s->channels);
    uint16_t *lines = (uint16_t *)(mem + s->at.k_lines);
    for (int64_t t = 0; t < s->t; t += SQUARE)
        for (int64_t d = 0; d < s->d; d += 16)
            cpu_parts_lines(&k, t, d, parts, lines + d * s->t_pitch + t, s->d, s->t_pitch, NULL);
    for (int64_t t = 0; t < s->t; t += SQUARE)
        for (int64_t d = 0; d < s->d; d += SQUARE) {
            cpu_parts_product(lines + d * s->t_pitch, s->t_pitch, s->d * s->t_pitch,
                              (uint16_t *)(mem + s->at.ds_right) + parts * t * s->t, s->t * SQUARE,
                              s->t, parts, sum, 1);
            store_transposed(s, sum, d, t, h->dq);
        }
}

CPU_PARTS_INLINE void backward_head(const attention_state *s, const head *h, char *mem, int parts)
{
    const buffers *b = &s->at;
    lay_across(s, h->q, 3 * s->channels, (uint16_t *)(mem + b->q_across), parts);
    lay_right(s, h->q, 3 * s->channels, (uint16_t *)(mem + b->q_right), parts);
    lay_across(s, h->dy, s->channels, (uint16_t *)(mem + b->dy_across), parts);
    lay_right(s, h->dy, s->channels, (uint16_t *)(mem + b->dy_right), parts);
    lay_columns(s, h, mem);
    for (int64_t key = 0; key < s->tokens; key += SQUARE)
        backward_block(s, h, mem, key, parts);
    gradient_of_q(s, h, mem, parts);
}

/* --- Run --- */

CPU_PARTS_TARGET static void run_head(const attention_state *s, const head *h, char *mem)
{
    if (s->parts == 1 && h->dy)
        backward_head(s, h, mem, 1);
    else if (s->parts == 1)
        forward_head(s, h, mem, 1);
    else if (h->dy)
        backward_head(s, h, mem, CPU_PARTS_F32);
    else
        forward_head(s, h, mem, CPU_PARTS_F32);
}

/* The tensors of a call; `in` is what is read, the gradient's are NULL in the forward pass. */
typedef struct tensors {
    const char *qkv, *y, *dy;
    char *out, *dqkv;
    float *lse;
} tensors;

static head find_head(const attention_state *s, const tensors *x, int64_t index)
{
    const int64_t b = index / s->heads, bytes = wisp_dtype_bytes(s->type);
    const int64_t part = s->channels * bytes, column = index % s->heads * s->width * bytes;
    const int64_t at = b * s->tokens * part * 3 + column, y_at = b * s->tokens * part + column;
    head h = {0};
    h.q = x->qkv + at;
    h.k = h.q + part;
    h.v = h.k + part;
    h.lse = x->lse + index * s->tokens;
    if (!x->dy) {
        h.out = x->out + y_at;
        return h;
    }
    h.y = x->y + y_at;
    h.dy = x->dy + y_at;
    h.dq = x->dqkv + at;
    h.dk = h.dq + part;
    h.dv = h.dk + part;
    return h;
}

/* Rows of a head lie far apart, so each head fetches its share of the next sample as a whole. */
static cpu_fetch find_next(const attention_state *s, const tensors *x, int64_t index)
{
    const char *const read[] = {x->qkv, x->dy ? x->y : NULL, x->dy};
    const int64_t b = index / s->heads + 1, i = index % s->heads, squares = s->t / SQUARE;
    cpu_fetch f = {{NULL}, {NULL}, 0};
    for (int k = 0; k < 3 && b < s->batch; k++) {
        const int64_t bytes = s->tokens * s->channels * (k ? 1 : 3) * wisp_dtype_bytes(s->type);
        const int64_t first = bytes * i / s->heads, last = bytes * (i + 1) / s->heads;
        if (read[k])
            cpu_fetch_add(&f, k, read[k] + b * bytes + first, last - first);
    }
    cpu_fetch_plan(&f, (x->dy ? 4 : 2) * squares * squares * s->d / SQUARE);
    return f;
}

static void run_heads(const attention_state *s, const tensors *x, char *scratch)
{
    const int64_t n = s->batch * s->heads;
#pragma omp parallel num_threads(s->n_threads)
    {
        char *mem = scratch + (size_t)omp_get_thread_num() * s->at.total;
        cpu_amx_begin();
#pragma omp for schedule(static)
        for (int64_t i = 0; i < n; i++) {
            cpu_fetch next = find_next(s, x, i);
            head h = find_head(s, x, i);
            h.ahead = &next;
            run_head(s, &h, mem);
        }
        cpu_amx_end();
    }
}

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const tensors x = {.qkv = in[0].data, .out = out[0].data, .lse = out[1].data};
    run_heads(kernel->state, &x, scratch);
    return WISP_OK;
}

static wisp_status run_gradient(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const tensors x = {.dy = in[0].data,
                       .qkv = in[1].data,
                       .y = in[2].data,
                       .lse = in[3].data,
                       .dqkv = out[0].data};
    run_heads(kernel->state, &x, scratch);
    return WISP_OK;
}

/* --- Prepare --- */

static size_t book(buffers *b, int64_t elements, int64_t bytes)
{
    return cpu_book(&b->total, (size_t)(elements * bytes));
}

static void book_buffers(attention_state *s, int has_gradient)
{
    buffers *b = &s->at;
    const int64_t p = s->parts, matrix = p * s->t * s->d;
    b->left = book(b, p * SQUARE * s->d_pitch, 2);
    b->p = book(b, p * SQUARE * s->t_pitch, 2);
    b->scores = book(b, s->t / SQUARE * AREA, 4);
    if (!has_gradient) {
        b->k_right = book(b, matrix, 2);
        b->v_right = book(b, matrix, 2);
        return;
    }
    b->q_across = book(b, matrix, 2);
    b->dy_across = book(b, matrix, 2);
    b->q_right = book(b, matrix, 2);
    b->dy_right = book(b, matrix, 2);
    b->other = book(b, p * SQUARE * s->d_pitch, 2);
    b->ds = book(b, p * SQUARE * s->t_pitch, 2);
    b->k_lines = book(b, p * s->d * s->t_pitch, 2);
    b->dp = book(b, s->t / SQUARE * AREA, 4);
    b->ds_right = book(b, p * s->t * s->t, 2);
    b->lse = book(b, s->t, 4);
    b->mean = book(b, s->t, 4);
}

static wisp_status judge(const cpu_device *device, const wisp_kernel_request *request,
                         const wisp_desc *qkv, int64_t width, wisp_error *err)
{
    if (!device->has_amx || !device->has_bf16)
        return wisp_refuse(request, err, "the own kernel needs AMX");
    if (wisp_request_is_empty(request))
        return wisp_refuse(request, err, "there is nothing in it");
    if (qkv->shape[1] < MIN_TOKENS || qkv->shape[1] > MAX_TOKENS)
        return wisp_refuse(request, err, "the own kernel wants %d to %d tokens", MIN_TOKENS,
                           MAX_TOKENS);
    if (width < MIN_WIDTH || width > MAX_WIDTH)
        return wisp_refuse(request, err, "the own kernel wants heads of %d to %d channels",
                           MIN_WIDTH, MAX_WIDTH);
    return WISP_OK;
}

static wisp_status prepare(cpu_device *device, const wisp_kernel_request *request, int has_gradient,
                           wisp_kernel **kernel, wisp_error *err)
{
    const wisp_attention_attrs *a = request->attrs;
    const wisp_desc *qkv = request->in[has_gradient];
    const int64_t channels = qkv->shape[2] / 3;
    WISP_TRY(judge(device, request, qkv, channels / a->heads, err));
    wisp_kernel *made;
    const int parts = cpu_parts_of(qkv->dtype);
    WISP_TRY(cpu_kernel_create(device, parts == 1 ? "amx:heads" : "amx:heads:3xbf16",
                               has_gradient ? run_gradient : run_forward, sizeof(attention_state),
                               NULL, &made, err));
    attention_state *s = made->state;
    s->batch = qkv->shape[0];
    s->tokens = qkv->shape[1];
    s->heads = a->heads;
    s->channels = channels;
    s->width = channels / a->heads;
    s->t = padded(s->tokens);
    s->d = padded(s->width);
    s->t_pitch = pitch_of(s->t);
    s->d_pitch = pitch_of(s->d);
    s->scale = (float)a->scale;
    s->power = (float)(a->scale * (double)LOG2_E);
    s->type = qkv->dtype;
    s->parts = parts;
    s->n_threads = device->n_threads;
    book_buffers(s, has_gradient);
    made->scratch_bytes = s->at.total * (size_t)s->n_threads;
    *kernel = made;
    return WISP_OK;
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, 0, kernel, err);
}

static wisp_status prepare_gradient(cpu_device *device, const wisp_kernel_request *request,
                                    wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, 1, kernel, err);
}

const cpu_kernel_entry cpu_attention_amx_kernels[] = {
    {"self_attention", prepare_forward},
    {"self_attention_grad", prepare_gradient},
    {NULL, NULL},
};

#else

const cpu_kernel_entry cpu_attention_amx_kernels[] = {{NULL, NULL}};

#endif
