/* tar_reader.h - the files of a tar archive, one after the other, from any source of bytes.
 *
 * Understands ustar with its prefix, the headers of pax (path, size) and of GNU (long names), and
 * sizes in octal and in base 256. Links, folders, devices and sparse files are passed over. Every
 * header's sum is checked. Needs no memory of its own and believes no number of the archive. */
#ifndef TAR_READER_H
#define TAR_READER_H

#include <wisp/status.h>

enum { TAR_BLOCK = 512, TAR_NAME_BYTES = 4096 };

/* Where the archive's bytes come from. No read begins before the one that went before it, and none
 * asks for more than TAR_NAME_BYTES + 64 bytes. */
typedef struct tar_source {
    void *user;
    /* Reads up to `bytes` bytes; fewer at the end alone. */
    wisp_status (*read)(void *user, int64_t offset, uint8_t *data, int64_t bytes, int64_t *got,
                        wisp_error *err);
    int64_t end; /* bytes in all; -1 until that is known */
} tar_source;

typedef struct tar_entry {
    int64_t offset, bytes; /* of the content */
    char name[TAR_NAME_BYTES];
} tar_entry;

/* Zeroed, with `source` set, it stands at the first entry. */
typedef struct tar_reader {
    tar_source *source;
    int64_t position;           /* of the next header */
    int64_t n_links, n_sparse;  /* passed over so far */
    int64_t next_size;          /* what headers before an entry say of it */
    int32_t has_size, has_name; /* whether they do */
    int32_t is_sparse;
    int32_t reserved;
    char next_name[TAR_NAME_BYTES];
} tar_reader;

/* The next file; `*found` is 0 at the end of the archive, which is a block of zeros or the last
 * byte. An archive that is damaged or cut off is WISP_E_CORRUPT, with the place and without the
 * archive's name. Where the source does not know its end, a content may turn out to be cut off when
 * the next entry is asked for. */
wisp_status tar_next(tar_reader *reader, tar_entry *entry, int32_t *found, wisp_error *err);

/* Whether a block is a header, by its sum. */
int tar_is_header(const uint8_t block[TAR_BLOCK]);

#endif
