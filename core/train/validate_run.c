/* validate_run.c - the parent that starts a child for each test, and reads or infers its verdict.
 */
#include "train/validate_run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "loader/containment.h"
#include "loader/gate.h"
#include "loader/search.h"

/* --- the child --- */

static int verdict_fd = -1;

static void send_verdict(const wispi_verdict *verdict)
{
    const char *at = (const char *)verdict;
    for (size_t left = sizeof *verdict; left > 0;) {
        const ssize_t written = write(verdict_fd, at, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        at += written;
        left -= (size_t)written;
    }
}

/* Output of the plugin and of a fault handler goes to a file, from which the last line is taken
 * when the child dies. */
static void become_subject(const char *folder, pid_t parent)
{
    const struct rlimit nothing = {0, 0};
    char path[WISPI_TRIAL_PATH + 16];
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before that was asked for */
        _exit(1);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setrlimit(RLIMIT_CORE, &nothing);
    snprintf(path, sizeof path, "%s/output", folder);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        close(out);
    }
    if (null >= 0)
        close(null);
    wispi_install_fault_handler();
}

static void drop_line(void *user, int32_t level, const char *line)
{
    (void)user, (void)level, (void)line;
}

static void run_child(const wispi_validation *test, wispi_trial *t, int fd, pid_t parent)
{
    verdict_fd = fd;
    t->is_own_process = 1;
    become_subject(t->folder, parent);
    wispi_log_set_sink(drop_line, NULL);
    test->run(t);
    send_verdict(&t->verdict);
    _exit(0);
}

/* --- the parent --- */

/* 0, or ETIMEDOUT, EPIPE (the child's end was closed) or EINTR (the caller is to stop). */
static int read_verdict(int fd, double limit, const volatile int *stop, wispi_verdict *verdict)
{
    const double end = wispi_seconds() + limit;
    char *at = (char *)verdict;
    size_t left = sizeof *verdict;
    while (left > 0) {
        struct pollfd wait = {fd, POLLIN, 0};
        const double remaining = end - wispi_seconds();
        if (stop && *stop)
            return EINTR;
        if (remaining <= 0)
            return ETIMEDOUT;
        if (poll(&wait, 1, remaining > 0.1 ? 100 : (int)(remaining * 1000) + 1) <= 0)
            continue;
        const ssize_t n = read(fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return EPIPE;
        at += n;
        left -= (size_t)n;
    }
    return 0;
}

/* The last line that the child wrote, which is the fault handler's where there was a fault. */
static void last_words(const char *folder, char *words, size_t bytes)
{
    char path[WISPI_TRIAL_PATH + 16];
    uint8_t *data = NULL;
    size_t n = 0;
    words[0] = '\0';
    snprintf(path, sizeof path, "%s/output", folder);
    if (wispi_file_read(path, 1 << 22, &data, &n, NULL) != WISP_OK)
        return;
    while (n > 0 && data[n - 1] == '\n')
        data[--n] = '\0';
    const char *line = strrchr((const char *)data, '\n');
    snprintf(words, bytes, "%.900s", line ? line + 1 : (const char *)data);
    wispi_free(data);
}

static void infer_verdict(const wispi_validation *test, int outcome, int status, double limit,
                          const char *words, wispi_verdict *verdict)
{
    const int has_exited = outcome == EPIPE && WIFEXITED(status);
    memset(verdict, 0, sizeof *verdict);
    verdict->outcome = WISPI_VERDICT_FAIL;
    if ((test->flags & WISPI_TEST_OF_EXIT) && !has_exited) {
        verdict->outcome = WISPI_VERDICT_SKIP;
        snprintf(verdict->words, sizeof verdict->words,
                 "it crashed or hung before: the tests that follow say where");
    } else if (outcome == ETIMEDOUT) {
        snprintf(verdict->words, sizeof verdict->words,
                 "not done after %.0f seconds (--time-limit)", limit);
    } else if (has_exited) {
        snprintf(verdict->words, sizeof verdict->words,
                 "the process ended (exit status %d): plugins never exit (ABI-10)",
                 WEXITSTATUS(status));
    } else {
        snprintf(verdict->words, sizeof verdict->words, "crashed (%s)%s%s",
                 WIFSIGNALED(status) ? sigdescr_np(WTERMSIG(status)) : "no status",
                 words[0] ? ": " : "", words);
    }
}

/* One that only closed its end of the pipe has two seconds left. */
static void wait_for_child(pid_t pid, int outcome, int *status)
{
    const double end = wispi_seconds() + (outcome == EPIPE ? 2 : 0);
    const struct timespec pause = {0, 2000000};
    pid_t ended;
    while ((ended = waitpid(pid, status, WNOHANG)) == 0 && wispi_seconds() < end)
        nanosleep(&pause, NULL);
    kill(-pid, SIGKILL); /* whatever it has started goes too */
    kill(pid, SIGKILL);
    while (ended <= 0 && waitpid(pid, status, 0) < 0 && errno == EINTR)
        continue;
}

static wisp_status run_in_child(const wispi_validate_request *r, const wispi_validation *test,
                                wispi_trial *t, wisp_error *err)
{
    const pid_t parent = getpid();
    int ends[2], status = 0;
    char words[1000];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return wisp_fail(err, WISP_E_IO, "no pipe for %s: %s", test->id, strerror(errno));
    fflush(NULL); /* what waits in a buffer would be written by the child as well */
    const pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return wisp_fail(err, WISP_E_IO, "no process for %s: %s", test->id, strerror(errno));
    }
    if (pid == 0) {
        close(ends[0]);
        run_child(test, t, ends[1], parent);
    }
    close(ends[1]);
    const int outcome = read_verdict(ends[0], r->time_limit, r->stop, &t->verdict);
    close(ends[0]);
    wait_for_child(pid, outcome, &status);
    if (outcome == EINTR)
        return wisp_fail(err, WISP_E_STOPPED, "stopped at the test %s", test->id);
    if (outcome != 0) {
        last_words(t->folder, words, sizeof words);
        infer_verdict(test, outcome, status, r->time_limit, words, &t->verdict);
    }
    t->verdict.words[sizeof t->verdict.words - 1] = '\0';
    return WISP_OK;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static wisp_status run_test(const wispi_validate_request *r, const wispi_validation *test,
                            int32_t index, wispi_verdict *verdict, wisp_error *err)
{
    char folder[] = "/tmp/wisp-validate-XXXXXX";
    wispi_trial *t = wispi_alloc(sizeof *t);
    if (!t || !mkdtemp(folder)) {
        wispi_free(t);
        return wisp_fail(err, WISP_E_IO, "no folder in /tmp for the files of %s", test->id);
    }
    t->path = r->path;
    t->overrides = r->overrides;
    t->n_overrides = r->n_overrides;
    t->folder = folder;
    t->index = index;
    t->registry = r->registry;
    wisp_status status = WISP_OK;
    if (r->in_process && r->stop && *r->stop)
        status = wisp_fail(err, WISP_E_STOPPED, "stopped before the test %s", test->id);
    else if (r->in_process)
        test->run(t);
    else
        status = run_in_child(r, test, t, err);
    *verdict = t->verdict;
    wispi_free(t);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}

/* --- which tests --- */

static wispi_validate_result *add_result(wispi_validate_results *all, const wispi_validation *test,
                                         const char *plugin)
{
    if (all->n == all->capacity) {
        const int32_t wanted = all->capacity ? 2 * all->capacity : 64;
        wispi_validate_result *list =
            wispi_grow(all->list, (size_t)all->n * sizeof *list, (size_t)wanted * sizeof *list);
        if (!list)
            return NULL;
        all->list = list;
        all->capacity = wanted;
    }
    wispi_validate_result *made = &all->list[all->n++];
    made->test = test;
    snprintf(made->plugin, sizeof made->plugin, "%s", plugin);
    return made;
}

static const wispi_validate_result *find_result(const wispi_validate_results *all, const char *id,
                                                size_t length, const char *plugin)
{
    for (int32_t i = 0; i < all->n; i++) {
        const wispi_validate_result *r = &all->list[i];
        if (strlen(r->test->id) == length && strncmp(r->test->id, id, length) == 0 &&
            (r->plugin[0] == '\0' || strcmp(r->plugin, plugin) == 0))
            return r;
    }
    return NULL;
}

/* The test without whose pass this one means nothing, over any number of others; NULL: none. */
static const wispi_validate_result *find_blocker(const wispi_validate_results *all,
                                                 const wispi_validation *test, const char *plugin)
{
    for (const char *id = test->rests_on; id && *id;) {
        const size_t n = strcspn(id, " ");
        const wispi_validate_result *r = find_result(all, id, n, plugin);
        const int is_mute = r && (r->test->flags & WISPI_TEST_MAY_SKIP) && !r->blocked_by &&
                            r->verdict.outcome == WISPI_VERDICT_SKIP;
        if (r && r->blocked_by)
            return find_result(all, r->blocked_by, strlen(r->blocked_by), plugin);
        if (r && r->verdict.outcome != WISPI_VERDICT_PASS && !is_mute)
            return r;
        id += n + strspn(id + n, " ");
    }
    return NULL;
}

static wisp_status settle(const wispi_validate_request *r, const wispi_validation *test,
                          const char *plugin, int32_t index, wispi_validate_results *all,
                          wisp_error *err)
{
    wispi_validate_result *result = add_result(all, test, plugin);
    if (!result)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the results");
    const double start = wispi_seconds();
    const wispi_validate_result *blocker = find_blocker(all, test, plugin);
    if (blocker) {
        result->blocked_by = blocker->test->id;
        result->verdict.outcome = WISPI_VERDICT_SKIP;
        snprintf(result->verdict.words, sizeof result->verdict.words, "rests on %s, which %s",
                 blocker->test->id,
                 blocker->verdict.outcome == WISPI_VERDICT_FAIL ? "failed" : "was skipped");
    } else {
        WISP_TRY(run_test(r, test, index, &result->verdict, err));
    }
    result->seconds = wispi_seconds() - start;
    all->n_passed += result->verdict.outcome == WISPI_VERDICT_PASS;
    all->n_failed += result->verdict.outcome == WISPI_VERDICT_FAIL;
    all->n_skipped += result->verdict.outcome == WISPI_VERDICT_SKIP;
    return WISP_OK;
}

static int is_wanted(const wispi_validate_request *r, const wispi_validation *test)
{
    return !r->only || strcmp(r->only, test->id) == 0;
}

/* Notes the title of the plugin that the trial is of; nothing where the file holds fewer. */
static void take_census(wispi_trial *t)
{
    int32_t left = t->index;
    t->index = 0;
    if (!wispi_trial_load(t))
        return;
    const wispi_plugin *plugin = t->plugin;
    for (; plugin && left > 0; left--)
        plugin = plugin->next;
    wispi_trial_note(t, "%s", plugin ? plugin->title : "");
}

/* Title of the file's plugin number `index`; empty: there are no more. Of a file that cannot be
 * loaded the first is what its name promises. */
static wisp_status find_plugin(const wispi_validate_request *r, int has_failed, int32_t index,
                               char title[WISPI_VERDICT_BYTES], wisp_error *err)
{
    static const wispi_validation census = {.id = "census", .run = take_census};
    wispi_verdict verdict = {WISPI_VERDICT_FAIL, ""};
    char kind[32], name[128];
    const char *slash = strrchr(r->path, '/');
    title[0] = '\0';
    if (!has_failed)
        WISP_TRY(run_test(r, &census, index, &verdict, err));
    if (verdict.outcome == WISPI_VERDICT_PASS)
        memcpy(title, verdict.words, sizeof verdict.words);
    else if (!has_failed && index > 0)
        return wisp_fail(err, WISP_E_PLUGIN, "%s: its plugins cannot be counted: %.900s", r->path,
                         verdict.words);
    else if (index == 0 && wispi_plugin_file_name(slash ? slash + 1 : r->path, kind, name))
        snprintf(title, WISPI_VERDICT_BYTES, "%s/%s", kind, name);
    return WISP_OK;
}

static uint32_t kind_of_title(const char *title)
{
    for (int32_t i = 0; wispi_kinds[i]; i++)
        if (strncmp(title, wispi_kinds[i], strlen(wispi_kinds[i])) == 0 &&
            title[strlen(wispi_kinds[i])] == '/')
            return 1u << i;
    return 0;
}

static wisp_status settle_plugin(const wispi_validate_request *r, const char *title, int32_t index,
                                 wispi_validate_results *all, wisp_error *err)
{
    const uint32_t kind = kind_of_title(title);
    for (int32_t i = 0; i < wispi_n_validations; i++)
        if ((wispi_validations[i].kinds & kind) && is_wanted(r, &wispi_validations[i]))
            WISP_TRY(settle(r, &wispi_validations[i], title, index, all, err));
    return WISP_OK;
}

wisp_status wispi_validate_file(const wispi_validate_request *r, wispi_validate_results *all,
                                wisp_error *err)
{
    char title[WISPI_VERDICT_BYTES];
    wisp_status status = WISP_OK;
    memset(all, 0, sizeof *all);
    for (int32_t i = 0; i < wispi_n_validations && status == WISP_OK; i++)
        if (wispi_validations[i].kinds == WISPI_OF_FILE && is_wanted(r, &wispi_validations[i]))
            status = settle(r, &wispi_validations[i], "", 0, all, err);
    const int has_failed = all->n_failed > 0;
    for (int32_t index = 0; status == WISP_OK; index++) {
        status = find_plugin(r, has_failed, index, title, err);
        if (status != WISP_OK || title[0] == '\0')
            break;
        status = settle_plugin(r, title, index, all, err);
    }
    if (status != WISP_OK)
        wispi_validate_results_free(all);
    return status;
}

void wispi_validate_results_free(wispi_validate_results *all)
{
    wispi_free(all->list);
    memset(all, 0, sizeof *all);
}
