/* seed_list.h - which seeds every arm is run with. */
#ifndef WISPI_REPORT_SEED_LIST_H
#define WISPI_REPORT_SEED_LIST_H

#include "base/arena.h"
#include "wisp/status.h"

typedef struct wispi_seeds {
    int64_t *list;
    int32_t n;
} wispi_seeds;

enum { WISPI_MOST_SEEDS = 10000 };

/* "5": 0, 1, 2, 3, 4. "3,7,11": these ("3," is one seed). */
wisp_status wispi_seeds_parse(const char *text, wispi_arena *arena, wispi_seeds *seeds,
                              wisp_error *err);

#endif
