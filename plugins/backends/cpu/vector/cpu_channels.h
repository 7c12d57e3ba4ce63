/* cpu_channels.h - how a tensor (..., C) is cut for kernels that work per channel.
 *
 * Several rows of few channels are taken as one wide row, so that inner loops are long: (R, C) is
 * read as (R / fold, fold * C). Reductions over rows run in chunks whose number depends on the
 * shape only; each chunk sums blocks of rows in f32 and the blocks in double. */
#ifndef CPU_CHANNELS_H
#define CPU_CHANNELS_H

#include "cpu_vector.h"

enum { CPU_CHANNEL_BLOCK_ROWS = 128, CPU_CHANNEL_MAX_CHUNKS = 64 };

typedef struct cpu_channels {
    int64_t rows, channels;
    int64_t fold, wide, wide_rows; /* whole wide rows; rows % fold plain rows remain */
    int64_t chunks;
    int64_t total; /* rows * channels */
} cpu_channels;

CPU_INLINE cpu_channels cpu_channels_of(int64_t rows, int64_t channels)
{
    cpu_channels c = {rows, channels, 1, 0, 0, 0, rows * channels};
    while (channels * c.fold < 64 && c.fold * 2 <= rows)
        c.fold *= 2;
    c.wide = channels * c.fold;
    c.wide_rows = rows / c.fold;
    c.chunks = cpu_max(1, cpu_min(c.wide_rows * c.wide / 16384, CPU_CHANNEL_MAX_CHUNKS));
    c.chunks = cpu_max(1, cpu_min(c.chunks, c.wide_rows / 16));
    return c;
}

/* Units of an elementwise pass: groups of wide rows, the last one possibly short. */
CPU_INLINE int64_t cpu_channels_group(const cpu_channels *c)
{
    return cpu_max(1, CPU_BLOCK / cpu_max(1, c->wide));
}

CPU_INLINE int64_t cpu_channels_units(const cpu_channels *c)
{
    if (c->total == 0)
        return 0;
    return cpu_ceil_div(cpu_ceil_div(c->total, c->wide), cpu_channels_group(c));
}

/* Writes a per-channel value once for every folded row. */
CPU_INLINE void cpu_channels_repeat(const cpu_channels *c, float *wide)
{
    for (int64_t i = c->channels; i < c->wide; i++)
        wide[i] = wide[i - c->channels];
}

/* Sum over chunks and folded rows of one of the partial sums [chunks][stride] of a channel. */
CPU_INLINE double cpu_channels_total(const cpu_channels *c, const double *partial, int64_t stride,
                                     int64_t channel)
{
    double sum = 0;
    for (int64_t k = 0; k < c->chunks; k++)
        for (int64_t f = 0; f < c->fold; f++)
            sum += partial[k * stride + f * c->channels + channel];
    return sum;
}

#endif
