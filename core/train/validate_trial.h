/* validate_trial.h - one plugin file on trial: what a test of `wisp validate` is given, and how it
 * says what came out.
 *
 * A test is a function over a trial. It says at most one verdict; a test that says none has passed.
 * Each runs in a process of its own (validate_run.c), so it may leave behind whatever it likes. */
#ifndef WISPI_TRAIN_VALIDATE_TRIAL_H
#define WISPI_TRAIN_VALIDATE_TRIAL_H

#include "config/config.h"
#include "loader/registry.h"

enum { WISPI_VERDICT_PASS = 0, WISPI_VERDICT_FAIL = 1, WISPI_VERDICT_SKIP = 2 };

enum { WISPI_VERDICT_BYTES = 1600, WISPI_TRIAL_PATH = 1024, WISPI_GUARD_BYTES = 4096 };

typedef struct wispi_verdict {
    int32_t outcome; /* WISPI_VERDICT_... */
    char words[WISPI_VERDICT_BYTES];
} wispi_verdict;

typedef struct wispi_trial {
    const char *path;             /* of the plugin file */
    const char *const *overrides; /* key=value of the plugin's own table */
    int32_t n_overrides;
    const char *folder; /* for files of this test, removed afterwards */
    int32_t index;      /* which plugin of the file */
    wispi_registry *registry;
    const wispi_plugin *plugin; /* NULL until wispi_trial_load() */
    const wisp_descriptor *d;   /* the same */
    char small[512];            /* options made small for the tests: "out_dim=32 ..." */
    int32_t is_own_process;     /* 0 with --in-process */
    wispi_verdict verdict;
} wispi_trial;

/* The first verdict stays. */
void wispi_trial_fail(wispi_trial *t, const char *format, ...) WISP_PRINTF(2, 3);
void wispi_trial_skip(wispi_trial *t, const char *format, ...) WISP_PRINTF(2, 3);
/* Words beside a pass; a verdict that comes later takes their place. */
void wispi_trial_note(wispi_trial *t, const char *format, ...) WISP_PRINTF(2, 3);
static inline int wispi_trial_is_decided(const wispi_trial *t)
{
    return t->verdict.outcome != WISPI_VERDICT_PASS;
}

/* Did a failure come with a reason? */
int wispi_has_words(const wisp_error *err);

/* Lets the file in through the registry; fails the trial when it is refused. 1: it is in. */
int wispi_trial_load(wispi_trial *t);

/* A config struct between guards, so that what is written beside or into it shows. */
typedef struct wispi_subject {
    wispi_config *text; /* strings and lists of the options live here */
    uint8_t *block;     /* guard, config, guard */
    uint8_t *before;    /* what the block held once the options were filled in */
    size_t bytes;       /* of the config struct */
    wispi_instance instance;
} wispi_subject;

/* Fills the plugin's options from the trial's key=value and `more` (NULL-terminated, or NULL),
 * which come later, and asks `check`. On failure nothing is left. */
wisp_status wispi_subject_configure(wispi_trial *t, const char *const *more, wispi_subject *subject,
                                    wisp_error *err);
/* And creates. */
wisp_status wispi_subject_create(wispi_trial *t, const char *const *more, wispi_subject *subject,
                                 wisp_error *err);
/* Destroys the instance, if there is one, and frees the rest; accepts a zeroed one. */
void wispi_subject_destroy(wispi_subject *subject);
/* "" when guards and struct are as they were; else what was written to. Where the struct itself is
 * the instance it may change. */
const char *wispi_subject_damage(const wispi_subject *subject);

/* As wispi_subject_create with the trial's options alone; a failure fails the trial. */
int wispi_trial_create(wispi_trial *t, wispi_subject *subject);

/* 1: `key` of the plugin's table, or a key within it, is among the trial's own key=value. */
int wispi_trial_is_given(const wispi_trial *t, const char *key);

/* Fills `small` with options of sizes that are smaller than their defaults and still accepted, so
 * that the tests of methods, backbones and tasks are quick. */
void wispi_trial_shrink(wispi_trial *t);

#endif
