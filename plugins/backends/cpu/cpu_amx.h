/* cpu_amx.h - matrix tiles of x86-64 (AMX): 16 rows of 64 bytes, bf16 products into f32.
 *
 * Only code for which device->has_amx is 1 may call what stands here. */
#ifndef CPU_AMX_H
#define CPU_AMX_H

#if defined(__x86_64__) && defined(__GNUC__)
#define CPU_CAN_AMX 1

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define CPU_AMX_TARGET                                                                             \
    __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl")))

/* Compilers do not know that tile instructions touch memory: what they read must have been written,
 * and what they write be read, on the other side of a call (here, of a barrier between threads) or
 * be constant. */
typedef struct cpu_amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_per_row[16];
    uint8_t rows[16];
} cpu_amx_config;

/* All eight tiles full size. Once per thread before products, and released after them. */
CPU_AMX_TARGET static inline void cpu_amx_begin(void)
{
    static const cpu_amx_config config = {
        1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&config);
}

CPU_AMX_TARGET static inline void cpu_amx_end(void)
{
    _tile_release();
}

/* Between stores and products of what they wrote, in one function. */
static inline void cpu_amx_fence(void)
{
    __asm__ volatile("" ::: "memory");
}

/* sum (32,32) f32 += a (32,k) * b (k,32), or = where `fresh`. a is row-major with `pitch` bytes
 * from row to row; b lies in pairs of k: [k / 2][32][2]. k is a multiple of 32. */
CPU_AMX_TARGET static inline void cpu_amx_product(const uint16_t *a, int64_t pitch,
                                                  const uint16_t *b, int64_t k, float *sum,
                                                  int fresh)
{
    const uint16_t *a1 = (const uint16_t *)((const char *)a + 16 * pitch);
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
        _tile_loadd(4, a + i, pitch);
        _tile_loadd(6, b + i * 32, 128);
        _tile_loadd(7, b + i * 32 + 32, 128);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, a1 + i, pitch);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sum, 128);
    _tile_stored(1, sum + 16, 128);
    _tile_stored(2, sum + 512, 128);
    _tile_stored(3, sum + 528, 128);
}

/* Elements of two vectors of 32 bf16 side by side: (a0 b0 a1 b1 ...), the first and the second 16.
 */
CPU_AMX_TARGET static inline void cpu_amx_pair(__m512i a, __m512i b, __m512i *low, __m512i *high)
{
    const __m512i first =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                         37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    *low = _mm512_permutex2var_epi16(a, first, b);
    *high = _mm512_permutex2var_epi16(a, second, b);
}

/* A 16 x 16 matrix of 32-bit elements, transposed in place. */
CPU_AMX_TARGET static inline void cpu_amx_transpose16(__m512i *r)
{
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#endif
#endif
