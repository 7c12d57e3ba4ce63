/* study_call.h - a call of compare or of sweep: what its options mean, and its runs made. */
#ifndef WISPI_REPORT_STUDY_CALL_H
#define WISPI_REPORT_STUDY_CALL_H

#include "report/job_runner.h"
#include "train/runtime_handle.h"

typedef struct wispi_study_call {
    wisp_runtime *runtime;
    wisp_study_options options; /* as this host knows them */
    int32_t format;
    wispi_arena *arena;
    wispi_study study;
    wispi_job_options jobs;
    int32_t emits; /* runs are written down for a cluster, and none is made here */
} wispi_study_call;

/* Reads the options; `seeds` and `name` stand where they say none. What is left empty is for
 * wispi_study_call_open(). Close it whatever comes of this. */
wisp_status wispi_study_call_read(wisp_runtime *runtime, const wisp_study_options *given,
                                  int32_t format, wispi_study_call *call, wisp_error *err);
/* With the arms: the folder, the list of runs, how many at a time. */
wisp_status wispi_study_call_open(wispi_study_call *call, const wispi_arms *arms, const char *seeds,
                                  const char *name, wisp_error *err);
void wispi_study_call_close(wispi_study_call *call);

/* Prints to standard output before the runs begin, unless the result is JSON. */
void wispi_study_call_say(const wispi_study_call *call, const wispi_text *text);

/* Makes the runs, or writes the job array. `end` gets what is to be said below the results: which
 * runs failed, what is left to do. */
wisp_status wispi_study_call_work(wispi_study_call *call, wisp_study_outcome *outcome,
                                  wispi_text *end, wisp_error *err);

#endif
