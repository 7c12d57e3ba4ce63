/* hash.c - XXH64, written from its published specification. */
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* Byte by byte, so that the value does not depend on the machine; compilers make one load of it. */
static uint64_t load32(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t load64(const uint8_t *p)
{
    return load32(p) | load32(p + 4) << 32;
}

static uint64_t mix(uint64_t lane, uint64_t word)
{
    return rotate(lane + word * P2, 31) * P1;
}

static void add_stripe(wispi_hash *hash, const uint8_t *stripe)
{
    for (int i = 0; i < 4; i++)
        hash->lane[i] = mix(hash->lane[i], load64(stripe + 8 * i));
}

void wispi_hash_begin(wispi_hash *hash, uint64_t seed)
{
    memset(hash, 0, sizeof *hash);
    hash->seed = seed;
    hash->lane[0] = seed + P1 + P2;
    hash->lane[1] = seed + P2;
    hash->lane[2] = seed;
    hash->lane[3] = seed - P1;
}

void wispi_hash_add(wispi_hash *hash, const void *data, size_t n)
{
    const uint8_t *p = data;
    hash->total += n;
    if (hash->n_rest) {
        size_t room = sizeof hash->rest - hash->n_rest, take = n < room ? n : room;
        if (take)
            memcpy(hash->rest + hash->n_rest, p, take);
        hash->n_rest += (uint32_t)take;
        if (hash->n_rest < sizeof hash->rest)
            return;
        add_stripe(hash, hash->rest);
        hash->n_rest = 0;
        p += take;
        n -= take;
    }
    for (; n >= 32; p += 32, n -= 32)
        add_stripe(hash, p);
    if (n)
        memcpy(hash->rest, p, n);
    hash->n_rest = (uint32_t)n;
}

static uint64_t join_lanes(const wispi_hash *hash)
{
    if (hash->total < 32)
        return hash->seed + P5;
    uint64_t value = rotate(hash->lane[0], 1) + rotate(hash->lane[1], 7) +
                     rotate(hash->lane[2], 12) + rotate(hash->lane[3], 18);
    for (int i = 0; i < 4; i++)
        value = (value ^ mix(0, hash->lane[i])) * P1 + P4;
    return value;
}

uint64_t wispi_hash_end(const wispi_hash *hash)
{
    uint64_t value = join_lanes(hash) + hash->total;
    const uint8_t *p = hash->rest;
    uint32_t n = hash->n_rest;
    for (; n >= 8; p += 8, n -= 8)
        value = rotate(value ^ mix(0, load64(p)), 27) * P1 + P4;
    for (; n >= 4; p += 4, n -= 4)
        value = rotate(value ^ load32(p) * P1, 23) * P2 + P3;
    for (; n; p++, n--)
        value = rotate(value ^ *p * P5, 11) * P1;
    value = (value ^ value >> 33) * P2;
    value = (value ^ value >> 29) * P3;
    return value ^ value >> 32;
}

uint64_t wispi_hash64(const void *data, size_t n, uint64_t seed)
{
    wispi_hash hash;
    wispi_hash_begin(&hash, seed);
    wispi_hash_add(&hash, data, n);
    return wispi_hash_end(&hash);
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
