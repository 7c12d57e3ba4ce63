/* runtime_views.c - views of wisp/runtime.h. */
#include "base/file.h"
#include "base/memory.h"
#include "report/view_sheet.h"
#include "train/json_text.h"
#include "train/runtime_handle.h"

enum { USUAL_IMAGES = 6, MOST_SAMPLES = 10000000 };

/* All that is opened for one call. */
typedef struct call {
    wisp_runtime *runtime;
    wisp_views_options options;
    const char *names[WISPI_MOST_ARMS];
    wispi_experiment *experiments[WISPI_MOST_ARMS];
    int32_t n;
    wispi_views views;
} call;

/* What a caller built from older headers does not have reads as zero (ABI-4). */
static wisp_views_options read_options(const wisp_views_options *given)
{
    wisp_views_options options;
    wispi_read_sized(&options, sizeof options, given);
    if (options.images == 0)
        options.images = USUAL_IMAGES;
    return options;
}

static wisp_status check_options(const wisp_views_options *o, wisp_error *err)
{
    if (o->images < 1 || o->images > WISPI_MOST_SHOWN)
        return wisp_fail(err, WISP_E_INVALID, "%d images; 1 to %d fit on a sheet", o->images,
                         WISPI_MOST_SHOWN);
    if (o->samples < 0 || o->samples > MOST_SAMPLES)
        return wisp_fail(err, WISP_E_INVALID, "%lld samples; 1 to %d are possible",
                         (long long)o->samples, MOST_SAMPLES);
    if (o->n_others < 0 || o->n_others > WISPI_MOST_ARMS - 1)
        return wisp_fail(err, WISP_E_INVALID, "%d experiments; 1 to %d stand side by side",
                         o->n_others + 1, WISPI_MOST_ARMS);
    return WISP_OK;
}

static wisp_status open_experiments(call *c, const wisp_experiment_source *source, wisp_error *err)
{
    for (int32_t i = 0; i <= c->options.n_others; i++) {
        c->names[i] = i == 0 ? source->path : c->options.others[i - 1];
        WISP_TRY(wispi_experiment_load_views(c->runtime->registry, c->names[i], c->options.use,
                                             source->overrides, source->n_overrides,
                                             &c->experiments[i], err));
        c->n = i + 1;
    }
    return WISP_OK;
}

static wisp_status make_views(call *c, wisp_error *err)
{
    const wispi_views_request request = {.experiments =
                                             (const wispi_experiment *const *)c->experiments,
                                         .names = c->names,
                                         .n = c->n,
                                         .plans = c->options.samples,
                                         .stop = &c->runtime->stop};
    return wispi_views_make(&request, &c->views, err);
}

static wisp_status draw_sheet(const call *c, wisp_error *err)
{
    const wispi_sheet_request request = {
        .views = &c->views, .images = c->options.images, .stop = &c->runtime->stop};
    uint8_t *png = NULL;
    size_t bytes = 0;
    if (!c->options.file)
        return WISP_OK;
    WISP_TRY(wispi_view_sheet_png(&request, &png, &bytes, err));
    const wisp_status status = wispi_file_replace(c->options.file, png, bytes, err);
    wispi_free(png);
    return status;
}

static wisp_status tell_text(const call *c, char **text, wisp_error *err)
{
    wispi_text out = {0};
    wispi_views_text(&c->views, &out);
    if (c->options.file)
        wispi_text_printf(&out, "\nsheet: %s\n", c->options.file);
    return wispi_runtime_give(&out, text, err);
}

static wisp_status tell_json(const call *c, char **text, wisp_error *err)
{
    json_t *all = wispi_views_json(&c->views);
    if (all)
        json_object_set_new(all, "sheet", wispi_json_string(c->options.file));
    return wispi_json_give(all, text, err);
}

static wisp_status run(call *c, const wisp_experiment_source *source, int32_t format, char **text,
                       wisp_error *err)
{
    WISP_TRY(check_options(&c->options, err));
    WISP_TRY(open_experiments(c, source, err));
    WISP_TRY(make_views(c, err));
    WISP_TRY(draw_sheet(c, err));
    return format == WISP_FORMAT_JSON ? tell_json(c, text, err) : tell_text(c, text, err);
}

wisp_status wisp_runtime_views(wisp_runtime *runtime, const wisp_experiment_source *source,
                               const wisp_views_options *options, int32_t format, char **text,
                               wisp_error *err)
{
    call c = {.runtime = runtime, .options = read_options(options)};
    runtime->stop = 0;
    const wisp_status status = run(&c, source, format, text, err);
    wispi_views_free(&c.views);
    for (int32_t i = 0; i < c.n; i++)
        wispi_experiment_destroy(c.experiments[i]);
    return status;
}
