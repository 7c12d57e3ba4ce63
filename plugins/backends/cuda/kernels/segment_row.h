/* segment_row.h - the table of segments of a flat parameter store, as device code sees it.
 *
 * Segments differ in size by a factor of a million, and which are active stands in device memory.
 * So a first launch of one block counts every segment's chunks; the launches after it share the
 * chunks out and find the segment of each by a search. */
#ifndef CUDA_KERNELS_SEGMENTS_H
#define CUDA_KERNELS_SEGMENTS_H

#include <stdint.h>

enum { SEGMENT_CHUNK = 4096 };

typedef struct segment_table {
    const int64_t *rows; /* offset, count, flags, offset in the source store */
    int64_t n;
    int64_t store, source_store; /* elements; source_store -1: not looked at */
    int64_t room;                /* for so many chunks */
    int64_t *first;              /* n + 1: the first chunk of each, in the end their number */
} segment_table;

#endif
