/* config_difference.h - in which keys experiments differ, and which of these make their numbers not
 * comparable. */
#ifndef WISPI_REPORT_CONFIG_DIFFERENCE_H
#define WISPI_REPORT_CONFIG_DIFFERENCE_H

#include <jansson.h>

#include "base/text.h"
#include "wisp/status.h"

/* [{"key": "sampler.use", "values": ["\"multicrop\"", "\"sslight\""]}]: of each key that has not
 * the same value everywhere, the values as TOML; null where there is none. `texts` are resolved
 * experiments; the keys of [run] that say where a run is (name, seed, out) do not count. */
wisp_status wispi_config_differences(const char *const *texts, int32_t n, json_t **differences,
                                     wisp_error *err);

/* The same for people: a table whose columns are called `names`. Long values are cut. */
void wispi_config_differences_say(const json_t *differences, const char *const *names, int32_t n,
                                  wispi_text *out);

/* One sentence for each way in which numbers of such experiments are not comparable. */
json_t *wispi_config_warnings(const json_t *differences);

#endif
