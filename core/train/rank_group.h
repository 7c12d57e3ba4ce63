/* rank_group.h - the processes that train one run together, from joining to leaving.
 *
 * Every rank goes through the same training. The first one alone owns the run's folder, evaluates
 * and prints; what it did, and whether it failed, it tells the others. A failure that all ranks
 * know of ends each of them with the same message. A rank that fails on its own ends the others.
 * With one process nothing is loaded, and all of this does nothing. */
#ifndef WISPI_TRAIN_RANK_GROUP_H
#define WISPI_TRAIN_RANK_GROUP_H

#include "train/experiment.h"

typedef struct wispi_rank_group {
    wispi_ranks ranks;  /* size 1: alone */
    wisp_comm_v0 table; /* the plugin's, complete */
    wispi_instance instance;
    int32_t is_agreed; /* all ranks know of the failure that this one is about to return */
} wispi_rank_group;

/* Joins as run.comm and the launcher's environment say. The group outlives the experiment's
 * sessions. */
wisp_status wispi_rank_group_join(wispi_experiment *experiment, wispi_rank_group *group,
                                  wisp_error *err);
/* `status` and `err` are what the run ended with. Does not return on a rank that failed by itself.
 */
void wispi_rank_group_leave(wispi_rank_group *group, wisp_status status, const wisp_error *err);

static inline int wispi_rank_group_is_first(const wispi_rank_group *group)
{
    return group->ranks.rank == 0;
}

/* The first rank tells what became of what it did alone; all others wait for it, and return its
 * failure too. A failure of another rank's own (`status`) stays its own. */
wisp_status wispi_rank_group_follow(wispi_rank_group *group, wisp_status status, wisp_error *err);
/* The first rank's bytes, on all ranks. */
wisp_status wispi_rank_group_tell(const wispi_rank_group *group, void *data, size_t bytes,
                                  wisp_error *err);
/* Fails on all ranks when the lines of their texts differ, and names a line and a rank. Lines are
 * "key = value", below "[table]". */
wisp_status wispi_rank_group_compare(wispi_rank_group *group, const char *text, wisp_error *err);
/* Means over all ranks, in place. */
wisp_status wispi_rank_group_average(const wispi_rank_group *group, float *values, int64_t n,
                                     wisp_error *err);

#endif
