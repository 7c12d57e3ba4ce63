/* Shared memory in which the ranks of a communicator meet: one place a rank, and counters that tell
 * who has written there and who has read. */
#ifndef WISP_SOFT_NCCL_ROOM_H
#define WISP_SOFT_NCCL_ROOM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { SOFT_NCCL_RANKS = 16, SOFT_NCCL_PLACE = 1 << 18 };

typedef struct {
    atomic_uint joined;
    atomic_uint_fast64_t written[SOFT_NCCL_RANKS], read[SOFT_NCCL_RANKS];
    _Alignas(64) char places[SOFT_NCCL_RANKS][SOFT_NCCL_PLACE];
} soft_nccl_room;

/* Makes a room and writes its name; 0 when that fails. */
int soft_nccl_room_make(char *name, size_t bytes);
/* NULL when there is none of this name. */
soft_nccl_room *soft_nccl_room_enter(const char *name);
/* The name is free again; who is inside stays. */
void soft_nccl_room_forget(const char *name);
void soft_nccl_room_leave(soft_nccl_room *room);
/* Waits until counters [0, n) are `value` at least; 0: *stop was set. */
int soft_nccl_room_wait(const atomic_uint_fast64_t *counters, int n, uint64_t value,
                        const atomic_int *stop);
void soft_nccl_nap(void);

#endif
