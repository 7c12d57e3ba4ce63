/* sample_key.h - how names of files become samples, and what a label says. */
#ifndef SAMPLE_KEY_H
#define SAMPLE_KEY_H

#include <stddef.h>
#include <stdint.h>

/* Splits "dir/a.seg.png" at the first dot of the last part: the key has `*key` bytes, the extension
 * begins at `*extension`. 0 where the name has no key, or is one of the archive's own notes, whose
 * first part is enclosed in "__". */
int sample_key_split(const char *name, size_t *key, size_t *extension);

/* A whole number in ASCII, with blanks around it. 0 where the text is anything else. */
int sample_label(const char *text, size_t bytes, int64_t *value);

/* The whole number under `key` of the outermost object of a JSON text. 0 where there is none. */
int json_integer(const char *text, size_t bytes, const char *key, int64_t *value);

#endif
