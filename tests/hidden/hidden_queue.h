/* hidden_queue.h - what the hidden device has been asked for and not yet done: a queue, uploads
 * beside it, and graphs of kernels. */
#ifndef WISP_TESTS_HIDDEN_QUEUE_H
#define WISP_TESTS_HIDDEN_QUEUE_H

#include "wisp/backend.h"

enum { MAX_ARGUMENTS = 24 };

enum { ITEM_KERNEL = 1, ITEM_COPY, ITEM_ORDER };

typedef struct hidden_item {
    int kind;
    void *kernel;
    wisp_status (*run)(const struct hidden_item *item, wisp_error *err);
    wisp_kernel_arg in[MAX_ARGUMENTS], out[MAX_ARGUMENTS];
    int is_fresh[MAX_ARGUMENTS]; /* in a graph: the version of in[i] was new when it was captured */
    int32_t n_in;
    void *scratch;
    void *dst;
    const void *src;
    size_t bytes;
    uint64_t needs; /* ITEM_ORDER: items of the other lane */
} hidden_item;

typedef struct hidden_list {
    hidden_item *items;
    uint64_t n, capacity;
} hidden_list;

enum { LANE_QUEUE = 0, LANE_UPLOADS = 1 };

/* `late`: uploads are done as late as they may be; else as soon. The queue is always late. */
typedef struct hidden_queue {
    hidden_list lanes[2];
    uint64_t dropped[2]; /* items that are done and forgotten */
    uint64_t done[2];    /* items of each lane, from its beginning */
    int late;
    wisp_error failure; /* of a kernel; told to whoever waits next */
} hidden_queue;

int hidden_list_add(hidden_list *list, const hidden_item *item);
/* Returns the item's ticket; 0: no memory. */
uint64_t hidden_queue_add(hidden_queue *queue, int lane, const hidden_item *item);
int hidden_queue_order(hidden_queue *queue);
/* Does the lane's items up to this ticket, and what they need of the other. */
wisp_status hidden_queue_wait(hidden_queue *queue, int lane, uint64_t ticket, wisp_error *err);
wisp_status hidden_queue_drain(hidden_queue *queue, wisp_error *err);
void hidden_queue_free(hidden_queue *queue);

#endif
