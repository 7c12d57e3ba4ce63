/* cpu_level.c - asks the processor once. */
#include "base/cpu_level.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wisp/host.h"

static const char *const names[WISPI_CPU_LEVELS] = {"plain", "neon", "avx2", "avx512"};

static int32_t chosen;
static pthread_once_t choose_once = PTHREAD_ONCE_INIT;

int wispi_cpu_has(int32_t level)
{
    if (level == WISPI_CPU_PLAIN)
        return 1;
#if defined(__x86_64__)
    if (level == WISPI_CPU_AVX2)
        return __builtin_cpu_supports("avx2") != 0;
    if (level == WISPI_CPU_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    if (level == WISPI_CPU_NEON)
        return 1;
#endif
    return 0;
}

const char *wispi_cpu_level_name(int32_t level)
{
    return level >= 0 && level < WISPI_CPU_LEVELS ? names[level] : "unknown";
}

static int32_t best_level(void)
{
    int32_t level = WISPI_CPU_LEVELS - 1;
    while (!wispi_cpu_has(level))
        level--;
    return level;
}

static void choose(void)
{
    const char *wanted = getenv("WISP_CPU_LEVEL");
    chosen = best_level();
    if (!wanted || !wanted[0])
        return;
    for (int32_t level = 0; level < WISPI_CPU_LEVELS; level++) {
        if (strcmp(wanted, names[level]) == 0 && wispi_cpu_has(level)) {
            chosen = level;
            return;
        }
    }
    wispi_log(WISP_LOG_WARNING,
              "WISP_CPU_LEVEL=%.32s is no level that this processor has; using %s", wanted,
              names[chosen]);
}

int32_t wispi_cpu_level(void)
{
    pthread_once(&choose_once, choose);
    return chosen;
}
