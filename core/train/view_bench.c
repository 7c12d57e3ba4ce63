#include "train/view_bench.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/pool.h"
#include "data/memory_dataset.h"
#include "train/feed_settings.h"

/* As much of a data set as is kept in memory. */
static const size_t most_bytes = (size_t)2 << 30;

static double peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

/* The bounds of what is measured. */
typedef struct moment {
    double time;
    wispi_view_clock times;
} moment;

static moment moment_of(wispi_feed *feed)
{
    moment m;
    wispi_feed_times(feed, &m.times);
    m.time = wispi_seconds();
    return m;
}

static void measure(wispi_view_bench *b, const moment *first, const moment *last)
{
    b->seconds = last->time - first->time;
    b->times.samples = last->times.samples - first->times.samples;
    for (int32_t i = 0; i < WISPI_PHASES; i++)
        b->times.seconds[i] = last->times.seconds[i] - first->times.seconds[i];
}

static wisp_status pass_batch(wispi_feed *feed, wisp_error *err)
{
    wispi_feed_batch *batch = NULL;
    WISP_TRY(wispi_feed_next(feed, &batch, err));
    wispi_feed_release(feed, batch);
    return WISP_OK;
}

/* Fills every slot of the feed once, as a consumer that takes its time would have it: two batches
 * are held until all others are made. */
static wisp_status warm_up(wispi_feed *feed, const wispi_view_bench_request *request,
                           wisp_error *err)
{
    wispi_feed_batch *held[2] = {NULL, NULL};
    WISP_TRY(wispi_feed_next(feed, &held[0], err));
    wisp_status status = wispi_feed_next(feed, &held[1], err);
    while (status == WISP_OK && !*request->stop && !wispi_feed_is_full(feed))
        usleep(1000);
    wispi_feed_release(feed, held[0]);
    wispi_feed_release(feed, held[1]);
    return status;
}

static wisp_status make_batches(wispi_feed *feed, const wispi_view_bench_request *request,
                                wispi_view_bench *b, wisp_error *err)
{
    WISP_TRY(warm_up(feed, request, err));
    const moment first = moment_of(feed);
    moment last = first;
    while (!*request->stop && last.time - first.time < request->seconds) {
        WISP_TRY(pass_batch(feed, err));
        last = moment_of(feed);
    }
    measure(b, &first, &last);
    b->ahead = wispi_feed_ahead(feed);
    return WISP_OK;
}

static wisp_status run_feed(const wispi_feed_options *options,
                            const wispi_view_bench_request *request, wispi_view_bench *b,
                            wisp_error *err)
{
    wispi_feed *feed = NULL;
    WISP_TRY(wispi_feed_create(options, &feed, err));
    b->n_groups = wispi_feed_groups(feed, b->groups);
    wisp_status status = make_batches(feed, request, b, err);
    wispi_feed_destroy(feed);
    b->peak_mib = peak_mib();
    return status;
}

static wisp_status run_in_memory(wispi_feed_options *options,
                                 const wispi_view_bench_request *request, wispi_view_bench *b,
                                 wisp_error *err)
{
    wispi_memory_dataset *kept = NULL;
    WISP_TRY(wispi_memory_dataset_create(options->dataset, options->dataset_self, most_bytes, &kept,
                                         err));
    options->dataset = wispi_memory_dataset_table(kept);
    options->dataset_self = kept;
    b->images = options->dataset->count(kept);
    b->loaded = wispi_memory_dataset_bytes(kept);
    wisp_status status = run_feed(options, request, b, err);
    wispi_memory_dataset_destroy(kept);
    return status;
}

wisp_status wispi_view_bench_run(const wispi_experiment *x, const wispi_view_bench_request *request,
                                 wispi_view_bench *bench, wisp_error *err)
{
    wispi_view_bench b = {.processors = wispi_processors()};
    wispi_feed_options o = wispi_feed_settings(x, &x->data, x->run.batch, b.processors);
    wispi_feed_settings_sampled(&o, x);
    if (request->workers >= 0)
        o.workers = request->workers;
    o.as_bytes = x->run.views == WISPI_VIEWS_BYTES;
    o.as_plans = o.as_bytes || x->run.views == WISPI_VIEWS_DEVICE;
    o.timed = 1;
    b.workers = o.workers;
    b.batch = o.batch;
    b.dtype = o.dtype;
    b.as_plans = o.as_plans;
    b.as_bytes = o.as_bytes;
    b.images = o.dataset->count(o.dataset_self);
    wisp_status status =
        request->in_memory ? run_in_memory(&o, request, &b, err) : run_feed(&o, request, &b, err);
    if (status == WISP_OK)
        *bench = b;
    return status;
}
