/* sweep_grid.h - lists of values for keys, and every combination of them as an arm. */
#ifndef WISPI_REPORT_SWEEP_GRID_H
#define WISPI_REPORT_SWEEP_GRID_H

#include "report/arms.h"

enum { WISPI_MOST_AXES = 8, WISPI_MOST_CELLS = 1000 };

typedef struct wispi_axis {
    const char *key;
    const char *short_key; /* in names: the last part of the key, where that tells it apart */
    const char **values;   /* TOML, or bare words */
    int32_t n;
} wispi_axis;

typedef struct wispi_grid {
    const char *path; /* the experiment */
    wispi_axis axes[WISPI_MOST_AXES];
    int32_t n_axes;
    int32_t n_cells;
    const char *const *arguments; /* of the call: overrides keep their order */
    int32_t n_arguments;
} wispi_grid;

/* Arguments are one TOML file, key=v1,v2,... and key=value for all cells. Commas within brackets,
 * braces and quotes belong to a value. Texts live in the arena or are the caller's. */
wisp_status wispi_grid_parse(const char *const *arguments, int32_t n, wispi_arena *arena,
                             wispi_grid *grid, wisp_error *err);

/* Which value of an axis a cell has; the last axis changes fastest. */
int32_t wispi_grid_value(const wispi_grid *grid, int32_t cell, int32_t axis);

/* An arm for each cell, called after its values: its name says which cell it is whatever others
 * there are, so a grid may grow. */
wisp_status wispi_grid_arms(const wispi_grid *grid, wispi_arena *arena, wispi_arms *arms,
                            wisp_error *err);

#endif
