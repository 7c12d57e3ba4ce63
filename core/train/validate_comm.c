/* validate_comm.c - communicators, on one rank: what only several can show is left to runs. */
#include <string.h>

#include "loader/containment.h"
#include "train/validate_kinds.h"
#include "wisp/comm.h"

enum { VALUES = 7 };

static const wisp_comm_v0 *table_of(const wispi_subject *s)
{
    return s->instance.plugin->descriptor->vtable;
}

/* 1: it is open, alone, and works on the host's memory. Otherwise the trial is decided. */
static int begin(wispi_trial *t, wispi_subject *s)
{
    const wisp_comm_v0 *comm;
    int32_t rank = -1, size = -1, local = -1;
    wisp_error err = {0};
    wisp_status status;
    if (!wispi_trial_create(t, s))
        return 0;
    comm = table_of(s);
    if (strcmp(comm->memory_kind, "host") != 0) {
        wispi_trial_skip(t, "it works on memory of %s, between ranks that have a device each",
                         comm->memory_kind);
        wispi_subject_destroy(s);
        return 0;
    }
    WISPI_CALL(status, s->instance.plugin, "open", &err,
               comm->open(s->instance.self, &rank, &size, &local, &err));
    if (status != WISP_OK)
        wispi_trial_skip(t, "it cannot be started alone: %s", err.message);
    else if (size < 1 || rank < 0 || rank >= size || local < 0)
        wispi_trial_fail(t, "open(): rank %d of %d, %d on its machine", rank, size, local);
    else if (size > 1)
        wispi_trial_skip(t, "there are %d ranks: start wisp validate without a launcher", size);
    if (!wispi_trial_is_decided(t))
        return 1;
    if (status == WISP_OK)
        WISPI_VISIT(s->instance.plugin, "close", comm->close(s->instance.self));
    wispi_subject_destroy(s);
    return 0;
}

static void end(wispi_subject *s)
{
    WISPI_VISIT(s->instance.plugin, "close", table_of(s)->close(s->instance.self));
    wispi_subject_destroy(s);
}

/* What is one rank's own comes back as it was. */
static void judge(wispi_trial *t, const char *what, wisp_status status, const wisp_error *err,
                  const float *got)
{
    if (status != WISP_OK)
        wispi_trial_fail(t, "%s: %s", what, err->message);
    for (int i = 0; i < VALUES && status == WISP_OK; i++)
        if (got[i] != (float)(i + 1))
            wispi_trial_fail(t, "%s makes %g out of %d, on one rank", what, (double)got[i], i + 1);
}

static void fill(float *values)
{
    for (int i = 0; i < VALUES; i++)
        values[i] = (float)(i + 1);
}

static void try_reductions(wispi_trial *t, const wispi_subject *s)
{
    static const char *const names[] = {"", "all_reduce (sum)", "all_reduce (max)",
                                        "all_reduce (mean)"};
    const wispi_plugin *plugin = s->instance.plugin;
    float values[VALUES];
    wisp_error err = {0};
    wisp_status status;
    for (int32_t how = WISP_REDUCE_OVER_RANKS_SUM; how <= WISP_REDUCE_OVER_RANKS_MEAN; how++) {
        fill(values);
        WISPI_CALL(status, plugin, "all_reduce", &err,
                   table_of(s)->all_reduce(s->instance.self, values, VALUES, WISP_F32, how, &err));
        judge(t, names[how], status, &err, values);
    }
}

static void try_copies(wispi_trial *t, const wispi_subject *s)
{
    const wispi_plugin *plugin = s->instance.plugin;
    const wisp_comm_v0 *comm = table_of(s);
    float values[VALUES], out[VALUES] = {0};
    wisp_error err = {0};
    wisp_status status;
    fill(values);
    WISPI_CALL(status, plugin, "barrier", &err, comm->barrier(s->instance.self, &err));
    judge(t, "barrier", status, &err, values);
    WISPI_CALL(status, plugin, "broadcast", &err,
               comm->broadcast(s->instance.self, values, sizeof values, 0, &err));
    judge(t, "broadcast", status, &err, values);
    WISPI_CALL(status, plugin, "all_gather", &err,
               comm->all_gather(s->instance.self, values, out, sizeof values, &err));
    judge(t, "all_gather", status, &err, out);
}

static void try_started(wispi_trial *t, const wispi_subject *s)
{
    const wispi_plugin *plugin = s->instance.plugin;
    const wisp_comm_v0 *comm = table_of(s);
    float values[VALUES], out[VALUES] = {0};
    wisp_error err = {0};
    wisp_status status;
    if (!WISP_HAS(comm, wisp_comm_v0, wait) || !comm->start_all_reduce || !comm->wait)
        return;
    fill(values);
    WISPI_CALL(status, plugin, "start_all_reduce", &err,
               comm->start_all_reduce(s->instance.self, 0, values, out, VALUES, WISP_F32,
                                      WISP_REDUCE_OVER_RANKS_MEAN, &err));
    if (status == WISP_OK)
        WISPI_CALL(status, plugin, "wait", &err, comm->wait(s->instance.self, 0, &err));
    judge(t, "start_all_reduce and wait", status, &err, out);
}

void wispi_validate_comm_alone(wispi_trial *t)
{
    wispi_subject s;
    if (!begin(t, &s))
        return;
    try_reductions(t, &s);
    try_copies(t, &s);
    try_started(t, &s);
    end(&s);
}
