/* survey.c - lanes of work take samples in turn; each has its own memory and decoder. */
#include "data/survey.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/sample_memory.h"
#include "image/decode.h"
#include "image/picture_facts.h"
#include "wisp/order.h"

enum { GRAB = 8, SECONDS_BETWEEN_LINES = 10 };

typedef struct lane {
    wispi_sample_memory memory;
    wispi_decoder *decoder;
    wisp_status status; /* not OK: the survey cannot go on */
    wisp_error err;
} lane;

typedef struct work {
    const wispi_survey_options *options;
    wispi_survey *survey;
    lane *lanes;
    int32_t n_lanes;
    atomic_llong next;
    atomic_int failed;
    double last_line; /* of the first lane */
} work;

/* --- one sample --- */

static wisp_status open_lane(lane *l, wisp_error *err)
{
    wispi_sample_memory_open(&l->memory);
    return wispi_decoder_create(&l->decoder, err);
}

static void close_lane(lane *l)
{
    wispi_decoder_destroy(l->decoder);
    wispi_sample_memory_free(&l->memory);
}

/* Of a file that the decoder has opened. It forgives more than a look at the header does. */
static uint32_t flags_of(const wisp_sample *sample)
{
    wispi_picture_facts f = {.format = sample->data[0] == 0xFF ? WISPI_FILE_JPEG : WISPI_FILE_PNG,
                             .orientation = 1};
    wispi_picture_facts_of(sample->data, sample->bytes, &f);
    return (f.format == WISPI_FILE_PNG ? WISPI_LOOK_PNG : WISPI_LOOK_JPEG) |
           (f.gray ? WISPI_LOOK_GRAY : 0u) | (f.cmyk ? WISPI_LOOK_CMYK : 0u) |
           (f.progressive ? WISPI_LOOK_PROGRESSIVE : 0u) | (f.deep ? WISPI_LOOK_DEEP : 0u) |
           (f.orientation != 1 ? WISPI_LOOK_TURNED : 0u);
}

static wisp_status look_at_file(const wispi_survey_options *o, lane *l, const wisp_sample *sample,
                                wispi_look *look, wisp_error *err)
{
    wispi_picture picture;
    wispi_image image;
    WISP_TRY(wispi_decode_open(l->decoder, sample->data, sample->bytes, 0, &picture, err));
    if (o->decode)
        WISP_TRY(wispi_decode(l->decoder, sample->data, sample->bytes, &image, err));
    look->width = picture.width;
    look->height = picture.height;
    look->flags = flags_of(sample);
    return WISP_OK;
}

static wisp_status look_at(const wispi_survey_options *o, lane *l, int64_t index, wispi_look *look,
                           wisp_error *err)
{
    wisp_sample sample;
    WISP_TRY(wispi_sample_read(&l->memory, o->set, o->self, index, &sample, err));
    look->bytes = (int64_t)sample.bytes;
    if (sample.form == WISP_SAMPLE_ENCODED)
        return look_at_file(o, l, &sample, look, err);
    look->width = sample.width;
    look->height = sample.height;
    look->flags = WISPI_LOOK_RAW;
    return WISP_OK;
}

/* --- all of them --- */

static void tell_progress(work *w, const lane *l, int64_t done)
{
    const double now = wispi_seconds();
    if (l != w->lanes || now - w->last_line < SECONDS_BETWEEN_LINES)
        return;
    w->last_line = now;
    wispi_log(WISP_LOG_INFO, "%lld of %lld samples looked at", (long long)done,
              (long long)w->survey->n);
}

static void look_at_some(work *w, lane *l, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last && !*w->options->stop && !w->failed; i++) {
        const wispi_look chosen = {.index = w->survey->looks[i].index};
        wispi_look look = chosen;
        const wisp_status status = look_at(w->options, l, look.index, &look, &l->err);
        if (status == WISP_E_NOMEM) {
            l->status = status;
            w->failed = 1;
            return;
        }
        if (status != WISP_OK) {
            look = chosen;
            look.flags = WISPI_LOOK_BROKEN;
        }
        w->survey->looks[i] = look;
    }
}

static void run_lanes(void *user, int64_t first, int64_t last)
{
    work *w = user;
    for (int64_t i = first; i < last; i++) {
        lane *l = &w->lanes[i];
        for (;;) {
            const int64_t at = atomic_fetch_add(&w->next, GRAB), n = w->survey->n;
            if (at >= n || *w->options->stop || w->failed)
                break;
            look_at_some(w, l, at, at + GRAB < n ? at + GRAB : n);
            tell_progress(w, l, at);
        }
    }
}

static wisp_status run_work(work *w, wisp_error *err)
{
    for (int32_t i = 0; i < w->n_lanes; i++)
        WISP_TRY(open_lane(&w->lanes[i], err));
    w->last_line = wispi_seconds();
    wispi_pool_for(w->options->pool, w->n_lanes, 1, run_lanes, w);
    for (int32_t i = 0; i < w->n_lanes; i++)
        if (w->lanes[i].status != WISP_OK) {
            if (err)
                *err = w->lanes[i].err;
            return w->lanes[i].status;
        }
    for (int64_t i = 0; i < w->survey->n; i++) {
        w->survey->n_seen += w->survey->looks[i].flags != 0;
        w->survey->n_broken += (w->survey->looks[i].flags & WISPI_LOOK_BROKEN) != 0;
    }
    return WISP_OK;
}

static int by_index(const void *a, const void *b)
{
    const wispi_look *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* In the order of the data, which is how they are read fastest. */
static void choose(wispi_survey *s, int64_t whole)
{
    const wisp_rng_key key = wisp_rng_stream(0, 0x737572766579u /* "survey" */);
    for (int64_t i = 0; i < s->n; i++)
        s->looks[i].index = s->n < whole ? wisp_order_permuted(key, whole, i) : i;
    if (s->n < whole)
        qsort(s->looks, (size_t)s->n, sizeof *s->looks, by_index);
}

wisp_status wispi_survey_run(const wispi_survey_options *options, wispi_survey *survey,
                             wisp_error *err)
{
    const int64_t whole = options->set->count(options->self);
    wispi_survey made = {.n = whole < options->most ? whole : options->most};
    work w = {.options = options, .survey = &made, .n_lanes = wispi_pool_size(options->pool)};
    if (made.n < 1)
        return wisp_fail(err, WISP_E_DATA, "the data set is empty: nothing to look at");
    made.looks = wispi_alloc_array((size_t)made.n, sizeof *made.looks);
    w.lanes = wispi_alloc_array((size_t)w.n_lanes, sizeof *w.lanes);
    wisp_status status = WISP_OK;
    if (made.looks && w.lanes) {
        choose(&made, whole);
        status = run_work(&w, err);
    } else {
        status =
            wisp_fail(err, WISP_E_NOMEM, "no memory to look at %lld samples", (long long)made.n);
    }
    for (int32_t i = 0; w.lanes && i < w.n_lanes; i++)
        close_lane(&w.lanes[i]);
    wispi_free(w.lanes);
    if (status == WISP_OK)
        *survey = made;
    else
        wispi_survey_free(&made);
    return status;
}

void wispi_survey_free(wispi_survey *survey)
{
    wispi_free(survey->looks);
    *survey = (wispi_survey){0};
}

wisp_status wispi_survey_explain(const wispi_survey_options *options, int64_t index,
                                 wisp_error *err)
{
    lane l = {0};
    wispi_look look = {0};
    wisp_status status = open_lane(&l, err);
    if (status == WISP_OK)
        status = look_at(options, &l, index, &look, err);
    close_lane(&l);
    return status;
}
