/* soft_block.c - runs a grid: blocks one after another, the threads of a block in turns. A stack
 * runs thread after thread until one of them has to wait for others; that one stays where it is,
 * and another stack goes on with the next thread. So a kernel whose threads never meet runs on one
 * stack, at the cost of a call per thread. */
#include "soft_driver.h"
#include "soft_fiber.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { THREADS = 1024, WARPS = THREADS / SOFTGPU_WARP, SHARED = 228 << 10, GUARD = 4096 };

/* Two meetings' worth of values: a thread may come to the next meeting before others have read what
 * was shown at the last one, but not to the one after. */
typedef struct warp {
    softgpu_lanes shown[2];
    int which, arrived, size, line;
} warp;

static struct {
    soft_launch *launch;
    softgpu_state *here;
    void *params[1];
    int n_threads, n_warps, reverse;
    int started, ended; /* threads of this block */
    int arrived, line;  /* at the barrier of the block */
    int current;
    CUresult result;
    soft_fiber *running;
    soft_fiber *waiting[THREADS]; /* where a thread that waits stands */
    int ready[THREADS], first_ready, n_ready;
    warp warps[WARPS];
} grid;

static soft_fiber *stacks[THREADS], *idle[THREADS];
static int n_stacks, n_idle;
static unsigned char *shared_end;

int soft_grid_describe(char *text, size_t n)
{
    if (grid.launch == NULL)
        return 0;
    const softgpu_dim b = grid.here->block, t = grid.here->thread;
    snprintf(text, n, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u)", grid.launch->function->name,
             b.x, b.y, b.z, t.x, t.y, t.z);
    return 1;
}

/* --- stacks --- */

static void run_threads(void);

static soft_fiber *take_stack(void)
{
    if (n_idle > 0)
        return idle[--n_idle];
    if (n_stacks == THREADS)
        return NULL;
    soft_fiber *stack = soft_fiber_make(run_threads, n_stacks);
    if (stack != NULL)
        stacks[n_stacks++] = stack;
    return stack;
}

static void go(soft_fiber *to)
{
    soft_fiber *from = grid.running;
    grid.running = to;
    soft_fiber_switch(from, to);
}

/* After a failure threads are left standing where they are. */
static void forget_threads(void)
{
    n_idle = 0;
    for (int i = 0; i < n_stacks; i++) {
        soft_fiber_reset(stacks[i]);
        idle[n_idle++] = stacks[i];
    }
}

/* Ends the kernel; called on a thread's stack, does not return. */
__attribute__((format(printf, 1, 2))) static void give_up(const char *format, ...)
{
    char why[256], where[256] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    soft_grid_describe(where, sizeof where);
    grid.result = soft_fail(CUDA_ERROR_LAUNCH_FAILED, "%s: %s", where, why);
    go(soft_fiber_of_host());
    abort();
}

/* --- taking turns --- */

static void make_ready(int thread)
{
    grid.ready[(grid.first_ready + grid.n_ready++) % THREADS] = thread;
}

/* Threads that waited together go on in order, but for the one that runs. */
static void make_all_ready(int first, int n)
{
    for (int i = 0; i < n; i++) {
        const int thread = grid.reverse ? first + n - 1 - i : first + i;
        if (thread != grid.current)
            make_ready(thread);
    }
}

static soft_fiber *next_ready(void)
{
    const int thread = grid.ready[grid.first_ready];
    grid.first_ready = (grid.first_ready + 1) % THREADS;
    grid.n_ready--;
    grid.current = thread;
    return grid.waiting[thread];
}

static void give_up_stuck(void)
{
    int in_warps = 0;
    for (int i = 0; i < grid.n_warps; i++)
        in_warps += grid.warps[i].arrived;
    if (grid.arrived > 0)
        give_up("%d of %d threads wait in __syncthreads() of line %d, %d wait in their warps and "
                "%d have ended: every thread of a block must reach its barriers",
                grid.arrived, grid.n_threads, grid.line, in_warps, grid.ended);
    int stuck = 0;
    while (grid.warps[stuck].arrived == 0)
        stuck++;
    give_up("%d of %d threads of warp %d wait in a warp operation of line %d which the others do "
            "not reach",
            grid.warps[stuck].arrived, grid.warps[stuck].size, stuck, grid.warps[stuck].line);
}

/* The running thread waits until it is made ready. */
static void wait_for_others(void)
{
    const softgpu_dim at = grid.here->thread;
    const uint32_t lane = grid.here->lane;
    const int thread = grid.current;
    grid.waiting[thread] = grid.running;
    if (grid.n_ready > 0)
        go(next_ready());
    else if (grid.started < grid.n_threads) {
        soft_fiber *stack = take_stack();
        if (stack == NULL)
            give_up("no memory for the stacks of its threads");
        go(stack);
    } else
        give_up_stuck();
    grid.here->thread = at;
    grid.here->lane = lane;
}

static void meet_block(int line)
{
    if (grid.arrived > 0 && line != grid.line)
        give_up("threads of a block wait in __syncthreads() of line %d and of line %d", grid.line,
                line);
    grid.line = line;
    if (++grid.arrived < grid.n_threads) {
        wait_for_others();
        return;
    }
    grid.arrived = 0;
    make_all_ready(0, grid.n_threads);
}

static const softgpu_lanes *meet_warp(uint32_t mask, uint64_t value, int line)
{
    const int number = grid.current / SOFTGPU_WARP;
    warp *w = &grid.warps[number];
    softgpu_lanes *lanes = &w->shown[w->which];
    if ((mask & lanes->present) != lanes->present)
        give_up("a warp operation of line %d for the lanes %08x only, of %08x", line, mask,
                lanes->present);
    if (w->arrived > 0 && line != w->line)
        give_up("threads of a warp are in warp operations of line %d and of line %d", w->line,
                line);
    w->line = line;
    lanes->value[grid.here->lane] = value;
    if (++w->arrived < w->size) {
        wait_for_others();
        return lanes;
    }
    w->arrived = 0;
    w->which ^= 1;
    make_all_ready(number * SOFTGPU_WARP, w->size);
    return lanes;
}

/* --- blocks --- */

static void begin_block(void)
{
    grid.started = grid.ended = 0;
    if (grid.launch->shared_bytes > 0)
        memset(grid.here->dynamic_shared, 0xff, grid.launch->shared_bytes);
}

/* One step of a counter that goes up to `size`, or down from it; 0 when it begins anew. */
static int count(unsigned int *i, unsigned int size)
{
    if (grid.reverse)
        *i = (*i > 0 ? *i : size) - 1;
    else
        *i = *i + 1 < size ? *i + 1 : 0;
    return *i != (grid.reverse ? size - 1 : 0);
}

static int next_block(void)
{
    softgpu_dim *b = &grid.here->block;
    const softgpu_dim size = grid.launch->grid;
    if (!count(&b->x, size.x) && !count(&b->y, size.y) && !count(&b->z, size.z))
        return 0;
    begin_block();
    return 1;
}

static void start_thread(void)
{
    const int order = grid.started++;
    const unsigned int thread = (unsigned int)(grid.reverse ? grid.n_threads - 1 - order : order);
    const softgpu_dim size = grid.launch->block;
    softgpu_state *here = grid.here;
    grid.current = (int)thread;
    here->lane = thread % SOFTGPU_WARP;
    here->thread = (softgpu_dim){thread, 0, 0};
    if (thread >= size.x)
        here->thread =
            (softgpu_dim){thread % size.x, thread / size.x % size.y, thread / size.x / size.y};
    grid.launch->function->kernel->run(grid.params);
    grid.ended++;
}

/* What every stack does: threads that have not begun yet, then others that can go on; when there
 * are neither, the block is done, or stuck. */
static void run_threads(void)
{
    for (;;) {
        while (grid.started < grid.n_threads)
            start_thread();
        if (grid.ended == grid.n_threads && next_block())
            continue;
        if (grid.ended < grid.n_threads && grid.n_ready == 0)
            give_up_stuck();
        idle[n_idle++] = grid.running;
        go(grid.ended == grid.n_threads ? soft_fiber_of_host() : next_ready());
    }
}

/* --- a launch --- */

/* Dynamic shared memory ends where nothing is accessible any more. */
static int make_shared(void)
{
    if (shared_end != NULL)
        return 1;
    void *at =
        mmap(NULL, SHARED + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect((unsigned char *)at + SHARED, GUARD, PROT_NONE) != 0)
        return 0;
    shared_end = (unsigned char *)at + SHARED;
    return 1;
}

static void begin_grid(soft_launch *launch)
{
    softgpu_state *here = launch->function->module->state;
    const softgpu_dim g = launch->grid, zero = {0, 0, 0}, last = {g.x - 1, g.y - 1, g.z - 1};
    const char *order = getenv("WISP_SOFTGPU_ORDER");
    grid.launch = launch;
    grid.here = here;
    grid.params[0] = launch->params;
    grid.n_threads = (int)(launch->block.x * launch->block.y * launch->block.z);
    grid.n_warps = (grid.n_threads + SOFTGPU_WARP - 1) / SOFTGPU_WARP;
    grid.reverse = order != NULL && strstr(order, "reverse") != NULL;
    grid.arrived = grid.n_ready = 0;
    grid.result = CUDA_SUCCESS;
    for (int i = 0; i < grid.n_warps; i++) {
        warp *w = &grid.warps[i];
        memset(w, 0xff, sizeof *w);
        w->which = w->arrived = 0;
        w->size = grid.n_threads - i * SOFTGPU_WARP;
        w->size = w->size < SOFTGPU_WARP ? w->size : SOFTGPU_WARP;
        w->shown[0].present = w->shown[1].present = 0xffffffffu >> (SOFTGPU_WARP - w->size);
    }
    here->block = grid.reverse ? last : zero;
    here->grid_size = launch->grid;
    here->block_size = launch->block;
    here->dynamic_shared = shared_end - ((launch->shared_bytes + 15) & ~15u);
    here->meet_block = meet_block;
    here->meet_warp = meet_warp;
    begin_block();
}

CUresult soft_grid_run(soft_launch *launch)
{
    if (!make_shared())
        return CUDA_ERROR_OUT_OF_MEMORY;
    size_t bytes = 0;
    void *shared = soft_module_shared(launch->function->module, &bytes);
    memset(shared, 0xff, bytes);
    begin_grid(launch);
    soft_fiber *stack = take_stack();
    if (stack == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    grid.running = soft_fiber_of_host();
    soft_memory_open();
    go(stack);
    soft_memory_close();
    if (grid.result != CUDA_SUCCESS)
        forget_threads();
    grid.launch = NULL;
    return grid.result;
}
