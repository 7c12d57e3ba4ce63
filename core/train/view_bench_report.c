/* view_bench_report.c - a measurement of views for people and as JSON. */
#include "base/cpu_level.h"
#include "base/text.h"
#include "train/json_text.h"
#include "train/runtime_handle.h"
#include "train/view_bench.h"

static const char *const phase_names[WISPI_PHASES] = {"read",   "decode",    "plan", "resample",
                                                      "pixels", "normalise", "other"};

/* What both forms of the report are made of. */
typedef struct rates {
    double images, per_core, views, megapixels; /* a second */
    double busy;                                /* seconds of all workers */
    double idle;                                /* share of the workers' time without work */
    double outside, outside_strict;             /* shares of busy time; see below */
} rates;

/* Outside of decoding, resampling and photometric work. Normalising is the last step of the
 * photometric chain, so it counts as that; the strict share counts it as outside. */
static void find_shares(const wispi_view_bench *b, rates *r)
{
    const double *s = b->times.seconds;
    const double core = s[WISPI_PHASE_DECODE] + s[WISPI_PHASE_RESAMPLE] + s[WISPI_PHASE_PIXELS];
    for (int32_t i = 0; i < WISPI_PHASES; i++)
        r->busy += s[i];
    const double busy = r->busy > 0 ? r->busy : 1;
    r->outside_strict = (r->busy - core) / busy;
    r->outside = (r->busy - core - s[WISPI_PHASE_NORMALISE]) / busy;
    const double all = b->seconds * (b->workers > 0 ? b->workers : 1);
    r->idle = all > r->busy ? 1 - r->busy / all : 0;
}

static rates rates_of(const wispi_view_bench *b)
{
    rates r = {0};
    const int32_t wanted = b->workers > 0 ? b->workers : 1;
    const int32_t cores = wanted < b->processors ? wanted : b->processors;
    double views = 0, pixels = 0;
    for (int32_t g = 0; g < b->n_groups; g++) {
        views += b->groups[g].count;
        pixels += (double)b->groups[g].count * b->groups[g].width * b->groups[g].height;
    }
    r.images = b->seconds > 0 ? (double)b->times.samples / b->seconds : 0;
    r.per_core = r.images / cores;
    r.views = r.images * views;
    r.megapixels = r.images * pixels * 1e-6;
    find_shares(b, &r);
    return r;
}

static double per_image(const wispi_view_bench *b, double seconds)
{
    return b->times.samples > 0 ? 1e3 * seconds / (double)b->times.samples : 0;
}

static const char *dtype_name(const wispi_view_bench *b)
{
    return b->as_bytes ? "u8" : b->dtype == WISP_BF16 ? "bf16" : "f32";
}

static void add_head(wispi_text *t, const wispi_view_bench *b, const char *source)
{
    wispi_text_printf(t, "%s: %lld images", source, (long long)b->images);
    if (b->loaded > 0)
        wispi_text_printf(t, " in memory, %.1f MiB", (double)b->loaded / (1 << 20));
    wispi_text_append(t, b->as_bytes   ? "; a device normalises\n"
                         : b->as_plans ? "; pictures and plans for a device\n"
                                       : "\n");
    for (int32_t g = 0; g < b->n_groups; g++)
        wispi_text_printf(t, "%s%d x %d x %d px", g ? " + " : "views ", b->groups[g].count,
                          b->groups[g].width, b->groups[g].height);
    wispi_text_printf(t, ", %s, batch %lld, %d ahead\n", dtype_name(b), (long long)b->batch,
                      b->ahead);
    wispi_text_printf(t, "%d worker%s on %d processor%s, vector code %s, %.1f s\n\n", b->workers,
                      b->workers == 1 ? "" : "s", b->processors, b->processors == 1 ? "" : "s",
                      wispi_cpu_level_name(wispi_cpu_level()), b->seconds);
}

static void add_rates(wispi_text *t, const wispi_view_bench *b, const rates *r)
{
    wispi_text_printf(t, "source images/s %9.1f\n", r->images);
    wispi_text_printf(t, "  for each core %9.1f\n", r->per_core);
    wispi_text_printf(t, "views/s         %9.1f\n", r->views);
    wispi_text_printf(t, "megapixels/s    %9.2f\n", r->megapixels);
    wispi_text_printf(t, "peak memory MiB %9.1f\n\n", b->peak_mib);
}

static void add_phases(wispi_text *t, const wispi_view_bench *b, const rates *r)
{
    wispi_text_append(t, "phase       ms/image      %\n");
    for (int32_t i = 0; i < WISPI_PHASES; i++)
        wispi_text_printf(t, "%-10s %9.4f  %5.1f\n", phase_names[i],
                          per_image(b, b->times.seconds[i]),
                          r->busy > 0 ? 100 * b->times.seconds[i] / r->busy : 0);
    wispi_text_printf(t, "%-10s %9.4f  100.0\n\n", "all", per_image(b, r->busy));
    wispi_text_printf(t,
                      "outside of decode, resample and photometric work: %.1f %%, with normalise "
                      "%.1f %%\nworkers without work: %.1f %% of the time\n",
                      100 * r->outside, 100 * r->outside_strict, 100 * r->idle);
}

wisp_status wispi_view_bench_text(const wispi_view_bench *b, const char *source, char **text,
                                  wisp_error *err)
{
    const rates r = rates_of(b);
    wispi_text t = {0};
    add_head(&t, b, source);
    add_rates(&t, b, &r);
    add_phases(&t, b, &r);
    return wispi_runtime_give(&t, text, err);
}

static json_t *groups_json(const wispi_view_bench *b)
{
    json_t *list = json_array();
    for (int32_t g = 0; g < b->n_groups; g++)
        json_array_append_new(
            list, json_pack("{s:o, s:i, s:i, s:i}", "name", wispi_json_string(b->groups[g].name),
                            "count", (int)b->groups[g].count, "width", (int)b->groups[g].width,
                            "height", (int)b->groups[g].height));
    return list;
}

static json_t *phases_json(const wispi_view_bench *b, const rates *r)
{
    json_t *table = json_object();
    for (int32_t i = 0; i < WISPI_PHASES; i++)
        json_object_set_new(table, phase_names[i],
                            json_pack("{s:f, s:f}", "ms", per_image(b, b->times.seconds[i]),
                                      "share", r->busy > 0 ? b->times.seconds[i] / r->busy : 0));
    return table;
}

static json_t *rates_json(const wispi_view_bench *b, const rates *r)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "images_per_s", r->images,
                     "images_per_s_per_core", r->per_core, "views_per_s", r->views,
                     "megapixels_per_s", r->megapixels, "ms_per_image", per_image(b, r->busy),
                     "outside", r->outside, "outside_with_normalise", r->outside_strict, "idle",
                     r->idle, "peak_memory_mib", b->peak_mib);
}

wisp_status wispi_view_bench_json(const wispi_view_bench *b, const char *source, char **text,
                                  wisp_error *err)
{
    const rates r = rates_of(b);
    json_t *report = rates_json(b, &r);
    json_t *facts = json_pack(
        "{s:o, s:I, s:I, s:I, s:s, s:b, s:b, s:i, s:i, s:i, s:s, s:f, s:o, s:o}", "source",
        wispi_json_string(source), "images", (json_int_t)b->images, "measured_images",
        (json_int_t)b->times.samples, "bytes_in_memory", (json_int_t)b->loaded, "dtype",
        dtype_name(b), "as_plans", (int)b->as_plans, "as_bytes", (int)b->as_bytes, "workers",
        (int)b->workers, "processors", (int)b->processors, "ahead", (int)b->ahead, "vector_code",
        wispi_cpu_level_name(wispi_cpu_level()), "seconds", b->seconds, "groups", groups_json(b),
        "phases", phases_json(b, &r));
    if (!report || !facts || json_object_update(report, facts) != 0) {
        json_decref(report);
        report = NULL;
    }
    json_decref(facts);
    return wispi_json_give(report, text, err);
}
