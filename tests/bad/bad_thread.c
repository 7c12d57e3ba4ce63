/* Starts a thread. */
#include <pthread.h>
#include <unistd.h>

#include "wisp/host.h"

static void *wait(void *user)
{
    for (;;)
        pause();
    return user;
}

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)host;
    (void)config;
    (void)self;
    (void)err;
    static int has_one;
    pthread_t thread;
    if (!has_one)
        has_one = pthread_create(&thread, NULL, wait, NULL) == 0;
    return WISP_OK;
}

static void destroy(void *self)
{
    (void)self;
}
#define CREATE create
#define DESTROY destroy
#include "almost_good.h"
