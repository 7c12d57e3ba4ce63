/* options.h - a plugin's options as one static table (ABI-8).
 *
 * The host parses TOML, checks it against the table, allocates the plugin's config struct
 * (`config_size` bytes, zeroed), fills it at the given offsets and only then calls the plugin. The
 * same table prints `wisp inspect`, the reference pages and the schema. Nothing is coerced: an
 * integer option refuses 1.0; a float option accepts 1 and 1.0. */
#ifndef WISP_OPTIONS_H
#define WISP_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Type of an option and the C type at its offset. */
enum {
    WISP_OPTION_BOOL = 1,   /* int32_t, 0 or 1 */
    WISP_OPTION_I64 = 2,    /* int64_t */
    WISP_OPTION_F64 = 3,    /* double */
    WISP_OPTION_STRING = 4, /* const char *, UTF-8, lives until destroy */
    WISP_OPTION_PATH = 5,   /* const char *; relative paths are taken from the working directory */
    WISP_OPTION_ENUM = 6,   /* int32_t, the value of the chosen wisp_choice */
    WISP_OPTION_TABLE = 7,  /* a nested struct that begins at the offset; see `table` */
    WISP_OPTION_I64_LIST = 8,    /* wisp_list of int64_t */
    WISP_OPTION_F64_LIST = 9,    /* wisp_list of double */
    WISP_OPTION_STRING_LIST = 10 /* wisp_list of const char * */
};

enum {
    WISP_OPTION_REQUIRED = 1,   /* no default; the TOML must give it */
    WISP_OPTION_HIDDEN = 2,     /* not shown by inspect */
    WISP_OPTION_DEPRECATED = 4, /* accepted with a warning */
    WISP_OPTION_OPEN_MIN = 8,   /* min itself is not allowed */
    WISP_OPTION_OPEN_MAX = 16   /* max itself is not allowed */
};

/* The value of a list option. Frozen layout. */
typedef struct wisp_list {
    int64_t count;
    const void *items; /* owned by the host, lives until destroy */
} wisp_list;

/* One choice of an enum option. Frozen layout. */
typedef struct wisp_choice {
    const char *name;
    const char *help;
    int32_t value;
    int32_t reserved;
} wisp_choice;

/* One option. `min` and `max` bound numbers and each element of a number list (both 0: unbounded);
 * `min_count` and `max_count` bound a list's length (both 0: unbounded). May grow: the descriptor
 * says how long it was (`option_size`). */
typedef struct wisp_option {
    const char *key;
    uint32_t type;
    uint32_t flags;
    uint64_t offset;           /* in the plugin's config struct, or in the parent table's struct */
    const char *default_value; /* as it would stand in TOML: "0.4", "[0.3, 1.0]", "\"lars\"" */
    double min, max;
    uint32_t min_count, max_count;
    const wisp_choice *choices;      /* ENUM: ends with a NULL name */
    const char *unit;                /* "px", "epochs" ...; NULL if none */
    const char *help;                /* one line, mandatory */
    const char *former;              /* former name that is still accepted, or NULL */
    const struct wisp_option *table; /* TABLE: its options */
    uint64_t n_table;
} wisp_option;

#define WISP_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifdef __cplusplus
}
#endif
#endif
