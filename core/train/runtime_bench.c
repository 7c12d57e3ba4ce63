/* runtime_bench.c - wisp_runtime_bench_views of wisp/runtime.h. */
#include <math.h>

#include "base/memory.h"
#include "train/runtime_handle.h"
#include "train/view_bench.h"

static wisp_status check_options(const wisp_bench_views_options *o, wisp_error *err)
{
    if (o->workers < -1 || o->workers > 1024)
        return wisp_fail(err, WISP_E_INVALID,
                         "%d workers; 0 to 1024 are possible, or -1 for what the experiment says",
                         o->workers);
    if (!(o->seconds > 0 && o->seconds <= 1e6))
        return wisp_fail(err, WISP_E_INVALID,
                         "cannot measure for %g seconds; above 0 and up to a million are possible",
                         o->seconds);
    return WISP_OK;
}

static wisp_status bench(wisp_runtime *runtime, const wispi_experiment *experiment,
                         const wisp_bench_views_options *options, const char *source,
                         int32_t format, char **text, wisp_error *err)
{
    const wispi_view_bench_request request = {options->workers, options->in_memory,
                                              options->seconds, &runtime->stop};
    wispi_view_bench result;
    WISP_TRY(wispi_view_bench_run(experiment, &request, &result, err));
    return (format == WISP_FORMAT_JSON ? wispi_view_bench_json
                                       : wispi_view_bench_text)(&result, source, text, err);
}

wisp_status wisp_runtime_bench_views(wisp_runtime *runtime, const wisp_experiment_source *source,
                                     const wisp_bench_views_options *options, int32_t format,
                                     char **text, wisp_error *err)
{
    wispi_experiment *experiment = NULL;
    wisp_bench_views_options o;
    wispi_read_sized(&o, sizeof o, options);
    runtime->stop = 0;
    WISP_TRY(check_options(&o, err));
    WISP_TRY(wispi_experiment_load_views(runtime->registry, source->path, o.use, source->overrides,
                                         source->n_overrides, &experiment, err));
    wisp_status status = bench(runtime, experiment, &o, source->path, format, text, err);
    wispi_experiment_destroy(experiment);
    return status;
}
