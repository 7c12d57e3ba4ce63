/* order.h - seeded permutations that are computed position by position; header-only.
 *
 * No table of the data set's size is ever made, and any position is at hand at once, so a run can
 * begin in the middle of an epoch and each process can find its own part. All are pure functions.
 * [any] */
#ifndef WISP_ORDER_H
#define WISP_ORDER_H

#include "wisp/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WISP_ORDER_ROUNDS = 8 };

/* A balanced Feistel network over twice `half_bits` bits. */
static inline uint64_t wisp_order_mix(wisp_rng_key key, int half_bits, uint64_t value)
{
    uint64_t mask = ((uint64_t)1 << half_bits) - 1;
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint32_t round = 0; round < WISP_ORDER_ROUNDS; round++) {
        uint32_t in[4] = {(uint32_t)right, (uint32_t)(right >> 32), round, 0}, out[4];
        uint64_t mixed;
        wisp_philox(in, key, out);
        mixed = (left ^ ((uint64_t)out[1] << 32 | out[0])) & mask;
        left = right;
        right = mixed;
    }
    return left << half_bits | right;
}

/* What stands at `position` of a permutation of [0, n), each as likely as the others; n up to 2^62.
 * The network covers the smallest even number of bits that holds n; a value outside [0, n) is put
 * through again. */
static inline int64_t wisp_order_permuted(wisp_rng_key key, int64_t n, int64_t position)
{
    int half_bits = 1;
    uint64_t value = (uint64_t)position;
    if (n <= 1)
        return 0;
    while (half_bits < 31 && ((int64_t)1 << (2 * half_bits)) < n)
        half_bits++;
    do {
        value = wisp_order_mix(key, half_bits, value);
    } while (value >= (uint64_t)n);
    return (int64_t)value;
}

/* One pass of wisp_order_local: positions are permuted within blocks that begin at `shift`. */
static inline int64_t wisp_order_in_blocks(wisp_rng_key key, int64_t n, int64_t window,
                                           int64_t shift, int64_t position)
{
    int64_t block = position < shift ? 0 : (position - shift) / window + 1;
    int64_t first = block == 0 ? 0 : shift + (block - 1) * window;
    int64_t end = block == 0 ? shift : first + window;
    end = end < n ? end : n;
    return first + wisp_order_permuted(wisp_rng_derive(key, (uint64_t)shift, (uint64_t)block),
                                       end - first, position - first);
}

/* What stands at `position` of a permutation of [0, n) that moves nothing by more than one and a
 * half windows: what a shuffle buffer does to a stream, without its state. Blocks of `window`
 * positions are permuted, then blocks that lie half a window further. window >= 2. */
static inline int64_t wisp_order_local(wisp_rng_key key, int64_t n, int64_t window,
                                       int64_t position)
{
    int64_t shift = window / 2 < n ? window / 2 : n;
    int64_t between = wisp_order_in_blocks(key, n, window, shift, position);
    return wisp_order_in_blocks(key, n, window, 0, between);
}

#ifdef __cplusplus
}
#endif
#endif
