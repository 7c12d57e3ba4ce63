/* fuzz_packed.c - arbitrary bytes as a packed data set: as they are, and with the checksums of
 * header and index put right, so that what lies behind these is reached. */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The plugin itself, so that a fuzzer sees where it goes. */
#include "../../plugins/datasets/packed/packed.c"

#include "loader/host_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_SAMPLES = 64, MOST_BYTES = 1 << 22 };

typedef struct fuzz_sink {
    wisp_sample_sink base; /* first: the handle converts */
    uint8_t *memory;
} fuzz_sink;

/* A block of the exact size lets an address sanitizer see the first byte too many. */
static uint8_t *reserve_exactly(wisp_sample_sink *base, size_t bytes)
{
    fuzz_sink *s = (fuzz_sink *)(void *)base;
    free(s->memory);
    s->memory = bytes <= MOST_BYTES ? malloc(bytes) : NULL;
    return s->memory;
}

static void read_all(const void *self)
{
    fuzz_sink sink = {.base = {sizeof(wisp_sample_sink), 0, reserve_exactly}};
    const wisp_rng_key key = {{1, 2}};
    const int64_t n = vtable.count(self);
    const int32_t classes = vtable.n_classes(self);
    for (int64_t i = 0; i < n && i < MOST_SAMPLES; i++) {
        char name[300];
        wisp_sample sample = {0};
        wisp_error err = {0};
        const int64_t at = vtable.order(self, key, i);
        const int32_t label = classes > 0 ? vtable.label(self, at) : 0;
        vtable.sample_name(self, at, name, sizeof name);
        if (at < 0 || at >= n || label < 0 || (classes > 0 && label >= classes))
            abort();
        if (vtable.class_name(self, label) && strlen(vtable.class_name(self, label)) > INT_MAX)
            abort();
        if (vtable.read(self, at, &sink.base, &sample, &err) == WISP_OK
                ? sample.data != sink.memory || sample.bytes < 1
                : !err.message[0])
            abort(); /* a refusal says why */
    }
    free(sink.memory);
}

static void open_and_read(const char *path, int64_t shuffle)
{
    const packed_config config = {.path = path,
                                  .shuffle = shuffle,
                                  .labels = 1,
                                  .verify = shuffle == 0,
                                  .subset = {.list = "", .fraction = 1.0}};
    wisp_error err = {0};
    void *self = NULL;
    if (create(wispi_host_table(), &config, &self, &err) == WISP_OK) {
        read_all(self);
        (void)fingerprint(self);
        destroy(self);
    } else if (!err.message[0] || self) {
        abort();
    }
}

static int write_input(const uint8_t *data, size_t size, char path[64])
{
    const int fd = memfd_create("packed", MFD_CLOEXEC);
    if (fd < 0)
        abort();
    if (pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void put_right(int fd, const uint8_t *data, size_t size)
{
    uint8_t header[WISP_PACKED_HEADER_BYTES];
    memcpy(header, data, sizeof header);
    memcpy(header, wisp_packed_magic(), 8);
    wisp_packed_put(header + 8, 4, WISP_PACKED_VERSION);
    wisp_packed_put(header + 48, 8, size);
    const int64_t index_at = wisp_packed_get(header + 24);
    if (index_at >= (int64_t)sizeof header && (uint64_t)index_at <= size)
        wisp_packed_put(header + 56, 8, wisp_hash64(data + index_at, size - (size_t)index_at, 0));
    wisp_packed_put(header + 120, 8, wisp_hash64(header, 120, 0));
    if (pwrite(fd, header, sizeof header, 0) != sizeof header)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const int fd = write_input(data, size, path);
    open_and_read(path, 0);
    if (size >= WISP_PACKED_HEADER_BYTES) {
        put_right(fd, data, size);
        open_and_read(path, 0);
        open_and_read(path, 5);
    }
    if (vtable.recognises(path) < 0)
        abort();
    close(fd);
    return 0;
}
