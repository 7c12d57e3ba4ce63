/* resample_table.c - tables of weights, made and remembered. */
#include "image/resample_table.h"

#include <math.h>
#include <string.h>

#include "wisp/pixel_math.h"

/* Weights of output pixel `x`; returns their number and the first source pixel. */
static int32_t weigh_pixel(const wisp_stretch *s, int64_t x, double *draft, int32_t *weights,
                           int32_t *start)
{
    wisp_taps taps = wisp_taps_of(s, x);
    double sum = 0.0;
    for (int32_t i = 0; i < taps.count; i++) {
        draft[i] = wisp_tap_weight(s, &taps, i);
        sum += draft[i];
    }
    for (int32_t i = 0; i < taps.count; i++)
        weights[i] = wisp_fixed_weight(draft[i], sum);
    *start = taps.first;
    return taps.count;
}

static wisp_status make_table(wispi_resample_table *table, wispi_scratch *memory,
                              wispi_scratch *draft, const wispi_resample_line *line,
                              wisp_error *err)
{
    wisp_stretch s = wisp_stretch_of(line->in, line->out, line->filter);
    double widest = ceil(s.support) * 2.0 + 1.0;
    size_t n = widest < line->in ? (size_t)widest : (size_t)line->in, count = (size_t)line->count;
    /* The block comes last: it takes the place of the table that the slot holds. */
    double *weights = wispi_scratch_reserve(draft, n * sizeof *weights);
    int32_t *block =
        weights ? wispi_scratch_reserve(memory, (2 + n) * count * sizeof *block) : NULL;
    if (!block)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to resize %d pixels to %d", line->in,
                         line->out);
    int32_t *start = block, *taps = block + count, *fixed = block + 2 * count;
    memset(fixed, 0, n * count * sizeof *fixed);
    for (size_t i = 0; i < count; i++)
        taps[i] = weigh_pixel(&s, line->first + (int64_t)i, weights, fixed + i * n, &start[i]);
    *table = (wispi_resample_table){*line, (int32_t)n, start, taps, fixed};
    return WISP_OK;
}

/* Small pictures crop to few sizes: each has its slot. Others share by what their sizes hash to. */
static size_t slot_of(const wispi_resample_line *line)
{
    uint32_t h = (uint32_t)line->in * 2654435761u + (uint32_t)line->out * 2246822519u +
                 (uint32_t)line->first * 3266489917u + (uint32_t)line->filter * 668265263u;
    return (h ^ h >> 15) % (WISPI_TABLE_SLOTS / 2);
}

wisp_status wispi_table_get(wispi_table_cache *cache, const wispi_resample_line *line, int32_t way,
                            const wispi_resample_table **table, wisp_error *err)
{
    if (wisp_filter_support(line->filter) == 0.0)
        return wisp_fail(err, WISP_E_INVALID, "unknown resampling filter %d", line->filter);
    if (line->in < 1 || line->out < 1 || line->count < 1 || line->first < 0 ||
        line->first > line->out - line->count)
        return wisp_fail(err, WISP_E_INVALID, "cannot resize %d pixels to pixels %d to %d of %d",
                         line->in, line->first, line->first + line->count, line->out);
    size_t slot = 2 * slot_of(line) + (size_t)(way & 1);
    wispi_resample_table *held = &cache->table[slot];
    if (memcmp(&held->line, line, sizeof *line) != 0)
        WISP_TRY(make_table(held, &cache->memory[slot], &cache->draft, line, err));
    *table = held;
    return WISP_OK;
}

void wispi_table_cache_free(wispi_table_cache *cache)
{
    for (size_t i = 0; i < WISPI_TABLE_SLOTS; i++)
        wispi_scratch_free(&cache->memory[i]);
    wispi_scratch_free(&cache->draft);
    memset(cache, 0, sizeof *cache);
}
