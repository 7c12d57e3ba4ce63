/* json_text.h - finished JSON values as text. */
#ifndef WISPI_TRAIN_JSON_TEXT_H
#define WISPI_TRAIN_JSON_TEXT_H

#include <jansson.h>

#include "base/text.h"
#include "wisp/status.h"

/* A string whatever its bytes are: what is not UTF-8 becomes '?'. NULL gives JSON's null. */
json_t *wispi_json_string(const char *text);

/* `array` with `value` at its end, or `object` with `value` under `key`; takes both over. NULL when
 * either lacked memory, so that what is made of it is NULL as well. */
json_t *wispi_json_push(json_t *array, json_t *value);
json_t *wispi_json_with(json_t *object, const char *key, json_t *value);

/* The indented text of `root`, ended by a newline and freed with wispi_free. Takes `root` over;
 * NULL (something lacked memory while it was made) gives E_NOMEM. */
wisp_status wispi_json_give(json_t *root, char **text, wisp_error *err);
/* The same, appended to `out`; `root` stays the caller's. */
wisp_status wispi_json_append(const json_t *root, wispi_text *out, wisp_error *err);

#endif
