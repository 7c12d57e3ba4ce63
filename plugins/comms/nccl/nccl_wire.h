/* nccl_wire.h - what goes over the connections, and the connections themselves. */
#ifndef NCCL_WIRE_H
#define NCCL_WIRE_H

#include <stdint.h>

#include <wisp/status.h>

#include "nccl_launch.h"

enum { NCCL_WIRE_NAME = 64, NCCL_WIRE_TEXT = 200, NCCL_WIRE_MAGIC = 0x77736d31 };

/* A rank to rank 0. */
typedef struct nccl_hello {
    uint32_t magic;
    int32_t rank, size, local_rank;
    char machine[NCCL_WIRE_NAME];
} nccl_hello;

/* Rank 0's answer; text[0]: it refuses, and why. */
typedef struct nccl_welcome {
    uint32_t magic;
    int32_t local_rank;
    char text[NCCL_WIRE_TEXT];
} nccl_welcome;

enum { NCCL_MESSAGE_DATA = 1, NCCL_MESSAGE_LOST = 2, NCCL_MESSAGE_BYE = 3 };

typedef struct nccl_message {
    uint32_t type;
    int32_t rank; /* LOST: which */
    uint64_t bytes;
} nccl_message;

double nccl_now(void); /* seconds */

/* A socket that listens at the launch's port. */
wisp_status nccl_listen(const nccl_launch *launch, int *socket, wisp_error *err);
/* Waits for a connection; *connection -1 when none came before `until`. */
wisp_status nccl_accept(int socket, double until, int *connection, wisp_error *err);
/* Connects to the launch's address, again and again until it is there or `until` is past. */
wisp_status nccl_connect(const nccl_launch *launch, double until, int *connection, wisp_error *err);

/* All of it, or 0: the other side is gone, or `until` is past (0: there is no limit). */
int nccl_send_all(int connection, const void *data, size_t bytes);
int nccl_receive_all(int connection, void *data, size_t bytes, double until);

#endif
