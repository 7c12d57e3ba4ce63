/* fuzz_tar.c - any bytes as a tar archive, with its end known or not; and what a data set makes of
 * the names and labels in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/webdataset/sample_key.h"
#include "datasets/webdataset/tar_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef struct archive {
    tar_source source;
    const uint8_t *data;
    int64_t bytes, last;
    int mends;
} archive;

/* Gives a block the sum that it should have as a header, without which few inputs get far. */
static void mend(uint8_t *block)
{
    char text[8];
    int sum = 8 * ' ';
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? 0 : block[i];
    if (sum == 8 * ' ')
        return; /* the end of the archive */
    snprintf(text, sizeof text, "%06o", (unsigned)sum & 0777777);
    memcpy(block + 148, text, sizeof text);
}

static wisp_status read_archive(void *user, int64_t offset, uint8_t *data, int64_t bytes,
                                int64_t *got, wisp_error *err)
{
    archive *a = user;
    (void)err;
    if (offset < a->last || bytes < 0)
        abort(); /* a stream cannot go back */
    a->last = offset;
    const int64_t left = offset < a->bytes ? a->bytes - offset : 0;
    *got = bytes < left ? bytes : left;
    memcpy(data, *got ? a->data + offset : a->data, (size_t)*got);
    if (a->mends && *got == TAR_BLOCK && bytes == TAR_BLOCK)
        mend(data);
    if (*got < bytes)
        a->source.end = a->bytes;
    return WISP_OK;
}

static void look_at(const archive *a, const tar_entry *entry, int end_known)
{
    size_t key = 0, extension = 0;
    int64_t value = 0;
    const size_t length = strnlen(entry->name, sizeof entry->name);
    if (length == sizeof entry->name || entry->offset < TAR_BLOCK || entry->bytes < 0)
        abort();
    if (sample_key_split(entry->name, &key, &extension) &&
        (key < 1 || extension > length || entry->name[key] != '.'))
        abort();
    const int there = entry->bytes <= a->bytes && entry->offset <= a->bytes - entry->bytes;
    if (end_known && !there)
        abort();
    if (!there)
        return;
    const char *text = (const char *)a->data + entry->offset;
    sample_label(text, (size_t)entry->bytes, &value);
    json_integer(text, (size_t)entry->bytes, "label", &value);
}

static int64_t read_entries(const uint8_t *data, size_t n, int end_known, int mends)
{
    static const uint8_t nothing;
    archive a = {.data = n ? data : &nothing, .bytes = (int64_t)n, .mends = mends};
    tar_reader reader = {.source = &a.source};
    wisp_error err = {0};
    int64_t entries = 0;
    a.source = (tar_source){&a, read_archive, end_known ? a.bytes : -1};
    for (int32_t found = 1; found;) {
        tar_entry entry;
        const int64_t position = reader.position;
        found = 0;
        if (tar_next(&reader, &entry, &found, &err) != WISP_OK) {
            if (found || err.code != WISP_E_CORRUPT || !err.message[0])
                abort(); /* a refusal says why */
            break;
        }
        if (found && reader.position < position + TAR_BLOCK)
            abort();
        if (found)
            look_at(&a, &entry, end_known);
        entries += found;
    }
    return entries;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int mends = 0; mends < 2; mends++)
        if (read_entries(data, n, 1, mends) > read_entries(data, n, 0, mends))
            abort(); /* who does not know the end sees at least as much */
    return 0;
}
