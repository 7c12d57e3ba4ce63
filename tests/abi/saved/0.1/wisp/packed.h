/* packed.h - a data set in one file: the format, for readers and for writers; header-only.
 *
 * Numbers are little-endian, hashes are those of hash64.h (XXH64) with seed 0, and the parts follow
 * each other without a gap:
 *
 *   header    128 bytes
 *   bodies    what the samples hold, in any order
 *   index     40 bytes a sample, in the order of the data set
 *   classes   the classes' names, each ended by a zero byte; or nothing, when they have none
 *   names     the samples' names, each ended by a zero byte, in any order
 *
 * The header:                                     An entry of the index:
 *     0  8  89 57 50 4b 0d 0a 1a 0a                   0  8  where the body begins in the file
 *     8  4  version of the format: 1                  8  8  hash of the body
 *    12  4  number of classes; 0: no labels          16  8  where the name begins in `names`
 *    16  8  number of samples                        24  4  bytes of the body, 1 to 2^30
 *    24  8  where the index begins in the file       28  4  label, signed; -1 without labels
 *    32  8  bytes of `classes`                       32  4  0: a JPEG or PNG file
 *    40  8  bytes of `names`                                1: (height, width, 3) bytes
 *    48  8  bytes of the file                        36  2  width, px; 0 for a JPEG or PNG file
 *    56  8  hash of index, classes and names         38  2  height, px; likewise
 *    64 56  zero
 *   120  8  hash of the 120 bytes before
 *
 * So a writer can put the bodies down as they come, then the rest, and the header last. A file
 * whose size is not the one that its header tells was cut short. All functions are pure. [any] */
#ifndef WISP_PACKED_H
#define WISP_PACKED_H

#include <string.h>

#include "wisp/dataset.h"
#include "wisp/hash64.h"
#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WISP_PACKED_VERSION = 1,
    WISP_PACKED_HEADER_BYTES = 128,
    WISP_PACKED_ENTRY_BYTES = 40,
    WISP_PACKED_MAX_CLASSES = 1 << 24,
    WISP_PACKED_MAX_BODY = 1 << 30,
    WISP_PACKED_MAX_SIDE = 65500
};

typedef struct wisp_packed_header {
    int64_t count;
    int64_t index_at;
    int64_t class_bytes, name_bytes;
    int64_t file_bytes;
    uint64_t index_hash;
    int32_t n_classes;
    int32_t reserved;
} wisp_packed_header;

typedef struct wisp_packed_entry {
    int64_t at; /* of the body */
    uint64_t hash;
    int64_t name_at;
    int32_t bytes;
    int32_t label;
    int32_t form; /* WISP_SAMPLE_... */
    int32_t width, height;
    int32_t reserved;
} wisp_packed_entry;

/* --- numbers in bytes --- */

static inline void wisp_packed_put(uint8_t *to, int n_bytes, uint64_t value)
{
    for (int i = 0; i < n_bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

/* A count or a place; what does not fit is negative and fits nothing. */
static inline int64_t wisp_packed_get(const uint8_t *from)
{
    const uint64_t value = wisp_hash64_load64(from);
    return value > INT64_MAX ? -1 : (int64_t)value;
}

static inline int32_t wisp_packed_get_signed(const uint8_t *from)
{
    const int64_t value = (int64_t)wisp_hash64_load32(from);
    return (int32_t)(value > INT32_MAX ? value - ((int64_t)1 << 32) : value);
}

static inline const uint8_t *wisp_packed_magic(void)
{
    static const uint8_t magic[8] = {0x89, 'W', 'P', 'K', '\r', '\n', 0x1A, '\n'};
    return magic;
}

/* --- header --- */

static inline void wisp_packed_header_put(const wisp_packed_header *h,
                                          uint8_t to[WISP_PACKED_HEADER_BYTES])
{
    memset(to, 0, WISP_PACKED_HEADER_BYTES);
    memcpy(to, wisp_packed_magic(), 8);
    wisp_packed_put(to + 8, 4, WISP_PACKED_VERSION);
    wisp_packed_put(to + 12, 4, (uint32_t)h->n_classes);
    wisp_packed_put(to + 16, 8, (uint64_t)h->count);
    wisp_packed_put(to + 24, 8, (uint64_t)h->index_at);
    wisp_packed_put(to + 32, 8, (uint64_t)h->class_bytes);
    wisp_packed_put(to + 40, 8, (uint64_t)h->name_bytes);
    wisp_packed_put(to + 48, 8, (uint64_t)h->file_bytes);
    wisp_packed_put(to + 56, 8, h->index_hash);
    wisp_packed_put(to + 120, 8, wisp_hash64(to, 120, 0));
}

/* Do the parts that the header tells of fill the file? Every term is checked before it is added. */
static inline int wisp_packed_parts_fit(const wisp_packed_header *h)
{
    int64_t left = h->file_bytes - h->index_at;
    if (h->index_at < WISP_PACKED_HEADER_BYTES || left < 0 || h->count < 0 ||
        h->count > left / WISP_PACKED_ENTRY_BYTES)
        return 0;
    left -= h->count * WISP_PACKED_ENTRY_BYTES;
    return h->class_bytes >= 0 && h->class_bytes <= left && h->name_bytes == left - h->class_bytes;
}

/* Reads the first bytes of a file of `file_bytes` bytes; `path` is for messages. WISP_E_CORRUPT
 * when it is no such file, is damaged or not complete; WISP_E_UNSUPPORTED when it is of a later
 * version. */
static inline wisp_status wisp_packed_header_get(const uint8_t from[WISP_PACKED_HEADER_BYTES],
                                                 int64_t file_bytes, const char *path,
                                                 wisp_packed_header *out, wisp_error *err)
{
    wisp_packed_header h;
    if (memcmp(from, wisp_packed_magic(), 8) != 0)
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.500s\" is not a packed data set", path);
    if (wisp_hash64_load32(from + 8) != WISP_PACKED_VERSION)
        return wisp_fail(err, WISP_E_UNSUPPORTED,
                         "\"%.500s\" is a packed data set of version %u; this is a reader of "
                         "version %d",
                         path, (unsigned)wisp_hash64_load32(from + 8), WISP_PACKED_VERSION);
    if (wisp_hash64(from, 120, 0) != wisp_hash64_load64(from + 120))
        return wisp_fail(err, WISP_E_CORRUPT,
                         "\"%.500s\" is damaged: the checksum of its header is wrong", path);
    memset(&h, 0, sizeof h);
    h.n_classes = wisp_packed_get_signed(from + 12);
    h.count = wisp_packed_get(from + 16);
    h.index_at = wisp_packed_get(from + 24);
    h.class_bytes = wisp_packed_get(from + 32);
    h.name_bytes = wisp_packed_get(from + 40);
    h.file_bytes = wisp_packed_get(from + 48);
    h.index_hash = wisp_hash64_load64(from + 56);
    if (h.file_bytes != file_bytes)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "\"%.500s\" has %lld bytes, but was written with %lld: copy it again",
                         path, (long long)file_bytes, (long long)h.file_bytes);
    if (!wisp_packed_parts_fit(&h) || h.n_classes < 0 || h.n_classes > WISP_PACKED_MAX_CLASSES)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "\"%.500s\": the parts of %lld samples in %d classes, from byte %lld on, "
                         "do not fill its %lld bytes",
                         path, (long long)h.count, (int)h.n_classes, (long long)h.index_at,
                         (long long)h.file_bytes);
    *out = h;
    return WISP_OK;
}

/* Bytes of index, classes and names. */
static inline int64_t wisp_packed_index_bytes(const wisp_packed_header *h)
{
    return h->file_bytes - h->index_at;
}

/* --- index --- */

static inline void wisp_packed_entry_put(const wisp_packed_entry *e,
                                         uint8_t to[WISP_PACKED_ENTRY_BYTES])
{
    wisp_packed_put(to, 8, (uint64_t)e->at);
    wisp_packed_put(to + 8, 8, e->hash);
    wisp_packed_put(to + 16, 8, (uint64_t)e->name_at);
    wisp_packed_put(to + 24, 4, (uint32_t)e->bytes);
    wisp_packed_put(to + 28, 4, (uint32_t)e->label);
    wisp_packed_put(to + 32, 4, (uint32_t)e->form);
    wisp_packed_put(to + 36, 2, (uint32_t)e->width);
    wisp_packed_put(to + 38, 2, (uint32_t)e->height);
}

static inline wisp_packed_entry wisp_packed_entry_get(const uint8_t from[WISP_PACKED_ENTRY_BYTES])
{
    wisp_packed_entry e;
    memset(&e, 0, sizeof e);
    e.at = wisp_packed_get(from);
    e.hash = wisp_hash64_load64(from + 8);
    e.name_at = wisp_packed_get(from + 16);
    e.bytes = wisp_packed_get_signed(from + 24);
    e.label = wisp_packed_get_signed(from + 28);
    e.form = wisp_packed_get_signed(from + 32);
    e.width = from[36] | from[37] << 8;
    e.height = from[38] | from[39] << 8;
    return e;
}

/* NULL when the entry may be used, else what is wrong with it. */
static inline const char *wisp_packed_entry_complaint(const wisp_packed_header *h,
                                                      const wisp_packed_entry *e)
{
    if (e->bytes < 1 || e->bytes > WISP_PACKED_MAX_BODY || e->at < WISP_PACKED_HEADER_BYTES ||
        e->at > h->index_at - e->bytes)
        return "its body lies outside of the file's bodies";
    if (e->name_at < 0 || e->name_at >= h->name_bytes)
        return "its name lies outside of the file's names";
    if (h->n_classes > 0 ? e->label < 0 || e->label >= h->n_classes : e->label != -1)
        return "its label is none of the file's classes";
    if (e->form == WISP_SAMPLE_ENCODED)
        return e->width || e->height ? "its sides are told twice" : NULL;
    if (e->form != WISP_SAMPLE_RGB8)
        return "its form is not known";
    if (e->width < 1 || e->height < 1 || e->width > WISP_PACKED_MAX_SIDE ||
        e->height > WISP_PACKED_MAX_SIDE || (int64_t)e->width * e->height * 3 != e->bytes)
        return "its sides and its bytes disagree";
    return NULL;
}

/* `bytes` bytes with as many zero bytes as there are texts, the last of them at the end? */
static inline int wisp_packed_texts_fit(const uint8_t *text, int64_t bytes, int64_t n_texts)
{
    const uint8_t *end = text + bytes;
    int64_t n = 0;
    while (text < end && n <= n_texts) {
        const uint8_t *zero = (const uint8_t *)memchr(text, 0, (size_t)(end - text));
        if (!zero)
            return 0;
        text = zero + 1;
        n++;
    }
    return n == n_texts;
}

/* Judges index, classes and names, which stand at `index`: wisp_packed_index_bytes() bytes. After
 * this every entry may be used, every name ends, and there are no or n_classes names of classes. */
static inline wisp_status wisp_packed_index_check(const wisp_packed_header *h, const uint8_t *index,
                                                  const char *path, wisp_error *err)
{
    const uint8_t *classes = index + h->count * WISP_PACKED_ENTRY_BYTES;
    const uint8_t *names = classes + h->class_bytes;
    if (wisp_hash64(index, (size_t)wisp_packed_index_bytes(h), 0) != h->index_hash)
        return wisp_fail(err, WISP_E_CORRUPT,
                         "\"%.500s\" is damaged: the checksum of its index is wrong", path);
    if (h->class_bytes > 0 && !wisp_packed_texts_fit(classes, h->class_bytes, h->n_classes))
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.500s\" does not name its %d classes", path,
                         (int)h->n_classes);
    if (h->name_bytes > 0 && names[h->name_bytes - 1] != 0)
        return wisp_fail(err, WISP_E_CORRUPT, "\"%.500s\": the last name has no end", path);
    for (int64_t i = 0; i < h->count; i++) {
        const wisp_packed_entry e = wisp_packed_entry_get(index + i * WISP_PACKED_ENTRY_BYTES);
        const char *complaint = wisp_packed_entry_complaint(h, &e);
        if (complaint)
            return wisp_fail(err, WISP_E_CORRUPT, "\"%.500s\": sample %lld of %lld: %s", path,
                             (long long)i, (long long)h->count, complaint);
    }
    return WISP_OK;
}

#ifdef __cplusplus
}
#endif
#endif
