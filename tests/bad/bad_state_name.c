/* Gives its state another name in each instance. */
#include <stdio.h>

#include "wisp/nn.h"

#define BUILD(b) add_state(b)

static void add_state(wisp_build *b)
{
    static int built;
    char name[32];
    const wisp_desc one = wisp_desc0(WISP_F32);
    const wisp_init init = {WISP_INIT_CONSTANT, 0, 1};
    snprintf(name, sizeof name, "memory%d", built++);
    wisp_new_state(b, name, &one, &init);
}

#include "almost_good.h"
