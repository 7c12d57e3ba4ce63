/* numbered_instance.h - instances that know which they are: `self` is an int, one more for each. To
 * be included before what is almost good. */
#ifndef WISP_TESTS_NUMBERED_INSTANCE_H
#define WISP_TESTS_NUMBERED_INSTANCE_H

#include "wisp/host.h"

static int n_made;

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)config;
    int *number = host->alloc(host, sizeof *number);
    if (!number)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a number");
    *number = n_made++;
    *self = number;
    return WISP_OK;
}

static const wisp_host *the_host;

static wisp_status init(const wisp_host *host, wisp_error *err)
{
    (void)err;
    the_host = host;
    return WISP_OK;
}

static void destroy(void *self)
{
    if (self)
        the_host->free(the_host, self);
}
#define INIT init
#define CREATE create
#define DESTROY destroy

#endif
