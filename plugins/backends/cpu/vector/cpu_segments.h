/* cpu_segments.h - the active segments of a flat parameter store, cut into blocks.
 *
 * Segments differ in size by a factor of a million, and which are active is known only when a
 * kernel runs. So its first phase lists blocks of at most CPU_SEGMENT_BLOCK elements in scratch,
 * and the others share the list out evenly. */
#ifndef CPU_SEGMENTS_H
#define CPU_SEGMENTS_H

#include "cpu_vector.h"

enum { CPU_SEGMENT_BLOCK = 16384, CPU_SEGMENT_SHARES = 64 };

typedef struct cpu_block {
    int64_t offset, count;
    int64_t source; /* in the source store */
    int64_t segment;
    double a, b; /* the block's part of up to two sums */
} cpu_block;

/* Sizes, known when the kernel is prepared. */
typedef struct cpu_segments {
    int64_t store, source_store; /* elements; source_store -1: not looked at */
    int64_t n;
    int64_t room; /* for so many blocks */
} cpu_segments;

CPU_INLINE cpu_segments cpu_segments_of(int64_t store, int64_t source_store, const wisp_desc *table)
{
    cpu_segments s = {store, source_store, table->shape[0], 0};
    s.room = store / CPU_SEGMENT_BLOCK + s.n;
    return s;
}

/* Scratch: the number of blocks, the blocks, and 4 numbers for every segment. */
CPU_INLINE size_t cpu_segments_bytes(const cpu_segments *s)
{
    return cpu_align64(64 + (size_t)s->room * sizeof(cpu_block)) + (size_t)s->n * 4 * sizeof(float);
}

CPU_INLINE cpu_block *cpu_segments_blocks(const cpu_call *call, int64_t **n_blocks)
{
    *n_blocks = (int64_t *)call->scratch;
    return (cpu_block *)(call->scratch + 64);
}

CPU_INLINE float *cpu_segments_numbers(const cpu_call *call, const cpu_segments *s)
{
    return (float *)(call->scratch + cpu_align64(64 + (size_t)s->room * sizeof(cpu_block)));
}

/* Count of a row's elements; 0 where it is not active or does not lie inside the stores. */
CPU_INLINE int64_t cpu_segment_count(const cpu_segments *s, const int64_t *row)
{
    const int64_t offset = row[0], count = row[1], source = row[3];
    if (!(row[2] & WISP_SEGMENT_ACTIVE) || offset < 0 || count < 0 || count > s->store ||
        offset > s->store - count)
        return 0;
    if (s->source_store >= 0 &&
        (source < 0 || count > s->source_store || source > s->source_store - count))
        return 0;
    return count;
}

/* Fills the list. Rows that overlap so much that there are more blocks than in any sound table are
 * not completed. */
CPU_INLINE void cpu_segments_list(const cpu_call *call, const cpu_segments *s, const int64_t *table)
{
    int64_t *n_blocks;
    cpu_block *blocks = cpu_segments_blocks(call, &n_blocks);
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t *row = table + 4 * i, count = cpu_segment_count(s, row);
        for (int64_t at = 0; at < count && n < s->room; at += CPU_SEGMENT_BLOCK) {
            const cpu_block block = {
                row[0] + at, cpu_min(CPU_SEGMENT_BLOCK, count - at), row[3] + at, i, 0.0, 0.0};
            blocks[n++] = block;
        }
    }
    *n_blocks = n;
}

/* The blocks that belong to shares first .. last-1. */
CPU_INLINE cpu_block *cpu_segments_share(const cpu_call *call, int64_t first, int64_t last,
                                         int64_t *n)
{
    int64_t *n_blocks;
    cpu_block *blocks = cpu_segments_blocks(call, &n_blocks);
    const int64_t begin = cpu_cut(*n_blocks, CPU_SEGMENT_SHARES, first);
    *n = cpu_cut(*n_blocks, CPU_SEGMENT_SHARES, last) - begin;
    return blocks + begin;
}

#endif
