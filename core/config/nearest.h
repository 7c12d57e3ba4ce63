/* nearest.h - which known word a mistyped one is closest to. */
#ifndef WISPI_CONFIG_NEAREST_H
#define WISPI_CONFIG_NEAREST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. Words longer
 * than 63 bytes are compared by their first 63. */
int32_t wispi_edit_distance(const char *a, const char *b);

/* Begin with the wrong word, offer the known ones, read `found`: the first of the closest, or NULL
 * when none was offered. */
typedef struct wispi_nearest {
    const char *word;
    const char *found;
    int32_t distance;
} wispi_nearest;

wispi_nearest wispi_nearest_begin(const char *word);
void wispi_nearest_offer(wispi_nearest *nearest, const char *candidate);

#ifdef __cplusplus
}
#endif
#endif
