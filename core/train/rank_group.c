#include "train/rank_group.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "loader/containment.h"
#include "train/device_choice.h"

enum { HOST_NAME = 256, NOTE = 600, MOST_TEXT = 1 << 22 };

/* --- joining --- */

static int32_t count_in(const char *variable)
{
    const char *text = getenv(variable);
    char *end = NULL;
    const long n = text ? strtol(text, &end, 10) : 0;
    return text && end != text && *end == '\0' && n > 0 && n < 1 << 24 ? (int32_t)n : 0;
}

/* How many processes the launcher says that it started; 0: there is no launcher. */
static int32_t launched(const char *const *names, size_t n, const char **variable)
{
    for (size_t i = 0; i < n; i++) {
        *variable = names[i];
        if (count_in(names[i]) > 0)
            return count_in(names[i]);
    }
    *variable = "";
    return 0;
}

/* MPI knows nothing of a launcher that sets WORLD_SIZE alone. */
static int32_t launched_for(const char *comm, const char **variable)
{
    static const char *const names[] = {"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE",
                                        "SLURM_STEP_NUM_TASKS"};
    const size_t skipped = strcmp(comm, "mpi") == 0;
    return launched(names + skipped, WISP_COUNT(names) - skipped, variable);
}

static wisp_status check_launcher(const char *comm, int32_t n, wisp_error *err)
{
    if (strcmp(comm, "mpi") != 0 || n > 0 || count_in("WORLD_SIZE") < 2)
        return WISP_OK;
    return wisp_fail(err, WISP_E_CONFIG,
                     "WORLD_SIZE is %d, but no MPI launcher started this process, and on the CPU "
                     "ranks meet by MPI: start the run by `mpirun -np %d wisp run ...` or by srun, "
                     "or train alone with run.comm=none",
                     (int)count_in("WORLD_SIZE"), (int)count_in("WORLD_SIZE"));
}

/* NCCL where the run will be on the backend cuda. What is wrong with the device is said later. */
static const char *usual_comm(const wispi_experiment *x)
{
    wispi_instance backend = {0};
    wisp_error unused = {0};
    int32_t index = 0;
    const int32_t level = wispi_log_level();
    if (strcmp(x->run.device, "auto") != 0)
        return strncmp(x->run.device, "cuda", 4) == 0 ? "nccl" : "mpi";
    wispi_log_set_level(WISP_LOG_ERROR); /* whoever opens the device says all this again */
    const wisp_status status =
        wispi_device_choose(x->registry, wispi_config_arena(x->config),
                            "run.device =", x->run.device, NULL, &backend, &index, &unused);
    wispi_log_set_level(level);
    if (status != WISP_OK)
        return "mpi";
    const int is_cuda = strcmp(backend.plugin->descriptor->name, "cuda") == 0;
    wispi_instance_destroy(&backend);
    return is_cuda ? "nccl" : "mpi";
}

static wisp_status load_comm(const wispi_experiment *x, wispi_rank_group *g, const char *name,
                             wisp_error *err)
{
    wisp_error cause = {0};
    const wisp_status status = wispi_instance_named(
        x->registry, "comm", name, wispi_config_arena(x->config), &g->instance, &cause);
    if (status == WISP_OK)
        return WISP_OK;
    return wisp_fail(err, status, "run.comm = \"%s\": %s", x->run.comm, cause.message);
}

/* all_gather of the host's memory. */
static wisp_status share(const wispi_ranks *r, const void *own, void *all, size_t bytes,
                         wisp_error *err)
{
    return r->comm->host_all_gather ? r->comm->host_all_gather(r->self, own, all, bytes, err)
                                    : r->comm->all_gather(r->self, own, all, bytes, err);
}

static wisp_status count_neighbours(wispi_ranks *r, wisp_error *err)
{
    char own[HOST_NAME] = "";
    char *all = wispi_alloc((size_t)r->size * HOST_NAME);
    if (!all)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names of the ranks' machines");
    gethostname(own, sizeof own - 1);
    const wisp_status status = share(r, own, all, sizeof own, err);
    r->on_machine = 0;
    for (int32_t i = 0; i < r->size; i++)
        r->on_machine += memcmp(all + (size_t)i * HOST_NAME, own, sizeof own) == 0;
    wispi_free(all);
    return status;
}

static wisp_status open_comm(wispi_rank_group *g, wisp_error *err)
{
    wispi_ranks *r = &g->ranks;
    uint32_t bytes;
    wisp_status status;
    memcpy(&bytes, g->instance.plugin->descriptor->vtable, sizeof bytes);
    memcpy(&g->table, g->instance.plugin->descriptor->vtable,
           bytes < sizeof g->table ? bytes : sizeof g->table);
    r->comm = &g->table;
    r->self = g->instance.self;
    WISPI_CALL(status, g->instance.plugin, "open", err,
               r->comm->open(r->self, &r->rank, &r->size, &r->local, err));
    if (status != WISP_OK)
        r->comm = NULL;
    return status;
}

static wisp_status check_size(const wispi_rank_group *g, int32_t n, const char *variable,
                              wisp_error *err)
{
    if (n < 2 || g->ranks.size == n)
        return WISP_OK;
    return wisp_fail(err, WISP_E_CONFIG,
                     "%s says that %d processes were started, and %s found %d: launcher and MPI do "
                     "not belong together; use this MPI's own mpirun, or srun --mpi=pmix",
                     variable, (int)n,
                     strcmp(g->instance.plugin->descriptor->name, "mpi") == 0
                         ? "MPI"
                         : g->instance.plugin->descriptor->name,
                     (int)g->ranks.size);
}

wisp_status wispi_rank_group_join(wispi_experiment *x, wispi_rank_group *g, wisp_error *err)
{
    const char *variable = "", *name = x->run.comm;
    g->ranks = (wispi_ranks){.size = 1, .on_machine = 1};
    if (strcmp(name, "none") == 0)
        return WISP_OK;
    const int is_auto = strcmp(name, "auto") == 0;
    if (is_auto && launched_for("", &variable) < 2)
        return WISP_OK;
    name = is_auto ? usual_comm(x) : name;
    const int32_t n = launched_for(name, &variable);
    WISP_TRY(check_launcher(name, n, err));
    if (is_auto && n < 2)
        return WISP_OK;
    WISP_TRY(load_comm(x, g, name, err));
    WISP_TRY(open_comm(g, err));
    WISP_TRY(check_size(g, n, variable, err));
    if (g->ranks.size < 2)
        return WISP_OK;
    if (strcmp(g->ranks.comm->memory_kind, "host") != 0 &&
        !(g->ranks.comm->attach && g->ranks.comm->host_all_gather &&
          g->ranks.comm->host_broadcast && g->ranks.comm->start_all_reduce && g->ranks.comm->wait))
        return wisp_fail(err, WISP_E_ABI,
                         "run.comm = \"%s\" works on memory of %s, but lacks attach, "
                         "host_all_gather, host_broadcast, start_all_reduce or wait",
                         x->run.comm, g->ranks.comm->memory_kind);
    g->ranks.bucket_bytes = (int64_t)(x->run.bucket_mb * (1 << 20));
    x->ranks = &g->ranks;
    if (g->ranks.rank > 0 && wispi_log_level() > WISP_LOG_WARNING)
        wispi_log_set_level(WISP_LOG_WARNING); /* what all have to tell, the first one tells */
    return count_neighbours(&g->ranks, err);
}

void wispi_rank_group_leave(wispi_rank_group *g, wisp_status status, const wisp_error *err)
{
    if (g->ranks.comm) {
        if (status != WISP_OK && g->ranks.size > 1 && !g->is_agreed) {
            wispi_log(WISP_LOG_ERROR, "rank %d of %d failed and ends the others: %s",
                      (int)g->ranks.rank, (int)g->ranks.size,
                      err && err->message[0] ? err->message : wisp_status_text(status));
            g->ranks.comm->abandon(g->ranks.self, 1);
        }
        g->ranks.comm->close(g->ranks.self);
    }
    wispi_instance_destroy(&g->instance);
    memset(g, 0, sizeof *g);
}

/* --- the first rank's word --- */

wisp_status wispi_rank_group_tell(const wispi_rank_group *g, void *data, size_t bytes,
                                  wisp_error *err)
{
    const wispi_ranks *r = &g->ranks;
    if (r->size < 2)
        return WISP_OK;
    return r->comm->host_broadcast ? r->comm->host_broadcast(r->self, data, bytes, 0, err)
                                   : r->comm->broadcast(r->self, data, bytes, 0, err);
}

wisp_status wispi_rank_group_follow(wispi_rank_group *g, wisp_status status, wisp_error *err)
{
    const wispi_ranks *r = &g->ranks;
    wisp_error told = {0}, cause = {0};
    const int first = wispi_rank_group_is_first(g);
    if (r->size < 2 || (status != WISP_OK && !first))
        return status;
    if (status != WISP_OK && err)
        told = *err;
    told.code = status;
    WISP_TRY(r->comm->barrier(r->self, first && status != WISP_OK ? &cause : err));
    WISP_TRY(wispi_rank_group_tell(g, &told, sizeof told, err));
    if (told.code == WISP_OK)
        return WISP_OK;
    g->is_agreed = 1;
    if (err)
        *err = told;
    return told.code;
}

wisp_status wispi_rank_group_average(const wispi_rank_group *g, float *values, int64_t n,
                                     wisp_error *err)
{
    const wispi_ranks *r = &g->ranks;
    if (r->size < 2)
        return WISP_OK;
    float *all = wispi_alloc((size_t)(n * r->size) * sizeof *all);
    if (!all)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the values of all ranks");
    const wisp_status status = share(r, values, all, (size_t)n * sizeof *all, err);
    for (int64_t i = 0; status == WISP_OK && i < n; i++) {
        double sum = 0;
        for (int32_t rank = 0; rank < r->size; rank++)
            sum += all[rank * n + i];
        values[i] = (float)(sum / r->size);
    }
    wispi_free(all);
    return status;
}

/* --- comparing --- */

/* A line, and the table that it stands in. */
typedef struct place {
    const char *line, *table;
    int length, table_length;
} place;

static const char *next_line(place *p, const char *text)
{
    p->line = text;
    p->length = (int)strcspn(text, "\n");
    if (*text == '[') {
        p->table = text;
        p->table_length = p->length;
    }
    return text + p->length + (text[p->length] == '\n');
}

/* The first line that differs, in words; 0: none does. */
static int differ(const char *first, const char *own, int32_t rank, char note[NOTE])
{
    place a = {"", "", 0, 0}, b = a;
    while (*first || *own) {
        first = next_line(&a, first);
        own = next_line(&b, own);
        if (a.length == b.length && memcmp(a.line, b.line, (size_t)a.length) == 0)
            continue;
        const place *at = a.length ? &a : &b;
        snprintf(note, NOTE, "%.*s rank 0 has `%.*s`, rank %d `%.*s`",
                 at->table_length > 60 ? 60 : at->table_length, at->table,
                 a.length > 200 ? 200 : a.length, a.line, (int)rank,
                 b.length > 200 ? 200 : b.length, b.line);
        return 1;
    }
    return 0;
}

static wisp_status share_notes(wispi_rank_group *g, const char *note, wisp_error *err)
{
    const wispi_ranks *r = &g->ranks;
    char *all = wispi_alloc((size_t)r->size * NOTE);
    if (!all)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare the ranks");
    wisp_status status = share(r, note, all, NOTE, err);
    for (int32_t i = 0; status == WISP_OK && i < r->size; i++) {
        if (!all[(size_t)i * NOTE])
            continue;
        g->is_agreed = 1;
        status = wisp_fail(err, WISP_E_CONFIG,
                           "the ranks do not train the same run: in %s; start them all with the "
                           "same experiment, program, plugins and data",
                           &all[(size_t)i * NOTE]);
    }
    wispi_free(all);
    return status;
}

wisp_status wispi_rank_group_compare(wispi_rank_group *g, const char *text, wisp_error *err)
{
    char note[NOTE] = "";
    int64_t bytes = (int64_t)strlen(text) + 1;
    if (g->ranks.size < 2)
        return WISP_OK;
    WISP_TRY(wispi_rank_group_tell(g, &bytes, sizeof bytes, err));
    char *first = bytes > 0 && bytes < MOST_TEXT ? wispi_alloc((size_t)bytes) : NULL;
    if (!first)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare the ranks");
    if (wispi_rank_group_is_first(g))
        memcpy(first, text, (size_t)bytes);
    wisp_status status = wispi_rank_group_tell(g, first, (size_t)bytes, err);
    if (status == WISP_OK) {
        first[bytes - 1] = '\0';
        differ(first, text, g->ranks.rank, note);
        status = share_notes(g, note, err);
    }
    wispi_free(first);
    return status;
}
