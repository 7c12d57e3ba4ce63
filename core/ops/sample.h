/* sample.h - short words for the cases by which operations are tested. */
#ifndef WISPI_OPS_SAMPLE_H
#define WISPI_OPS_SAMPLE_H

#include "tensor/op.h"

#include <math.h>

/* clang-format off */
/* Arguments of a case: WISPI_F32_OF(2, 7, 5, 3), WISPI_OF(WISP_I64, 9), a scalar, none. */
#define WISPI_RANK_OF(...) ((int32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
#define WISPI_OF(type, ...) {type, WISPI_RANK_OF(__VA_ARGS__), {__VA_ARGS__}}
#define WISPI_F32_OF(...) WISPI_OF(WISP_F32, __VA_ARGS__)
#define WISPI_SCALAR {WISP_F32, 0, {0}}
#define WISPI_ABSENT {0, 0, {0}}
/* clang-format on */

/* All arguments uniform in [-1, 1). */
#define WISPI_UNIT_VALUES                                                                          \
    .low = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},                       \
    .high = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}

/* Every third value of all arguments where f32 ends, beside others of ordinary size: kernels that
 * take numbers apart must keep them apart. */
static inline void wispi_arrange_tiny(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    (void)attrs;
    for (int32_t i = 0; i < n_in; i++)
        for (int64_t k = 0; k < in[i].count; k += 3)
            in[i].v[k] *= pow(10, -30.0 - (double)(k % 9));
}

#define WISPI_TINY_VALUES(n_in)                                                                    \
    WISPI_UNIT_VALUES, .arrange = wispi_arrange_tiny, .arranged = (1u << (n_in)) - 1

#define WISPI_COUNT_OF(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

#endif
