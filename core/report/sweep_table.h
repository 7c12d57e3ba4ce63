/* sweep_table.h - mean and spread of each cell of a sweep, and which cells the best one is told
 * apart from. */
#ifndef WISPI_REPORT_SWEEP_TABLE_H
#define WISPI_REPORT_SWEEP_TABLE_H

#include "base/text.h"
#include "report/study_results.h"
#include "report/sweep_grid.h"

/* {"keys": [...], "values": [[of each key]], "seeds": [...], "complete": all runs are done,
 *  "cells": [{"name", "values"}], "metrics": [{"metric", "source": "task" or "probe",
 *  "best": index of the highest mean or null, "words", "cells": [{"n", "mean", "sd",
 *  "with_best": not told apart from the best, "seeds": [{"seed", "value"}]}]}]}
 * Tasks come before probes. Means and spreads of too few runs are null. */
wisp_status wispi_sweep_make(const wispi_grid *grid, const wispi_study_results *results,
                             json_t **sweep, wisp_error *err);

/* The same as tables for people. */
void wispi_sweep_say(const wispi_grid *grid, const json_t *sweep, wispi_text *out);

#endif
