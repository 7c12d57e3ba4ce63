/* soft_driver.h - what the files of the software device's driver know of each other. One lock
 * guards all of it: soft_enter takes it and soft_leave gives it back, so that calls from several
 * threads run one after another. */
#ifndef SOFT_DRIVER_H
#define SOFT_DRIVER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "api/driver.h"
#include "kernel_state.h"

/* --- calls (soft_call.c) --- */

/* Begins a call that needs a current context that has not failed. */
CUresult soft_enter(void);
/* Begins a call that needs cuInit alone. */
CUresult soft_enter_early(void);
CUresult soft_leave(CUresult result);
/* A line of the trace. */
void soft_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The device has failed for good, as after a fault in a kernel: every later call says so. */
CUresult soft_fail(CUresult result, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *soft_failure_text(void);
void soft_forget_failure(void);
int64_t soft_setting(const char *name, int64_t otherwise);
void soft_set_initialised(void);
void soft_set_current(CUcontext context);
CUcontext soft_current(void);

/* --- memory (soft_memory.c) --- */

CUresult soft_memory_reserve(void);
/* Everything that is allocated becomes accessible, and again not; may be nested. */
void soft_memory_open(void);
void soft_memory_close(void);
CUresult soft_memory_allocate(size_t bytes, CUdeviceptr *memory);
/* From now on no call may name the memory, though work that came before still uses it. */
CUresult soft_memory_leave(CUdeviceptr memory);
CUresult soft_memory_free(CUdeviceptr memory);
/* Does the range lie in one live allocation? */
int soft_memory_holds(CUdeviceptr at, size_t bytes);
/* And in one that nobody has asked to free? */
int soft_memory_given(CUdeviceptr at, size_t bytes);
/* Is the address in the part of the address space that is the device's? */
int soft_memory_is_device(const void *at);
/* What lies at the address, in words. */
void soft_memory_describe(const void *at, char *text, size_t n);
size_t soft_memory_total(void);
void soft_memory_release_all(void);
/* Is the range in page-locked memory, wholly (1), not at all (0), or partly (-1)? */
int soft_memory_pinned(const void *at, size_t bytes);

/* --- work on streams (soft_work.c) --- */

typedef struct soft_work {
    struct soft_work *next;
    CUresult (*run)(void *args);
    const char *name; /* lives as long as the process */
    _Alignas(16) unsigned char args[];
} soft_work;

typedef struct soft_works {
    soft_work *first, **end; /* end NULL: empty */
    int64_t n;
} soft_works;

soft_work *soft_work_make(const char *name, CUresult (*run)(void *), const void *args,
                          size_t bytes);
void soft_works_append(soft_works *works, soft_work *work);
soft_work *soft_works_take(soft_works *works);
void soft_works_free(soft_works *works);
/* Runs the work, or keeps it where the stream is being captured or runs late. */
CUresult soft_submit(CUstream stream, const char *name, CUresult (*run)(void *), const void *args,
                     size_t bytes);

/* --- streams (soft_stream.c) --- */

enum { SOFT_MAX_FORKS = 16 };

typedef struct soft_capture {
    uint64_t id;
    CUstream origin;
    CUstreamCaptureMode mode;
    pthread_t thread;
    int invalid;
    int n_streams;
    CUstream streams[SOFT_MAX_FORKS];
    soft_works works;
    struct soft_capture *next;
} soft_capture;

/* How much of each stream of a capture has happened before some point. */
typedef struct soft_clock {
    uint64_t seen[SOFT_MAX_FORKS];
} soft_clock;

struct CUstream_st {
    uint32_t magic;
    uint32_t flags;
    int number; /* 0: the default stream */
    soft_works late;
    uint64_t submitted, done;
    soft_capture *capture;
    int fork; /* its place among the streams of the capture */
    soft_clock clock;
    struct CUstream_st *next;
};

struct CUevent_st {
    uint32_t magic;
    uint32_t flags;
    int number;
    int recorded, asked;
    CUstream stream;
    uint64_t position; /* done once the stream has done as much */
    double seconds;
    uint64_t capture_id;
    soft_capture *capture;
    soft_clock clock;
    struct CUevent_st *next;
};

/* The stream behind a handle; NULL when there is none. */
CUstream soft_stream(CUstream handle);
/* Runs what the stream kept until it has done `position`, and what that waits for. */
CUresult soft_stream_run(CUstream stream, uint64_t position);
CUresult soft_streams_run_all(void);
int soft_runs_late(void);
void soft_streams_release_all(void);

/* --- capture (soft_capture.c) and graphs (soft_graph.c) --- */

/* Refuses a call that a capture of this thread (or a global one) forbids, and spoils the capture.
 */
CUresult soft_forbid_in_capture(void);
CUresult soft_capture_spoil(soft_capture *capture, CUresult result);
/* Refuses the default stream while a stream is captured that it would wait for. */
CUresult soft_capture_check_default(CUstream stream);
CUresult soft_capture_record(CUevent event, CUstream stream);
CUresult soft_capture_wait(CUstream stream, CUevent event);
int soft_captures_active(void);
int soft_event_captured(CUevent event);
void soft_captures_release_all(void);
/* Takes the works over when it succeeds. */
CUresult soft_graph_make(soft_works *works, CUgraph *graph);

/* --- kernels (soft_module.c, soft_launch.c, soft_block.c) --- */

struct CUfunc_st {
    uint32_t magic;
    uint32_t max_shared;
    CUmodule module;
    const softgpu_kernel *kernel;
    struct CUfunc_st *next;
    char name[];
};

struct CUmod_st {
    uint32_t magic;
    int number;
    void *library;
    softgpu_state *state;
    softgpu_shared_of_library *shared;
    struct CUfunc_st *functions;
    struct CUmod_st *next;
};

typedef struct soft_launch {
    CUfunction function;
    softgpu_dim grid, block;
    uint32_t shared_bytes;
    _Alignas(16) unsigned char params[];
} soft_launch;

/* The function behind a handle; NULL when there is none. */
CUfunction soft_function(CUfunction handle);
/* The calling thread's copy of the module's __shared__ variables. */
void *soft_module_shared(CUmodule module, size_t *bytes);
CUresult soft_grid_run(soft_launch *launch);
/* Where the running kernel is, in words; 0 when none runs. */
int soft_grid_describe(char *text, size_t n);

/* --- faults (soft_fault.c) --- */
void soft_fault_watch(void);

#endif
