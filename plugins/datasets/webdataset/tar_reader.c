/* tar_reader.c - headers of tar archives. */
#include "tar_reader.h"

#include <stddef.h>

/* The fields of a header. */
typedef struct tar_header {
    char name[100];
    char mode[8], uid[8], gid[8];
    char size[12];
    char mtime[12];
    char sum[8];
    char type;
    char link[100];
    char magic[8]; /* with the version */
    char user[32], group[32];
    char major[8], minor[8];
    char prefix[155];
    char rest[12];
} tar_header;

_Static_assert(sizeof(tar_header) == TAR_BLOCK, "a header is one block");

/* Longest beginning of a record that is looked at: its length, its key and a path. */
enum { RECORD_BYTES = TAR_NAME_BYTES + 64, KEY_BYTES = 24 };

/* No content is larger; sums of such numbers do not overflow. */
#define MAX_BYTES ((int64_t)1 << 60)

static wisp_status cut_off(const tar_reader *r, wisp_error *err)
{
    return wisp_fail(err, WISP_E_CORRUPT, "cut off near byte %lld", (long long)r->position);
}

static wisp_status read_all(const tar_reader *r, int64_t offset, void *data, int64_t bytes,
                            wisp_error *err)
{
    int64_t got = 0;
    WISP_TRY(r->source->read(r->source->user, offset, data, bytes, &got, err));
    return got == bytes ? WISP_OK : cut_off(r, err);
}

/* --- numbers --- */

/* Base 256: the first bit is set, the others are the number. -1 if it is negative or too large. */
static int64_t binary_number(const uint8_t *field, int n)
{
    int64_t value = field[0] & 0x7f;
    if (field[0] & 0x40)
        return -1;
    for (int i = 1; i < n; i++) {
        if (value >= MAX_BYTES >> 8)
            return -1;
        value = value << 8 | field[i];
    }
    return value;
}

/* Octal digits between spaces, ended by a space, a zero or the field. -1 if it is anything else. */
static int64_t octal_number(const char *field, int n)
{
    int64_t value = 0;
    int i = 0;
    while (i < n && field[i] == ' ')
        i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (field[i] - '0'); /* at most 12 digits */
    while (i < n && field[i] == ' ')
        i++;
    return i == n || field[i] == 0 ? value : -1;
}

static int64_t number(const char *field, int n)
{
    const uint8_t *bytes = (const uint8_t *)field;
    return bytes[0] & 0x80 ? binary_number(bytes, n) : octal_number(field, n);
}

/* The sum takes its own field as spaces. Some writers added signed bytes. */
static int sum_fits(const tar_header *h)
{
    const uint8_t *bytes = (const uint8_t *)h;
    const size_t first = offsetof(tar_header, sum), end = first + sizeof h->sum;
    int64_t plain = 0, with_sign = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        const uint8_t byte = i >= first && i < end ? ' ' : bytes[i];
        plain += byte;
        with_sign += (int8_t)byte;
    }
    const int64_t said = octal_number(h->sum, sizeof h->sum);
    return said == plain || (said >= 0 && said == with_sign);
}

int tar_is_header(const uint8_t block[TAR_BLOCK])
{
    tar_header header;
    memcpy(&header, block, sizeof header);
    return sum_fits(&header);
}

static int is_zero(const tar_header *h)
{
    const uint8_t *bytes = (const uint8_t *)h;
    for (int i = 0; i < TAR_BLOCK; i++)
        if (bytes[i])
            return 0;
    return 1;
}

/* --- what stands before an entry --- */

static void forget_said(tar_reader *r)
{
    r->has_size = r->has_name = r->is_sparse = 0;
}

static wisp_status name_too_long(const tar_reader *r, int64_t bytes, wisp_error *err)
{
    return wisp_fail(err, WISP_E_CORRUPT,
                     "a name of %lld bytes before the header at byte %lld: the longest has %d",
                     (long long)bytes, (long long)r->position, TAR_NAME_BYTES - 1);
}

/* GNU: the content is the name. */
static wisp_status take_long_name(tar_reader *r, int64_t at, int64_t bytes, wisp_error *err)
{
    if (bytes >= TAR_NAME_BYTES)
        return name_too_long(r, bytes, err);
    WISP_TRY(read_all(r, at, r->next_name, bytes, err));
    r->next_name[bytes] = 0;
    r->has_name = 1;
    return WISP_OK;
}

/* A record of pax that is of interest: `value` has `n` bytes, all there. */
static wisp_status take_value(tar_reader *r, const char *key, const char *value, int64_t n,
                              wisp_error *err)
{
    if (!strcmp(key, "path")) {
        if (n >= TAR_NAME_BYTES || memchr(value, 0, (size_t)n))
            return name_too_long(r, n, err);
        memcpy(r->next_name, value, (size_t)n);
        r->next_name[n] = 0;
        r->has_name = 1;
    } else if (!strcmp(key, "size")) {
        int64_t size = 0;
        for (int64_t i = 0; i < n; i++) {
            if (value[i] < '0' || value[i] > '9' || size >= MAX_BYTES / 10)
                return wisp_fail(err, WISP_E_CORRUPT,
                                 "no number as a size in the header at byte %lld",
                                 (long long)r->position);
            size = size * 10 + (value[i] - '0');
        }
        r->next_size = size;
        r->has_size = n > 0;
    } else if (!strncmp(key, "GNU.sparse.", 11)) {
        r->is_sparse = 1;
    }
    return WISP_OK;
}

/* The record "LENGTH KEY=VALUE\n" that begins at `at`, of which `seen` bytes are in `text`. */
static wisp_status take_record(tar_reader *r, int64_t at, int64_t left, const char *text,
                               int64_t seen, int64_t *length, wisp_error *err)
{
    char key[KEY_BYTES] = "", last = 0;
    int64_t said = 0, i = 0, k = 0;
    for (; i < seen && i < 18 && text[i] >= '0' && text[i] <= '9'; i++)
        said = said * 10 + (text[i] - '0');
    const int64_t begin = i + 1;
    const int is_record = i > 0 && i < seen && text[i] == ' ' && said > begin + 1 && said <= left;
    if (is_record)
        WISP_TRY(read_all(r, at + said - 1, &last, 1, err));
    if (!is_record || last != '\n')
        return wisp_fail(err, WISP_E_CORRUPT, "a pax header at byte %lld that is none",
                         (long long)r->position);
    *length = said;
    for (i = begin; i < seen && i < said && text[i] != '='; i++)
        if (k < KEY_BYTES - 1)
            key[k++] = text[i];
    key[k] = 0;
    if (i >= seen || i >= said - 1)
        return WISP_OK; /* a key alone, or one that nobody here knows */
    const int64_t n = said - 1 - (i + 1);
    if (i + 1 + n > seen)
        return strcmp(key, "path") != 0 ? WISP_OK : name_too_long(r, n, err);
    return take_value(r, key, text + i + 1, n, err);
}

static wisp_status take_records(tar_reader *r, int64_t at, int64_t bytes, wisp_error *err)
{
    char text[RECORD_BYTES];
    for (int64_t done = 0, length = 0; done < bytes; done += length) {
        const int64_t left = bytes - done, seen = left < RECORD_BYTES ? left : RECORD_BYTES;
        WISP_TRY(read_all(r, at + done, text, seen, err));
        if (text[0] == 0)
            break; /* padding */
        WISP_TRY(take_record(r, at + done, left, text, seen, &length, err));
    }
    return WISP_OK;
}

/* --- entries --- */

/* Old sparse files of GNU have further blocks behind their header. */
static wisp_status pass_sparse_blocks(const tar_reader *r, const tar_header *h, int64_t *at,
                                      wisp_error *err)
{
    uint8_t block[TAR_BLOCK];
    int more = ((const uint8_t *)h)[482];
    while (more) {
        WISP_TRY(read_all(r, *at, block, TAR_BLOCK, err));
        *at += TAR_BLOCK;
        more = block[504];
    }
    return WISP_OK;
}

static void set_name(const tar_reader *r, const tar_header *h, tar_entry *entry)
{
    const int is_ustar = !memcmp(h->magic, "ustar\0", 6);
    if (r->has_name)
        snprintf(entry->name, sizeof entry->name, "%s", r->next_name);
    else if (is_ustar && h->prefix[0])
        snprintf(entry->name, sizeof entry->name, "%.155s/%.100s", h->prefix, h->name);
    else
        snprintf(entry->name, sizeof entry->name, "%.100s", h->name);
}

/* Whether the entry is a file that is to be told of. */
static int is_file(tar_reader *r, const tar_header *h, const tar_entry *entry)
{
    const size_t length = strlen(entry->name);
    const int named_as_folder = length > 0 && entry->name[length - 1] == '/';
    r->n_links += h->type == '1' || h->type == '2';
    if (h->type == 'S' || ((h->type == '0' || h->type == '7' || h->type == 0) && r->is_sparse)) {
        r->n_sparse++;
        return 0;
    }
    return h->type == '0' || h->type == '7' || (h->type == 0 && !named_as_folder);
}

/* Links, devices, folders and pipes have no content, whatever their size says. */
static int has_content(const tar_header *h)
{
    return h->type < '1' || h->type > '6';
}

/* One header; `*found` where it was that of a file. */
static wisp_status take_header(tar_reader *r, const tar_header *h, tar_entry *entry, int32_t *found,
                               wisp_error *err)
{
    const int is_pax = h->type == 'x' || h->type == 'X', is_name = h->type == 'L';
    const int describes = is_pax || is_name || h->type == 'K' || h->type == 'g';
    int64_t at = r->position + TAR_BLOCK, bytes = number(h->size, sizeof h->size);
    if (!describes && r->has_size)
        bytes = r->next_size;
    if (!describes && !has_content(h))
        bytes = 0;
    if (bytes < 0 || bytes > MAX_BYTES)
        return wisp_fail(err, WISP_E_CORRUPT, "no number as a size in the header at byte %lld",
                         (long long)r->position);
    if (h->type == 'S')
        WISP_TRY(pass_sparse_blocks(r, h, &at, err));
    const int64_t end = r->source->end;
    if (at > MAX_BYTES || (end >= 0 && (at > end || bytes > end - at)))
        return cut_off(r, err);
    if (is_pax)
        WISP_TRY(take_records(r, at, bytes, err));
    if (is_name)
        WISP_TRY(take_long_name(r, at, bytes, err));
    if (!describes) {
        set_name(r, h, entry);
        entry->offset = at;
        entry->bytes = bytes;
        *found = is_file(r, h, entry);
        forget_said(r);
    }
    r->position = at + (bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    return WISP_OK;
}

/* The header at the present position; `*more` is 0 at the end of the archive. */
static wisp_status read_header(const tar_reader *r, tar_header *h, int *more, wisp_error *err)
{
    int64_t got = 0;
    WISP_TRY(r->source->read(r->source->user, r->position, (uint8_t *)h, TAR_BLOCK, &got, err));
    if (got == 0 && r->position == 0)
        return wisp_fail(err, WISP_E_CORRUPT, "empty");
    if (got == 0 && r->source->end >= 0 && r->position > r->source->end)
        return cut_off(r, err);
    *more = got == TAR_BLOCK && !is_zero(h);
    if (got > 0 && got < TAR_BLOCK)
        return cut_off(r, err);
    if (*more && !sum_fits(h))
        return wisp_fail(err, WISP_E_CORRUPT, "no tar header at byte %lld where one should be",
                         (long long)r->position);
    return WISP_OK;
}

wisp_status tar_next(tar_reader *r, tar_entry *entry, int32_t *found, wisp_error *err)
{
    int32_t is_found = 0;
    while (!is_found) {
        tar_header header;
        int more = 0;
        WISP_TRY(read_header(r, &header, &more, err));
        if (!more)
            break;
        WISP_TRY(take_header(r, &header, entry, &is_found, err));
    }
    *found = is_found;
    return WISP_OK;
}
