/* log.c - the host's log: a threshold, a lock, and a sink that tests may replace. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int32_t threshold = WISP_LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static wispi_log_sink current_sink;
static void *current_user;

static const char *level_prefix(int32_t level)
{
    switch (level) {
    case WISP_LOG_ERROR:
        return "error: ";
    case WISP_LOG_WARNING:
        return "warning: ";
    case WISP_LOG_DEBUG:
        return "debug: ";
    case WISP_LOG_PLUGIN_MISBEHAVING:
        return "error: plugin misbehaves: ";
    default:
        return "";
    }
}

static int32_t severity(int32_t level)
{
    return level == WISP_LOG_PLUGIN_MISBEHAVING ? WISP_LOG_ERROR : level;
}

void wispi_log(int32_t level, const char *format, ...)
{
    if (severity(level) > atomic_load(&threshold))
        return;
    char line[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    pthread_mutex_lock(&lock);
    if (current_sink) {
        current_sink(current_user, level, line);
    } else {
        fprintf(stderr, "wisp: %s%s\n", level_prefix(level), line);
        fflush(stderr);
    }
    pthread_mutex_unlock(&lock);
}

void wispi_log_set_level(int32_t level)
{
    atomic_store(&threshold, level);
}

int32_t wispi_log_level(void)
{
    return atomic_load(&threshold);
}

void wispi_log_set_sink(wispi_log_sink sink, void *user)
{
    pthread_mutex_lock(&lock);
    current_sink = sink;
    current_user = user;
    pthread_mutex_unlock(&lock);
}
