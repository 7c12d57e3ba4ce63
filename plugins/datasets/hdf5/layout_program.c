/* layout_program.c - wisp-hdf5-layout FILE: writes the layout of an HDF5 file to its output.
 *
 * A process of its own because libhdf5 does not survive every damaged file, and because a training
 * process should not have to load what libhdf5 links. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "layout_walk.h"

/* Far more than headers need; a damaged file may ask for anything. A sanitizer needs more. */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_LIMITED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_LIMITED 0
#endif
#endif
#ifndef MEMORY_LIMITED
#define MEMORY_LIMITED 1
#endif
#define MEMORY_BYTES ((rlim_t)4 << 30)

/* Written as soon as there is some, so that a reader sees that it goes on. */
typedef struct output {
    layout_sink sink; /* first: the handle converts */
    size_t used;
    char bytes[1 << 14];
} output;

static int write_all(const char *data, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(STDOUT_FILENO, data, bytes);
        if (n <= 0)
            return -1;
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int put(layout_sink *sink, const void *data, size_t bytes)
{
    output *out = (output *)(void *)sink;
    if (bytes > sizeof out->bytes - out->used) {
        if (write_all(out->bytes, out->used) != 0)
            return -1;
        out->used = 0;
    }
    memcpy(out->bytes + out->used, data, bytes); /* a record and its text are far smaller */
    out->used += bytes;
    return 0;
}

int main(int argc, char **argv)
{
    static output out = {.sink = {put}};
    const struct rlimit no_core = {0, 0}, memory = {MEMORY_BYTES, MEMORY_BYTES};
    if (argc != 2) {
        fprintf(stderr, "usage: wisp-hdf5-layout FILE; the data set plugin hdf5 calls it\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    if (MEMORY_LIMITED)
        setrlimit(RLIMIT_AS, &memory);
    H5dont_atexit();
    return layout_walk_path(argv[1], &out.sink) || write_all(out.bytes, out.used);
}
