/* soft_fiber.c - stacks that take turns on one thread. A switch saves what a called function must
 * keep and exchanges the stack pointers; where that is not written for the processor, ucontext does
 * it, many times slower. Sanitizers are told. */
#include "soft_fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__x86_64__) && !defined(SOFT_FIBER_UCONTEXT)
#define OWN_SWITCH 1
#else
#include <ucontext.h>
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(ASAN)
#define ASAN 1
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK = 256 << 10, GUARD = 4096, SPREAD = 16, STEP = 192 };

struct soft_fiber {
#ifdef OWN_SWITCH
    void *stack_pointer;
#else
    ucontext_t context;
#endif
    void (*body)(void);
    unsigned char *stack; /* NULL: the host's */
    int number;
    void *shadow; /* the sanitizer's */
    const void *bottom;
    size_t bytes;
};

static soft_fiber *coming_from, *going_to;

static void leave_for(soft_fiber *from, soft_fiber *to)
{
    coming_from = from;
    going_to = to;
#ifdef ASAN
    __sanitizer_start_switch_fiber(&from->shadow, to->bottom, to->bytes);
#endif
}

/* On the new stack. The host's is learnt here, from the first switch away from it. */
static void arrive(void)
{
#ifdef ASAN
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(going_to->shadow, &bottom, &bytes);
    if (coming_from->stack == NULL) {
        coming_from->bottom = bottom;
        coming_from->bytes = bytes;
    }
#endif
}

static void begin(void)
{
    arrive();
    going_to->body();
    abort();
}

#ifdef OWN_SWITCH
/* Saves the registers that a call keeps, on the old stack, and takes them from the new one. */
void soft_fiber_exchange(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden soft_fiber_exchange\n"
        ".globl soft_fiber_exchange\n"
        ".type soft_fiber_exchange, @function\n"
        "soft_fiber_exchange:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size soft_fiber_exchange, .-soft_fiber_exchange\n");

/* A stack as soft_fiber_exchange would have left it, with `begin` to return to; a called function
 * finds its stack eight bytes off a multiple of sixteen. */
static void prepare(soft_fiber *fiber, unsigned char *top)
{
    void **words = (void **)(void *)top - 8;
    for (int i = 0; i < 8; i++)
        words[i] = NULL;
    *(void (**)(void))(void *)&words[6] = begin;
    fiber->stack_pointer = words;
}

void soft_fiber_switch(soft_fiber *from, soft_fiber *to)
{
    leave_for(from, to);
    soft_fiber_exchange(&from->stack_pointer, to->stack_pointer);
    arrive();
}
#else
static void prepare(soft_fiber *fiber, unsigned char *top)
{
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack + GUARD;
    fiber->context.uc_stack.ss_size = (size_t)(top - fiber->stack - GUARD);
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, begin, 0);
}

void soft_fiber_switch(soft_fiber *from, soft_fiber *to)
{
    leave_for(from, to);
    swapcontext(&from->context, &to->context);
    arrive();
}
#endif

soft_fiber *soft_fiber_of_host(void)
{
    static soft_fiber host;
    return &host;
}

/* Stacks begin at different places of a page: else all of them would compete for the same lines of
 * the cache. */
void soft_fiber_reset(soft_fiber *fiber)
{
#ifdef ASAN
    __asan_unpoison_memory_region(fiber->stack + GUARD, STACK - GUARD);
    fiber->shadow = NULL;
#endif
    fiber->bottom = fiber->stack + GUARD;
    fiber->bytes = STACK - GUARD;
    prepare(fiber, fiber->stack + STACK - (size_t)(fiber->number % SPREAD * STEP));
}

soft_fiber *soft_fiber_make(void (*body)(void), int number)
{
    soft_fiber *fiber = calloc(1, sizeof *fiber);
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fiber == NULL || stack == MAP_FAILED || mprotect(stack, GUARD, PROT_NONE) != 0) {
        free(fiber);
        return NULL;
    }
    fiber->stack = stack;
    fiber->body = body;
    fiber->number = number;
    soft_fiber_reset(fiber);
    return fiber;
}
