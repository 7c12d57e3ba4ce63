/* formula.h - tests only: values that tests/golden/formula.py computes alike, so that the weights
 * and images of a comparison need not be stored. */
#ifndef WISP_TESTS_FORMULA_H
#define WISP_TESTS_FORMULA_H

#include <math.h>
#include <string.h>

#include "wisp/rng.h"
#include "wisp/tensor.h"

static inline uint64_t formula_hash(const char *text)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001B3);
    return h;
}

static inline void formula_uniform(const char *name, int64_t count, double low, double high,
                                   float *values)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_derive(wisp_rng_stream(0, 1000), formula_hash(name), 0));
    for (int64_t i = 0; i < count; i++) {
        const double u = (double)(wisp_rng_u32(&rng) >> 8) / 16777216.0;
        values[i] = (float)(low + (high - low) * u);
    }
}

static inline int formula_ends(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* A parameter or buffer of a network, by its name. */
static inline void formula_parameter(const char *name, const wisp_desc *desc, float *values)
{
    const int64_t *shape = desc->shape;
    double low = 0.8, high = 1.2;
    if (formula_ends(name, "running_mean") || formula_ends(name, "bias")) {
        high = 0.1;
        low = -high;
    } else if (formula_ends(name, "running_var")) {
        low = 0.5;
        high = 1.5;
    } else if (formula_ends(name, "weight_g")) {
        low = high = 1.0;
    } else if (desc->rank == 4) {
        high = sqrt(6.0 / (double)(shape[1] * shape[2] * shape[3]));
        low = -high;
    } else if (desc->rank == 3) {
        high = 1;
        low = -high;
    } else if (desc->rank == 2) {
        high = 1.0 / sqrt((double)shape[1]);
        low = -high;
    }
    formula_uniform(name, wisp_desc_count(desc), low, high, values);
}

#endif
