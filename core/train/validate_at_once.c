#include "train/validate_at_once.h"

#include <pthread.h>

typedef struct entrant {
    pthread_mutex_t *gate; /* opens when all are there */
    void (*work)(void *item);
    void *item;
} entrant;

static void *enter(void *user)
{
    const entrant *e = user;
    pthread_mutex_lock(e->gate);
    pthread_mutex_unlock(e->gate);
    e->work(e->item);
    return NULL;
}

int32_t wispi_at_once(void (*work)(void *item), void *items, size_t bytes)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[WISPI_AT_ONCE];
    entrant entrants[WISPI_AT_ONCE];
    int32_t n = 0;
    pthread_mutex_lock(&gate);
    for (; n < WISPI_AT_ONCE; n++) {
        entrants[n] = (entrant){&gate, work, (char *)items + (size_t)n * bytes};
        if (pthread_create(&threads[n], NULL, enter, &entrants[n]) != 0)
            break;
    }
    pthread_mutex_unlock(&gate);
    for (int32_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&gate);
    return n;
}
