/* division.h - division of indices by sizes that are known when a kernel is prepared.
 *
 * Below 2^31 a quotient is the high half of one multiplication, an addition and a shift (Granlund
 * and Montgomery, "Division by invariant integers using multiplication", 1994). */
#ifndef CUDA_KERNELS_DIVISION_H
#define CUDA_KERNELS_DIVISION_H

#include <stdint.h>

typedef struct division {
    int64_t by;
    uint32_t times, shift; /* times 0: indices may pass 2^31 */
} division;

#ifndef __cplusplus
/* For indices in 0..most. */
static inline division division_by(int64_t by, int64_t most)
{
    division d = {by > 0 ? by : 1, 0, 0};
    if (most > INT32_MAX || d.by > INT32_MAX)
        return d;
    while (((uint64_t)1 << d.shift) < (uint64_t)d.by)
        d.shift++;
    d.times =
        (uint32_t)((((((uint64_t)1 << d.shift) - (uint64_t)d.by) << 32) / (uint64_t)d.by) + 1);
    return d;
}
#endif

#endif
