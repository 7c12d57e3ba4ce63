/* nccl_meeting.h - the processes of a run find each other by TCP, and stay in touch.
 *
 * Rank 0 listens, all others connect to it and stay connected: small messages of host memory go
 * that way, and a connection that closes tells which rank is lost. A thread of the plugin's own
 * reads all of them; rank 0 passes on what the others cannot see. */
#ifndef NCCL_MEETING_H
#define NCCL_MEETING_H

#include <wisp/host.h>
#include <wisp/status.h>

#include "nccl_launch.h"

typedef struct nccl_meeting nccl_meeting;

/* Called once, from the meeting's thread, when a rank is lost. */
typedef void (*nccl_lost_fn)(void *user);

/* Returns when all ranks of the launch are there, or after `seconds`. `local_rank` is the launch's,
 * or counted by the names of the machines. [setup] */
wisp_status nccl_meeting_open(const wisp_host *host, const nccl_launch *launch, double seconds,
                              nccl_lost_fn lost, void *user, nccl_meeting **meeting,
                              int *local_rank, wisp_error *err);
/* With good-bye to the others, or as one who is lost; accepts NULL. */
void nccl_meeting_close(nccl_meeting *meeting, int with_goodbye);

/* Fails once a rank is lost, and names it. Returns at once. */
wisp_status nccl_meeting_check(nccl_meeting *meeting, wisp_error *err);

/* Host memory over all ranks; these wait for the others, or until one is lost. [main] */
wisp_status nccl_meeting_gather(nccl_meeting *meeting, const void *in, void *out, size_t bytes,
                                wisp_error *err);
wisp_status nccl_meeting_broadcast(nccl_meeting *meeting, void *data, size_t bytes, int root,
                                   wisp_error *err);

#endif
