/* memory.h - every heap block of the host comes from here.
 *
 * One door, so that memory is accounted for and so that the failure of each single allocation can
 * be rehearsed by tests. All functions are [any]. */
#ifndef WISPI_BASE_MEMORY_H
#define WISPI_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `bytes` zeroed bytes, 64-byte aligned; NULL when there are none. Zero bytes give a block that
 * may be freed but not used. */
void *wispi_alloc(size_t bytes);

/* As wispi_alloc for `count` things of `size` bytes each; NULL too when the product overflows. */
void *wispi_alloc_array(size_t count, size_t size);

/* Accepts NULL. */
void wispi_free(void *memory);

/* A copy that the caller frees with wispi_free; NULL for NULL or when there is no memory. */
char *wispi_copy_text(const char *text);

/* Moves a block to a larger (or smaller) one and zeroes what is new. On failure NULL, and `old`
 * stays as it was. `old` may be NULL with `old_bytes` 0. */
void *wispi_grow(void *old, size_t old_bytes, size_t new_bytes);

/* A struct that begins with its size, a uint32_t, as another side built it: `bytes` of it as this
 * side knows it, where what `given` does not have reads as zero, and all of it for NULL. */
void wispi_read_sized(void *own, uint32_t bytes, const void *given);

/* Tests only: lets the nth allocation from now fail (1 is the next one), once; -1 or 0: none. */
void wispi_fail_allocation(int64_t nth);

/* Allocations asked for since the process began, including those that failed. */
int64_t wispi_allocation_count(void);

/* Bytes and blocks now in use, and the highest number of bytes at once since the last reset. */
int64_t wispi_live_bytes(void);
int64_t wispi_live_blocks(void);
int64_t wispi_peak_bytes(void);
void wispi_reset_peak(void);

#ifdef __cplusplus
}
#endif
#endif
