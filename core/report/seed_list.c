#include "report/seed_list.h"

#include <stdlib.h>
#include <string.h>

static wisp_status wrong(const char *text, wisp_error *err)
{
    return wisp_fail(err, WISP_E_CONFIG,
                     "--seeds %.200s: write how many (5 are 0, 1, 2, 3 and 4), or a list such as "
                     "3,7,11 of different numbers from 0 to 4294967295",
                     text);
}

static int has_seed(const wispi_seeds *seeds, int64_t seed)
{
    for (int32_t i = 0; i < seeds->n; i++)
        if (seeds->list[i] == seed)
            return 1;
    return 0;
}

static wisp_status read_list(const char *text, wispi_seeds *seeds, wisp_error *err)
{
    for (const char *p = text; *p;) {
        char *end = NULL;
        const unsigned long long seed = strtoull(p, &end, 10);
        if (*p < '0' || *p > '9' || (*end && *end != ',') || seed > UINT32_MAX ||
            has_seed(seeds, (int64_t)seed))
            return wrong(text, err);
        seeds->list[seeds->n++] = (int64_t)seed;
        p = end + (*end == ',');
    }
    return WISP_OK;
}

static wisp_status count(const char *text, int32_t *n, wisp_error *err)
{
    char *end = NULL;
    const unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || number < 1 || number > WISPI_MOST_SEEDS)
        return wrong(text, err);
    *n = (int32_t)number;
    return WISP_OK;
}

wisp_status wispi_seeds_parse(const char *text, wispi_arena *arena, wispi_seeds *out,
                              wisp_error *err)
{
    const int is_list = strchr(text, ',') != NULL;
    int32_t most = 1;
    for (const char *p = text; is_list && *p; p++)
        most += *p == ',';
    if (!is_list)
        WISP_TRY(count(text, &most, err));
    if (most > WISPI_MOST_SEEDS)
        return wrong(text, err);
    wispi_seeds seeds = {wispi_arena_array(arena, (size_t)most, sizeof *seeds.list), 0};
    if (!seeds.list)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the seeds");
    if (is_list)
        WISP_TRY(read_list(text, &seeds, err));
    for (int32_t i = 0; !is_list && i < most; i++)
        seeds.list[seeds.n++] = i;
    if (seeds.n == 0)
        return wrong(text, err);
    *out = seeds;
    return WISP_OK;
}
