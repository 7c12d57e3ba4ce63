/* soft_fault.c - says who touched what when an access faults, and then lets the process die of it
 * as it would have: a kernel outside of its allocations, or host code in device memory. */
#include "soft_driver.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N_SIGNALS = 4 };

static const int watched[N_SIGNALS] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
static struct sigaction before[N_SIGNALS];

static void say(int number, const void *at)
{
    char who[256] = "host code", what[192] = "", text[600];
    const int in_kernel = soft_grid_describe(who, sizeof who);
    if (number == SIGILL && in_kernel)
        snprintf(what, sizeof what, "an access that is not aligned to its size, or a trap");
    else if (soft_memory_is_device(at))
        soft_memory_describe(at, what, sizeof what);
    else if (in_kernel)
        snprintf(what, sizeof what, "not device memory");
    else
        return;
    const int n = snprintf(text, sizeof text, "softgpu: %s touches %p: %s\n", who, at, what);
    if (write(STDERR_FILENO, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1) < 0)
        return;
}

/* The access is repeated after the return and meets whatever was there before this. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    for (int i = 0; i < N_SIGNALS; i++)
        sigaction(watched[i], &before[i], NULL);
    say(number, info->si_addr);
}

void soft_fault_watch(void)
{
    static int watching;
    struct sigaction action;
    if (watching)
        return;
    watching = 1;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int i = 0; i < N_SIGNALS; i++)
        sigaction(watched[i], &action, &before[i]);
}
