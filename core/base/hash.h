/* hash.h - 64-bit hash (the XXH64 function) for fingerprints of data, files and plugins.
 *
 * It finds accidents, not attacks. Its value is part of stored runs and never changes. */
#ifndef WISPI_BASE_HASH_H
#define WISPI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

uint64_t wispi_hash64(const void *data, size_t n, uint64_t seed);

/* The same value from pieces: begin, add ..., end. */
typedef struct wispi_hash {
    uint64_t lane[4];
    uint64_t seed;
    uint64_t total;
    uint8_t rest[32];
    uint32_t n_rest;
} wispi_hash;

void wispi_hash_begin(wispi_hash *hash, uint64_t seed);
void wispi_hash_add(wispi_hash *hash, const void *data, size_t n);
uint64_t wispi_hash_end(const wispi_hash *hash);

/* Hash (seed 0) of a file's content, read in pieces. */
wisp_status wispi_file_hash(const char *path, uint64_t *value, wisp_error *err);

#ifdef __cplusplus
}
#endif
#endif
