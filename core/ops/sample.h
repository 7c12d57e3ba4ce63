/* sample.h - short words for the cases by which operations are tested. */
#ifndef WISPI_OPS_SAMPLE_H
#define WISPI_OPS_SAMPLE_H

#include "tensor/op.h"

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

#define WISPI_COUNT_OF(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

#endif
