/* order.c - the order of an epoch, where the data set has none of its own. */
#include "data/feed.h"
#include "wisp/order.h"

wisp_rng_key wispi_order_key(uint64_t seed, int64_t epoch)
{
    return wisp_rng_derive(wisp_rng_stream(seed, WISP_STREAM_ORDER), (uint64_t)epoch, 0);
}

int64_t wispi_order_at(uint64_t seed, int64_t epoch, int64_t n, int64_t position)
{
    return wisp_order_permuted(wispi_order_key(seed, epoch), n, position);
}
