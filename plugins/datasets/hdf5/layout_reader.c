/* layout_reader.c - starts the program, takes in what it writes, and judges how it ended.
 *
 * A new program and not a fork of this process: other threads may hold locks, a device or a network
 * may be open, and none of that is inherited across exec. posix_spawn copies no page tables
 * either, so that the size of this process does not matter. */
#include "layout_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { READ_BYTES = 1 << 16, FIRST_FREE_FD = 3 };

typedef struct reader {
    const wisp_host *host;
    const char *path;
    wisp_error *err;
    int fd; /* where the program's words arrive */
    pid_t pid;
    int patience; /* s */
    size_t most;
    layout_bytes *records;
} reader;

/* --- starting --- */

static int describe_files(posix_spawn_file_actions_t *files, int output)
{
    int failed = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed |= posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO);
    /* What the C library says about a damaged heap is told in other words below. */
    failed |= posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    failed |= posix_spawn_file_actions_addclosefrom_np(files, FIRST_FREE_FD);
    return failed;
}

/* The caller's thread may have blocked or ignored signals that the program should die of. */
static int describe_signals(posix_spawnattr_t *how)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed = posix_spawnattr_setsigmask(how, &none);
    failed |= posix_spawnattr_setsigdefault(how, &all);
    failed |= posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return failed;
}

static int start(reader *r, const char *program, int output)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    char name[] = "wisp-hdf5-layout";
    union {
        const char *text;
        char *argument; /* which exec does not change */
    } path = {.text = r->path};
    char *arguments[] = {name, path.argument, NULL};
    if (posix_spawn_file_actions_init(&files) != 0)
        return ENOMEM;
    int failed = posix_spawnattr_init(&how);
    if (failed == 0) {
        failed = describe_files(&files, output) || describe_signals(&how) ? ENOMEM : 0;
        if (failed == 0)
            failed = posix_spawn(&r->pid, program, &files, &how, arguments, environ);
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

static wisp_status open_reader(reader *r, const char *program)
{
    int ends[2];
    char text[128];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return wisp_fail(r->err, WISP_E_IO, "no pipe to %s: %s", program,
                         strerror_r(errno, text, sizeof text));
    const int failed = start(r, program, ends[1]);
    close(ends[1]);
    r->fd = ends[0];
    if (!failed)
        return WISP_OK;
    close(ends[0]);
    return wisp_fail(r->err, failed == ENOENT ? WISP_E_NOT_FOUND : WISP_E_IO,
                     "cannot start %s, which reads HDF5 files and belongs beside the plugin: %s",
                     program, strerror_r(failed, text, sizeof text));
}

/* --- taking in --- */

static wisp_status make_room(reader *r)
{
    layout_bytes *b = r->records;
    if (b->capacity - b->used >= READ_BYTES)
        return WISP_OK;
    if (b->used > r->most)
        return wisp_fail(r->err, WISP_E_DATA,
                         "\"%.500s\" is damaged: its layout grows without an end", r->path);
    const size_t capacity = 2 * b->capacity + 2 * READ_BYTES;
    uint8_t *data = r->host->alloc(r->host, capacity);
    if (!data)
        return wisp_fail(r->err, WISP_E_NOMEM, "no memory for the layout of \"%.500s\"", r->path);
    if (b->used > 0)
        memcpy(data, b->data, b->used);
    r->host->free(r->host, b->data);
    b->data = data;
    b->capacity = capacity;
    return WISP_OK;
}

static wisp_status wait_for_words(const reader *r)
{
    struct pollfd wanted = {.fd = r->fd, .events = POLLIN};
    int n;
    do {
        n = poll(&wanted, 1, r->patience * 1000);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n != 0)
        return WISP_OK; /* an error shows when it is read */
    return wisp_fail(r->err, WISP_E_DATA,
                     "libhdf5 could not read \"%.500s\": it has found nothing for %d s", r->path,
                     r->patience);
}

static wisp_status take_in(reader *r)
{
    for (;;) {
        char text[128];
        WISP_TRY(make_room(r));
        WISP_TRY(wait_for_words(r));
        const ssize_t n = read(r->fd, r->records->data + r->records->used, READ_BYTES);
        if (n == 0)
            return WISP_OK;
        if (n < 0 && errno != EINTR)
            return wisp_fail(r->err, WISP_E_IO, "the layout of \"%.500s\" is lost: %s", r->path,
                             strerror_r(errno, text, sizeof text));
        r->records->used += n > 0 ? (size_t)n : 0;
    }
}

/* --- the end --- */

/* Its status, or -1 where this process gets none of its children. */
static int wait_for_end(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

static wisp_status judge_end(const reader *r, int status)
{
    if (status != -1 && WIFSIGNALED(status)) {
        const char *name = sigdescr_np(WTERMSIG(status));
        return wisp_fail(r->err, WISP_E_DATA,
                         "libhdf5 could not read \"%.500s\": ended by signal %d (%s); the file is "
                         "damaged, \"h5repack OLD NEW\" may save what is left",
                         r->path, WTERMSIG(status), name ? name : "unknown");
    }
    if (status != -1 && WEXITSTATUS(status) != 0)
        return wisp_fail(r->err, WISP_E_DATA,
                         "libhdf5 could not read \"%.500s\": its program ended with status %d",
                         r->path, WEXITSTATUS(status));
    return WISP_OK;
}

wisp_status layout_reader_run(const wisp_host *host, const char *program, const char *path,
                              int patience, size_t most, layout_bytes *records, wisp_error *err)
{
    reader r = {.host = host,
                .path = path,
                .err = err,
                .patience = patience,
                .most = most,
                .records = records};
    WISP_TRY(open_reader(&r, program));
    wisp_status status = take_in(&r);
    close(r.fd);
    if (status != WISP_OK)
        kill(r.pid, SIGKILL);
    const int end = wait_for_end(r.pid);
    if (status == WISP_OK)
        status = judge_end(&r, end);
    if (status != WISP_OK) {
        host->free(host, records->data);
        *records = (layout_bytes){0};
    }
    return status;
}
