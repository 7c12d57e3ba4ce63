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
/* Makes of the runs that are done the text of the verb's result. */
typedef wisp_status (*wispi_study_conclude)(wispi_study_call *call, void *user, wispi_text *out,
                                            wisp_error *err);

/* The order of events: `words` are printed (not where the result is JSON), the runs made or the job
 * array written, the results concluded, and report.html made of what is done, for want of which
 * nothing else is lost. `out` gets the result, and below it which runs failed and what is left. */
wisp_status wispi_study_call_work(wispi_study_call *call, const wispi_text *words,
                                  wispi_study_conclude conclude, void *user, wispi_text *out,
                                  wisp_study_outcome *outcome, wisp_error *err);

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
