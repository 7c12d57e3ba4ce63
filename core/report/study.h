/* study.h - several arms, each run with the same seeds, in one folder: what compare and sweep do.
 *
 * <out>/<name>/ holds <arm>.toml (the arm as it is run), <arm>/<seed>/ (run folders) and
 * logs/<arm>-<seed>.log. One process at a time works on a study, and its runs hold its lock too, so
 * that there are none beside it that somebody left behind. */
#ifndef WISPI_REPORT_STUDY_H
#define WISPI_REPORT_STUDY_H

#include "loader/registry.h"
#include "report/arms.h"
#include "report/seed_list.h"

enum { WISPI_STUDY_PATH = 1024, WISPI_MOST_JOBS = 100000 };

enum { WISPI_JOB_WAITS, WISPI_JOB_RUNS, WISPI_JOB_DONE, WISPI_JOB_FAILED, WISPI_JOB_STOPPED };

/* One run: an arm with a seed. */
typedef struct wispi_job {
    const wispi_arm *arm;
    int32_t arm_index, seed_index;
    int64_t seed;       /* of the run: the list's and the arm's offset */
    const char *folder; /* of the run */
    const char *log;
    const char *failure; /* in words; NULL unless it failed */
    int32_t state;       /* WISPI_JOB_... */
    int64_t first_step;  /* where it stood when this process began */
    int64_t step;        /* where it is known to stand */
} wispi_job;

typedef struct wispi_study {
    wispi_arena *arena;
    char folder[WISPI_STUDY_PATH];
    int lock;        /* file descriptor; -1: none */
    int32_t threads; /* of each run where its arm says none */
    wispi_arms arms;
    wispi_seeds seeds;
    wispi_job *jobs; /* seed by seed, so that pairs are complete early */
    int32_t n_jobs;
} wispi_study;

typedef struct wispi_study_request {
    const char *out, *name;
    const char *device; /* of all runs; NULL: as the arms have it */
    int32_t threads;    /* of each run, where neither its arm nor an earlier call says */
} wispi_study_request;

/* Makes and locks the folder, resolves the arms (the study takes `arms` and `seeds` over), writes
 * each as <arm>.toml, and finds out which runs are done. An arm that is there with another
 * configuration is refused, and so is a finished run of another one, or one that has trained
 * longer. */
wisp_status wispi_study_open(wispi_registry *registry, const wispi_study_request *request,
                             wispi_arena *arena, wispi_study *study, wisp_error *err);
void wispi_study_close(wispi_study *study);

/* How many runs are in a state. */
int32_t wispi_study_count(const wispi_study *study, int32_t state);
/* Are all runs of this seed (its place in the list) done? */
int wispi_study_seed_is_done(const wispi_study *study, int32_t seed_index);

#endif
