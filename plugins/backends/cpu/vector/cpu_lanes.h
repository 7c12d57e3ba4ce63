/* cpu_lanes.h - vectors as values, for loops that must keep several of them in registers. */
#ifndef CPU_LANES_H
#define CPU_LANES_H

#include "cpu_vector.h"

#if defined(__AVX512F__)
enum { CPU_LANES = 16 };
#elif defined(__AVX__)
enum { CPU_LANES = 8 };
#else
enum { CPU_LANES = 4 };
#endif
/* The next loop is written out as a whole, so that arrays it fills can be registers. */
#if defined(__clang__)
#define CPU_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CPU_UNROLL _Pragma("GCC unroll 16")
#endif

typedef float cpu_lanes __attribute__((vector_size(CPU_LANES * sizeof(float))));
typedef float cpu_lanes_at
    __attribute__((vector_size(CPU_LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

CPU_INLINE cpu_lanes cpu_lanes_load(const float *p)
{
    return *(const cpu_lanes_at *)p;
}

CPU_INLINE void cpu_lanes_store(float *p, cpu_lanes v)
{
    *(cpu_lanes_at *)p = v;
}

#endif
