/* run_data.h - what a run folder tells: configuration, manifest, curves, results.
 *
 * It reads finished runs and runs that are being written: a last line that is not whole yet is
 * passed over, as is every file but config.toml that is not there. What is damaged is left out from
 * there on, and `notes` say so with file and line; without a readable config.toml there is nothing.
 */
#ifndef WISPI_REPORT_RUN_DATA_H
#define WISPI_REPORT_RUN_DATA_H

#include <jansson.h>

#include "config/config.h"
#include "wisp/status.h"

typedef struct wispi_curve_point {
    int64_t step;
    double epoch;  /* steps over the steps of an epoch; where no manifest tells these, the line's */
    double value;  /* NaN: it was not finite */
    double pixels; /* through the trained network until then; NaN: the line does not say */
} wispi_curve_point;

/* One number over the run; steps ascend strictly. Every number of a line is a point of the curve
 * "<kind>/<name>": "train/loss", "schedule/lr", "probe/k_nn_top_1", and of timing.jsonl
 * "timing/minutes". */
typedef struct wispi_curve {
    char *name;
    int64_t n, capacity;
    wispi_curve_point *points;
    json_t *protocol; /* of the last point; NULL: the line has none */
} wispi_curve;

/* One evaluation. Of a probe the last one of each metric, besides "best_probe". */
typedef struct wispi_run_result {
    const char *kind;   /* "raw_pixels", "untrained", "probe", "best_probe", "task" */
    const char *metric; /* "k_nn_top_1" */
    int64_t step;
    double epoch;           /* as of a point */
    double value;           /* NaN: it was not finite */
    const json_t *protocol; /* NULL: the line has none */
} wispi_run_result;

typedef struct wispi_run_data {
    char *folder; /* as it was named */
    char *name;   /* run.name */
    int64_t seed, epochs, batch;
    int32_t is_done;      /* trained to its end, and judged */
    int32_t is_damaged;   /* metrics.jsonl cannot be read to its end */
    json_t *notes;        /* ["runs/a/0/manifest.json:3: ..."] */
    char *config_text;    /* config.toml */
    wispi_config *config; /* the same, parsed */
    json_t *manifest;     /* NULL: there is none yet */
    wispi_curve *curves;  /* in the order in which they first appear */
    int32_t n_curves;
    wispi_run_result *results; /* points into the curves */
    int32_t n_results;
    json_t *health; /* the lines of what was wrong, as they are; NULL: nothing was */
} wispi_run_data;

/* E_NOT_FOUND when `folder` holds no config.toml. A run without metrics has no curves. */
wisp_status wispi_run_data_read(const char *folder, wispi_run_data **data, wisp_error *err);
void wispi_run_data_free(wispi_run_data *data); /* accepts NULL */

/* NULL when there is none. */
const wispi_curve *wispi_run_data_curve(const wispi_run_data *data, const char *name);
const wispi_run_result *wispi_run_data_result(const wispi_run_data *data, const char *kind,
                                              const char *metric);
/* Minutes since the start at the evaluation of this step; NaN when timing.jsonl does not say. */
double wispi_run_data_minutes(const wispi_run_data *data, int64_t step);

#endif
