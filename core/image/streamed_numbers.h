/* streamed_numbers.h - when numbers are written past the caches; for number_*.c only. */
#ifndef WISPI_IMAGE_STREAMED_NUMBERS_H
#define WISPI_IMAGE_STREAMED_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/* From so many bytes on it pays: nobody reads them for a while, and a cache line that is written
 * whole need not be fetched before. */
enum { STREAMED_BYTES = 1 << 16 };

static inline int numbers_are_streamed(const void *out, size_t n, size_t value_bytes)
{
    return n * 3 * value_bytes >= STREAMED_BYTES && (uintptr_t)out % value_bytes == 0;
}

/* Pixels before the first that begins a cache line, which are fewer than 64. */
static inline size_t pixels_before_line(const void *out, size_t value_bytes)
{
    size_t p = 0;
    while (((uintptr_t)out + p * 3 * value_bytes) % 64 != 0)
        p++;
    return p;
}

#endif
