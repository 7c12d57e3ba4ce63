/* kernel_state.h - what the software device and the kernels compiled for the host tell each other:
 * where the running thread stands in its grid, and how it waits for others. Only one thread of a
 * kernel runs at a time, so one of these structs serves a whole library of kernels. */
#ifndef SOFTGPU_KERNEL_STATE_H
#define SOFTGPU_KERNEL_STATE_H

#include <stdint.h>

enum { SOFTGPU_WARP = 32 };

typedef struct softgpu_dim {
    unsigned int x, y, z;
} softgpu_dim;

/* What the lanes of a warp showed each other at one meeting; lanes that do not exist show ones. */
typedef struct softgpu_lanes {
    uint64_t value[SOFTGPU_WARP];
    uint32_t present;
} softgpu_lanes;

typedef struct softgpu_state {
    softgpu_dim thread, block, block_size, grid_size;
    uint32_t lane;
    void *dynamic_shared;
    /* Wait for all threads of the block, or for all of the warp, which also see `value` of each
     * other; valid until the thread's next meeting but one. `line` tells one barrier of the source
     * from another: threads that meet at different ones have diverged. */
    void (*meet_block)(int line);
    const softgpu_lanes *(*meet_warp)(uint32_t mask, uint64_t value, int line);
} softgpu_state;

/* Beside the function of its name, every kernel exports one of these as <name>_softgpu. */
typedef struct softgpu_kernel {
    void (*run)(void **params);
    uint32_t param_bytes;
} softgpu_kernel;

/* A library of kernels exports these two (on_host.cpp). */
typedef softgpu_state *softgpu_state_of_library(void);
/* The calling thread's __shared__ variables: all lie together. */
typedef void *softgpu_shared_of_library(void);

#endif
