/* json_number.h - numbers that may not exist, as JSON. */
#ifndef WISPI_TRAIN_JSON_NUMBER_H
#define WISPI_TRAIN_JSON_NUMBER_H

#include <jansson.h>
#include <math.h>

/* null for what is not finite, which JSON has no word for. */
static inline json_t *wispi_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* NaN for what is no number. */
static inline double wispi_json_double(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

#endif
