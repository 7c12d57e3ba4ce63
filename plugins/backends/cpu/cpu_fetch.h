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

/* Up to three ranges, to be asked for in steps. */
typedef struct cpu_fetch {
    const char *at[3], *end[3];
    int64_t lines; /* a step */
} cpu_fetch;

static inline void cpu_fetch_add(cpu_fetch *f, int i, const void *p, int64_t bytes)
{
    f->at[i] = p;
    f->end[i] = f->at[i] + bytes;
}

/* Spreads what is there over so many steps. */
static inline void cpu_fetch_plan(cpu_fetch *f, int64_t steps)
{
    int64_t lines = 0;
    for (int i = 0; i < 3; i++)
        lines += (f->end[i] - f->at[i] + 63) / 64;
    f->lines = steps ? (lines + steps - 1) / steps : lines;
}

static inline void cpu_fetch_step(cpu_fetch *f)
{
    int64_t lines = f->lines;
    for (int i = 0; i < 3; i++) {
        const char *at = f->at[i];
        for (; lines > 0 && at < f->end[i]; lines--, at += 64)
            __builtin_prefetch(at, 0, 2);
        f->at[i] = at;
    }
}

#endif
