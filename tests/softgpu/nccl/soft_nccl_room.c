#include "soft_nccl_room.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int soft_nccl_room_make(char *name, size_t bytes)
{
    static atomic_int count;
    snprintf(name, bytes, "/softgpu-nccl-%ld-%d", (long)getpid(), atomic_fetch_add(&count, 1));
    const int file = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (file < 0)
        return 0;
    const int is_made = ftruncate(file, sizeof(soft_nccl_room)) == 0;
    close(file);
    if (!is_made)
        shm_unlink(name);
    return is_made;
}

soft_nccl_room *soft_nccl_room_enter(const char *name)
{
    const int file = shm_open(name, O_RDWR, 0600);
    if (file < 0)
        return NULL;
    void *memory = mmap(NULL, sizeof(soft_nccl_room), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return memory == MAP_FAILED ? NULL : memory;
}

void soft_nccl_room_forget(const char *name)
{
    shm_unlink(name);
}

void soft_nccl_room_leave(soft_nccl_room *room)
{
    munmap(room, sizeof *room);
}

void soft_nccl_nap(void)
{
    const struct timespec nap = {0, 20000};
    nanosleep(&nap, NULL);
}

int soft_nccl_room_wait(const atomic_uint_fast64_t *counters, int n, uint64_t value,
                        const atomic_int *stop)
{
    for (int i = 0; i < n; i++)
        for (int turns = 0; atomic_load(&counters[i]) < value; turns++) {
            if (atomic_load(stop))
                return 0;
            if (turns < 100)
                sched_yield();
            else
                soft_nccl_nap();
        }
    return 1;
}
