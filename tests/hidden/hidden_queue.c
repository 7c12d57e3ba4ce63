#include "hidden_queue.h"

#include <stdlib.h>
#include <string.h>

int hidden_list_add(hidden_list *list, const hidden_item *item)
{
    if (list->n == list->capacity) {
        const uint64_t capacity = list->capacity ? 2 * list->capacity : 64;
        hidden_item *grown = realloc(list->items, (size_t)capacity * sizeof *grown);
        if (!grown)
            return 0;
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->n++] = *item;
    return 1;
}

static uint64_t asked(const hidden_queue *q, int lane)
{
    return q->dropped[lane] + q->lanes[lane].n;
}

static const hidden_item *next_item(const hidden_queue *q, int lane)
{
    return &q->lanes[lane].items[q->done[lane] - q->dropped[lane]];
}

static int add(hidden_queue *q, int lane, const hidden_item *item)
{
    if (q->done[lane] == asked(q, lane)) {
        q->dropped[lane] = q->done[lane];
        q->lanes[lane].n = 0;
    }
    return hidden_list_add(&q->lanes[lane], item);
}

static void do_item(hidden_queue *q, const hidden_item *item)
{
    wisp_error err = {0};
    if (item->kind == ITEM_COPY)
        memmove(item->dst, item->src, item->bytes);
    else if (item->kind == ITEM_KERNEL && item->run(item, &err) != WISP_OK && !q->failure.code) {
        q->failure = err;
        q->failure.code = WISP_E_INTERNAL;
    }
}

static void advance(hidden_queue *q, int lane, uint64_t until)
{
    while (q->done[lane] < until) {
        const hidden_item item = *next_item(q, lane);
        if (item.kind == ITEM_ORDER)
            advance(q, !lane, item.needs);
        if (q->done[lane] >= until) /* the other lane may have needed this one */
            return;
        do_item(q, &item);
        q->done[lane]++;
    }
}

static void advance_uploads_that_may(hidden_queue *q)
{
    while (q->done[LANE_UPLOADS] < asked(q, LANE_UPLOADS)) {
        const hidden_item *item = next_item(q, LANE_UPLOADS);
        if (item->kind == ITEM_ORDER && q->done[LANE_QUEUE] < item->needs)
            return;
        advance(q, LANE_UPLOADS, q->done[LANE_UPLOADS] + 1);
    }
}

uint64_t hidden_queue_add(hidden_queue *q, int lane, const hidden_item *item)
{
    if (!add(q, lane, item))
        return 0;
    const uint64_t ticket = asked(q, lane);
    if (!q->late)
        advance_uploads_that_may(q);
    return ticket;
}

int hidden_queue_order(hidden_queue *q)
{
    const uint64_t n[2] = {asked(q, LANE_QUEUE), asked(q, LANE_UPLOADS)};
    for (int lane = 0; lane < 2; lane++) {
        const hidden_item item = {.kind = ITEM_ORDER, .needs = n[!lane]};
        if (!add(q, lane, &item))
            return 0;
    }
    return 1;
}

wisp_status hidden_queue_wait(hidden_queue *q, int lane, uint64_t ticket, wisp_error *err)
{
    advance(q, lane, ticket);
    if (!q->late)
        advance_uploads_that_may(q);
    if (!q->failure.code)
        return WISP_OK;
    const wisp_error failure = q->failure;
    memset(&q->failure, 0, sizeof q->failure);
    return wisp_fail(err, failure.code, "%s", failure.message);
}

wisp_status hidden_queue_drain(hidden_queue *q, wisp_error *err)
{
    advance(q, LANE_UPLOADS, asked(q, LANE_UPLOADS));
    return hidden_queue_wait(q, LANE_QUEUE, asked(q, LANE_QUEUE), err);
}

void hidden_queue_free(hidden_queue *q)
{
    free(q->lanes[0].items);
    free(q->lanes[1].items);
}
