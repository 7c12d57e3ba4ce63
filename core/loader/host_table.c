#include "loader/host_table.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "loader/containment.h"

enum { MAX_EXTENSIONS = 32 };

typedef struct extension {
    const char *id;
    const void *table;
} extension;

static struct {
    extension extensions[MAX_EXTENSIONS];
    int32_t n_extensions;
    wispi_pool *pool;
} state;

static const void *get_extension(const wisp_host *host, const char *id)
{
    (void)host;
    for (int32_t i = 0; id && i < state.n_extensions; i++)
        if (strcmp(state.extensions[i].id, id) == 0)
            return state.extensions[i].table;
    return NULL;
}

wisp_status wispi_provide_extension(const char *id, const void *table, wisp_error *err)
{
    for (int32_t i = 0; i < state.n_extensions; i++) {
        if (strcmp(state.extensions[i].id, id) == 0) {
            state.extensions[i].table = table;
            return WISP_OK;
        }
    }
    if (state.n_extensions == MAX_EXTENSIONS)
        return wisp_fail(err, WISP_E_INTERNAL, "no room for extension %s", id);
    state.extensions[state.n_extensions++] = (extension){id, table};
    return WISP_OK;
}

static void *host_alloc(const wisp_host *host, size_t bytes)
{
    (void)host;
    return wispi_alloc(bytes);
}

static void host_free(const wisp_host *host, void *memory)
{
    (void)host;
    wispi_free(memory);
}

static void host_log(const wisp_host *host, int32_t level, const char *line)
{
    const char *plugin = wispi_mark_current().plugin;
    (void)host;
    if (level == WISP_LOG_PLUGIN_MISBEHAVING)
        wispi_log(WISP_LOG_ERROR, "plugin %s misbehaves: %s", plugin ? plugin : "?", line);
    else if (plugin)
        wispi_log(level, "%s: %s", plugin, line);
    else
        wispi_log(level, "%s", line);
}

static void host_parallel_for(const wisp_host *host, int64_t n, int64_t grain,
                              void (*body)(void *user, int64_t first, int64_t last), void *user)
{
    (void)host;
    if (state.pool)
        wispi_pool_for(state.pool, n, grain, body, user);
    else if (n > 0)
        body(user, 0, n);
}

static int32_t host_n_threads(const wisp_host *host)
{
    (void)host;
    return state.pool ? wispi_pool_size(state.pool) : 1;
}

void wispi_host_set_pool(wispi_pool *pool)
{
    state.pool = pool;
}

const wisp_host *wispi_host_table(void)
{
    static const wisp_host table = {
        .struct_size = sizeof table,
        .abi_major = WISP_ABI_MAJOR,
        .abi_minor = WISP_ABI_MINOR,
        .version = WISP_VERSION,
        .get_extension = get_extension,
        .alloc = host_alloc,
        .free = host_free,
        .log = host_log,
        .parallel_for = host_parallel_for,
        .n_threads = host_n_threads,
    };
    return &table;
}
