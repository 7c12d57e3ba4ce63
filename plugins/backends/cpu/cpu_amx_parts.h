/* cpu_amx_parts.h - matrices as the tiles of AMX want them, from f32 or bf16, and their product.
 *
 * bf16 is one part. A number of f32 is the sum of three parts of bf16, exactly; of the nine
 * products of parts the six largest are summed, and what is left out is below the rounding of f32.
 * So AMX multiplies f32 at a sixth of its speed, which is still more than twice that of AVX-512.
 * (An infinity becomes a NaN, and parts below 1e-38 are lost.)
 *
 * A left matrix lies as rows, [part][row][pitch]; a right one as panels of 32 columns in pairs of
 * rows, [panel][part][k / 2][32][2]. Several parts have their k in an order of its own, 0 16 1 17
 * and so on of each 32: that is what two vectors of parts give when one is moved into the other. */
#ifndef CPU_AMX_PARTS_H
#define CPU_AMX_PARTS_H

#include "cpu_amx.h"

#ifdef CPU_CAN_AMX

#include "cpu_device.h"
#include "cpu_fetch.h"
#include "cpu_wide.h"

#define CPU_PARTS_TARGET                                                                           \
    __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))
#define CPU_PARTS_INLINE CPU_PARTS_TARGET static inline __attribute__((always_inline))

enum { CPU_PARTS_F32 = 3, CPU_PARTS_MAX = 3 };

static inline int cpu_parts_of(int32_t dtype)
{
    return dtype == WISP_BF16 ? 1 : CPU_PARTS_F32;
}

/* A matrix in memory, rows `stride` elements apart. */
typedef struct cpu_parts_source {
    const void *data;
    int64_t stride, rows, columns;
    int32_t dtype;
    int32_t gelu; /* its values go through GELU on the way */
} cpu_parts_source;

static inline __mmask16 cpu_parts_mask(int64_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : n <= 0 ? 0 : (1u << n) - 1);
}

static inline __mmask32 cpu_parts_mask32(int64_t n)
{
    return (__mmask32)cpu_parts_mask(n) | (__mmask32)cpu_parts_mask(n - 16) << 16;
}

/* --- Values --- */

CPU_PARTS_INLINE __m512 cpu_parts_widen(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

CPU_PARTS_INLINE __m512 cpu_parts_load(const void *p, int64_t i, __mmask16 mask, int32_t dtype)
{
    if (dtype == WISP_BF16)
        return cpu_parts_widen(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)p + i));
    return _mm512_maskz_loadu_ps(mask, (const float *)p + i);
}

CPU_PARTS_INLINE __m256i cpu_parts_round(__m512 v)
{
    return (__m256i)_mm512_cvtneps_pbh(v);
}

CPU_PARTS_INLINE void cpu_parts_store(void *p, int64_t i, __mmask16 mask, __m512 v, int32_t dtype)
{
    if (dtype == WISP_BF16)
        _mm256_mask_storeu_epi16((uint16_t *)p + i, mask, cpu_parts_round(v));
    else
        _mm512_mask_storeu_ps((float *)p + i, mask, v);
}

/* 32 values, the first and the second 16. */
CPU_PARTS_INLINE void cpu_parts_store_pair(void *p, int64_t i, __mmask32 mask, __m512 low,
                                           __m512 high, int32_t dtype)
{
    if (dtype == WISP_BF16) {
        const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
        _mm512_mask_storeu_epi16((uint16_t *)p + i, mask, both);
    } else {
        _mm512_mask_storeu_ps((float *)p + i, (__mmask16)mask, low);
        _mm512_mask_storeu_ps((float *)p + i + 16, (__mmask16)(mask >> 16), high);
    }
}

/* The parts of sixteen values, each in the upper half of its lane: to the nearest, and the last
 * what is left, whose lower half is for cpu_parts_pair to drop. With one part a NaN of any kind
 * must not be rounded away. */
CPU_PARTS_INLINE void cpu_parts_split(__m512 v, int parts, __m512i *part)
{
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int)0xffff0000u);
    if (parts == 1)
        part[0] = _mm512_castps_si512(cpu_parts_widen(cpu_parts_round(v)));
    for (int i = 0; i + 1 < parts; i++) {
        part[i] = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(v), half), upper);
        v = _mm512_sub_ps(v, _mm512_castsi512_ps(part[i]));
        part[i + 1] = _mm512_castps_si512(v);
    }
}

/* Lane by lane, the first below the second. What is left of a number below 1e-33 may have bits in
 * the lower half, which must not become a part of another number. */
CPU_PARTS_INLINE __m512i cpu_parts_pair(__m512i first, __m512i second)
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    return _mm512_ternarylogic_epi32(_mm512_srli_epi32(first, 16), second, upper,
                                     0xf8); /* first | (second & upper) */
}

/* 32 values of a row, the first and the second 16, part by part in the order of k. */
CPU_PARTS_INLINE void cpu_parts_merge(__m512 low, __m512 high, int parts, __m512i *row)
{
    __m512i a[CPU_PARTS_MAX], b[CPU_PARTS_MAX];
    if (parts == 1) {
        row[0] = (__m512i)_mm512_cvtne2ps_pbh(high, low);
        return;
    }
    cpu_parts_split(low, parts, a);
    cpu_parts_split(high, parts, b);
    for (int p = 0; p < parts; p++)
        row[p] = cpu_parts_pair(a[p], b[p]);
}

/* Of pair i of rows of each 32: the first, and how far the second is. */
static inline int64_t cpu_parts_first(int64_t i, int parts)
{
    return parts == 1 ? 2 * i : i / 16 * 32 + i % 16;
}

static inline int64_t cpu_parts_apart(int parts)
{
    return parts == 1 ? 1 : 16;
}

/* Sixteen values of row r from column c on; zeros outside of the matrix. */
CPU_PARTS_INLINE __m512 cpu_parts_read(const cpu_parts_source *s, int64_t r, int64_t c)
{
    if (r >= s->rows)
        return _mm512_setzero_ps();
    const __m512 v =
        cpu_parts_load(s->data, r * s->stride + c, cpu_parts_mask(s->columns - c), s->dtype);
    return s->gelu ? cpu_wide_gelu(v, s->dtype == WISP_BF16) : v;
}

/* Values that are bf16 already. */
CPU_PARTS_INLINE int cpu_parts_as_is(const cpu_parts_source *s)
{
    return s->dtype == WISP_BF16 && !s->gelu;
}

CPU_PARTS_INLINE void cpu_parts_read_split(const cpu_parts_source *s, int64_t r, int64_t c,
                                           int parts, __m512i *part)
{
    const __m512 v = cpu_parts_read(s, r, c);
    if (parts == 1 && cpu_parts_as_is(s))
        part[0] = _mm512_castps_si512(v);
    else
        cpu_parts_split(v, parts, part);
}

/* 32 values of row r from column c on, part by part in the order of k. */
CPU_PARTS_INLINE void cpu_parts_read_row(const cpu_parts_source *s, int64_t r, int64_t c, int parts,
                                         __m512i *row)
{
    if (parts == 1 && cpu_parts_as_is(s) && r < s->rows) {
        const __mmask32 mask = cpu_parts_mask32(s->columns - c);
        row[0] = _mm512_maskz_loadu_epi16(mask, (const uint16_t *)s->data + r * s->stride + c);
        return;
    }
    cpu_parts_merge(cpu_parts_read(s, r, c), cpu_parts_read(s, r, c + 16), parts, row);
}

/* --- Layouts --- */

/* Rows first .. first + rows - 1 as a left matrix; columns up to `width`, a multiple of 32. */
CPU_PARTS_INLINE void cpu_parts_rows(const cpu_parts_source *s, int64_t first, int64_t rows,
                                     int64_t width, int parts, uint16_t *to, int64_t pitch)
{
    __m512i row[CPU_PARTS_MAX];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < width; c += 32) {
            cpu_parts_read_row(s, first + r, c, parts, row);
            for (int p = 0; p < parts; p++)
                _mm512_store_si512(to + (p * rows + r) * pitch + c, row[p]);
        }
}

/* Rows first .. first + rows - 1, a multiple of 32, and 32 columns as the beginning of a panel of k
 * rows. */
CPU_PARTS_INLINE void cpu_parts_panel(const cpu_parts_source *s, int64_t first, int64_t column,
                                      int64_t rows, int64_t k, int parts, uint16_t *to)
{
    __m512i a[CPU_PARTS_MAX], b[CPU_PARTS_MAX];
    for (int64_t i = 0; i < rows / 2; i++)
        for (int64_t c = 0; c < 32; c += 16) {
            const int64_t r = first + cpu_parts_first(i, parts);
            cpu_parts_read_split(s, r, column + c, parts, a);
            cpu_parts_read_split(s, r + cpu_parts_apart(parts), column + c, parts, b);
            for (int p = 0; p < parts; p++)
                _mm512_store_si512(to + (p * k / 2 + i) * 64 + c * 2, cpu_parts_pair(a[p], b[p]));
        }
}

/* The same from the transposed matrix: columns column .. column + k - 1 of 32 rows. */
CPU_PARTS_INLINE void cpu_parts_panel_transposed(const cpu_parts_source *s, int64_t first,
                                                 int64_t column, int64_t k, int parts, uint16_t *to)
{
    __m512i block[CPU_PARTS_MAX][16], row[CPU_PARTS_MAX];
    for (int64_t c = 0; c < k; c += 32)
        for (int64_t r = 0; r < 32; r += 16) {
            for (int i = 0; i < 16; i++) {
                cpu_parts_read_row(s, first + r + i, column + c, parts, row);
                for (int p = 0; p < parts; p++)
                    block[p][i] = row[p];
            }
            for (int p = 0; p < parts; p++) {
                cpu_amx_transpose16(block[p]);
                for (int i = 0; i < 16; i++)
                    _mm512_store_si512(to + (p * k + c + 2 * i) * 32 + r * 2, block[p][i]);
            }
        }
}

/* 16 columns of rows first .. first + 31 as 16 rows of a left matrix (`rows` of them a part);
 * `sum`, if there is one, gets the sums of the columns added. */
CPU_PARTS_INLINE void cpu_parts_lines(const cpu_parts_source *s, int64_t first, int64_t column,
                                      int parts, uint16_t *to, int64_t rows, int64_t pitch,
                                      float *sum)
{
    __m512i block[CPU_PARTS_MAX][16], a[CPU_PARTS_MAX], b[CPU_PARTS_MAX];
    __m512 total = sum ? _mm512_loadu_ps(sum) : _mm512_setzero_ps();
    for (int i = 0; i < 16; i++) {
        const int64_t r = first + cpu_parts_first(i, parts), next = r + cpu_parts_apart(parts);
        cpu_parts_read_split(s, r, column, parts, a);
        cpu_parts_read_split(s, next, column, parts, b);
        for (int p = 0; p < parts; p++)
            block[p][i] = cpu_parts_pair(a[p], b[p]);
        if (sum)
            total = _mm512_add_ps(total, _mm512_add_ps(cpu_parts_read(s, r, column),
                                                       cpu_parts_read(s, next, column)));
    }
    for (int p = 0; p < parts; p++) {
        cpu_amx_transpose16(block[p]);
        for (int i = 0; i < 16; i++)
            _mm512_store_si512(to + (p * rows + i) * pitch, block[p][i]);
    }
    if (sum)
        _mm512_storeu_ps(sum, total);
}

/* --- Product --- */

/* Vector units that had nothing to do for some 2500 cycles sleep, and the next store of a tile
 * waits 800 for them to wake. An addition in each step of a sum keeps them awake. */
CPU_PARTS_INLINE void cpu_parts_stay_awake(void)
{
    const __m512 zero = _mm512_setzero_ps();
    __asm__ volatile("vaddps %0, %0, %%zmm31" ::"v"(zero) : "xmm31");
}

/* One step of 32 in k: the 2 x 2 tiles of a sum that are in registers 0 to 3. */
#define CPU_PARTS_LEFT(part)                                                                       \
    do {                                                                                           \
        _tile_loadd(4, a + (part)*a_part + i, pitch * 2);                                          \
        _tile_loadd(5, a + (part)*a_part + 16 * pitch + i, pitch * 2);                             \
    } while (0)
#define CPU_PARTS_RIGHT(part)                                                                      \
    do {                                                                                           \
        _tile_loadd(6, b + (part)*b_part + i * 32, 128);                                           \
        _tile_loadd(7, b + (part)*b_part + i * 32 + 32, 128);                                      \
    } while (0)
#define CPU_PARTS_MULTIPLY                                                                         \
    do {                                                                                           \
        _tile_dpbf16ps(0, 4, 6);                                                                   \
        _tile_dpbf16ps(1, 4, 7);                                                                   \
        _tile_dpbf16ps(2, 5, 6);                                                                   \
        _tile_dpbf16ps(3, 5, 7);                                                                   \
    } while (0)

/* sum (32,32) = or += a (32,k) * b (k,32); a_part and b_part are elements from part to part. What
 * `ahead` has, if there is one, is fetched meanwhile. */
CPU_PARTS_INLINE void cpu_parts_product_ahead(const uint16_t *a, int64_t pitch, int64_t a_part,
                                              const uint16_t *b, int64_t b_part, int64_t k,
                                              int parts, float *sum, int fresh, cpu_fetch *ahead)
{
    if (fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sum, 128);
        _tile_loadd(1, sum + 16, 128);
        _tile_loadd(2, sum + 512, 128);
        _tile_loadd(3, sum + 528, 128);
    }
    for (int64_t i = 0; i < k; i += 32) {
        cpu_parts_stay_awake();
        if (ahead)
            cpu_fetch_step(ahead);
        if (parts == 1) {
            CPU_PARTS_LEFT(0);
            CPU_PARTS_RIGHT(0);
            CPU_PARTS_MULTIPLY;
            continue;
        }
        CPU_PARTS_LEFT(1);
        CPU_PARTS_RIGHT(1);
        CPU_PARTS_MULTIPLY;
        CPU_PARTS_RIGHT(0);
        CPU_PARTS_MULTIPLY;
        CPU_PARTS_LEFT(2);
        CPU_PARTS_MULTIPLY;
        CPU_PARTS_LEFT(0);
        CPU_PARTS_MULTIPLY;
        CPU_PARTS_RIGHT(1);
        CPU_PARTS_MULTIPLY;
        CPU_PARTS_RIGHT(2);
        CPU_PARTS_MULTIPLY;
    }
    _tile_stored(0, sum, 128);
    _tile_stored(1, sum + 16, 128);
    _tile_stored(2, sum + 512, 128);
    _tile_stored(3, sum + 528, 128);
}

CPU_PARTS_INLINE void cpu_parts_product(const uint16_t *a, int64_t pitch, int64_t a_part,
                                        const uint16_t *b, int64_t b_part, int64_t k, int parts,
                                        float *sum, int fresh)
{
    cpu_parts_product_ahead(a, pitch, a_part, b, b_part, k, parts, sum, fresh, NULL);
}

#endif
#endif
