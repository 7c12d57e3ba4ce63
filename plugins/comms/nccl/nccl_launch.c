#include "nccl_launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_SECONDS = 300, MOST_SECONDS = 86400 };

/* Launchers, the most explicit first. An sbatch script has SLURM_PROCID and SLURM_NTASKS as well:
 * SLURM_STEP_NUM_TASKS exists only below srun. */
static const struct {
    const char *size, *rank, *local, *local_size;
} launchers[] = {
    {"WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"},
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
};

/* A number in [0, most]; -1: there is none, -2: it is something else. */
static int number(const char *variable, int most)
{
    const char *text = getenv(variable);
    char *end = NULL;
    if (!text || !*text)
        return -1;
    const long value = strtol(text, &end, 10);
    return *end == '\0' && value >= 0 && value <= most ? (int)value : -2;
}

static wisp_status read_place(nccl_launch *l, const char *rank, const char *local, wisp_error *err)
{
    if (l->size == -2 || l->size == 0)
        return wisp_fail(err, WISP_E_CONFIG, "%s is \"%s\", which is no number from 1 to %d",
                         l->source, getenv(l->source), NCCL_MOST_RANKS);
    l->rank = number(rank, NCCL_MOST_RANKS);
    if (l->rank < 0 || l->rank >= l->size)
        return wisp_fail(err, WISP_E_CONFIG, "%s is %d, but %s is \"%s\": it must be from 0 to %d",
                         l->source, l->size, rank, getenv(rank) ? getenv(rank) : "", l->size - 1);
    l->local_rank = number(local, NCCL_MOST_RANKS);
    return WISP_OK;
}

/* torchrun's own process listens at the port that it tells its ranks, and says so by a variable of
 * its own: then the ranks meet at the next one. */
static void read_port(nccl_launch *l)
{
    enum { LAST_PORT = 65535 };
    const char *text = getenv("MASTER_PORT"), *taken = getenv("TORCHELASTIC_USE_AGENT_STORE");
    const int port = number("MASTER_PORT", LAST_PORT);
    l->port = text && *text ? text : "29500"; /* as torchrun */
    if (port < 1 || !taken || strcmp(taken, "True") != 0)
        return;
    snprintf(l->next_port, sizeof l->next_port, "%d", port < LAST_PORT ? port + 1 : port - 1);
    l->port = l->next_port;
}

/* Ranks of one machine find each other without being told. */
static wisp_status read_address(nccl_launch *l, const char *local_size, wisp_error *err)
{
    l->address = getenv("MASTER_ADDR");
    read_port(l);
    if (l->address && *l->address)
        return WISP_OK;
    if (l->size > 1 && number(local_size, NCCL_MOST_RANKS) != l->size)
        return wisp_fail(err, WISP_E_CONFIG,
                         "MASTER_ADDR is not set: ranks on several machines need it to be the name "
                         "or address of the machine of rank 0");
    l->address = "127.0.0.1";
    return WISP_OK;
}

wisp_status nccl_launch_read(nccl_launch *l, wisp_error *err)
{
    memset(l, 0, sizeof *l);
    l->size = 1;
    l->local_rank = -1;
    l->address = l->port = l->source = "";
    l->seconds = number("WISP_MEETING_SECONDS", MOST_SECONDS);
    if (l->seconds < 1)
        l->seconds = USUAL_SECONDS;
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const int size = number(launchers[i].size, NCCL_MOST_RANKS);
        if (size == -1)
            continue;
        l->size = size;
        l->source = launchers[i].size;
        WISP_TRY(read_place(l, launchers[i].rank, launchers[i].local, err));
        return read_address(l, launchers[i].local_size, err);
    }
    return WISP_OK;
}
