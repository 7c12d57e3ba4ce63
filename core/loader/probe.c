#include "loader/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "loader/gate.h"

static const double time_limit = 5.0; /* seconds */

static void child(const char *path, int fd)
{
    wispi_probe_result result;
    memset(&result, 0, sizeof result);
    wisp_error err = {0};
    void *library = NULL;
    const wisp_bundle *bundle = NULL;
    if (wispi_gate_open(path, &library, &bundle, &err) == WISP_OK) {
        const wisp_descriptor *d = bundle->descriptors[0];
        snprintf(result.version, sizeof result.version, "%s", d->version);
        snprintf(result.summary, sizeof result.summary, "%s", d->summary);
    } else {
        snprintf(result.error, sizeof result.error, "%s", err.message);
    }
    const char *at = (const char *)&result;
    size_t left = sizeof result;
    while (left > 0) {
        ssize_t n = write(fd, at, left);
        if (n <= 0)
            break;
        at += n;
        left -= (size_t)n;
    }
    _exit(0);
}

/* Reads until the child closes its end or time is up; 1 when the whole result came. */
static int read_result(int fd, wispi_probe_result *result)
{
    char *at = (char *)result;
    size_t left = sizeof *result;
    double end = wispi_seconds() + time_limit;
    while (left > 0) {
        struct pollfd wait = {fd, POLLIN, 0};
        int ms = (int)((end - wispi_seconds()) * 1000);
        if (ms <= 0 || poll(&wait, 1, ms) <= 0)
            return 0;
        ssize_t n = read(fd, at, left);
        if (n <= 0)
            return 0;
        at += n;
        left -= (size_t)n;
    }
    return 1;
}

static void describe_end(pid_t pid, int complete, const char *path, wispi_probe_result *result)
{
    int status = 0;
    if (complete) {
        waitpid(pid, &status, 0);
        return;
    }
    memset(result, 0, sizeof *result);
    if (waitpid(pid, &status, WNOHANG) == 0) {
        /* The pipe may have closed an instant before the child ends. */
        usleep(20000);
        if (waitpid(pid, &status, WNOHANG) == 0) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            snprintf(result->error, sizeof result->error,
                     "%s: did not load within %.0f seconds: its entry must do no work (ABI-1)",
                     path, time_limit);
            return;
        }
    }
    if (WIFSIGNALED(status))
        snprintf(result->error, sizeof result->error,
                 "%s: crashed while it was loaded (%s): rebuild or remove it", path,
                 sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(result->error, sizeof result->error,
                 "%s: ended the process while it was loaded (exit status %d): plugins never exit "
                 "(ABI-10)",
                 path, WEXITSTATUS(status));
}

void wispi_probe_file(const char *path, wispi_probe_result *result)
{
    int pipe_ends[2];
    memset(result, 0, sizeof *result);
    if (pipe(pipe_ends) != 0) {
        snprintf(result->error, sizeof result->error, "%s: %s", path, strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pipe_ends[0]);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        child(path, pipe_ends[1]);
    }
    close(pipe_ends[1]);
    if (pid < 0)
        snprintf(result->error, sizeof result->error, "%s: %s", path, strerror(errno));
    else
        describe_end(pid, read_result(pipe_ends[0], result), path, result);
    close(pipe_ends[0]);
}
