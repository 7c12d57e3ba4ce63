/* cuda_tune.h - run.autotune: candidates of the libraries are timed, and what was found is kept.
 *
 * A choice is kept under a key that says what was asked, in a file of the user's cache folder for
 * this device and these versions of driver and libraries: $XDG_CACHE_HOME/wisp, or ~/.cache/wisp.
 */
#ifndef CUDA_TUNE_H
#define CUDA_TUNE_H

#include "cuda_device.h"

enum { CUDA_TUNE_CANDIDATES = 8, CUDA_TUNE_BUFFERS = 16 };

/* Device memory for trying a kernel out, zeroed. */
typedef struct cuda_tune_memory {
    void *data[CUDA_TUNE_BUFFERS];
    int32_t n;
} cuda_tune_memory;

/* Adds `bytes`. A failure leaves what was there; cuda_tune_release frees it all. */
wisp_status cuda_tune_add(const cuda_device *device, cuda_tune_memory *memory, size_t bytes,
                          wisp_error *err);
void cuda_tune_release(const cuda_device *device, cuda_tune_memory *memory);

typedef wisp_status (*cuda_tune_run)(void *user, int32_t candidate, wisp_error *err);

/* The quickest of n candidates; -1 when none of them runs. [main] */
int32_t cuda_tune_time(const cuda_device *device, int32_t n, cuda_tune_run run, void *user);

/* What is known of a key; -1: nothing. And making it known. [main] */
int32_t cuda_tune_find(cuda_device *device, uint64_t key);
void cuda_tune_keep(cuda_device *device, uint64_t key, int32_t choice);
void cuda_tune_close(cuda_device *device);

/* For keys: a hash that goes on from `key`. */
uint64_t cuda_tune_hash(uint64_t key, const void *data, size_t bytes);

#endif
