/* job_runner.h - makes the runs of a study, so many at a time, each a process of its own. */
#ifndef WISPI_REPORT_JOB_RUNNER_H
#define WISPI_REPORT_JOB_RUNNER_H

#include "report/study.h"

enum { WISPI_MOST_PARALLEL = 1024, WISPI_MOST_DEVICES = 64 };

/* "cuda:0,cuda:1" */
typedef struct wispi_device_list {
    const char *names[WISPI_MOST_DEVICES];
    int32_t n;
} wispi_device_list;

/* Devices of one backend only: what others compute differs in the last bits. */
wisp_status wispi_devices_parse(const char *text, wispi_arena *arena, wispi_device_list *devices,
                                wisp_error *err);

typedef struct wispi_job_options {
    int32_t parallel;                  /* runs at a time */
    int32_t workers;                   /* run.workers where an arm leaves it open */
    const char *program;               /* the wisp command */
    const char *const *plugin_folders; /* NULL-terminated, or NULL */
    int32_t allow_insecure;            /* plugins that everybody may change */
    wispi_device_list devices;         /* none: as the arms say */
    int32_t quiet;                     /* nothing on standard output */
    const volatile int *stop;          /* becomes 1 when runs shall end on checkpoints */
} wispi_job_options;

/* Runs what is not done. A run that fails is told and the others go on; which these are is in the
 * jobs' states. Fails itself only when there is no memory. */
wisp_status wispi_jobs_run(wispi_study *study, const wispi_job_options *options, wisp_error *err);

/* The call of a job without the program: "run", the arm's file, overrides; NULL-terminated. */
wisp_status wispi_job_arguments(const wispi_study *study, const wispi_job *job,
                                const wispi_job_options *options, const char *device,
                                const char ***arguments, wisp_error *err);

#endif
