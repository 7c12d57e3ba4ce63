/* resample.c - the two passes.
 *
 * Both accumulate 8-bit pixels times fixed-point weights in 32 bits, starting from one half, so the
 * shift at the end rounds. A pass whose sizes are equal is left out: its weights would be one. */
#include "image/resample.h"

#include <string.h>

#include "wisp/pixel_math.h"

/* Bytes of a row that the column pass carries along in registers. */
enum { COLUMN_BLOCK = 32 };

/* `first` is the source pixel that `source` points at. */
static void resize_row(const wispi_resample_table *table, const uint8_t *source, int32_t first,
                       uint8_t *out)
{
    for (int32_t x = 0; x < table->line.count; x++) {
        const int32_t *weights = table->weights + (size_t)x * (size_t)table->n_weights;
        const uint8_t *pixel = source + (size_t)(table->start[x] - first) * 3;
        int32_t r = WISP_WEIGHT_HALF, g = WISP_WEIGHT_HALF, b = WISP_WEIGHT_HALF;
        for (int32_t t = 0; t < table->taps[x]; t++, pixel += 3) {
            r += pixel[0] * weights[t];
            g += pixel[1] * weights[t];
            b += pixel[2] * weights[t];
        }
        out[3 * x] = wisp_weighted_byte(r);
        out[3 * x + 1] = wisp_weighted_byte(g);
        out[3 * x + 2] = wisp_weighted_byte(b);
    }
}

static void mix_block(const uint8_t *rows, size_t stride, const int32_t *weights, int32_t taps,
                      uint8_t *out)
{
    int32_t sum[COLUMN_BLOCK];
    for (size_t i = 0; i < COLUMN_BLOCK; i++)
        sum[i] = WISP_WEIGHT_HALF;
    for (int32_t t = 0; t < taps; t++, rows += stride)
        for (size_t i = 0; i < COLUMN_BLOCK; i++)
            sum[i] += rows[i] * weights[t];
    for (size_t i = 0; i < COLUMN_BLOCK; i++)
        out[i] = wisp_weighted_byte(sum[i]);
}

/* One row of the result from `taps` rows of `n` bytes. */
static void mix_rows(const uint8_t *rows, size_t stride, const int32_t *weights, int32_t taps,
                     uint8_t *out, size_t n)
{
    size_t i = 0;
    for (; i + COLUMN_BLOCK <= n; i += COLUMN_BLOCK)
        mix_block(rows + i, stride, weights, taps, out + i);
    for (; i < n; i++) {
        int32_t sum = WISP_WEIGHT_HALF;
        for (int32_t t = 0; t < taps; t++)
            sum += rows[(size_t)t * stride + i] * weights[t];
        out[i] = wisp_weighted_byte(sum);
    }
}

/* Rows of pixels somewhere in a picture. */
typedef struct strip {
    const uint8_t *pixels;
    size_t stride;
} strip;

static strip strip_at(const wispi_image *source, int32_t x, int32_t y)
{
    size_t stride = (size_t)source->width * 3;
    return (strip){source->pixels + (size_t)y * stride + (size_t)x * 3, stride};
}

/* `rows` begins at row `first` of what the table counts. */
static void resize_columns(const wispi_resample_table *table, strip rows, int32_t first,
                           uint8_t *out, size_t row_bytes)
{
    for (int32_t y = 0; y < table->line.count; y++) {
        const uint8_t *from = rows.pixels + (size_t)(table->start[y] - first) * rows.stride;
        mix_rows(from, rows.stride, table->weights + (size_t)y * (size_t)table->n_weights,
                 table->taps[y], out + (size_t)y * row_bytes, row_bytes);
    }
}

/* `rows` begins at pixel `first` of what the table counts; without a table the pixels are kept. */
static void resize_rows(const wispi_resample_table *table, strip rows, int32_t first, int32_t n,
                        uint8_t *out, size_t row_bytes)
{
    for (int32_t y = 0; y < n; y++) {
        const uint8_t *from = rows.pixels + (size_t)y * rows.stride;
        if (table)
            resize_row(table, from, first, out + (size_t)y * row_bytes);
        else
            memcpy(out + (size_t)y * row_bytes, from, row_bytes);
    }
}

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

/* Tables of both ways; NULL where the sizes are equal. */
static wisp_status get_tables(wispi_resampler *r, const wispi_resample_job *job,
                              const wispi_resample_table *tables[2], wisp_error *err)
{
    wispi_resample_line lines[2] = {
        {job->box.w, job->out_w, job->window.x, job->window.w, job->filter},
        {job->box.h, job->out_h, job->window.y, job->window.h, job->filter}};
    for (int32_t way = 0; way < 2; way++) {
        tables[way] = NULL;
        if (lines[way].in != lines[way].out)
            WISP_TRY(wispi_table_get(&r->tables, &lines[way], way, &tables[way], err));
    }
    return WISP_OK;
}

/* Source pixels of the box that a part of the resized line draws on. */
typedef struct span {
    int32_t first, count;
} span;

static span span_of(const wispi_resample_table *table, int32_t first, int32_t count)
{
    if (!table)
        return (span){first, count};
    int32_t last = count - 1, from = table->start[0];
    return (span){from, table->start[last] + table->taps[last] - from};
}

/* What a job comes down to once its tables are there. */
typedef struct plan {
    const wispi_resample_job *job;
    const wispi_resample_table *across, *down; /* NULL where the sizes are equal */
    span columns, rows;                        /* of the box, drawn on */
    strip source;                              /* its first pixel is the first drawn on */
    int by_columns;                            /* columns first, then rows */
} plan;

static plan plan_of(const wispi_image *source, const wispi_resample_job *job,
                    const wispi_resample_table *tables[2])
{
    plan p = {.job = job, .across = tables[0], .down = tables[1]};
    p.columns = span_of(p.across, job->window.x, job->window.w);
    p.rows = span_of(p.down, job->window.y, job->window.h);
    p.source = strip_at(source, job->box.x + p.columns.first, job->box.y + p.rows.first);
    p.by_columns = wisp_columns_first(job->box.w, job->box.h, job->out_w, job->out_h);
    return p;
}

/* Size of the picture between the passes, 0 when one pass is enough. */
static size_t bytes_between(const plan *p)
{
    if (!p->across || !p->down)
        return 0;
    return p->by_columns ? (size_t)p->job->window.h * (size_t)p->columns.count * 3
                         : (size_t)p->rows.count * (size_t)p->job->window.w * 3;
}

static void run_plan(const plan *p, uint8_t *between, uint8_t *out)
{
    size_t out_row = (size_t)p->job->window.w * 3, wide_row = (size_t)p->columns.count * 3;
    int32_t x = p->columns.first, y = p->rows.first;
    if (!p->down) {
        resize_rows(p->across, p->source, x, p->job->window.h, out, out_row);
    } else if (!p->across) {
        resize_columns(p->down, p->source, y, out, out_row);
    } else if (p->by_columns) {
        resize_columns(p->down, p->source, y, between, wide_row);
        resize_rows(p->across, (strip){between, wide_row}, x, p->job->window.h, out, out_row);
    } else {
        resize_rows(p->across, p->source, x, p->rows.count, between, out_row);
        resize_columns(p->down, (strip){between, out_row}, y, out, out_row);
    }
}

wisp_status wispi_resample(wispi_resampler *resampler, const wispi_image *source,
                           const wispi_resample_job *job, uint8_t *out, wisp_error *err)
{
    const wispi_resample_table *tables[2];
    WISP_TRY(check_job(source, job, err));
    WISP_TRY(get_tables(resampler, job, tables, err));
    plan p = plan_of(source, job, tables);
    size_t bytes = bytes_between(&p);
    uint8_t *between = bytes ? wispi_scratch_reserve(&resampler->between, bytes) : NULL;
    if (bytes && !between)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to resize %d x %d pixels", job->box.w,
                         job->box.h);
    run_plan(&p, between, out);
    return WISP_OK;
}

void wispi_resampler_free(wispi_resampler *resampler)
{
    wispi_table_cache_free(&resampler->tables);
    wispi_scratch_free(&resampler->between);
}
