/* resample.c - which passes a job takes, and over what.
 *
 * A pass whose sizes are equal is left out: its weights would be one. Mirroring costs nothing: the
 * table of the pass across is made from right to left. */
#include "image/resample.h"

#include <string.h>

#include "base/cpu_level.h"
#include "wisp/pixel_math.h"

static int box_fits(wisp_box box, int32_t width, int32_t height)
{
    return box.x >= 0 && box.y >= 0 && box.w >= 1 && box.h >= 1 && box.w <= width &&
           box.h <= height && box.x <= width - box.w && box.y <= height - box.h;
}

static wisp_status check_job(const wispi_image *source, const wispi_resample_job *job,
                             wisp_error *err)
{
    wisp_box b = job->box, w = job->window;
    if (!box_fits(b, source->width, source->height))
        return wisp_fail(err, WISP_E_INVALID,
                         "crop box (%d, %d, %d, %d) does not lie inside the %d x %d image", b.x,
                         b.y, b.w, b.h, source->width, source->height);
    if (!box_fits(w, job->out_w, job->out_h))
        return wisp_fail(err, WISP_E_INVALID,
                         "window (%d, %d, %d, %d) does not lie inside the resized %d x %d", w.x,
                         w.y, w.w, w.h, job->out_w, job->out_h);
    return WISP_OK;
}

static const wispi_resample_kernels *best_kernels(void)
{
    const wispi_resample_kernels *kernels = NULL;
    for (int32_t level = wispi_cpu_level(); !kernels; level--)
        kernels = wispi_resample_kernels_of(level);
    return kernels;
}

/* Tables of both ways; NULL where nothing is to be done. */
static wisp_status get_tables(wispi_resampler *r, const wispi_resample_job *job,
                              const wispi_resample_table *tables[2], wisp_error *err)
{
    const wispi_resample_line lines[2] = {
        {job->box.w, job->out_w, job->window.x, job->window.w, job->filter, job->mirrored != 0},
        {job->box.h, job->out_h, job->window.y, job->window.h, job->filter, 0}};
    if (!r->kernels)
        r->kernels = best_kernels();
    for (int32_t way = WISPI_ACROSS; way <= WISPI_DOWN; way++) {
        tables[way] = NULL;
        if (lines[way].in != lines[way].out || lines[way].mirrored)
            WISP_TRY(wispi_table_get(&r->tables, r->kernels, &lines[way], way, &tables[way], err));
    }
    return WISP_OK;
}

/* Source pixels of the box that a part of the resized line draws on. */
typedef struct span {
    int32_t first, count;
} span;

static span span_of(const wispi_resample_table *table, int32_t first, int32_t count)
{
    return table ? (span){table->origin, table->reach} : (span){first, count};
}

/* What a job comes down to once its tables are there. */
typedef struct plan {
    const wispi_resample_table *across, *down; /* NULL where nothing is to be done */
    wispi_rows source;                         /* what is drawn on */
    wisp_box window;
    int by_columns; /* columns first, then rows */
} plan;

static plan plan_of(const wispi_image *source, const wispi_resample_job *job,
                    const wispi_resample_table *tables[2])
{
    plan p = {.across = tables[WISPI_ACROSS], .down = tables[WISPI_DOWN], .window = job->window};
    const span columns = span_of(p.across, job->window.x, job->window.w);
    const span rows = span_of(p.down, job->window.y, job->window.h);
    const size_t stride = (size_t)source->width * 3;
    const size_t x = (size_t)(job->box.x + columns.first), y = (size_t)(job->box.y + rows.first);
    p.source = (wispi_rows){source->pixels + y * stride + x * 3, stride, (size_t)columns.count * 3,
                            rows.count};
    p.by_columns = wisp_columns_first(job->box.w, job->box.h, job->out_w, job->out_h);
    return p;
}

/* The picture between the passes, without a place; empty when one pass is enough. */
static wispi_rows rows_between(const plan *p)
{
    if (!p->across || !p->down)
        return (wispi_rows){0};
    const size_t length = p->by_columns ? p->source.length : (size_t)p->window.w * 3;
    return (wispi_rows){NULL, length, length, p->by_columns ? p->window.h : p->source.count};
}

static void copy_rows(wispi_rows from, uint8_t *out)
{
    for (int32_t y = 0; y < from.count; y++)
        memcpy(out + (size_t)y * from.length, from.bytes + (size_t)y * from.stride, from.length);
}

static void run_plan(const plan *p, wispi_rows between, uint8_t *middle, uint8_t *out)
{
    between.bytes = middle;
    if (!p->across && !p->down) {
        copy_rows(p->source, out);
    } else if (!p->down) {
        p->across->kernels->across(p->across, p->source, out);
    } else if (!p->across) {
        p->down->kernels->down(p->down, p->source, out);
    } else if (p->by_columns) {
        p->down->kernels->down(p->down, p->source, middle);
        p->across->kernels->across(p->across, between, out);
    } else {
        p->across->kernels->across(p->across, p->source, middle);
        p->down->kernels->down(p->down, between, out);
    }
}

wisp_status wispi_resample(wispi_resampler *resampler, const wispi_image *source,
                           const wispi_resample_job *job, uint8_t *out, wisp_error *err)
{
    const wispi_resample_table *tables[2];
    WISP_TRY(check_job(source, job, err));
    WISP_TRY(get_tables(resampler, job, tables, err));
    const plan p = plan_of(source, job, tables);
    const wispi_rows between = rows_between(&p);
    const size_t bytes = between.length * (size_t)between.count;
    uint8_t *middle = bytes ? wispi_scratch_reserve(&resampler->between, bytes) : NULL;
    if (bytes && !middle)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to resize %d x %d pixels", job->box.w,
                         job->box.h);
    run_plan(&p, between, middle, out);
    return WISP_OK;
}

void wispi_resampler_free(wispi_resampler *resampler)
{
    wispi_table_cache_free(&resampler->tables);
    wispi_scratch_free(&resampler->between);
}
