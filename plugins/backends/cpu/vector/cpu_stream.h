/* cpu_stream.h - maps that are larger than the caches: what will be read next is asked for while
 * there is something to compute, and results are written past the caches, which saves reading what
 * was there before. */
#ifndef CPU_STREAM_H
#define CPU_STREAM_H

#include "cpu_lanes.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

/* A few ranges that will be read soon. */
typedef struct cpu_ahead {
    const char *at[3], *end[3];
    int64_t lines; /* to ask for at each step */
} cpu_ahead;

/* `n` elements of `p` from `first` on, but none past `last`. */
CPU_INLINE void cpu_ahead_add(cpu_ahead *a, int i, const void *p, int64_t first, int64_t n,
                              int64_t last, const int type)
{
    const int64_t end = cpu_min(first + n, last);
    a->at[i] = cpu_at_const(p, cpu_min(first, end), type);
    a->end[i] = cpu_at_const(p, end, type);
}

/* Spreads what is there over so many steps. */
CPU_INLINE void cpu_ahead_plan(cpu_ahead *a, int64_t steps)
{
    int64_t bytes = 0;
    for (int i = 0; i < 3; i++)
        bytes += a->end[i] - a->at[i];
    a->lines = cpu_ceil_div(cpu_ceil_div(bytes, 64), cpu_max(1, steps));
}

CPU_INLINE void cpu_ahead_step(cpu_ahead *a)
{
    int64_t lines = a->lines;
    for (int i = 0; i < 3 && lines > 0; i++)
        for (; a->at[i] < a->end[i] && lines > 0; lines--, a->at[i] += 64)
            __builtin_prefetch(a->at[i], 0, 2);
}

/* Writes `n` elements. Those in f32 go past the caches: a map of bf16 is half as large, and what of
 * it stays there for the next reader has turned out to be worth as much. */
CPU_INLINE void cpu_stream(void *to, const float *from, int64_t n, const int type)
{
    int64_t i = 0;
#if defined(__AVX512F__)
    if (type == WISP_F32) {
        for (; i < n && (uintptr_t)((float *)to + i) % 64 != 0; i++)
            ((float *)to)[i] = from[i];
        for (; i + CPU_LANES <= n; i += CPU_LANES)
            _mm512_stream_ps((float *)to + i, _mm512_loadu_ps(from + i));
    }
#endif
    CPU_SIMD
    for (int64_t k = i; k < n; k++)
        cpu_store(to, k, from[k], type);
}

/* Before others read what was written so. */
CPU_INLINE void cpu_stream_end(void)
{
#if defined(__AVX512F__)
    _mm_sfence();
#endif
}

#endif
