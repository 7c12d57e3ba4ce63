/* failing_disk.c - to be preloaded: calls on files of one name fail as on a disk that fails.
 *
 * WISP_FAULT is CALL:ERRNO:NAME, with CALL "open" or "read", ERRNO a number, and NAME a part of the
 * path. WISP_FAULT_FROM and WISP_FAULT_TO are the bytes that cannot be read (all), and
 * WISP_FAULT_AFTER is how many calls succeed before the first that fails (none). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FILES = 1 << 16, ON_OPEN = 'o', ON_READ = 'r' };

static struct {
    char call;
    int number;
    const char *name;
    long long from, to;
    atomic_llong left; /* calls that succeed yet */
    int ready;
} fault;

static atomic_bool is_marked[MOST_FILES];

static long long number_of(const char *variable, long long otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void prepare(void)
{
    const char *text = getenv("WISP_FAULT");
    const char *number = text ? strchr(text, ':') : NULL;
    const char *name = number ? strchr(number + 1, ':') : NULL;
    if (!name)
        return;
    fault.call = text[0];
    fault.number = atoi(number + 1);
    fault.name = name + 1;
    fault.from = number_of("WISP_FAULT_FROM", 0);
    fault.to = number_of("WISP_FAULT_TO", LLONG_MAX);
    atomic_store(&fault.left, number_of("WISP_FAULT_AFTER", 0));
    fault.ready = 1;
}

/* Whether this call is one that fails; errno tells how. */
static int fails(char call)
{
    if (!fault.ready || fault.call != call || atomic_fetch_sub(&fault.left, 1) > 0)
        return 0;
    errno = fault.number;
    return 1;
}

static int is_meant(const char *path)
{
    return fault.ready && strstr(path, fault.name) != NULL;
}

static int note(int fd, const char *path)
{
    if (fd >= 0 && fd < MOST_FILES)
        atomic_store(&is_marked[fd], is_meant(path));
    return fd;
}

static int read_fails(int fd, long long at, size_t bytes)
{
    return fd >= 0 && fd < MOST_FILES && atomic_load(&is_marked[fd]) && at < fault.to &&
           at + (long long)bytes > fault.from && fails(ON_READ);
}

/* --- what is put in the place of the C library's functions --- */

typedef int open_function(const char *, int, ...);
typedef int openat_function(int, const char *, int, ...);
typedef ssize_t read_function(int, void *, size_t);
typedef ssize_t pread_function(int, void *, size_t, off_t);

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

/* ISO C has no cast from what dlsym gives to a function. */
static void find(const char *name, void *function)
{
    void *real = dlsym(RTLD_NEXT, name);
    memcpy(function, &real, sizeof real);
}

#define OPEN(function)                                                                             \
    int function(const char *path, int flags, ...);                                                \
    int function(const char *path, int flags, ...)                                                 \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        const mode_t mode = mode_of(flags, arguments);                                             \
        va_end(arguments);                                                                         \
        open_function *real;                                                                       \
        if (is_meant(path) && fails(ON_OPEN))                                                      \
            return -1;                                                                             \
        find(#function, &real);                                                                    \
        return note(real(path, flags, mode), path);                                                \
    }

#define OPENAT(function)                                                                           \
    int function(int folder, const char *path, int flags, ...);                                    \
    int function(int folder, const char *path, int flags, ...)                                     \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        const mode_t mode = mode_of(flags, arguments);                                             \
        va_end(arguments);                                                                         \
        openat_function *real;                                                                     \
        if (is_meant(path) && fails(ON_OPEN))                                                      \
            return -1;                                                                             \
        find(#function, &real);                                                                    \
        return note(real(folder, path, flags, mode), path);                                        \
    }

#define PREAD(function)                                                                            \
    ssize_t function(int fd, void *data, size_t bytes, off_t at);                                  \
    ssize_t function(int fd, void *data, size_t bytes, off_t at)                                   \
    {                                                                                              \
        pread_function *real;                                                                      \
        if (read_fails(fd, at, bytes))                                                             \
            return -1;                                                                             \
        find(#function, &real);                                                                    \
        return real(fd, data, bytes, at);                                                          \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
PREAD(pread)
PREAD(pread64)

ssize_t read(int fd, void *data, size_t bytes)
{
    read_function *real;
    if (fault.ready && fd >= 0 && fd < MOST_FILES && atomic_load(&is_marked[fd]) &&
        read_fails(fd, lseek(fd, 0, SEEK_CUR), bytes))
        return -1;
    find("read", &real);
    return real(fd, data, bytes);
}
