/* feed.c - the queue of batches between the workers and the training thread.
 *
 * Work is given out sample by sample in the order in which it is needed. A batch is begun in any
 * slot that is free, so it does not matter in which order batches are given back. There are more
 * slots than may be held: the batch that is needed next always finds one. */
#include "data/feed.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/bad_samples.h"
#include "data/batch_slot.h"
#include "data/feed_check.h"
#include "data/feed_depth.h"
#include "data/sample_maker.h"

enum { MAX_WORKERS = 1024, HELD = 2, REPLACEMENTS = 64 };

typedef struct worker {
    pthread_t thread;
    wispi_sample_maker *maker;
    struct wispi_feed *feed;
    int32_t started;
} worker;

struct wispi_feed {
    wispi_feed_options options;
    wispi_feed_shape shape;
    wispi_batch_slot *slots;
    int32_t most_slots; /* that there may be */
    worker *workers;
    int32_t n_workers;
    wispi_sample_maker *own_maker; /* without workers */

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t work, ready;
    int32_t stopping, paused, waiting;
    int32_t active; /* samples being made by workers */
    int32_t n_held;
    int32_t n_slots; /* that have memory; only the thread that made the feed adds any */
    wispi_feed_depth depth;
    int64_t origin;            /* epoch * steps_per_epoch + step of sequence 0 */
    int64_t next_sequence;     /* batch to be begun */
    wispi_batch_slot *filling; /* begun last, while samples of it are left to be begun */
    int64_t next_sample;       /* of `filling` */
    int64_t taken;             /* batches handed out */
    wispi_bad_samples bad;
    wispi_view_clock times; /* of all makers */
    wisp_status status;     /* the first failure stays */
    wisp_error error;
};

/* --- where things stand --- */

static int64_t batch_size(const wispi_feed *feed, int64_t step)
{
    const wispi_feed_options *o = &feed->options;
    int64_t left = feed->shape.n_samples - (step * o->world + o->rank) * o->batch;
    return left < 0 ? 0 : left < o->batch ? left : o->batch;
}

static int64_t sample_index(const wispi_feed *feed, const wispi_feed_batch *batch, int64_t k)
{
    const wispi_feed_options *o = &feed->options;
    int64_t position = (batch->step * o->world + o->rank) * o->batch + k;
    if (!o->sampler)
        return position;
    if (feed->shape.own_order)
        return o->dataset->order(o->dataset_self, wispi_order_key(o->seed, batch->epoch), position);
    return wispi_order_at(o->seed, batch->epoch, feed->shape.n_samples, position);
}

/* Depends on the sample that is replaced alone, not on who finds it bad or when. */
static int64_t replacement(const wispi_feed *feed, int64_t index, int32_t attempt)
{
    wisp_rng rng =
        wisp_rng_begin(wisp_rng_derive(wisp_rng_stream(feed->options.seed, WISP_STREAM_ORDER),
                                       (uint64_t)index, (uint64_t)attempt + 1));
    return (int64_t)(wisp_rng_uniform(&rng) * (double)feed->shape.n_samples);
}

/* --- failure; with the lock held --- */

static void fail(wispi_feed *feed, wisp_status status, const wisp_error *err)
{
    if (feed->status == WISP_OK) {
        feed->status = status;
        feed->error = *err;
        feed->error.code = status;
        if (!feed->error.message[0])
            snprintf(feed->error.message, sizeof feed->error.message, "%s",
                     wisp_status_text(status));
    }
    pthread_cond_broadcast(&feed->ready);
}

static void remember_bad(wispi_feed *feed, int64_t index, const char *why)
{
    const wispi_feed_options *o = &feed->options;
    wisp_error err = {0};
    int32_t is_new = 0;
    wisp_status status = wispi_bad_samples_add(&feed->bad, index, &is_new, &err);
    if (status != WISP_OK) {
        fail(feed, status, &err);
        return;
    }
    if (!is_new)
        return;
    char name[512] = "";
    if (o->dataset->sample_name)
        o->dataset->sample_name(o->dataset_self, index, name, sizeof name);
    wispi_log(WISP_LOG_WARNING, "sample %lld (%s) is unusable and replaced: %s", (long long)index,
              name, why);
    if ((double)feed->bad.n <= o->bad_share * (double)feed->shape.n_samples)
        return;
    wisp_fail(&err, WISP_E_DATA,
              "%lld of %lld samples are unusable, more than %g %%: repair or remove them, or raise "
              "run.bad_samples; the last one was sample %lld (%s): %.600s",
              (long long)feed->bad.n, (long long)feed->shape.n_samples, 100 * o->bad_share,
              (long long)index, name, why);
    fail(feed, WISP_E_DATA, &err);
}

/* --- one sample; without the lock --- */

/* Makes sample `k` of a batch, or one in its place. */
static void make_sample(wispi_feed *feed, wispi_sample_maker *maker, wispi_feed_batch *batch,
                        int64_t k)
{
    int64_t wanted = sample_index(feed, batch, k), index = wanted;
    for (int32_t attempt = 0;; attempt++) {
        wisp_error err = {0};
        wisp_status status = wispi_sample_make(maker, batch->epoch, index, batch, k, &err);
        if (status == WISP_OK)
            return;
        pthread_mutex_lock(&feed->lock);
        if (status == WISP_E_DATA)
            remember_bad(feed, index, err.message);
        if (status != WISP_E_DATA || attempt == REPLACEMENTS)
            fail(feed, status, &err);
        int failed = feed->status != WISP_OK;
        pthread_mutex_unlock(&feed->lock);
        if (failed)
            return;
        index = replacement(feed, wanted, attempt);
    }
}

/* --- giving out work; with the lock held --- */

static wispi_batch_slot *find_slot(wispi_feed *feed, int32_t state, int64_t sequence)
{
    for (int32_t i = 0; i < feed->n_slots; i++) {
        wispi_batch_slot *slot = &feed->slots[i];
        if (slot->state == state && (state == WISPI_SLOT_FREE || slot->sequence == sequence))
            return slot;
    }
    return NULL;
}

/* Begins the next batch that has samples; one that has none on this rank is ready at once. NULL
 * when no slot is free. */
static wispi_batch_slot *begin_batch(wispi_feed *feed)
{
    wispi_batch_slot *slot;
    while ((slot = find_slot(feed, WISPI_SLOT_FREE, 0)) != NULL) {
        int64_t at = feed->origin + feed->next_sequence;
        slot->state = WISPI_SLOT_FILLING;
        slot->sequence = feed->next_sequence++;
        slot->n_done = 0;
        wispi_picture_store_empty(&slot->pictures);
        slot->batch.epoch = at / feed->shape.steps_per_epoch;
        slot->batch.step = at % feed->shape.steps_per_epoch;
        slot->batch.size = batch_size(feed, slot->batch.step);
        if (slot->batch.size > 0)
            break;
        pthread_cond_broadcast(&feed->ready);
    }
    return slot;
}

/* Workers that take turns with the backend make only the batch that is waited for. */
static int is_enough(const wispi_feed *feed)
{
    return feed->options.take_turns && (!feed->waiting || feed->next_sequence > feed->taken);
}

/* Next sample to make; 0 when nothing may be begun now. */
static int next_work(wispi_feed *feed, wispi_batch_slot **slot, int64_t *k)
{
    if (feed->stopping || feed->paused || feed->status != WISP_OK)
        return 0;
    if (!feed->filling) {
        if (is_enough(feed))
            return 0;
        feed->filling = begin_batch(feed);
        feed->next_sample = 0;
    }
    if (!feed->filling)
        return 0;
    *slot = feed->filling;
    *k = feed->next_sample++;
    if (feed->next_sample == feed->filling->batch.size)
        feed->filling = NULL;
    return 1;
}

static wispi_batch_slot *ready_slot(wispi_feed *feed)
{
    wispi_batch_slot *slot = find_slot(feed, WISPI_SLOT_FILLING, feed->taken);
    return slot && slot->n_done == slot->batch.size ? slot : NULL;
}

/* With the lock held, for which a worker may have waited. */
static void count_time(wispi_feed *feed, wispi_sample_maker *maker)
{
    wispi_view_clock *clock = wispi_sample_maker_clock(maker);
    if (!clock)
        return;
    wispi_view_clock_lap(clock, WISPI_PHASE_OTHER);
    clock->samples++;
    wispi_view_clock_move(&feed->times, clock);
}

static void *work(void *user)
{
    worker *w = user;
    wispi_feed *feed = w->feed;
    wispi_batch_slot *slot;
    int64_t k;
    pthread_mutex_lock(&feed->lock);
    wispi_view_clock_start(wispi_sample_maker_clock(w->maker));
    while (!feed->stopping) {
        if (!next_work(feed, &slot, &k)) {
            if (!feed->paused && !is_enough(feed))
                wispi_feed_depth_idle(&feed->depth);
            pthread_cond_wait(&feed->work, &feed->lock);
            wispi_view_clock_start(wispi_sample_maker_clock(w->maker));
            continue;
        }
        feed->active++;
        pthread_mutex_unlock(&feed->lock);
        make_sample(feed, w->maker, &slot->batch, k);
        pthread_mutex_lock(&feed->lock);
        count_time(feed, w->maker);
        feed->active--;
        /* Nobody is woken for less: with one worker every sample leaves none active. */
        if (++slot->n_done == slot->batch.size || (feed->paused && feed->active == 0))
            pthread_cond_broadcast(&feed->ready);
    }
    pthread_mutex_unlock(&feed->lock);
    return NULL;
}

/* Without workers the caller makes the batch. */
static void make_here(wispi_feed *feed)
{
    wispi_batch_slot *slot;
    int64_t k;
    wispi_view_clock_start(wispi_sample_maker_clock(feed->own_maker));
    while (!ready_slot(feed) && next_work(feed, &slot, &k)) {
        pthread_mutex_unlock(&feed->lock);
        make_sample(feed, feed->own_maker, &slot->batch, k);
        pthread_mutex_lock(&feed->lock);
        count_time(feed, feed->own_maker);
        slot->n_done++;
    }
}

/* --- making a feed --- */

/* Signals go to the training thread, except those that tell of a fault in the worker itself. */
static void block_signals(sigset_t *former)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, former);
}

static wisp_status make_maker(wispi_feed *feed, wispi_sample_maker **maker, wisp_error *err)
{
    return wispi_sample_maker_create(&feed->options, feed->shape.groups, feed->shape.n_groups,
                                     maker, err);
}

static wisp_status start_workers(wispi_feed *feed, wisp_error *err)
{
    sigset_t former;
    wisp_status status = WISP_OK;
    block_signals(&former);
    for (int32_t i = 0; i < feed->n_workers && status == WISP_OK; i++) {
        worker *w = &feed->workers[i];
        w->feed = feed;
        status = make_maker(feed, &w->maker, err);
        if (status == WISP_OK && pthread_create(&w->thread, NULL, work, w) != 0)
            status =
                wisp_fail(err, WISP_E_NOMEM, "cannot start worker %d of %d: take fewer workers",
                          i + 1, feed->n_workers);
        w->started = status == WISP_OK;
    }
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return status;
}

static int32_t slots_ahead(const wispi_feed *feed, int32_t chosen)
{
    const int32_t wanted = feed->options.prefetch > 0 ? feed->options.prefetch : chosen;
    return feed->n_workers == 0 ? 0 : wanted < WISPI_DEPTH_MOST ? wanted : WISPI_DEPTH_MOST;
}

/* In the thread that made the feed and without the lock: nobody looks at the slot until it counts.
 */
static wisp_status add_slot(wispi_feed *feed, wisp_error *err)
{
    wispi_batch_slot *slot = &feed->slots[feed->n_slots];
    wisp_status status =
        wispi_batch_slot_fill(slot, &feed->options, feed->shape.groups, feed->shape.n_groups, err);
    if (status != WISP_OK) {
        wispi_batch_slot_free(slot);
        memset(slot, 0, sizeof *slot);
        return status;
    }
    pthread_mutex_lock(&feed->lock);
    feed->n_slots++;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->lock);
    return WISP_OK;
}

static wisp_status fill_feed(wispi_feed *feed, wisp_error *err)
{
    WISP_TRY(wispi_feed_check(&feed->options, &feed->shape, err));
    feed->n_workers = feed->options.workers < MAX_WORKERS ? feed->options.workers : MAX_WORKERS;
    feed->most_slots = HELD + slots_ahead(feed, WISPI_DEPTH_MOST);
    feed->slots = wispi_alloc_array((size_t)feed->most_slots, sizeof *feed->slots);
    feed->workers = wispi_alloc_array((size_t)feed->n_workers, sizeof *feed->workers);
    if (!feed->slots || !feed->workers)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a feed");
    while (feed->n_slots < HELD + slots_ahead(feed, WISPI_DEPTH_FIRST))
        WISP_TRY(add_slot(feed, err));
    return feed->n_workers ? start_workers(feed, err) : make_maker(feed, &feed->own_maker, err);
}

wisp_status wispi_feed_create(const wispi_feed_options *options, wispi_feed **out, wisp_error *err)
{
    wispi_feed *feed = wispi_alloc(sizeof *feed);
    if (!feed)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a feed");
    feed->options = *options;
    pthread_mutex_init(&feed->lock, NULL);
    pthread_cond_init(&feed->work, NULL);
    pthread_cond_init(&feed->ready, NULL);
    wisp_status status = fill_feed(feed, err);
    if (status == WISP_OK)
        *out = feed;
    else
        wispi_feed_destroy(feed);
    return status;
}

static void stop_workers(wispi_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    feed->stopping = 1;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->lock);
    for (int32_t i = 0; feed->workers && i < feed->n_workers; i++) {
        if (feed->workers[i].started)
            pthread_join(feed->workers[i].thread, NULL);
        wispi_sample_maker_destroy(feed->workers[i].maker);
    }
}

void wispi_feed_destroy(wispi_feed *feed)
{
    if (!feed)
        return;
    stop_workers(feed);
    wispi_sample_maker_destroy(feed->own_maker);
    for (int32_t i = 0; i < feed->n_slots; i++)
        wispi_batch_slot_free(&feed->slots[i]);
    pthread_mutex_destroy(&feed->lock);
    pthread_cond_destroy(&feed->work);
    pthread_cond_destroy(&feed->ready);
    wispi_bad_samples_free(&feed->bad);
    wispi_free(feed->slots);
    wispi_free(feed->workers);
    wispi_free(feed);
}

/* --- use --- */

int64_t wispi_feed_steps_per_epoch(const wispi_feed *feed)
{
    return feed->shape.steps_per_epoch;
}

int32_t wispi_feed_groups(const wispi_feed *feed, wisp_view_group *groups)
{
    memcpy(groups, feed->shape.groups, (size_t)feed->shape.n_groups * sizeof *groups);
    return feed->shape.n_groups;
}

int64_t wispi_feed_bad_samples(wispi_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    int64_t n = feed->bad.n;
    pthread_mutex_unlock(&feed->lock);
    return n;
}

int32_t wispi_feed_ahead(wispi_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    int32_t ahead = feed->n_slots - HELD;
    pthread_mutex_unlock(&feed->lock);
    return ahead;
}

int wispi_feed_is_full(wispi_feed *feed)
{
    int full = 1;
    pthread_mutex_lock(&feed->lock);
    for (int32_t i = 0; i < feed->n_slots && feed->n_workers > 0; i++) {
        const wispi_batch_slot *slot = &feed->slots[i];
        full &= slot->state == WISPI_SLOT_HELD ||
                (slot->state == WISPI_SLOT_FILLING && slot->n_done == slot->batch.size);
    }
    full |= feed->status != WISP_OK;
    pthread_mutex_unlock(&feed->lock);
    return full;
}

void wispi_feed_times(wispi_feed *feed, wispi_view_clock *times)
{
    pthread_mutex_lock(&feed->lock);
    *times = feed->times;
    pthread_mutex_unlock(&feed->lock);
}

wisp_status wispi_feed_seek(wispi_feed *feed, int64_t epoch, int64_t step, wisp_error *err)
{
    int64_t steps = feed->shape.steps_per_epoch;
    /* Half of the range stays free for what is counted from there on. */
    if (epoch < 0 || step < 0 || step > steps || epoch > INT64_MAX / 2 / steps - 1)
        return wisp_fail(err, WISP_E_INVALID,
                         "there is no epoch %lld, step %lld; an epoch has %lld", (long long)epoch,
                         (long long)step, (long long)steps);
    pthread_mutex_lock(&feed->lock);
    feed->paused = 1;
    while (feed->active > 0)
        pthread_cond_wait(&feed->ready, &feed->lock);
    for (int32_t i = 0; i < feed->n_slots; i++)
        if (feed->slots[i].state == WISPI_SLOT_FILLING)
            feed->slots[i].state = WISPI_SLOT_FREE;
    feed->filling = NULL;
    feed->origin = epoch * steps + step;
    feed->next_sequence = feed->taken = 0;
    wispi_feed_depth_begin(&feed->depth);
    feed->paused = 0;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->lock);
    return WISP_OK;
}

/* With the lock held; NULL when the feed failed. */
static wispi_batch_slot *wait_for_slot(wispi_feed *feed)
{
    wispi_batch_slot *slot = NULL;
    feed->waiting = 1;
    if (feed->n_workers == 0)
        make_here(feed);
    else if (feed->options.take_turns)
        pthread_cond_broadcast(&feed->work);
    while (feed->status == WISP_OK && !(slot = ready_slot(feed)))
        pthread_cond_wait(&feed->ready, &feed->lock);
    feed->waiting = 0;
    return slot;
}

/* With the lock held. */
static wisp_status take_batch(wispi_feed *feed, wispi_feed_batch **batch, wisp_error *err)
{
    if (feed->n_held >= HELD)
        return wisp_fail(err, WISP_E_STATE, "more than %d batches are held", HELD);
    wispi_batch_slot *slot = wait_for_slot(feed);
    if (feed->status != WISP_OK) {
        if (err)
            *err = feed->error;
        return feed->status;
    }
    slot->state = WISPI_SLOT_HELD;
    feed->n_held++;
    feed->taken++;
    *batch = &slot->batch;
    return WISP_OK;
}

/* Slots that nobody writes into get the room that this batch needed. With the lock held. */
static wisp_status make_room(wispi_feed *feed, size_t bytes, wisp_error *err)
{
    for (int32_t i = 0; i < feed->n_slots; i++)
        if (feed->slots[i].state == WISPI_SLOT_FREE)
            WISP_TRY(wispi_picture_store_reserve(&feed->slots[i].pictures, bytes, err));
    return WISP_OK;
}

static wisp_status settle_pictures(wispi_feed *feed, wispi_feed_batch *batch, wisp_error *err)
{
    WISP_TRY(wispi_picture_store_settle(batch->store, err));
    batch->pixels = batch->store->memory;
    batch->pixel_bytes = atomic_load(&batch->store->used);
    pthread_mutex_lock(&feed->lock);
    const wisp_status status = make_room(feed, batch->store->capacity, err);
    pthread_mutex_unlock(&feed->lock);
    return status;
}

/* With the lock held: whether a slot more is due, may be had and can be paid for. */
static int should_deepen(wispi_feed *feed, double now, double waited)
{
    const wispi_feed_options *o = &feed->options;
    if (!wispi_feed_depth_take(&feed->depth, now, waited) || feed->n_slots == feed->most_slots ||
        o->take_turns)
        return 0;
    const size_t limit = o->memory_limit ? o->memory_limit : wispi_feed_depth_memory();
    size_t bytes = 0;
    for (int32_t i = 0; i < feed->n_slots; i++)
        bytes += wispi_batch_slot_bytes(&feed->slots[i]);
    return bytes + bytes / (size_t)feed->n_slots <= limit;
}

/* Without memory for another slot the feed goes on as it is. */
static void deepen(wispi_feed *feed)
{
    wisp_error err = {0};
    if (add_slot(feed, &err) == WISP_OK)
        wispi_log(WISP_LOG_DEBUG, "batches were late: %d are made ahead from now on",
                  feed->n_slots - HELD);
    else
        feed->most_slots = feed->n_slots;
}

wisp_status wispi_feed_next(wispi_feed *feed, wispi_feed_batch **batch, wisp_error *err)
{
    int deeper = 0;
    double start = wispi_seconds();
    wispi_feed_batch *taken = NULL;
    pthread_mutex_lock(&feed->lock);
    wisp_status status = take_batch(feed, &taken, err);
    if (status == WISP_OK) {
        const double now = wispi_seconds();
        taken->wait_seconds = now - start;
        deeper = should_deepen(feed, now, taken->wait_seconds);
    }
    pthread_mutex_unlock(&feed->lock);
    WISP_TRY(status);
    if (deeper)
        deepen(feed);
    if (feed->options.as_plans)
        status = settle_pictures(feed, taken, err);
    if (status == WISP_OK)
        *batch = taken;
    else
        wispi_feed_release(feed, taken);
    return status;
}

void wispi_feed_release(wispi_feed *feed, wispi_feed_batch *batch)
{
    pthread_mutex_lock(&feed->lock);
    for (int32_t i = 0; i < feed->n_slots; i++) {
        wispi_batch_slot *slot = &feed->slots[i];
        if (&slot->batch != batch || slot->state != WISPI_SLOT_HELD)
            continue;
        slot->state = WISPI_SLOT_FREE;
        feed->n_held--;
        pthread_cond_broadcast(&feed->work);
    }
    pthread_mutex_unlock(&feed->lock);
}
