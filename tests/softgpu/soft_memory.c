/* soft_memory.c - device memory: one large piece of address space in which nothing is accessible
 * but the allocations, and these only while the device is at work. An allocation ends where a page
 * ends and is followed by a page that is never accessible; addresses are not used again before all
 * others have been. New memory holds NaNs. */
#include "soft_driver.h"
#include "softgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    HUGE_PAGE = 2 << 20,
    ALIGNMENT = 256,
    GAP = 16 * PAGE,
    SPACES = 16,
    UNSET = 0xff,
    SECONDS_FREE = 2
};

typedef struct allocation {
    uintptr_t at;    /* what the caller got */
    size_t bytes;    /* and asked for */
    uintptr_t first; /* the pages */
    size_t span;
    int leaving; /* a stream will free it */
} allocation;

static const size_t MOST_BYTES = (size_t)1 << 40;
static uintptr_t space, cursor;
static size_t space_bytes, card_bytes, used_bytes;
static allocation *live; /* by address */
static int n_live, room_live;
static int n_open, accessible, always_close;
static double start_time, seconds_protecting;

static uintptr_t round_up(uintptr_t value, uintptr_t to)
{
    return (value + to - 1) & ~(to - 1);
}

static void *pointer(uintptr_t at)
{
    return (void *)at;
}

size_t soft_memory_total(void)
{
    return card_bytes;
}

/* How many allocations begin at or before the address. */
static int rank(uintptr_t at)
{
    int low = 0, high = n_live;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (live[middle].first <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static allocation *find(uintptr_t at, size_t bytes)
{
    const int i = rank(at) - 1;
    if (i < 0 || at < live[i].at || at - live[i].at > live[i].bytes ||
        bytes > live[i].bytes - (at - live[i].at))
        return NULL;
    return &live[i];
}

int soft_memory_holds(CUdeviceptr at, size_t bytes)
{
    return find((uintptr_t)at, bytes) != NULL;
}

int soft_memory_given(CUdeviceptr at, size_t bytes)
{
    const allocation *a = find((uintptr_t)at, bytes);
    return a != NULL && !a->leaving;
}

int softgpu_owns(const void *memory, size_t bytes)
{
    soft_enter_early();
    const int owned = find((uintptr_t)memory, bytes > 0 ? bytes : 1) != NULL;
    soft_leave(CUDA_SUCCESS);
    return owned;
}

int soft_memory_is_device(const void *at)
{
    return space != 0 && (uintptr_t)at >= space && (uintptr_t)at - space < space_bytes;
}

void soft_memory_describe(const void *at, char *text, size_t n)
{
    const int i = rank((uintptr_t)at) - 1;
    if (i < 0) {
        snprintf(text, n, "before every allocation");
        return;
    }
    const allocation *a = &live[i];
    const long long offset = (long long)((uintptr_t)at - a->at);
    snprintf(text, n, "byte %lld of an allocation of %zu bytes at %p%s", offset, a->bytes,
             pointer(a->at), offset >= (long long)a->bytes ? " (beyond its end)" : "");
}

/* --- open and closed --- */

static void protect(const allocation *a, int protection)
{
    if (mprotect(pointer(a->first), a->span, protection) != 0)
        perror("softgpu: mprotect");
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void protect_all(int protection)
{
    const double start = now();
    for (int i = 0; i < n_live; i++)
        protect(&live[i], protection);
    accessible = protection != PROT_NONE;
    seconds_protecting += now() - start;
}

void soft_memory_open(void)
{
    if (n_open++ == 0 && !accessible)
        protect_all(PROT_READ | PROT_WRITE);
}

/* Much memory takes long to close and open again. A run that has spent seconds on it leaves memory
 * open now and then, so that it spends a quarter of its time so at most. */
static int worth_closing(void)
{
    if (accessible && seconds_protecting < SECONDS_FREE)
        return 1;
    return accessible && (always_close || seconds_protecting < 0.25 * (now() - start_time));
}

void soft_memory_close(void)
{
    if (--n_open == 0 && worth_closing())
        protect_all(PROT_NONE);
}

/* --- allocating --- */

/* Much address space, so that it lasts; less of it where a process may not have as much. */
static void *reserve(void)
{
    void *at = MAP_FAILED;
    for (size_t times = SPACES; at == MAP_FAILED && times > 1; times /= 2) {
        space_bytes = card_bytes * times + HUGE_PAGE;
        at = mmap(NULL, space_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    return at;
}

CUresult soft_memory_reserve(void)
{
    if (space != 0)
        return CUDA_SUCCESS;
    card_bytes = (size_t)soft_setting("WISP_SOFTGPU_MEMORY", (int64_t)4 << 30);
    if (card_bytes > MOST_BYTES)
        card_bytes = MOST_BYTES;
    void *at = reserve();
    if (at == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    space = cursor = (uintptr_t)at;
    always_close = soft_setting("WISP_SOFTGPU_STRICT", 0) != 0;
    start_time = now();
    return CUDA_SUCCESS;
}

/* The first place from `from` on where the pages fit with a gap on either side; 0 if none. */
static uintptr_t find_place(uintptr_t from, size_t span)
{
    const uintptr_t alignment = span >= HUGE_PAGE ? HUGE_PAGE : PAGE;
    uintptr_t at = round_up(from + GAP, alignment);
    for (int i = rank(from); i <= n_live; i++) {
        if (i > 0 && live[i - 1].first + live[i - 1].span + GAP > at)
            at = round_up(live[i - 1].first + live[i - 1].span + GAP, alignment);
        const uintptr_t end = i < n_live ? live[i].first : space + space_bytes;
        if (at + span + GAP <= end)
            return at;
    }
    return 0;
}

static int make_room(void)
{
    if (n_live < room_live)
        return 1;
    const int room = room_live ? 2 * room_live : 64;
    allocation *more = realloc(live, (size_t)room * sizeof *more);
    if (more == NULL)
        return 0;
    live = more;
    room_live = room;
    return 1;
}

/* Pages that hold NaNs and cost memory only where they are written: copies of one file. */
static int map_unset_file(uintptr_t first, size_t span)
{
    static int file = -1;
    const size_t bytes = 2 * HUGE_PAGE;
    if (file < 0) {
        file = memfd_create("softgpu-unset", MFD_CLOEXEC);
        void *at = MAP_FAILED;
        if (file >= 0 && ftruncate(file, (off_t)bytes) == 0)
            at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (at == MAP_FAILED)
            return 0;
        memset(at, UNSET, bytes);
        munmap(at, bytes);
    }
    for (size_t done = 0; done < span; done += bytes) {
        const size_t n = span - done < bytes ? span - done : bytes;
        if (mmap(pointer(first + done), n, accessible ? PROT_READ | PROT_WRITE : PROT_NONE,
                 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0) == MAP_FAILED)
            return 0;
    }
    return 1;
}

/* Large pages keep opening and closing cheap; very large allocations may stay mostly unused. */
static int fill(const allocation *a)
{
    if (a->span > (size_t)64 * HUGE_PAGE)
        return map_unset_file(a->first, a->span);
    if (a->span >= HUGE_PAGE)
        madvise(pointer(a->first), a->span, MADV_HUGEPAGE);
    if (mprotect(pointer(a->first), a->span, PROT_READ | PROT_WRITE) != 0)
        return 0;
    memset(pointer(a->first), UNSET, a->span);
    return mprotect(pointer(a->first), a->span, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) ==
           0;
}

static void drop_pages(const allocation *a)
{
    if (mmap(pointer(a->first), a->span, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        perror("softgpu: mmap");
}

CUresult soft_memory_allocate(size_t bytes, CUdeviceptr *memory)
{
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes > card_bytes - used_bytes || !make_room())
        return CUDA_ERROR_OUT_OF_MEMORY;
    const size_t body = round_up(bytes, ALIGNMENT), span = round_up(body, PAGE);
    uintptr_t first = find_place(cursor, span);
    if (first == 0)
        first = find_place(space, span);
    if (first == 0 || span > card_bytes - used_bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    const allocation a = {first + span - body, bytes, first, span, 0};
    if (!fill(&a)) {
        drop_pages(&a);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    const int i = rank(first);
    memmove(&live[i + 1], &live[i], (size_t)(n_live - i) * sizeof *live);
    live[i] = a;
    n_live++;
    used_bytes += span;
    cursor = first + span;
    *memory = a.at;
    return CUDA_SUCCESS;
}

/* --- freeing --- */

static int still_unset(uintptr_t from, uintptr_t to)
{
    for (const unsigned char *byte = pointer(from); byte < (unsigned char *)pointer(to); byte++)
        if (*byte != UNSET)
            return 0;
    return 1;
}

/* What lies between the allocation and the ends of its pages can be written, but must not be. */
static CUresult check_edges(const allocation *a)
{
    protect(a, PROT_READ);
    const int before = still_unset(a->first, a->at);
    const int after = still_unset(a->at + a->bytes, a->first + a->span);
    protect(a, PROT_NONE);
    if (before && after)
        return CUDA_SUCCESS;
    return soft_fail(CUDA_ERROR_ILLEGAL_ADDRESS,
                     "something was written %s an allocation of %zu bytes at %p",
                     before ? "just after" : "just before", a->bytes, pointer(a->at));
}

static CUresult release(int i)
{
    const CUresult result = check_edges(&live[i]);
    drop_pages(&live[i]);
    used_bytes -= live[i].span;
    n_live--;
    memmove(&live[i], &live[i + 1], (size_t)(n_live - i) * sizeof *live);
    return result;
}

void soft_memory_release_all(void)
{
    while (n_live > 0)
        release(n_live - 1);
}

CUresult cuMemAlloc_v2(CUdeviceptr *memory, size_t bytes)
{
    CUresult result = soft_enter();
    soft_trace("cuMemAlloc bytes=%zu", bytes);
    if (result == CUDA_SUCCESS)
        result = memory == NULL ? CUDA_ERROR_INVALID_VALUE : soft_forbid_in_capture();
    if (result == CUDA_SUCCESS)
        result = soft_memory_allocate(bytes, memory);
    return soft_leave(result);
}

CUresult soft_memory_leave(CUdeviceptr memory)
{
    allocation *a = find((uintptr_t)memory, 0);
    if (a == NULL || a->at != memory || a->leaving)
        return CUDA_ERROR_INVALID_VALUE;
    a->leaving = 1;
    return CUDA_SUCCESS;
}

CUresult soft_memory_free(CUdeviceptr memory)
{
    const int i = rank((uintptr_t)memory) - 1;
    return i >= 0 && live[i].at == memory ? release(i) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult free_device(CUdeviceptr memory)
{
    CUresult result = soft_streams_run_all();
    if (result == CUDA_SUCCESS)
        result = soft_memory_leave(memory);
    return result == CUDA_SUCCESS ? soft_memory_free(memory) : result;
}

CUresult cuMemFree_v2(CUdeviceptr memory)
{
    CUresult result = soft_enter();
    soft_trace("cuMemFree");
    if (result == CUDA_SUCCESS)
        result = soft_forbid_in_capture();
    if (result == CUDA_SUCCESS)
        result = free_device(memory);
    return soft_leave(result);
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
    CUresult result = soft_enter();
    if (result == CUDA_SUCCESS && (free_bytes == NULL || total_bytes == NULL))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        *free_bytes = card_bytes - used_bytes;
        *total_bytes = card_bytes;
    }
    return soft_leave(result);
}
