/* arms.h - the settings that are compared: each an experiment of its own, run with the same seeds.
 *
 * Arms of a comparison are called A, B, C ... in the order of the call; a sweep's are called after
 * their values. */
#ifndef WISPI_REPORT_ARMS_H
#define WISPI_REPORT_ARMS_H

#include "base/arena.h"
#include "wisp/status.h"

enum { WISPI_MOST_LETTERS = 26 };

typedef struct wispi_arm {
    const char *name;             /* of its folder */
    const char *title;            /* the file's name, and what was set for this arm alone */
    const char *path;             /* a TOML file */
    const char *const *overrides; /* key=value, in the order in which they apply */
    int32_t n_overrides;
    int64_t seed_offset;  /* added to each seed: not 0 where arms shall share no randomness */
    const char *resolved; /* the whole experiment as TOML, with seed 0; NULL until it is resolved */
    int64_t steps;        /* of a whole run */
    int64_t file_seed;    /* run.seed as the file has it, which does not count */
    int32_t threads;      /* run.threads; 0: it does not say */
    int32_t workers;      /* run.workers */
    int32_t judges;       /* has tasks or probes */
} wispi_arm;

typedef struct wispi_arms {
    wispi_arm *list;
    int32_t n;
} wispi_arms;

/* Arguments are TOML files, key=value for all arms and X:key=value for arm X alone. Several files
 * are an arm each; of one file there are as many arms as letters were used. Texts live in the arena
 * or are the caller's. */
wisp_status wispi_arms_parse(const char *const *arguments, int32_t n, wispi_arena *arena,
                             wispi_arms *arms, wisp_error *err);

/* "B:1000,C:2000": what is added to an arm's seeds. */
wisp_status wispi_arms_offset_seeds(wispi_arms *arms, const char *text, wisp_error *err);

/* Is it key=value (or X:key=value), rather than a file's name? */
int wispi_is_override(const char *argument);

/* Is it "<key>=..."? Blanks in it do not count. */
int wispi_override_is_of(const char *override, const char *key);

/* Refuses keys that the scheduling of runs sets itself. */
wisp_status wispi_override_check(const char *override, wisp_error *err);

/* "configs/a.toml" -> "a"; in the arena, NULL when there is no memory. */
const char *wispi_file_stem(const char *path, wispi_arena *arena);

#endif
