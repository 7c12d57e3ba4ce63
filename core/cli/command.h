/* command.h - what the verbs of `wisp` share: a parsed call and how its outcome is shown.
 *
 * The room has no logic of its own: a verb turns a call into one call of wisp/runtime.h. */
#ifndef WISPI_CLI_COMMAND_H
#define WISPI_CLI_COMMAND_H

#include <stddef.h>

#include "wisp/runtime.h"

enum { WISPI_EXIT_DONE = 0, WISPI_EXIT_FAILED = 1, WISPI_EXIT_WRONG_CALL = 2 };

enum { WISPI_MOST_ARGUMENTS = 256, WISPI_MOST_FOLDERS = 32 };

/* Everything that the command line said. Texts belong to argv. */
typedef struct wispi_call {
    const struct wispi_verb *verb;
    wisp_runtime *runtime;
    const char *arguments[WISPI_MOST_ARGUMENTS];
    int32_t n_arguments;
    const char *plugin_folders[WISPI_MOST_FOLDERS + 1]; /* NULL-terminated */
    int32_t n_plugin_folders;
    int32_t allow_insecure;
    int32_t help, version, verbose, quiet, json, check_finite, profile, memory, full;
    int32_t locked; /* of run */
    const char *backend;
    const char *names, *network, *classifier, *from, *into; /* of export and import */
    const char *workers, *seconds, *use;                    /* of bench; use of data and pack too */
    const char *output, *short_side, *quality, *limit, *jobs; /* of pack */
    int32_t skip_broken, unchecked;
    int32_t serve; /* of report */
    const char *port;
    const char *images, *samples;                                 /* of views */
    const char *seeds, *devices, *out_folder, *study_name, *emit; /* of compare and sweep */
    const char *seed_offset, *metrics;                            /* of compare */
    const char *only, *time_limit;                                /* of validate */
    int32_t list, in_process;
} wispi_call;

/* One `--name` or `--name VALUE`. Where it goes: `offset` in wispi_call. */
typedef struct wispi_flag {
    const char *name;
    const char *value; /* placeholder of the value; NULL for a switch */
    const char *help;
    size_t offset; /* of an int32_t for a switch, of a const char * for a value */
} wispi_flag;

typedef struct wispi_verb {
    const char *name;
    const char *arguments; /* "EXP.toml [key=value ...]" */
    const char *summary;   /* one line */
    const char *details;   /* some lines for --help, each ended by a newline; or NULL */
    const char *example;
    const wispi_flag *flags; /* ends with a NULL name */
    int32_t least, most;     /* arguments; most -1: any number */
    int (*run)(const wispi_call *call);
} wispi_verb;

extern const wispi_verb wispi_verb_run, wispi_verb_check, wispi_verb_list, wispi_verb_inspect,
    wispi_verb_eval, wispi_verb_export, wispi_verb_import, wispi_verb_ops, wispi_verb_bench,
    wispi_verb_pack, wispi_verb_data, wispi_verb_report, wispi_verb_new, wispi_verb_views,
    wispi_verb_compare, wispi_verb_sweep, wispi_verb_validate, wispi_verb_schema;
/* All of them, NULL-terminated. */
extern const wispi_verb *const wispi_verbs[];

/* Prints a failure once, to standard error, and returns the exit code that belongs to it. */
int wispi_report_failure(wisp_status status, const wisp_error *err);
/* The same for a mistake in the call itself: always WISPI_EXIT_WRONG_CALL. */
int wispi_report_wrong_call(const char *format, ...) WISP_PRINTF(1, 2);
/* Reads the number of a flag into `value`, which stays what it is where the flag is not given.
 * Returns an exit code. */
int wispi_read_number(const char *flag, const char *text, long long least, long long most,
                      long long *value);
/* Prints a result that came with `status`, frees it, and returns the exit code. */
int wispi_report_text(wisp_status status, char *text, const wisp_error *err);

/* WISP_FORMAT_... as --json says. */
static inline int32_t wispi_call_format(const wispi_call *call)
{
    return call->json ? WISP_FORMAT_JSON : WISP_FORMAT_TEXT;
}

/* SIGINT and SIGTERM ask the runtime to stop; a second signal ends the program at once. */
void wispi_stop_on_signals(wisp_runtime *runtime);

/* compare and sweep: their call, from the options that they share to the exit code. */
typedef wisp_status (*wispi_study_function)(wisp_runtime *runtime, const char *const *arguments,
                                            int32_t n_arguments, const wisp_study_options *options,
                                            int32_t format, char **text,
                                            wisp_study_outcome *outcome, wisp_error *err);
int wispi_run_study(const wispi_call *call, wispi_study_function study);
/* clang-format off */
#define WISPI_STUDY_FLAGS                                                                          \
    {"--jobs", "J", "runs at one time, which share the processors; 1 by default",                  \
     offsetof(wispi_call, jobs)},                                                                  \
    {"--devices", "LIST", "cuda:0,cuda:1: runs are dealt over these",                              \
     offsetof(wispi_call, devices)},                                                               \
    {"--out", "DIR", "folder of its folder; runs by default", offsetof(wispi_call, out_folder)},   \
    {"--name", "NAME", "its folder; after the files by default",                                   \
     offsetof(wispi_call, study_name)},                                                            \
    {"--emit", "slurm", "make no run, write a job array; again: gather what is done",              \
     offsetof(wispi_call, emit)}
/* clang-format on */

/* An experiment from the arguments: a file, then overrides. */
wisp_experiment_source wispi_call_experiment(const wispi_call *call, int32_t first);

#endif
