/* runtime.h - the C interface for programs that embed the host; the wisp command is its first user.
 *
 * Whatever the command can do, any program can. Results come as one text, either for people or as
 * JSON. All functions are [main] of the calling program, and so are the functions that they call
 * back; one runtime at a time may run. Every wisp_..._options may be NULL: it then reads as zero,
 * as does what lies beyond its struct_size. */
#ifndef WISP_RUNTIME_H
#define WISP_RUNTIME_H

#include "wisp/host.h"
#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WISP_API __attribute__((visibility("default")))
#else
#define WISP_API
#endif

typedef struct wisp_runtime wisp_runtime;

enum { WISP_FORMAT_TEXT = 0, WISP_FORMAT_JSON = 1 };

typedef struct wisp_runtime_options {
    uint32_t struct_size;
    int32_t log_level;                 /* WISP_LOG_... of host.h; options NULL: WISP_LOG_INFO */
    const char *const *plugin_folders; /* NULL-terminated, searched first; or NULL */
    int32_t ignore_environment;        /* WISP_PLUGIN_PATH is not read */
    int32_t fault_handler;             /* name the plugin that crashes before dying */
    int32_t allow_insecure_plugins;    /* load what everybody may change too (docs/trust.md) */
    int32_t reserved;
} wisp_runtime_options;

WISP_API const char *wisp_version(void);
WISP_API wisp_status wisp_runtime_create(const wisp_runtime_options *options,
                                         wisp_runtime **runtime, wisp_error *err);
WISP_API void wisp_runtime_destroy(wisp_runtime *runtime);
/* Texts returned below are freed with this. */
WISP_API void wisp_runtime_free(char *text);

/* An experiment: a TOML file and key=value overrides. */
typedef struct wisp_experiment_source {
    uint32_t struct_size;
    int32_t n_overrides;
    const char *path;
    const char *const *overrides;
} wisp_experiment_source;

typedef struct wisp_run_options {
    uint32_t struct_size;
    int32_t check_finite; /* name the first op whose result is not finite */
    int32_t profile;      /* print where the time went */
    int32_t quiet;        /* no progress line */
    int32_t json;         /* results on stdout as JSON lines instead of text */
    int32_t locked;       /* refuse other plugins than the run was made with */
} wisp_run_options;

/* Trains, probes, evaluates. WISP_E_STOPPED after wisp_runtime_stop: the run ended on a checkpoint
 * and the same call resumes it. */
WISP_API wisp_status wisp_runtime_run(wisp_runtime *runtime, const wisp_experiment_source *source,
                                      const wisp_run_options *options, wisp_error *err);
/* Asks a run to end on a checkpoint; may be called from a signal handler. */
WISP_API void wisp_runtime_stop(wisp_runtime *runtime);

/* Resolves and validates; the text tells the resolved TOML, parameters, MACs and memory. */
WISP_API wisp_status wisp_runtime_check(wisp_runtime *runtime, const wisp_experiment_source *source,
                                        int32_t format, char **text, wisp_error *err);
/* `kind` NULL: all kinds. */
WISP_API wisp_status wisp_runtime_list(wisp_runtime *runtime, const char *kind, int32_t format,
                                       char **text, wisp_error *err);
/* `what` is "kind/name" or a path to a .so. */
WISP_API wisp_status wisp_runtime_inspect(wisp_runtime *runtime, const char *what, int32_t format,
                                          char **text, wisp_error *err);
/* The JSON Schema (draft 7) of experiments, from the option tables of the host and of all plugins
 * that are found. Plugins that cannot be loaded are left out with a warning. */
WISP_API wisp_status wisp_runtime_schema(wisp_runtime *runtime, char **text, wisp_error *err);
/* Writes the folder of a new plugin that builds and runs as it stands: `kind` is "method",
 * "sampler", "backbone", "task", "dataset" or "backend", `name` [a-z][a-z0-9_]*, 48 letters at
 * most. `folder` NULL: the name. The folder must not be there; it then is, whole, or nothing has
 * changed. The text says how to go on. */
WISP_API wisp_status wisp_runtime_new(wisp_runtime *runtime, const char *kind, const char *name,
                                      const char *folder, int32_t format, char **text,
                                      wisp_error *err);
/* Runs the [[task]] tables of `task` on stored weights: a run folder or a checkpoint file. */
WISP_API wisp_status wisp_runtime_eval(wisp_runtime *runtime, const char *weights,
                                       const wisp_experiment_source *task, int32_t format,
                                       char **text, wisp_error *err);

typedef struct wisp_export_options {
    uint32_t struct_size;
    int32_t reserved;
    const char *names;   /* whose names: "wisp", or a library that the backbone knows; NULL: wisp */
    const char *network; /* NULL: what the run evaluates */
    const char *classifier; /* path of a linear layer for the embedding, or NULL */
} wisp_export_options;

/* Writes the backbone of a run folder, or of a checkpoint file, as safetensors to `file`. */
WISP_API wisp_status wisp_runtime_export(wisp_runtime *runtime, const char *weights,
                                         const char *file, const wisp_export_options *options,
                                         int32_t format, char **text, wisp_error *err);

typedef struct wisp_import_options {
    uint32_t struct_size;
    int32_t reserved;
    const char *names; /* whose names the file has, likewise */
    const char *from;  /* path in the file, or NULL */
    const char *into;  /* path of a network here; NULL: the backbone that is evaluated */
} wisp_import_options;

/* Makes the folder of a run that begins with the weights of a safetensors file: to be judged by
 * wisp_runtime_eval, or trained on. */
WISP_API wisp_status wisp_runtime_import(wisp_runtime *runtime, const char *file,
                                         const wisp_experiment_source *experiment,
                                         const wisp_import_options *options, int32_t format,
                                         char **text, wisp_error *err);

typedef struct wisp_report_options {
    uint32_t struct_size;
    int32_t images; /* test images whose embeddings are shown; 0: 1,000 */
    int32_t live;   /* logs alone are read, no weights are opened */
    int32_t reserved;
    const char *file; /* of the page; NULL: report.html in the first folder, and none as JSON */
} wisp_report_options;

/* One HTML page about runs: folders of runs, or the one of a comparison or of a sweep. Folders are
 * read, never locked. The text tells where the page is; as JSON it is what the page shows.
 * WISP_E_STOPPED after wisp_runtime_stop. */
WISP_API wisp_status wisp_runtime_report(wisp_runtime *runtime, const char *const *folders,
                                         int32_t n_folders, const wisp_report_options *options,
                                         int32_t format, char **text, wisp_error *err);

/* How the runs of a comparison or of a sweep are made. */
typedef struct wisp_study_options {
    uint32_t struct_size;
    int32_t jobs;  /* runs at one time; 0: one, or one a device */
    int32_t quiet; /* no progress line */
    int32_t reserved;
    const char *program;               /* path of the wisp command: each run is a process of it */
    const char *const *plugin_folders; /* of those processes; NULL-terminated, or NULL */
    const char *seeds;       /* "5": 0 to 4; "3,7,11": these; NULL: 5 of compare, 3 of sweep */
    const char *devices;     /* "cuda:0,cuda:1": runs are dealt over them; NULL: run.device */
    const char *out, *name;  /* <out>/<name>/ is its folder; NULL: "runs", after the files */
    const char *emit;        /* "slurm": no run is made, a job array is written; NULL */
    const char *seed_offset; /* "B:1000": added to an arm's seeds; compare only; NULL */
    const char *metrics;     /* "k_nn_top_1,...": compare these alone; NULL: all */
} wisp_study_options;

/* Frozen layout. */
typedef struct wisp_study_outcome {
    int32_t n_runs, n_done, n_failed;
    int32_t stopped; /* after wisp_runtime_stop: runs ended on checkpoints */
} wisp_study_outcome;

/* Runs experiments that differ in something with the same seeds and compares their results pair by
 * pair. Arguments are TOML files, key=value for all of them and X:key=value for arm A, B ... alone.
 * What is done is not run again, so the same call goes on after wisp_runtime_stop or a failure. A
 * text in the case of success only, which some runs may not have had: *outcome tells. */
WISP_API wisp_status wisp_runtime_compare(wisp_runtime *runtime, const char *const *arguments,
                                          int32_t n_arguments, const wisp_study_options *options,
                                          int32_t format, char **text, wisp_study_outcome *outcome,
                                          wisp_error *err);

/* The same for every combination of values: key=v1,v2,... of one experiment. */
WISP_API wisp_status wisp_runtime_sweep(wisp_runtime *runtime, const char *const *arguments,
                                        int32_t n_arguments, const wisp_study_options *options,
                                        int32_t format, char **text, wisp_study_outcome *outcome,
                                        wisp_error *err);

typedef struct wisp_serve_options {
    uint32_t struct_size;
    int32_t port;                                   /* of 127.0.0.1; 0: the system chooses */
    void (*ready)(void *user, const char *address); /* called once, when the page can be opened */
    void *user;
} wisp_serve_options;

/* Shows the page of wisp_runtime_report to browsers on this machine alone, and what is new in the
 * folders' logs as it comes, until wisp_runtime_stop; no weights are opened. */
WISP_API wisp_status wisp_runtime_serve(wisp_runtime *runtime, const char *const *folders,
                                        int32_t n_folders, const wisp_serve_options *options,
                                        wisp_error *err);

enum { WISP_OPS_TEST = 0, WISP_OPS_GRAD = 1, WISP_OPS_SUPPORT = 2, WISP_OPS_PERF = 3 };

/* Checks operations; `filter` is a glob over "op/case/dtype", NULL for all; `backend` NULL: "cpu".
 * *n_failed counts what did not pass. */
WISP_API wisp_status wisp_runtime_ops(wisp_runtime *runtime, int32_t what, const char *backend,
                                      const char *filter, int32_t format, char **text,
                                      int32_t *n_failed, wisp_error *err);

typedef struct wisp_bench_views_options {
    uint32_t struct_size;
    int32_t workers;   /* threads that make views; 0: the calling one; -1: as the experiment says */
    int32_t in_memory; /* samples are read before, not while views are made */
    int32_t reserved;
    double seconds;  /* how long to measure, above 0 */
    const char *use; /* plugin of data that are named by their path; NULL: who knows them best */
} wisp_bench_views_options;

/* Makes batches of views as a run would and tells how fast that goes and where the time went. Only
 * [data], [sampler], [input] and [run] of the experiment count; its path may name data instead of a
 * TOML file, which then come under the multicrop sampler's defaults. wisp_runtime_stop ends it
 * early. */
WISP_API wisp_status wisp_runtime_bench_views(wisp_runtime *runtime,
                                              const wisp_experiment_source *source,
                                              const wisp_bench_views_options *options,
                                              int32_t format, char **text, wisp_error *err);

typedef struct wisp_views_options {
    uint32_t struct_size;
    int32_t images;             /* on the sheet, at most 64; 0: 6 */
    int64_t samples;            /* plans that the numbers come from; 0: 10,000 */
    const char *file;           /* the sheet to draw, a PNG file; NULL: numbers alone */
    const char *use;            /* plugin of data that are named by their path; or NULL */
    const char *const *others;  /* paths of more experiments, to stand beside the source */
    int32_t n_others, reserved; /* at most 7 */
} wisp_views_options;

/* What samplers draw: crop scale, pixel scale, overlap and pixels of their views, beside published
 * recipes, and a contact sheet of images with the boxes and views that training gets. All samplers
 * draw for the source's images with its seed; overrides hold for all. [data], [sampler], [input]
 * and [run] count, and a path may name data, as above. `file` is there, whole, or nothing has
 * changed. */
WISP_API wisp_status wisp_runtime_views(wisp_runtime *runtime, const wisp_experiment_source *source,
                                        const wisp_views_options *options, int32_t format,
                                        char **text, wisp_error *err);

typedef struct wisp_pack_options {
    uint32_t struct_size;
    int32_t short_side;  /* px: larger pictures are made so small; 0: none are */
    int32_t quality;     /* of the JPEG files of these; 0: 95 */
    int32_t jobs;        /* threads; 0: one for each processor */
    int64_t limit;       /* > 0: only the first `limit` samples */
    int32_t skip_broken; /* broken samples are named in the log and left out */
    int32_t unchecked; /* files that stay as they are are not decoded to see whether they can be */
    int32_t quiet;     /* no progress line */
    int32_t reserved;
    const char *use; /* the plugin of the data, or NULL: the one that recognises them */
} wisp_pack_options;

/* Packs data into `file` (wisp/packed.h): those at the source's path, with key=value as the
 * plugin's options, or those of an experiment. `file` is there, whole, or nothing has changed.
 * WISP_E_STOPPED after wisp_runtime_stop. The text tells counts, bytes and fingerprint. */
WISP_API wisp_status wisp_runtime_pack(wisp_runtime *runtime, const wisp_experiment_source *source,
                                       const char *file, const wisp_pack_options *options,
                                       int32_t format, char **text, wisp_error *err);

typedef struct wisp_data_info_options {
    uint32_t struct_size;
    int32_t full;    /* every pixel of every sample; else headers, of 20,000 samples at most */
    const char *use; /* plugin of data that are named by their path; NULL: who knows them best */
} wisp_data_info_options;

/* What is there: classes, kinds of files, sizes, the fingerprint that runs store, and samples that
 * cannot be used, of which *n_broken counts those that were found. The source is an experiment,
 * whose [data] counts, or data by their path; overrides are then the plugin's options.
 * wisp_runtime_stop ends it early. */
WISP_API wisp_status wisp_runtime_data_info(wisp_runtime *runtime,
                                            const wisp_experiment_source *source,
                                            const wisp_data_info_options *options, int32_t format,
                                            char **text, int64_t *n_broken, wisp_error *err);

typedef struct wisp_validate_options {
    uint32_t struct_size;
    int32_t in_process;           /* tests run in this process, and may end it */
    double time_limit;            /* seconds for one test; 0: 60 */
    const char *only;             /* one test by id; NULL: all */
    const char *const *overrides; /* key=value of the plugin's own options */
    int32_t n_overrides;
    int32_t reserved;
} wisp_validate_options;

/* Tries whether a plugin file keeps the rules of the interface (docs/validate.md): each test in a
 * child process, so that a crash or a wait without end is the result of that test. The process is
 * copied with fork(): no other thread of the program may run meanwhile. *n_failed counts those that
 * failed. `file` NULL: the text lists the tests. `options` may be NULL. WISP_E_STOPPED after
 * wisp_runtime_stop. */
WISP_API wisp_status wisp_runtime_validate(wisp_runtime *runtime, const char *file,
                                           const wisp_validate_options *options, int32_t format,
                                           char **text, int32_t *n_failed, wisp_error *err);

#ifdef __cplusplus
}
#endif
#endif
