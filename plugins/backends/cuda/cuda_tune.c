/* cuda_tune.c - timing candidates. */
#include "cuda_tune.h"
#include <math.h>

enum { ROUNDS = 3, RUNS = 4 };

uint64_t cuda_tune_hash(uint64_t key, const void *data, size_t bytes)
{
    const unsigned char *at = data; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        key = (key ^ at[i]) * UINT64_C(0x100000001b3);
    return key;
}

/* --- memory --- */

wisp_status cuda_tune_add(const cuda_device *device, cuda_tune_memory *memory, size_t bytes,
                          wisp_error *err)
{
    const cuda_driver *driver = device->driver;
    CUdeviceptr made = 0;
    if (memory->n == CUDA_TUNE_BUFFERS)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "too many tensors to try out");
    WISP_TRY(cuda_check(driver, driver->MemAllocAsync(&made, bytes ? bytes : 1, device->stream),
                        "asking for memory to try kernels out", err));
    void *data = (void *)(uintptr_t)made;
    memory->data[memory->n++] = data;
    return cuda_zero(device, data, bytes ? bytes : 1, err);
}

void cuda_tune_release(const cuda_device *device, cuda_tune_memory *memory)
{
    while (memory->n > 0)
        device->driver->MemFreeAsync(cuda_pointer(memory->data[--memory->n]), device->stream);
}

/* --- time --- */

/* Milliseconds of RUNS runs, or NaN. */
static float time_round(const cuda_device *device, const CUevent *events, int32_t candidate,
                        cuda_tune_run run, void *user)
{
    const cuda_driver *driver = device->driver;
    wisp_error reason = {0};
    float milliseconds = NAN;
    if (driver->EventRecord(events[0], device->stream) != CUDA_SUCCESS)
        return NAN;
    for (int i = 0; i < RUNS; i++)
        if (run(user, candidate, &reason) != WISP_OK)
            return NAN;
    if (driver->EventRecord(events[1], device->stream) != CUDA_SUCCESS ||
        driver->EventSynchronize(events[1]) != CUDA_SUCCESS ||
        driver->EventElapsedTime(&milliseconds, events[0], events[1]) != CUDA_SUCCESS)
        return NAN;
    return milliseconds;
}

/* The first round warms up and does not count. */
static float time_candidate(const cuda_device *device, const CUevent *events, int32_t candidate,
                            cuda_tune_run run, void *user)
{
    float best = INFINITY;
    for (int i = 0; i <= ROUNDS; i++) {
        const float taken = time_round(device, events, candidate, run, user);
        if (isnan(taken))
            return NAN;
        if (i > 0 && taken < best)
            best = taken;
    }
    return best;
}

int32_t cuda_tune_time(const cuda_device *device, int32_t n, cuda_tune_run run, void *user)
{
    const cuda_driver *driver = device->driver;
    CUevent events[2] = {NULL, NULL};
    int32_t best = -1;
    float least = INFINITY;
    if (driver->EventCreate(&events[0], CU_EVENT_DEFAULT) == CUDA_SUCCESS &&
        driver->EventCreate(&events[1], CU_EVENT_DEFAULT) == CUDA_SUCCESS)
        for (int32_t i = 0; i < n; i++) {
            const float taken = time_candidate(device, events, i, run, user);
            if (taken < least) {
                least = taken;
                best = i;
            }
        }
    for (int i = 0; i < 2; i++)
        if (events[i])
            driver->EventDestroy(events[i]);
    return best;
}
