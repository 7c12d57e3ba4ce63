/* layout_record.h - how the program that reads a file's layout tells the plugin what it found.
 *
 * A row of records, each followed by its text, which is padded to a multiple of eight bytes. The
 * last one is LAYOUT_END or LAYOUT_REFUSED. The same bytes are kept as the cached index. */
#ifndef LAYOUT_RECORD_H
#define LAYOUT_RECORD_H

#include <stddef.h>
#include <stdint.h>

enum {
    LAYOUT_GROUP = 1,   /* text: its name */
    LAYOUT_IMAGE = 2,   /* of the group before it. Text: its name; where its bytes stand */
    LAYOUT_LOOSE = 3,   /* the same, of no group */
    LAYOUT_OTHER = 4,   /* text: name of something that is passed over */
    LAYOUT_REFUSED = 5, /* text: why the file is of no use */
    LAYOUT_END = 6      /* offset: images in all, bytes: groups in all */
};

typedef struct layout_record {
    uint32_t kind;
    uint32_t text_bytes; /* without the terminator that follows */
    int64_t offset, bytes;
} layout_record;

/* Longest name of a group or an image; libhdf5 itself has no limit. */
enum { LAYOUT_MAX_TEXT = 1023 };

/* Of a text with its terminator and padding. */
static inline size_t layout_padded(uint32_t text_bytes)
{
    return ((size_t)text_bytes + 8) & ~(size_t)7;
}

#endif
