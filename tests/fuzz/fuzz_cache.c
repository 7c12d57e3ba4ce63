/* fuzz_cache.c - any bytes as a cache that a data set keeps beside the data: as they are, with a
 * checksum put right, and as the content of a cache that is written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "loader/host_table.h"
#include "wisp/cache_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];
static wisp_cache_file cache;
static char name[WISP_CACHE_NAME_BYTES];

static void remove_folder(void)
{
    unlinkat(cache.folder, name, 0);
    rmdir(folder);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s/wisp-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        abort();
    cache = (wisp_cache_file){.host = wispi_host_table(),
                              .plugin = "fuzz",
                              .where = folder,
                              .key = 42,
                              .folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                              .version = 3};
    wisp_cache_name(&cache, name);
    wispi_log_set_level(WISP_LOG_ERROR);
    atexit(remove_folder);
}

static void put_file(const void *data, size_t bytes)
{
    const int fd = openat(cache.folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes || close(fd) != 0)
        abort();
}

static void read_back(const void *expected, size_t bytes, int must)
{
    void *content = NULL;
    size_t got = 0;
    const int found = wisp_cache_read(&cache, &content, &got);
    if (must && (!found || got != bytes || (bytes && memcmp(content, expected, bytes) != 0)))
        abort();
    if (found) {
        volatile uint64_t sum = wisp_hash64(content, got, 0); /* every byte is there */
        (void)sum;
    }
    cache.host->free(cache.host, content);
    if (wispi_live_blocks() != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wisp_cache_header header;
    if (!folder[0])
        make_folder();
    put_file(data, size);
    read_back(NULL, 0, 0);
    if (size >= sizeof header) {
        uint8_t *right = malloc(size);
        if (!right)
            return 0;
        memcpy(right, data, size);
        memcpy(&header, data, sizeof header);
        if (header.content_bytes <= size - sizeof header)
            header.checksum = wisp_cache_checksum(header, data + sizeof header);
        memcpy(right, &header, sizeof header);
        put_file(right, size);
        read_back(NULL, 0, 0);
        free(right);
    }
    put_file(data, size);
    header = wisp_cache_expected(&cache, size);
    header.checksum = wisp_cache_checksum(header, data);
    const int fd = openat(cache.folder, name, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || write(fd, &header, sizeof header) != sizeof header ||
        write(fd, data, size) != (ssize_t)size || close(fd) != 0)
        abort();
    read_back(data, size, 1);
    return 0;
}
