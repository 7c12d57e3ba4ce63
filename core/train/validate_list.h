/* validate_list.h - every test of `wisp validate`, by name. */
#ifndef WISPI_TRAIN_VALIDATE_LIST_H
#define WISPI_TRAIN_VALIDATE_LIST_H

#include "train/validate_trial.h"

/* Kinds in the order of wispi_kinds (loader/gate.h). */
enum {
    WISPI_OF_FILE = 0, /* once for the file, whatever it holds */
    WISPI_OF_BACKEND = 1,
    WISPI_OF_DATASET = 2,
    WISPI_OF_SAMPLER = 4,
    WISPI_OF_BACKBONE = 8,
    WISPI_OF_METHOD = 16,
    WISPI_OF_TASK = 32,
    WISPI_OF_COMM = 64,
    WISPI_OF_ALL = 127
};

enum {
    /* Only a process that ended by itself counts against the plugin. */
    WISPI_TEST_OF_EXIT = 1u << 0,
    /* When it is skipped, what rests on it is tried all the same. */
    WISPI_TEST_MAY_SKIP = 1u << 1
};

typedef struct wispi_validation {
    const char *id;      /* kebab-case, for ever */
    const char *summary; /* what it shows, one line */
    const char *cure;    /* what to do when it fails */
    uint32_t kinds;      /* WISPI_OF_... */
    const char
        *rests_on; /* ids without which it means nothing, with spaces between them; or NULL */
    void (*run)(wispi_trial *t);
    uint32_t flags; /* WISPI_TEST_... */
} wispi_validation;

/* In the order in which they run; what one rests on comes before it. */
extern const wispi_validation wispi_validations[];
extern const int32_t wispi_n_validations;

const wispi_validation *wispi_validation_find(const char *id); /* NULL: there is none */
/* "every kind", "file" or "method, task". */
void wispi_validation_kinds(const wispi_validation *v, char *text, size_t bytes);

/* --- validate_file.c: the file and its tables, before anything of it is made --- */
void wispi_validate_shared_object(wispi_trial *t);
void wispi_validate_one_exported_symbol(wispi_trial *t);
void wispi_validate_loads(wispi_trial *t);
void wispi_validate_entry_returns(wispi_trial *t);
void wispi_validate_prefix_sane(wispi_trial *t);
void wispi_validate_mandatory_fields(wispi_trial *t);
void wispi_validate_file_name(wispi_trial *t);
void wispi_validate_describe_under_50ms(wispi_trial *t);
void wispi_validate_options_documented(wispi_trial *t);
void wispi_validate_defaults_in_range(wispi_trial *t);
void wispi_validate_options_fit_config(wispi_trial *t);
void wispi_validate_init_succeeds(wispi_trial *t);

/* --- validate_life.c: from options to an instance and back --- */
void wispi_validate_extensions_known(wispi_trial *t);
void wispi_validate_does_not_exit(wispi_trial *t);
void wispi_validate_creates(wispi_trial *t);
void wispi_validate_create_destroy_100(wispi_trial *t);
void wispi_validate_bad_options_refused(wispi_trial *t);
void wispi_validate_option_limits(wispi_trial *t);
void wispi_validate_unknown_name_is_null(wispi_trial *t);
void wispi_validate_oom(wispi_trial *t);

/* --- validate_process.c: what the plugin does to the process around it --- */
void wispi_validate_config_untouched(wispi_trial *t);
void wispi_validate_fp_state_unchanged(wispi_trial *t);
void wispi_validate_thread_class(wispi_trial *t);
void wispi_validate_signals_unchanged(wispi_trial *t);
void wispi_validate_environment_unchanged(wispi_trial *t);
void wispi_validate_prints_nothing(wispi_trial *t);
void wispi_validate_leaves_nothing_behind(wispi_trial *t);

#endif
