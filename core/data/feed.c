/* feed.c - the queue of batches between the workers and the training thread.
 *
 * Work is given out sample by sample in the order in which it is needed. Batch number s lives in
 * slot s % n_slots; a worker may begin it once the batch that was there before has been released.
 */
#include "data/feed.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/sample_maker.h"

enum { MAX_WORKERS = 1024, HELD = 2, REPLACEMENTS = 64 };

typedef struct slot {
    wispi_feed_batch batch; /* first: the handle converts */
    void *memory;
    int64_t sequence;
    int64_t n_done;
} slot;

typedef struct worker {
    pthread_t thread;
    wispi_sample_maker *maker;
    struct wispi_feed *feed;
    int32_t started;
} worker;

struct wispi_feed {
    wispi_feed_options options;
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups, n_views;
    int64_t n_samples, steps_per_epoch;
    slot *slots;
    int32_t n_slots;
    worker *workers;
    int32_t n_workers;
    wispi_sample_maker *own_maker; /* without workers */

    pthread_mutex_t lock;
    pthread_cond_t work, ready;
    int32_t stopping, active;           /* active: samples being made */
    int64_t origin;                     /* epoch * steps_per_epoch + step of sequence 0 */
    int64_t next_sequence, next_sample; /* to be begun */
    int64_t taken, released;            /* batches handed out, given back */
    int64_t *bad;                       /* indices of bad samples */
    int64_t n_bad, bad_capacity;
    wisp_status status;
    wisp_error error;
};

/* --- where things stand --- */

static int64_t batch_size(const wispi_feed *feed, int64_t sequence)
{
    int64_t step = (feed->origin + sequence) % feed->steps_per_epoch;
    int64_t left = feed->n_samples - step * feed->options.batch * feed->options.world -
                   feed->options.rank * feed->options.batch;
    return left < feed->options.batch ? (left > 0 ? left : 0) : feed->options.batch;
}

static int64_t sample_index(const wispi_feed *feed, int64_t sequence, int64_t k)
{
    const wispi_feed_options *o = &feed->options;
    int64_t at = feed->origin + sequence;
    int64_t epoch = at / feed->steps_per_epoch, step = at % feed->steps_per_epoch;
    int64_t position = (step * o->world + o->rank) * o->batch + k;
    if (!o->sampler)
        return position;
    return wispi_order_at(o->seed, epoch, feed->n_samples, position);
}

static int64_t replacement(const wispi_feed *feed, int64_t index, int32_t attempt)
{
    wisp_rng rng =
        wisp_rng_begin(wisp_rng_derive(wisp_rng_stream(feed->options.seed, WISP_STREAM_ORDER),
                                       (uint64_t)index, (uint64_t)attempt + 1));
    return (int64_t)(wisp_rng_uniform(&rng) * (double)feed->n_samples);
}

static void fail(wispi_feed *feed, wisp_status status, const wisp_error *err)
{
    if (feed->status == WISP_OK) {
        feed->status = status;
        feed->error = *err;
    }
    pthread_cond_broadcast(&feed->ready);
    pthread_cond_broadcast(&feed->work);
}

/* --- bad samples --- */

static void remember_bad(wispi_feed *feed, int64_t index, const char *why)
{
    for (int64_t i = 0; i < feed->n_bad; i++)
        if (feed->bad[i] == index)
            return;
    char name[512] = "";
    const wispi_feed_options *o = &feed->options;
    if (o->dataset->sample_name)
        o->dataset->sample_name(o->dataset_self, index, name, sizeof name);
    wispi_log(WISP_LOG_WARNING, "sample %lld (%s) is unusable and replaced: %s", (long long)index,
              name, why);
    wisp_error err = {0};
    if (feed->n_bad == feed->bad_capacity) {
        int64_t capacity = feed->bad_capacity ? 2 * feed->bad_capacity : 64;
        void *grown = wispi_grow(feed->bad, (size_t)feed->n_bad * sizeof *feed->bad,
                                 (size_t)capacity * sizeof *feed->bad);
        if (!grown) {
            wisp_fail(&err, WISP_E_NOMEM, "no memory to count bad samples");
            fail(feed, WISP_E_NOMEM, &err);
            return;
        }
        feed->bad = grown;
        feed->bad_capacity = capacity;
    }
    feed->bad[feed->n_bad++] = index;
    if (feed->n_bad * 1000 > feed->n_samples) {
        wisp_fail(&err, WISP_E_DATA,
                  "%lld of %lld samples are unusable, more than 0.1 %%: repair or remove them; the "
                  "last one "
                  "was sample %lld (%s): %.700s",
                  (long long)feed->n_bad, (long long)feed->n_samples, (long long)index, name, why);
        fail(feed, WISP_E_DATA, &err);
    }
}

/* Makes one sample, or one in its place. Called without the lock. */
static void make_sample(wispi_feed *feed, wispi_sample_maker *maker, slot *s, int64_t k)
{
    int64_t wanted = sample_index(feed, s->sequence, k), index = wanted;
    wisp_error err = {0};
    for (int32_t attempt = 0;; attempt++) {
        wisp_status status = wispi_sample_make(maker, s->batch.epoch, index, &s->batch, k, &err);
        if (status == WISP_OK)
            return;
        pthread_mutex_lock(&feed->lock);
        if (status == WISP_E_DATA && attempt < REPLACEMENTS)
            remember_bad(feed, index, err.message);
        else
            fail(feed, status, &err);
        int failed = feed->status != WISP_OK;
        pthread_mutex_unlock(&feed->lock);
        if (failed)
            return;
        index = replacement(feed, wanted, attempt);
    }
}

/* --- giving out work; with the lock held --- */

static slot *slot_of(wispi_feed *feed, int64_t sequence)
{
    return &feed->slots[sequence % feed->n_slots];
}

static void begin_batch(wispi_feed *feed, int64_t sequence)
{
    slot *s = slot_of(feed, sequence);
    s->sequence = sequence;
    s->n_done = 0;
    s->batch.epoch = (feed->origin + sequence) / feed->steps_per_epoch;
    s->batch.step = (feed->origin + sequence) % feed->steps_per_epoch;
    s->batch.size = batch_size(feed, sequence);
}

/* Next sample to make; 0 when nothing may be begun now. */
static int next_work(wispi_feed *feed, slot **s, int64_t *k)
{
    if (feed->stopping || feed->status != WISP_OK ||
        feed->next_sequence - feed->released >= feed->n_slots)
        return 0;
    if (feed->next_sample == 0)
        begin_batch(feed, feed->next_sequence);
    *s = slot_of(feed, feed->next_sequence);
    *k = feed->next_sample++;
    if (feed->next_sample >= (*s)->batch.size) {
        feed->next_sequence++;
        feed->next_sample = 0;
    }
    return 1;
}

static int batch_ready(wispi_feed *feed, int64_t sequence)
{
    const slot *s = slot_of(feed, sequence);
    return s->sequence == sequence && s->n_done >= s->batch.size;
}

static void *work(void *user)
{
    worker *w = user;
    wispi_feed *feed = w->feed;
    slot *s;
    int64_t k;
    pthread_mutex_lock(&feed->lock);
    while (!feed->stopping) {
        if (!next_work(feed, &s, &k)) {
            pthread_cond_wait(&feed->work, &feed->lock);
            continue;
        }
        feed->active++;
        pthread_mutex_unlock(&feed->lock);
        make_sample(feed, w->maker, s, k);
        pthread_mutex_lock(&feed->lock);
        feed->active--;
        if (++s->n_done >= s->batch.size || feed->active == 0)
            pthread_cond_broadcast(&feed->ready);
    }
    pthread_mutex_unlock(&feed->lock);
    return NULL;
}

/* --- making a feed --- */

static wisp_status find_groups(wispi_feed *feed, wisp_error *err)
{
    const wispi_feed_options *o = &feed->options;
    if (o->sampler) {
        WISP_TRY(o->sampler->groups(o->sampler_self, feed->groups, &feed->n_groups, err));
    } else {
        snprintf(feed->groups[0].name, sizeof feed->groups[0].name, "evaluation");
        feed->groups[0].count = 1;
        feed->groups[0].width = feed->groups[0].height = o->eval_size;
        feed->n_groups = 1;
    }
    for (int32_t g = 0; g < feed->n_groups; g++) {
        const wisp_view_group *group = &feed->groups[g];
        if (group->count < 1 || group->width < 1 || group->height < 1 ||
            group->width > WISPI_FEED_MAX_SIDE || group->height > WISPI_FEED_MAX_SIDE)
            return wisp_fail(err, WISP_E_PLUGIN, "view group \"%s\" has %d views of %d x %d px",
                             group->name, group->count, group->width, group->height);
        feed->n_views += group->count;
    }
    if (feed->n_groups < 1 || feed->n_views > WISP_MAX_VIEWS)
        return wisp_fail(err, WISP_E_PLUGIN, "the sampler has %d views; 1 to %d are possible",
                         feed->n_views, WISP_MAX_VIEWS);
    return WISP_OK;
}

static wisp_status find_steps(wispi_feed *feed, wisp_error *err)
{
    const wispi_feed_options *o = &feed->options;
    int64_t n = o->dataset->count(o->dataset_self);
    feed->n_samples = o->subset > 0 && o->subset < n ? o->subset : n;
    int64_t global = o->batch * o->world;
    feed->steps_per_epoch =
        o->drop_last ? feed->n_samples / global : (feed->n_samples + global - 1) / global;
    if (feed->n_samples < 1)
        return wisp_fail(err, WISP_E_DATA, "the data set is empty: nothing to read");
    if (feed->steps_per_epoch < 1)
        return wisp_fail(
            err, WISP_E_CONFIG,
            "run.batch = %lld is larger than the data set, which has %lld images: take a smaller "
            "batch",
            (long long)global, (long long)feed->n_samples);
    return WISP_OK;
}

static size_t aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* One block a slot, cut into the parts of a batch. */
static wisp_status make_slot(wispi_feed *feed, slot *s, wisp_error *err)
{
    const wispi_feed_options *o = &feed->options;
    size_t batch = (size_t)o->batch, views = (size_t)feed->n_views, total = 0;
    size_t sizes[WISP_MAX_VIEW_GROUPS + 5];
    for (int32_t g = 0; g < feed->n_groups; g++) {
        const wisp_view_group *group = &feed->groups[g];
        sizes[g] = aligned((size_t)group->count * batch * (size_t)group->width *
                           (size_t)group->height * 3 * (size_t)wisp_dtype_bytes(o->dtype));
    }
    int32_t n = feed->n_groups;
    sizes[n++] = aligned(batch * sizeof(int64_t));
    sizes[n++] = aligned(batch * sizeof(int64_t));
    sizes[n++] = aligned(views * batch * 4 * sizeof(float));
    sizes[n++] = aligned(views * batch * sizeof(float));
    sizes[n++] = aligned(batch * 2 * sizeof(float));
    for (int32_t i = 0; i < n; i++)
        total += sizes[i];
    uint8_t *at = s->memory = wispi_alloc(total);
    if (!at)
        return wisp_fail(err, WISP_E_NOMEM,
                         "no memory for a batch of %zu bytes: take a smaller batch", total);
    for (int32_t g = 0; g < feed->n_groups; at += sizes[g++])
        s->batch.groups[g] = at;
    const size_t *rest = sizes + feed->n_groups;
    s->batch.index = (int64_t *)(void *)at;
    at += rest[0];
    s->batch.label = o->dataset->n_classes(o->dataset_self) > 0 ? (int64_t *)(void *)at : NULL;
    at += rest[1];
    s->batch.boxes = (float *)(void *)at;
    at += rest[2];
    s->batch.flip = (float *)(void *)at;
    at += rest[3];
    s->batch.source = (float *)(void *)at;
    s->sequence = -1;
    return WISP_OK;
}

static wisp_status start_workers(wispi_feed *feed, wisp_error *err)
{
    sigset_t all, former;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former); /* signals go to the training thread */
    wisp_status status = WISP_OK;
    for (int32_t i = 0; i < feed->n_workers && status == WISP_OK; i++) {
        worker *w = &feed->workers[i];
        w->feed = feed;
        status =
            wispi_sample_maker_create(&feed->options, feed->groups, feed->n_groups, &w->maker, err);
        if (status == WISP_OK && pthread_create(&w->thread, NULL, work, w) != 0)
            status = wisp_fail(err, WISP_E_NOMEM, "cannot start worker %d of %d", i + 1,
                               feed->n_workers);
        w->started = status == WISP_OK;
    }
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return status;
}

static wisp_status fill_feed(wispi_feed *feed, wisp_error *err)
{
    WISP_TRY(find_groups(feed, err));
    WISP_TRY(find_steps(feed, err));
    feed->n_workers = feed->options.workers < MAX_WORKERS ? feed->options.workers : MAX_WORKERS;
    int32_t ahead = feed->options.prefetch > 0 ? feed->options.prefetch : 3;
    feed->n_slots = HELD + (feed->n_workers ? ahead : 0);
    feed->slots = wispi_alloc_array((size_t)feed->n_slots, sizeof *feed->slots);
    feed->workers = wispi_alloc_array((size_t)feed->n_workers + 1, sizeof *feed->workers);
    if (!feed->slots || !feed->workers)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a feed");
    for (int32_t i = 0; i < feed->n_slots; i++)
        WISP_TRY(make_slot(feed, &feed->slots[i], err));
    if (feed->n_workers == 0)
        return wispi_sample_maker_create(&feed->options, feed->groups, feed->n_groups,
                                         &feed->own_maker, err);
    return start_workers(feed, err);
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
    feed->stopping = 0;
    wisp_status status = fill_feed(feed, err);
    if (status == WISP_OK)
        *out = feed;
    else
        wispi_feed_destroy(feed);
    return status;
}

void wispi_feed_destroy(wispi_feed *feed)
{
    if (!feed)
        return;
    pthread_mutex_lock(&feed->lock);
    feed->stopping = 1;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->lock);
    for (int32_t i = 0; feed->workers && i < feed->n_workers; i++) {
        if (feed->workers[i].started)
            pthread_join(feed->workers[i].thread, NULL);
        wispi_sample_maker_destroy(feed->workers[i].maker);
    }
    wispi_sample_maker_destroy(feed->own_maker);
    for (int32_t i = 0; feed->slots && i < feed->n_slots; i++)
        wispi_free(feed->slots[i].memory);
    pthread_mutex_destroy(&feed->lock);
    pthread_cond_destroy(&feed->work);
    pthread_cond_destroy(&feed->ready);
    wispi_free(feed->slots);
    wispi_free(feed->workers);
    wispi_free(feed->bad);
    wispi_free(feed);
}

/* --- use --- */

int64_t wispi_feed_steps_per_epoch(const wispi_feed *feed)
{
    return feed->steps_per_epoch;
}

int32_t wispi_feed_groups(const wispi_feed *feed, wisp_view_group *groups)
{
    memcpy(groups, feed->groups, (size_t)feed->n_groups * sizeof *groups);
    return feed->n_groups;
}

int64_t wispi_feed_bad_samples(const wispi_feed *feed)
{
    return feed->n_bad;
}

wisp_status wispi_feed_seek(wispi_feed *feed, int64_t epoch, int64_t step, wisp_error *err)
{
    if (epoch < 0 || step < 0 || step > feed->steps_per_epoch)
        return wisp_fail(err, WISP_E_INVALID, "there is no step %lld in an epoch of %lld",
                         (long long)step, (long long)feed->steps_per_epoch);
    pthread_mutex_lock(&feed->lock);
    /* Nothing new is begun while `released` stands far back; wait for what is under way. */
    feed->released = feed->next_sequence - feed->n_slots;
    while (feed->active > 0)
        pthread_cond_wait(&feed->ready, &feed->lock);
    feed->origin = epoch * feed->steps_per_epoch + step;
    feed->next_sequence = feed->next_sample = feed->taken = feed->released = 0;
    for (int32_t i = 0; i < feed->n_slots; i++)
        feed->slots[i].sequence = -1;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->lock);
    return WISP_OK;
}

/* Without workers the caller makes the batch. */
static void make_here(wispi_feed *feed)
{
    slot *s;
    int64_t k;
    while (!batch_ready(feed, feed->taken) && next_work(feed, &s, &k)) {
        pthread_mutex_unlock(&feed->lock);
        make_sample(feed, feed->own_maker, s, k);
        pthread_mutex_lock(&feed->lock);
        s->n_done++;
    }
}

wisp_status wispi_feed_next(wispi_feed *feed, wispi_feed_batch **batch, wisp_error *err)
{
    double start = wispi_seconds();
    pthread_mutex_lock(&feed->lock);
    if (feed->taken - feed->released >= HELD) {
        pthread_mutex_unlock(&feed->lock);
        return wisp_fail(err, WISP_E_STATE, "more than %d batches are held", HELD);
    }
    if (feed->n_workers == 0)
        make_here(feed);
    while (feed->status == WISP_OK && !batch_ready(feed, feed->taken))
        pthread_cond_wait(&feed->ready, &feed->lock);
    wisp_status status = feed->status;
    if (status == WISP_OK) {
        slot *s = slot_of(feed, feed->taken++);
        s->batch.wait_seconds = wispi_seconds() - start;
        *batch = &s->batch;
    } else if (err) {
        *err = feed->error;
        err->code = status;
    }
    pthread_mutex_unlock(&feed->lock);
    return status;
}

void wispi_feed_release(wispi_feed *feed, wispi_feed_batch *batch)
{
    if (!batch)
        return;
    pthread_mutex_lock(&feed->lock);
    feed->released++;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->lock);
}
