/* nearest.c - edit distance over short words. */
#include "config/nearest.h"

#include <string.h>

enum { LONGEST = 63 };

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

int32_t wispi_edit_distance(const char *a, const char *b)
{
    int32_t n = (int32_t)strnlen(a, LONGEST), m = (int32_t)strnlen(b, LONGEST);
    int32_t rows[3][LONGEST + 1];
    for (int32_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int32_t i = 1; i <= n; i++) {
        int32_t *now = rows[i % 3], *above = rows[(i - 1) % 3], *two_above = rows[(i + 1) % 3];
        now[0] = i;
        for (int32_t j = 1; j <= m; j++) {
            now[j] = least(least(above[j], now[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], two_above[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

wispi_nearest wispi_nearest_begin(const char *word)
{
    wispi_nearest nearest = {word, NULL, INT32_MAX};
    return nearest;
}

void wispi_nearest_offer(wispi_nearest *nearest, const char *candidate)
{
    int32_t distance = wispi_edit_distance(nearest->word, candidate);
    if (distance == 0 && strcmp(nearest->word, candidate) != 0)
        distance = 1; /* equal in the bytes that are compared, yet not the same word */
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->found = candidate;
    }
}
