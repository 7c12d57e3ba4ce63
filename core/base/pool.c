/* pool.c - thread pool for parallel loops.
 *
 * A call opens a job, works on it, closes it, and waits for those workers that joined. A worker
 * that wakes too late finds the job closed and goes back to sleep, so nobody waits for it. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"

enum {
    MOST_THREADS = 1024,
    PIECES_PER_THREAD = 4, /* evens out pieces of unequal cost */
    SPINS = 2000           /* some tens of microseconds, cheaper than a sleep between two ops */
};

struct job {
    void (*body)(void *user, int64_t first, int64_t last);
    void *user;
    int64_t n, pieces;
};

struct wispi_pool {
    pthread_mutex_t lock;
    pthread_cond_t opened, left;
    struct job job;                    /* guarded by lock */
    int open, stopping;                /* guarded by lock */
    _Atomic int32_t working;           /* changed under lock, peeked at without */
    _Atomic uint64_t generation;       /* changed under lock, peeked at without */
    _Alignas(64) _Atomic int64_t next; /* first piece that nobody has taken */
    atomic_flag busy;
    int32_t n_started; /* threads beside the caller */
    pthread_t *threads;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Piece i of [0, n) when it is cut as evenly as can be; no product that could overflow. */
static int64_t cut(const struct job *job, int64_t i)
{
    int64_t size = job->n / job->pieces, rest = job->n % job->pieces;
    return i * size + (i < rest ? i : rest);
}

static void work(wispi_pool *pool, const struct job *job)
{
    for (;;) {
        int64_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= job->pieces)
            return;
        job->body(job->user, cut(job, i), cut(job, i + 1));
    }
}

static void *worker(void *argument)
{
    wispi_pool *pool = argument;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (pool->open && pool->generation != seen) {
            struct job job = pool->job;
            seen = pool->generation;
            pool->working++;
            pthread_mutex_unlock(&pool->lock);
            work(pool, &job);
            pthread_mutex_lock(&pool->lock);
            if (--pool->working == 0)
                pthread_cond_signal(&pool->left);
            continue;
        }
        seen = pool->generation;
        pthread_mutex_unlock(&pool->lock);
        for (int i = 0; i < SPINS && pool->generation == seen; i++)
            relax();
        pthread_mutex_lock(&pool->lock);
        while (!pool->stopping && pool->generation == seen)
            pthread_cond_wait(&pool->opened, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int32_t wispi_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

static int start_threads(wispi_pool *pool, int32_t count)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    while (pool->n_started < count && !failure) {
        failure = pthread_create(&pool->threads[pool->n_started], NULL, worker, pool);
        if (!failure)
            pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

wispi_pool *wispi_pool_create(int32_t n_threads, wisp_error *err)
{
    if (n_threads < 0 || n_threads > MOST_THREADS) {
        wisp_fail(err, WISP_E_INVALID,
                  "thread pool: %d threads asked for; give 0 (one per"
                  " processor) to %d",
                  (int)n_threads, MOST_THREADS);
        return NULL;
    }
    if (n_threads == 0)
        n_threads = wispi_processors() < MOST_THREADS ? wispi_processors() : MOST_THREADS;
    wispi_pool *pool = wispi_alloc(sizeof *pool);
    pthread_t *threads = wispi_alloc_array((size_t)n_threads, sizeof *threads);
    if (!pool || !threads) {
        wispi_free(pool);
        wispi_free(threads);
        wisp_fail(err, WISP_E_NOMEM, "thread pool: no memory for %d threads", (int)n_threads);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->opened, NULL);
    pthread_cond_init(&pool->left, NULL);
    atomic_flag_clear(&pool->busy);
    pool->threads = threads;
    int failure = start_threads(pool, n_threads - 1);
    if (failure) {
        wisp_fail(err, WISP_E_IO, "thread pool: cannot start thread %d of %d: %s; ask for fewer",
                  (int)pool->n_started + 2, (int)n_threads, strerror(failure));
        wispi_pool_destroy(pool);
        return NULL;
    }
    return pool;
}

void wispi_pool_destroy(wispi_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = 1;
    pool->generation++;
    pthread_cond_broadcast(&pool->opened);
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 0; i < pool->n_started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->left);
    pthread_cond_destroy(&pool->opened);
    pthread_mutex_destroy(&pool->lock);
    wispi_free(pool->threads);
    wispi_free(pool);
}

static void open_job(wispi_pool *pool, const struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    pool->job = *job;
    pool->next = 0;
    pool->open = 1;
    pool->generation++;
    pthread_cond_broadcast(&pool->opened);
    pthread_mutex_unlock(&pool->lock);
}

static void close_job(wispi_pool *pool)
{
    for (int i = 0; i < SPINS && pool->working; i++)
        relax();
    pthread_mutex_lock(&pool->lock);
    pool->open = 0;
    while (pool->working)
        pthread_cond_wait(&pool->left, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void wispi_pool_for(wispi_pool *pool, int64_t n, int64_t grain,
                    void (*body)(void *user, int64_t first, int64_t last), void *user)
{
    if (n <= 0)
        return;
    int64_t pieces = n / (grain > 0 ? grain : 1);
    if (!pool || !pool->n_started || pieces < 2 || atomic_flag_test_and_set(&pool->busy)) {
        body(user, 0, n);
        return;
    }
    int64_t most = (int64_t)wispi_pool_size(pool) * PIECES_PER_THREAD;
    struct job job = {body, user, n, pieces < most ? pieces : most};
    open_job(pool, &job);
    work(pool, &job);
    close_job(pool);
    atomic_flag_clear(&pool->busy);
}

int32_t wispi_pool_size(const wispi_pool *pool)
{
    return pool ? pool->n_started + 1 : 1;
}
