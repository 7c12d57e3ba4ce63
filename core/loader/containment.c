/* containment.c - the mark, and the handler that prints it. */
#include "loader/containment.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static _Thread_local wispi_mark current;

wispi_mark wispi_mark_enter(const wispi_plugin *plugin, const char *function)
{
    wispi_mark former = current;
    current = (wispi_mark){plugin ? plugin->title : NULL, function};
    return former;
}

wispi_mark wispi_mark_enter_file(const char *path)
{
    wispi_mark former = current;
    current = (wispi_mark){path, "(loading the file)"};
    return former;
}

void wispi_mark_leave(wispi_mark former)
{
    current = former;
}

wispi_mark wispi_mark_current(void)
{
    return current;
}

wisp_status wispi_mark_error(const wispi_plugin *plugin, const char *function, wisp_status status,
                             wisp_error *err)
{
    if (!err)
        return status;
    if (err->code != status || err->message[0] == '\0')
        wisp_fail(err, status, "%s (the plugin gave no message)", wisp_status_text(status));
    if (plugin && err->plugin[0] == '\0') {
        snprintf(err->plugin, sizeof err->plugin, "%s", plugin->title);
        snprintf(err->function, sizeof err->function, "%s", function);
    }
    return status;
}

/* Async-signal-safe: write(2) only. */
static void say(const char *text)
{
    size_t n = strlen(text);
    while (n > 0) {
        ssize_t written = write(STDERR_FILENO, text, n);
        if (written <= 0)
            return;
        text += written;
        n -= (size_t)written;
    }
}

static void on_fault(int signal_number)
{
    say("wisp: crashed (");
    say(sigabbrev_np(signal_number) ? sigabbrev_np(signal_number) : "signal");
    if (current.plugin) {
        say(") inside plugin ");
        say(current.plugin);
        say(", function ");
        say(current.function ? current.function : "?");
        say(": report it to the plugin's author\n");
    } else {
        say(") in the host, outside any plugin\n");
    }
    raise(signal_number); /* SA_RESETHAND: the default action follows */
}

void wispi_install_fault_handler(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    static char stack_memory[1 << 14]; /* an overflowing stack is a fault too */
    const stack_t stack = {.ss_sp = stack_memory, .ss_size = sizeof stack_memory};
    struct sigaction action;
    sigaltstack(&stack, NULL);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_fault;
    action.sa_flags = (int)SA_RESETHAND | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}
