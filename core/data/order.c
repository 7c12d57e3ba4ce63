/* order.c - a seeded permutation that is computed position by position.
 *
 * A balanced Feistel network over the smallest even number of bits that holds n, with cycle
 * walking: a value outside [0, n) is put through again. No table of the data set's size is ever
 * made, and any position of any epoch is at hand at once. */
#include "data/feed.h"

enum { ROUNDS = 8 };

static uint64_t permute_bits(wisp_rng_key key, int half_bits, uint64_t value)
{
    uint64_t mask = ((uint64_t)1 << half_bits) - 1;
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t in[4] = {(uint32_t)right, (uint32_t)(right >> 32), round, 0}, out[4];
        wisp_philox(in, key, out);
        uint64_t mixed = (left ^ ((uint64_t)out[1] << 32 | out[0])) & mask;
        left = right;
        right = mixed;
    }
    return left << half_bits | right;
}

int64_t wispi_order_at(uint64_t seed, int64_t epoch, int64_t n, int64_t position)
{
    if (n <= 1)
        return 0;
    wisp_rng_key key =
        wisp_rng_derive(wisp_rng_stream(seed, WISP_STREAM_ORDER), (uint64_t)epoch, 0);
    int half_bits = 1;
    while (half_bits < 31 && ((int64_t)1 << (2 * half_bits)) < n)
        half_bits++;
    uint64_t value = (uint64_t)position;
    do {
        value = permute_bits(key, half_bits, value);
    } while (value >= (uint64_t)n);
    return (int64_t)value;
}
