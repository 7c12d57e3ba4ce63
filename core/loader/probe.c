/* probe.c - the child that looks, and the parent that reads what it saw or notes how it died. */
#include "loader/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "loader/gate.h"
#include "loader/search.h"

static const double time_limit = 5.0; /* seconds for one file */

/* --- the child --- */

/* A child that crashes must die of it, leave no core file and say nothing in the parent's name. */
static void become_quiet(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_DFL);
    const struct rlimit nothing = {0, 0};
    setrlimit(RLIMIT_CORE, &nothing);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
}

/* The plugin that the file's name promises; NULL when the file holds others. */
static const wisp_descriptor *promised(const char *path, const wisp_bundle *bundle, char kind[32],
                                       char name[128])
{
    const char *slash = strrchr(path, '/');
    if (!wispi_plugin_file_name(slash ? slash + 1 : path, kind, name))
        return bundle->descriptors[0];
    for (uint64_t i = 0; i < bundle->n_descriptors; i++)
        if (strcmp(wispi_kind_short(bundle->descriptors[i]->kind), kind) == 0 &&
            strcmp(bundle->descriptors[i]->name, name) == 0)
            return bundle->descriptors[i];
    return NULL;
}

static void look_into(const char *path, int32_t allow_insecure, wispi_probe_result *result)
{
    char kind[32], name[128];
    wisp_error err = {0};
    void *library = NULL;
    const wisp_bundle *bundle = NULL;
    memset(result, 0, sizeof *result);
    if (wispi_gate_open(path, allow_insecure, &library, &bundle, &err) != WISP_OK) {
        snprintf(result->error, sizeof result->error, "%s", err.message);
        return;
    }
    const wisp_descriptor *d = promised(path, bundle, kind, name);
    if (!d) {
        d = bundle->descriptors[0];
        snprintf(result->error, sizeof result->error,
                 "%s: holds %s/%s, not %s/%s: rename the file or the plugin", path,
                 wispi_kind_short(d->kind), d->name, kind, name);
        return;
    }
    snprintf(result->version, sizeof result->version, "%s", d->version);
    snprintf(result->summary, sizeof result->summary, "%s", d->summary);
}

static void child(const char *const *paths, int32_t n, int32_t allow_insecure, int fd)
{
    become_quiet();
    for (int32_t i = 0; i < n; i++) {
        wispi_probe_result result;
        look_into(paths[i], allow_insecure, &result);
        const char *at = (const char *)&result;
        for (size_t left = sizeof result; left > 0;) {
            ssize_t written = write(fd, at, left);
            if (written < 0 && errno == EINTR)
                continue;
            if (written <= 0)
                _exit(1);
            at += written;
            left -= (size_t)written;
        }
    }
    _exit(0);
}

/* --- the parent --- */

enum { READ_ALL, READ_END, READ_LATE };

static int read_result(int fd, wispi_probe_result *result)
{
    const double end = wispi_seconds() + time_limit;
    char *at = (char *)result;
    size_t left = sizeof *result;
    while (left > 0) {
        struct pollfd wait = {fd, POLLIN, 0};
        int milliseconds = (int)((end - wispi_seconds()) * 1000);
        if (milliseconds <= 0)
            return READ_LATE;
        if (poll(&wait, 1, milliseconds) <= 0)
            continue;
        ssize_t n = read(fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return READ_END;
        at += n;
        left -= (size_t)n;
    }
    return READ_ALL;
}

static void wait_for(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        continue;
}

static void describe_end(int status, const char *path, wispi_probe_result *result)
{
    memset(result, 0, sizeof *result);
    if (WIFSIGNALED(status))
        snprintf(result->error, sizeof result->error,
                 "%s: crashed while it was loaded (%s): rebuild or remove it", path,
                 sigdescr_np(WTERMSIG(status)));
    else
        snprintf(result->error, sizeof result->error,
                 "%s: ended the process while it was loaded (exit status %d): plugins never exit "
                 "(ABI-10)",
                 path, WEXITSTATUS(status));
}

/* Reads from one child until all is done or a file ends it. Returns how many files are settled. */
static int32_t read_child(pid_t pid, int fd, const char *const *paths, int32_t n,
                          wispi_probe_result *results)
{
    int status = 0, outcome = READ_ALL;
    int32_t settled = 0;
    while (settled < n && (outcome = read_result(fd, &results[settled])) == READ_ALL)
        settled++;
    if (outcome == READ_LATE)
        kill(pid, SIGKILL);
    wait_for(pid, &status);
    if (outcome == READ_LATE) {
        memset(&results[settled], 0, sizeof results[settled]);
        snprintf(results[settled].error, sizeof results[settled].error,
                 "%s: did not load within %.0f seconds: its entry must do no work (ABI-1)",
                 paths[settled], time_limit);
        return settled + 1;
    }
    /* A file that came later in a child may have been harmed by one before it: it is asked again,
     * first in a child of its own. */
    if (outcome == READ_END && settled == 0) {
        describe_end(status, paths[0], &results[0]);
        return 1;
    }
    return settled;
}

static void give_up(const char *const *paths, int32_t n, wispi_probe_result *results)
{
    const char *reason = strerror(errno);
    for (int32_t i = 0; i < n; i++) {
        memset(&results[i], 0, sizeof results[i]);
        snprintf(results[i].error, sizeof results[i].error, "%s: cannot be probed: %s", paths[i],
                 reason);
    }
}

void wispi_probe_files(const char *const *paths, int32_t n, int32_t allow_insecure,
                       wispi_probe_result *results)
{
    while (n > 0) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) {
            give_up(paths, n, results);
            return;
        }
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            child(paths, n, allow_insecure, ends[1]);
        }
        close(ends[1]);
        int32_t settled = n;
        if (pid < 0)
            give_up(paths, n, results);
        else
            settled = read_child(pid, ends[0], paths, n, results);
        close(ends[0]);
        paths += settled;
        results += settled;
        n -= settled;
    }
}
