/* resample_table.c - tables of weights, made and remembered. */
#include "image/resample_table.h"

#include <string.h>

#include "wisp/pixel_math.h"

/* Pixel `i` of the table, counted within the line. */
static int64_t pixel_at(const wispi_resample_line *line, int32_t i)
{
    return line->first + (int64_t)(line->mirrored ? line->count - 1 - i : i);
}

static int32_t most_taps(const wisp_stretch *s, const wispi_resample_line *line)
{
    int32_t most = 1;
    for (int32_t i = 0; i < line->count; i++) {
        const int32_t taps = wisp_taps_of(s, pixel_at(line, i)).count;
        most = taps > most ? taps : most;
    }
    return most;
}

/* A window that would leave the line begins earlier, with weights of 0. Lanes beyond the last pixel
 * repeat it. */
static void begin_draft(wispi_weight_draft *d, const wispi_resample_table *table,
                        const wisp_stretch *s, int32_t x, int32_t *start)
{
    const int32_t n = table->n_weights, last = table->line.count - 1;
    for (int32_t l = 0; l < WISPI_DRAFT_LANES; l++) {
        const int32_t at = x + l < last ? x + l : last;
        const wisp_taps taps = wisp_taps_of(s, pixel_at(&table->line, at));
        start[at] = taps.first <= s->in - n ? taps.first : s->in - n;
        d->start[l] = start[at];
        d->center[l] = taps.center;
        d->from[l] = taps.first;
        d->to[l] = taps.first + taps.count;
    }
}

static void weigh_line(wispi_resample_table *table, const wisp_stretch *s, wispi_weight_draft *d,
                       int32_t *start, int32_t *weights)
{
    const wispi_resample_line *line = &table->line;
    const int32_t n = table->n_weights, last = line->count - 1;
    for (int32_t x = 0; x <= last; x += WISPI_DRAFT_LANES) {
        begin_draft(d, table, s, x, start);
        table->kernels->weigh(d, s, n);
        for (int32_t l = 0; l < WISPI_DRAFT_LANES && x + l <= last; l++)
            for (int32_t i = 0; i < n; i++)
                weights[(size_t)(x + l) * (size_t)n + (size_t)i] =
                    d->fixed[(size_t)i * WISPI_DRAFT_LANES + (size_t)l];
    }
    table->origin = line->mirrored ? start[last] : start[0];
    for (int32_t i = 0; i <= last; i++)
        start[i] -= table->origin;
    table->reach = (line->mirrored ? start[0] : start[last]) + n;
    table->start = start;
    table->weights = weights;
}

enum { ALIGNMENT = 64 };

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The sizes of a table, and who is to read it. */
static void size_table(wispi_resample_table *table, const wisp_stretch *s,
                       const wispi_resample_kernels *kernels)
{
    const int32_t rounded = (most_taps(s, &table->line) + 3) / 4 * 4;
    table->n_weights = rounded < table->line.in ? rounded : table->line.in;
    table->kernels = table->n_weights % 4 == 0 ? kernels : &wispi_resample_plain;
}

/* Room for one draft. */
static int reserve_draft(wispi_scratch *memory, int32_t n_weights, wispi_weight_draft *d)
{
    const size_t n = (size_t)n_weights * WISPI_DRAFT_LANES;
    d->weights = wispi_scratch_reserve(memory, n * (sizeof *d->weights + sizeof *d->fixed));
    d->fixed = d->weights ? (int32_t *)(void *)(d->weights + n) : NULL;
    return d->weights != NULL;
}

static wisp_status make_table(wispi_table_cache *cache, const wispi_resample_kernels *kernels,
                              const wispi_resample_line *line, int32_t way, size_t slot,
                              wisp_error *err)
{
    const wisp_stretch s = wisp_stretch_of(line->in, line->out, line->filter);
    wispi_resample_table made = {.line = *line};
    wispi_weight_draft draft;
    size_table(&made, &s, kernels);
    const wispi_weight_order *order =
        way == WISPI_ACROSS ? &made.kernels->across_order : &made.kernels->down_order;
    const size_t count = (size_t)line->count, starts = aligned(count * sizeof(int32_t));
    const size_t weights = aligned(count * (size_t)made.n_weights * sizeof(int32_t));
    const size_t bytes = starts + weights + (order->bytes ? order->bytes(&made) : 0);
    /* The block comes last: it takes the place of the table that the slot holds. */
    char *block = reserve_draft(&cache->draft, made.n_weights, &draft)
                      ? wispi_scratch_reserve(&cache->memory[slot], bytes)
                      : NULL;
    if (!block)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to resize %d pixels to %d", line->in,
                         line->out);
    weigh_line(&made, &s, &draft, (int32_t *)(void *)block, (int32_t *)(void *)(block + starts));
    if (order->write)
        order->write(&made, block + starts + weights);
    made.ordered = block + starts + weights;
    cache->table[slot] = made;
    return WISP_OK;
}

/* Small pictures crop to few sizes: each has its slot. Others share by what their sizes hash to.
 * Long lines, which do not come again, share one, so that it stays in the processor's cache. */
static size_t slot_of(const wispi_resample_line *line)
{
    uint32_t h = (uint32_t)line->in * 2654435761u + (uint32_t)line->out * 2246822519u +
                 (uint32_t)line->first * 3266489917u + (uint32_t)line->filter * 668265263u +
                 (uint32_t)line->mirrored;
    return line->in > WISPI_TABLE_SMALL_LINE ? 0 : 1 + (h ^ h >> 15) % (WISPI_TABLE_SLOTS / 2 - 1);
}

wisp_status wispi_table_get(wispi_table_cache *cache, const wispi_resample_kernels *kernels,
                            const wispi_resample_line *line, int32_t way,
                            const wispi_resample_table **table, wisp_error *err)
{
    if (wisp_filter_support(line->filter) == 0.0)
        return wisp_fail(err, WISP_E_INVALID, "unknown resampling filter %d", line->filter);
    if (line->in < 1 || line->out < 1 || line->count < 1 || line->first < 0 ||
        line->first > line->out - line->count)
        return wisp_fail(err, WISP_E_INVALID, "cannot resize %d pixels to pixels %d to %d of %d",
                         line->in, line->first, line->first + line->count, line->out);
    size_t slot = 2 * slot_of(line) + (size_t)(way & 1);
    if (memcmp(&cache->table[slot].line, line, sizeof *line) != 0)
        WISP_TRY(make_table(cache, kernels, line, way, slot, err));
    *table = &cache->table[slot];
    return WISP_OK;
}

void wispi_table_cache_free(wispi_table_cache *cache)
{
    for (size_t i = 0; i < WISPI_TABLE_SLOTS; i++)
        wispi_scratch_free(&cache->memory[i]);
    wispi_scratch_free(&cache->draft);
    memset(cache, 0, sizeof *cache);
}
