/* nearest_word.c - "did you mean" for verbs and flags. */
#include "arguments.h"

#include <string.h>

enum { LONGEST = 48 };

/* Insertions, deletions and replacements that turn `a` into `b`, by rows of the usual table. */
static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST + 1], n = strnlen(b, LONGEST);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] && i < LONGEST; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            size_t shorter = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[n];
}

const char *wispi_nearest_word(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t least = 0;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, candidates[i]);
        if (!best || d < least) {
            best = candidates[i];
            least = d;
        }
    }
    return best;
}
