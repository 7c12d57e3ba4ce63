/* runtime_data.c - wisp_runtime_data_info of wisp/runtime.h. */
#include "base/memory.h"
#include "train/data_info.h"
#include "train/data_source.h"
#include "train/runtime_handle.h"

static wisp_status give_report(const wispi_data_info *info, int32_t format, char **text,
                               wisp_error *err)
{
    wispi_text out = {0};
    if (format == WISP_FORMAT_JSON)
        return wispi_data_info_json(info, text, err);
    wispi_data_info_text(info, &out);
    return wispi_runtime_give(&out, text, err);
}

static wisp_status look(const wispi_data_source *data, const wispi_data_info_request *request,
                        int32_t format, char **text, int64_t *n_broken, wisp_error *err)
{
    wispi_data_info *info = NULL;
    WISP_TRY(wispi_data_info_make(&data->instance, request, &info, err));
    wisp_status status = give_report(info, format, text, err);
    if (status == WISP_OK)
        *n_broken = wispi_data_info_broken(info);
    wispi_data_info_destroy(info);
    return status;
}

wisp_status wisp_runtime_data_info(wisp_runtime *runtime, const wisp_experiment_source *source,
                                   const wisp_data_info_options *options, int32_t format,
                                   char **text, int64_t *n_broken, wisp_error *err)
{
    wisp_data_info_options o;
    wispi_read_sized(&o, sizeof o, options);
    const wispi_data_request request = {source->path, o.use, source->overrides,
                                        source->n_overrides};
    wispi_data_source data = {0};
    wispi_pool *pool = NULL;
    runtime->stop = 0;
    WISP_TRY(wispi_runtime_start_pool(&pool, err));
    wisp_status status = wispi_data_source_open(runtime->registry, &request, &data, err);
    if (status == WISP_OK) {
        const wispi_data_info_request info = {source->path, pool, o.full, 0, &runtime->stop};
        status = look(&data, &info, format, text, n_broken, err);
    }
    wispi_data_source_close(&data);
    wispi_runtime_stop_pool(pool);
    return status;
}
