/* stop_signal.c - Ctrl-C and SIGTERM end a run on a checkpoint. */
#include "command.h"

#include <signal.h>
#include <string.h>

static wisp_runtime *stopping;

static void set_both(void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Whoever asks twice, by whichever signal, does not want to wait. */
static void on_stop(int signal_number)
{
    (void)signal_number;
    set_both(SIG_DFL);
    wisp_runtime_stop(stopping);
}

void wispi_stop_on_signals(wisp_runtime *runtime)
{
    stopping = runtime;
    set_both(on_stop);
}
