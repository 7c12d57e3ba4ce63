/* initial_values.c - first values, drawn from a key that depends on the seed and the tensor's name
 * alone: neither the order of building nor other tensors matter, so two arms of a comparison that
 * share a layer start it alike. */
#include "nn/store.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "wisp/rng.h"

static double cut_normal(wisp_rng *rng)
{
    double z;
    do {
        z = wisp_rng_normal(rng);
    } while (fabs(z) > 2);
    return z;
}

static double draw(wisp_rng *rng, const wisp_init *init, int64_t fan_in, int64_t fan_out)
{
    switch (init->kind) {
    case WISP_INIT_CONSTANT:
        return init->a;
    case WISP_INIT_NORMAL:
        return init->a * wisp_rng_normal(rng);
    case WISP_INIT_UNIFORM:
        return wisp_rng_range(rng, -init->a, init->a);
    case WISP_INIT_KAIMING_FAN_OUT:
        return sqrt(2.0 / (double)fan_out) * wisp_rng_normal(rng);
    case WISP_INIT_LINEAR_DEFAULT:
        return wisp_rng_range(rng, -1, 1) / sqrt((double)fan_in);
    case WISP_INIT_UNIT_ROWS:
        return wisp_rng_normal(rng);
    case WISP_INIT_TRUNCATED_NORMAL:
        return init->a * cut_normal(rng);
    default: /* WISP_INIT_ZEROS */
        return 0;
    }
}

static void unit_rows(float *values, int64_t count, int64_t row)
{
    for (int64_t first = 0; first < count; first += row) {
        double sum = 0;
        for (int64_t i = first; i < first + row; i++)
            sum += (double)values[i] * values[i];
        for (int64_t i = first; i < first + row; i++)
            values[i] = (float)(values[i] / sqrt(sum));
    }
}

void wispi_initial_values(const wisp_init *init, uint64_t seed, const char *name,
                          const wisp_desc *desc, int64_t fan_in, int64_t fan_out, float *values)
{
    const wisp_rng_key stream = wisp_rng_stream(seed, WISP_STREAM_INIT);
    const uint64_t place = wispi_hash64(name, strlen(name), 0);
    wisp_rng rng = wisp_rng_begin(wisp_rng_derive(stream, place, 0));
    const int64_t count = wisp_desc_count(desc);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)draw(&rng, init, fan_in, fan_out);
    if (init->kind == WISP_INIT_UNIT_ROWS && desc->rank > 0)
        unit_rows(values, count, desc->shape[desc->rank - 1]);
}

wisp_status wispi_init_check(const char *name, const wisp_init *init, wisp_error *err)
{
    if (init->kind < WISP_INIT_ZEROS || init->kind > WISP_INIT_TRUNCATED_NORMAL)
        return wisp_fail(err, WISP_E_INVALID, "%s: there is no initialisation %d", name,
                         init->kind);
    if (!isfinite(init->a))
        return wisp_fail(err, WISP_E_INVALID, "%s: the initialisation's value is not finite", name);
    return WISP_OK;
}
