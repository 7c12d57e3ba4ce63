/* cpu_fetch.h - asks for memory that will be read soon, a part of it at a time between other work.
 */
#ifndef CPU_FETCH_H
#define CPU_FETCH_H

#include <stdint.h>

/* Part `part` of `parts` of `bytes` bytes. */
static inline void cpu_fetch_part(const void *p, int64_t bytes, int64_t part, int64_t parts)
{
    const char *begin = p;
    for (int64_t at = bytes * part / parts; at < bytes * (part + 1) / parts; at += 64)
        __builtin_prefetch(begin + at, 0, 2);
}

#endif
