/* comparison.h - arms that were run with the same seeds: what differs, and whether it is shown.
 *
 * docs/compare.md explains the numbers. Every arm is held against the first one. */
#ifndef WISPI_REPORT_COMPARISON_H
#define WISPI_REPORT_COMPARISON_H

#include "base/text.h"
#include "report/run_data.h"

typedef struct wispi_compared_arm {
    const char *name;                  /* "A", "B" ... */
    const char *title;                 /* the experiment's name */
    const wispi_run_data *const *runs; /* one a seed; one that is NULL or not done is missing */
} wispi_compared_arm;

typedef struct wispi_comparison_request {
    const wispi_compared_arm *arms;
    int32_t n_arms; /* at least two */
    const int64_t *seeds;
    int32_t n_seeds;
    json_t *differences;        /* array of {"key", "values"}, or NULL; lent */
    const char *const *metrics; /* only these, as "k_nn_top_1"; fewer tests see smaller effects */
    int32_t n_metrics;          /* 0: all */
    const char *source;         /* "task" or "probe" alone; NULL: both */
    int32_t without_pixels;     /* ask nothing at equal pixels */
} wispi_comparison_request;

/* {"arms":        [{"name", "title", "pixels_per_image": number or null}, ...],
 *  "seeds":       [0, 1, ...],
 *  "differences": [{"key", "values": [one an arm]}, ...],
 *  "complete":    every run is there and done,
 *  "missing":     [{"arm", "seed", "why"}, ...],
 *  "level":       0.05, of all tests together,
 *  "power":       0.8, that "detectable" is about,
 *  "family":      {"tests": n, "words": over what the p values are corrected},
 *  "metrics":     [{"metric": "k_nn_top_1", "source": "task" or "probe",
 *                   "basis": "equal epochs", "equal pixels" or "end of training",
 *                   "at": epochs, pixels or null, "arm": "B", "against": "A",
 *                   "pairs": [{"seed", "a": value of `against` or null, "b": of `arm`}, ...],
 *                   "n": whole pairs, "mean", "sd", "low", "high", "t", "p_t", "p_flip",
 *                   "p_flip_least", "flip_draws": 0 when all were counted, "p_adjusted",
 *                   "detectable", "decided_by": "t", "flip" or null,
 *                   "verdict": "B better", "A better", "no difference shown" or null,
 *                   "words": the same as a sentence}, ...],
 *  "time":        [{"metric", "arm", "against", "pairs": [{"seed", "target", "a": minutes or null,
 *                   "b", "a_epoch", "b_epoch"}, ...], "words"}, ...],
 *  "notes":       ["...", ...]}
 * Numbers that do not exist are null: all statistics when there is one seed, for example. */
wisp_status wispi_comparison_make(const wispi_comparison_request *request, json_t **comparison,
                                  wisp_error *err);

/* The same for people, from the JSON. */
wisp_status wispi_comparison_text(const json_t *comparison, wispi_text *out, wisp_error *err);

#endif
