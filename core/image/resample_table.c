/* resample_table.c - filters, and the tables of weights made from them. */
#include "image/resample_table.h"

#include <math.h>
#include <string.h>

#include "wisp/sampler.h"

typedef struct filter {
    double support; /* half width at scale 1 */
    double (*at)(double x);
} filter;

static double bilinear_at(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Cubic convolution with a = -0.5. */
static double bicubic_at(double x)
{
    x = fabs(x);
    if (x < 1.0)
        return (1.5 * x - 2.5) * x * x + 1.0;
    if (x < 2.0)
        return -0.5 * (((x - 5.0) * x + 8.0) * x - 4.0);
    return 0.0;
}

static double sinc(double x)
{
    static const double pi = 3.14159265358979323846;
    return x == 0.0 ? 1.0 : sin(pi * x) / (pi * x);
}

static double lanczos_at(double x)
{
    return fabs(x) < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

static const filter *filter_of(int32_t kind)
{
    static const filter filters[] = {
        [WISP_FILTER_BICUBIC] = {2.0, bicubic_at},
        [WISP_FILTER_BILINEAR] = {1.0, bilinear_at},
        [WISP_FILTER_LANCZOS] = {3.0, lanczos_at},
    };
    return kind >= 0 && kind < (int32_t)(sizeof filters / sizeof *filters) ? &filters[kind] : NULL;
}

/* Fixed point, rounded half away from zero. */
static int32_t fixed_weight(double weight)
{
    double scaled = weight * (double)(1 << WISPI_WEIGHT_BITS);
    return (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

typedef struct stretch {
    const filter *filter;
    double scale;   /* source pixels per output pixel */
    double squeeze; /* what a distance in source pixels is multiplied by before the filter */
    double support; /* half width in source pixels */
} stretch;

static stretch stretch_of(const wispi_resample_line *line, const filter *f)
{
    double scale = (double)line->in / line->out;
    double widened = scale < 1.0 ? 1.0 : scale; /* enlarging does not narrow the filter */
    return (stretch){f, scale, 1.0 / widened, f->support * widened};
}

/* Weights of output pixel `x`; returns their number and the first source pixel. */
static int32_t weigh_pixel(const stretch *s, int32_t in, int64_t x, double *draft, int32_t *weights,
                           int32_t *start)
{
    double center = ((double)x + 0.5) * s->scale;
    int32_t low = (int32_t)(center - s->support + 0.5), high = (int32_t)(center + s->support + 0.5);
    low = low < 0 ? 0 : low;
    high = high > in ? in : high;
    double sum = 0.0;
    for (int32_t i = low; i < high; i++) {
        draft[i - low] = s->filter->at((i - center + 0.5) * s->squeeze);
        sum += draft[i - low];
    }
    for (int32_t i = low; i < high; i++)
        weights[i - low] = fixed_weight(sum != 0.0 ? draft[i - low] / sum : draft[i - low]);
    *start = low;
    return high - low;
}

static wisp_status make_table(wispi_resample_table *table, wispi_scratch *memory,
                              wispi_scratch *draft, const wispi_resample_line *line,
                              const filter *f, wisp_error *err)
{
    stretch s = stretch_of(line, f);
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
        taps[i] =
            weigh_pixel(&s, line->in, line->first + (int64_t)i, weights, fixed + i * n, &start[i]);
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
    const filter *f = filter_of(line->filter);
    if (!f)
        return wisp_fail(err, WISP_E_INVALID, "unknown resampling filter %d", line->filter);
    if (line->in < 1 || line->out < 1 || line->count < 1 || line->first < 0 ||
        line->first > line->out - line->count)
        return wisp_fail(err, WISP_E_INVALID, "cannot resize %d pixels to pixels %d to %d of %d",
                         line->in, line->first, line->first + line->count, line->out);
    size_t slot = 2 * slot_of(line) + (size_t)(way & 1);
    wispi_resample_table *held = &cache->table[slot];
    if (memcmp(&held->line, line, sizeof *line) != 0)
        WISP_TRY(make_table(held, &cache->memory[slot], &cache->draft, line, f, err));
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
