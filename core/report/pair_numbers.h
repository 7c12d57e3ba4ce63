/* pair_numbers.h - the final values of a study's runs, pair by pair. */
#ifndef WISPI_REPORT_PAIR_NUMBERS_H
#define WISPI_REPORT_PAIR_NUMBERS_H

#include "base/text.h"
#include "report/study_results.h"

/* The comparison as JSON, without what the configurations say, and a table of it for people. Seeds
 * that some arm has not done yet are left out. */
wisp_status wispi_pair_numbers(const wispi_study_results *results, json_t **comparison,
                               wispi_text *table, wisp_error *err);

#endif
