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

/* With the arms: the folder, the list of runs, how many at a time. */
wisp_status wispi_study_call_open(wispi_study_call *call, const wispi_arms *arms, const char *seeds,
                                  const char *name, wisp_error *err);
/* Prints to standard output before the runs begin, unless the result is JSON. */
void wispi_study_call_say(const wispi_study_call *call, const wispi_text *text);

/* Makes the runs, or writes the job array. `end` gets what is to be said below the results: which
 * runs failed, what is left to do. */
wisp_status wispi_study_call_work(wispi_study_call *call, wisp_study_outcome *outcome,
                                  wispi_text *end, wisp_error *err);

/* Makes report.html of what is done and says so; for want of it nothing else is lost. */
void wispi_study_call_page(wispi_study_call *call, const wisp_study_outcome *outcome,
                           wispi_text *end);

/* One of the verbs: its arguments to a text. */
typedef struct wispi_study_verb {
    wisp_status (*make)(wispi_study_call *call, const char *const *arguments, int32_t n,
                        wispi_text *out, wisp_study_outcome *outcome, wisp_error *err);
    const char *const *arguments;
    int32_t n_arguments;
} wispi_study_verb;

/* Reads the options, has the verb make its text, and gives it to the caller of the runtime. */
wisp_status wispi_study_call_make(wisp_runtime *runtime, const wispi_study_verb *verb,
                                  const wisp_study_options *options, int32_t format, char **text,
                                  wisp_study_outcome *outcome, wisp_error *err);

#endif
