/* nccl_launch.h - what the launcher's environment says of this process. */
#ifndef NCCL_LAUNCH_H
#define NCCL_LAUNCH_H

#include <wisp/status.h>

enum { NCCL_MOST_RANKS = 4096 };

typedef struct nccl_launch {
    int rank, size;
    int local_rank;     /* -1: not said */
    const char *source; /* the variable that `size` came from */
    const char *address, *port;
    char next_port[12]; /* what `port` is where the launcher keeps MASTER_PORT for itself */
    double seconds;     /* to wait for the others */
} nccl_launch;

/* RANK, WORLD_SIZE, LOCAL_RANK (torchrun), else those of srun, else of mpirun; MASTER_ADDR and
 * MASTER_PORT, where ranks on several machines need the first; WISP_MEETING_SECONDS. */
wisp_status nccl_launch_read(nccl_launch *launch, wisp_error *err);

#endif
