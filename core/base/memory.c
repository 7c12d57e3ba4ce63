/* memory.c - aligned zeroed blocks with accounting and rehearsed failure. */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ALIGNMENT = 64,
    LAZY_BYTES = 1 << 20, /* from here on, pages fresh from the system need no clearing */
    HUGE_PAGE = 1 << 21   /* blocks of several such pages ask the system for them */
};

/* Stands right before the block, in a cache line of its own, so that the block stays aligned. */
struct header {
    void *raw;
    size_t bytes;
};

static _Atomic int64_t countdown = -1;
static _Atomic int64_t asked, live_bytes, live_blocks, peak_bytes;

static int fails_now(void)
{
    atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed);
    if (atomic_load_explicit(&countdown, memory_order_relaxed) <= 0)
        return 0;
    return atomic_fetch_sub(&countdown, 1) == 1;
}

static void account(size_t bytes)
{
    int64_t now = atomic_fetch_add(&live_bytes, (int64_t)bytes) + (int64_t)bytes;
    atomic_fetch_add(&live_blocks, 1);
    int64_t peak = atomic_load(&peak_bytes);
    while (now > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, now))
        ;
}

/* Large pages spare the processor most look-ups of addresses. A wish, which may be declined. */
static void ask_for_large_pages(char *raw, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const size_t skip = (HUGE_PAGE - (uintptr_t)raw % HUGE_PAGE) % HUGE_PAGE;
    if (bytes >= 2 * (size_t)HUGE_PAGE)
        (void)madvise(raw + skip, (bytes - skip) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#else
    (void)raw, (void)bytes;
#endif
}

/* Small blocks end exactly where the system's block ends, so that an address sanitizer sees the
 * first byte of an overrun. Large ones come from calloc, which leaves untouched pages unmapped. */
static char *take(size_t bytes, void **raw)
{
    if (bytes < LAZY_BYTES) {
        if (posix_memalign(raw, ALIGNMENT, ALIGNMENT + bytes) != 0)
            return NULL;
        memset(*raw, 0, ALIGNMENT + bytes);
        return (char *)*raw + ALIGNMENT;
    }
    *raw = calloc(1, bytes + (size_t)2 * ALIGNMENT);
    if (!*raw)
        return NULL;
    ask_for_large_pages(*raw, bytes + (size_t)2 * ALIGNMENT);
    size_t past = (uintptr_t)*raw % ALIGNMENT;
    return (char *)*raw + 2 * ALIGNMENT - past;
}

void *wispi_alloc(size_t bytes)
{
    void *raw = NULL;
    if (fails_now() || bytes > (size_t)PTRDIFF_MAX - 2 * ALIGNMENT)
        return NULL;
    char *block = take(bytes, &raw);
    if (!block)
        return NULL;
    struct header header = {raw, bytes};
    memcpy(block - sizeof header, &header, sizeof header);
    account(bytes);
    return block;
}

void *wispi_alloc_array(size_t count, size_t size)
{
    if (size && count > (size_t)PTRDIFF_MAX / size)
        return NULL;
    return wispi_alloc(count * size);
}

void wispi_free(void *memory)
{
    if (!memory)
        return;
    struct header header;
    memcpy(&header, (char *)memory - sizeof header, sizeof header);
    atomic_fetch_sub(&live_bytes, (int64_t)header.bytes);
    atomic_fetch_sub(&live_blocks, 1);
    free(header.raw);
}

char *wispi_copy_text(const char *text)
{
    if (!text)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = wispi_alloc(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

void wispi_read_sized(void *own, uint32_t bytes, const void *given)
{
    uint32_t there = 0;
    if (given)
        memcpy(&there, given, sizeof there);
    memset(own, 0, bytes);
    if (there > 0)
        memcpy(own, given, there < bytes ? there : bytes);
    memcpy(own, &bytes, sizeof bytes);
}

void *wispi_grow(void *old, size_t old_bytes, size_t new_bytes)
{
    void *block = wispi_alloc(new_bytes);
    if (!block)
        return NULL;
    if (old)
        memcpy(block, old, old_bytes < new_bytes ? old_bytes : new_bytes);
    wispi_free(old);
    return block;
}

void wispi_fail_allocation(int64_t nth)
{
    atomic_store(&countdown, nth);
}

int64_t wispi_allocation_count(void)
{
    return atomic_load(&asked);
}

int64_t wispi_live_bytes(void)
{
    return atomic_load(&live_bytes);
}

int64_t wispi_live_blocks(void)
{
    return atomic_load(&live_blocks);
}

int64_t wispi_peak_bytes(void)
{
    return atomic_load(&peak_bytes);
}

void wispi_reset_peak(void)
{
    atomic_store(&peak_bytes, atomic_load(&live_bytes));
}
