#include "report/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void say_and_leave(const char *what, const char *whom)
{
    const char *const pieces[] = {"wisp: ", what, whom, "\n"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (write(STDERR_FILENO, pieces[i], strlen(pieces[i])) < 0)
            break;
    _exit(127);
}

/* Nothing here may take a lock: another thread may have held it when the process was copied. */
static void become(const char *const *argv, int log, int shared, pid_t parent)
{
    const int null = open("/dev/null", O_RDONLY);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    dup2(null, STDIN_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (shared >= 0)
        fcntl(shared, F_SETFD, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before that was asked for */
        _exit(1);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    say_and_leave("cannot be started: ", argv[0]);
}

wisp_status wispi_child_start(const char *const *argv, const char *log, int shared, pid_t *child,
                              wisp_error *err)
{
    const pid_t parent = getpid();
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return wisp_fail(err, WISP_E_IO, "%.900s: cannot be written: %s", log, strerror(errno));
    const pid_t pid = fork();
    const int why = errno;
    if (pid == 0)
        become(argv, fd, shared, parent);
    close(fd);
    if (pid < 0)
        return wisp_fail(err, WISP_E_IO, "no process for a run: %s", strerror(why));
    *child = pid;
    return WISP_OK;
}

wispi_child_end wispi_child_look(pid_t child)
{
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR))
        return (wispi_child_end){0, 0, 0};
    if (ended == child && WIFEXITED(status))
        return (wispi_child_end){1, WEXITSTATUS(status), 0};
    return (wispi_child_end){1, -1, ended == child && WIFSIGNALED(status) ? WTERMSIG(status) : 0};
}

void wispi_child_stop(pid_t child)
{
    kill(child, SIGTERM);
}
