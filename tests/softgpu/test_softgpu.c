/* test_softgpu.c - the software device itself: what it computes, and what it notices. */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/driver.h"
#include "softgpu.h"
#include "softgpu_probe.h"

static CUcontext context;
static CUmodule module;
static CUstream stream;

#define OK(call) ck_assert_int_eq(call, CUDA_SUCCESS)

static void start(void)
{
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&context, 0));
    OK(cuCtxSetCurrent(context));
    OK(cuModuleLoadData(&module, "softgpu:softgpu_probe.so"));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
}

static void stop(void)
{
    OK(cuDevicePrimaryCtxRelease(0));
}

static void *device(size_t bytes)
{
    CUdeviceptr at = 0;
    OK(cuMemAlloc(&at, bytes));
    return (void *)(uintptr_t)at;
}

static CUdeviceptr address(const void *at)
{
    return (CUdeviceptr)(uintptr_t)at;
}

static void upload(void *to, const void *from, size_t bytes)
{
    OK(cuMemcpyHtoDAsync(address(to), from, bytes, stream));
}

static void download(void *to, const void *from, size_t bytes)
{
    OK(cuMemcpyDtoHAsync(to, address(from), bytes, stream));
    OK(cuStreamSynchronize(stream));
}

static CUfunction kernel(const char *name)
{
    CUfunction function = NULL;
    OK(cuModuleGetFunction(&function, module, name));
    return function;
}

static CUresult launch(const char *name, probe_args args, unsigned int blocks, unsigned int threads,
                       unsigned int shared)
{
    void *params[] = {&args};
    return cuLaunchKernel(kernel(name), blocks, 1, 1, threads, 1, 1, shared, stream, params, NULL);
}

/* Launches and waits, so that the work is done however late the device is. */
static CUresult run(const char *name, probe_args args, unsigned int blocks, unsigned int threads,
                    unsigned int shared)
{
    const CUresult result = launch(name, args, blocks, threads, shared);
    return result == CUDA_SUCCESS ? cuStreamSynchronize(stream) : result;
}

static void count_up(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)i;
}

START_TEST(sums_of_blocks)
{
    enum { BLOCKS = 3, N = 1000 };
    static const unsigned int sizes[] = {32, 96, 256, 1024};
    static float x[BLOCKS * N];
    float y[BLOCKS], *dx = device(sizeof x), *dy = device(sizeof y);
    count_up(x, BLOCKS * N);
    upload(dx, x, sizeof x);
    for (int s = 0; s < 4; s++) {
        OK(launch("probe_block_sum", (probe_args){dx, dy, N, 0}, BLOCKS, sizes[s], 0));
        download(y, dy, sizeof y);
        for (int b = 0; b < BLOCKS; b++)
            ck_assert_float_eq_tol(y[b], (float)N * (b * N) + N * (N - 1) / 2.0f, 64.0f);
    }
}
END_TEST

START_TEST(lanes_see_each_other)
{
    float x[32], y[9][32], *dx = device(sizeof x), *dy = device(sizeof y);
    count_up(x, 32);
    upload(dx, x, sizeof x);
    OK(launch("probe_lanes", (probe_args){dx, dy, 32, 0}, 1, 32, 0));
    download(y, dy, sizeof y);
    for (int i = 0; i < 32; i++) {
        const int expected[9] = {(i + 3) % 32,
                                 i < 2 ? i : i - 2,
                                 i + 5 < 32 ? i + 5 : i,
                                 i ^ 9,
                                 i % 8 == 7 ? i : i + 1,
                                 0,
                                 21,
                                 1,
                                 0};
        for (int kind = 0; kind < 9; kind++)
            if (kind != 5)
                ck_assert_float_eq(y[kind][i], (float)expected[kind]);
        ck_assert_float_eq(y[5][i], (float)((long long)(i < 16 ? 7 : 23) << 40));
    }
}
END_TEST

START_TEST(threads_know_their_place)
{
    enum { BLOCKS = 2 * 3 * 2, THREADS = 5 * 3 * 4 };
    float y[BLOCKS * THREADS], *dy = device(sizeof y);
    probe_args args = {NULL, dy, 0, 0};
    void *params[] = {&args};
    OK(cuLaunchKernel(kernel("probe_place"), 2, 3, 2, 5, 3, 4, 0, stream, params, NULL));
    download(y, dy, sizeof y);
    for (int b = 0; b < BLOCKS; b++)
        for (int t = 0; t < THREADS; t++)
            ck_assert_float_eq(y[b * THREADS + t], (float)(b * 1000 + t));
}
END_TEST

static int reversed(void)
{
    const char *order = getenv("WISP_SOFTGPU_ORDER");
    return order != NULL && strstr(order, "reverse") != NULL;
}

/* A thread reads what another has written before the barrier; without it, something else. */
START_TEST(barriers_hold_threads_back)
{
    float x[64], y[64], *dx = device(sizeof x), *dy = device(sizeof y);
    count_up(x, 64);
    upload(dx, x, sizeof x);
    OK(launch("probe_reverse", (probe_args){dx, dy, 64, 0}, 1, 64, sizeof x));
    download(y, dy, sizeof y);
    for (int i = 0; i < 64; i++)
        ck_assert_float_eq(y[i], (float)(63 - i));
    OK(launch("probe_reverse", (probe_args){dx, dy, 64, 1}, 1, 64, sizeof x));
    download(y, dy, sizeof y);
    ck_assert(isnan(y[reversed() ? 63 : 0]));
}
END_TEST

START_TEST(threads_that_part_are_reported)
{
    const char *text = NULL;
    float *dy = device(4096);
    ck_assert_int_eq(run("probe_part", (probe_args){NULL, dy, 0, _i}, 2, 64, 0),
                     CUDA_ERROR_LAUNCH_FAILED);
    OK(cuGetErrorString(CUDA_ERROR_LAUNCH_FAILED, &text));
    ck_assert_ptr_nonnull(strstr(text, "probe_part"));
    ck_assert_int_eq(cuStreamSynchronize(stream), CUDA_ERROR_LAUNCH_FAILED);
    stop();
    start(); /* works again */
    float x[64], y[64], *dx = device(sizeof x);
    dy = device(sizeof y);
    count_up(x, 64);
    upload(dx, x, sizeof x);
    OK(launch("probe_reverse", (probe_args){dx, dy, 64, 0}, 1, 64, sizeof x));
    download(y, dy, sizeof y);
    ck_assert_float_eq(y[0], 63.0f);
}
END_TEST

START_TEST(new_memory_holds_no_numbers)
{
    static const size_t sizes[] = {4, 1000, 100000, 5000000, 300000000};
    float *dy = device(8), y[2];
    for (int s = 0; s < 5; s++) {
        float last;
        const char *at = device(sizes[s]);
        ck_assert_int_eq((uintptr_t)at % 256, 0);
        download(&last, at + sizes[s] - sizeof last, sizeof last);
        ck_assert(isnan(last));
    }
    OK(launch("probe_unset", (probe_args){NULL, dy, 0, 1}, 1, 1, 16));
    OK(launch("probe_unset", (probe_args){NULL, dy, 0, 0}, 1, 1, 16));
    download(y, dy, sizeof y);
    ck_assert(isnan(y[0]) && isnan(y[1]));
}
END_TEST

START_TEST(host_reads_device_memory)
{
    volatile float *at = device(64);
    ck_assert(at[0] != 0.0f);
}
END_TEST

START_TEST(host_writes_device_memory_after_a_launch)
{
    float *y = device(64);
    OK(launch("probe_add_one", (probe_args){y, y, 1, 0}, 1, 1, 0));
    *(volatile float *)y = 1.0f;
}
END_TEST

START_TEST(kernel_runs_over_the_end)
{
    run("probe_overrun", (probe_args){NULL, device(1024), 1024, 0}, 1, 1, 0);
}
END_TEST

START_TEST(kernel_reads_before_the_start)
{
    run("probe_overrun", (probe_args){NULL, device(1024), -8192, 0}, 1, 1, 0);
}
END_TEST

START_TEST(kernel_uses_freed_memory)
{
    float *y = device(1024);
    OK(cuMemFree(address(y)));
    device(1024);
    run("probe_overrun", (probe_args){NULL, y, 0, 0}, 1, 1, 0);
}
END_TEST

START_TEST(small_overruns_show_when_memory_is_freed)
{
    float *y = device(100);
    OK(launch("probe_overrun", (probe_args){NULL, y, 99, 0}, 1, 1, 0));
    OK(cuMemFree(address(y)));
    y = device(100);
    OK(launch("probe_overrun", (probe_args){NULL, y, 100, 0}, 1, 1, 0));
    ck_assert_int_eq(cuMemFree(address(y)), CUDA_ERROR_ILLEGAL_ADDRESS);
}
END_TEST

START_TEST(kernel_is_given_host_memory)
{
    float x = 1.0f, *y = device(4);
    const char *text = NULL;
    void *pinned;
    OK(cuMemHostAlloc(&pinned, 4, 0));
    OK(run("probe_add_one", (probe_args){pinned, y, 1, 0}, 1, 1, 0));
    ck_assert_int_eq(run("probe_add_one", (probe_args){&x, y, 1, 0}, 1, 1, 0),
                     CUDA_ERROR_ILLEGAL_ADDRESS);
    OK(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    ck_assert_ptr_nonnull(strstr(text, "probe_add_one: byte 0"));
}
END_TEST

START_TEST(kernel_reads_a_vector_askew)
{
    float *x = device(64);
    OK(launch("probe_vector", (probe_args){x, device(64), 0, 4}, 1, 1, 0));
    run("probe_vector", (probe_args){x, device(64), 0, 1}, 1, 1, 0);
}
END_TEST

START_TEST(copies_are_checked)
{
    char host[64] = {0};
    char *a = device(64), *b = device(64);
    const CUdeviceptr at = address(a);
    OK(cuMemcpyHtoDAsync(at, host, 64, stream));
    OK(cuMemcpyDtoDAsync(address(b), at + 32, 32, stream));
    ck_assert_int_eq(cuMemcpyHtoDAsync(at + 1, host, 64, stream), CUDA_ERROR_INVALID_VALUE);
    ck_assert_int_eq(cuMemcpyDtoHAsync(host, at - 1, 2, stream), CUDA_ERROR_INVALID_VALUE);
    ck_assert_int_eq(cuMemcpyDtoDAsync(at, address(host), 4, stream), CUDA_ERROR_INVALID_VALUE);
    ck_assert_int_eq(cuMemcpyHtoDAsync(at, a, 4, stream), CUDA_ERROR_INVALID_VALUE);
    ck_assert_int_eq(cuMemsetD8Async(at, 0, 65, stream), CUDA_ERROR_INVALID_VALUE);
    ck_assert_int_eq(cuMemsetD32Async(at, 0, 17, stream), CUDA_ERROR_INVALID_VALUE);
    ck_assert_int_eq(cuMemsetD32Async(at + 2, 0, 1, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemsetD32Async(at, 0x01020304, 16, stream));
    download(host, a, 64);
    ck_assert_int_eq(host[63], 1);
    OK(cuMemFree(at));
    ck_assert_int_eq(cuMemFree(at), CUDA_ERROR_INVALID_VALUE);
    ck_assert_int_eq(cuMemsetD8Async(at, 0, 1, stream), CUDA_ERROR_INVALID_VALUE);
    ck_assert_int_eq(softgpu_owns(b, 64), 1);
    ck_assert_int_eq(softgpu_owns(b, 65) + softgpu_owns(a, 0) + softgpu_owns(host, 1), 0);
}
END_TEST

START_TEST(launches_are_checked)
{
    static const struct {
        unsigned int grid[3], block[3], shared;
    } bad[] = {
        {{0, 1, 1}, {1, 1, 1}, 0},     {{1, 1, 1}, {0, 1, 1}, 0},   {{1, 65536, 1}, {1, 1, 1}, 0},
        {{1, 1, 1}, {1025, 1, 1}, 0},  {{1, 1, 1}, {32, 33, 1}, 0}, {{1, 1, 1}, {1, 1, 65}, 0},
        {{1, 1, 1}, {1, 1, 1}, 50000},
    };
    probe_args args = {NULL, device(64), 0, 0};
    void *params[] = {&args};
    const CUfunction f = kernel("probe_add_one");
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq(cuLaunchKernel(f, bad[i].grid[0], bad[i].grid[1], bad[i].grid[2],
                                        bad[i].block[0], bad[i].block[1], bad[i].block[2],
                                        bad[i].shared, stream, params, NULL),
                         CUDA_ERROR_INVALID_VALUE);
    OK(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 232448));
    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 232448, stream, params, NULL));
    ck_assert_int_eq(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 232449),
                     CUDA_ERROR_INVALID_VALUE);
    CUfunction none;
    ck_assert_int_eq(cuModuleGetFunction(&none, module, "probe_none"), CUDA_ERROR_NOT_FOUND);
    ck_assert_int_eq(cuModuleLoadData(&module, "text"), CUDA_ERROR_INVALID_IMAGE);
}
END_TEST

START_TEST(memory_runs_out)
{
    CUdeviceptr at[5];
    size_t free_bytes, total;
    OK(cuMemGetInfo(&free_bytes, &total));
    ck_assert(free_bytes == total);
    for (int i = 0; i < 4; i++)
        OK(cuMemAlloc(&at[i], total / 4));
    ck_assert_int_eq(cuMemAlloc(&at[4], 1), CUDA_ERROR_OUT_OF_MEMORY);
    for (int i = 0; i < 200; i++) { /* further than the address space goes */
        OK(cuMemFree(at[i % 4]));
        OK(cuMemAlloc(&at[i % 4], total / 4));
    }
    ck_assert_int_eq(cuMemAlloc(&at[4], 0), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

/* --- graphs --- */

static CUgraphExec exec_of(CUgraph graph)
{
    CUgraphExec exec = NULL;
    OK(cuGraphInstantiate(&exec, graph, 0));
    OK(cuGraphDestroy(graph));
    return exec;
}

START_TEST(a_capture_is_kept_and_replayed)
{
    float x = 1.0f, *d = device(sizeof x);
    CUgraph graph;
    CUstreamCaptureStatus status;
    upload(d, &x, sizeof x);
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    OK(cuStreamIsCapturing(stream, &status));
    ck_assert_int_eq(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    for (int i = 0; i < 3; i++)
        OK(launch("probe_add_one", (probe_args){d, d, 1, 0}, 1, 32, 0));
    OK(cuStreamEndCapture(stream, &graph));
    const CUgraphExec exec = exec_of(graph);
    download(&x, d, sizeof x);
    ck_assert_float_eq(x, 1.0f);
    for (int i = 0; i < 2; i++)
        OK(cuGraphLaunch(exec, stream));
    download(&x, d, sizeof x);
    ck_assert_float_eq(x, 7.0f);
    OK(cuGraphExecDestroy(exec));
    ck_assert_int_eq(cuGraphLaunch(exec, stream), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

enum { N_FORBIDDEN = 8 };

static CUresult forbidden(int which, CUevent event)
{
    CUdeviceptr at;
    void *host;
    switch (which) {
    case 0:
        return cuStreamSynchronize(stream);
    case 1:
        return cuCtxSynchronize();
    case 2:
        return cuMemAlloc(&at, 16);
    case 3:
        return cuMemHostAlloc(&host, 16, 0);
    case 4:
        return cuStreamQuery(stream);
    case 5:
        return cuModuleLoadData(&module, "softgpu:softgpu_probe.so");
    case 6:
        return cuMemFree(0);
    default:
        return cuEventQuery(event);
    }
}

START_TEST(captures_forbid_what_waits)
{
    CUgraph graph;
    CUstreamCaptureStatus status;
    CUevent event;
    OK(cuEventCreate(&event, 0));
    OK(cuEventRecord(event, stream));
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    ck_assert_int_eq(forbidden(_i, event), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    OK(cuStreamIsCapturing(stream, &status));
    ck_assert_int_eq(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    ck_assert_int_eq(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    ck_assert_ptr_null(graph);
    OK(cuStreamSynchronize(stream));
}
END_TEST

START_TEST(captures_take_pinned_memory_only)
{
    float x = 5.0f, *d = device(sizeof x);
    void *pinned;
    CUgraph graph;
    OK(cuMemHostAlloc(&pinned, sizeof x, 0));
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuMemcpyHtoDAsync(address(d), pinned, sizeof x, stream));
    OK(cuStreamEndCapture(stream, &graph));
    const CUgraphExec exec = exec_of(graph);
    memcpy(pinned, &x, sizeof x);
    OK(cuGraphLaunch(exec, stream));
    x = 0.0f;
    download(&x, d, sizeof x);
    ck_assert_float_eq(x, 5.0f);
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    ck_assert_int_eq(cuMemcpyHtoDAsync(address(d), &x, sizeof x, stream),
                     CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    ck_assert_int_eq(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}
END_TEST

/* A capture spreads to a stream that waits for it, and must have waited for that in turn. */
static CUresult fork_and_join(CUstream side, CUevent event, int join, float *d, CUgraph *graph)
{
    CUstream first = stream;
    OK(cuStreamBeginCapture(first, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    OK(cuEventRecord(event, first));
    OK(cuStreamWaitEvent(side, event, 0));
    stream = side;
    OK(launch("probe_add_one", (probe_args){d, d, 1, 0}, 1, 1, 0));
    stream = first;
    if (join) {
        OK(cuEventRecord(event, side));
        OK(cuStreamWaitEvent(first, event, 0));
    }
    return cuStreamEndCapture(first, graph);
}

START_TEST(captures_fork_and_join)
{
    float *d = device(4), x = 0.0f;
    CUstream side;
    CUevent event;
    CUgraph graph;
    upload(d, &x, sizeof x);
    OK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    ck_assert_int_eq(fork_and_join(side, event, 0, d, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
    ck_assert_ptr_null(graph);
    OK(fork_and_join(side, event, 1, d, &graph));
    OK(cuGraphLaunch(exec_of(graph), stream));
    download(&x, d, sizeof x);
    ck_assert_float_eq(x, 1.0f);
    ck_assert_int_eq(cuEventSynchronize(event), CUDA_ERROR_CAPTURED_EVENT);
}
END_TEST

/* --- work as late as it can be --- */

static void start_late(void)
{
    setenv("WISP_SOFTGPU_ORDER", "late", 1);
    start();
}

START_TEST(late_copies_are_waited_for)
{
    float x = 1.0f, *d = device(sizeof x);
    void *memory;
    OK(cuMemHostAlloc(&memory, sizeof x, 0));
    volatile float *pinned = memory;
    upload(d, &x, sizeof x);
    OK(launch("probe_add_one", (probe_args){d, d, 1, 0}, 1, 1, 0));
    OK(cuMemcpyDtoHAsync(memory, address(d), sizeof x, stream));
    ck_assert(isnan(*pinned));
    OK(cuStreamSynchronize(stream));
    ck_assert_float_eq(*pinned, 2.0f);
    OK(cuMemcpyHtoDAsync(address(d), memory, sizeof x, stream));
    *pinned = 7.0f; /* too early: the copy takes this */
    download(&x, d, sizeof x);
    ck_assert_float_eq(x, 7.0f);
}
END_TEST

/* Memory is freed when the stream comes to it; another stream that has not been told is late. */
START_TEST(late_memory_is_freed_in_order)
{
    CUstream other;
    CUdeviceptr d[2];
    void *pinned;
    float x = 3.0f;
    OK(cuMemHostAlloc(&pinned, sizeof x, 0));
    OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 2; i++) {
        OK(cuMemAllocAsync(&d[i], sizeof x, stream));
        OK(cuMemcpyHtoDAsync(d[i], &x, sizeof x, stream));
        OK(cuMemcpyDtoHAsync(pinned, d[i], sizeof x, i == 0 ? stream : other));
        OK(cuMemFreeAsync(d[i], stream));
        ck_assert_int_eq(cuMemcpyDtoHAsync(pinned, d[i], 4, stream), CUDA_ERROR_INVALID_VALUE);
        ck_assert_int_eq(cuMemFreeAsync(d[i], stream), CUDA_ERROR_INVALID_VALUE);
        OK(cuStreamSynchronize(stream));
    }
    memcpy(&x, pinned, sizeof x);
    ck_assert_float_eq(x, 3.0f);
    ck_assert_int_eq(cuStreamSynchronize(other), CUDA_ERROR_ILLEGAL_ADDRESS);
}
END_TEST

START_TEST(late_streams_wait_for_what_they_were_told_to)
{
    float x = 1.0f, *d = device(sizeof x);
    CUstream first = stream, second;
    CUevent event;
    OK(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&event, 0));
    upload(d, &x, sizeof x);
    OK(launch("probe_add_one", (probe_args){d, d, 1, 0}, 1, 1, 0));
    OK(cuEventRecord(event, first));
    OK(launch("probe_add_one", (probe_args){d, d, 1, 0}, 1, 1, 0));
    stream = second;
    download(&x, d, sizeof x);
    ck_assert_float_eq(x, 1.0f);
    OK(cuStreamWaitEvent(second, event, 0));
    download(&x, d, sizeof x);
    ck_assert_float_eq(x, 2.0f);
    OK(cuEventRecord(event, first));
    ck_assert_int_eq(cuEventQuery(event), CUDA_ERROR_NOT_READY);
    OK(cuEventQuery(event));
    download(&x, d, sizeof x);
    ck_assert_float_eq(x, 3.0f);
}
END_TEST

/* --- the trace --- */

static const char trace_path[] = WISP_BUILD_DIR "/tests/softgpu/trace.txt";

static void start_traced(void)
{
    remove(trace_path);
    setenv("WISP_SOFTGPU_TRACE", trace_path, 1);
    start();
}

START_TEST(calls_are_traced)
{
    static const char *const expected[] = {
        "cuStreamBeginCapture stream=1",
        "cuModuleGetFunction name=probe_add_one",
        "cuLaunchKernel stream=1 kernel=probe_add_one grid=1,1,1 block=32,1,1 shared=0",
        "cuStreamEndCapture stream=1",
        "cuGraphInstantiate nodes=1",
        "cuGraphDestroy",
        "cuMemcpyHtoDAsync stream=1 bytes=4",
        "cuGraphLaunch stream=1 nodes=1",
        "cuMemcpyDtoHAsync stream=1 bytes=4",
        "cuStreamSynchronize stream=1",
        "cuMemFree",
        "  failed 1",
    };
    float x = 1.0f, *d = device(sizeof x);
    CUgraph graph;
    char line[256] = "";
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(launch("probe_add_one", (probe_args){d, d, 1, 0}, 1, 32, 0));
    OK(cuStreamEndCapture(stream, &graph));
    const CUgraphExec exec = exec_of(graph);
    upload(d, &x, sizeof x);
    OK(cuGraphLaunch(exec, stream));
    download(&x, d, sizeof x);
    ck_assert_int_eq(cuMemFree(address(d + 1)), CUDA_ERROR_INVALID_VALUE);
    FILE *trace = fopen(trace_path, "r");
    ck_assert_ptr_nonnull(trace);
    while (strncmp(line, "cuMemAlloc bytes=4", 18) != 0)
        ck_assert_ptr_nonnull(fgets(line, sizeof line, trace));
    for (int i = 0; i < 12; i++) {
        ck_assert_ptr_nonnull(fgets(line, sizeof line, trace));
        line[strcspn(line, "\n")] = '\0';
        ck_assert_str_eq(line, expected[i]);
    }
    fclose(trace);
}
END_TEST

/* A sanitizer makes an exit of a crash. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define add_crash(cases, test, number) tcase_add_exit_test(cases, test, 1)
#else
#define add_crash(cases, test, number) tcase_add_test_raise_signal(cases, test, number)
#endif

/* One compiler checks the copy of a struct for alignment, the other uses an instruction that does.
 */
#ifdef __clang__
#define ASKEW SIGSEGV
#else
#define ASKEW SIGILL
#endif

int main(void)
{
    Suite *suite = suite_create("softgpu");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, start, stop);
    tcase_add_test(all, sums_of_blocks);
    tcase_add_test(all, lanes_see_each_other);
    tcase_add_test(all, threads_know_their_place);
    tcase_add_test(all, barriers_hold_threads_back);
    tcase_add_loop_test(all, threads_that_part_are_reported, 0, 5);
    tcase_add_test(all, new_memory_holds_no_numbers);
    add_crash(all, host_reads_device_memory, SIGSEGV);
    add_crash(all, host_writes_device_memory_after_a_launch, SIGSEGV);
    add_crash(all, kernel_runs_over_the_end, SIGSEGV);
    add_crash(all, kernel_reads_before_the_start, SIGSEGV);
    add_crash(all, kernel_uses_freed_memory, SIGSEGV);
    tcase_add_test(all, small_overruns_show_when_memory_is_freed);
    tcase_add_test(all, kernel_is_given_host_memory);
#if !defined(SANITIZED) || !defined(__clang__) /* together they look at neither */
    add_crash(all, kernel_reads_a_vector_askew, ASKEW);
#else
    (void)kernel_reads_a_vector_askew;
#endif
    tcase_add_test(all, copies_are_checked);
    tcase_add_test(all, launches_are_checked);
    tcase_add_test(all, memory_runs_out);
    tcase_add_test(all, a_capture_is_kept_and_replayed);
    tcase_add_loop_test(all, captures_forbid_what_waits, 0, N_FORBIDDEN);
    tcase_add_test(all, captures_take_pinned_memory_only);
    tcase_add_test(all, captures_fork_and_join);
    TCase *late = tcase_create("late");
    tcase_add_checked_fixture(late, start_late, stop);
    tcase_add_test(late, late_copies_are_waited_for);
    tcase_add_test(late, late_memory_is_freed_in_order);
    tcase_add_test(late, late_streams_wait_for_what_they_were_told_to);
    TCase *traced = tcase_create("traced");
    tcase_add_checked_fixture(traced, start_traced, stop);
    tcase_add_test(traced, calls_are_traced);
    suite_add_tcase(suite, all);
    suite_add_tcase(suite, late);
    suite_add_tcase(suite, traced);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
