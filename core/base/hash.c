/* hash.c - XXH64 (wisp/hash64.h) of pieces and of files. */
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "wisp/hash64.h"

void wispi_hash_begin(wispi_hash *hash, uint64_t seed)
{
    memset(hash, 0, sizeof *hash);
    hash->seed = seed;
    wisp_hash64_begin(hash->lane, seed);
}

void wispi_hash_add(wispi_hash *hash, const void *data, size_t n)
{
    const uint8_t *p = data;
    if (n == 0)
        return;
    hash->total += n;
    if (hash->n_rest) {
        size_t room = sizeof hash->rest - hash->n_rest, take = n < room ? n : room;
        if (take)
            memcpy(hash->rest + hash->n_rest, p, take);
        hash->n_rest += (uint32_t)take;
        if (hash->n_rest < sizeof hash->rest)
            return;
        wisp_hash64_stripes(hash->lane, hash->rest, sizeof hash->rest);
        hash->n_rest = 0;
        p += take;
        n -= take;
    }
    wisp_hash64_stripes(hash->lane, p, n);
    p += n & ~(size_t)31;
    n &= 31;
    if (n)
        memcpy(hash->rest, p, n);
    hash->n_rest = (uint32_t)n;
}

uint64_t wispi_hash_end(const wispi_hash *hash)
{
    return wisp_hash64_end(hash->lane, hash->seed, hash->total, hash->rest, hash->n_rest);
}

uint64_t wispi_hash64(const void *data, size_t n, uint64_t seed)
{
    return wisp_hash64(data, n, seed);
}

wisp_status wispi_file_hash(const char *path, uint64_t *value, wisp_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return wisp_fail(err, errno == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO, "%s: cannot open: %s",
                         path, strerror(errno));
    wispi_hash hash;
    wispi_hash_begin(&hash, 0);
    uint8_t piece[32768];
    ssize_t n;
    do {
        n = read(fd, piece, sizeof piece);
        if (n > 0)
            wispi_hash_add(&hash, piece, (size_t)n);
    } while (n > 0 || (n < 0 && errno == EINTR));
    int failure = n < 0 ? errno : 0;
    close(fd);
    if (failure)
        return wisp_fail(err, WISP_E_IO, "%s: cannot read: %s", path, strerror(failure));
    *value = wispi_hash_end(&hash);
    return WISP_OK;
}
