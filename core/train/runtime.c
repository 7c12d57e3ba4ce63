/* runtime.c - making and ending a runtime (wisp/runtime.h). */
#include "train/runtime_handle.h"

#include "base/log.h"
#include "base/memory.h"
#include "loader/containment.h"
#include "loader/host_table.h"
#include "nn/model.h"

const char *wisp_version(void)
{
    return WISP_VERSION;
}

static wisp_runtime_options read_options(const wisp_runtime_options *given)
{
    wisp_runtime_options options;
    wispi_read_sized(&options, sizeof options, given);
    if (!given)
        options.log_level = WISP_LOG_INFO;
    return options;
}

/* The tables that plugins may ask the host for by id (ABI-6); steps and builders carry them too. */
static wisp_status provide_tables(wisp_error *err)
{
    WISP_TRY(wispi_provide_extension("wisp.ops/0", wispi_ops_table(), err));
    return wispi_provide_extension("wisp.build/0", wispi_builder_interface(), err);
}

wisp_status wisp_runtime_create(const wisp_runtime_options *given, wisp_runtime **runtime,
                                wisp_error *err)
{
    const wisp_runtime_options options = read_options(given);
    const wispi_registry_options search = {options.plugin_folders, options.ignore_environment,
                                           options.allow_insecure_plugins};
    wisp_runtime *made = wispi_alloc(sizeof *made);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a runtime");
    wispi_log_set_level(options.log_level);
    wisp_status provided = provide_tables(err);
    if (provided != WISP_OK) {
        wispi_free(made);
        return provided;
    }
    wisp_status status = wispi_registry_create(&search, wispi_host_table(), &made->registry, err);
    if (status != WISP_OK) {
        wispi_free(made);
        return status;
    }
    if (options.fault_handler)
        wispi_install_fault_handler();
    *runtime = made;
    return WISP_OK;
}

void wisp_runtime_destroy(wisp_runtime *runtime)
{
    if (!runtime)
        return;
    wispi_registry_destroy(runtime->registry);
    wispi_free(runtime);
}

void wisp_runtime_free(char *text)
{
    wispi_free(text);
}

void wisp_runtime_stop(wisp_runtime *runtime)
{
    runtime->stop = 1;
}

wisp_status wispi_runtime_give(wispi_text *made, char **text, wisp_error *err)
{
    if (!made->failed && !made->data)
        wispi_text_append(made, "");
    if (made->failed) {
        wispi_text_free(made);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the result");
    }
    *text = made->data;
    return WISP_OK;
}

wisp_status wispi_runtime_start_pool(wispi_pool **pool, wisp_error *err)
{
    *pool = wispi_pool_create(0, err);
    if (!*pool)
        return err ? err->code : WISP_E_NOMEM;
    wispi_host_set_pool(*pool);
    return WISP_OK;
}

void wispi_runtime_stop_pool(wispi_pool *pool)
{
    wispi_host_set_pool(NULL);
    wispi_pool_destroy(pool);
}
