/* soft_fiber.h - stacks that take turns on one thread. */
#ifndef SOFT_FIBER_H
#define SOFT_FIBER_H

typedef struct soft_fiber soft_fiber;

/* The stack that is there already. */
soft_fiber *soft_fiber_of_host(void);
/* A new one, which runs `body` from its beginning at the first switch to it; `body` never returns.
 * NULL when memory is short. `number` only spreads the stacks over the cache. */
soft_fiber *soft_fiber_make(void (*body)(void), int number);
/* Forgets where it was: the next switch runs the body from its beginning. */
void soft_fiber_reset(soft_fiber *fiber);
/* From the running one to another. Returns when something switches back. */
void soft_fiber_switch(soft_fiber *from, soft_fiber *to);

#endif
